#include "kernels/cpu/vector.h"

#define ACTIVATIONS 4096                /* elements that a thread takes at a time */
#define ROOT        0.7978845608028654f /* sqrt(2 / pi) */
#define CUBIC       0.044715f
#define SATURATED   16.0f /* beyond, gelu' is 0 or 1 to the bit */

INLINE float sigmoid(float x) {
    return 1.0f / (1.0f + exp_of(-x));
}

INLINE size_t block_size(size_t from, size_t count) {
    return count - from < ACTIVATIONS ? count - from : ACTIVATIONS;
}

/* (1 + tanh(u)) / 2 is sigmoid(2 u). */
static void gelu_block(float *out, const float *x, size_t count) {
    for (size_t i = 0; i < count; i++)
        out[i] = x[i] * sigmoid(2 * ROOT * (x[i] + CUBIC * (x[i] * x[i] * x[i])));
}

void CPU(gelu)(float *out, const float *x, size_t count) {
#pragma omp parallel for if (worth_threads(count))
    for (size_t from = 0; from < count; from += ACTIVATIONS)
        gelu_block(out + from, x + from, block_size(from, count));
}

static void gelu_block_backward(float *dx, const float *dy, const float *x, size_t count) {
    for (size_t i = 0; i < count; i++) {
        float low = x[i] < -SATURATED ? -SATURATED : x[i], y = low > SATURATED ? SATURATED : low;
        float s = sigmoid(2 * ROOT * (y + CUBIC * (y * y * y)));
        float slope = 2 * ROOT * (1 + 3 * CUBIC * (y * y));

        dx[i] = dy[i] * (s + y * (s * (1 - s)) * slope);
    }
}

void CPU(gelu_backward)(float *dx, const float *dy, const float *x, size_t count) {
#pragma omp parallel for if (worth_threads(count))
    for (size_t from = 0; from < count; from += ACTIVATIONS)
        gelu_block_backward(dx + from, dy + from, x + from, block_size(from, count));
}

static void swiglu_row(float *out, const float *gate, const float *up, int ffn) {
    for (int i = 0; i < ffn; i++) out[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

void CPU(swiglu)(float *out, const float *gate_up, int rows, int ffn) {
#pragma omp parallel for if (worth_threads((size_t)rows * ffn))
    for (int r = 0; r < rows; r++) {
        const float *gate = gate_up + (size_t)r * 2 * ffn;

        swiglu_row(out + (size_t)r * ffn, gate, gate + ffn, ffn);
    }
}

static void swiglu_row_backward(float *dgate, float *dup, const float *dy, const float *gate, const float *up,
                                int ffn) {
    for (int i = 0; i < ffn; i++) {
        float s = sigmoid(gate[i]);

        dgate[i] = dy[i] * up[i] * (s + gate[i] * (s * (1 - s)));
        dup[i] = dy[i] * (gate[i] * s);
    }
}

void CPU(swiglu_backward)(float *dgate_up, const float *dy, const float *gate_up, int rows, int ffn) {
#pragma omp parallel for if (worth_threads((size_t)rows * ffn))
    for (int r = 0; r < rows; r++) {
        size_t at = (size_t)r * 2 * ffn;

        swiglu_row_backward(dgate_up + at, dgate_up + at + ffn, dy + (size_t)r * ffn, gate_up + at,
                            gate_up + at + ffn, ffn);
    }
}

static void add_block(float *out, const float *x, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] += x[i];
}

void CPU(add)(float *out, const float *x, size_t count) {
#pragma omp parallel for if (worth_threads(count))
    for (size_t from = 0; from < count; from += ACTIVATIONS)
        add_block(out + from, x + from, block_size(from, count));
}
