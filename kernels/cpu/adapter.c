#include "kernels/cpu/vector.h"

void CPU(keep_columns)(float *x, int rows, int cols, int from, int to) {
    for (int r = 0; r < rows; r++, x += cols) {
        memset(x, 0, (size_t)from * sizeof *x);
        memset(x + to, 0, (size_t)(cols - to) * sizeof *x);
    }
}

#define DRAWN 64 /* numbers at a time */

/* A row's numbers from … from + DRAWN - 1, from a multiple of 4: Philox 4x32-10 (Salmon et al. 2011), blocks
 * side by side. */
static void draw_row(uint32_t out[DRAWN], const int *key, int stream, int from) {
    uint32_t x[4][DRAWN / 4], k0 = (uint32_t)key[0], k1 = (uint32_t)key[1];

    for (int b = 0; b < DRAWN / 4; b++) {
        x[0][b] = (uint32_t)(from / 4 + b);
        x[1][b] = (uint32_t)stream;
        x[2][b] = x[3][b] = 0;
    }
    for (int round = 0; round < 10; round++) {
        for (int b = 0; b < DRAWN / 4; b++) {
            uint64_t first = (uint64_t)0xD2511F53u * x[0][b], second = (uint64_t)0xCD9E8D57u * x[2][b];

            x[0][b] = (uint32_t)(second >> 32) ^ x[1][b] ^ k0;
            x[1][b] = (uint32_t)second;
            x[2][b] = (uint32_t)(first >> 32) ^ x[3][b] ^ k1;
            x[3][b] = (uint32_t)first;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int i = 0; i < DRAWN; i++) out[i] = x[i % 4][i / 4];
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

        draw_row(number, key, stream, from);
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

        draw_row(number, key, stream, from);
        for (int i = 0; i < count; i++) dx[from + i] = number[i] < limit ? 0 : dx[from + i] / kept;
    }
}

void CPU(dropout_backward)(float *dx, const int *key, int stream, float p, int rows, int width) {
#pragma omp parallel for if (worth_threads((size_t)rows * width))
    for (int r = 0; r < rows; r++) drop_row_backward(dx + (size_t)r * width, key + 2 * r, stream, p, width);
}
