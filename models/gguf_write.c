#include <stdlib.h>
#include <string.h>

#include "models/gguf.h"

#define ALIGNMENT 32
#define CHUNK     8192 /* numbers converted at a time, whole blocks */

enum { TYPE_COUNT = 4, TYPE_INT = 5, TYPE_REAL = 6, TYPE_TRUTH = 7, TYPE_TEXT = 8, TYPE_ARRAY = 9 };

static void put(struct text *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) text_add(out, (char[]){(char)(value >> 8 * i)}, 1);
}

static void put_text(struct text *out, const char *text) {
    put(out, strlen(text), 8);
    text_add(out, text, strlen(text));
}

static void put_real(struct text *out, float value) {
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    put(out, bits, 4);
}

static struct text *put_key(struct gguf_out *out, const char *key, uint32_t type) {
    put_text(&out->keys, key);
    put(&out->keys, type, 4);
    out->key_count++;
    return &out->keys;
}

static struct text *put_array(struct gguf_out *out, const char *key, uint32_t type, int count) {
    struct text *keys = put_key(out, key, TYPE_ARRAY);

    put(keys, type, 4);
    put(keys, (uint64_t)count, 8);
    return keys;
}

void gguf_add_text(struct gguf_out *out, const char *key, const char *value) {
    put_text(put_key(out, key, TYPE_TEXT), value);
}

void gguf_add_count(struct gguf_out *out, const char *key, uint32_t value) {
    put(put_key(out, key, TYPE_COUNT), value, 4);
}

void gguf_add_real(struct gguf_out *out, const char *key, float value) {
    put_real(put_key(out, key, TYPE_REAL), value);
}

void gguf_add_truth(struct gguf_out *out, const char *key, int value) {
    put(put_key(out, key, TYPE_TRUTH), value != 0, 1);
}

void gguf_add_texts(struct gguf_out *out, const char *key, const char *const *values, int count) {
    struct text *keys = put_array(out, key, TYPE_TEXT, count);

    for (int i = 0; i < count; i++) put_text(keys, values[i]);
}

void gguf_add_ints(struct gguf_out *out, const char *key, const int *values, int count) {
    struct text *keys = put_array(out, key, TYPE_INT, count);

    for (int i = 0; i < count; i++) put(keys, (uint32_t)values[i], 4);
}

void gguf_add_reals(struct gguf_out *out, const char *key, const float *values, int count) {
    struct text *keys = put_array(out, key, TYPE_REAL, count);

    for (int i = 0; i < count; i++) put_real(keys, values[i]);
}

void gguf_add_keys(struct gguf_out *out, const struct gguf_out *more) {
    text_add(&out->keys, more->keys.data, more->keys.length);
    out->key_count += more->key_count;
}

static uint64_t aligned(uint64_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void gguf_add_tensor(struct gguf_out *out, const char *name, const int64_t *shape, int rank,
                     const struct number_type *type) {
    int64_t numbers = 1;

    put_text(&out->tensors, name);
    put(&out->tensors, (uint64_t)rank, 4);
    for (int i = rank - 1; i >= 0; i--) {
        put(&out->tensors, (uint64_t)shape[i], 8);
        numbers *= shape[i];
    }
    put(&out->tensors, (uint64_t)type->code, 4);
    put(&out->tensors, out->offset, 8);
    out->offset += aligned((uint64_t)number_type_bytes(type, shape[rank - 1], numbers));
    out->tensor_count++;
}

static void pad(FILE *file, uint64_t bytes) {
    static const char zeros[ALIGNMENT];

    fwrite(zeros, 1, (size_t)(aligned(bytes) - bytes), file);
}

void gguf_write_header(const struct gguf_out *out, FILE *file) {
    struct text head = {0};

    text_add(&head, "GGUF", 4);
    put(&head, 3, 4);
    put(&head, out->tensor_count, 8);
    put(&head, out->key_count, 8);
    fwrite(head.data, 1, head.length, file);
    if (out->keys.length) fwrite(out->keys.data, 1, out->keys.length, file);
    if (out->tensors.length) fwrite(out->tensors.data, 1, out->tensors.length, file);
    pad(file, head.length + out->keys.length + out->tensors.length);
    free(head.data);
}

void gguf_write_tensor(FILE *file, const struct number_type *type, const float *numbers, size_t count) {
    unsigned char *some = xmalloc(CHUNK * sizeof(float));
    size_t bytes = 0;

    for (size_t done = 0; done < count; done += CHUNK) {
        size_t blocks = (count - done < CHUNK ? count - done : CHUNK) / (size_t)type->count;

        type->write(some, numbers + done, blocks);
        bytes += fwrite(some, 1, blocks * (size_t)type->bytes, file);
    }
    pad(file, bytes);
    free(some);
}

void gguf_free(struct gguf_out *out) {
    free(out->keys.data);
    free(out->tensors.data);
    *out = (struct gguf_out){0};
}
