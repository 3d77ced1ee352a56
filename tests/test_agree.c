/* Agreement and calibration against values of scikit-learn, statsmodels and Krippendorff's own example. */
#include "harness/statistics_agree.h"

#include <math.h>
#include <string.h>

#include <check.h> /* last: it defines a macro named fail */

static struct error err;

static void near(double got, double expected) {
    ck_assert_msg(fabs(got - expected) <= 1e-9 * fmax(1, fabs(expected)), "got %.13g, expected %.13g", got,
                  expected);
}

START_TEST(cohens_kappa_matches_its_pins)
{
    const int a[] = {1, 1, 0, 2, 1, 0, 2, 2, 1, 0}, b[] = {1, 0, 0, 2, 1, 0, 2, 1, 1, 0};
    const double expected[] = {0.696969696970, 0.761904761905, 0.833333333333};
    struct bootstrap how = {3, 2000, 0.95, BOOTSTRAP_PERCENTILE};
    struct agreement got;

    for (int w = KAPPA_NOMINAL; w <= KAPPA_QUADRATIC; w++) {
        ck_assert_int_eq(cohen_kappa(&got, a, b, 10, 3, (enum kappa_weights)w, &how, &err), 0);
        near(got.value, expected[w]);
        ck_assert(got.low < got.value && got.value < got.high);
    }
    near(got.raw, 0.8);
}
END_TEST

/* Fleiss (1971), table 1 as Wikipedia has it: 10 subjects, 14 raters, 5 categories: κ = 0.210. */
START_TEST(fleiss_kappa_matches_the_published_example)
{
    const int counts[10][5] = {{0, 0, 0, 0, 14}, {0, 2, 6, 4, 2}, {0, 0, 3, 5, 6}, {0, 3, 9, 2, 0},
                               {2, 2, 8, 1, 1},  {7, 7, 0, 0, 0}, {3, 2, 6, 3, 0}, {2, 5, 3, 2, 2},
                               {6, 5, 2, 1, 0},  {0, 2, 2, 3, 7}};
    int labels[10 * 14], n = 0;
    struct agreement got;

    for (int i = 0; i < 10; i++)
        for (int c = 0; c < 5; c++)
            for (int k = 0; k < counts[i][c]; k++) labels[n++] = c;
    ck_assert_int_eq(n, 140);
    ck_assert_int_eq(fleiss_kappa(&got, labels, 10, 14, 5, NULL, &err), 0);
    near(got.value, 0.20993070442195522);
    ck_assert(isnan(got.low));
}
END_TEST

/* Krippendorff's reliability example with missing values: nominal α = 0.691 (three coders, as Wikipedia has
 * it). */
START_TEST(krippendorffs_alpha_takes_missing_labels)
{
    const int coders[3][15] = {{-1, -1, -1, -1, -1, 2, 3, 0, 1, 0, 0, 2, 2, -1, 2},
                               {0, -1, 1, 0, 2, 2, 3, 2, -1, -1, -1, -1, -1, -1, -1},
                               {-1, -1, 1, 0, 2, 3, 3, -1, 1, 0, 0, 2, 2, -1, 3}};
    int labels[45];
    struct agreement got;

    for (int i = 0; i < 15; i++)
        for (int r = 0; r < 3; r++) labels[i * 3 + r] = coders[r][i];
    ck_assert_int_eq(krippendorff_alpha(&got, labels, 15, 3, 4, NULL, &err), 0);
    ck_assert_double_eq_tol(got.value, 0.691, 5e-4);
    ck_assert_int_eq(got.n, 12);
}
END_TEST

/* The example of Krippendorff's "Computing Krippendorff's Alpha-Reliability" (2011): interval α = 0.849,
   which is 951/1120. */
