#include "trainers/practice.h"

#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "models/work.h"
#include "rewards/preference.h"

struct scorer {
    struct preference model;
};

static int practice_score(struct scorer *scorer, const struct exchange *rows, int count, float *tokens_out,
                          float *sequence_out, struct error *err) {
    float *score = xcalloc((size_t)count, sizeof *score);
    int status = preference_score(&scorer->model, rows, count, score, err);

    (void)sequence_out;
    score_last_tokens(tokens_out, rows, count, score);
    free(score);
    return status;
}

static void practice_close(struct scorer *scorer) {
    preference_close(&scorer->model);
    free(scorer);
}

/* Not registered: it is fitted on nothing. */
static const struct reward random_scores = {
    .name = "random", .score = practice_score, .close = practice_close};

static int make_reward(struct practice *practice, const struct model *policy, struct error *err) {
    struct scorer *scorer = xcalloc(1, sizeof *scorer);

    practice->collector.reward = &random_scores;
    practice->collector.scorer = scorer;
    if (model_clone(&scorer->model.model, policy, 1, 0, 2, err)) return -1;
    return trunk_create(&scorer->model.trunk, scorer->model.model, 0, err);
}

static int read_options(struct practice *practice, struct error *err) {
    const struct practice_shape *shape = &practice->shape;
    char *text = xprintf("{policy: none, reward: none, data: [none], max_new: %d, episodes: %d, slots: %d, "
                         "epochs: %d, minibatches: %d, value: %s}",
                         shape->fresh, shape->rows, shape->rows, shape->epochs,
                         (shape->rows + shape->minibatch - 1) / shape->minibatch,
                         shape->value == VALUE_SHARED ? "shared" : "separate");

    practice->given = document_parse_yaml(text, strlen(text), "practice", err);
    free(text);
    return practice->given ? ppo_options_read(practice->given, "practice", &practice->options, err) : -1;
}

static void make_prompts(struct practice *practice, int vocab) {
    struct collector *collector = &practice->collector;
    struct prompts *prompts = &collector->prompts;
    int count = practice->shape.rows, length = practice->shape.prompt;

    prompts->ids = xcalloc((size_t)count, sizeof *prompts->ids);
    prompts->usable = xcalloc((size_t)count, sizeof *prompts->usable);
    collector->order = xcalloc((size_t)count, sizeof *collector->order);
    collector->epoch = -1;
    prompts->count = count;
    for (int i = 0; i < count; i++) {
        struct tokens *ids = &prompts->ids[i];

        examples_add(&prompts->text);
        prompts->usable[i] = i;
        ids->ids = xcalloc((size_t)length, sizeof *ids->ids);
        ids->count = length;
        for (int t = 0; t < length; t++) ids->ids[t] = race_token((uint32_t)(i * length + t), vocab);
    }
}

/* The policy, with a head for values or beside a model of its own. */
static int make_learner(struct practice *practice, const struct model *policy, struct error *err) {
    struct learner *learner = &practice->learner;
    int shared = practice->options.value == VALUE_SHARED;

    learner->options = &practice->options;
    if (model_clone(&learner->policy.model, policy, shared, 1, 0, err)) return -1;
    if (pupil_prepare(&learner->policy, &practice->options, err)) return -1;
    if (shared) return 0;
    if (model_clone(&learner->value.model, policy, 1, 1, 0, err)) return -1;
    return pupil_prepare(&learner->value, &practice->options, err);
}

static int make_all(struct practice *practice, const struct model *policy, struct error *err) {
    struct collector *collector = &practice->collector;

    if (read_options(practice, err) || make_learner(practice, policy, err)) return -1;
    if (make_reward(practice, policy, err)) return -1;
    if (trunk_create(&collector->reference, practice->reference, 0, err)) return -1;
    make_prompts(practice, policy->config.vocab);
    collector->options = &practice->options;
    collector->seed = 1;
    collector->end_token = -1;
    collector->policy = practice->learner.policy.model;
    collector->value = practice->learner.value.trunk;
    collector->state.beta = practice->options.kl;
    return 0;
}

int practice_create(struct practice *practice, struct model *policy, const struct practice_shape *shape,
                    struct error *err) {
    *practice = (struct practice){.shape = *shape, .reference = policy};
    if (make_all(practice, policy, err) == 0) return 0;
    practice_free(practice);
    return -1;
}

int practice_iterate(struct practice *practice, const struct stopwatch *watch, struct phases *spent,
                     struct error *err) {
    struct rollout rollout = {0};
    struct learned learned;
    double began = stopwatch_seconds(watch), sampled, read;
    int status = -1;

    if (collector_sample(&practice->collector, &rollout, practice->iteration, err)) goto out;
    sampled = stopwatch_seconds(watch);
    if (collector_read(&practice->collector, &rollout, err)) goto out;
    if (collector_shape(&practice->collector, &rollout, err)) goto out;
    read = stopwatch_seconds(watch);
    if (learner_learn(&practice->learner, &rollout, 1, practice->iteration, &learned, err)) goto out;
    practice->learner.policy.model->kernels->sync();
    spent->rollout += sampled - began;
    spent->scoring += read - sampled;
    spent->update += stopwatch_seconds(watch) - read;
    practice->iteration++;
    status = 0;
out:
    rollout_free(&rollout);
    return status;
}

void practice_free(struct practice *practice) {
    if (practice->collector.scorer) practice->collector.reward->close(practice->collector.scorer);
    trunk_free(practice->collector.reference);
    collector_free(&practice->collector);
    learner_free(&practice->learner);
    model_free(practice->reference);
    node_free(practice->given);
    *practice = (struct practice){0};
}

double practice_operations(const struct config *c, const struct practice_shape *shape) {
    double width = c->width, layers = c->layers, length = shape->prompt + shape->fresh;
    double trunk = shape->rows * length * (2 * 12 * width * width + 2 * length * width) * layers;
    double head = 2.0 * shape->rows * shape->fresh * c->vocab * width;

    return 4 * trunk + 3 * head + 3 * shape->epochs * (trunk + head);
}
