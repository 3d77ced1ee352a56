#include "kernels/cuda/device.cuh"

#define SQUARES 16384 /* elements added up on their own; then blocks in order */
#define BLOCKS  4     /* of them that a thread block takes, half a warp each */

static __global__ void block_squares(double *sums, const float *x, size_t count, size_t blocks) {
    size_t block = (size_t)blockIdx.x * BLOCKS + threadIdx.y, from = block * SQUARES;
    size_t end = count - from < SQUARES ? count : from + SQUARES;
    double sum = 0;

    if (block < blocks) {
#pragma unroll 16
        for (size_t i = from + threadIdx.x; i < end; i += WIDTH) sum += (double)x[i] * (double)x[i];
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

void sum_squares_cuda(double *out, const float *x, size_t count) {
    size_t blocks = (count + SQUARES - 1) / SQUARES;
    double *sums = (double *)device_scratch((blocks + 1) * sizeof *sums);

    if (!sums) return;
    if (blocks)
        launch("sum_squares", block_squares, blocks_for(blocks, BLOCKS), dim3(WIDTH, BLOCKS), 0, sums, x,
               count, blocks);
    launch("sum_squares", add_blocks, 1, 256, 0, out, sums, blocks);
}
