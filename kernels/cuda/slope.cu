#include "kernels/cuda/device.cuh"

#define TILE 256 /* tokens or scores that a block's threads take at a time */

/* What a tile adds to the sums; lines are apart by one, so that as many threads as there are sums read them
 * without meeting in a bank. */
template <int SUMS> struct terms { double of[SUMS][TILE + 1]; };

/* The tile's terms to the sums, by one thread each, so that chains are the CPU's; of the last `largest` the
 * largest stays. To be called by all threads. */
template <int SUMS>
static __device__ void add_terms(double *sum, const terms<SUMS> *terms, int count, int largest) {
    int s = threadIdx.x;

    __syncthreads();
    if (s < SUMS - largest)
        for (int i = 0; i < count; i++) *sum += terms->of[s][i];
    else if (s < SUMS)
        for (int i = 0; i < count; i++) *sum = fmax(*sum, terms->of[s][i]);
    __syncthreads();
}

static __device__ double clipped_to(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

static __device__ double policy_token(terms<POLICY_SUMS> *terms, double change, double advantage,
                                      double share, double clip) {
    int i = threadIdx.x;
    double ratio = exp(change);
    double free = -advantage * ratio, held = -advantage * clipped_to(ratio, 1 - clip, 1 + clip);
    int clipped = held > free;

    terms->of[POLICY_LOSS][i] = share * (clipped ? held : free);
    terms->of[POLICY_CLIPPED][i] = share * clipped;
    terms->of[POLICY_RATIO][i] = share * ratio;
    terms->of[POLICY_MOVED][i] = share * (ratio - 1 - change);
    terms->of[POLICY_GAP][i] = fabs(change);
    return clipped ? 0 : free;
}

static __global__ void __launch_bounds__(TILE)
    policy_slope_kernel(float *slope, float *entropy_slope, double *sums, const float *logprob,
                        const float *entropy, const float *old, const float *advantage, const int *item,
                        int count, double share, double clip, double bonus) {
    __shared__ terms<POLICY_SUMS> terms;
    double sum = threadIdx.x < POLICY_SUMS ? sums[threadIdx.x] : 0;

    for (int from = 0; from < count; from += TILE) {
        int i = from + threadIdx.x;

        if (i < count) {
            int t = item[i];
            double change = (double)logprob[i] - old[t];

            slope[i] = (float)(share * policy_token(&terms, change, advantage[t], share, clip));
            terms.of[POLICY_ENTROPY][threadIdx.x] = entropy ? share * entropy[i] : 0;
            if (entropy_slope) entropy_slope[i] = (float)(-bonus * share);
        }
        add_terms(&sum, &terms, count - from < TILE ? count - from : TILE, 1);
    }
    if (threadIdx.x < POLICY_SUMS) sums[threadIdx.x] = sum;
}

void policy_slope_cuda(float *slope, float *entropy_slope, double *sums, const float *logprob,
                       const float *entropy, const float *old, const float *advantage, const int *item,
                       int count, double share, double clip, double bonus) {
    launch("policy_slope", policy_slope_kernel, 1, TILE, 0, slope, entropy_slope, sums, logprob, entropy, old,
           advantage, item, count, share, clip, bonus);
}

static __device__ double value_token(double *slope, double value, double old, double returns, double clip) {
    double free = value - returns, held = old + clipped_to(value - old, -clip, clip) - returns;

    if (held * held > free * free) {
        *slope = fabs(value - old) < clip ? held : 0;
        return 0.5 * held * held;
    }
    *slope = free;
    return 0.5 * free * free;
}

static __global__ void __launch_bounds__(TILE)
    value_slope_kernel(float *slope, double *sum_out, const float *value, const float *old,
                       const float *returns, const int *item, int count, double share, double weight,
                       double clip) {
    __shared__ terms<1> terms;
    double sum = *sum_out;

    for (int from = 0; from < count; from += TILE) {
        int i = from + threadIdx.x;

        if (i < count) {
            int t = item[i];
            double by_value;

            terms.of[0][threadIdx.x] = share * value_token(&by_value, value[i], old[t], returns[t], clip);
            slope[i] = (float)(weight * by_value);
        }
        add_terms(&sum, &terms, count - from < TILE ? count - from : TILE, 0);
    }
    if (threadIdx.x == 0) *sum_out = sum;
}

void value_slope_cuda(float *slope, double *sum, const float *value, const float *old, const float *returns,
                      const int *item, int count, double share, double weight, double clip) {
    launch("value_slope", value_slope_kernel, 1, TILE, 0, slope, sum, value, old, returns, item, count, share,
           weight, clip);
}

static __device__ double margin_loss(double *slope, double margin) {
    double e = exp(-fabs(margin));

    *slope = margin >= 0 ? -e / (1 + e) : -1 / (1 + e);
    return (margin < 0 ? -margin : 0) + log1p(e);
}

static __global__ void __launch_bounds__(TILE)
    pair_slope_kernel(float *slope, double *sums, const float *score, int count, int heads, double share,
                      double l2) {
    __shared__ terms<2> terms;
    double sum = threadIdx.x < 2 ? sums[threadIdx.x] : 0;

    for (int from = 0; from < count; from += TILE) {
        int i = from + threadIdx.x, at = threadIdx.x;

        if (i < count) {
            int chosen = i / heads * 2 * heads + i % heads, rejected = chosen + heads;
            double a = score[chosen], b = score[rejected], by_margin;

            terms.of[0][at] = share * (margin_loss(&by_margin, a - b) + l2 * (a * a + b * b) / 2);
            terms.of[1][at] = share * (a > b ? 1 : a == b ? 0.5 : 0);
            slope[chosen] = (float)(share * (by_margin + l2 * a));
            slope[rejected] = (float)(share * (-by_margin + l2 * b));
        }
        add_terms(&sum, &terms, count - from < TILE ? count - from : TILE, 0);
    }
    if (threadIdx.x < 2) sums[threadIdx.x] = sum;
}

void pair_slope_cuda(float *slope, double *sums, const float *score, int pairs, int heads, double share,
                     double l2) {
    launch("pair_slope", pair_slope_kernel, 1, TILE, 0, slope, sums, score, pairs * heads, heads, share, l2);
}
