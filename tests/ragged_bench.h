/* A model with two score heads and ragged rows, to train on in any batches. */
#ifndef TESTS_RAGGED_BENCH_H
#define TESTS_RAGGED_BENCH_H

#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/rng.h"
#include "models/transformer.h"
#include "tests/given_slopes.h"

#include <check.h> /* last: it defines a macro named fail */

struct bench {
    struct model *model;
    struct batch batch;
    int *position, *target, count; /* of tokens whose next one is read */
    float *weight, *spread, *logprob, *entropy;
    float *slope, *score; /* [count][2] */
};

/* `some`: not of all tokens, so that the last layer leaves some out. */
static inline void add_row(struct bench *b, struct rng *rng, int length, int some) {
    int *tokens = xmalloc((size_t)length * sizeof *tokens), start = b->batch.total;

    for (int i = 0; i < length; i++) tokens[i] = rng_below(rng, b->model->config.vocab);
    batch_add(&b->batch, tokens, length);
    for (int i = 0; i + 1 < length; i += some ? 1 + i % 3 : 1) {
        b->position[b->count] = start + i;
        b->target[b->count++] = tokens[i + 1];
    }
    free(tokens);
}

/* Rows of 1 to `most` tokens, and noise as slopes; takes the model. */
static inline struct bench bench_of(struct model *model, int rows, int most, int some) {
    size_t room = (size_t)rows * (size_t)most;
    struct bench b = {.model = model,
                      .position = xcalloc(room, sizeof(int)),
                      .target = xcalloc(room, sizeof(int)),
                      .weight = xcalloc(room, sizeof(float)),
                      .spread = xcalloc(room, sizeof(float)),
                      .slope = xcalloc(room * 2, sizeof(float)),
                      .score = xcalloc(room * 2, sizeof(float)),
                      .logprob = xcalloc(room, sizeof(float)),
                      .entropy = xcalloc(room, sizeof(float))};
    struct rng rng = rng_stream(1, "bench", 0, 0);

    for (int r = 0; r < rows; r++) add_row(&b, &rng, 1 + rng_below(&rng, most), some);
    for (size_t i = 0; i < room; i++) {
        b.weight[i] = (float)rng_normal(&rng);
        b.spread[i] = (float)rng_normal(&rng);
        b.slope[2 * i] = (float)rng_normal(&rng);
        b.slope[2 * i + 1] = (float)rng_normal(&rng);
    }
    return b;
}

static inline void free_bench(struct bench *b) {
    model_free(b->model);
    batch_free(&b->batch);
    free(b->position);
    free(b->target);
    free(b->weight);
    free(b->spread);
    free(b->slope);
    free(b->score);
    free(b->logprob);
    free(b->entropy);
}

/* What the tokens from … to-1 lose, in double. */
static inline double loss_between(const struct bench *b, int from, int to) {
    double loss = 0;

    for (int i = from; i < to; i++)
        loss += (double)b->slope[2 * i] * (double)b->score[2 * i] +
                (double)b->slope[2 * i + 1] * (double)b->score[2 * i + 1] -
                (double)b->weight[i] * (double)b->logprob[i] - (double)b->spread[i] * (double)b->entropy[i];
    return loss;
}

/* Adds the gradients of rows from … to-1, alone in their batch; their loss. `only`: the pass is told which
   tokens are read. */
static inline double train_rows(struct bench *b, struct trunk *trunk, int from, int to, int only) {
    int start = b->batch.start[from], count = 0, first = 0;
    int *position = xmalloc((size_t)b->count * sizeof *position);
    struct batch part = {0};
    struct slopes slopes;
    struct error err;

    for (int r = from; r < to; r++)
        batch_add(&part, b->batch.tokens + b->batch.start[r], b->batch.start[r + 1] - b->batch.start[r]);
    while (first < b->count && b->position[first] < start) first++;
    for (; first + count < b->count && b->position[first + count] < b->batch.start[to]; count++)
        position[count] = b->position[first + count] - start;
    slopes = (struct slopes){b->weight + first, b->spread + first};
    ck_assert_msg(trunk_forward_at(trunk, &part, position, only ? count : 0, 1, &err) == 0, "%s",
                  err.message);
    head_train(trunk, position, b->target + first, count, &SAMPLING_PLAIN, 1, slope, &slopes,
               b->logprob + first, b->entropy + first);
    head_score_train(trunk, position, count, give, &(struct given){b->slope + first * 2, 2},
                     b->score + first * 2);
    trunk_backward(trunk);
    batch_free(&part);
    free(position);
    return loss_between(b, first, first + count);
}

static inline void assert_same(const char *what, const float *a, const float *b, size_t count) {
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(memcmp(a + i, b + i, sizeof *a) == 0, "%s: %zu is %.9g and %.9g", what, i, (double)a[i],
                      (double)b[i]);
}

#endif
