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
    char name[40];        /* of attention with the tokens of a row and the channels of a head */
    const char *bound;    /* "bytes" or "arithmetic" */
    const char *rival;    /* what tools/peers.py calls it; NULL where PyTorch has it in no call or few */
    int length, channels; /* attention's */
    double seconds, floor, theirs; /* theirs: PyTorch's seconds; NAN: not known */
};

/* Start from zero; free items. */
struct operations {
    struct operation *items;
    int count, rows;
    double bandwidth, peak; /* bytes and GFLOP a second */
    char *against;          /* the rival's name and setting; NULL: none was asked. Freed with free() */
};

/* Times the operations with `only` in their names (NULL: all) on `rows` rows of 1024 tokens: the median of
 * `rounds`. peak: GFLOP/s. */
int operations_measure(struct operations *out, const struct kernels *kernels, const char *only, int rows,
                       int rounds, double peak, struct error *err);
/* The sizes of an operation of these, for a rival that does the same. */
void operation_order(const struct operations *operations, const struct operation *operation,
                     struct node *order);
/* With PyTorch's times where they were asked for. */
void operations_print(const struct operations *operations, FILE *out);
void operations_json(const struct operations *operations, struct node *list);

#endif
