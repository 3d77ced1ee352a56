/* Vectors of elements and of single precision: exponentials, masks, sums, rounding. */
#ifndef KERNELS_CPU_LANES_H
#define KERNELS_CPU_LANES_H

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

/* 2^n p, where n is the number in `shifted`. */
INLINE vec vec_scaled(vec p, vec shifted, vec shifter) {
#if LANES == 16
    return _mm512_scalef_ps(p, shifted - shifter);
#else
    ivec exponent = (ivec)shifted - (ivec)shifter, half = exponent >> 1;

    return p * (vec)((half + 127) << 23) * (vec)((exponent - half + 127) << 23);
#endif
}

INLINE vec exponent_range(vec x) {
    return vec_min(vec_set(89.0f), vec_max(vec_set(-104.0f), x));
}

/* exp_of() of each lane, to the bit. */
INLINE vec vec_exp_of(vec x) {
    const vec shifter = vec_set(0x1.8p23f);
    vec y = exponent_range(x), p = vec_set(1.9875691500e-4f);
    vec shifted = y * 0x1.715476p0f + shifter, n = shifted - shifter;
    vec r = y - n * 0.693359375f;

    r = r - n * -2.12194440e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return vec_scaled(p, shifted, shifter);
}

/* exp(x) of each lane: in single precision that; where weights become bf16, with fused steps and to 2 ulp. */
INLINE vec vec_exp(vec x) {
#ifdef BF16
    const vec shifter = vec_set(0x1.8p23f);
    vec y = exponent_range(x), p = vec_set(1.9875691500e-4f);
    vec shifted = vec_fma(y, vec_set(0x1.715476p0f), shifter), n = shifted - shifter;
    vec r = vec_fma(n, vec_set(-0x1.62e43p-1f), y);

    p = vec_fma(p, r, vec_set(1.3981999507e-3f));
    p = vec_fma(p, r, vec_set(8.3334519073e-3f));
    p = vec_fma(p, r, vec_set(4.1665795894e-2f));
    p = vec_fma(p, r, vec_set(1.6666665459e-1f));
    p = vec_fma(p, r, vec_set(5.0000001201e-1f));
    p = vec_fma(p, r, vec_set(1.0f));
    p = vec_fma(p, r, vec_set(1.0f));
    return vec_scaled(p, shifted, shifter);
#else
    return vec_exp_of(x);
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

#endif
