/* The softmax that attention() and attention_decode() share, so that the two agree to the bit, and the
 * rounding of what comes out of one. */
#ifndef KERNELS_CPU_SOFTMAX_H
#define KERNELS_CPU_SOFTMAX_H

#include "kernels/cpu/vector.h"

typedef uint32_t uvec __attribute__((vector_size(LANES * sizeof(uint32_t))));

/* a < b ? a : b */
INLINE vec vec_min(vec a, vec b) {
#if LANES == 16
    return _mm512_min_ps(a, b);
#elif LANES == 8
    return _mm256_min_ps(a, b);
#else
    ivec smaller = a < b;

    return (vec)((smaller & (ivec)a) | (~smaller & (ivec)b));
#endif
}

/* exp(x) of each lane: in single precision exp_of() to the bit; where weights become bf16, with fused steps
   and to 2 ulp. */
INLINE vec vec_exp(vec x) {
    const vec shifter = vec_set(0x1.8p23f);
    vec y = vec_min(vec_set(89.0f), vec_max(vec_set(-104.0f), x)), p = vec_set(1.9875691500e-4f);
#ifdef BF16
    vec shifted = vec_fma(y, vec_set(0x1.715476p0f), shifter), n = shifted - shifter;
    vec r = vec_fma(n, vec_set(-0x1.62e43p-1f), y);

    p = vec_fma(p, r, vec_set(1.3981999507e-3f));
    p = vec_fma(p, r, vec_set(8.3334519073e-3f));
    p = vec_fma(p, r, vec_set(4.1665795894e-2f));
    p = vec_fma(p, r, vec_set(1.6666665459e-1f));
    p = vec_fma(p, r, vec_set(5.0000001201e-1f));
    p = vec_fma(p, r, vec_set(1.0f));
    p = vec_fma(p, r, vec_set(1.0f));
#else
    vec shifted = y * 0x1.715476p0f + shifter, n = shifted - shifter;
    vec r = y - n * 0.693359375f;

    r = r - n * -2.12194440e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
#endif
#if LANES == 16
    return _mm512_scalef_ps(p, n);
#else
    ivec exponent = (ivec)shifted - (ivec)shifter, half = exponent >> 1;

    return p * (vec)((half + 127) << 23) * (vec)((exponent - half + 127) << 23);
#endif
}

/* The lane numbers from `first` on. */
INLINE ivec lanes_from(int first) {
    ivec lane;

    for (int l = 0; l < LANES; l++) lane[l] = first + l;
    return lane;
}

/* x where lane < count, else `other`. */
INLINE vec keep_lanes(vec x, ivec lane, int count, vec other) {
    ivec kept = lane < count;

    return (vec)((kept & (ivec)x) | (~kept & (ivec)other));
}

/* sum_of() of lanes. */
INLINE float parts_sum(vec part[PARTS]) {
#if LANES == 16
    vec x = part[0];

    x += (vec)_mm512_shuffle_f32x4(x, x, 0x4e);
    x += (vec)_mm512_shuffle_f32x4(x, x, 0xb1);
    x += (vec)_mm512_permute_ps(x, 0x4e);
    x += (vec)_mm512_permute_ps(x, 0xb1);
    return x[0];
#else
    float lane[WIDTH];

    for (int p = 0; p < PARTS; p++) vec_store(lane + p * LANES, part[p]);
    return lanes_sum(lane);
#endif
}

#ifdef BF16
typedef uint16_t narrow_vec __attribute__((vector_size(LANES * sizeof(uint16_t))));
typedef uint16_t narrow_loose __attribute__((vector_size(LANES * sizeof(uint16_t)), aligned(2), may_alias));

/* element_of() in the upper half of each lane, on top of what was cut off. */
INLINE uvec rounded_lanes(vec x) {
    uvec bits = (uvec)x, number = (uvec)(x == x);

    return (number & (bits + 0x7fff + (bits >> 16 & 1))) | (~number & (bits | 0x400000));
}
#endif

/* Lanes as elements, one behind the other. */
INLINE void narrow_store(element *out, vec x) {
#ifndef BF16
    vec_store(out, x);
#elif defined(DOT_BF16)
    *(narrow_loose *)out = (narrow_vec)_mm512_cvtneps_pbh((__m512)x);
#else
    *(narrow_loose *)out = __builtin_convertvector(rounded_lanes(x) >> 16, narrow_vec);
#endif
}

/* Elements as lanes. */
INLINE vec wide_load(const element *x) {
#ifdef BF16
    return (vec)(__builtin_convertvector(*(const narrow_loose *)x, uvec) << 16);
#else
    return vec_load(x);
#endif
}

/* Cells of the lanes of PAIR rows, rounded. */
INLINE vec cells_of(const vec row[PAIR]) {
#ifndef BF16
    return row[0];
#elif defined(DOT_BF16)
    const short turn[] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                          8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};

    return (vec)_mm512_permutexvar_epi16(_mm512_loadu_si512(turn),
                                         (__m512i)_mm512_cvtne2ps_pbh((__m512)row[1], (__m512)row[0]));
#else
    return (vec)((rounded_lanes(row[0]) >> 16) | (rounded_lanes(row[1]) & 0xffff0000));
#endif
}

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
