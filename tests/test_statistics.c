/* The estimators against values computed with R, scipy and statsmodels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/memory.h"
#include "harness/rng.h"
#include "harness/statistics.h"
#include "harness/statistics_power.h"

#include <check.h> /* last: it defines a macro named fail */

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static void near(double got, double expected, double tolerance) {
    ck_assert_msg(fabs(got - expected) <= tolerance * fmax(fabs(expected), 1e-300) || got == expected,
                  "got %.15g, expected %.15g", got, expected);
}

/* As pinned: ten digits after the point, or a relative 1e-9. */
static void pinned(double got, double expected) {
    ck_assert_msg(fabs(got - expected) <= fmax(5.1e-11, 1e-9 * fabs(expected)), "got %.15g, expected %.15g",
                  got, expected);
}

START_TEST(wilson_matches_prop_test)
{
    static const struct {
        int k, n;
        double level, low, high;
    } cases[] = {{0, 10, 0.95, 0, 0.2775327999},
                 {1, 10, 0.95, 0.0178762131, 0.4041500268},
                 {5, 8, 0.95, 0.3057423946, 0.8631557142},
                 {16, 250, 0.95, 0.0397747453, 0.1014214919},
                 {149, 250, 0.95, 0.5341653599, 0.6549290466},
                 {250, 250, 0.95, 0.9848667005, 1},
                 {16, 250, 0.90, 0.0429164368, 0.0944194640},
                 {16, 250, 0.99, 0.0343357477, 0.1162084578}};
    struct interval got;
    struct error err;

    for (int i = 0; i < COUNT(cases); i++) {
        ck_assert_int_eq(rate_wilson(&got, cases[i].k, cases[i].n, cases[i].level, &err), 0);
        pinned(got.low, cases[i].low);
        pinned(got.high, cases[i].high);
    }
    ck_assert_int_eq(rate_wilson(&got, 0, 0, 0.95, &err), -1);
    ck_assert_str_eq(err.message, "no observations");
    ck_assert_int_eq(rate_wilson(&got, 11, 10, 0.95, &err), -1);
}
END_TEST

START_TEST(clopper_pearson_matches_binom_test)
{
    static const struct {
        int k, n;
        double low, high;
    } cases[] = {{0, 10, 0, 0.3084971078},
                 {1, 10, 0.0025285785, 0.4450161170},
                 {5, 8, 0.2448632164, 0.9147665859},
                 {16, 250, 0.0370207382, 0.1018530306},
                 {149, 250, 0.5323319836, 0.6573635366},
                 {250, 250, 0.9853528114, 1}};
    struct interval got;
    struct error err;

    for (int i = 0; i < COUNT(cases); i++) {
        ck_assert_int_eq(rate_clopper_pearson(&got, cases[i].k, cases[i].n, 0.95, &err), 0);
        pinned(got.low, cases[i].low);
        pinned(got.high, cases[i].high);
    }
    ck_assert_int_eq(rate_clopper_pearson(&got, -1, 10, 0.95, &err), -1);
    ck_assert_int_eq(rate_clopper_pearson(&got, 17463, 34926, 0.9999, &err), 0); /* GSL's inverse gives up */
    near(got.low, 0.4895778366100743, 1e-9);
    near(got.high, 0.5104221633899257, 1e-9);
}
END_TEST

START_TEST(difference_of_rates_is_newcombes)
{
    static const struct {
        int a, n_a, b, n_b;
        double value, low, high;
    } cases[] = {{56, 70, 48, 80, 0.2, 0.0524314724, 0.3338726540},
                 {9, 10, 3, 10, 0.6, 0.1705227239, 0.8090179735},
                 {149, 250, 74, 250, 0.3, 0.2143064975, 0.3793597939}};
    struct estimate got;
    struct error err;

    for (int i = 0; i < COUNT(cases); i++) {
        ck_assert_int_eq(
            rate_difference(&got, cases[i].a, cases[i].n_a, cases[i].b, cases[i].n_b, 0.95, &err), 0);
        pinned(got.value, cases[i].value);
        pinned(got.low, cases[i].low);
        pinned(got.high, cases[i].high);
    }
    ck_assert_int_eq(rate_difference(&got, 1, 2, 0, 0, 0.95, &err), -1);
}
END_TEST

/* Newcombe 1998 prints 0.0562 … 0.3292 for 20, 12, 2, 16. */
START_TEST(paired_rates_use_the_pairing)
{
    static const struct {
        int both, a, b, neither;
        double value, low, high;
    } cases[] = {{20, 12, 2, 16, 0.2, 0.0561564248417483, 0.3292069954001405},
                 {36, 12, 2, 0, 0.2, 0.0569295840032388, 0.3404276029749406},
                 {30, 15, 5, 50, 0.1, 0.0122161016849878, 0.1849178056894660},
                 {0, 10, 2, 0, 2 / 3.0, 0.1039382754940532, 0.9060697156322925}};
    struct estimate got;
    struct error err;

    for (int i = 0; i < COUNT(cases); i++) {
        ck_assert_int_eq(
            rate_paired(&got, cases[i].both, cases[i].a, cases[i].b, cases[i].neither, 0.95, &err), 0);
        near(got.value, cases[i].value, 1e-9);
        near(got.low, cases[i].low, 1e-9);
        near(got.high, cases[i].high, 1e-9);
        near(got.p, mcnemar_exact(cases[i].a, cases[i].b), 1e-15);
    }
    ck_assert_int_eq(rate_paired(&got, 0, 0, 0, 0, 0.95, &err), -1);
    ck_assert_int_eq(rate_paired(&got, 9, 0, 0, 0, 0.95, &err), 0); /* all pairs agree: still an interval */
    near(got.p, 1, 0);
    ck_assert(got.low < 0 && got.high > 0);
}
END_TEST

START_TEST(mcnemar_is_exact_and_mid)
{
    static const struct {
        int b, c;
        double exact, mid;
    } cases[] = {{5, 15, 0.041389465332, 0.0266036987305},
                 {1, 8, 0.0390625, 0.021484375},
                 {40, 22, 0.0300158643491, 0.0225749726733},
                 {0, 0, 1, 1}};
    double statistic, p;

    for (int i = 0; i < COUNT(cases); i++) {
        pinned(mcnemar_exact(cases[i].b, cases[i].c), cases[i].exact);
        pinned(mcnemar_exact(cases[i].c, cases[i].b), cases[i].exact);
        pinned(mcnemar_mid(cases[i].b, cases[i].c), cases[i].mid);
    }
    pinned(mcnemar_exact(12, 3), 0.03515625);
    mcnemar_chi_square(&statistic, &p, 5, 15, 0);
    near(statistic, 5, 1e-12);
    pinned(p, 0.02534731868);
    mcnemar_chi_square(&statistic, &p, 5, 15, 1);
    near(statistic, 4.05, 1e-12);
    pinned(p, 0.04417134491);
    mcnemar_chi_square(&statistic, &p, 4, 4, 1);
    near(p, 1, 0);
    mcnemar_chi_square(&statistic, &p, 0, 0, 0);
    near(p, 1, 0);
    near(mcnemar_exact(4, 4), 1, 0);
}
END_TEST

