/* The heads of attention's rows, and their sides of its products in cells. */
#ifndef KERNELS_CPU_HEADS_H
#define KERNELS_CPU_HEADS_H

#include <stdlib.h>

#include "kernels/cpu/cells.h"
#include "kernels/cpu/softmax.h"
#include "kernels/cpu/transpose.h"

#define ROUND_TALL(count) (((count) + TALL - 1) / TALL * TALL)

/* What the operations over whole rows have in common. */
struct shape {
    const int *start;
    int rows, heads, kv_heads, head_size;
    float scale, cap; /* cap 0: none */
};

/* One head of one row: where its queries, keys and values lie, and the sizes. */
struct head {
    const element *q, *k, *v;
    size_t stride; /* elements from a token to the next in qkv */
    int length, size;
    float scale, cap;
};

INLINE int shape_width(const struct shape *shape) {
    return (shape->heads + 2 * shape->kv_heads) * shape->head_size;
}

/* Head h of row r. */
static inline struct head head_of(const element *qkv, const struct shape *shape, int r, int h) {
    size_t width = shape_width(shape);
    const element *row = qkv + shape->start[r] * width;
    int kv = h / (shape->heads / shape->kv_heads);

    return (struct head){.q = row + (size_t)h * shape->head_size,
                         .k = row + (size_t)(shape->heads + kv) * shape->head_size,
                         .v = row + (size_t)(shape->heads + shape->kv_heads + kv) * shape->head_size,
                         .stride = width,
                         .length = shape->start[r + 1] - shape->start[r],
                         .size = shape->head_size,
                         .scale = shape->scale,
                         .cap = shape->cap};
}

/* A row in the order in which threads take them. */
struct turn {
    int length, row;
};

static inline int by_length(const void *a, const void *b) {
    const struct turn *x = a, *y = b;

    return x->length == y->length ? (x->row > y->row) - (x->row < y->row)
                                  : (x->length < y->length) - (x->length > y->length);
}

/* Long rows come first, so that threads end together; valid until the next call. */
static inline const struct turn *turns_of(const struct shape *shape) {
    struct turn *turns = (struct turn *)scratch_floats(SCRATCH_TURNS, (size_t)shape->rows * 2);
    int sorted = 1;

    for (int r = 0; r < shape->rows; r++) {
        turns[r] = (struct turn){shape->start[r + 1] - shape->start[r], r};
        if (r && turns[r].length > turns[r - 1].length) sorted = 0;
    }
    if (!sorted) qsort(turns, (size_t)shape->rows, sizeof *turns, by_length);
    return turns;
}

/* `count` tokens as rows of cells [room][CELLS(size)], 0 from count on. */
static inline void pack_rows(float *out, const element *data, size_t stride, int count, int room, int size) {
    const int cells = CELLS(size);

    for (int t = 0; t < count; t++) {
        out[(size_t)(t + 1) * cells - 1] = 0;
        memcpy(out + (size_t)t * cells, data + t * stride, size * sizeof *data);
    }
    memset(out + (size_t)count * cells, 0, (size_t)(room - count) * cells * sizeof *out);
}

/* Cells of `lanes` channels of PAIR tokens, of which so many are there. */
INLINE void pair_tokens(float *out, const element *data, size_t stride, int tokens, int lanes) {
    element pair[PAIR];

    for (int c = 0; c < lanes; c++) {
        for (int p = 0; p < PAIR; p++) pair[p] = p < tokens ? data[p * stride + c] : 0;
        out[c] = cell_of(pair, PAIR);
    }
}

/* The same for LANES channels of tokens that all are there. */
INLINE void pair_lanes(float *out, const element *data, size_t stride) {
#ifdef BF16
    uvec first = __builtin_convertvector(*(const narrow_loose *)data, uvec);
    uvec second = __builtin_convertvector(*(const narrow_loose *)(data + stride), uvec);

    vec_store(out, (vec)(first | second << 16));
#else
    (void)stride;
    vec_store(out, vec_load(data));
#endif
}

/* `count` tokens as [CELLS(room)][ROUND16(size)] cells of PAIR tokens each, 0 where there is none. */
static inline void pack_tokens(float *out, const element *data, size_t stride, int count, int room,
                               int size) {
    const int channels = ROUND16(size);

    for (int t = 0; t < room; t += PAIR, data += PAIR * stride, out += channels) {
        int tokens = count - t, c = 0;

        if (tokens >= PAIR)
            for (; c + LANES <= size; c += LANES) pair_lanes(out + c, data + c, stride);
        pair_tokens(out + c, data + c, stride, tokens, size - c);
        for (c = size; c < channels; c++) out[c] = 0;
    }
}

/* 16 tokens, of which `count` are there, as [CELLS(size)][16]. */
static inline void pack_block(float *out, const element *data, size_t stride, int count, int size) {
    static const float none[8];
    int whole = size / PAIR / 8 * 8;

    for (int first = 0; first < WIDTH; first += 8)
        for (int k = 0; k < whole; k += 8) {
            const char *in[8];

            for (int i = 0; i < 8; i++)
                in[i] = first + i < count ? (const char *)(data + (first + i) * stride + k * PAIR)
                                          : (const char *)none;
            transpose(out + (size_t)k * WIDTH + first, WIDTH, in);
        }
    for (int k = whole; k < CELLS(size); k++)
        for (int i = 0; i < WIDTH; i++)
            out[(size_t)k * WIDTH + i] =
                i < count ? cell_of(data + i * stride + k * PAIR, size - k * PAIR) : 0;
}

/* `count` tokens as blocks of 16 [ROUND16(count) / 16][CELLS(size)][16]. */
static inline void pack_channels(float *out, const element *data, size_t stride, int count, int size) {
    for (int t = 0; t < count; t += WIDTH)
        pack_block(out + (size_t)t * CELLS(size), data + t * stride, stride, smaller(WIDTH, count - t), size);
}

#endif
