/* PPO's arithmetic: advantages, whitening, the clipped losses and the watchdogs' measures. */
#include "trainers/advantage.h"

#include <check.h>
#include <math.h>

#include "harness/rng.h"

START_TEST(advantages_match_values_worked_by_hand)
{
    const float reward[] = {0, 0, 1}, value[] = {0.5f, 0.5f, 0.5f};
    const int start[] = {0, 3};
    float advantage[3], returns[3];

    /* deltas 0, 0, 0.5; then 0.95 * 0.5 and 0.95 * 0.475 */
    advantage_estimate(advantage, returns, reward, value, start, 1, 1, 0.95);
    ck_assert_float_eq_tol(advantage[2], 0.5, 1e-7);
    ck_assert_float_eq_tol(advantage[1], 0.475, 1e-7);
    ck_assert_float_eq_tol(advantage[0], 0.45125, 1e-7);
    ck_assert_float_eq_tol(returns[0], 0.95125, 1e-7);
}
END_TEST

/* A[t] = sum over l of (gamma lambda)^l delta[t+l], summed anew for every t. */
static double slow_advantage(const float *reward, const float *value, int t, int end, double gamma,
                             double lambda) {
    double sum = 0;

    for (int l = t; l < end; l++) {
        double next = l + 1 < end ? value[l + 1] : 0;

        sum += pow(gamma * lambda, l - t) * (reward[l] + gamma * next - value[l]);
    }
    return sum;
}

START_TEST(advantages_match_the_sum_over_each_row_alone)
{
    const int start[] = {0, 1, 9, 9, 40};
    float reward[40], value[40], advantage[40], returns[40];
    struct rng rng = rng_stream(1, "test", 0, 0);

    for (int i = 0; i < 40; i++) {
        reward[i] = (float)rng_normal(&rng);
        value[i] = (float)rng_normal(&rng);
    }
    advantage_estimate(advantage, returns, reward, value, start, 4, 0.9, 0.8);
    for (int r = 0; r < 4; r++)
        for (int t = start[r]; t < start[r + 1]; t++) {
            double expected = slow_advantage(reward, value, t, start[r + 1], 0.9, 0.8);

            ck_assert_double_eq_tol(advantage[t], expected, 1e-5);
            ck_assert_double_eq_tol(returns[t], expected + value[t], 1e-5);
        }
}
END_TEST

START_TEST(gamma_and_lambda_of_one_give_the_reward_to_come)
{
    const float reward[] = {1, 2, 3}, value[] = {7, -3, 5};
    const int start[] = {0, 3};
    float advantage[3], returns[3];

    advantage_estimate(advantage, returns, reward, value, start, 1, 1, 1);
    ck_assert_float_eq_tol(returns[0], 6, 1e-5);
    ck_assert_float_eq_tol(returns[1], 5, 1e-5);
    ck_assert_float_eq_tol(returns[2], 3, 1e-5);
}
END_TEST

START_TEST(whitening_moves_the_mean_unless_it_is_kept)
{
    float a[] = {1, 2, 3, 6}, b[] = {1, 2, 3, 6}; /* mean 3, variance 3.5 */

    whiten(a, 4, 0);
    whiten(b, 4, 1);
    ck_assert_float_eq_tol(a[0], -2 / sqrt(3.5), 1e-6);
    ck_assert_float_eq_tol(a[3], 3 / sqrt(3.5), 1e-6);
    for (int i = 0; i < 4; i++) ck_assert_float_eq_tol(b[i], a[i] + 3, 1e-6);
}
END_TEST

START_TEST(whitening_survives_values_that_are_all_one)
{
    float a[] = {2, 2, 2};

    whiten(a, 3, 0);
    for (int i = 0; i < 3; i++) ck_assert_float_eq_tol(a[i], 0, 1e-6);
    whiten(a, 0, 0);
}
END_TEST

START_TEST(the_policy_slope_is_the_loss_s_difference_quotient)
{
    const double h = 1e-6;
    int held = 0, seen = 0;

    for (double advantage = -2; advantage <= 2; advantage += 0.5)
        for (double change = -0.5; change < 0.5; change += 0.0913) {
            double slope, ignored;
            int clipped, c;
            double up = ppo_policy_loss(-1 + change + h, -1, advantage, 0.2, &ignored, &c);
            double down = ppo_policy_loss(-1 + change - h, -1, advantage, 0.2, &ignored, &c);

            ppo_policy_loss(-1 + change, -1, advantage, 0.2, &slope, &clipped);
            ck_assert_double_eq_tol(slope, (up - down) / (2 * h), 1e-6);
            held += clipped;
            seen++;
        }
    ck_assert_int_gt(held, 10);
    ck_assert_int_lt(held, seen / 2);
}
END_TEST

