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

/* A warp's chains of products of fragments: CHAINS of them, of ACROSS times as many. */
#define ACROSS 4

static __global__ void __launch_bounds__(THREADS)
    fragments_kernel(float *out, int rounds, unsigned ones, unsigned signs) {
    unsigned left[CHAINS / ACROSS][4], right[ACROSS][2];
    float sum[CHAINS][4], all = 0;

#pragma unroll
    for (int i = 0; i < CHAINS; i++) left[i / ACROSS][i % 4] = right[i % ACROSS][i / ACROSS % 2] = ones;
    if (threadIdx.x % 2) left[0][0] = signs;
#pragma unroll
    for (int i = 0; i < CHAINS * 4; i++) sum[i / 4][i % 4] = (float)(threadIdx.x + i);
#pragma unroll 4
    for (int r = 0; r < rounds; r++)
#pragma unroll
        for (int c = 0; c < CHAINS; c++) multiply(sum[c], left[c / ACROSS], right[c % ACROSS]);
#pragma unroll
    for (int i = 0; i < CHAINS * 4; i++) all += sum[i / 4][i % 4];
    out[(size_t)blockIdx.x * THREADS + threadIdx.x] = all;
}

/* On the whole device, not in one thread of it; 0 if there is no memory. */
template <class... TAKES, class... GIVEN>
static size_t probe(float *out, void (*kernel)(float *, TAKES...), GIVEN... given) {
    size_t threads = (size_t)multiprocessors() * BLOCKS * THREADS;
    float *sums = (float *)device_scratch(threads * sizeof *sums);

    *out = 0;
    if (!sums) return 0;
    launch("peak", kernel, multiprocessors() * BLOCKS, THREADS, 0, sums, given...);
    cuda_fetch(out, sums, sizeof *out);
    cuda_sync();
    return threads;
}

extern "C" size_t cuda_peak(float *out, int rounds) {
    return probe(out, peak_kernel, rounds, 0.999f, 0.001f) * rounds * CHAINS * 2;
}

/* Tensor cores', with the instruction that products use. */
extern "C" size_t cuda_peak_bf16(float *out, int rounds) {
    const unsigned ones = 0x3f803f80, signs = 0x3f80bf80;

    return probe(out, fragments_kernel, rounds, ones, signs) / WARP * rounds * CHAINS * (16 * 8 * 16 * 2);
}
