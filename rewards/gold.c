/* The world's gold score as a reward: the control that no real task has. */
#include <stdlib.h>

#include "harness/memory.h"
#include "harness/registry.h"
#include "models/dataset.h"
#include "rewards/fitting.h"

static const struct option options[] = {{0}};

struct scorer {
    const struct world *world;
    double mean, std;
};

static int find_world(const struct world **out, const char *name, struct error *err) {
    *out = name ? world_find(name) : NULL;
    if (*out) return 0;
    return fail(err, "the reward gold needs a world's data (a folder with world.json); %s is no world",
                name ? name : "this");
}

static void score_raw(const struct world *world, const struct exchange *rows, int count, float *out) {
    for (int r = 0; r < count; r++) {
        struct features features = {0};

        world->inspect(rows[r].prompt_text, rows[r].response_text, &features);
        out[r] = (float)features.gold;
    }
}

static int gold_fit(struct fitting *fitting, const void *settings, struct node *facts, struct error *err) {
    char *name = data_world(fitting->options->data);
    const struct world *world;
    float *score = NULL;
    double mean = 0, std = 1;
    int status = -1;

    (void)settings;
    if (find_world(&world, name, err) || fitting_samples(fitting, err)) goto out;
    score = xcalloc((size_t)fitting->sample_count, sizeof *score);
    score_raw(world, fitting->samples, fitting->sample_count, score);
    moments(&mean, &std, score, fitting->sample_count);
    node_add_text(facts, "world", name);
    node_add_number(facts, "mean", mean);
    node_add_number(facts, "std", std);
    status = 0;
out:
    free(score);
    free(name);
    return status;
}

static int gold_open(struct scorer **out, const char *folder, const struct node *facts,
                     const struct kernels *kernels, struct error *err) {
    const struct world *world;

    (void)folder;
    (void)kernels;
    if (find_world(&world, node_text(facts, "world", NULL), err)) return -1;
    *out = xcalloc(1, sizeof **out);
    **out = (struct scorer){world, node_number(facts, "mean", 0), node_number(facts, "std", 1)};
    return 0;
}

static int gold_score(struct scorer *scorer, const struct exchange *rows, int count, float *tokens_out,
                      float *sequence_out, struct error *err) {
    float *score = xcalloc((size_t)count, sizeof *score);

    (void)err;
    score_raw(scorer->world, rows, count, score);
    for (int r = 0; r < count; r++) score[r] = (float)((score[r] - scorer->mean) / scorer->std);
    for (int r = 0; r < count && sequence_out; r++) sequence_out[r] = score[r];
    if (tokens_out) score_last_tokens(tokens_out, rows, count, score);
    free(score);
    return 0;
}

static void gold_close(struct scorer *scorer) {
    free(scorer);
}

const struct reward reward_gold = {.name = "gold",
                                   .summary = "the world's gold score (control)",
                                   .options = options,
                                   .settings_size = 0,
                                   .is_bare = 1,
                                   .fit = gold_fit,
                                   .open = gold_open,
                                   .score = gold_score,
                                   .close = gold_close};
