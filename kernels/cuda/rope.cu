#include "kernels/cuda/element.cuh"

/* A head's first half and its second, as one row of `half` pairs. */
template <class E> struct rotation {
    static const int EACH = group<E>::SIZE;
    E *x;
    const float *cosine, *sine;
    const int *position;
    int heads, half, stride;
    float sign;

    __device__ __forceinline__ void operator()(size_t row, int c, int count, bool wide) const {
        size_t t = row / heads, angle = (size_t)position[t] * half + c;
        E *at = x + t * stride + row % heads * 2 * half + c;
        float a[EACH], b[EACH], by[EACH], across[EACH];

        take<EACH>(a, at, count, wide);
        take<EACH>(b, at + half, count, wide);
        take<EACH>(by, cosine + angle, count, wide);
        take<EACH>(across, sine + angle, count, wide);
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            float first = a[i], second = b[i], s = sign * across[i];

            a[i] = first * by[i] - second * s;
            b[i] = second * by[i] + first * s;
        }
        give<EACH>(at, a, count, wide);
        give<EACH>(at + half, b, count, wide);
    }
};

template <class E>
static void run_rope(E *x, const float *cosine, const float *sine, const int *position, int count, int heads,
                     int head_size, int stride, int inverse) {
    int half = head_size / 2;
    rotation<E> op = {x, cosine, sine, position, heads, half, stride, inverse ? -1.0f : 1.0f};
    bool wide = on_16_bytes(x, cosine, sine) && stride % rotation<E>::EACH == 0;

    over_rows("rope", op, (size_t)count * heads, half, wide);
}

void rope_cuda(operand *x, const float *cosine, const float *sine, const int *position, int count, int heads,
               int head_size, int stride, int inverse) {
    run_rope((float *)x, cosine, sine, position, count, heads, head_size, stride, inverse);
}

void rope_bf16_cuda(operand *x, const float *cosine, const float *sine, const int *position, int count,
                    int heads, int head_size, int stride, int inverse) {
    run_rope((bf16 *)x, cosine, sine, position, count, heads, head_size, stride, inverse);
}