START_TEST(interval_alpha_is_krippendorffs)
{
    static const char *const observers[] = {"123321412000", "123322412503", "033323422510", "123324412510"};
    static const int halves[] = {0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1};
    static const struct bootstrap how = {1, 1000, 0.95, BOOTSTRAP_PERCENTILE};
    double ratings[48];
    struct agreement got;

    for (int i = 0; i < 12; i++)
        for (int r = 0; r < 4; r++) ratings[4 * i + r] = observers[r][i] == '0' ? NAN : observers[r][i] - '0';
    ck_assert_int_eq(krippendorff_interval(&got, ratings, 12, 4, NULL, NULL, &err), 0);
    near(got.value, 951.0 / 1120);
    ck_assert_int_eq(got.n, 11);
    /* clusters change the interval alone: of two, the resamples are one twice, the other twice, or both */
    ck_assert_int_eq(krippendorff_interval(&got, ratings, 12, 4, halves, &how, &err), 0);
    near(got.value, 951.0 / 1120);
    ck_assert_int_eq(got.n, 11);
    near(got.low, 71.0 / 140);          /* the first half twice */
    near(got.high, 0.9754464285714286); /* the second half twice */
    for (int i = 0; i < 48; i++)
        if (!isnan(ratings[i])) ratings[i] = 3;
    ck_assert_int_eq(krippendorff_interval(&got, ratings, 12, 4, NULL, NULL, &err), -1);
    for (int i = 0; i < 48; i++)
        if (i % 4) ratings[i] = NAN;
    ck_assert_int_eq(krippendorff_interval(&got, ratings, 12, 4, NULL, NULL, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "no item has two ratings"));
}
END_TEST

START_TEST(equal_ratings_have_no_alpha_whatever_their_digits)
{
    const double same[] = {.1, .1, .1, .1, .1, .1};
    struct agreement got;

    ck_assert_int_eq(krippendorff_interval(&got, same, 3, 2, NULL, NULL, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "all ratings are the same"));
}
END_TEST

START_TEST(perfect_agreement_has_a_value_and_no_interval)
{
    const int a[] = {0, 1, 0, 1, 2, 0, 1, 2, 0, 1};
    const double ratings[] = {1, 1, 2, 2, 3, 3, 4, 4, 5, 5};
    struct bootstrap how = {3, 2000, 0.95, BOOTSTRAP_PERCENTILE};
    struct agreement got;

    ck_assert_int_eq(cohen_kappa(&got, a, a, 10, 3, KAPPA_NOMINAL, &how, &err), -1);
    ck_assert_str_eq(err.message, "no variance: all resamples are equal");
    near(got.value, 1);
    near(got.raw, 1);
    ck_assert(isnan(got.low));
    ck_assert_int_eq(cohen_kappa(&got, a, a, 10, 3, KAPPA_NOMINAL, NULL, &err), 0);
    ck_assert_int_eq(krippendorff_interval(&got, ratings, 5, 2, NULL, &how, &err), -1);
    near(got.value, 1);
    ck_assert(isnan(got.low));
}
END_TEST

START_TEST(agreement_without_variance_or_items_is_an_error)
{
    const int same[] = {1, 1, 1, 1}, none[] = {-1, -1, -1, -1}, odd[] = {0, 7, 1, 1};
    const int alike[12] = {0};
    struct agreement got;

    ck_assert_int_eq(cohen_kappa(&got, same, same, 4, 2, KAPPA_NOMINAL, NULL, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "all labels are the same"));
    near(got.raw, 1);
    ck_assert_int_eq(cohen_kappa(&got, same, none, 4, 2, KAPPA_NOMINAL, NULL, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "no item"));
    ck_assert_int_eq(cohen_kappa(&got, same, odd, 4, 2, KAPPA_NOMINAL, NULL, &err), -1);
    ck_assert_int_eq(krippendorff_alpha(&got, same, 2, 2, 2, NULL, &err), -1);
    ck_assert_int_eq(fleiss_kappa(&got, same, 4, 1, 2, NULL, &err), -1);
    ck_assert_int_eq(fleiss_kappa(&got, alike, 6, 2, 3, NULL, &err),
                     -1); /* shares of 1/6 do not add up to 1 */
    ck_assert_ptr_nonnull(strstr(err.message, "all labels are the same"));
}
END_TEST

/* Four pairs: two consistent, one flips to whoever is first, one has no second verdict. */
START_TEST(positions_are_counted_by_hand)
{
    const double first[] = {1, 0, 1, 1}, second[] = {1, 0, 0, NAN};
    struct positions got;

    ck_assert_int_eq(positions_measure(&got, first, second, NULL, 4, 0.95, &err), 0);
    ck_assert_int_eq(got.pairs, 3);
    near(got.consistency, 2.0 / 3);
    ck_assert_int_eq(got.decided, 6);
    near(got.first_slot,
         4.0 / 6); /* won first: pairs 1 and 3; won second: of pair 2 the other, of pair 3 the other */
    ck_assert_int_eq(positions_measure(&got, second + 3, second + 3, NULL, 1, 0.95, &err), -1);
}
END_TEST

