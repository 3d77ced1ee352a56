/* The innermost part of a product: a tile of sums held in registers while k runs. */
#ifndef KERNELS_CPU_TILE_H
#define KERNELS_CPU_TILE_H

#include "kernels/cpu/gemm.h"

#if LANES == 16
#define TILE_ROWS 14
#elif LANES == 8
#define TILE_ROWS 6
#else
#define TILE_ROWS 4
#endif
#define AHEAD  8   /* k by which left is fetched before its use */
#define STREAM 128 /* and right where it comes from memory */
#define LINE   16  /* floats of a cache line */
#define STEPS  4   /* k at once where left's rows lie apart */
#define GROUPS ((TILE_ROWS + 2) / 3)

/* Whether there are registers enough for that. */
#if LANES == 16
#define APART 1
#else
#define APART 0
#endif

/* One or more neighbouring tiles of a row of tiles. */
struct tile {
    float *out;
    const float *base;    /* what the sums start from, strided as out, or NULL */
    size_t stride, panel; /* panel: floats from one panel of right to the next */
    const void *left;     /* packed, or rows so many bytes apart */
    size_t apart;         /* 0: packed */
    const float *right, *bias;
    int depth;
    const char *fetch; /* memory that is needed next: so many lines of each row */
    size_t fetch_stride;
    int streams; /* whether right, of one panel, comes from memory for these rows alone */
};

typedef float cell __attribute__((aligned(sizeof(element)), may_alias));

/* Where cells of left are read: every third row where they lie apart, so that two of three addresses need no
   register of their own; else the first. */
struct lefts {
    const char *group[GROUPS];
    size_t apart;
};

INLINE float left_cell(const struct lefts *left, const int apart, const int rows, int i, int k) {
    const char *at = apart ? left->group[i / 3] + i % 3 * left->apart + k * sizeof(float)
                           : left->group[0] + (k * rows + i) * sizeof(float);

    return *(const cell *)at;
}

/* One k: both sides' cells into all sums. */
INLINE void tile_step(vec sum[TILE_ROWS][4 * TILE_VECS], const int apart, const int rows, const int vecs,
                      const struct lefts *left, int k, const float *right, size_t panel, int streams) {
    vec b[4 * TILE_VECS];

    for (int v = 0; streams && v < TILE_COLS; v += LINE) __builtin_prefetch(right + STREAM * TILE_COLS + v);
    if (!apart) __builtin_prefetch(left->group[0] + AHEAD * rows * sizeof(float));
#pragma GCC unroll 16
    for (int v = 0; v < vecs; v++) b[v] = vec_load(right + v / TILE_VECS * panel + v % TILE_VECS * LANES);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        vec a = vec_set(left_cell(left, apart, rows, i, k));

#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++) sum[i][v] = vec_step(a, b[v], sum[i][v]);
    }
}

/* One k, or STEPS of them; returns where right goes on. */
INLINE const float *tile_steps(vec sum[TILE_ROWS][4 * TILE_VECS], const int apart, const int rows,
                               const int vecs, struct lefts *left, const float *right, size_t panel,
                               int streams) {
    const int steps = apart ? STEPS : 1;

#pragma GCC unroll 4
    for (int k = 0; k < steps; k++)
        tile_step(sum, apart, rows, vecs, left, k, right + k * TILE_COLS, panel, streams);
#pragma GCC unroll 5
    for (int g = 0; g < GROUPS; g++) left->group[g] += (apart ? STEPS : rows) * sizeof(float);
    return right + steps * TILE_COLS;
}

