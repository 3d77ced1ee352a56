#include "trainers/experience.h"

#include "models/device.h"
#include "trainers/rollout.h"

#define LINE 64 /* bytes that arrays begin on */

/* Kernel memory of a rollout's arrays. */
struct rooms {
    float *logprob, *value, *reward, *advantage, *returns;
    int *item, *start;
    double *sums;
};

/* The next array of the memory; without memory it only counts. */
static void *take(char *memory, size_t *used, size_t bytes) {
    void *at = memory ? memory + *used : NULL;

    *used += (bytes + LINE - 1) / LINE * LINE;
    return at;
}

static struct rooms take_all(void *memory, size_t *used, const struct ppo_options *options) {
    size_t tokens = (size_t)options->episodes * (size_t)options->max_new * sizeof(float);
    struct rooms rooms;
    float **const arrays[] = {&rooms.logprob, &rooms.value, &rooms.reward, &rooms.advantage, &rooms.returns};

    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) *arrays[i] = take(memory, used, tokens);
    rooms.item = take(memory, used, tokens);
    rooms.start = take(memory, used, ((size_t)options->episodes + 1) * sizeof *rooms.start);
    rooms.sums = take(memory, used, EXPERIENCE_SUMS * sizeof *rooms.sums);
    return rooms;
}

size_t experience_bytes(const struct ppo_options *options) {
    size_t used = 0;

    take_all(NULL, &used, options);
    return used;
}

static int reserve(struct experience *experience, const struct kernels *kernels,
                   const struct ppo_options *options, struct error *err) {
    size_t bytes = experience_bytes(options);

    if (experience->memory) return 0;
    experience->kernels = kernels;
    experience->memory = kernels->alloc(bytes);
    return experience->memory ? 0 : device_full(kernels, bytes, "a rollout's tokens", "fewer episodes", err);
}

int experience_make(struct experience *experience, const struct kernels *kernels, struct rollout *rollout,
                    const struct ppo_options *o, struct error *err) {
    size_t total = (size_t)rollout->total, bytes = total * sizeof(float), used = 0;
    struct rooms rooms;
    const int *start;
    float *reward;

    if (reserve(experience, kernels, o, err)) return -1;
    rooms = take_all(experience->memory, &used, o);
    start = kernels->send(rooms.start, rollout->start, ((size_t)rollout->rows + 1) * sizeof *start);
    kernels->send(rooms.reward, rollout->reward, bytes);
    reward = kernels->place(rooms.reward, rollout->reward);
    experience->logprob = kernels->send(rooms.logprob, rollout->logprob, bytes);
    experience->value = kernels->send(rooms.value, rollout->value, bytes);
    experience->advantage = kernels->place(rooms.advantage, rollout->advantage);
    experience->returns = kernels->place(rooms.returns, rollout->returns);
    experience->item = rooms.item;
    experience->sums = rooms.sums;
    if (o->whiten_rewards) {
        kernels->whiten(reward, total, 1);
        kernels->fetch(rollout->reward, reward, bytes);
    }
    kernels->advantage(experience->advantage, experience->returns, reward, experience->value, start,
                       rollout->rows, o->gamma, o->lambda);
    if (o->whiten_advantages) kernels->whiten(experience->advantage, total, 0);
    kernels->fetch(rollout->advantage, experience->advantage, bytes);
    kernels->fetch(rollout->returns, experience->returns, bytes);
    rollout->experience = experience;
    return 0;
}

void experience_free(struct experience *experience) {
    if (experience->memory) experience->kernels->free(experience->memory);
    *experience = (struct experience){0};
}
