#include "kernels/cuda/device.cuh"

#define THREADS 256

struct adamw {
    float scale, lr, beta1, beta2, eps, decay, correction1, correction2;
};

static __global__ void adamw_kernel(float *w, float *m, float *v, float *grad, size_t count,
                                    struct adamw by) {
    size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;

    if (i >= count) return;
    float g = grad[i] * by.scale, first = by.beta1 * m[i] + (1 - by.beta1) * g;
    float second = by.beta2 * v[i] + (1 - by.beta2) * (g * g);

    m[i] = first;
    v[i] = second;
    w[i] -= by.lr * (first / by.correction1 / (sqrtf(second / by.correction2) + by.eps) + by.decay * w[i]);
    grad[i] = 0;
}

void adamw_cuda(float *w, float *m, float *v, float *grad, void *, void *, int outs, int ins, float scale,
                float lr, float beta1, float beta2, float eps, float decay, float correction1,
                float correction2) {
    struct adamw by = {scale, lr, beta1, beta2, eps, decay, correction1, correction2};
    size_t count = (size_t)outs * ins;

    if (count == 0) return;
    launch("adamw", adamw_kernel, blocks_for(count, THREADS), THREADS, 0, w, m, v, grad, count, by);
}