START_TEST(fisher_matches_r)
{
    static const struct {
        int a, b, c, d;
        double p;
    } cases[] = {{3, 1, 1, 3, 0.485714285714},
                 {12, 5, 3, 20, 0.000299989421674},
                 {149, 101, 74, 176, 1.94765359194e-11},
                 {0, 250, 16, 234, 2.38213651458e-5}};
    struct error err;
    double p;

    for (int i = 0; i < COUNT(cases); i++) {
        ck_assert_int_eq(fisher_exact(&p, cases[i].a, cases[i].b, cases[i].c, cases[i].d, &err), 0);
        near(p, cases[i].p, 1e-9);
    }
    ck_assert_int_eq(fisher_exact(&p, 0, 0, 1, 2, &err), -1);
    ck_assert_int_eq(fisher_exact(&p, 2, 0, 3, 0, &err), 0);
    near(p, 1, 1e-12);
    ck_assert_int_eq(odds_ratio(&p, 149, 101, 74, 176, &err), 0);
    near(p, 3.508696816, 1e-9);
    ck_assert_int_eq(odds_ratio(&p, 1, 0, 2, 3, &err), -1);
    ck_assert_str_eq(err.message, "no finite odds ratio: a cell of the table is 0");
}
END_TEST

START_TEST(paired_mean_is_narrower_than_unpaired)
{
    const double a[] = {1, 0, 1, 1, 0, 1, 1, 0, 1, 1}, b[] = {0, 0, 1, 0, 0, 1, 1, 1, 1, 0};
    struct estimate got;
    struct error err;

    ck_assert_int_eq(mean_paired(&got, a, b, NULL, 10, 0.95, &err), 0);
    near(got.value, 0.2, 1e-9);
    near(got.error, 0.2, 1e-9);
    near(got.t, 1, 1e-9);
    near(got.freedom, 9, 0);
    near(got.p, 0.343436396138, 1e-9);
    near(got.low, -0.25243143256, 1e-9);
    near(got.high, 0.65243143256, 1e-9);
    ck_assert_int_eq(mean_difference(&got, a, 10, b, 10, 0.95, &err), 0);
    near(got.error, 0.226077666104, 1e-9);
}
END_TEST

START_TEST(welch_matches_scipy)
{
    const double a[] = {1, 2, 3.5, 4}, b[] = {2, 2.5, 7, 8, 11};
    struct estimate got;
    struct error err;

    ck_assert_int_eq(mean_difference(&got, a, 4, b, 5, 0.95, &err), 0);
    near(got.t, -1.8890450080120225, 1e-9);
    near(got.freedom, 5.224304928240596, 1e-9);
    near(got.p, 0.11501052942128147, 1e-9);
    near(got.low, -8.143305341739431, 1e-9);
    near(got.high, 1.1933053417394328, 1e-9);
    ck_assert_int_eq(mean_difference(&got, a, 1, b, 5, 0.95, &err), -1);
}
END_TEST

START_TEST(what_has_no_spread_says_so)
{
    const double same[] = {2, 2, 2};
    const int one[] = {7, 7, 7};
    const double rows[] = {1, 2, 4}, steps[] = {0.3, 0.4, 0.8}, rounded[] = {0.2, 0.3, 0.7};
    struct estimate got;
    struct error err;

    ck_assert_int_eq(mean_simple(&got, same, 3, 0.95, &err), -1);
    ck_assert_str_eq(err.message, "no variance: all observations are equal");
    near(got.value, 2, 0);
    ck_assert_int_eq(mean_simple(&got, same, 1, 0.95, &err), -1);
    near(got.value, 2, 0);
    ck_assert_int_eq(mean_simple(&got, same, 0, 0.95, &err), -1);
    ck_assert_int_eq(mean_clustered(&got, rows, one, 3, 0.95, &err), -1);
    near(got.value, 7 / 3.0, 1e-15);
    ck_assert_str_eq(err.message, "one cluster has no spread");
    ck_assert_int_eq(mean_difference(&got, same, 3, same, 3, 0.95, &err), -1);
    near(got.value, 0, 0);
    ck_assert_int_eq(mean_paired(&got, steps, rounded, NULL, 3, 0.95, &err),
                     -1); /* all 0.1, but for rounding */
    ck_assert_str_eq(err.message, "no variance: all observations are equal");
    near(got.value, 0.1, 1e-9);
}
END_TEST

START_TEST(clustered_errors_match_vcovcl)
{
    const double y[] = {1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1, 0};
    const int cluster[] = {5, 5, 5, 2, 2, 9, 9, 9, 9, 1, 4, 4};
    const double z[] = {.2, .7, .8, .9, .1, .65, .4, .35, .5};
    const int mixed[] = {0, 1, 2, 0, 1, 2, 0, 1, 2}; /* rows in any order */
    struct estimate got;
    struct error err;

    ck_assert_int_eq(mean_clustered(&got, y, cluster, 12, 0.95, &err), 0);
    near(got.error, 0.0885246443332, 1e-9);
    near(got.freedom, 4, 0);
    ck_assert_int_eq(mean_simple(&got, y, 12, 0.95, &err), 0);
    near(got.error, 0.148647097503, 1e-9);
    ck_assert_int_eq(mean_clustered(&got, z, mixed, 9, 0.95, &err), 0);
    near(got.error, 0.0771802443858, 1e-9);
    ck_assert_int_eq(mean_simple(&got, z, 9, 0.95, &err), 0);
    near(got.error, 0.0908210151348, 1e-9);
}
END_TEST

/* HC0 without C/(C - 1), the form of Miller's paper: the naive variance plus the covariances within clusters.
 */
static double uncorrected(const double *values, const int *cluster, int n) {
    double mean = 0, sum = 0;

    for (int i = 0; i < n; i++) mean += values[i] / n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            if (cluster[i] == cluster[j]) sum += (values[i] - mean) * (values[j] - mean);
    return sqrt(sum) / n;
}

START_TEST(clustered_errors_are_millers_times_the_correction)
{
    const double y[] = {1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1, 0}, z[] = {.2, .9, .4, .7, .1, .35, .8, .65, .5};
    const int cluster[] = {0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 4, 4}, threes[] = {0, 0, 0, 1, 1, 1, 2, 2, 2};
    struct estimate got;
    struct error err;

    near(uncorrected(y, cluster, 12), 0.0791788489652, 1e-9);
    near(uncorrected(z, threes, 9), 0.0630174056562, 1e-9);
    ck_assert_int_eq(mean_clustered(&got, y, cluster, 12, 0.95, &err), 0);
    near(got.error, uncorrected(y, cluster, 12) * sqrt(5 / 4.0), 1e-12);
    ck_assert_int_eq(mean_clustered(&got, z, threes, 9, 0.95, &err), 0);
    near(got.error, uncorrected(z, threes, 9) * sqrt(3 / 2.0), 1e-12);
}
END_TEST

