#include "kernels/cuda/distribution.cuh"

/* weight (logit - max) / temperature; a weight of 0 counts nothing, even at -infinity. */
struct weighted_logit {
    float max, temperature;

    __device__ float operator()(float logit) const {
        float z = scaled(logit, max, temperature), weight = exp_of(z);

        return weight > 0 ? weight * z : 0;
    }
};

static __device__ double entropy_of(double *sums, const float *logits, int vocab, float max,
                                    float temperature, double sum) {
    return log(sum) - span_sums(sums, logits, vocab, weighted_logit{max, temperature}) / sum;
}

/* What a row's forward leaves for its backward: norm[4]. */
enum { MAX, SHARE, LOG_SUM, ENTROPY, NORMS };

static __global__ void logprob_kernel(float *logprob, float *entropy, int *best, float *norm,
                                      const float *logits, const int *target, int vocab, float temperature) {
    double *sums = dynamic_shared<double>();
    int r = blockIdx.x;
    const float *row = logits + (size_t)r * vocab;
    float max = max_of(row, vocab);
    double sum = weight_sum(sums, row, vocab, max, temperature), nats = 0;

    if (threadIdx.x == 0) logprob[r] = log_probability(row[target[r]], max, temperature, sum);
    if (entropy) {
        nats = entropy_of(sums, row, vocab, max, temperature, sum);
        if (threadIdx.x == 0) entropy[r] = (float)nats;
    }
    if (norm && threadIdx.x == 0) {
        float *of_row = norm + (size_t)r * NORMS;

        of_row[MAX] = max;
        of_row[SHARE] = (float)(1 / sum);
        of_row[LOG_SUM] = (float)log(sum);
        of_row[ENTROPY] = (float)nats;
    }
    if (best) {
        int first = first_of(row, vocab, max);

        if (threadIdx.x == 0) best[r] = first;
    }
}

void logprob_cuda(float *logprob, float *entropy, int *best, float *norm, const float *logits,
                  const int *target, int rows, int vocab, float temperature) {
    if (rows == 0) return;
    launch("logprob", logprob_kernel, rows, THREADS, spans_of(vocab) * sizeof(double), logprob, entropy, best,
           norm, logits, target, vocab, temperature);
}

/* d logprob[target] / d z_j = [j == target] - p_j;  d entropy / d z_j = -p_j (log p_j + entropy);  z = logit
 * / temperature. */
static __global__ void logprob_backward_kernel(float *dlogits, const float *logits, const int *target,
                                               const float *norm, const float *slope,
                                               const float *entropy_slope, int vocab, float temperature) {
    int r = blockIdx.x, chosen = target[r], with_entropy = entropy_slope != NULL;
    const float *row = logits + (size_t)r * vocab, *of_row = norm + (size_t)r * NORMS;
    float max = of_row[MAX], share = of_row[SHARE], log_sum = of_row[LOG_SUM], entropy = of_row[ENTROPY];
    float of_slope = slope[r] / temperature, of_entropy = with_entropy ? entropy_slope[r] / temperature : 0;

#pragma unroll 4
    for (int i = threadIdx.x; i < vocab; i += THREADS) {
        float z = scaled(row[i], max, temperature), p = exp_of(z) * share;
        float gradient = -of_slope * p, spread = of_entropy * p * (z - log_sum + entropy);

        gradient = with_entropy && p > 0 ? gradient - spread : gradient;
        dlogits[(size_t)r * vocab + i] = i == chosen ? gradient + of_slope : gradient;
    }
}

void logprob_backward_cuda(operand *dlogits, const float *logits, const int *target, const float *norm,
                           const float *slope, const float *entropy_slope, int rows, int vocab,
                           float temperature) {
    if (rows == 0) return;
    launch("logprob_backward", logprob_backward_kernel, rows, THREADS, 0, (float *)dlogits, logits, target,
           norm, slope, entropy_slope, vocab, temperature);
}
