/* The losses that depend on log-probabilities, values and scores: their slopes and sums on every backend. */
#include "tests/test_kernels.h"

#define STEP 0x1p-12f /* of difference quotients */

static const int first[] = {0};

/* One token's loss at logprob, sampled at -1; share 1. */
static double policy_loss(const struct kernels *k, float logprob, float advantage, float *slope,
                          int *clipped) {
    const float old = -1;
    double sums[POLICY_SUMS] = {0};

    k->policy_slope(slope, NULL, sums, &logprob, NULL, &old, &advantage, first, 1, 1, 0.2, 0);
    *clipped = sums[POLICY_CLIPPED] > 0;
    return sums[POLICY_LOSS];
}

START_TEST(the_policy_slope_is_the_loss_s_difference_quotient)
{
    const struct kernels *k = backend(_i);
    int held = 0, seen = 0;

    if (!k) return;
    for (float advantage = -2; advantage <= 2; advantage += 0.5f)
        for (float change = -0.5f; change < 0.5f; change += 0.0913f) {
            float slope, ignored;
            int clipped, c;
            double up = policy_loss(k, -1 + change + STEP, advantage, &ignored, &c);
            double down = policy_loss(k, -1 + change - STEP, advantage, &ignored, &c);

            policy_loss(k, -1 + change, advantage, &slope, &clipped);
            ck_assert_double_eq_tol(slope, (up - down) / (2 * (double)STEP), 1e-6);
            held += clipped;
            seen++;
        }
    ck_assert_int_gt(held, 10);
    ck_assert_int_lt(held, seen / 2);
}
END_TEST

START_TEST(the_policy_loss_clips_only_what_would_gain)
{
    const struct kernels *k = backend(_i);
    float slope, higher = -1 + logf(1.5f);
    double ratio = exp((double)higher + 1);
    int clipped;

    if (!k) return;
    ck_assert_double_eq_tol(policy_loss(k, higher, 1, &slope, &clipped), -1.2, 1e-12);
    ck_assert_int_eq(clipped, 1);
    ck_assert_float_eq(slope, 0);
    ck_assert_double_eq_tol(policy_loss(k, higher, -1, &slope, &clipped), ratio, 1e-12);
    ck_assert_int_eq(clipped, 0);
    ck_assert_float_eq(slope, (float)ratio);
    ck_assert_double_eq_tol(policy_loss(k, -1, 3, &slope, &clipped), -3, 1e-12);
    ck_assert_float_eq(slope, -3);
}
END_TEST

/* Of a quarter each: the third token at the sampler's log-probability, the first at 2^-1 of it, clipped. */
START_TEST(the_policy_s_sums_are_means_over_the_tokens_that_items_name)
{
    const struct kernels *k = backend(_i);
    const float old[] = {-2, -1, -3, -4}, advantage[] = {-1, 5, 2, 7}, entropy[] = {1, 3};
    const float logprob[] = {-2 + logf(0.5f), -3};
    const int item[] = {0, 2};
    double change = (double)logprob[0] + 2, sums[POLICY_SUMS] = {10, 20, 30, 40, 50, 0.1};
    float slope[2], entropy_slope[2];

    if (!k) return;
    k->policy_slope(slope, entropy_slope, sums, logprob, entropy, old, advantage, item, 2, 0.25, 0.2, 0.5);
    ck_assert_double_eq_tol(sums[POLICY_LOSS], 10 + 0.25 * (0.8 - 2), 1e-12);
    ck_assert_double_eq_tol(sums[POLICY_CLIPPED], 20.25, 1e-12);
    ck_assert_double_eq_tol(sums[POLICY_RATIO], 30 + 0.25 * (0.5 + 1), 1e-7);
    ck_assert_double_eq_tol(sums[POLICY_MOVED], 40 + 0.25 * (0.5 - 1 - log(0.5)), 1e-7);
    ck_assert_double_eq_tol(sums[POLICY_ENTROPY], 51, 1e-12);
    ck_assert_double_eq(sums[POLICY_GAP], -change);
    ck_assert_float_eq(slope[0], 0);
    ck_assert_float_eq(slope[1], -0.5);
    for (int i = 0; i < 2; i++) ck_assert_float_eq(entropy_slope[i], -0.125);
    k->policy_slope(slope, NULL, sums, logprob, NULL, old, advantage, item, 2, 0.25, 0.2, 0.5);
    ck_assert_double_eq_tol(sums[POLICY_ENTROPY], 51, 1e-12);
}
END_TEST

static double value_loss(const struct kernels *k, float value, float old, float returns, float *slope) {
    double sum = 0;

    k->value_slope(slope, &sum, &value, &old, &returns, first, 1, 1, 1, 0.2);
    return sum;
}

