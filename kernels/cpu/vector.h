/* What the operations are written in, private to the CPU backend. Each source is compiled once per
 * instruction set: alone for any machine, and from avx2.c and avx512.c for theirs. Sums have a structure of
 * 16 lanes whatever the width of a register, so that all three give the same bits. */
#ifndef KERNELS_CPU_VECTOR_H
#define KERNELS_CPU_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/cpu/memory.h"
#include "kernels/kernels.h"

#ifndef LANES
#define LANES     4
#define CPU(name) name##_cpu
#endif
#if LANES > 4
#include <immintrin.h>
#endif

#define WIDTH          16 /* lanes of a sum */
#define PARTS          (WIDTH / LANES)
#define INLINE         static inline __attribute__((always_inline))
#define ROUND16(count) (((count) + 15) / 16 * 16)

/* What operands are made of, and how many of them matrix products take in one step: a cell is 32 bits. */
#ifdef BF16
typedef uint16_t element;
#define PAIR 2
#else
typedef float element;
#define PAIR 1
#endif
#define CELLS(count) (((count) + PAIR - 1) / PAIR)

typedef float vec __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t ivec __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef float loose __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

INLINE int smaller(int a, int b) {
    return a < b ? a : b;
}

INLINE vec vec_load(const float *x) {
    return *(const loose *)x;
}

INLINE void vec_store(float *x, vec value) {
    *(loose *)x = value;
}

INLINE vec vec_set(float x) {
#if LANES == 16
    return _mm512_set1_ps(x);
#elif LANES == 8
    return _mm256_set1_ps(x);
#else
    return (vec){x, x, x, x};
#endif
}

/* a b + c, rounded once. */
INLINE vec vec_fma(vec a, vec b, vec c) {
#if LANES == 16
    return _mm512_fmadd_ps(a, b, c);
#elif LANES == 8
    return _mm256_fmadd_ps(a, b, c);
#else
    return (vec){fmaf(a[0], b[0], c[0]), fmaf(a[1], b[1], c[1]), fmaf(a[2], b[2], c[2]),
                 fmaf(a[3], b[3], c[3])};
#endif
}

/* a > b ? a : b */
INLINE vec vec_max(vec a, vec b) {
#if LANES == 16
    return _mm512_max_ps(a, b);
#elif LANES == 8
    return _mm256_max_ps(a, b);
#else
    ivec larger = a > b;

    return (vec)((larger & (ivec)a) | (~larger & (ivec)b));
#endif
}

/* The lanes added in pairs: l with l + 8, then + 4, + 2, + 1. */
INLINE float lanes_sum(float lane[WIDTH]) {
    for (int half = WIDTH / 2; half; half /= 2)
        for (int l = 0; l < half; l++) lane[l] += lane[l + half];
    return lane[0];
}

INLINE float sum_of(const float *x, int count) {
    vec part[PARTS] = {0};
    float lane[WIDTH];
    int i = 0;

    for (; i + WIDTH <= count; i += WIDTH)
        for (int p = 0; p < PARTS; p++) part[p] += vec_load(x + i + p * LANES);
    for (int p = 0; p < PARTS; p++) vec_store(lane + p * LANES, part[p]);
    for (int l = 0; i + l < count; l++) lane[l] += x[i + l];
    return lanes_sum(lane);
}

INLINE float dot_of(const float *x, const float *y, int count) {
    vec part[PARTS] = {0};
    float lane[WIDTH];
    int i = 0;

    for (; i + WIDTH <= count; i += WIDTH)
        for (int p = 0; p < PARTS; p++) part[p] += vec_load(x + i + p * LANES) * vec_load(y + i + p * LANES);
    for (int p = 0; p < PARTS; p++) vec_store(lane + p * LANES, part[p]);
    for (int l = 0; i + l < count; l++) lane[l] += x[i + l] * y[i + l];
    return lanes_sum(lane);
}

