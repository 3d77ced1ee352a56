#include "kernels/cpu/vector.h"

#define SQUARES 16384 /* elements added up on their own; then blocks in order */

typedef double pair_of_lanes __attribute__((vector_size(LANES / 2 * sizeof(double))));
typedef float half __attribute__((vector_size(LANES / 2 * sizeof(float))));
typedef float half_loose __attribute__((vector_size(LANES / 2 * sizeof(float)), aligned(4), may_alias));

#define HALVES (2 * PARTS)

static double block_squares(const float *x, size_t count) {
    pair_of_lanes part[HALVES] = {0};
    double lane[WIDTH];
    size_t i = 0;

    for (; i + WIDTH <= count; i += WIDTH)
        for (int p = 0; p < HALVES; p++) {
            half loaded = *(const half_loose *)(x + i + p * (LANES / 2));
            pair_of_lanes wide = __builtin_convertvector(loaded, pair_of_lanes);

            part[p] += wide * wide;
        }
    memcpy(lane, part, sizeof lane);
    for (int l = 0; i + l < count; l++) lane[l] += (double)x[i + l] * (double)x[i + l];
    for (int width = WIDTH / 2; width; width /= 2)
        for (int l = 0; l < width; l++) lane[l] += lane[l + width];
    return lane[0];
}

void CPU(sum_squares)(double *out, const float *x, size_t count) {
    size_t blocks = (count + SQUARES - 1) / SQUARES;
    double *sums = (double *)scratch_floats(SCRATCH_ROW, blocks * sizeof *sums / sizeof(float));

#pragma omp parallel for if (worth_threads(count))
    for (size_t b = 0; b < blocks; b++) {
        size_t from = b * SQUARES;

        sums[b] = block_squares(x + from, count - from < SQUARES ? count - from : SQUARES);
    }
    *out = 0;
    for (size_t b = 0; b < blocks; b++) *out += sums[b];
}