START_TEST(the_value_slope_is_the_loss_s_difference_quotient)
{
    const struct kernels *k = backend(_i);

    if (!k) return;
    for (float value = -1; value < 1; value += 0.137f)
        for (float returns = -1; returns < 1; returns += 0.219f) {
            float slope, ignored, above = value + STEP, below = value - STEP;
            double up = value_loss(k, above, 0.1f, returns, &ignored);
            double down = value_loss(k, below, 0.1f, returns, &ignored);

            value_loss(k, value, 0.1f, returns, &slope);
            ck_assert_double_eq_tol(slope, (up - down) / ((double)above - (double)below), 1e-4);
        }
}
END_TEST

START_TEST(the_value_loss_takes_the_worse_of_two)
{
    const struct kernels *k = backend(_i);
    const float old[] = {9, 0}, returns[] = {9, 1}, value[] = {0.5f, 0.125f};
    const int item[] = {1, 1};
    float slope[2];
    double sum = 1;

    if (!k) return;
    /* old 0, clip 0.2, return 1: at 0.5 the held value 0.2 is farther from 1 */
    k->value_slope(slope, &sum, value, old, returns, item, 2, 0.5, 0.25, 0.2);
    ck_assert_double_eq_tol(sum, 1 + 0.5 * 0.32 + 0.5 * 0.5 * 0.875 * 0.875, 1e-12);
    ck_assert_float_eq(slope[0], 0);
    ck_assert_float_eq(slope[1], -0.875f * 0.25f);
}
END_TEST

/* One pair's loss with scores a and b. */
static double pair_loss(const struct kernels *k, float a, float b, double l2, float slope[2]) {
    const float score[] = {a, b};
    double sums[] = {0, 0};

    k->pair_slope(slope, sums, score, 1, 1, 1, l2);
    return sums[0];
}

START_TEST(the_slopes_of_a_pair_are_the_loss_s_difference_quotients)
{
    const struct kernels *k = backend(_i);

    if (!k) return;
    for (float a = -7; a < 7; a += 0.75f)
        for (float b = -2; b < 3; b += 0.75f) {
            float slope[2], ignored[2], margin = a - b;

            ck_assert_double_eq_tol(pair_loss(k, a, b, 0, ignored), log1p(exp(-(double)margin)), 1e-12);
            pair_loss(k, a, b, 0.5, slope);
            ck_assert_double_eq_tol(
                slope[0],
                (pair_loss(k, a + STEP, b, 0.5, ignored) - pair_loss(k, a - STEP, b, 0.5, ignored)) /
                    (2 * (double)STEP),
                1e-6);
            ck_assert_double_eq_tol(
                slope[1],
                (pair_loss(k, a, b + STEP, 0.5, ignored) - pair_loss(k, a, b - STEP, 0.5, ignored)) /
                    (2 * (double)STEP),
                1e-6);
        }
}
END_TEST

START_TEST(no_margin_overflows)
{
    const struct kernels *k = backend(_i);
    float slope[2];

    if (!k) return;
    ck_assert_double_eq(pair_loss(k, 1e4f, 0, 0, slope), 0);
    ck_assert_float_eq(slope[0], 0);
    ck_assert_double_eq(pair_loss(k, -1e4f, 0, 0, slope), 1e4);
    ck_assert_float_eq(slope[0], -1);
    ck_assert_float_eq(slope[1], 1);
}
END_TEST

/* Two heads: one ranks the first pair rightly, the other cannot tell; both rank the second wrongly. */
START_TEST(every_head_of_a_pair_counts_as_a_pair)
{
    const struct kernels *k = backend(_i);
    const float score[] = {1, 2, 0, 2, 0, 0, 1, 1};
    double sums[] = {3, 5}, e = exp(-1);
    float slope[8];

    if (!k) return;
    k->pair_slope(slope, sums, score, 2, 2, 0.25, 0);
    ck_assert_double_eq_tol(sums[0], 3 + 0.25 * (log1p(e) + log(2) + 2 * (1 + log1p(e))), 1e-12);
    ck_assert_double_eq_tol(sums[1], 5 + 0.25 * 1.5, 1e-12);
    ck_assert_float_eq_tol(slope[0], -0.25 * e / (1 + e), 1e-7);
    ck_assert_float_eq(slope[1], -0.125f);
    ck_assert_float_eq(slope[3], 0.125f);
    ck_assert_float_eq_tol(slope[5], -0.25 / (1 + e), 1e-7);
    ck_assert_float_eq(slope[7], -slope[5]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("slopes");
    TCase *test = tcase_create("slopes");

    tcase_add_loop_test(test, the_policy_slope_is_the_loss_s_difference_quotient, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, the_policy_loss_clips_only_what_would_gain, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, the_policy_s_sums_are_means_over_the_tokens_that_items_name, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, the_value_slope_is_the_loss_s_difference_quotient, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, the_value_loss_takes_the_worse_of_two, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, the_slopes_of_a_pair_are_the_loss_s_difference_quotients, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, no_margin_overflows, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, every_head_of_a_pair_counts_as_a_pair, 0, ALL_BACKENDS);
    suite_add_tcase(suite, test);
    return run_suite(suite);
}
