/* The softmax that attention() and attention_decode() share, so that the two agree to the bit. */
#ifndef KERNELS_CPU_SOFTMAX_H
#define KERNELS_CPU_SOFTMAX_H

#include "kernels/cpu/lanes.h"

/* Elements of x times factor. */
static inline void narrow_row(element *out, const float *x, float factor, int count) {
    int i = 0;

    for (; i + LANES <= count; i += LANES) narrow_store(out + i, vec_load(x + i) * factor);
    for (; i < count; i++) out[i] = element_of(x[i] * factor);
}

#define TOGETHER 4 /* vectors whose chains of steps are under way at a time */

/* part = the largest of its lanes and those of x */
INLINE void raise_parts(vec part[TOGETHER], const float *x, const int vecs) {
#pragma GCC unroll 4
    for (int v = 0; v < vecs; v++) part[v] = vec_max(vec_load(x + v * LANES), part[v]);
}

/* The largest of `room` scores, a multiple of 16. */
INLINE float largest_of(const float *scores, int room) {
    vec part[TOGETHER];
    float lane[LANES];
    int i = 0;

    for (int v = 0; v < TOGETHER; v++) part[v] = vec_set(-INFINITY);
    for (; i + TOGETHER * LANES <= room; i += TOGETHER * LANES) raise_parts(part, scores + i, TOGETHER);
    for (; i < room; i += WIDTH) raise_parts(part, scores + i, PARTS);
    part[0] = vec_max(vec_max(part[0], part[1]), vec_max(part[2], part[3]));
#if LANES == 16
    (void)lane;
    return _mm512_reduce_max_ps(part[0]);
#else
    vec_store(lane, part[0]);
    return max_of(lane, LANES);
#endif
}

/* Elements of exp(scale score - max), whose sums are added to part. */
INLINE void weigh_scores(element *weights, vec part[PARTS], const float *scores, vec scale, vec max,
                         const int vecs) {
    vec weight[TOGETHER];

#pragma GCC unroll 4
    for (int v = 0; v < vecs; v++) weight[v] = vec_load(scores + v * LANES) * scale - max;
#pragma GCC unroll 4
    for (int v = 0; v < vecs; v++) weight[v] = vec_exp(weight[v]);
#pragma GCC unroll 4
    for (int v = 0; v < vecs; v++) part[v % PARTS] += weight[v];
#pragma GCC unroll 4
    for (int v = 0; v < vecs; v++) narrow_store(weights + v * LANES, weight[v]);
}

/* cap tanh(scale score / cap) of each lane; tanh(x) is 2 / (1 + exp(-2 x)) - 1. */
INLINE vec capped_lanes(vec score, float scale, float cap) {
    vec turned = vec_exp(score * (-2 * scale / cap));

    return (vec_set(2) / (vec_set(1) + turned) - vec_set(1)) * cap;
}

/* Scores of one query become what a cap leaves of them. */
static inline void cap_scores(float *scores, int count, float scale, float cap) {
    for (int i = 0; i < ROUND16(count); i += LANES)
        vec_store(scores + i, capped_lanes(vec_load(scores + i), scale, cap));
}

/* Scores of one query become elements of exp(scale score - max), at the front of the array; what is beyond
   `count` keys becomes 0 up to the next multiple of 16, so far can be read. Returns their sum before
   rounding. */
static inline float softmax(float *scores, int count, float scale, float cap, float *max) {
    int room = ROUND16(count), last = room - WIDTH, i = 0;
    element *weights = (element *)scores;
    vec part[PARTS] = {0}, factor, largest;

    if (cap > 0) cap_scores(scores, count, scale, cap);
    scale = cap > 0 ? 1 : scale;
    factor = vec_set(scale);
    for (int p = 0; p < PARTS; p++)
        vec_store(scores + last + p * LANES,
                  keep_lanes(vec_load(scores + last + p * LANES), lanes_from(last + p * LANES), count,
                             vec_set(-INFINITY)));
    *max = largest_of(scores, room) * scale;
    largest = vec_set(*max);
    for (; i + TOGETHER * LANES <= room; i += TOGETHER * LANES)
        weigh_scores(weights + i, part, scores + i, factor, largest, TOGETHER);
    for (; i < room; i += WIDTH) weigh_scores(weights + i, part, scores + i, factor, largest, PARTS);
    return parts_sum(part);
}

#endif
