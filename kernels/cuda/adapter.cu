#include "kernels/cuda/element.cuh"
#include "kernels/cuda/philox.cuh"

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

template <class E> struct dropping {
    static const int EACH = group<E>::SIZE;
    E *out;
    const E *x;
    const int *key;
    int stream, width;
    unsigned limit;
    float kept;

    __device__ __forceinline__ void operator()(size_t row, int c, int count, bool wide) const {
        size_t at = row * width + c;
        float y[EACH];

        take<EACH>(y, x + at, count, wide);
#pragma unroll
        for (int i = 0; i < EACH; i += 4) {
            unsigned number[4];

            philox_draw(number, key[2 * row], key[2 * row + 1], stream, (c + i) / 4);
#pragma unroll
            for (int j = 0; j < 4; j++) y[i + j] = number[j] < limit ? 0 : y[i + j] / kept;
        }
        give<EACH>(out + at, y, count, wide);
    }
};

template <class E>
static void run_dropout(const char *operation, E *out, const E *x, const int *key, int stream, float p,
                        int rows, int width) {
    unsigned limit = (unsigned)((double)p * 4294967296.0);
    dropping<E> op = {out, x, key, stream, width, limit, 1 - p};

    over_rows(operation, op, rows, width, on_16_bytes(out, x));
}

void dropout_cuda(operand *out, const operand *x, const int *key, int stream, float p, int rows, int width) {
    run_dropout("dropout", (float *)out, (const float *)x, key, stream, p, rows, width);
}

void dropout_bf16_cuda(operand *out, const operand *x, const int *key, int stream, float p, int rows,
                       int width) {
    run_dropout("dropout", (bf16 *)out, (const bf16 *)x, key, stream, p, rows, width);
}

void dropout_backward_cuda(float *dx, const int *key, int stream, float p, int rows, int width) {
    run_dropout("dropout_backward", dx, dx, key, stream, p, rows, width);
}
