#include "kernels/cuda/device.cuh"

#define CHAINS  16
#define THREADS 256
#define BLOCKS  8 /* a multiprocessor */

static __global__ void peak_kernel(float *out, int rounds, float factor, float term) {
    float chain[CHAINS], sum = 0, each = (float)threadIdx.x * 1e-9f, by = factor + each, plus = term + each;

#pragma unroll
    for (int c = 0; c < CHAINS; c++) chain[c] = (float)(c + threadIdx.x);
#pragma unroll 16
    for (int r = 0; r < rounds; r++)
#pragma unroll
        for (int c = 0; c < CHAINS; c++) chain[c] = fmaf(chain[c], by, plus);
#pragma unroll
    for (int c = 0; c < CHAINS; c++) sum += chain[c];
    out[(size_t)blockIdx.x * THREADS + threadIdx.x] = sum;
}

/* On the whole device, not in one thread of it. */
extern "C" size_t cuda_peak(float *out, int rounds) {
    size_t threads = (size_t)multiprocessors() * BLOCKS * THREADS;
    float *sums = (float *)device_scratch(threads * sizeof *sums);

    *out = 0;
    if (!sums) return 0;
    launch("peak", peak_kernel, multiprocessors() * BLOCKS, THREADS, 0, sums, rounds, 0.999f, 0.001f);
    cuda_fetch(out, sums, sizeof *out);
    cuda_sync();
    return threads * (size_t)rounds * CHAINS * 2;
}