/* Differences 1 1 | 0 | 1 0 of three prompts: mean 0.6, clusters' deviations 0.8, -0.6, -0.2. */
START_TEST(paired_means_take_clusters)
{
    const double a[] = {2, 3, 1, 5, 0}, b[] = {1, 2, 1, 4, 0};
    const int cluster[] = {3, 3, 1, 8, 8}, own[] = {0, 1, 2, 3, 4};
    struct estimate got, plain;
    struct error err;

    ck_assert_int_eq(mean_paired(&got, a, b, cluster, 5, 0.95, &err), 0);
    near(got.value, 0.6, 1e-12);
    near(got.error, sqrt((.64 + .36 + .04) * 1.5) / 5, 1e-12);
    near(got.freedom, 2, 0);
    ck_assert_int_eq(mean_paired(&got, a, b, own, 5, 0.95, &err), 0);
    ck_assert_int_eq(mean_paired(&plain, a, b, NULL, 5, 0.95, &err), 0);
    near(got.error, plain.error, 1e-12); /* a cluster a pair is no cluster */
    near(got.p, plain.p, 1e-12);
}
END_TEST

START_TEST(what_is_no_number_says_where)
{
    const double hole[] = {1, 2, NAN, 4}, whole[] = {1, 3, 2, 5}, wide[] = {1e308, -1e308, 1e308, -1e308};
    const int cluster[] = {0, 0, 1, 1};
    struct bootstrap how = {1, 1000, 0.95, BOOTSTRAP_PERCENTILE};
    struct bootstrapped resampled;
    struct correlation along;
    struct interval interval;
    struct estimate got;
    struct gao_fit fit;
    struct error err;
    double out[4];

    ck_assert_int_eq(mean_simple(&got, hole, 4, 0.95, &err), -1);
    ck_assert_str_eq(err.message, "observation 3 of 4 is not a finite number");
    ck_assert_int_eq(mean_paired(&got, whole, hole, NULL, 4, 0.95, &err), -1);
    ck_assert_int_eq(mean_clustered(&got, hole, cluster, 4, 0.95, &err), -1);
    ck_assert_int_eq(mean_difference(&got, whole, 4, hole, 4, 0.95, &err), -1);
    ck_assert_int_eq(win_rate(&got, hole, 4, 0.95, &err), -1);
    ck_assert_int_eq(sign_flip(out, hole, 4, 1, &err), -1);
    ck_assert_int_eq(quantile(out, hole, 4, 0.5, &err), -1);
    ck_assert_int_eq(bootstrap_mean(&resampled, hole, whole, 4, &how, &err), -1);
    ck_assert_int_eq(pearson(&along, whole, hole, 4, 0.95, &err), -1);
    ck_assert_int_eq(spearman(&along, hole, whole, 4, 0.95, &err), -1);
    ck_assert_int_eq(kendall(&along, hole, whole, 4, &err), -1);
    ck_assert_int_eq(partial_spearman(&along, whole, hole, whole, 4, 0.95, &err), -1);
    ck_assert_int_eq(partial_pearson(&along, whole, whole, hole, 4, 0.95, &err), -1);
    ck_assert_int_eq(lowess(out, whole, hole, 4, 0.5, 3, &err), -1);
    ck_assert_int_eq(gao_fit(&fit, GAO_RL, whole, hole, 4, &err), -1);
    ck_assert_int_eq(best_of_n(out, whole, hole, 4, 2, &err), -1);
    ck_assert_int_eq(mean_simple(&got, wide, 4, 0.95, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "too large"));
    ck_assert_int_eq(mean_simple(&got, whole, 4, 1, &err), -1);
    ck_assert_str_eq(err.message, "a level of 1, expected one between 0 and 1");
    ck_assert_int_eq(rate_wilson(&interval, 1, 2, 0, &err), -1);
    ck_assert_int_eq(rate_clopper_pearson(&interval, 1, 2, NAN, &err), -1);
    ck_assert_int_eq(rate_paired(&got, 1, 2, 3, 4, 2, &err), -1);
    ck_assert_int_eq(rate_paired(&got, 1, -2, 3, 4, 0.95, &err), -1);
    how.level = 1;
    ck_assert_int_eq(bootstrap_mean(&resampled, whole, whole, 4, &how, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "a level of 1"));
}
END_TEST

START_TEST(win_rate_counts_ties_half)
{
    const double ties[] = {.5, 1, 1, 0, .5, 1, 0, 1}, halves[] = {.5, .5}, wrong[] = {0, 2};
    double decisive[100] = {0};
    struct estimate got;
    struct interval wilson;
    struct error err;

    ck_assert_int_eq(win_rate(&got, ties, 8, 0.95, &err), 0);
    near(got.value, 0.625, 1e-12);
    near(got.p, 0.451238872001678, 1e-9);
    near(got.low, 0.2544733286198138, 1e-9);
    near(got.high, 0.9955266713801862, 1e-9);
    for (int i = 0; i < 60; i++) decisive[i] = 1;
    ck_assert_int_eq(win_rate(&got, decisive, 100, 0.95, &err), 0);
    ck_assert_int_eq(rate_wilson(&wilson, 60, 100, 0.95, &err), 0);
    pinned(got.p, 0.056887933641);
    near(got.low, wilson.low, 0);
    near(got.high, wilson.high, 0);
    ck_assert_int_eq(win_rate(&got, decisive + 51, 10, 0.95, &err), 0); /* 9 of 10 */
    pinned(got.p, 0.021484375);
    ck_assert_int_eq(win_rate(&got, halves, 2, 0.95, &err), -1);
    near(got.value, 0.5, 0);
    ck_assert_int_eq(win_rate(&got, wrong, 2, 0.95, &err), -1);
    ck_assert_int_eq(win_rate(&got, wrong, 0, 0.95, &err), -1);
}
END_TEST

START_TEST(sign_flip_enumerates_then_samples)
{
    const double d[] = {.3, -.1, .4, .2, .25, -.05, .1, .35}, zeros[] = {0, 0};
    double padded[28] = {0}, wide[40], p, again;
    struct error err;

    ck_assert_int_eq(sign_flip(&p, d, 8, 1, &err), 0);
    near(p, 0.046875, 1e-12);
    memcpy(padded, d, sizeof d);
    ck_assert_int_eq(sign_flip(&p, padded, 28, 1, &err), 0); /* zeros have no sign to flip */
    near(p, 0.046875, 1e-12);
    ck_assert_int_eq(sign_flip(&p, zeros, 2, 1, &err), 0);
    near(p, 1, 0);
    ck_assert_int_eq(sign_flip(&p, d, 0, 1, &err), -1);
    for (int i = 0; i < 40; i++) wide[i] = i < 26 ? 1 : -1; /* P(|26 - 14| or more) = 0.0807 by binomial */
    ck_assert_int_eq(sign_flip(&p, wide, 40, 3, &err), 0);
    ck_assert_int_eq(sign_flip(&again, wide, 40, 3, &err), 0);
    near(p, mcnemar_exact(14, 26), 0.05);
    near(p, again, 0);
    for (int i = 0; i < 40; i++) wide[i] = 1 + i; /* of 2^40 patterns two are as far out: none is drawn */
    ck_assert_int_eq(sign_flip(&p, wide, 40, 3, &err), 0);
    near(p, 1 / 100001., 0);
    near(sign_flip_floor(wide, 40), p, 0);
    ck_assert(isnan(sign_flip_floor(padded, 28))); /* all are counted */
}
END_TEST

