/* A row of logits as a distribution: what logprob(), sample() and truncate() share, so that they agree to the
 * bit. */
#ifndef KERNELS_CPU_DISTRIBUTION_H
#define KERNELS_CPU_DISTRIBUTION_H

#include "kernels/cpu/vector.h"

#define SPAN 1024 /* logits summed in single precision; spans are added in double */

/* (logit - max) / temperature, which loops ask for with a constant 1 where that is the temperature: it spares
 * the division. */
INLINE float scaled(float logit, float max, float temperature) {
    return (logit - max) / temperature;
}

INLINE void add_weight(float *sum, float *product, float z) {
    float weight = exp_of(z);

    *sum += weight;
    if (product) *product += weight > 0 ? weight * z : 0;
}

/* The sum of a span's weights exp((logits[i] - max) / temperature) and, unless NULL, of weight (logits[i] -
 * max) / temperature, of which a weight of 0 counts nothing, even at -infinity. In the lanes of sum_of(). */
INLINE float span_sum_by(float *weighted, const float *logits, int count, float max,
                         const float temperature) {
    float sum[WIDTH] = {0}, product[WIDTH] = {0};

    for (int i = 0; i < count; i += WIDTH) {
        int lanes = count - i < WIDTH ? count - i : WIDTH;

        if (lanes < WIDTH)
            for (int l = 0; l < lanes; l++)
                add_weight(sum + l, weighted ? product + l : NULL, scaled(logits[i + l], max, temperature));
        else
            for (int l = 0; l < WIDTH; l++)
                add_weight(sum + l, weighted ? product + l : NULL, scaled(logits[i + l], max, temperature));
    }
    if (weighted) *weighted = lanes_sum(product);
    return lanes_sum(sum);
}

static inline float span_sum(float *weighted, const float *logits, int count, float max, float temperature) {
    if (weighted && temperature == 1) return span_sum_by(weighted, logits, count, max, 1);
    if (weighted) return span_sum_by(weighted, logits, count, max, temperature);
    return temperature == 1 ? span_sum_by(NULL, logits, count, max, 1)
                            : span_sum_by(NULL, logits, count, max, temperature);
}

static inline int span_of(int from, int count) {
    return count - from < SPAN ? count - from : SPAN;
}

static inline float log_probability(float logit, float max, float temperature, double sum) {
    return (float)(((double)logit - (double)max) / (double)temperature - log(sum));
}

static inline int first_of(const float *logits, int vocab, float value) {
    for (int from = 0; from < vocab; from += WIDTH) {
        int count = vocab - from < WIDTH ? vocab - from : WIDTH, found = 0;

        for (int i = 0; i < count; i++) found |= logits[from + i] == value;
        for (int i = 0; found && i < count; i++)
            if (logits[from + i] == value) return from + i;
    }
    return 0;
}

#endif
