#include "kernels/cpu/distribution.h"

/* The sum of all weights and, unless NULL, that of the weighted logits. */
static double weight_sum(double *weighted, const float *logits, int vocab, float max, float temperature) {
    double sum = 0;

    if (weighted) *weighted = 0;
    for (int from = 0; from < vocab; from += SPAN) {
        float of_span;

        sum += (double)span_sum(weighted ? &of_span : NULL, logits + from, span_of(from, vocab), max,
                                temperature);
        if (weighted) *weighted += (double)of_span;
    }
    return sum;
}

/* What a row's forward leaves for its backward: norm[4]. */
enum { MAX, SHARE, LOG_SUM, ENTROPY, NORMS };

static void logprob_row(float *logprob, float *entropy, int *best, float *norm, const float *logits,
                        int target, int vocab, float temperature) {
    float max = max_of(logits, vocab), nats = 0;
    double weighted, sum = weight_sum(entropy ? &weighted : NULL, logits, vocab, max, temperature);

    *logprob = log_probability(logits[target], max, temperature, sum);
    if (entropy) *entropy = nats = (float)(log(sum) - weighted / sum);
    if (best) *best = first_of(logits, vocab, max);
    if (!norm) return;
    norm[MAX] = max;
    norm[SHARE] = (float)(1 / sum);
    norm[LOG_SUM] = (float)log(sum);
    norm[ENTROPY] = nats;
}

void CPU(logprob)(float *logprob, float *entropy, int *best, float *norm, const float *logits,
                  const int *target, int rows, int vocab, int line, float temperature) {
#pragma omp parallel for if (worth_threads((size_t)rows * vocab))
    for (int r = 0; r < rows; r++)
        logprob_row(logprob + r, entropy ? entropy + r : NULL, best ? best + r : NULL,
                    norm ? norm + (size_t)r * NORMS : NULL, logits + (size_t)r * line, target[r], vocab,
                    temperature);
}

/* What the slopes of one row's logits are made of. */
struct slopes {
    const float *norm;
    float of_logprob, of_entropy;
};

/* d logprob[target] / d z_j = [j == target] - p_j;  d entropy / d z_j = -p_j (log p_j + entropy);  z = logit
 * / temperature. Here all but the [j == target]. */
INLINE float logit_slope(float logit, const struct slopes *by, const float temperature,
                         const int with_entropy) {
    float z = scaled(logit, by->norm[MAX], temperature), p = exp_of(z) * by->norm[SHARE];
    float slope = -by->of_logprob * p;

    if (!with_entropy) return slope;
    return p > 0 ? slope - by->of_entropy * p * (z - by->norm[LOG_SUM] + by->norm[ENTROPY]) : slope;
}

/* Each slope may take its logit's place. */
INLINE void logit_slopes(element *out, const float *logits, int vocab, const struct slopes *slopes,
                         const float temperature, const int with_entropy) {
    const float norm[NORMS] = {slopes->norm[0], slopes->norm[1], slopes->norm[2], slopes->norm[3]};
    const struct slopes by = {norm, slopes->of_logprob, slopes->of_entropy};

#pragma omp simd
    for (int i = 0; i < vocab; i++)
        out[i] = element_of(logit_slope(logits[i], &by, temperature, with_entropy));
}

static void logprob_row_backward(element *dlogits, const float *logits, int target, const float *norm,
                                 float slope, const float *entropy_slope, int vocab, float temperature) {
    const struct slopes by = {norm, slope / temperature, entropy_slope ? *entropy_slope / temperature : 0};
    float chosen = logit_slope(logits[target], &by, temperature, entropy_slope != NULL);

    if (entropy_slope && temperature == 1) logit_slopes(dlogits, logits, vocab, &by, 1, 1);
    if (entropy_slope && temperature != 1) logit_slopes(dlogits, logits, vocab, &by, temperature, 1);
    if (!entropy_slope && temperature == 1) logit_slopes(dlogits, logits, vocab, &by, 1, 0);
    if (!entropy_slope && temperature != 1) logit_slopes(dlogits, logits, vocab, &by, temperature, 0);
    dlogits[target] = element_of(chosen + by.of_logprob);
}

void CPU(logprob_backward)(operand *dlogits, const float *logits, const int *target, const float *norm,
                           const float *slope, const float *entropy_slope, int rows, int vocab, int line,
                           float temperature) {
#pragma omp parallel for if (worth_threads((size_t)rows * vocab))
    for (int r = 0; r < rows; r++) {
        element *out = (element *)dlogits + (size_t)r * line;

        logprob_row_backward(out, logits + (size_t)r * line, target[r], norm + (size_t)r * NORMS, slope[r],
                             entropy_slope ? entropy_slope + r : NULL, vocab, temperature);
        memset(out + vocab, 0, (size_t)(line - vocab) * sizeof *out);
    }
}
