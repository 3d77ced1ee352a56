#include "kernels/cpu/gemm.h"

#define PARAMETERS 16384 /* that a thread takes at a time */

struct adamw {
    float scale, lr, beta1, beta2, eps, decay, correction1, correction2;
};

static void adamw_block(float *restrict w, float *restrict m, float *restrict v, float *restrict grad,
                        size_t count, const struct adamw *by) {
    const float beta1 = by->beta1, beta2 = by->beta2, scale = by->scale, lr = by->lr, eps = by->eps;
    const float decay = by->decay, correction1 = by->correction1, correction2 = by->correction2;

    for (size_t i = 0; i < count; i++) {
        float g = grad[i] * scale, first = beta1 * m[i] + (1 - beta1) * g;
        float second = beta2 * v[i] + (1 - beta2) * (g * g);

        m[i] = first;
        v[i] = second;
        w[i] -= lr * (first / correction1 / (sqrtf(second / correction2) + eps) + decay * w[i]);
        grad[i] = 0;
    }
}

void CPU(adamw)(float *w, float *m, float *v, float *grad, void *packed, void *turned, int outs, int ins,
                float scale, float lr, float beta1, float beta2, float eps, float decay, float correction1,
                float correction2) {
    struct adamw by = {scale, lr, beta1, beta2, eps, decay, correction1, correction2};
    size_t count = (size_t)outs * ins;

#pragma omp parallel for if (worth_threads(count))
    for (size_t from = 0; from < count; from += PARAMETERS)
        adamw_block(w + from, m + from, v + from, grad + from,
                    count - from < PARAMETERS ? count - from : PARAMETERS, &by);
    if (packed) CPU(pack)(packed, w, outs, ins, 0);
    if (turned) CPU(pack)(turned, w, outs, ins, 1);
}
