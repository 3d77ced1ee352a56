#include "kernels/cpu/vector.h"

static void rotate(element *x, const float *cosine, const float *sine, int half, float sign) {
    for (int i = 0; i < half; i++) {
        float a = float_of(x[i]), b = float_of(x[half + i]), s = sign * sine[i];

        x[i] = element_of(a * cosine[i] - b * s);
        x[half + i] = element_of(b * cosine[i] + a * s);
    }
}

static void rotate_heads(element *x, const float *cosine, const float *sine, int heads, int head_size,
                         float sign) {
    for (int h = 0; h < heads; h++) rotate(x + h * head_size, cosine, sine, head_size / 2, sign);
}

void CPU(rope)(operand *x, const float *cosine, const float *sine, const int *position, int count, int heads,
               int head_size, int stride, int inverse) {
#pragma omp parallel for if (worth_threads((size_t)count * heads * head_size))
    for (int t = 0; t < count; t++) {
        size_t angle = (size_t)position[t] * (head_size / 2);

        rotate_heads((element *)x + (size_t)t * stride, cosine + angle, sine + angle, heads, head_size,
                     inverse ? -1 : 1);
    }
}