START_TEST(the_policy_loss_clips_only_what_would_gain)
{
    double slope;
    int clipped;

    ck_assert_double_eq_tol(ppo_policy_loss(log(1.5), 0, 1, 0.2, &slope, &clipped), -1.2, 1e-12);
    ck_assert_int_eq(clipped, 1);
    ck_assert_double_eq(slope, 0);
    ck_assert_double_eq_tol(ppo_policy_loss(log(1.5), 0, -1, 0.2, &slope, &clipped), 1.5, 1e-12);
    ck_assert_int_eq(clipped, 0);
    ck_assert_double_eq_tol(slope, 1.5, 1e-12);
    ck_assert_double_eq_tol(ppo_policy_loss(0, 0, 3, 0.2, &slope, &clipped), -3, 1e-12);
    ck_assert_double_eq_tol(slope, -3, 1e-12);
}
END_TEST

START_TEST(the_value_slope_is_the_loss_s_difference_quotient)
{
    const double h = 1e-6;

    for (double value = -1; value < 1; value += 0.137)
        for (double returns = -1; returns < 1; returns += 0.219) {
            double slope, ignored;
            double up = ppo_value_loss(value + h, 0.1, returns, 0.2, &ignored);
            double down = ppo_value_loss(value - h, 0.1, returns, 0.2, &ignored);

            ppo_value_loss(value, 0.1, returns, 0.2, &slope);
            ck_assert_double_eq_tol(slope, (up - down) / (2 * h), 1e-6);
        }
}
END_TEST

START_TEST(the_value_loss_takes_the_worse_of_two)
{
    double slope;

    /* old 0, clip 0.2, return 1: at 0.5 the held value 0.2 is farther from 1 */
    ck_assert_double_eq_tol(ppo_value_loss(0.5, 0, 1, 0.2, &slope), 0.32, 1e-12);
    ck_assert_double_eq(slope, 0);
    ck_assert_double_eq_tol(ppo_value_loss(0.1, 0, 1, 0.2, &slope), 0.405, 1e-12);
    ck_assert_double_eq_tol(slope, -0.9, 1e-12);
}
END_TEST

START_TEST(explained_variance_is_one_for_truth_and_zero_for_a_constant)
{
    const float returns[] = {1, 2, 3, 4}, shifted[] = {0, 1, 2, 3}, constant[] = {5, 5, 5, 5};

    ck_assert_double_eq_tol(explained_variance(returns, returns, 4), 1, 1e-12);
    ck_assert_double_eq_tol(explained_variance(returns, shifted, 4), 1, 1e-12);
    ck_assert_double_eq_tol(explained_variance(returns, constant, 4), 0, 1e-12);
    ck_assert_double_eq(explained_variance(constant, returns, 4), 0);
}
END_TEST

START_TEST(beta_adapts_within_a_fifth_over_the_horizon)
{
    ck_assert_double_eq_tol(adapt_beta(0.1, 6.6, 6, 100, 10000), 0.1 * (1 + 0.1 * 0.01), 1e-12);
    ck_assert_double_eq_tol(adapt_beta(0.1, 60, 6, 100, 10000), 0.1 * (1 + 0.2 * 0.01), 1e-12);
    ck_assert_double_eq_tol(adapt_beta(0.1, 0, 6, 100, 10000), 0.1 * (1 - 0.2 * 0.01), 1e-12);
}
END_TEST

START_TEST(repetition_counts_windows_seen_before)
{
    const int once[] = {1, 2, 3, 4, 5}, again[] = {1, 2, 3, 1, 2, 3}, one[] = {7, 7, 7, 7, 7};

    ck_assert_double_eq(repetition(once, 5), 0);
    ck_assert_double_eq_tol(repetition(again, 6), 0.25, 1e-12); /* 123 231 312 123 */
    ck_assert_double_eq_tol(repetition(one, 5), 2.0 / 3, 1e-12);
    ck_assert_double_eq(repetition(one, 2), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("advantage");
    TCase *tests = tcase_create("advantage");
    SRunner *runner = srunner_create(suite);
    int failures;

    suite_add_tcase(suite, tests);
    tcase_add_test(tests, advantages_match_values_worked_by_hand);
    tcase_add_test(tests, advantages_match_the_sum_over_each_row_alone);
    tcase_add_test(tests, gamma_and_lambda_of_one_give_the_reward_to_come);
    tcase_add_test(tests, whitening_moves_the_mean_unless_it_is_kept);
    tcase_add_test(tests, whitening_survives_values_that_are_all_one);
    tcase_add_test(tests, the_policy_slope_is_the_loss_s_difference_quotient);
    tcase_add_test(tests, the_policy_loss_clips_only_what_would_gain);
    tcase_add_test(tests, the_value_slope_is_the_loss_s_difference_quotient);
    tcase_add_test(tests, the_value_loss_takes_the_worse_of_two);
    tcase_add_test(tests, explained_variance_is_one_for_truth_and_zero_for_a_constant);
    tcase_add_test(tests, beta_adapts_within_a_fifth_over_the_horizon);
    tcase_add_test(tests, repetition_counts_windows_seen_before);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
