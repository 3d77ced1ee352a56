/* A training run's whole state in one file, written atomically: arrays by name and a map of numbers. */
#ifndef MODELS_CHECKPOINT_H
#define MODELS_CHECKPOINT_H

#include <stddef.h>

#include "harness/document.h"
#include "harness/error.h"

struct checkpoint_item {
    const char *name;
    float *data;
    size_t count;
};

int checkpoint_save(const char *path, const struct checkpoint_item *items, int count,
                    const struct node *state, struct error *err);
/* 1 loaded into the items (names and counts must match), 0 there is none, -1 error. state: caller frees. */
int checkpoint_load(const char *path, const struct checkpoint_item *items, int count, struct node **state,
                    struct error *err);

#endif
