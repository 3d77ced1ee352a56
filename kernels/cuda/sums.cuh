/* Sums in double of an array's elements, or of what a value makes of them, in one order: blocks of BLOCK
 * elements, of each the lanes, and the blocks' sums in SUM_LANES lanes, added in pairs. */
#ifndef KERNELS_CUDA_SUMS_CUH
#define KERNELS_CUDA_SUMS_CUH

#include "kernels/cuda/device.cuh"

#define BLOCK     16384
#define BLOCKS    4 /* of them that a thread block takes, half a warp each */
#define SUM_LANES 256

#define AHEAD 64 /* numbers on their way to a thread: each that is added up makes room for another */
static_assert(BLOCK % (AHEAD * WIDTH) == 0, "whole parts of a block");

/* A lane's sum of a block that is full, from its first number on. */
template <class VALUE> static __device__ __forceinline__ double lane_of_block(const float *x, VALUE value) {
    float number[AHEAD];
    double sum = 0;

#pragma unroll
    for (int i = 0; i < AHEAD; i++) number[i] = x[i * WIDTH];
#pragma unroll 2
    for (int from = AHEAD * WIDTH; from < BLOCK; from += AHEAD * WIDTH)
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            sum += value(number[i]);
            number[i] = x[from + i * WIDTH];
        }
#pragma unroll
    for (int i = 0; i < AHEAD; i++) sum += value(number[i]);
    return sum;
}

template <class VALUE>
static __global__ void __launch_bounds__(BLOCKS *WIDTH)
    sum_blocks(double *sums, const float *x, size_t count, size_t blocks, VALUE value) {
    size_t block = (size_t)blockIdx.x * BLOCKS + threadIdx.y, from = block * BLOCK;
    double sum = 0;

    if (from + BLOCK <= count) {
        sum = lane_of_block(x + from + threadIdx.x, value);
    } else {
#pragma unroll 16
        for (size_t i = from + threadIdx.x; i < count; i += WIDTH) sum += value(x[i]);
    }
    for (int half = WIDTH / 2; half; half /= 2) sum += __shfl_down_sync(EVERYONE, sum, half, WIDTH);
    if (threadIdx.x == 0 && block < blocks) sums[block] = sum;
}

/* A thread has a lane. */
static __global__ void __launch_bounds__(SUM_LANES)
    add_blocks(double *out, const double *sums, size_t blocks) {
    __shared__ double lane[SUM_LANES];
    double sum = 0;

#pragma unroll 8
    for (size_t b = threadIdx.x; b < blocks; b += SUM_LANES) sum += sums[b];
    lane[threadIdx.x] = sum;
    for (int width = SUM_LANES / 2; width; width /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < width) lane[threadIdx.x] += lane[threadIdx.x + width];
    }
    if (threadIdx.x == 0) *out = lane[0];
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
    launch(operation, add_blocks, 1, SUM_LANES, 0, out, (const double *)sums, blocks);
}

#endif
