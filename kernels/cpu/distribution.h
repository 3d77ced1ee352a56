/* A row of logits as a distribution: what logprob(), sample() and truncate() share, so that they agree to the
 * bit. */
#ifndef KERNELS_CPU_DISTRIBUTION_H
#define KERNELS_CPU_DISTRIBUTION_H

#include "kernels/cpu/vector.h"

#define SPAN 1024 /* logits summed in single precision; spans are added in double */

/* out[i] = exp((logits[i] - max) / temperature) */
static inline void weigh(float *out, const float *logits, int count, float max, float temperature) {
    for (int i = 0; i < count; i++) out[i] = exp_of((logits[i] - max) / temperature);
}

static inline int span_of(int from, int count) {
    return count - from < SPAN ? count - from : SPAN;
}

/* The sum of all weights. */
static inline double weight_sum(const float *logits, int vocab, float max, float temperature) {
    float weight[SPAN];
    double sum = 0;

    for (int from = 0; from < vocab; from += SPAN) {
        weigh(weight, logits + from, span_of(from, vocab), max, temperature);
        sum += (double)sum_of(weight, span_of(from, vocab));
    }
    return sum;
}

static inline float log_probability(float logit, float max, float temperature, double sum) {
    return (float)(((double)logit - (double)max) / (double)temperature - log(sum));
}

static inline int first_of(const float *logits, int vocab, float value) {
    for (int i = 0; i < vocab; i++)
        if (logits[i] == value) return i;
    return 0;
}

#endif