/* Forty digits of the incomplete beta function (mpmath). */
START_TEST(students_p_keeps_its_digits_far_out)
{
    near(student_p(13.197428795007605, 36), 2.324511066502147e-15, 1e-12);
    near(student_p(-13.197428795007605, 36), 2.324511066502147e-15, 1e-12);
    near(student_p(0, 4), 1, 1e-15);
    near(student_p(1, 1), 0.5, 1e-12);
    near(student_p(HUGE_VAL, 4), 0, 0);
}
END_TEST

START_TEST(quantiles_are_type_7)
{
    const double x[] = {10, 2, 3, 4, 5, 6, 7, 8, 9, 1};
    struct error err;
    double got;

    ck_assert_int_eq(quantile(&got, x, 10, 0.025, &err), 0);
    near(got, 1.225, 1e-12);
    ck_assert_int_eq(quantile(&got, x, 10, 0.975, &err), 0);
    near(got, 9.775, 1e-12);
    ck_assert_int_eq(quantile(&got, x, 10, 1, &err), 0);
    near(got, 10, 0);
    ck_assert_int_eq(quantile(&got, x, 0, 0.5, &err), -1);
    ck_assert_int_eq(quantile(&got, x, 3, 1.5, &err), -1);
}
END_TEST

START_TEST(multiplicity_matches_p_adjust)
{
    const double p[] = {.01, .04, .03, .005, .6, .2}, with_gap[] = {.01, NAN, .04};
    const double holm[] = {.05, .12, .12, .03, .6, .4}, bh[] = {.03, .06, .06, .03, .6, .24};
    const double tied[] = {.02, .02, .02};
    const double bonferroni[] = {.06, .24, .18, .03, 1, 1};
    double got[6];

    adjust_holm(got, p, 6);
    for (int i = 0; i < 6; i++) near(got[i], holm[i], 1e-9);
    adjust_bonferroni(got, p, 6);
    for (int i = 0; i < 6; i++) near(got[i], bonferroni[i], 1e-9);
    adjust_holm(got, tied, 3);
    for (int i = 0; i < 3; i++) near(got[i], .06, 1e-9);
    adjust_bonferroni(got, with_gap, 3);
    near(got[2], .08, 1e-9);
    ck_assert(isnan(got[1]));
    adjust_benjamini_hochberg(got, p, 6);
    for (int i = 0; i < 6; i++) near(got[i], bh[i], 1e-9);
    adjust_holm(got, with_gap, 3);
    near(got[0], .02, 1e-9);
    ck_assert(isnan(got[1]));
    near(got[2], .04, 1e-9);
}
END_TEST

/* McDonald's Handbook of Biological Statistics, the 25 dietary variables. */
START_TEST(multiplicity_matches_mcdonald)
{
    const double p[25] = {0.001, 0.008, 0.039, 0.041, 0.042, 0.06,  0.074, 0.205, 0.212,
                          0.216, 0.222, 0.251, 0.269, 0.275, 0.34,  0.341, 0.384, 0.569,
                          0.594, 0.696, 0.762, 0.94,  0.942, 0.975, 0.986};
    const double bh[] = {0.025, 0.1, 0.21, 0.21, 0.21, 0.25, 0.264285714286, 0.491071428571};
    const double holm[] = {0.025, 0.192, 0.897, 0.902, 0.902};
    double got[25];

    adjust_benjamini_hochberg(got, p, 25);
    for (int i = 0; i < COUNT(bh); i++) near(got[i], bh[i], 1e-9);
    adjust_holm(got, p, 25);
    for (int i = 0; i < COUNT(holm); i++) near(got[i], holm[i], 1e-9);
}
END_TEST

START_TEST(paired_power_is_millers)
{
    struct paired_design design = {1 / 9.0, 1 / 6.0, 1 / 6.0, 1, 1, 0.05, 0.8};

    near(paired_sample_size(&design, .03), 3875.98999227, 1e-9);
    pinned(paired_detectable(&design, 1000), 0.0590626023);
    design.answers_a = design.answers_b = 10;
    near(paired_sample_size(&design, .03), 1259.69674749, 1e-9);
    pinned(paired_detectable(&design, 1000), 0.0336708639);
    design = (struct paired_design){.25, 0, 0, 1, 1, 0.05, 0.8};
    near(paired_sample_size(&design, .05), 784.887973435, 1e-9);
    pinned(paired_detectable(&design, 1000), 0.0442969517);
    near(paired_power(&design, 784.887973435, .05), 0.8, 1e-9);
    near(paired_power(&design, 1000, -0.0442969517), 0.8, 1e-8);
    pinned(detectable_effect(sqrt(.25 / 1000), 0.05, 0.8), 0.0442969517);
}
END_TEST

START_TEST(power_of_rates_matches_r_and_exact_sums)
{
    static const struct {
        int n;
        double half;
    } wilson[] = {{100, 0.096168}, {250, 0.061509}, {400, 0.048765}, {805, 0.034458}, {1000, 0.030930}};
    struct error err;
    double got;

    ck_assert_int_eq(rate_sample_size(&got, .5, .55, .05, .8, &err), 0);
    near(got, 782.52595521, 1e-9);
    ck_assert_int_eq(rate_sample_size(&got, .5, .6, .05, .8, &err), 0);
    near(got, 193.847285883, 1e-9);
    ck_assert_int_eq(sign_test_power(&got, 100, .6, .05, &err), 0);
    near(got, 0.462093382348, 1e-9);
    ck_assert_int_eq(sign_test_power(&got, 200, .6, .05, &err), 0);
    near(got, 0.786848265308, 1e-9);
    ck_assert_int_eq(sign_test_power(&got, 805, .55, .05, &err), 0);
    near(got, 0.807339800635, 1e-9);
    ck_assert_int_eq(two_rates_sample_size(&got, .5, .6, .05, .8, &err), 0);
    near(got, 387.338516696, 1e-9);
    ck_assert_int_eq(two_rates_sample_size(&got, .05, .15, .05, .9, &err), 0);
    near(got, 187.047685819, 1e-9);
    ck_assert_int_eq(two_rates_power(&got, 200, .10, .20, .05, &err), 0);
    near(got, 0.802048372472, 1e-9);
    ck_assert_int_eq(two_rates_detectable(&got, 387.338516696, .5, .05, .8, &err), 0);
    near(got, 0.1, 1e-9);
    ck_assert_int_eq(mcnemar_power(&got, 100, .3, .7, .05, &err), 0);
    near(got, 0.524697580162, 1e-9);
    ck_assert_int_eq(mcnemar_power(&got, 200, .2, .65, .05, &err), 0);
    near(got, 0.418860932234, 1e-9);
    near(cohens_h(.6, .5), 0.20135792079, 1e-9);
    ck_assert_int_eq(rate_power(&got, 782.52595521, .5, .55, .05, &err), 0);
    near(got, .8, 1e-9);
    ck_assert_int_eq(rate_detectable(&got, 193.847285883, .5, .05, .8, &err), 0);
    near(got, .1, 1e-9);
    ck_assert_int_eq(mcnemar_sample_size(&got, .3, .7, .05, .524697580162, &err), 0);
    near(got, 100, 0);
    ck_assert_int_eq(mcnemar_detectable(&got, 200, .2, .05, .418860932234, &err), 0);
    ck_assert_double_eq_tol(got, .2 * (2 * .65 - 1), 1e-8);
    ck_assert_int_eq(wilson_sample_size(&got, .5, 0.0344585, &err), 0);
    near(got, 805, 0);
    for (int i = 0; i < COUNT(wilson); i++) {
        ck_assert_int_eq(wilson_half_width(&got, .5, wilson[i].n, &err), 0);
        ck_assert_double_eq_tol(got, wilson[i].half, 5.1e-7);
    }
    ck_assert_int_eq(rate_sample_size(&got, .5, .5, .05, .8, &err), -1);
    ck_assert_int_eq(two_rates_detectable(&got, 3, .5, .05, .8, &err), -1);
    ck_assert_int_eq(rate_power(&got, 10, .5, 1, .05, &err), -1);
    ck_assert_int_eq(mcnemar_sample_size(&got, .3, .5, .05, .8, &err), -1);
    ck_assert_int_eq(mcnemar_detectable(&got, 5, .3, .05, .8, &err), -1);
    ck_assert_int_eq(mcnemar_power(&got, 5, 1.3, .5, .05, &err), -1);
    ck_assert_int_eq(wilson_sample_size(&got, .5, 0, &err), -1);
}
END_TEST

