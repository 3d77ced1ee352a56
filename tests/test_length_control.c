/* The length-controlled win rate: the tiny case of scikit-learn, what control must do, and how long it takes.
 */
#include "harness/statistics_length.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "harness/rng.h"

#include <check.h> /* last: it defines a macro named fail */

static struct error err;
static const double delta[] = {-120, 30, 250, -40, 90, 400, -300, 10, 60, -15, 180, -75};
static const double preference[] = {.1, .6, .95, .4, .7, .9, .05, .55, .8, .3, .85, .35};
static const struct length_data tiny = {.n = 12, .delta = delta, .preference = preference};

static void near(double got, double expected, double tolerance) {
    ck_assert_msg(fabs(got - expected) <= tolerance, "got %.12g, expected %.12g", got, expected);
}

START_TEST(the_tiny_case_matches_at_each_c)
{
    struct length_fit got;

    ck_assert_int_eq(length_controlled(&got, &tiny, LENGTH_MINIMAL, NAN, NULL, &err), 0);
    near(got.phi, 2.71535219842, 1e-9);
    near(got.theta, -0.0596202375755, 1e-9);
    near(got.value, 0.48509935413, 1e-9);
    near(got.raw, 0.545833333333, 1e-9);
    near(got.sd, 181.168346289, 1e-9 * 181);
    ck_assert(isinf(got.c) && !got.far);
    ck_assert_str_eq(length_variant_name(got.variant), "minimal");
    ck_assert_int_eq(length_controlled(&got, &tiny, LENGTH_FULL, 100, NULL, &err), 0);
    near(got.phi, 2.68783609, 1e-8);
    near(got.theta, -0.05273801507, 1e-9);
    near(got.value, 0.4868185512, 1e-9);
    ck_assert_int_eq(length_controlled(&got, &tiny, LENGTH_FULL, length_grid[5], NULL, &err), 0);
    near(got.phi, 1.95212551935, 1e-9);
    ck_assert_double_eq(got.theta, 0);
    near(got.value, 0.5, 1e-12);
    ck_assert(isnan(got.low));
}
END_TEST

enum { PROMPTS = 805 };
static double deltas[PROMPTS], wins[PROMPTS], gamma_of[PROMPTS], concise[PROMPTS], verbose[PROMPTS],
    lost[PROMPTS], won[PROMPTS];

/* A model that is as good as the baseline but longer, before a judge that likes length. */
static struct length_data simulate(double phi, double theta) {
    struct rng rng = rng_stream(5, "test", 0, 0);

    for (int i = 0; i < PROMPTS; i++) {
        deltas[i] = -300 + 500 * rng_normal(&rng);
        gamma_of[i] = rng_normal(&rng);
        wins[i] = rng_chance(&rng, 1 / (1 + exp(-phi * tanh(deltas[i] / 500) - 0.5 * gamma_of[i] - theta)));
        concise[i] = 200 + 100 * rng_normal(&rng);
        verbose[i] = -200 + 100 * rng_normal(&rng);
        lost[i] = rng_chance(&rng, 0.3);
        won[i] = rng_chance(&rng, 0.6);
    }
    return (struct length_data){PROMPTS, deltas, wins, gamma_of, {{concise, lost}, {verbose, won}}};
}

START_TEST(control_takes_the_length_away_and_nothing_else)
{
    struct length_data data = simulate(-2, 0);
    struct bootstrap how = {1, 400, 0.95, BOOTSTRAP_PERCENTILE};
    struct length_fit got;

    ck_assert_int_eq(length_controlled(&got, &data, LENGTH_NO_REGULARISER, NAN, &how, &err), 0);
    ck_assert(got.raw > 0.6);
    ck_assert(got.low < 0.5 && 0.5 < got.high && got.high - got.low < 0.12);
    ck_assert(got.phi < -1.5 && got.psi > 0.3);
    ck_assert(got.error > 0.01 && got.spread < got.error);
    data = simulate(0, 0.8);
    ck_assert_int_eq(length_controlled(&got, &data, LENGTH_NO_REGULARISER, NAN, NULL, &err), 0);
    near(got.value, got.raw, 0.02);
}
END_TEST

START_TEST(c_comes_from_the_grid_and_the_full_fit_is_fast)
{
    struct length_data data = simulate(-2, 0.3);
    struct length_fit got;
    double best = HUGE_VAL;
    int known = 0;

    for (int i = 0; i < 5; i++) {
        clock_t start = clock();

        ck_assert_int_eq(length_controlled(&got, &data, LENGTH_FULL, NAN, NULL, &err), 0);
        best = fmin(best, (double)(clock() - start) / CLOCKS_PER_SEC);
    }
    for (int g = 0; g < LENGTH_GRID; g++) known |= got.c == length_grid[g];
    ck_assert(known);
    printf("length-controlled fit of %d prompts with two gamed baselines, C by 5 folds: %.3f s CPU\n",
           PROMPTS, best);
    ck_assert_double_lt(best, 0.2);
}
END_TEST

