#include "kernels/cpu/vector.h"

#define SQUARES 16384 /* elements added up on their own: a block */

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
    return sum_of_pairs(lane, WIDTH);
}

void CPU(sum_squares)(double *out, const float *x, size_t count) {
    size_t blocks = (count + SQUARES - 1) / SQUARES;
    double lane[SUM_LANES] = {0},
           *sums = (double *)scratch_floats(SCRATCH_ROW, blocks * sizeof *sums / sizeof(float));

#pragma omp parallel for if (worth_threads(count))
    for (size_t b = 0; b < blocks; b++) {
        size_t from = b * SQUARES;

        sums[b] = block_squares(x + from, count - from < SQUARES ? count - from : SQUARES);
    }
    for (size_t b = 0; b < blocks; b++) lane[b % SUM_LANES] += sums[b];
    *out = sum_of_pairs(lane, SUM_LANES);
}
