/* The activation functions' formulas. */
#ifndef KERNELS_CPU_GELU_H
#define KERNELS_CPU_GELU_H

#include "kernels/cpu/lanes.h"

#define ROOT      0.7978845608028654f /* sqrt(2 / pi) */
#define CUBIC     0.044715f
#define SATURATED 16.0f /* beyond, gelu' is 0 or 1 to the bit */

INLINE float sigmoid(float x) {
    return 1.0f / (1.0f + exp_of(-x));
}

/* (1 + tanh(u)) / 2 is sigmoid(2 u). */
INLINE float gelu_of(float x) {
    return x * sigmoid(2 * ROOT * (x + CUBIC * (x * x * x)));
}

INLINE float gelu_slope(float x) {
    float low = x < -SATURATED ? -SATURATED : x, y = low > SATURATED ? SATURATED : low;
    float s = sigmoid(2 * ROOT * (y + CUBIC * (y * y * y)));
    float slope = 2 * ROOT * (1 + 3 * CUBIC * (y * y));

    return s + y * (s * (1 - s)) * slope;
}

/* The same of lanes, to the bit. */
INLINE vec vec_sigmoid(vec x) {
    return vec_set(1) / (vec_set(1) + vec_exp_of(-x));
}

INLINE vec vec_gelu(vec x) {
    return x * vec_sigmoid(2 * ROOT * (x + CUBIC * (x * x * x)));
}

INLINE vec vec_gelu_slope(vec x) {
    vec y = vec_min(vec_set(SATURATED), vec_max(vec_set(-SATURATED), x));
    vec s = vec_sigmoid(2 * ROOT * (y + CUBIC * (y * y * y)));
    vec slope = 2 * ROOT * (1 + 3 * CUBIC * (y * y));

    return s + y * (s * (1 - s)) * slope;
}

#endif
