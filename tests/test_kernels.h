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

#define BACKENDS     3 /* whose operands are float; those of the others are bf16 */
#define ALL_BACKENDS 7
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* Backend i, or NULL where this machine cannot run it. */
static inline const struct kernels *backend(int i) {
    static const char *const names[ALL_BACKENDS] = {"cpu-portable",      "cpu-avx2",      "cpu-avx512",
                                                    "cpu-portable-bf16", "cpu-avx2-bf16", "cpu-avx512-bf16",
                                                    "cpu-avx512bf16"};

    return kernels_find(names[i]);
}

/* What main() returns after running a suite in this process, since CUDA does not survive fork(). */
static inline int run_unforked(Suite *suite) {
    SRunner *runner = srunner_create(suite);
    int failures;

    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}

/* How much a test of a device tries: no more than it takes to start every kernel, where a checker looks at
 * every access; a few sizes, on a device in software; or all. environment: SIZES (small, few, all) */
enum sizes_tried { SMALL_SIZES, FEW_SIZES, ALL_SIZES };

static inline enum sizes_tried *sizes_tried(void) {
#ifdef EMULATED
    static enum sizes_tried tried = FEW_SIZES;
#else
    static enum sizes_tried tried = ALL_SIZES;
#endif
    static const char *const names[] = {"small", "few", "all"};
    static int asked;
    const char *wanted = getenv("SIZES");

    for (int i = 0; i < COUNT(names) && wanted && !asked; i++)
        if (!strcmp(wanted, names[i])) tried = i;
    asked = 1;
    return &tried;
}

static inline int by_sizes(int small, int few, int all) {
    enum sizes_tried tried = *sizes_tried();

    return tried == SMALL_SIZES ? small : tried == FEW_SIZES ? few : all;
}

#ifdef EMULATED
size_t emulated_kernels(void);
void emulated_name_kernels(size_t from);
#endif

/* run_unforked() of the suite that is made, which tries sizes. In the emulator small ones go first, and then
 * no others may start a kernel that those did not. */
static inline int run_sizes(Suite *make(void)) {
#ifdef EMULATED
    enum sizes_tried wanted = *sizes_tried();
    size_t reached;
    int failed;

    *sizes_tried() = SMALL_SIZES;
    failed = run_unforked(make());
    reached = emulated_kernels();
    *sizes_tried() = wanted;
    if (wanted == SMALL_SIZES) return failed;
    failed |= run_unforked(make());
    emulated_name_kernels(reached);
    return failed || emulated_kernels() > reached;
#else
    return run_unforked(make());
#endif
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

/* The largest relative error of an operand's rounding. */
static inline double roundoff(const struct kernels *k) {
    return k->operand_bytes == sizeof(float) ? 0 : 0x1p-8;
}

/* Operands that must be overwritten: NaN everywhere. */
static inline void *poison_operands(const struct kernels *k, size_t count) {
    size_t bytes = (count + 1) * k->operand_bytes;

    return memset(malloc(bytes), 0xff, bytes);
}

/* x as operands, to nearest with ties to even, and x becomes what these hold. No NaN. */
static inline void *operands_of(const struct kernels *k, float *x, size_t count) {
    char *out = poison_operands(k, count);
    const size_t bytes = k->operand_bytes;

    for (size_t i = 0; i < count; i++) {
        uint32_t bits;

        memcpy(&bits, &x[i], sizeof bits);
        if (bytes < sizeof bits) bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
        memcpy(&x[i], &bits, sizeof bits);
        memcpy(out + i * bytes, (char *)&bits + sizeof bits - bytes, bytes); /* the upper bytes come last */
    }
    return out;
}

/* What operands hold. */
static inline float *values_of(const struct kernels *k, const void *operands, size_t count) {
    float *x = calloc(count + 1, sizeof *x);
    const size_t bytes = k->operand_bytes;

    for (size_t i = 0; i < count; i++)
        memcpy((char *)&x[i] + sizeof *x - bytes, (const char *)operands + i * bytes, bytes);
    return x;
}

static inline int same_operands(const struct kernels *k, const void *a, const void *b, size_t count) {
    return !memcmp(a, b, count * k->operand_bytes);
}

static inline int same_bits(const float *a, const float *b, size_t count) {
    return !memcmp(a, b, count * sizeof *a);
}

/* What run() computes has the same bits, or is NaN, on every backend whose operands are float, with one to
 * three threads. */
static inline void expect_same_bits(float *run(const struct kernels *k, size_t *count)) {
    size_t count;
    float *first;

    kernels_threads(1);
    first = run(backend(0), &count);
    for (int b = 0; b < BACKENDS; b++)
        for (int threads = 1; backend(b) && threads <= 3; threads++) {
            float *other;

            kernels_threads(threads);
            other = run(backend(b), &count);
            for (size_t i = 0; i < count; i++)
                ck_assert_msg(same_bits(first + i, other + i, 1) || (isnan(first[i]) && isnan(other[i])),
                              "%s, %d threads, element %zu: %a, not %a", backend(b)->name, threads, i,
                              (double)other[i], (double)first[i]);
            free(other);
        }
    free(first);
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
