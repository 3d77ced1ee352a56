/* The matrix product all others are made of. */
#ifndef KERNELS_CPU_GEMM_H
#define KERNELS_CPU_GEMM_H

#include "kernels/cpu/vector.h"

#define BAND      32
#define TILE_VECS 2
#define TILE_COLS (TILE_VECS * LANES) /* of a panel of weights */

/* A matrix where it lies: element (i, k) is data[i * row + k * step]; one of the two strides is 1. */
struct view {
    const void *data; /* of elements, or, wide, of floats to be rounded to them */
    size_t row, step;
    int wide;
};

struct gemm;

/* Sums of some rows and columns, [rows][stride]. */
struct patch {
    const float *sums;
    size_t stride;
    int row, rows, col, cols;
};

/* out[i][j] = base[i][j] + sum over k < depth of left(i, k) right(j, k), then + bias[j]: one chain of
 * multiply-adds, k ascending. Pairs of bf16 have their second k first, unless the sum is to be ascending.
 */
struct gemm {
    float *out;    /* unless the sums are finished */
    size_t stride; /* numbers from a row of out, or of what follows, to the next */
    int rows, cols, depth;
    const float *base; /* strided as out, which it may be, or NULL: 0 */
    struct view left, right;
    int ascending;
    const float *packed;                                       /* cells: right as pack() left it, or NULL */
    const void *coded;                                         /* right as pack_int8() left it, or NULL */
    int across;                                                /* coded is to be turned */
    const float *bias;                                         /* or NULL */
    void (*finish)(const struct gemm *, const struct patch *); /* makes of the sums what is wanted; or NULL */
    operand *result, *kept;                                    /* what finish() writes, NULL: not wanted */
    const operand *before;                                     /* what it reads */
};

size_t CPU(pack_size)(int outs, int ins, int turned);
size_t CPU(pack_int8_size)(int outs, int ins);
void CPU(pack)(void *packed, const float *w, uint64_t key, int outs, int ins, int turned);
/* What rows row … row + rows of w[outs][ins], here as elements, are in its layouts, either of which may be
 * NULL: bands of at most BAND rows, which begin at its multiples, make whole tiles of both. */
void CPU(pack_band)(void *packed, void *turned, const element *band, int outs, int ins, int row, int rows);
/* With as many threads as it is worth. */
void CPU(gemm)(const struct gemm *gemm);

#endif