/* The conditions of a minimum of ‖w‖₁ + C·loss, by finite differences of the fit's own figures. */
START_TEST(the_penalised_fit_is_a_minimum)
{
    struct length_data data = simulate(-2, 0.3);
    struct length_fit got;
    double sd = 0, mean = 0, slope[2] = {0};

    data.difficulty = NULL;
    data.gamed[0].delta = data.gamed[1].delta = NULL;
    ck_assert_int_eq(length_controlled(&got, &data, LENGTH_FULL, length_grid[4], NULL, &err), 0);
    for (int i = 0; i < PROMPTS; i++) mean += deltas[i] / PROMPTS;
    for (int i = 0; i < PROMPTS; i++) sd += (deltas[i] - mean) * (deltas[i] - mean) / (PROMPTS - 1);
    for (int i = 0; i < PROMPTS; i++) {
        double x = tanh(deltas[i] / sqrt(sd)), p = 1 / (1 + exp(-got.phi * x - got.theta));

        slope[0] += length_grid[4] * (p - wins[i]) * x;
        slope[1] += length_grid[4] * (p - wins[i]);
    }
    near(slope[0], got.phi > 0 ? -1 : 1, 1e-7);
    near(slope[1], got.theta > 0 ? -1 : 1, 1e-7);
}
END_TEST

/* A quarter of the way to 0 or 1, or ten points, whichever is farther. */
START_TEST(the_warning_is_alpaca_eval_s)
{
    static const struct {
        double raw;
        double inside[2], outside[2];
    } cases[] = {
        {.2, {.101, .399}, {.099, .401}}, {.8, {.601, .899}, {.599, .901}}, {.5, {.376, .624}, {.374, .626}}};

    for (int i = 0; i < 3; i++)
        for (int side = 0; side < 2; side++) {
            ck_assert(!length_is_far(cases[i].raw, cases[i].inside[side]));
            ck_assert(length_is_far(cases[i].raw, cases[i].outside[side]));
        }
}
END_TEST

START_TEST(what_cannot_be_controlled_is_said)
{
    double same[12] = {0}, told[12], two[12], holes[12] = {0, 0, NAN}, beyond[12] = {0, 1.5};
    struct length_data data = tiny;
    struct length_fit got;

    data.delta = same;
    ck_assert_int_eq(length_controlled(&got, &data, LENGTH_FULL, NAN, NULL, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "do not vary"));
    for (int i = 0; i < 12; i++) told[i] = delta[i] > 0;
    data = tiny;
    data.preference = told;
    ck_assert_int_eq(length_controlled(&got, &data, LENGTH_MINIMAL, NAN, NULL, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "separation"));
    for (int i = 0; i < 12; i++) told[i] = 1; /* every preference is won, at any length */
    ck_assert_int_eq(length_controlled(&got, &data, LENGTH_MINIMAL, NAN, NULL, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "separation"));
    ck_assert(isnan(got.value) && got.raw == 1);
    for (int i = 0; i < 12; i++) two[i] = i % 2 ? 50 : -50, told[i] = i % 2 ? 1 : i % 4 == 0;
    data.delta = two; /* the shorter answers always win, the longer half the time */
    ck_assert_int_eq(length_controlled(&got, &data, LENGTH_MINIMAL, NAN, NULL, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "separation"));
    for (int i = 0; i < 12; i++) told[i] = delta[i] > 0;
    data.delta = delta;
    ck_assert_int_eq(length_controlled(&got, &data, LENGTH_FULL, 1, NULL, &err), 0);
    data.n = 3;
    ck_assert_int_eq(length_controlled(&got, &data, LENGTH_FULL, 1, NULL, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "3 prompts"));
    data = tiny;
    data.preference = beyond;
    ck_assert_int_eq(length_controlled(&got, &data, LENGTH_FULL, 1, NULL, &err), -1);
    ck_assert_str_eq(err.message, "prompt 2: a preference in [0, 1] and a length were expected");
    data = tiny;
    data.difficulty = holes;
    ck_assert_int_eq(length_controlled(&got, &data, LENGTH_FULL, 1, NULL, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "not a finite number"));
    data.difficulty = NULL;
    data.gamed[0] = (struct gamed){delta, holes};
    ck_assert_int_eq(length_controlled(&got, &data, LENGTH_FULL, 1, NULL, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "not a finite number"));
    data.gamed[0] = (struct gamed){same, preference};
    ck_assert_int_eq(length_controlled(&got, &data, LENGTH_FULL, 1, NULL, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "do not vary"));
}
END_TEST

/* Models of known strength on prompts of known difficulty. */
START_TEST(difficulty_is_found_from_several_models)
{
    static double table[6 * 300], truth[300], got[300];
    struct rng rng = rng_stream(9, "test", 0, 0);
    struct correlation with_truth;

    for (int i = 0; i < 300; i++) truth[i] = rng_normal(&rng);
    for (int m = 0; m < 6; m++)
        for (int i = 0; i < 300; i++)
            table[m * 300 + i] = rng_chance(&rng, 1 / (1 + exp(truth[i] - 0.4 * (m - 2))));
    ck_assert_int_eq(length_difficulty(got, table, 6, 300, &err), 0);
    ck_assert_int_eq(pearson(&with_truth, truth, got, 300, 0.95, &err), 0);
    ck_assert_double_gt(with_truth.value, 0.6);
    ck_assert_int_eq(length_difficulty(got, table, 2, 300, &err), -1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("length_control");
    TCase *cases = tcase_create("length_control");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_test(cases, the_tiny_case_matches_at_each_c);
    tcase_add_test(cases, control_takes_the_length_away_and_nothing_else);
    tcase_add_test(cases, c_comes_from_the_grid_and_the_full_fit_is_fast);
    tcase_add_test(cases, the_penalised_fit_is_a_minimum);
    tcase_add_test(cases, the_warning_is_alpaca_eval_s);
    tcase_add_test(cases, what_cannot_be_controlled_is_said);
    tcase_add_test(cases, difficulty_is_found_from_several_models);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
