#include "kernels/cuda/element.cuh"

struct adamw {
    float scale, lr, beta1, beta2, eps, decay, correction1, correction2;
};

/* rounded: the new w as bf16, or NULL. */
struct adamw_update {
    static const int EACH = 4;
    float *w, *m, *v, *grad;
    bf16 *rounded;
    struct adamw by;

    __device__ __forceinline__ void step(float *w, float *m, float *v, float grad) const {
        float g = grad * by.scale, first = by.beta1 * *m + (1 - by.beta1) * g;
        float second = by.beta2 * *v + (1 - by.beta2) * (g * g), kept = *w;

        *m = first;
        *v = second;
        *w = kept -
             by.lr * (first / by.correction1 / (sqrtf(second / by.correction2) + by.eps) + by.decay * kept);
    }

    __device__ __forceinline__ void operator()(size_t at, int count, bool wide) const {
        float kept[EACH], first[EACH], second[EACH], slope[EACH], none[EACH] = {0, 0, 0, 0};

        take<EACH>(kept, w + at, count, wide);
        take<EACH>(first, m + at, count, wide);
        take<EACH>(second, v + at, count, wide);
        take<EACH>(slope, grad + at, count, wide);
#pragma unroll
        for (int i = 0; i < EACH; i++) step(kept + i, first + i, second + i, slope[i]);
        give<EACH>(w + at, kept, count, wide);
        give<EACH>(m + at, first, count, wide);
        give<EACH>(v + at, second, count, wide);
        give<EACH>(grad + at, none, count, wide);
        if (rounded) give<EACH>(rounded + at, kept, count, wide);
    }
};

static void run_adamw(float *w, float *m, float *v, float *grad, void *rounded, size_t count,
                      const struct adamw &by) {
    adamw_update op = {w, m, v, grad, (bf16 *)rounded, by};

    over_array("adamw", op, count, on_16_bytes(w, m, v, grad) && on_16_bytes(rounded));
}

void adamw_cuda(float *w, float *m, float *v, float *grad, void *, void *, int outs, int ins, float scale,
                float lr, float beta1, float beta2, float eps, float decay, float correction1,
                float correction2) {
    run_adamw(w, m, v, grad, NULL, (size_t)outs * ins,
              {scale, lr, beta1, beta2, eps, decay, correction1, correction2});
}

/* Products of either direction read the one layout. */
void adamw_bf16_cuda(float *w, float *m, float *v, float *grad, void *packed, void *, int outs, int ins,
                     float scale, float lr, float beta1, float beta2, float eps, float decay,
                     float correction1, float correction2) {
    run_adamw(w, m, v, grad, packed, (size_t)outs * ins,
              {scale, lr, beta1, beta2, eps, decay, correction1, correction2});
}

#define TOGETHER 240 /* vectors that a launch's arguments hold */

struct some_extents {
    struct extent extent[TOGETHER];
};

/* A row of blocks has an extent. */
static __global__ void __launch_bounds__(GROUP_THREADS)
    vectors_kernel(adamw_update op, struct some_extents extents, bool wide) {
    struct extent extent = extents.extent[blockIdx.y];
    int i = (blockIdx.x * GROUP_THREADS + threadIdx.x) * adamw_update::EACH, left = extent.size - i;

    if (left > 0)
        op(extent.from + i, left < adamw_update::EACH ? left : adamw_update::EACH,
           wide && extent.from % adamw_update::EACH == 0);
}

static void run_vectors(const adamw_update &op, const struct extent *extents, int count) {
    struct some_extents some = {};
    int longest = 0;

    for (int i = 0; i < count; i++) {
        some.extent[i] = extents[i];
        longest = extents[i].size > longest ? extents[i].size : longest;
    }
    if (longest == 0) return;
    launch("adamw", vectors_kernel, dim3(blocks_for(longest, GROUP_THREADS * adamw_update::EACH), count),
           GROUP_THREADS, 0, op, some, on_16_bytes(op.w, op.m, op.v, op.grad));
}

void adamw_vectors_cuda(float *w, float *m, float *v, float *grad, const struct extent *extents, int count,
                        float scale, float lr, float beta1, float beta2, float eps, float correction1,
                        float correction2) {
    adamw_update op = {w, m, v, grad, NULL, {scale, lr, beta1, beta2, eps, 0, correction1, correction2}};

    for (int from = 0; from < count; from += TOGETHER)
        run_vectors(op, extents + from, count - from < TOGETHER ? count - from : TOGETHER);
}
