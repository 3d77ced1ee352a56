/* Numbers of a safetensors file that an independent program made. */
#ifndef TESTS_STORED_NUMBERS_H
#define TESTS_STORED_NUMBERS_H

#include <stdlib.h>

#include "harness/memory.h"
#include "models/safetensors.h"

#include <check.h> /* last: it defines a macro named fail */

/* All of a tensor's; count may be NULL. Caller frees. */
static inline float *floats(const struct safetensors *file, const char *name, int *count) {
    const struct stored *tensor = safetensors_find(file, name);
    struct error err;
    size_t size = 1;
    float *out;

    ck_assert_msg(tensor != NULL, "%s is missing", name);
    for (int i = 0; i < tensor->rank; i++) size *= (size_t)tensor->shape[i];
    out = xmalloc(size * sizeof *out);
    ck_assert_msg(stored_floats(tensor, out, size, &err) == 0, "%s", err.message);
    if (count) *count = (int)size;
    return out;
}

static inline int *integers(const struct safetensors *file, const char *name, int *count) {
    float *values = floats(file, name, count);
    int *out = xmalloc((size_t)*count * sizeof *out);

    for (int i = 0; i < *count; i++) out[i] = (int)values[i];
    free(values);
    return out;
}

#endif
