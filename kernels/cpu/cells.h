/* Products of a few rows of cells with blocks of 16 lanes, in registers: what attention() and
 * attention_decode() are made of. */
#ifndef KERNELS_CPU_CELLS_H
#define KERNELS_CPU_CELLS_H

#include "kernels/cpu/vector.h"

#if LANES == 16
#define TALL  8 /* rows that are multiplied together */
#define BROAD 2 /* with so many blocks */
#else
#define TALL  4
#define BROAD 1
#endif
#define LONE_BROAD 4 /* blocks that one row meets together */

/* out[i][j] = sum over k < depth of left(i, k) right(k, j), k ascending, from 0, or, `add`, from out[i][j].
 */
struct cells {
    float *out;
    size_t stride;
    const float *left; /* cell k of row i is left[i row + k step] */
    size_t row, step;
    const float *right; /* lane l of block b at k is right[k next + b block + l] */
    size_t next, block;
    int depth, add;
};

INLINE void cells_run(const int rows, const int blocks, const int add, const struct cells *cells) {
    const int vecs = blocks * PARTS;
    const size_t step = cells->step, next = cells->next, block = cells->block, stride = cells->stride;
    const size_t end = cells->depth * step;
    const float *right = cells->right, *left[TALL];
    float *const out = cells->out;
    vec sum[TALL][LONE_BROAD * PARTS];

#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        left[i] = cells->left + i * cells->row;
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++) sum[i][v] = add ? vec_load(out + i * stride + v * LANES) : vec_set(0);
    }
    for (size_t k = 0; k < end; k += step) {
        vec b[LONE_BROAD * PARTS];

#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++) b[v] = vec_load(right + v / PARTS * block + v % PARTS * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            vec a = vec_set(left[i][k]);

#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++) sum[i][v] = vec_step(a, b[v], sum[i][v]);
        }
        right += next;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++) vec_store(out + i * stride + v * LANES, sum[i][v]);
}

#define CELLS_RUN(function, rows, blocks, add)                                                               \
    static void function(const struct cells *cells) {                                                        \
        cells_run(rows, blocks, add, cells);                                                                 \
    }
CELLS_RUN(cells_broad, TALL, BROAD, 0)
CELLS_RUN(cells_single, TALL, 1, 0)
CELLS_RUN(cells_broad_add, TALL, BROAD, 1)
CELLS_RUN(cells_single_add, TALL, 1, 1)

/* TALL rows by so many blocks. */
static inline void cells_multiply(const struct cells *cells, int blocks) {
    struct cells part = *cells;

    for (; blocks >= BROAD; blocks -= BROAD) {
        (part.add ? cells_broad_add : cells_broad)(&part);
        part.out += BROAD * WIDTH;
        part.right += BROAD * part.block;
    }
    for (; blocks > 0; blocks--) {
        (part.add ? cells_single_add : cells_single)(&part);
        part.out += WIDTH;
        part.right += part.block;
    }
}

#endif