START_TEST(lowess_matches_r)
{
    static const double y[] = {0.7494, 0.8315, 1.4975, 1.9093, 1.1285, 1.1411, 0.6292,
                               0.7732, 0.2225, 0.7411, 0.5445, 1.5406, 2.3451, 2.6670,
                               3.4580, 3.0394, 3.4085, 3.2221, 2.5748, 2.5360};
    static const double plain[] = {2.1, 3.9, 6.2, 7.8, 10.1, 9.0, 14.2, 15.8, 30.0, 20.1};
    double x[20], got[20], line[20];
    struct error err;

    for (int i = 0; i < 20; i++) x[i] = 0.5 * (i + 1);
    ck_assert_int_eq(lowess(got, x, y, 20, 0.4, 3, &err), 0);
    pinned(got[0], 0.878483365385);
    pinned(got[9], 0.850675311403);
    pinned(got[19], 2.590178287187);
    ck_assert_int_eq(lowess(got, x, y, 20, 2.0 / 3, 3, &err), 0);
    pinned(got[0], 1.185448488289);
    pinned(got[9], 1.085765964504);
    pinned(got[19], 3.156897846695);
    for (int i = 0; i < 10; i++) x[i] = i + 1;
    ck_assert_int_eq(lowess(got, x, plain, 10, 2.0 / 3, 0, &err), 0);
    pinned(got[0], 2.06062974128);
    pinned(got[9], 24.84388163021);
    for (int i = 0; i < 20; i++) line[i] = 3 * x[i] + 1;
    ck_assert_int_eq(lowess(got, x, line, 10, 0.5, 3, &err),
                     0); /* exact: rounds stop, nothing divides by 0 */
    for (int i = 0; i < 10; i++) ck_assert_double_eq_tol(got[i], line[i], 1e-12);
    for (int i = 0; i < 10; i++) line[i] = i == 9 ? 90 : i % 2; /* its two neighbours have no weight left */
    ck_assert_int_eq(lowess(got, x, line, 10, 0.2, 3, &err), 0);
    for (int i = 0; i < 10; i++) ck_assert(isfinite(got[i]));
    ck_assert_int_eq(lowess(got, y, x, 20, 0.5, 3, &err), -1);
    ck_assert_int_eq(lowess(got, x, y, 1, 0.5, 3, &err), -1);
}
END_TEST

static double mean_of(const void *data, const int *picked, int count) {
    const double *x = data;
    double sum = 0;

    for (int i = 0; i < count; i++) sum += x[picked[i]];
    return sum / count;
}

static const struct bootstrap percentile = {.seed = 7, .resamples = 10000, .level = 0.95};

/* The quantiles of all 256 resamples of (0, 1, 1, 3) are 0.25, 2.5 at 2.5 % and 97.5 %, the sd 0.545. */
START_TEST(percentile_bootstrap_nears_full_enumeration)
{
    const double x[] = {0, 1, 1, 3}, ones[] = {1, 1, 1, 1};
    struct bootstrapped got, fast;
    struct error err;

    ck_assert_int_eq(bootstrap_run(&got, mean_of, x, 4, &percentile, &err), 0);
    near(got.value, 1.25, 0);
    near(got.low, 0.25, 0);
    near(got.high, 2.5, 0);
    near(got.error, 0.544862367943, 0.02);
    ck_assert_int_eq(got.used, 10000);
    ck_assert_int_eq(bootstrap_mean(&fast, x, ones, 4, &percentile, &err), 0);
    ck_assert_int_eq(memcmp(&got, &fast, sizeof got), 0);
}
END_TEST

/* Every one of the 256 equally likely resamples: what the quantiles tend to. */
START_TEST(all_resamples_have_the_enumerated_quantiles)
{
    const double x[] = {0, 1, 1, 3}, at[] = {.025, .05, .5, .95, .975},
                 expected[] = {.25, .5, 1.25, 2.0625, 2.5};
    double means[256], got, sum = 0, squares = 0;
    struct error err;

    for (int i = 0; i < 256; i++) {
        const int picked[] = {i & 3, i >> 2 & 3, i >> 4 & 3, i >> 6};

        means[i] = mean_of(x, picked, 4);
        sum += means[i] / 256;
        squares += means[i] * means[i] / 256;
    }
    near(sqrt(squares - sum * sum), 0.544862367943, 1e-9);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(quantile(&got, means, 256, at[i], &err), 0);
        near(got, expected[i], 1e-12);
    }
}
END_TEST

START_TEST(bca_matches_r_boot)
{
    const double x[] = {.1, .2, .2, .4, .5, .6, .9, 1.4, 2.2, 3.9};
    struct bootstrap how = {.seed = 1, .resamples = 200000, .level = 0.95};
    struct bootstrapped got;
    struct error err;

    ck_assert_int_eq(bootstrap_run(&got, mean_of, x, 10, &how, &err), 0);
    ck_assert_double_eq_tol(got.low, 0.44, 0.02);
    ck_assert_double_eq_tol(got.high, 1.82, 0.02);
    how.kind = BOOTSTRAP_BCA;
    ck_assert_int_eq(bootstrap_run(&got, mean_of, x, 10, &how, &err), 0);
    ck_assert_double_eq_tol(got.low, 0.52, 0.02);
    ck_assert_double_eq_tol(got.high, 2.05, 0.02);
    near(got.skew, 0.08119629012, 1e-9);
}
END_TEST

START_TEST(clusters_are_resampled_whole)
{
    const double sum[] = {3, 0, 2, 1}, weight[] = {3, 2, 2, 4};
    double sum_x10[4], weight_x10[4];
    struct bootstrapped got, again;
    struct error err;

    for (int i = 0; i < 4; i++) {
        sum_x10[i] = 10 * sum[i];
        weight_x10[i] = 10 * weight[i];
    }
    ck_assert_int_eq(bootstrap_mean(&got, sum, weight, 4, &percentile, &err), 0);
    near(got.value, 6 / 11.0, 1e-15);
    ck_assert_int_eq(bootstrap_mean(&again, sum_x10, weight_x10, 4, &percentile, &err), 0);
    near(got.low, again.low, 1e-12); /* more rows in the same clusters tell nothing new */
    near(got.high, again.high, 1e-12);
}
END_TEST

