#include "kernels/cpu/distribution.h"

/* The sum over i of weight[i] (logits[i] - max) / temperature; a weight of 0 counts nothing, even at
 * -infinity. */
static double weighted_logits(const float *logits, int vocab, float max, float temperature) {
    float weight[SPAN];
    double sum = 0;

    for (int from = 0; from < vocab; from += SPAN) {
        int count = span_of(from, vocab);

        weigh(weight, logits + from, count, max, temperature);
        for (int i = 0; i < count; i++) {
            float z = (logits[from + i] - max) / temperature;

            weight[i] = weight[i] > 0 ? weight[i] * z : 0;
        }
        sum += (double)sum_of(weight, count);
    }
    return sum;
}

static double entropy_of(const float *logits, int vocab, float max, float temperature, double sum) {
    return log(sum) - weighted_logits(logits, vocab, max, temperature) / sum;
}

static void logprob_row(float *logprob, float *entropy, int *best, const float *logits, int target, int vocab,
                        float temperature) {
    float max = max_of(logits, vocab);
    double sum = weight_sum(logits, vocab, max, temperature);

    *logprob = log_probability(logits[target], max, temperature, sum);
    if (entropy) *entropy = (float)entropy_of(logits, vocab, max, temperature, sum);
    if (best) *best = first_of(logits, vocab, max);
}

void CPU(logprob)(float *logprob, float *entropy, int *best, const float *logits, const int *target, int rows,
                  int vocab, float temperature) {
#pragma omp parallel for if (worth_threads((size_t)rows * vocab))
    for (int r = 0; r < rows; r++)
        logprob_row(logprob + r, entropy ? entropy + r : NULL, best ? best + r : NULL,
                    logits + (size_t)r * vocab, target[r], vocab, temperature);
}

/* d logprob[target] / d z_j = [j == target] - p_j;  d entropy / d z_j = -p_j (log p_j + entropy);  z = logit
 * / temperature. */
static void logprob_row_backward(float *logits, int target, float slope, float entropy_slope,
                                 int with_entropy, int vocab, float temperature) {
    float max = max_of(logits, vocab);
    double sum = weight_sum(logits, vocab, max, temperature);
    float entropy = with_entropy ? (float)entropy_of(logits, vocab, max, temperature, sum) : 0;
    float share = (float)(1 / sum), log_sum = (float)log(sum), of_slope = slope / temperature;
    float of_entropy = entropy_slope / temperature;

    for (int i = 0; i < vocab; i++) {
        float z = (logits[i] - max) / temperature, p = exp_of(z) * share;
        float gradient = -of_slope * p, spread = of_entropy * p * (z - log_sum + entropy);

        logits[i] = with_entropy && p > 0 ? gradient - spread : gradient;
    }
    logits[target] += of_slope;
}

void CPU(logprob_backward)(float *logits, const int *target, const float *slope, const float *entropy_slope,
                           int rows, int vocab, float temperature) {
#pragma omp parallel for if (worth_threads((size_t)rows * vocab))
    for (int r = 0; r < rows; r++)
        logprob_row_backward(logits + (size_t)r * vocab, target[r], slope[r],
                             entropy_slope ? entropy_slope[r] : 0, entropy_slope != NULL, vocab, temperature);
}
