/* The activation functions' formulas, as on the CPU. */
#ifndef KERNELS_CUDA_GELU_CUH
#define KERNELS_CUDA_GELU_CUH

#include "kernels/cuda/device.cuh"

#define ROOT      0.7978845608028654f /* sqrt(2 / pi) */
#define CUBIC     0.044715f
#define SATURATED 16.0f /* beyond, gelu' is 0 or 1 to the bit */

static __device__ __forceinline__ float sigmoid(float x) {
    return 1.0f / (1.0f + exp_of(-x));
}

/* (1 + tanh(u)) / 2 is sigmoid(2 u). */
static __device__ __forceinline__ float gelu_of(float x) {
    return x * sigmoid(2 * ROOT * (x + CUBIC * (x * x * x)));
}

static __device__ __forceinline__ float gelu_slope(float x) {
    float low = x < -SATURATED ? -SATURATED : x, y = low > SATURATED ? SATURATED : low;
    float s = sigmoid(2 * ROOT * (y + CUBIC * (y * y * y)));
    float slope = 2 * ROOT * (1 + 3 * CUBIC * (y * y));

    return s + y * (s * (1 - s)) * slope;
}

#endif