START_TEST(bootstrap_difference_is_paired)
{
    double a[200], b[200], ones[200];
    struct bootstrapped got;
    struct estimate student;
    struct error err;

    for (int i = 0; i < 200; i++) {
        struct rng rng = rng_stream(5, "test", i, 0);
        ones[i] = 1;
        b[i] = 10 * rng_normal(&rng); /* prompts differ far more than policies */
        a[i] = b[i] + 0.3 + rng_normal(&rng);
    }
    ck_assert_int_eq(bootstrap_difference(&got, a, ones, b, ones, 200, &percentile, &err), 0);
    ck_assert_int_eq(mean_paired(&student, a, b, NULL, 200, 0.95, &err), 0);
    near(got.value, student.value, 1e-9);
    near(got.error, student.error, 0.05);
    ck_assert_double_eq_tol(got.low, student.low, 0.02);
    ck_assert_double_eq_tol(got.high, student.high, 0.02);
    ck_assert(got.p < 0.01 && student.p < 0.01);
}
END_TEST

/* Beyond 65,536 clusters an index takes a whole word. */
START_TEST(many_clusters_are_drawn_alike)
{
    enum { CLUSTERS = 70000 };
    static double x[CLUSTERS], ones[CLUSTERS];
    struct bootstrap how = {.seed = 3, .resamples = 200, .level = 0.95};
    struct bootstrapped got;
    struct error err;

    for (int i = 0; i < CLUSTERS; i++) {
        x[i] = i % 7;
        ones[i] = 1;
    }
    ck_assert_int_eq(bootstrap_mean(&got, x, ones, CLUSTERS, &how, &err), 0);
    near(got.value, 3, 1e-4);
    near(got.error, 2 / sqrt(CLUSTERS), 0.25);
}
END_TEST

START_TEST(bootstrap_refuses_what_it_cannot_do)
{
    const double x[] = {2, 2, 2}, ones[] = {1, 1, 1}, none[] = {0, 0, 0}, rare[] = {1, 0, 0};
    const double thirds[] = {1, 3, 7}, tenths[] = {0.1, 0.3, 0.7};
    struct bootstrap few = {.seed = 1, .resamples = 10, .level = 0.95};
    struct bootstrapped got;
    struct error err;

    ck_assert_int_eq(bootstrap_run(&got, mean_of, x, 3, &percentile, &err), -1);
    ck_assert_str_eq(err.message, "no variance: all resamples are equal");
    near(got.value, 2, 0);
    near(got.low, 2, 0);
    ck_assert_int_eq(bootstrap_mean(&got, tenths, thirds, 3, &percentile, &err),
                     -1); /* all 0.1, but for rounding */
    ck_assert_str_eq(err.message, "no variance: all resamples are equal");
    ck_assert_int_eq(bootstrap_run(&got, mean_of, x, 1, &percentile, &err), -1);
    near(got.value, 2, 0);
    ck_assert_int_eq(bootstrap_run(&got, mean_of, x, 3, &few, &err), -1);
    ck_assert_int_eq(bootstrap_mean(&got, x, none, 3, &percentile, &err), -1);
    ck_assert_str_eq(err.message, "the statistic does not exist on this sample");
    ck_assert_int_eq(bootstrap_mean(&got, rare, rare, 3, &percentile, &err), -1); /* 8 of 27 have none */
    ck_assert(strstr(err.message, "resamples only"));
    ck_assert_int_eq(bootstrap_mean(&got, x, ones, 0, &percentile, &err), -1);
}
END_TEST

START_TEST(bootstrap_is_fast_and_unbiased)
{
    static double sum[1000], ones[1000];
    struct bootstrapped got;
    struct error err;
    clock_t start = clock();
    double seconds;

    for (int i = 0; i < 1000; i++) {
        sum[i] = i;
        ones[i] = 1;
    }
    for (int metric = 0; metric < 10; metric++)
        ck_assert_int_eq(bootstrap_mean(&got, sum, ones, 1000, &percentile, &err), 0);
    seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    near(got.error, 288.675 / sqrt(1000), 0.03);
    ck_assert_double_eq_tol((got.low + got.high) / 2, 499.5, 0.5);
    ck_assert_msg(seconds < 5, "%.2f s of processor time", seconds); /* about 0.6 on a quiet machine */
}
END_TEST

START_TEST(correlations_match_scipy)
{
    const double iq[] = {106, 86, 100, 101, 99, 103, 97, 113, 112, 110};
    const double tv[] = {7, 0, 27, 50, 28, 29, 20, 12, 6, 17};
    struct correlation got;
    struct error err;

    ck_assert_int_eq(spearman(&got, iq, tv, 10, 0.95, &err), 0);
    near(got.value, -0.175757575758, 1e-9);
    near(got.p, 0.6271883447764846, 1e-9);
    ck_assert_int_eq(kendall(&got, iq, tv, 10, &err), 0);
    near(got.value, -0.111111111111, 1e-9);
    near(got.p, 0.6547208460185769, 1e-9);
    ck_assert_int_eq(pearson(&got, iq, tv, 10, 0.95, &err), 0);
    near(got.value, -0.037601473847, 1e-9);
    near(got.p, 0.9178629727717286, 1e-9);
    near(got.low, -0.6517965706817493, 1e-9);
}
END_TEST

/* All 10! orders: 0.63214. R's cor.test sums an Edgeworth series from 10 pairs on, and has 0.63197. Four
   pairs by hand: of 24 orders, ρ of the one at hand (0.8) or larger, either way, in 8; τ (2/3) in 8. */
START_TEST(exact_p_values_count_every_order)
{
    const double iq[] = {106, 86, 100, 101, 99, 103, 97, 113, 112, 110, 1};
    const double tv[] = {7, 0, 27, 50, 28, 29, 20, 12, 6, 17, 2};
    const double x[] = {1, 2, 3, 4}, y[] = {1, 2, 4, 3}, tied[] = {1, 1, 2, 2};
    struct error err;
    double p;

    ck_assert_int_eq(spearman_exact(&p, iq, tv, 10, &err), 0);
    near(p, 0.6321417548500882, 1e-9);
    ck_assert_int_eq(kendall_exact(&p, iq, tv, 10, &err), 0);
    near(p, 0.727489528219, 1e-9);
    ck_assert_int_eq(spearman_exact(&p, x, y, 4, &err), 0);
    near(p, 8 / 24.0, 1e-12);
    ck_assert_int_eq(kendall_exact(&p, x, y, 4, &err), 0);
    near(p, 8 / 24.0, 1e-12);
    ck_assert_int_eq(spearman_exact(&p, x, tied, 4, &err), 0); /* 1 1 2 2 and 2 2 1 1 of six patterns */
    near(p, 2 / 6.0, 1e-12);
    ck_assert_int_eq(kendall_exact(&p, x, tied, 4, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "ties"));
    ck_assert_int_eq(spearman_exact(&p, iq, tv, 11, &err), -1);
    ck_assert_int_eq(spearman_exact(&p, x, y, 2, &err), -1);
}
END_TEST

