#include "kernels/cuda/device.cuh"

#define THREADS 256

static __global__ void keep_columns_kernel(float *x, size_t count, int cols, int from, int to) {
    size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    int c = (int)(i % cols);

    if (i < count && (c < from || c >= to)) x[i] = 0;
}

void keep_columns_cuda(float *x, int rows, int cols, int from, int to) {
    size_t count = (size_t)rows * cols;

    if (count == 0) return;
    launch("keep_columns", keep_columns_kernel, blocks_for(count, THREADS), THREADS, 0, x, count, cols, from,
           to);
}

/* Number `column` of a row: Philox 4x32-10, as on the CPU. */
static __device__ __forceinline__ unsigned drawn(const int *key, int stream, int column) {
    unsigned x[4] = {(unsigned)column / 4, (unsigned)stream, 0, 0};
    unsigned k0 = (unsigned)key[0], k1 = (unsigned)key[1];

#pragma unroll
    for (int round = 0; round < 10; round++) {
        unsigned high0 = __umulhi(0xD2511F53u, x[0]), low0 = 0xD2511F53u * x[0];
        unsigned high2 = __umulhi(0xCD9E8D57u, x[2]), low2 = 0xCD9E8D57u * x[2];

        x[0] = high2 ^ x[1] ^ k0;
        x[1] = low2;
        x[2] = high0 ^ x[3] ^ k1;
        x[3] = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return column % 4 < 2 ? (column % 4 ? x[1] : x[0]) : (column % 4 == 2 ? x[2] : x[3]);
}

static __global__ void dropout_kernel(float *out, const float *x, const int *key, int stream, float p,
                                      unsigned limit, size_t count, int width) {
    size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;

    if (i >= count) return;
    out[i] = drawn(key + 2 * (i / width), stream, (int)(i % width)) < limit ? 0 : x[i] / (1 - p);
}

void dropout_cuda(operand *out, const operand *x, const int *key, int stream, float p, int rows, int width) {
    size_t count = (size_t)rows * width;
    unsigned limit = (unsigned)((double)p * 4294967296.0);

    if (count == 0) return;
    launch("dropout", dropout_kernel, blocks_for(count, THREADS), THREADS, 0, (float *)out, (const float *)x,
           key, stream, p, limit, count, width);
}

void dropout_backward_cuda(float *dx, const int *key, int stream, float p, int rows, int width) {
    dropout_cuda(dx, dx, key, stream, p, rows, width);
}
