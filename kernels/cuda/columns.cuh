/* Sums over the rows of a matrix, one chain a column, rows ascending: gradients of biases and of norms'
 * weights. */
#ifndef KERNELS_CUDA_COLUMNS_CUH
#define KERNELS_CUDA_COLUMNS_CUH

#include "kernels/cuda/device.cuh"

#define COLUMNS_ROWS 128 /* rows whose terms lie in shared memory */
#define COLUMNS_HIGH 16  /* warps that make terms, beside the one that adds them up */
#define COLUMNS_EACH (COLUMNS_ROWS / COLUMNS_HIGH)

typedef float column_terms[COLUMNS_ROWS][WARP];

/* What the terms of a warp's rows, from `row` on, are made of. */
template <class TERM>
static __device__ __forceinline__ void load_parts(typename TERM::parts parts[COLUMNS_EACH], const TERM &term,
                                                  int row, int rows, int column) {
    size_t at = (size_t)row * term.width + column, step = (size_t)COLUMNS_HIGH * term.width;

#pragma unroll
    for (int e = 0; e < COLUMNS_EACH; e++)
        if (row + e * COLUMNS_HIGH < rows) parts[e] = term.load(row + e * COLUMNS_HIGH, at + e * step);
}

static __device__ __forceinline__ float add_terms(float sum, const column_terms terms, int count) {
    if (count < COLUMNS_ROWS) {
        for (int r = 0; r < count; r++) sum += terms[r][threadIdx.x];
        return sum;
    }
#pragma unroll 16
    for (int r = 0; r < COLUMNS_ROWS; r++) sum += terms[r][threadIdx.x];
    return sum;
}

/* out[c] += sum over r of term(r, c): a block takes 32 columns. One warp has a column a thread and adds, r
 * ascending, what the others made before, while these make the next, of what they loaded before that. */
template <class TERM>
static __global__ void __launch_bounds__(WARP *(COLUMNS_HIGH + 1))
    columns_kernel(float *out, TERM term, int rows) {
    __shared__ column_terms terms[2];
    int c = blockIdx.x * WARP + threadIdx.x, column = c < term.width ? c : term.width - 1;
    int adds = threadIdx.y == COLUMNS_HIGH;
    typename TERM::parts parts[COLUMNS_EACH];
    float sum = adds ? out[column] : 0;

    if (!adds) load_parts(parts, term, threadIdx.y, rows, column);
    for (int from = 0, now = 0; from < rows + COLUMNS_ROWS; from += COLUMNS_ROWS, now ^= 1) {
        int before = rows - from + COLUMNS_ROWS;

        if (adds) {
            if (from > 0) sum = add_terms(sum, terms[now ^ 1], before < COLUMNS_ROWS ? before : COLUMNS_ROWS);
        } else {
#pragma unroll
            for (int e = 0; e < COLUMNS_EACH; e++)
                terms[now][threadIdx.y + e * COLUMNS_HIGH][threadIdx.x] = TERM::make(parts[e]);
            load_parts(parts, term, from + COLUMNS_ROWS + threadIdx.y, rows, column);
        }
        __syncthreads();
    }
    if (adds && c < term.width) out[c] = sum;
}

template <class TERM> static inline void add_columns(float *out, TERM term, int rows, const char *operation) {
    if (rows == 0 || term.width == 0) return;
    launch(operation, columns_kernel<TERM>, blocks_for(term.width, WARP), dim3(WARP, COLUMNS_HIGH + 1), 0,
           out, term, rows);
}

#endif
