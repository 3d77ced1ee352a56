/* Speed that may not be lost, in ratios that hold on any machine: matrix products against the peak that is
   probed beside them, bf16 against single precision, many decoded rows against one. Processor seconds on one
   thread; medians. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/bench.h"
#include "models/bench_product.h"

#include <check.h>

enum { SKIPPED = 77, ROUNDS = 9, PROBE = 400000 };
static const struct stopwatch watch = {.cpu_time = 1, .threads = 1};

static void (*const runs[])(void *) = {product_forward, product_dx, product_dw};

static struct product product(const char *device, int rows, int outs, int ins) {
    struct product p;
    struct error err;

    ck_assert_msg(!product_create(&p, kernels_find(device), rows, outs, ins, &err), "%s", err.message);
    p.rows = rows;
    product_shape(&p, outs, ins);
    return p;
}

/* GFLOP/s. */
static double rate(struct product *p, int which) {
    int repeats = 1 + (int)(4e8 / product_operations(p));
    double from = stopwatch_seconds(&watch);

    for (int i = 0; i < repeats; i++) runs[which](p);
    return 1e-9 * product_operations(p) * repeats / (stopwatch_seconds(&watch) - from);
}

static double median(double *samples) {
    return rate_of(samples, ROUNDS).median;
}

/* Of forward and both gradients at width 512: over the probed peak, the geometric mean of medians. */
static double share_of_peak(const char *device) {
    double shares[3][ROUNDS], mean = 1;
    struct product p = product(device, 512, 1536, 512);

    for (int which = 0; which < 3; which++) runs[which](&p);
    for (int r = 0; r < ROUNDS; r++)
        for (int which = 0; which < 3; which++)
            shares[which][r] = rate(&p, which) / probe_peak(p.kernels, &watch, PROBE);
    for (int which = 0; which < 3; which++) mean *= median(shares[which]);
    product_free(&p);
    return cbrt(mean);
}

/* The same product on one device over the other. */
static double gain(const char *device, int rows, const char *other, int other_rows) {
    struct product p = product(device, rows, 3072, 768), q = product(other, other_rows, 3072, 768);
    double ratios[ROUNDS];

    product_forward(&p);
    product_forward(&q);
    for (int r = 0; r < ROUNDS; r++) ratios[r] = rate(&p, 0) / rate(&q, 0);
    product_free(&p);
    product_free(&q);
    return median(ratios);
}

START_TEST(products_reach_most_of_the_peak)
{
    static const char *const devices[] = {"cpu-avx512", "cpu-avx2"};

    for (int i = 0; i < 2; i++) {
        double share;

        if (!kernels_find(devices[i])) continue;
        share = share_of_peak(devices[i]);
        printf("%s: %.2f of the peak\n", devices[i], share);
        ck_assert_double_gt(share, 0.65);
    }
}
END_TEST

START_TEST(bf16_is_faster_where_the_processor_has_it)
{
    double ratio;

    if (strcmp(kernels_find("cpu-bf16")->name, "cpu-avx512bf16")) return;
    ratio = gain("cpu-bf16", 512, "cpu", 512);
    printf("bf16: %.2f times single precision\n", ratio);
    ck_assert_double_gt(ratio, 1.3);
}
END_TEST

START_TEST(many_rows_decode_faster_than_one)
{
    static const char *const devices[] = {"cpu", "cpu-bf16"};

    for (int i = 0; i < 2; i++) {
        double ratio = gain(devices[i], 64, devices[i], 1);

        printf("%s: 64 rows at %.1f times the rate of one\n", devices[i], ratio);
        ck_assert_double_gt(ratio, 2);
    }
}
END_TEST

/* Without the compiler's optimisation, or vectors, nothing can be said. */
static int can_tell(void) {
#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__)
    return 0;
#else
    return strcmp(kernels_find("cpu")->name, "cpu-portable") != 0;
#endif
}

int main(void) {
    Suite *suite;
    TCase *cases;
    SRunner *runner;
    int failures;

    if (!can_tell()) return SKIPPED;
    suite = suite_create("time");
    cases = tcase_create("time");
    runner = srunner_create(suite);
    kernels_threads(1);
    tcase_add_test(cases, products_reach_most_of_the_peak);
    tcase_add_test(cases, bf16_is_faster_where_the_processor_has_it);
    tcase_add_test(cases, many_rows_decode_faster_than_one);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
