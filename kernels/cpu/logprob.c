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

/* What the slopes of one row's logits are made of. */
struct slopes {
    float max, temperature, share, log_sum, entropy, of_logprob, of_entropy;
    int with_entropy;
};

/* d logprob[target] / d z_j = [j == target] - p_j;  d entropy / d z_j = -p_j (log p_j + entropy);  z = logit
 * / temperature. Here all but the [j == target]. */
INLINE float logit_slope(float logit, const struct slopes *by) {
    float z = (logit - by->max) / by->temperature, p = exp_of(z) * by->share, slope = -by->of_logprob * p;
    float spread = by->of_entropy * p * (z - by->log_sum + by->entropy);

    return by->with_entropy && p > 0 ? slope - spread : slope;
}

static void logprob_row_backward(element *dlogits, const float *logits, int target, float slope,
                                 float entropy_slope, int with_entropy, int vocab, float temperature) {
    float max = max_of(logits, vocab), chosen = logits[target];
    double sum = weight_sum(logits, vocab, max, temperature);
    const struct slopes by = {.max = max,
                              .temperature = temperature,
                              .share = (float)(1 / sum),
                              .log_sum = (float)log(sum),
                              .entropy =
                                  with_entropy ? (float)entropy_of(logits, vocab, max, temperature, sum) : 0,
                              .of_logprob = slope / temperature,
                              .of_entropy = entropy_slope / temperature,
                              .with_entropy = with_entropy};

    for (int i = 0; i < vocab; i++) dlogits[i] = element_of(logit_slope(logits[i], &by));
    dlogits[target] = element_of(logit_slope(chosen, &by) + by.of_logprob);
}

void CPU(logprob_backward)(operand *dlogits, const float *logits, const int *target, const float *slope,
                           const float *entropy_slope, int rows, int vocab, float temperature) {
#pragma omp parallel for if (worth_threads((size_t)rows * vocab))
    for (int r = 0; r < rows; r++)
        logprob_row_backward((element *)dlogits + (size_t)r * vocab, logits + (size_t)r * vocab, target[r],
                             slope[r], entropy_slope ? entropy_slope[r] : 0, entropy_slope != NULL, vocab,
                             temperature);
}
