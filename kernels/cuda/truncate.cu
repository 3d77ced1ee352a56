#include "kernels/cuda/distribution.cuh"

/* Candidates are ordered by logit, the largest first, and equals by index: a candidate's place in that order
 * as one number, the first the largest. */
typedef unsigned long long place;

#define INDEX_BITS 32

static __device__ __forceinline__ place place_of(float logit, int index) {
    /* -0 and 0 are equals */
    unsigned bits = __float_as_uint(logit == 0 ? 0.0f : logit), rising = bits >> 31 ? ~bits : bits | 1u << 31;

    return (place)rising << INDEX_BITS | (0xffffffffu - (unsigned)index);
}

struct row {
    const float *logits;
    int vocab;
    float max, temperature;
};

/* How many candidates, or how much weight, stand at `least` or before it. */
static __device__ double count_from(const struct row &row, place least, bool weigh) {
    double sum = 0;

    for (int i = threadIdx.x; i < row.vocab; i += THREADS) {
        float logit = row.logits[i];

        if (!(logit > -INFINITY) || place_of(logit, i) < least) continue;
        sum += weigh ? (double)weight_of(logit, row.max, row.temperature) : 1.0;
    }
    return block_total(sum);
}

/* The place that is as far in front as can be while those from it on reach `goal`: bit by bit. */
static __device__ place cut_at(const struct row &row, place least, double goal, bool weigh) {
    place cut = 0;

    for (int bit = 63; bit >= 0; bit--) {
        place higher = cut | (place)1 << bit;

        if (bit < INDEX_BITS && (1ll << bit) >= 2ll * row.vocab)
            cut = higher; /* bits that all indices have */
        else if (count_from(row, higher < least ? least : higher, weigh) >= goal)
            cut = higher;
    }
    return cut < least ? least : cut;
}

static __global__ void truncate_kernel(float *logits, const int *keep, int vocab, int line, float temperature,
                                       int top_k, float top_p, float min_p) {
    float *values = logits + (size_t)blockIdx.x * line;

    start_successor();
    wait_for_predecessor();
    struct row row = {values, vocab, max_of(values, vocab), temperature};
    place least = 0;

    if (top_k > 0 && count_from(row, 0, false) > top_k) least = cut_at(row, 0, top_k, false);
    if (top_p < 1) least = cut_at(row, least, (double)top_p * count_from(row, least, true), true);
    for (int i = threadIdx.x; i < vocab; i += THREADS) {
        float logit = values[i];
        int in = logit > -INFINITY && place_of(logit, i) >= least;

        if (min_p > 0) in = in && weight_of(logit, row.max, temperature) >= min_p;
        if (keep && keep[blockIdx.x] == i) in = 1;
        if (!in) values[i] = -INFINITY;
    }
}

void truncate_cuda(float *logits, const int *keep, int rows, int vocab, int line, float temperature,
                   int top_k, float top_p, float min_p) {
    if (rows == 0 || (top_k <= 0 && !(top_p < 1) && !(min_p > 0))) return;
    launch_chained("truncate", truncate_kernel, rows, THREADS, 0, logits, keep, vocab, line,
                   temperature > 0 ? temperature : 1, top_k, top_p, min_p);
}
