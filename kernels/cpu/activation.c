#include "kernels/cpu/gelu.h"

#define ACTIVATIONS 4096 /* elements that a thread takes at a time */

INLINE size_t block_size(size_t from, size_t count) {
    return count - from < ACTIVATIONS ? count - from : ACTIVATIONS;
}

static void swiglu_row(element *out, const element *gate, const element *up, int ffn) {
    for (int i = 0; i < ffn; i++) {
        float x = float_of(gate[i]);

        out[i] = element_of(x * sigmoid(x) * float_of(up[i]));
    }
}

void CPU(swiglu)(operand *out, const operand *gate_up, int rows, int ffn) {
#pragma omp parallel for if (worth_threads((size_t)rows * ffn))
    for (int r = 0; r < rows; r++) {
        const element *gate = (const element *)gate_up + (size_t)r * 2 * ffn;

        swiglu_row((element *)out + (size_t)r * ffn, gate, gate + ffn, ffn);
    }
}

static void swiglu_row_backward(element *dgate, element *dup, const float *dy, const element *gate,
                                const element *up, int ffn) {
    for (int i = 0; i < ffn; i++) {
        float x = float_of(gate[i]), s = sigmoid(x);

        dgate[i] = element_of(dy[i] * float_of(up[i]) * (s + x * (s * (1 - s))));
        dup[i] = element_of(dy[i] * (x * s));
    }
}

void CPU(swiglu_backward)(operand *dgate_up, const float *dy, const operand *gate_up, int rows, int ffn) {
#pragma omp parallel for if (worth_threads((size_t)rows * ffn))
    for (int r = 0; r < rows; r++) {
        size_t at = (size_t)r * 2 * ffn;
        const element *gate = (const element *)gate_up + at;
        element *dgate = (element *)dgate_up + at;

        swiglu_row_backward(dgate, dgate + ffn, dy + (size_t)r * ffn, gate, gate + ffn, ffn);
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

static void narrow_block(element *out, const float *x, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] = element_of(x[i]);
}

void CPU(narrow)(operand *out, const float *x, size_t count) {
#pragma omp parallel for if (worth_threads(count))
    for (size_t from = 0; from < count; from += ACTIVATIONS)
        narrow_block((element *)out + from, x + from, block_size(from, count));
}
