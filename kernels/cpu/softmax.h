/* The softmax that attention() and attention_decode() share, so that the two agree to the bit. */
#ifndef KERNELS_CPU_SOFTMAX_H
#define KERNELS_CPU_SOFTMAX_H

#include "kernels/cpu/vector.h"

/* Scores of one query become exp(scale score - max); what is beyond `count` keys becomes 0 up to `room`,
   which is a multiple of 16. Returns their sum. */
static inline float softmax(float *scores, int count, int room, float scale, float *max) {
    float largest;

    for (int i = 0; i < count; i++) scores[i] *= scale;
    for (int i = count; i < room; i++) scores[i] = -INFINITY;
    largest = max_of(scores, room);
    for (int i = 0; i < room; i++) scores[i] = exp_of(scores[i] - largest);
    *max = largest;
    return sum_of(scores, room);
}

/* Weights become elements, packed at the front of the array. */
static inline void round_weights(float *weights, size_t count) {
#ifdef BF16
    for (size_t i = 0; i < count; i++) {
        element rounded = element_of(weights[i]);

        memcpy((char *)weights + i * sizeof rounded, &rounded, sizeof rounded);
    }
#else
    (void)weights;
    (void)count;
#endif
}

#endif