START_TEST(correlations_handle_ties_and_controls)
{
    const double x[] = {1, 2, 2, 3, 4, 4, 4, 5, 6, 7}, y[] = {2, 1, 3, 3, 5, 4, 6, 6, 6, 9};
    const double z[] = {1, 1, 2, 2, 3, 3, 4, 4, 5, 5};
    struct correlation got;
    struct error err;

    ck_assert_int_eq(spearman(&got, x, y, 10, 0.95, &err), 0);
    near(got.value, 0.934375, 1e-9);
    near(got.p, 7.49268129786e-5, 1e-9);
    ck_assert_int_eq(kendall(&got, x, y, 10, &err), 0);
    near(got.value, 0.853658536585, 1e-9);
    near(got.p, 0.0011569777783, 1e-9);
    ck_assert_int_eq(pearson(&got, x, y, 10, 0.95, &err), 0);
    near(got.value, 0.926216457926, 1e-9);
    near(got.low, 0.7115378681, 1e-9);
    near(got.high, 0.9827387588, 1e-9);
    ck_assert_int_eq(partial_pearson(&got, x, y, z, 10, 0.95, &err), 0);
    near(got.value, 0.254823595719, 1e-9);
    near(got.statistic, 0.697216688778, 1e-9);
    near(got.p, 0.508154214868, 1e-9);
    ck_assert_int_eq(partial_spearman(&got, x, y, z, 10, 0.95, &err), 0);
    near(got.value, -0.067393708186, 1e-9);
}
END_TEST

START_TEST(correlations_refuse_what_does_not_vary)
{
    const double x[] = {1, 2, 3, 4, 5}, flat[] = {1, 1, 1, 1, 1}, twice[] = {2, 4, 6, 8, 10};
    const double y[] = {1, 3, 2, 5, 4};
    struct correlation got;
    struct error err;

    ck_assert_int_eq(pearson(&got, x, flat, 5, 0.95, &err), -1);
    ck_assert_int_eq(spearman(&got, flat, x, 5, 0.95, &err), -1);
    ck_assert_int_eq(kendall(&got, flat, x, 5, &err), -1);
    ck_assert_int_eq(pearson(&got, x, y, 2, 0.95, &err), -1);
    ck_assert_int_eq(partial_pearson(&got, x, y, flat, 5, 0.95, &err), -1);
    ck_assert_int_eq(partial_pearson(&got, x, y, twice, 5, 0.95, &err), -1);
    ck_assert_str_eq(err.message, "the control explains one of the two entirely");
    ck_assert_int_eq(pearson(&got, x, twice, 5, 0.95, &err), 0);
    ck_assert(got.value == 1 && got.p == 0 && got.low == 1 && got.high == 1);
}
END_TEST

START_TEST(gao_fits_find_their_peaks)
{
    const double d[] = {.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6};
    const double best[] = {.5475, .93, 1.2525, 1.4, 1.4275, 1.37, 1.1225, .805, -.24, -1.81};
    const double rl[] = {0.898629, 1.48,     2.021721, 2.445482, 2.823709,
                         3.201665, 3.481132, 3.786929, 4.291124, 4.689777};
    const double with_start[] = {0, .5, 1, 2}, rewards[] = {9, 1, 2, 4};
    struct gao_fit fit;
    struct error err;

    ck_assert_int_eq(gao_fit(&fit, GAO_BEST_OF_N, d, best, 10, &err), 0);
    near(fit.alpha, 1.2017089226, 1e-5);
    near(fit.alpha_error, 0.0046429547, 1e-5);
    near(fit.beta, 0.2503805156, 1e-5);
    near(fit.beta_error, 0.0009888284, 1e-5);
    near(fit.peak_at, 2.3997652530, 1e-5);
    near(fit.peak, 1.4419096583, 1e-5);
    ck_assert_int_eq(fit.inside, 1);
    ck_assert_int_eq(gao_fit(&fit, GAO_RL, d, rl, 10, &err), 0);
    near(fit.alpha, 1.5014542892, 1e-5);
    near(fit.beta, 0.4010092205, 1e-5);
    near(fit.peak_at, 15.5519952471, 1e-5);
    near(fit.peak, 6.2364934920, 1e-5);
    ck_assert(fit.has_peak && !fit.inside);
    near(gao_value(&fit, 0), 0, 0);
    ck_assert_int_eq(gao_fit(&fit, GAO_RL, with_start, rewards, 4, &err), 0); /* a line: R = 2d */
    near(fit.alpha, 2, 1e-9);
    ck_assert_double_eq_tol(fit.beta, 0, 1e-9);
    ck_assert_int_eq(gao_fit(&fit, GAO_RL, with_start, rewards, 3, &err), -1);
    ck_assert_int_eq(gao_fit(&fit, GAO_RL, (double[]){2, 2, 2}, rewards, 3, &err), -1);
}
END_TEST

START_TEST(best_of_n_kl_is_closed_form)
{
    pinned(best_of_n_kl(2), 0.193147180560);
    pinned(best_of_n_kl(4), 0.636294361120);
    pinned(best_of_n_kl(16), 1.835088722238);
    pinned(best_of_n_kl(64), 3.174508083359);
    pinned(best_of_n_kl(256), 4.549083694480);
}
END_TEST

START_TEST(best_of_n_is_unbiased)
{
    const double proxy[] = {.1, .4, .35, .8, .2, .6}, gold[] = {.5, .2, .9, .1, .4, .3};
    const int n[] = {1, 2, 3, 6};
    const double by_proxy[] = {0.408333333333, 0.566666666667, 0.6575, 0.8},
                 by_gold[] = {0.4, 0.3, 0.215, 0.1};
    const double tied[] = {1, 1, 0}, scores[] = {4, 2, 9};
    struct error err;
    double got;

    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(best_of_n(&got, proxy, proxy, 6, n[i], &err), 0);
        near(got, by_proxy[i], 1e-9);
        ck_assert_int_eq(best_of_n(&got, proxy, gold, 6, n[i], &err), 0);
        near(got, by_gold[i], 1e-9);
    }
    ck_assert_int_eq(best_of_n(&got, tied, scores, 3, 3, &err), 0);
    near(got, 3, 1e-12);
    ck_assert_int_eq(best_of_n(&got, proxy, gold, 6, 7, &err), -1);
}
END_TEST

START_TEST(pass_at_k_is_unbiased)
{
    struct error err;
    double got;

    ck_assert_int_eq(pass_at(&got, 10, 3, 1, &err), 0);
    near(got, .3, 1e-9);
    ck_assert_int_eq(pass_at(&got, 10, 3, 5, &err), 0);
    near(got, .916666666667, 1e-9);
    ck_assert_int_eq(pass_at(&got, 20, 1, 10, &err), 0);
    near(got, .5, 1e-9);
    ck_assert_int_eq(pass_at(&got, 10, 8, 5, &err), 0);
    near(got, 1, 0);
    ck_assert_int_eq(pass_at(&got, 10, 3, 11, &err), -1);
}
END_TEST