/* Two pairs a prompt, alike within each: consistent 1 1 | 1 1 | 0 0 is three observations, not six; mean 2/3,
   deviations of the clusters' sums 2/3 2/3 -4/3, so the error is √(24/9 · 3/2)/6 = 1/3, with 2 degrees. */
START_TEST(pairs_of_one_prompt_are_no_independent_pairs)
{
    const double first[] = {1, 1, 0, 0, 1, 1}, second[] = {1, 1, 0, 0, 0, 0};
    const int prompt[] = {0, 0, 1, 1, 2, 2}, alone[] = {0, 0};
    struct positions got;

    ck_assert_int_eq(positions_measure(&got, first, second, prompt, 6, 0.5, &err), 0);
    near(got.consistency, 2.0 / 3);
    near(got.consistency_at.low, 2.0 / 3 - 0.816496580927726 / 3); /* t of 2 degrees at 0.75 is √(2/3) */
    near(got.consistency_at.high, 2.0 / 3 + 0.816496580927726 / 3);
    ck_assert_int_eq(got.decided, 12);
    near(got.first_slot, 8.0 / 12);
    ck_assert_int_eq(positions_measure(&got, first, second, alone, 2, 0.95, &err), 0);
    near(got.consistency, 1);
    ck_assert(isnan(got.consistency_at.low));
}
END_TEST

/* Weights of a judge's log-probabilities: the winner counts, not the weight. */
START_TEST(consistency_is_of_winners)
{
    const double first[] = {.9, .2, .5}, second[] = {.6, .8, .5};
    struct positions got;

    ck_assert_int_eq(positions_measure(&got, first, second, NULL, 3, 0.95, &err), 0);
    near(got.consistency, 2.0 / 3);
}
END_TEST

/* Ties, equal and unknown lengths are out; of the other four the longer won three. */
START_TEST(longer_answers_are_counted)
{
    const double score[] = {1, 0, .7, 1, .5, 1, NAN, 0}, delta[] = {9, -2, 3, -4, 8, 0, 5, NAN};
    struct interval wilson;
    struct estimate got;

    ck_assert_int_eq(longer_preferred(&got, score, delta, 8, 0.95, &err), 0);
    near(got.value, .75);
    near(got.freedom, 4);
    near(got.p, 10 / 16.0);
    ck_assert_int_eq(rate_wilson(&wilson, 3, 4, 0.95, &err), 0);
    near(got.low, wilson.low);
    near(got.high, wilson.high);
    ck_assert_int_eq(longer_preferred(&got, score + 4, delta + 4, 4, 0.95, &err), -1);
    ck_assert_str_eq(err.message, "no pair of unequal lengths has a winner");
}
END_TEST

START_TEST(calibration_matches_its_pins)
{
    const double p[] = {.1, .2, .35, .4, .55, .6, .75, .8, .9, .95};
    const int y[] = {0, 0, 0, 1, 0, 1, 1, 1, 1, 1}, ones[] = {1, 1};
    struct calibration got;

    ck_assert_int_eq(calibration_measure(&got, p, y, 10, 5, &err), 0);
    near(got.brier, 0.111);
    near(got.log_loss, 0.365239046873);
    near(got.auc, 0.958333333333);
    near(got.ece, 0.17);
    ck_assert_int_eq(calibration_measure(&got, p, ones, 2, 5, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "no area under the curve"));
    near(got.brier, (.81 + .64) / 2);
    ck_assert_int_eq(calibration_measure(&got, (double[]){1.2}, ones, 1, 5, &err), -1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("agree");
    TCase *cases = tcase_create("agree");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_test(cases, cohens_kappa_matches_its_pins);
    tcase_add_test(cases, fleiss_kappa_matches_the_published_example);
    tcase_add_test(cases, krippendorffs_alpha_takes_missing_labels);
    tcase_add_test(cases, interval_alpha_is_krippendorffs);
    tcase_add_test(cases, equal_ratings_have_no_alpha_whatever_their_digits);
    tcase_add_test(cases, perfect_agreement_has_a_value_and_no_interval);
    tcase_add_test(cases, agreement_without_variance_or_items_is_an_error);
    tcase_add_test(cases, positions_are_counted_by_hand);
    tcase_add_test(cases, pairs_of_one_prompt_are_no_independent_pairs);
    tcase_add_test(cases, consistency_is_of_winners);
    tcase_add_test(cases, longer_answers_are_counted);
    tcase_add_test(cases, calibration_matches_its_pins);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
