/* The safetensors format: a length, a JSON header, raw little-endian tensors. */
#ifndef MODELS_SAFETENSORS_H
#define MODELS_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "harness/document.h"
#include "harness/error.h"

struct safetensor {
    char *name;
    char dtype[8]; /* "F32", "BF16", "F16", … */
    int rank;
    int64_t shape[8];
    const unsigned char *bytes; /* into the file's mapping */
    size_t length;
};

struct safetensors {
    struct safetensor *items;
    int count;
    struct node *metadata; /* string → string, or NULL */
    void *mapping;
    size_t mapped;
};

/* Every check of the format: header length, contiguity, overlaps, shapes against byte counts, overflow,
 * duplicate names, the file's exact end. */
int safetensors_open(struct safetensors *out, const char *path, struct error *err);
/* The same over bytes in memory (they must outlive it); name is for the error's sentence. */
int safetensors_parse(struct safetensors *out, const void *bytes, size_t length, const char *name,
                      struct error *err);
void safetensors_close(struct safetensors *file);
const struct safetensor *safetensors_find(const struct safetensors *file, const char *name);
/* F32, F16 or BF16 to float; count must be the tensor's. */
int safetensor_floats(const struct safetensor *tensor, float *out, size_t count, struct error *err);

/* A tensor to write; source floats, stored as F32 or (bits 16) BF16; or raw bytes with a dtype of their own.
 */
struct safetensor_out {
    const char *name;
    int rank;
    int64_t shape[8];
    const float *data;
    int bits;
};
/* Sorted by alignment then name, header padded to 8, atomically. metadata may be NULL. */
int safetensors_write(const char *path, const struct safetensor_out *items, int count,
                      const struct node *metadata, struct error *err);

#endif
