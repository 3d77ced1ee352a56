/* Turning cells that lie along rows into lanes across them. */
#ifndef KERNELS_CPU_TRANSPOSE_H
#define KERNELS_CPU_TRANSPOSE_H

#include "kernels/cpu/vector.h"

/* Transposes 8 x 8: out[k * width + i] = in[i][k]. */
#if LANES >= 8
typedef float eight __attribute__((vector_size(32)));
typedef float eight_loose __attribute__((vector_size(32), aligned(2), may_alias));

INLINE void transpose(float *out, size_t width, const char *const in[8]) {
    eight r[8], s[8];

#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) r[i] = *(const eight_loose *)in[i];
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        r[i] = __builtin_shufflevector(s[i], s[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        r[i + 1] = __builtin_shufflevector(s[i], s[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        r[i + 2] = __builtin_shufflevector(s[i + 1], s[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
        r[i + 3] = __builtin_shufflevector(s[i + 1], s[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        s[i] = __builtin_shufflevector(r[i], r[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        s[i + 4] = __builtin_shufflevector(r[i], r[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++) *(eight_loose *)(out + k * width) = s[k];
}
#else
INLINE void transpose(float *out, size_t width, const char *const in[8]) {
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < 8; i++) memcpy(out + k * width + i, in[i] + k * sizeof *out, sizeof *out);
}
#endif

#endif