INLINE float max_of(const float *x, int count) {
    vec part[PARTS];
    float lane[WIDTH], max = -INFINITY;
    int i = 0;

    for (int p = 0; p < PARTS; p++) part[p] = vec_set(-INFINITY);
    for (; i + WIDTH <= count; i += WIDTH)
        for (int p = 0; p < PARTS; p++) part[p] = vec_max(vec_load(x + i + p * LANES), part[p]);
    for (int p = 0; p < PARTS; p++) vec_store(lane + p * LANES, part[p]);
    for (int l = 0; l < WIDTH; l++) max = lane[l] > max ? lane[l] : max;
    for (; i < count; i++) max = x[i] > max ? x[i] : max;
    return max;
}

INLINE float float_of_bits(int32_t bits) {
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

INLINE int32_t bits_of_float(float x) {
    int32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* An element's value, and the element nearest to a value, ties to even; NaN stays NaN. */
#ifdef BF16
INLINE float float_of(element x) {
    return float_of_bits((int32_t)((uint32_t)x << 16));
}

INLINE element element_of(float x) {
    uint32_t bits = (uint32_t)bits_of_float(x), rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;

    return (element)(x == x ? rounded : bits >> 16 | 0x40);
}

/* One of the two elements that x lies between: the one further from 0 for that share of all numbers that x is
 * on its way there. What is finite stays so. */
INLINE element element_by_chance(float x, uint32_t number) {
    uint32_t bits = (uint32_t)bits_of_float(x), chosen = (bits + (number >> 16)) >> 16;

    if ((bits & 0x7f800000) == 0x7f800000) return element_of(x);
    return (element)((chosen & 0x7fff) == 0x7f80 ? bits >> 16 : chosen);
}
#else
INLINE float float_of(element x) {
    return x;
}

INLINE element element_of(float x) {
    return x;
}
#endif

/* The cell at `data`, of whose elements so many are there and the others 0. */
INLINE float cell_of(const element *data, int count) {
    float cell = 0;

    memcpy(&cell, data, (count < PAIR ? (size_t)count : PAIR) * sizeof *data);
    return cell;
}

/* One step of a chain: sum + a b of two cells. Of a pair of bf16 the upper goes first, each product is exact
   and each sum rounded once, as vdpbf16ps has it; but that flushes denormals to 0. */
#ifndef BF16
INLINE vec vec_step(vec a, vec b, vec sum) {
    return vec_fma(a, b, sum);
}
#elif defined(DOT_BF16)
INLINE vec vec_step(vec a, vec b, vec sum) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}
#else
INLINE vec upper_half(vec pair) {
    return (vec)((ivec)pair & (int32_t)0xffff0000);
}

INLINE vec lower_half(vec pair) {
    return (vec)((ivec)pair << 16);
}

INLINE vec vec_step(vec a, vec b, vec sum) {
    return vec_fma(lower_half(a), lower_half(b), vec_fma(upper_half(a), upper_half(b), sum));
}
#endif

/* exp(x) to 1.1 ulp, in operations that compilers turn into vectors: 2^n e^r with |r| <= ln(2) / 2, and e^r
 * by Cephes' polynomial. 2^n comes in two factors so that it overflows to infinity and underflows through the
 * denormals to 0. */
INLINE float exp_of(float x) {
    const float shifter = 0x1.8p23f;
    float low = x < -104.0f ? -104.0f : x, y = low > 89.0f ? 89.0f : low;
    float shifted = y * 0x1.715476p0f + shifter, n = shifted - shifter;
    float r = y - n * 0.693359375f, p = 1.9875691500e-4f;
    int32_t exponent = bits_of_float(shifted) - bits_of_float(0x1.8p23f), half = exponent >> 1;

    r = r - n * -2.12194440e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return p * float_of_bits((int32_t)((uint32_t)(half + 127) << 23)) *
           float_of_bits((int32_t)((uint32_t)(exponent - half + 127) << 23));
}

#define SUM_LANES 256 /* of the blocks of a long sum in double */

/* Doubles added in pairs, l with l + width / 2 and so on; width: a power of 2. */
static inline double sum_of_pairs(double *lane, int width) {
    for (width /= 2; width; width /= 2)
        for (int l = 0; l < width; l++) lane[l] += lane[l + width];
    return lane[0];
}

#endif
