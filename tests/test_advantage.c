/* PPO's arithmetic: advantages and whitening on every backend, and the watchdogs' measures. */
#include "trainers/advantage.h"

#include "harness/rng.h"
#include "tests/test_kernels.h"

START_TEST(advantages_match_values_worked_by_hand)
{
    const float reward[] = {0, 0, 1}, value[] = {0.5f, 0.5f, 0.5f};
    const int start[] = {0, 3};
    const struct kernels *k = backend(_i);
    float advantage[3], returns[3];

    if (!k) return;
    /* deltas 0, 0, 0.5; then 0.95 * 0.5 and 0.95 * 0.475 */
    k->advantage(advantage, returns, reward, value, start, 1, 1, 0.95);
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
    const struct kernels *k = backend(_i);
    float reward[40], value[40], advantage[40], returns[40];
    struct rng rng = rng_stream(1, "test", 0, 0);

    for (int i = 0; i < 40; i++) {
        reward[i] = (float)rng_normal(&rng);
        value[i] = (float)rng_normal(&rng);
    }
    if (!k) return;
    k->advantage(advantage, returns, reward, value, start, 4, 0.9, 0.8);
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
    const struct kernels *k = backend(_i);
    float advantage[3], returns[3];

    if (!k) return;
    k->advantage(advantage, returns, reward, value, start, 1, 1, 1);
    ck_assert_float_eq_tol(returns[0], 6, 1e-5);
    ck_assert_float_eq_tol(returns[1], 5, 1e-5);
    ck_assert_float_eq_tol(returns[2], 3, 1e-5);
}
END_TEST

START_TEST(whitening_moves_the_mean_unless_it_is_kept)
{
    float a[] = {1, 2, 3, 6}, b[] = {1, 2, 3, 6}; /* mean 3, variance 3.5 */
    const struct kernels *k = backend(_i);

    if (!k) return;
    k->whiten(a, 4, 0);
    k->whiten(b, 4, 1);
    ck_assert_float_eq_tol(a[0], -2 / sqrt(3.5), 1e-6);
    ck_assert_float_eq_tol(a[3], 3 / sqrt(3.5), 1e-6);
    for (int i = 0; i < 4; i++) ck_assert_float_eq_tol(b[i], a[i] + 3, 1e-6);
}
END_TEST

START_TEST(whitening_survives_values_that_are_all_one)
{
    const struct kernels *k = backend(_i);
    float a[] = {2, 2, 2};

    if (!k) return;
    k->whiten(a, 3, 0);
    for (int i = 0; i < 3; i++) ck_assert_float_eq_tol(a[i], 0, 1e-6);
    k->whiten(a, 0, 0);
}
END_TEST

START_TEST(whitening_adds_up_in_double)
{
    const struct kernels *k = backend(_i);
    const size_t counts[] = {1, 15, 17, 16384, 16385, 70001};

    for (int i = 0; k && i < COUNT(counts); i++) {
        size_t n = counts[i];
        float *x = noise(n, 1), *got = copied(x, n);
        double mean = 0, variance = 0, *want = doubled(x, n);

        for (size_t j = 0; j < n; j++) mean += want[j] / (double)n;
        for (size_t j = 0; j < n; j++) variance += (want[j] - mean) * (want[j] - mean) / (double)n;
        for (size_t j = 0; j < n; j++) want[j] = (want[j] - mean) / sqrt(variance + 1e-8);
        k->whiten(got, n, 0);
        ck_assert_double_lt(worst(got, want, n), 1e-7);
        free(x);
        free(got);
        free(want);
    }
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

    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, advantages_match_values_worked_by_hand, 0, ALL_BACKENDS);
    tcase_add_loop_test(tests, advantages_match_the_sum_over_each_row_alone, 0, ALL_BACKENDS);
    tcase_add_loop_test(tests, gamma_and_lambda_of_one_give_the_reward_to_come, 0, ALL_BACKENDS);
    tcase_add_loop_test(tests, whitening_moves_the_mean_unless_it_is_kept, 0, ALL_BACKENDS);
    tcase_add_loop_test(tests, whitening_survives_values_that_are_all_one, 0, ALL_BACKENDS);
    tcase_add_loop_test(tests, whitening_adds_up_in_double, 0, ALL_BACKENDS);
    tcase_add_test(tests, explained_variance_is_one_for_truth_and_zero_for_a_constant);
    tcase_add_test(tests, beta_adapts_within_a_fifth_over_the_horizon);
    tcase_add_test(tests, repetition_counts_windows_seen_before);
    return run_suite(suite);
}
