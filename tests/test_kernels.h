/* What the tests of kernels share: every backend this machine runs, noise, poisoned outputs, bitwise
 * equality, and finite differences of double-precision references. */
#ifndef TESTS_TEST_KERNELS_H
#define TESTS_TEST_KERNELS_H

#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"

#define BACKENDS     3
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* Backend i, or NULL where this machine cannot run it. */
static inline const struct kernels *backend(int i) {
    static const char *const names[BACKENDS] = {"cpu-portable", "cpu-avx2", "cpu-avx512"};

    return kernels_find(names[i]);
}

/* Numbers in [-1, 1), the same for the same seed. Freed with free(). */
static inline float *noise(size_t count, uint32_t seed) {
    float *x = malloc((count + 1) * sizeof *x);
    uint64_t state = seed * UINT64_C(2654435761) + 1;

    for (size_t i = 0; i < count; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        x[i] = (float)(int32_t)(state >> 32) * 0x1p-31f;
    }
    return x;
}

/* An output that must be overwritten: NaN everywhere. */
static inline float *poison(size_t count) {
    float *x = malloc((count + 1) * sizeof *x);

    for (size_t i = 0; i < count; i++) x[i] = NAN;
    return x;
}

static inline float *copied(const float *x, size_t count) {
    float *copy = malloc((count + 1) * sizeof *copy);

    return memcpy(copy, x, count * sizeof *copy);
}

static inline double *doubled(const float *x, size_t count) {
    double *wide = malloc((count + 1) * sizeof *wide);

    for (size_t i = 0; i < count; i++) wide[i] = (double)x[i];
    return wide;
}

static inline int same_bits(const float *a, const float *b, size_t count) {
    return !memcmp(a, b, count * sizeof *a);
}

/* The largest |got - want| / (1 + |want|); infinite where got is not a number. */
static inline double worst(const float *got, const double *want, size_t count) {
    double most = 0;

    for (size_t i = 0; i < count; i++) {
        double off = fabs((double)got[i] - want[i]) / (1 + fabs(want[i]));

        most = isnan(off) ? INFINITY : fmax(most, off);
    }
    return most;
}

/* out = f(in); `sizes` is what f needs to know. */
typedef void reference(double *out, const double *in, const void *sizes);

/* The largest relative error of got[i] - before[i] as the derivative of sum_j slope[j] f(in)[j] by in[i], by
 * central differences; before NULL: 0. */
static inline double gradient_error(reference *f, const void *sizes, const float *in, int ins, int outs,
                                    const float *slope, const float *got, const float *before) {
    double *x = doubled(in, ins), *up = malloc(outs * sizeof *up), *down = malloc(outs * sizeof *down),
           most = 0;
    const double step = 1e-5;

    for (int i = 0; i < ins; i++) {
        double sum = 0, off, kept = x[i];

        x[i] = kept + step;
        f(up, x, sizes);
        x[i] = kept - step;
        f(down, x, sizes);
        x[i] = kept;
        for (int j = 0; j < outs; j++) sum += (double)slope[j] * (up[j] - down[j]);
        sum /= 2 * step;
        off = fabs((double)got[i] - (before ? (double)before[i] : 0) - sum) / (1 + fabs(sum));
        most = isnan(off) ? INFINITY : fmax(most, off);
    }
    free(x);
    free(up);
    free(down);
    return most;
}

/* Runs a case whose tests take the backend as _i. */
static inline int run_suite(Suite *suite) {
    SRunner *runner = srunner_create(suite);
    int failures;

    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}

#endif
