/* Every operation that is no matrix product, timed and set beside its floor. */
#ifndef MODELS_BENCH_OPERATIONS_H
#define MODELS_BENCH_OPERATIONS_H

#include <stdio.h>

#include "harness/document.h"
#include "harness/error.h"
#include "kernels/kernels.h"

/* One operation at GPT-2's width: what it took, and the least it could: its bytes at the bandwidth that
 * adding large arrays reached, or its arithmetic at the peak. */
struct operation {
    char name[40];     /* of attention with the tokens of a row and the channels of a head */
    const char *bound; /* "bytes" or "arithmetic" */
    double seconds, floor;
};

/* Start from zero; free items. */
struct operations {
    struct operation *items;
    int count;
    double bandwidth, peak; /* bytes and GFLOP a second */
};

/* Times the operations with `only` in their names (NULL: all) on `rows` rows of 1024 tokens: the median of
 * `rounds`. peak: GFLOP/s. */
int operations_measure(struct operations *out, const struct kernels *kernels, const char *only, int rows,
                       int rounds, double peak, struct error *err);
void operations_print(const struct operations *operations, FILE *out);
void operations_json(const struct operations *operations, struct node *list);

#endif
