#include "kernels/cpu/gemm.h"

#define PARAMETERS 16384 /* that a thread takes at a time */

struct adamw {
    float scale, lr, beta1, beta2, eps, decay, correction1, correction2;
};

/* rounded: the new w as elements, or NULL. */
INLINE void adamw_block(float *restrict w, float *restrict m, float *restrict v, float *restrict grad,
                        element *restrict rounded, size_t count, const struct adamw *by) {
    const float beta1 = by->beta1, beta2 = by->beta2, scale = by->scale, lr = by->lr, eps = by->eps;
    const float decay = by->decay, correction1 = by->correction1, correction2 = by->correction2;

    for (size_t i = 0; i < count; i++) {
        float g = grad[i] * scale, first = beta1 * m[i] + (1 - beta1) * g;
        float second = beta2 * v[i] + (1 - beta2) * (g * g), kept = w[i];
        float next = kept - lr * (first / correction1 / (sqrtf(second / correction2) + eps) + decay * kept);

        m[i] = first;
        v[i] = second;
        w[i] = next;
        if (rounded) rounded[i] = element_of(next);
        grad[i] = 0;
    }
}

/* A band of the tensors and, while it is at hand, of their layouts. */
static void adamw_band(float *w, float *m, float *v, float *grad, void *packed, void *turned, int outs,
                       int ins, int row, const struct adamw *by) {
    int rows = outs - row < BAND ? outs - row : BAND;
    size_t at = (size_t)row * ins, count = (size_t)rows * ins;
    element *band =
        PAIR == 1 ? (element *)(w + at) : (element *)scratch_floats(SCRATCH_ROUNDED, CELLS(count));

    adamw_block(w + at, m + at, v + at, grad + at, PAIR == 1 ? NULL : band, count, by);
    CPU(pack_band)(packed, turned, band, outs, ins, row, rows);
}

/* Tensors of which there are no layouts, as one array. */
static void adamw_array(float *w, float *m, float *v, float *grad, size_t count, const struct adamw *by) {
#pragma omp parallel for if (worth_threads(count))
    for (size_t from = 0; from < count; from += PARAMETERS)
        adamw_block(w + from, m + from, v + from, grad + from, NULL,
                    count - from < PARAMETERS ? count - from : PARAMETERS, by);
}

void CPU(adamw)(float *w, float *m, float *v, float *grad, void *packed, void *turned, int outs, int ins,
                float scale, float lr, float beta1, float beta2, float eps, float decay, float correction1,
                float correction2) {
    struct adamw by = {scale, lr, beta1, beta2, eps, decay, correction1, correction2};
    size_t count = (size_t)outs * ins;

    if (!packed && !turned) {
        adamw_array(w, m, v, grad, count, &by);
        return;
    }
#pragma omp parallel for if (worth_threads(count))
    for (int row = 0; row < outs; row += BAND) adamw_band(w, m, v, grad, packed, turned, outs, ins, row, &by);
}

void CPU(adamw_vectors)(float *w, float *m, float *v, float *grad, const struct extent *extents, int count,
                        float scale, float lr, float beta1, float beta2, float eps, float correction1,
                        float correction2) {
    struct adamw by = {scale, lr, beta1, beta2, eps, 0, correction1, correction2};

    for (int i = 0; i < count; i++) {
        size_t at = extents[i].from;

        adamw_array(w + at, m + at, v + at, grad + at, (size_t)extents[i].size, &by);
    }
}
