/* Sums over the rows of a matrix, one chain a column, rows ascending: gradients of biases and of norms'
 * weights. */
#ifndef KERNELS_CUDA_COLUMNS_CUH
#define KERNELS_CUDA_COLUMNS_CUH

#include "kernels/cuda/device.cuh"

#define COLUMNS_ROWS 128 /* rows whose terms lie in shared memory */
#define COLUMNS_HIGH 16  /* warps that make terms; the first adds them up */

/* out[c] += sum over r of term(r, c): a block takes 32 columns, all its warps make the terms and one thread a
 * column adds them, r ascending. */
template <class TERM>
static __global__ void __launch_bounds__(WARP *COLUMNS_HIGH)
    columns_kernel(float *out, TERM term, int rows, int width) {
    __shared__ float terms[2][COLUMNS_ROWS][WARP];
    int c = blockIdx.x * WARP + threadIdx.x, now = 0;
    float sum = threadIdx.y == 0 && c < width ? out[c] : 0;

    for (int from = 0; from < rows; from += COLUMNS_ROWS, now ^= 1) {
        int count = rows - from < COLUMNS_ROWS ? rows - from : COLUMNS_ROWS;

#pragma unroll
        for (int r = 0; r < COLUMNS_ROWS; r += COLUMNS_HIGH)
            if (r + threadIdx.y < count && c < width)
                terms[now][r + threadIdx.y][threadIdx.x] = term(from + r + threadIdx.y, c);
        __syncthreads();
        if (threadIdx.y) continue;
        if (count == COLUMNS_ROWS) {
#pragma unroll 16
            for (int r = 0; r < COLUMNS_ROWS; r++) sum += terms[now][r][threadIdx.x];
        } else {
            for (int r = 0; r < count; r++) sum += terms[now][r][threadIdx.x];
        }
    }
    if (threadIdx.y == 0 && c < width) out[c] = sum;
}

template <class TERM>
static inline void add_columns(float *out, TERM term, int rows, int width, const char *operation) {
    if (rows == 0 || width == 0) return;
    columns_kernel<<<blocks_for(width, WARP), dim3(WARP, COLUMNS_HIGH)>>>(out, term, rows, width);
    launched(operation);
}

#endif
