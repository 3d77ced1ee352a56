#include "trainers/collector.h"

#include <math.h>
#include <stdlib.h>

#include "harness/memory.h"
#include "harness/ranks.h"

int collector_sample(struct collector *c, struct rollout *rollout, int iteration, struct error *err) {
    const struct ppo_options *o = c->options;
    struct generator_options options = {
        .sampling = {(float)o->temperature, o->top_k, (float)o->top_p, (float)o->min_p},
        .max_new = o->max_new,
        .end_token = c->end_token,
        .slots = o->slots,
        .seed = c->seed,
        .stream = "ppo/sample",
        .memory = &c->memory,
        .values = o->value == VALUE_SHARED};
    int *picked = xcalloc((size_t)o->episodes, sizeof *picked), status;

    for (int i = 0; i < o->episodes; i++)
        picked[i] =
            prompts_pick(&c->prompts, c->seed, (long)iteration * o->episodes + i, c->order, &c->epoch);
    status = rollout_sample(rollout, c->policy, c->tokenizer, &c->prompts, picked, o->episodes, &options,
                            (uint64_t)iteration, err);
    free(picked);
    return status;
}

/* Of each rank its share of the rows; then all have all. */
static int score(struct collector *c, struct rollout *rollout, struct error *err) {
    size_t *rows = ranks_cut(rollout->sizes, NULL, rollout->rows), begin = rows[ranks_index()];
    int count = (int)(rows[ranks_index() + 1] - begin);
    int status = c->reward->score(c->scorer, rollout->exchanges + begin, count,
                                  rollout->score + rollout->start[begin], NULL, err);

    if (!status) rollout_exchange(rollout->score, rollout, rows);
    free(rows);
    return status;
}

int collector_read(struct collector *c, struct rollout *rollout, struct error *err) {
    const struct ppo_options *o = c->options;
    struct sampling sampling = {(float)o->temperature, o->top_k, (float)o->top_p, (float)o->min_p};

    if (c->reference &&
        rollout_logprob(rollout->reference, rollout, c->reference, &sampling, o->micro_tokens, err))
        return -1;
    if (c->value && rollout_values(rollout->value, rollout, c->value, o->micro_tokens, err)) return -1;
    return score(c, rollout, err);
}

/* Welford's running moments of the responses' scores; what to divide a score by. */
static double running_scale(struct ppo_state *state, const struct rollout *rollout) {
    for (int r = 0; r < rollout->rows; r++) {
        double sum = 0, delta;

        for (int t = rollout->start[r]; t < rollout->start[r + 1]; t++) sum += rollout->score[t];
        delta = sum - state->score_mean;
        state->scores++;
        state->score_mean += delta / state->scores;
        state->score_squares += delta * (sum - state->score_mean);
    }
    return state->score_squares > 0 ? sqrt(state->score_squares / state->scores) : 1;
}

static double limited(double x, double limit) {
    return limit > 0 ? fmax(-limit, fmin(limit, x)) : x;
}

static void mark_missing_end(struct rollout *rollout, int r, const struct ppo_options *o) {
    float *last = &rollout->reward[rollout->start[r + 1] - 1];

    if (rollout->exchanges[r].ended || o->missing_end == END_NONE) return;
    if (o->missing_end == END_PENALTY) {
        *last -= (float)o->missing_end_value;
        return;
    }
    for (int t = rollout->start[r]; t < rollout->start[r + 1]; t++) rollout->reward[t] = 0;
    *last = (float)o->missing_end_value;
}

int collector_shape(struct collector *c, struct rollout *rollout, struct error *err) {
    const struct ppo_options *o = c->options;
    double scale = o->score_scale == SCORE_RUNNING ? running_scale(&c->state, rollout) : 1;

    for (int t = 0; t < rollout->total; t++)
        rollout->reward[t] = (float)limited(rollout->score[t] / scale, o->score_clip);
    for (int r = 0; r < rollout->rows; r++) mark_missing_end(rollout, r, o);
    for (int t = 0; t < rollout->total && c->reference; t++)
        rollout->reward[t] -= (float)(c->state.beta * (rollout->logprob[t] - rollout->reference[t]));
    for (int t = 0; t < rollout->total; t++)
        rollout->reward[t] = (float)limited(rollout->reward[t], o->shaped_clip);
    return experience_make(&c->experience, c->policy->kernels, rollout, o, err);
}

void collector_free(struct collector *c) {
    generator_memory_free(&c->memory);
    experience_free(&c->experience);
    prompts_free(&c->prompts);
    free(c->order);
}
