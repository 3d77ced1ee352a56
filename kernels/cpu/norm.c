#include "kernels/cpu/vector.h"

#define COLUMNS 64 /* of a weight's gradient that one thread adds up */

static void layernorm_row(element *out, float *mean, float *rstd, const float *x, const float *weight,
                          const float *bias, int width, float eps) {
    float *centred = scratch_floats(SCRATCH_ROW, (size_t)width), centre = sum_of(x, width) / (float)width,
          scale;

    for (int i = 0; i < width; i++) centred[i] = x[i] - centre;
    scale = 1.0f / sqrtf(dot_of(centred, centred, width) / (float)width + eps);
    for (int i = 0; i < width; i++) out[i] = element_of(centred[i] * scale * weight[i] + bias[i]);
    *mean = centre;
    *rstd = scale;
}

void CPU(layernorm)(operand *out, float *mean, float *rstd, const float *x, const float *weight,
                    const float *bias, int rows, int width, float eps) {
#pragma omp parallel for if (worth_threads((size_t)rows * width))
    for (int r = 0; r < rows; r++)
        layernorm_row((element *)out + (size_t)r * width, mean + r, rstd + r, x + (size_t)r * width, weight,
                      bias, width, eps);
}

/* With n the normalised x and g = dy weight: dx += rstd (g - mean(g) - n mean(g n)). */
static void layernorm_row_backward(float *dx, const float *dy, const float *x, const float *weight,
                                   float mean, float rstd, int width) {
    float *g = scratch_floats(SCRATCH_ROW, 2 * (size_t)width), *n = g + width, of_g, of_gn;

    for (int i = 0; i < width; i++) g[i] = dy[i] * weight[i];
    for (int i = 0; i < width; i++) n[i] = (x[i] - mean) * rstd;
    of_g = sum_of(g, width) / (float)width;
    of_gn = dot_of(g, n, width) / (float)width;
    for (int i = 0; i < width; i++) dx[i] += (g[i] - of_g - n[i] * of_gn) * rstd;
}

/* The same as elements; out NULL: not wanted. */
static void round_row(element *out, const float *x, int width) {
    if (!out) return;
    for (int i = 0; i < width; i++) out[i] = element_of(x[i]);
}

static void layernorm_columns(float *dweight, float *dbias, const float *dy, const float *x,
                              const float *mean, const float *rstd, int rows, int width, int from, int to) {
    for (int r = 0; r < rows; r++, dy += width, x += width)
        for (int i = from; i < to; i++) {
            dweight[i] += dy[i] * ((x[i] - mean[r]) * rstd[r]);
            dbias[i] += dy[i];
        }
}

void CPU(layernorm_backward)(float *dx, operand *rounded, float *dweight, float *dbias, const float *dy,
                             const float *x, const float *weight, const float *mean, const float *rstd,
                             int rows, int width) {
#pragma omp parallel for if (worth_threads((size_t)rows * width))
    for (int r = 0; r < rows; r++) {
        size_t at = (size_t)r * width;

        layernorm_row_backward(dx + at, dy + at, x + at, weight, mean[r], rstd[r], width);
        round_row(rounded ? (element *)rounded + at : NULL, dx + at, width);
    }
    if (!dweight) return;
#pragma omp parallel for if (worth_threads((size_t)rows * width))
    for (int from = 0; from < width; from += COLUMNS)
        layernorm_columns(dweight, dbias, dy, x, mean, rstd, rows, width, from,
                          from + COLUMNS < width ? from + COLUMNS : width);
}

static void rmsnorm_row(element *out, float *rstd, const float *x, const float *weight, int width,
                        float eps) {
    float scale = 1.0f / sqrtf(dot_of(x, x, width) / (float)width + eps);

    for (int i = 0; i < width; i++) out[i] = element_of(x[i] * scale * weight[i]);
    *rstd = scale;
}

void CPU(rmsnorm)(operand *out, float *rstd, const float *x, const float *weight, int rows, int width,
                  float eps) {
#pragma omp parallel for if (worth_threads((size_t)rows * width))
    for (int r = 0; r < rows; r++)
        rmsnorm_row((element *)out + (size_t)r * width, rstd + r, x + (size_t)r * width, weight, width, eps);
}

static void rmsnorm_add_row(float *out, float *rstd, const float *base, const float *x, const float *weight,
                            int width, float eps) {
    float scale = 1.0f / sqrtf(dot_of(x, x, width) / (float)width + eps);

    for (int i = 0; i < width; i++) out[i] = base[i] + x[i] * scale * weight[i];
    *rstd = scale;
}

void CPU(rmsnorm_add)(float *out, float *rstd, const float *base, const float *x, const float *weight,
                      int rows, int width, float eps) {
#pragma omp parallel for if (worth_threads((size_t)rows * width))
    for (int r = 0; r < rows; r++)
        rmsnorm_add_row(out + (size_t)r * width, rstd + r, base + (size_t)r * width, x + (size_t)r * width,
                        weight, width, eps);
}

/* With n = x rstd and g = dy weight: dx += rstd (g - n mean(g n)). */
static void rmsnorm_row_backward(float *dx, const float *dy, const float *x, const float *weight, float rstd,
                                 int width) {
    float *g = scratch_floats(SCRATCH_ROW, 2 * (size_t)width), *n = g + width, of_gn;

    for (int i = 0; i < width; i++) g[i] = dy[i] * weight[i];
    for (int i = 0; i < width; i++) n[i] = x[i] * rstd;
    of_gn = dot_of(g, n, width) / (float)width;
    for (int i = 0; i < width; i++) dx[i] += (g[i] - n[i] * of_gn) * rstd;
}

static void rmsnorm_columns(float *dweight, const float *dy, const float *x, const float *rstd, int rows,
                            int width, int from, int to) {
    for (int r = 0; r < rows; r++, dy += width, x += width)
        for (int i = from; i < to; i++) dweight[i] += dy[i] * (x[i] * rstd[r]);
}

void CPU(rmsnorm_backward)(float *dx, operand *rounded, float *dweight, const float *dy, const float *x,
                           const float *weight, const float *rstd, int rows, int width) {
#pragma omp parallel for if (worth_threads((size_t)rows * width))
    for (int r = 0; r < rows; r++) {
        size_t at = (size_t)r * width;

        rmsnorm_row_backward(dx + at, dy + at, x + at, weight, rstd[r], width);
        round_row(rounded ? (element *)rounded + at : NULL, dx + at, width);
    }
    if (!dweight) return;
#pragma omp parallel for if (worth_threads((size_t)rows * width))
    for (int from = 0; from < width; from += COLUMNS)
        rmsnorm_columns(dweight, dy, x, rstd, rows, width, from,
                        from + COLUMNS < width ? from + COLUMNS : width);
}
