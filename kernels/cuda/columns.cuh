/* Sums over the rows of a matrix, one chain a column, rows ascending: gradients of biases and of norms'
 * weights. */
#ifndef KERNELS_CUDA_COLUMNS_CUH
#define KERNELS_CUDA_COLUMNS_CUH

#include "kernels/cuda/device.cuh"

#define COLUMNS_ROWS 128 /* rows whose terms lie in shared memory */
#define COLUMNS_HIGH 16  /* warps that make terms, beside the one that adds them up */

typedef float column_terms[COLUMNS_ROWS][WARP];

template <class TERM>
static __device__ __forceinline__ void make_terms(column_terms terms, TERM term, int from, int count,
                                                  int warp, int column) {
    float made[COLUMNS_ROWS / COLUMNS_HIGH]; /* all are under way before the first is put down */

#pragma unroll
    for (int r = 0; r < COLUMNS_ROWS; r += COLUMNS_HIGH)
        made[r / COLUMNS_HIGH] = r + warp < count ? term(from + r + warp, column) : 0;
#pragma unroll
    for (int r = 0; r < COLUMNS_ROWS; r += COLUMNS_HIGH)
        terms[r + warp][threadIdx.x] = made[r / COLUMNS_HIGH];
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
 * ascending, what the others made before, while these make the next. */
template <class TERM>
static __global__ void __launch_bounds__(WARP *(COLUMNS_HIGH + 1))
    columns_kernel(float *out, TERM term, int rows, int width) {
    __shared__ column_terms terms[2];
    int c = blockIdx.x * WARP + threadIdx.x, column = c < width ? c : width - 1, adds = threadIdx.y == 0;
    float sum = adds ? out[column] : 0;

    for (int from = 0, now = 0; from < rows + COLUMNS_ROWS; from += COLUMNS_ROWS, now ^= 1) {
        if (!adds)
            make_terms(terms[now], term, from, rows - from, threadIdx.y - 1, column);
        else if (from > 0)
            sum = add_terms(sum, terms[now ^ 1],
                            rows - from + COLUMNS_ROWS < COLUMNS_ROWS ? rows - from + COLUMNS_ROWS
                                                                      : COLUMNS_ROWS);
        __syncthreads();
    }
    if (adds && c < width) out[c] = sum;
}

template <class TERM>
static inline void add_columns(float *out, TERM term, int rows, int width, const char *operation) {
    if (rows == 0 || width == 0) return;
    columns_kernel<<<blocks_for(width, WARP), dim3(WARP, COLUMNS_HIGH + 1)>>>(out, term, rows, width);
    launched(operation);
}

#endif
