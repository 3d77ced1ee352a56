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
    keep_columns_kernel<<<blocks_for(count, THREADS), THREADS>>>(x, count, cols, from, to);
    launched("keep_columns");
}
