/* The GGUF format, version 3: keys with values, then named tensors, all little-endian. */
#ifndef MODELS_GGUF_H
#define MODELS_GGUF_H

#include "harness/document.h"
#include "harness/file.h"
#include "harness/memory.h"
#include "models/stored.h"

struct gguf {
    struct stored *items; /* by name; shapes in PyTorch's order: the last one's numbers are neighbours */
    int count;
    struct node *metadata; /* a map of every key; arrays are lists */
    const unsigned char *mapping;
    size_t mapped;
};

/* Every check of the format: counts against bytes that are there, types, names, alignment, overlaps,
 * overflow. Memory stays in proportion to the file. */
int gguf_open(struct gguf *out, const char *path, struct error *err);
/* The same over bytes in memory (they must outlive it); name is for the error's sentence. */
int gguf_parse(struct gguf *out, const void *bytes, size_t length, const char *name, struct error *err);
void gguf_close(struct gguf *file);

/* A file in the making: keys first. Start from zero; gguf_write() or gguf_free() ends it. */
struct gguf_out {
    struct text keys, tensors;
    uint64_t key_count, tensor_count, offset;
};
void gguf_add_text(struct gguf_out *out, const char *key, const char *value);
void gguf_add_count(struct gguf_out *out, const char *key, uint32_t value);
void gguf_add_real(struct gguf_out *out, const char *key, float value);
void gguf_add_truth(struct gguf_out *out, const char *key, int value);
void gguf_add_texts(struct gguf_out *out, const char *key, const char *const *values, int count);
void gguf_add_ints(struct gguf_out *out, const char *key, const int *values, int count);
void gguf_add_reals(struct gguf_out *out, const char *key, const float *values, int count);
void gguf_add_keys(struct gguf_out *out, const struct gguf_out *more);
/* Tensors follow each other in this order. The shape is in PyTorch's order. */
void gguf_add_tensor(struct gguf_out *out, const char *name, const int64_t *shape, int rank,
                     const struct number_type *type);
/* What goes before the first tensor's bytes. */
void gguf_write_header(const struct gguf_out *out, FILE *file);
/* One tensor's bytes, and zeros up to the next one's place. */
void gguf_write_tensor(FILE *file, const struct number_type *type, const float *numbers, size_t count);
void gguf_free(struct gguf_out *out);

#endif
