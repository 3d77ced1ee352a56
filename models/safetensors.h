/* The safetensors format: a length, a JSON header, raw little-endian tensors. */
#ifndef MODELS_SAFETENSORS_H
#define MODELS_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "harness/document.h"
#include "harness/error.h"
#include "models/stored.h"

struct safetensors {
    struct stored *items;
    int count;
    struct node *metadata; /* string → string, or NULL */
    const unsigned char *mapping;
    size_t mapped;
};

/* Every check of the format: header length, contiguity, overlaps, shapes against byte counts, overflow,
 * duplicate names, the file's exact end. */
int safetensors_open(struct safetensors *out, const char *path, struct error *err);
/* The same over bytes in memory (they must outlive it); name is for the error's sentence. */
int safetensors_parse(struct safetensors *out, const void *bytes, size_t length, const char *name,
                      struct error *err);
void safetensors_close(struct safetensors *file);
const struct stored *safetensors_find(const struct safetensors *file, const char *name);

/* A tensor to write: floats, stored as F32, F16 or BF16. */
struct safetensor_out {
    const char *name;
    int rank;
    int64_t shape[8];
    const float *
        data; /* NULL: make(context) has them, when they are written; they are freed then; or has not: NULL */
    float *(*make)(const void *context);
    const void *context;
    const struct number_type *type;
};
/* Sorted by alignment then name, header padded to 8, atomically. metadata may be NULL. */
int safetensors_write(const char *path, const struct safetensor_out *items, int count,
                      const struct node *metadata, struct error *err);

#endif
