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

static void geglu_row(element *out, const element *gate, const element *up, int ffn) {
    for (int i = 0; i < ffn; i++) out[i] = element_of(gelu_of(float_of(gate[i])) * float_of(up[i]));
}

void CPU(geglu)(operand *out, const operand *gate_up, int rows, int ffn) {
#pragma omp parallel for if (worth_threads((size_t)rows * ffn))
    for (int r = 0; r < rows; r++) {
        const element *gate = (const element *)gate_up + (size_t)r * 2 * ffn;

        geglu_row((element *)out + (size_t)r * ffn, gate, gate + ffn, ffn);
    }
}

static void geglu_row_backward(element *dgate, element *dup, const float *dy, const element *gate,
                               const element *up, int ffn) {
    for (int i = 0; i < ffn; i++) {
        float x = float_of(gate[i]);

        dgate[i] = element_of(dy[i] * float_of(up[i]) * gelu_slope(x));
        dup[i] = element_of(dy[i] * gelu_of(x));
    }
}

void CPU(geglu_backward)(operand *dgate_up, const float *dy, const operand *gate_up, int rows, int ffn) {
#pragma omp parallel for if (worth_threads((size_t)rows * ffn))
    for (int r = 0; r < rows; r++) {
        size_t at = (size_t)r * 2 * ffn;
        const element *gate = (const element *)gate_up + at;
        element *dgate = (element *)dgate_up + at;

        geglu_row_backward(dgate, dgate + ffn, dy + (size_t)r * ffn, gate, gate + ffn, ffn);
    }
}

/* tanh(x / limit) is 2 sigmoid(2 x / limit) - 1. */
static void cap_block(float *x, size_t count, float limit) {
    for (size_t i = 0; i < count; i++) x[i] = limit * (2 * sigmoid(2 * (x[i] / limit)) - 1);
}

void CPU(cap)(float *x, size_t count, float limit) {
#pragma omp parallel for if (worth_threads(count))
    for (size_t from = 0; from < count; from += ACTIVATIONS)
        cap_block(x + from, block_size(from, count), limit);
}

static void cap_block_backward(element *dx, const float *y, size_t count, float limit) {
    for (size_t i = 0; i < count; i++) {
        float share = y[i] / limit, slope = 1 - share * share;

        dx[i] = element_of(float_of(dx[i]) * (slope > 0 ? slope : 0));
    }
}

void CPU(cap_backward)(operand *dx, const float *y, size_t count, float limit) {
#pragma omp parallel for if (worth_threads(count))
    for (size_t from = 0; from < count; from += ACTIVATIONS)
        cap_block_backward((element *)dx + from, y + from, block_size(from, count), limit);
}

static void add_block(float *out, const float *x, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] += x[i];
}

void CPU(add)(float *out, const float *x, size_t count) {
#pragma omp parallel for if (worth_threads(count))
    for (size_t from = 0; from < count; from += ACTIVATIONS)
        add_block(out + from, x + from, block_size(from, count));
}

static void narrow_block(element *out, const float *x, float scale, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] = element_of(scale * x[i]);
}

void CPU(narrow)(operand *out, const float *x, float scale, size_t count) {
#pragma omp parallel for if (worth_threads(count))
    for (size_t from = 0; from < count; from += ACTIVATIONS)
        narrow_block((element *)out + from, x + from, scale, block_size(from, count));
}
