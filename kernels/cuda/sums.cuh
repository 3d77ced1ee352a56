/* Sums in double of an array's elements, or of what a value makes of them, in one order: blocks of BLOCK
 * elements, of each the lanes, and the blocks one after another. */
#ifndef KERNELS_CUDA_SUMS_CUH
#define KERNELS_CUDA_SUMS_CUH

#include "kernels/cuda/device.cuh"

#define BLOCK  16384
#define BLOCKS 4 /* of them that a thread block takes, half a warp each */

template <class VALUE>
static __global__ void sum_blocks(double *sums, const float *x, size_t count, size_t blocks, VALUE value) {
    size_t block = (size_t)blockIdx.x * BLOCKS + threadIdx.y, from = block * BLOCK;
    size_t end = count - from < BLOCK ? count : from + BLOCK;
    double sum = 0;

    if (block < blocks) {
#pragma unroll 16
        for (size_t i = from + threadIdx.x; i < end; i += WIDTH) sum += value(x[i]);
    }
    for (int half = WIDTH / 2; half; half /= 2) sum += __shfl_down_sync(EVERYONE, sum, half, WIDTH);
    if (threadIdx.x == 0 && block < blocks) sums[block] = sum;
}

/* One chain, by the first thread; the others bring what it adds. */
static __global__ void add_blocks(double *out, const double *sums, size_t blocks) {
    __shared__ double near[256];
    double sum = 0;

    for (size_t from = 0; from < blocks; from += 256) {
        size_t i = from + threadIdx.x;

        __syncthreads();
        near[threadIdx.x] = i < blocks ? sums[i] : 0;
        __syncthreads();
        for (int j = 0; threadIdx.x == 0 && j < 256 && from + j < blocks; j++) sum += near[j];
    }
    if (threadIdx.x == 0) *out = sum;
}

static inline size_t sum_blocks_of(size_t count) {
    return (count + BLOCK - 1) / BLOCK;
}

/* sums: room for sum_blocks_of(count). */
template <class VALUE>
static void queue_sum(const char *operation, double *out, double *sums, const float *x, size_t count,
                      VALUE value) {
    size_t blocks = sum_blocks_of(count);

    if (blocks)
        launch(operation, sum_blocks<VALUE>, blocks_for(blocks, BLOCKS), dim3(WIDTH, BLOCKS), 0, sums, x,
               count, blocks, value);
    launch(operation, add_blocks, 1, 256, 0, out, (const double *)sums, blocks);
}

#endif