/* Two items a cell; worked by hand. */
START_TEST(sophistry_reweights_cells)
{
    const struct sophistry_item items[] = {{0, 0, 0, 1}, {0, 0, .5, 1}, {0, 1, 0, 1}, {0, 1, 0, 0},
                                           {1, 0, 1, 1}, {1, 0, 1, 0},  {1, 1, 1, 1}, {1, 1, 0, 1}};
    const double shares[] = {.5, .1, .2, .2}, hollow[] = {.5, .5, 0, 0};
    struct sophistry before, after;
    struct error err;

    ck_assert_int_eq(sophistry_measure(&before, &after, items, 8, NULL, &err), 0);
    near(before.correctness, .5, 1e-12);
    near(before.approval, 3.5 / 8, 1e-12);
    near(before.error, 1.5 / 8, 1e-12);
    near(before.false_positive, .25, 1e-12);
    near(after.false_positive, 1, 1e-12);
    near(after.error, 4 / 8.0, 1e-12);
    ck_assert_int_eq(after.both_wrong, 2);
    ck_assert_int_eq(sophistry_measure(&before, &after, items, 8, shares, &err), 0);
    near(before.correctness, .4, 1e-12);
    near(after.correctness, .3, 1e-12);
    near(before.approval, .5 * .25 + .2 + .2 * .5, 1e-12);
    near(after.approval, .5 + .1 * .5 + .2 * .5 + .2, 1e-12);
    near(after.error, .5 + .1 * .5 + .2 * .5, 1e-12);
    near(before.false_positive, .25, 1e-12); /* one cell: weights cancel */
    ck_assert_int_eq(sophistry_measure(&before, &after, items + 6, 2, NULL, &err), 0);
    ck_assert(isnan(before.false_positive) && before.both_wrong == 0);
    ck_assert_int_eq(sophistry_measure(&before, &after, items + 6, 2, hollow, &err), -1);
    ck_assert_int_eq(sophistry_measure(&before, &after, items, 0, NULL, &err), -1);
}
END_TEST

/* 100 items, 40 of them wrong both before and after; the judge approves of 10 and 25 of those. */
START_TEST(sophistry_has_intervals)
{
    struct bootstrap how = {2, 2000, 0.95, BOOTSTRAP_PERCENTILE};
    const double shares[] = {.1, .3, .3, .3};
    struct sophistry_item items[100];
    struct sophistry_change got;
    struct error err;

    for (int i = 0; i < 100; i++)
        items[i] = (struct sophistry_item){i >= 70, i >= 40 && i < 70, i < 10 || i >= 70, i < 25 || i >= 60};
    ck_assert_int_eq(sophistry_resample(&got, SOPHISTRY_FALSE_POSITIVE, items, 100, NULL, &how, &err), 0);
    near(got.before.value, .25, 1e-12);
    near(got.after.value, .625, 1e-12);
    near(got.change.value, .375, 1e-12); /* 15 of 40 gained, none lost: se √(.375·.625/40) = 0.0765 */
    near(got.change.error, 0.0765, 0.06);
    ck_assert(got.change.low > .2 && got.change.high < .55 && got.change.p < .01);
    ck_assert_int_eq(sophistry_resample(&got, SOPHISTRY_CORRECTNESS, items, 100, NULL, &how, &err), 0);
    near(got.before.value, .3, 1e-12);
    near(got.change.value, 0, 1e-12);
    ck_assert(got.change.low < 0 && got.change.high > 0);
    ck_assert_int_eq(sophistry_resample(&got, SOPHISTRY_APPROVAL, items, 100, NULL, &how, &err), 0);
    near(got.before.value, .4, 1e-12);
    near(got.after.value, .65, 1e-12);
    ck_assert_int_eq(sophistry_resample(&got, SOPHISTRY_ERROR, items, 100, NULL, &how, &err), 0);
    near(got.before.value, .1, 1e-12);
    near(got.after.value, .75, 1e-12); /* 25 and 30 wrong ones approved of, 20 right ones not */
    ck_assert_int_eq(sophistry_resample(&got, SOPHISTRY_APPROVAL, items, 99, shares, &how, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "no items drawn from a cell"));
    ck_assert_int_eq(sophistry_resample(&got, SOPHISTRY_FALSE_POSITIVE, items + 40, 60, NULL, &how, &err),
                     -1);
    ck_assert_str_eq(err.message, "no item was answered wrongly by both");
}
END_TEST

static Suite *statistics_suite(void) {
    Suite *suite = suite_create("statistics");
    TCase *rates = tcase_create("rates"), *means = tcase_create("means"), *fits = tcase_create("fits");
    TCase *bootstraps = tcase_create("bootstrap");

    tcase_add_test(rates, wilson_matches_prop_test);
    tcase_add_test(rates, clopper_pearson_matches_binom_test);
    tcase_add_test(rates, difference_of_rates_is_newcombes);
    tcase_add_test(rates, paired_rates_use_the_pairing);
    tcase_add_test(rates, mcnemar_is_exact_and_mid);
    tcase_add_test(rates, fisher_matches_r);
    tcase_add_test(means, paired_mean_is_narrower_than_unpaired);
    tcase_add_test(means, welch_matches_scipy);
    tcase_add_test(means, what_has_no_spread_says_so);
    tcase_add_test(means, clustered_errors_match_vcovcl);
    tcase_add_test(means, clustered_errors_are_millers_times_the_correction);
    tcase_add_test(means, paired_means_take_clusters);
    tcase_add_test(means, what_is_no_number_says_where);
    tcase_add_test(means, win_rate_counts_ties_half);
    tcase_add_test(means, sign_flip_enumerates_then_samples);
    tcase_add_test(means, students_p_keeps_its_digits_far_out);
    tcase_add_test(means, quantiles_are_type_7);
    tcase_add_test(means, multiplicity_matches_p_adjust);
    tcase_add_test(means, multiplicity_matches_mcdonald);
    tcase_add_test(means, paired_power_is_millers);
    tcase_add_test(bootstraps, percentile_bootstrap_nears_full_enumeration);
    tcase_add_test(bootstraps, all_resamples_have_the_enumerated_quantiles);
    tcase_add_test(bootstraps, power_of_rates_matches_r_and_exact_sums);
    tcase_add_test(bootstraps, lowess_matches_r);
    tcase_add_test(bootstraps, bca_matches_r_boot);
    tcase_add_test(bootstraps, clusters_are_resampled_whole);
    tcase_add_test(bootstraps, bootstrap_difference_is_paired);
    tcase_add_test(bootstraps, many_clusters_are_drawn_alike);
    tcase_add_test(bootstraps, bootstrap_refuses_what_it_cannot_do);
    tcase_add_test(bootstraps, bootstrap_is_fast_and_unbiased);
    tcase_set_timeout(bootstraps, 60);
    tcase_add_test(fits, correlations_match_scipy);
    tcase_add_test(fits, correlations_handle_ties_and_controls);
    tcase_add_test(fits, correlations_refuse_what_does_not_vary);
    tcase_add_test(fits, gao_fits_find_their_peaks);
    tcase_add_test(fits, best_of_n_kl_is_closed_form);
    tcase_add_test(fits, best_of_n_is_unbiased);
    tcase_add_test(fits, pass_at_k_is_unbiased);
    tcase_add_test(fits, sophistry_reweights_cells);
    tcase_add_test(fits, sophistry_has_intervals);
    tcase_add_test(fits, exact_p_values_count_every_order);
    suite_add_tcase(suite, rates);
    suite_add_tcase(suite, means);
    suite_add_tcase(suite, bootstraps);
    suite_add_tcase(suite, fits);
    return suite;
}

int main(void) {
    SRunner *runner = srunner_create(statistics_suite());
    int failures;

    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
