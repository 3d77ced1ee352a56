/* Products of a few rows of cells with blocks of 16 lanes, in registers: what attention() and
 * attention_decode() are made of. */
#ifndef KERNELS_CPU_CELLS_H
#define KERNELS_CPU_CELLS_H

#include "kernels/cpu/vector.h"

#if LANES == 16
#define TALL  8 /* rows that are multiplied together */
#define BROAD 2 /* with so many blocks; */
#define WIDE  4 /* fewer rows with more */
#else
#define TALL  4
#define BROAD 1
#define WIDE  2
#endif

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
    const float *ahead; /* as many floats as right has are fetched from here, if few rows are multiplied */
};

INLINE void cells_run(const int rows, const int blocks, const int add, const int fetch,
                      const struct cells *cells) {
    const int vecs = blocks * PARTS;
    const size_t step = cells->step, next = cells->next, block = cells->block, stride = cells->stride;
    const size_t end = cells->depth * step;
    const float *right = cells->right, *ahead = cells->ahead, *left[TALL];
    float *const out = cells->out;
    vec sum[TALL][WIDE * PARTS];

#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        left[i] = cells->left + i * cells->row;
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++) sum[i][v] = add ? vec_load(out + i * stride + v * LANES) : vec_set(0);
    }
    for (size_t k = 0; k < end; k += step) {
        vec b[WIDE * PARTS];

#pragma GCC unroll 16
        for (int i = 0; fetch && i < blocks; i++) __builtin_prefetch(ahead + i * WIDTH);
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++) b[v] = vec_load(right + v / PARTS * block + v % PARTS * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            vec a = vec_set(left[i][k]);

#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++) sum[i][v] = vec_step(a, b[v], sum[i][v]);
        }
        right += next;
        ahead += blocks * WIDTH;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++) vec_store(out + i * stride + v * LANES, sum[i][v]);
}

#define CELLS_RUN(function, rows, blocks, add, fetch)                                                        \
    static void function(const struct cells *cells) {                                                        \
        cells_run(rows, blocks, add, fetch, cells);                                                          \
    }
CELLS_RUN(cells_broad, TALL, BROAD, 0, 0)
CELLS_RUN(cells_single, TALL, 1, 0, 0)
CELLS_RUN(cells_broad_add, TALL, BROAD, 1, 0)
CELLS_RUN(cells_single_add, TALL, 1, 1, 0)

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

CELLS_RUN(cells_1_wide, 1, WIDE, cells->add, 1)
CELLS_RUN(cells_1_single, 1, 1, cells->add, 1)
CELLS_RUN(cells_2_wide, 2, WIDE, cells->add, 1)
CELLS_RUN(cells_2_single, 2, 1, cells->add, 1)
CELLS_RUN(cells_4_wide, 4, WIDE, cells->add, 1)
CELLS_RUN(cells_4_single, 4, 1, cells->add, 1)

#define FEW 4 /* rows at most, 1, 2 or 4, whose right side passes once from memory */

/* Few rows by so many blocks. */
static inline void cells_multiply_few(const struct cells *cells, int rows, int blocks) {
    static void (*const wide[])(const struct cells *) = {NULL, cells_1_wide, cells_2_wide, NULL,
                                                         cells_4_wide};
    static void (*const single[])(const struct cells *) = {NULL, cells_1_single, cells_2_single, NULL,
                                                           cells_4_single};
    struct cells part = *cells;

    while (blocks > 0) {
        int count = blocks >= WIDE ? WIDE : 1;

        (count > 1 ? wide : single)[rows](&part);
        part.out += count * WIDTH;
        part.right += count * part.block;
        part.ahead += (size_t)count * WIDTH * part.depth;
        blocks -= count;
    }
}

#endif
