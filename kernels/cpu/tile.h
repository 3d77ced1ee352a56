/* The innermost part of a product: a tile of sums held in registers while k runs. */
#ifndef KERNELS_CPU_TILE_H
#define KERNELS_CPU_TILE_H

#include "kernels/cpu/vector.h"

#if LANES == 16
#define TILE_ROWS 14
#elif LANES == 8
#define TILE_ROWS 6
#else
#define TILE_ROWS 4
#endif
#define TILE_VECS 2
#define TILE_COLS (TILE_VECS * LANES)
#define AHEAD     8  /* k by which left is fetched before its use */
#define LINE      16 /* floats of a cache line */

/* One or more neighbouring tiles of a row of tiles. */
struct tile {
    float *out;
    const float *base;    /* what the sums start from, strided as out, or NULL */
    size_t stride, panel; /* panel: floats from one panel of right to the next */
    const float *left, *right, *bias;
    int depth;
    const char *fetch; /* memory that is needed next: so many lines of each row */
    size_t fetch_stride;
};

/* One k: both sides' cells into all sums. */
INLINE void tile_step(vec sum[TILE_ROWS][4 * TILE_VECS], const int rows, const int vecs, const float *left,
                      const float *right, size_t panel) {
    vec b[4 * TILE_VECS];

    __builtin_prefetch(left + AHEAD * rows);
#pragma GCC unroll 16
    for (int v = 0; v < vecs; v++) b[v] = vec_load(right + v / TILE_VECS * panel + v % TILE_VECS * LANES);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        vec a = vec_set(left[i]);

#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++) sum[i][v] = vec_step(a, b[v], sum[i][v]);
    }
}

INLINE void tile_run(const int rows, const int panels, const struct tile *tile) {
    const int vecs = panels * TILE_VECS;
    const float *left = tile->left, *right = tile->right, *const bias = tile->bias, *const base = tile->base;
    const size_t stride = tile->stride, panel = tile->panel;
    const int depth = tile->depth, first = depth < rows ? depth : rows;
    float *const out = tile->out;
    vec sum[TILE_ROWS][4 * TILE_VECS];

#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++)
            sum[i][v] = base ? vec_load(base + i * stride + v * LANES) : vec_set(0);
    for (int k = 0; k < first; k++, left += rows, right += TILE_COLS) {
        const char *fetch = tile->fetch + k * tile->fetch_stride;

        for (int v = 0; v < TILE_COLS; v += LINE) __builtin_prefetch(fetch + v * sizeof(float), 1);
        tile_step(sum, rows, vecs, left, right, panel);
    }
    for (int k = first; k < depth; k++, left += rows, right += TILE_COLS)
        tile_step(sum, rows, vecs, left, right, panel);
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
        tile_run(rows, panels, tile);                                                                        \
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
    if (panels == 1)
        tiles_single[rows](tile);
    else
        tiles_several[rows](tile);
}

#endif
