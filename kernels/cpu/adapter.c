#include "kernels/cpu/philox.h"

void CPU(keep_columns)(float *x, int rows, int cols, int from, int to) {
    for (int r = 0; r < rows; r++, x += cols) {
        memset(x, 0, (size_t)from * sizeof *x);
        memset(x + to, 0, (size_t)(cols - to) * sizeof *x);
    }
}

/* Numbers below this drop out. */
static uint32_t limit_of(float p) {
    return (uint32_t)((double)p * 4294967296.0);
}

static void drop_row(element *out, const element *x, const int *key, int stream, float p, int width) {
    uint32_t number[DRAWN], limit = limit_of(p);
    float kept = 1 - p;

    for (int from = 0; from < width; from += DRAWN) {
        int count = smaller(DRAWN, width - from);

        philox_draw(number, key, stream, from);
        for (int i = 0; i < count; i++)
            out[from + i] = element_of(number[i] < limit ? 0 : float_of(x[from + i]) / kept);
    }
}

void CPU(dropout)(operand *out, const operand *x, const int *key, int stream, float p, int rows, int width) {
#pragma omp parallel for if (worth_threads((size_t)rows * width))
    for (int r = 0; r < rows; r++)
        drop_row((element *)out + (size_t)r * width, (const element *)x + (size_t)r * width, key + 2 * r,
                 stream, p, width);
}

static void drop_row_backward(float *dx, const int *key, int stream, float p, int width) {
    uint32_t number[DRAWN], limit = limit_of(p);
    float kept = 1 - p;

    for (int from = 0; from < width; from += DRAWN) {
        int count = smaller(DRAWN, width - from);

        philox_draw(number, key, stream, from);
        for (int i = 0; i < count; i++) dx[from + i] = number[i] < limit ? 0 : dx[from + i] / kept;
    }
}

void CPU(dropout_backward)(float *dx, const int *key, int stream, float p, int rows, int width) {
#pragma omp parallel for if (worth_threads((size_t)rows * width))
    for (int r = 0; r < rows; r++) drop_row_backward(dx + (size_t)r * width, key + 2 * r, stream, p, width);
}
