#include "kernels/cpu/vector.h"

#define WHITENED 16384 /* elements added up on their own, as by sum_squares() */

/* Of x - mean, or of its squares. */
static double block_moment(const float *x, size_t count, double mean, int squared) {
    double lane[WIDTH] = {0};

    for (size_t i = 0; i < count; i++) {
        double off = x[i] - mean;

        lane[i % WIDTH] += squared ? off * off : off;
    }
    return sum_of_pairs(lane, WIDTH);
}

static double mean_moment(const float *x, size_t count, double mean, int squared) {
    double lane[SUM_LANES] = {0};

    for (size_t from = 0; from < count; from += WHITENED)
        lane[from / WHITENED % SUM_LANES] +=
            block_moment(x + from, count - from < WHITENED ? count - from : WHITENED, mean, squared);
    return sum_of_pairs(lane, SUM_LANES) / (double)count;
}

void CPU(whiten)(float *x, size_t count, int keep_mean) {
    double mean, scale;

    if (count == 0) return;
    mean = mean_moment(x, count, 0, 0);
    scale = 1 / sqrt(mean_moment(x, count, mean, 1) + 1e-8);
    for (size_t i = 0; i < count; i++) x[i] = (float)((x[i] - mean) * scale + (keep_mean ? mean : 0));
}