INLINE void tile_run(const int apart, const int rows, const int panels, const struct tile *tile) {
    const int vecs = panels * TILE_VECS, steps = apart ? STEPS : 1;
    const float *right = tile->right, *const bias = tile->bias, *const base = tile->base;
    const size_t stride = tile->stride, panel = tile->panel;
    const int streams = panels == 1 && tile->streams, depth = tile->depth,
              first = depth < rows * steps ? depth : rows * steps;
    const char *fetch = tile->fetch;
    struct lefts left = {.apart = tile->apart};
    float *const out = tile->out;
    vec sum[TILE_ROWS][4 * TILE_VECS];

#pragma GCC unroll 5
    for (int g = 0; g < GROUPS; g++) left.group[g] = (const char *)tile->left + 3 * g * tile->apart;
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++)
            sum[i][v] = base ? vec_load(base + i * stride + v * LANES) : vec_set(0);
    for (int k = 0; k < first; k += steps, fetch += tile->fetch_stride) {
        for (int v = 0; v < TILE_COLS; v += LINE) __builtin_prefetch(fetch + v * sizeof(float), 1);
        right = tile_steps(sum, apart, rows, vecs, &left, right, panel, streams);
    }
    for (int k = first; k < depth; k += steps)
        right = tile_steps(sum, apart, rows, vecs, &left, right, panel, streams);
    if (bias)
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++) sum[i][v] += vec_load(bias + v * LANES);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++) vec_store(out + i * stride + v * LANES, sum[i][v]);
}

/* Few rows take several panels at once, so that enough chains are under way to hide a multiply-add's time. */
INLINE int panels_at_once(int rows) {
    return rows == 1 ? 4 : rows == 2 ? 3 : rows == 3 ? 2 : 1;
}

#define TILE(function, rows, panels)                                                                         \
    static void function(const struct tile *tile) {                                                          \
        tile_run(0, rows, panels, tile);                                                                     \
    }
TILE(tile_1x4, 1, 4)
TILE(tile_2x3, 2, 3)
TILE(tile_3x2, 3, 2)
TILE(tile_1, 1, 1)
TILE(tile_2, 2, 1)
TILE(tile_3, 3, 1)
TILE(tile_4, 4, 1)
#if TILE_ROWS >= 6
TILE(tile_5, 5, 1)
TILE(tile_6, 6, 1)
#endif
#if TILE_ROWS >= 14
TILE(tile_7, 7, 1)
TILE(tile_8, 8, 1)
TILE(tile_9, 9, 1)
TILE(tile_10, 10, 1)
TILE(tile_11, 11, 1)
TILE(tile_12, 12, 1)
TILE(tile_13, 13, 1)
TILE(tile_14, 14, 1)
#endif

#if APART
#define TILE_APART(function, rows)                                                                           \
    static void function(const struct tile *tile) {                                                          \
        tile_run(1, rows, 1, tile);                                                                          \
    }
TILE_APART(apart_7, 7)
TILE_APART(apart_8, 8)
TILE_APART(apart_9, 9)
TILE_APART(apart_10, 10)
TILE_APART(apart_11, 11)
TILE_APART(apart_12, 12)
TILE_APART(apart_13, 13)
TILE_APART(apart_14, 14)
static void (*const tiles_apart[])(const struct tile *) = {apart_7,  apart_8,  apart_9,  apart_10,
                                                           apart_11, apart_12, apart_13, apart_14};
#endif

static void (*const tiles_single[])(const struct tile *) = {
    NULL,   tile_1, tile_2, tile_3,  tile_4,
#if TILE_ROWS >= 6
    tile_5, tile_6,
#endif
#if TILE_ROWS >= 14
    tile_7, tile_8, tile_9, tile_10, tile_11, tile_12, tile_13, tile_14,
#endif
};
static void (*const tiles_several[])(const struct tile *) = {NULL, tile_1x4, tile_2x3, tile_3x2};

INLINE void tile_any(const struct tile *tile, int rows, int panels) {
#if APART
    if (tile->apart) {
        tiles_apart[rows - 7](tile);
        return;
    }
#endif
    if (panels == 1)
        tiles_single[rows](tile);
    else
        tiles_several[rows](tile);
}

#endif
