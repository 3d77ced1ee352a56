/* Counter-based randomness: published answers, independence of what was drawn before, fair draws. */
#include "harness/rng.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

static void expect_block(const uint32_t counter[4], const uint32_t key[2], const uint32_t expected[4]) {
    struct rng rng = {
        .key = {key[0], key[1]}, .counter = {counter[0], counter[1], counter[2], counter[3]}, .used = 4};

    for (int i = 0; i < 4; i++) ck_assert_uint_eq(rng_u32(&rng), expected[i]);
}

/* kat_vectors of Random123 1.14, "philox4x32 10". */
START_TEST(philox_gives_the_published_answers)
{
    expect_block((uint32_t[]){0, 0, 0, 0}, (uint32_t[]){0, 0},
                 (uint32_t[]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    expect_block((uint32_t[]){~0u, ~0u, ~0u, ~0u}, (uint32_t[]){~0u, ~0u},
                 (uint32_t[]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    expect_block((uint32_t[]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                 (uint32_t[]){0xa4093822, 0x299f31d0},
                 (uint32_t[]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}
END_TEST

START_TEST(a_stream_depends_on_seed_name_and_indices_alone)
{
    struct rng first = rng_stream(7, "ppo/sample", 3, 5), again, other;
    uint32_t draws[10];

    for (int i = 0; i < 10; i++) draws[i] = rng_u32(&first);
    again = rng_stream(7, "ppo/sample", 3, 5);
    for (int i = 0; i < 10; i++) ck_assert_uint_eq(rng_u32(&again), draws[i]);
    other = rng_stream(8, "ppo/sample", 3, 5);
    ck_assert_uint_ne(rng_u32(&other), draws[0]);
    other = rng_stream(7, "ppo/samples", 3, 5);
    ck_assert_uint_ne(rng_u32(&other), draws[0]);
    other = rng_stream(7, "ppo/sample", 5, 3);
    ck_assert_uint_ne(rng_u32(&other), draws[0]);
    other = rng_stream(7, "ppo/sample", 3 + (1ull << 32), 5);
    ck_assert_uint_ne(rng_u32(&other), draws[0]);
    other = rng_stream(7, "ppo/sample", 3, 5 + (1ull << 32));
    ck_assert_uint_ne(rng_u32(&other), draws[0]);
}
END_TEST

START_TEST(uniform_fills_its_interval)
{
    struct rng rng = rng_stream(1, "uniform", 0, 0);
    double sum = 0, square = 0;

    for (int i = 0; i < 100000; i++) {
        double u = rng_uniform(&rng);

        ck_assert(u >= 0 && u < 1);
        sum += u;
        square += u * u;
    }
    ck_assert_double_eq_tol(sum / 1e5, 0.5, 0.005);       /* 5.5 standard errors */
    ck_assert_double_eq_tol(square / 1e5, 1 / 3., 0.005); /* 5.3 standard errors */
}
END_TEST

START_TEST(below_is_fair_and_in_range)
{
    struct rng rng = rng_stream(2, "below", 0, 0);
    int seen[7] = {0};

    for (int i = 0; i < 70000; i++) {
        int got = rng_below(&rng, 7);

        ck_assert(got >= 0 && got < 7);
        seen[got]++;
    }
    for (int i = 0; i < 7; i++) ck_assert_int_lt(abs(seen[i] - 10000), 500);
    for (int i = 0; i < 100; i++) ck_assert_int_eq(rng_below(&rng, 1), 0);
    for (int i = 0; i < 100; i++) ck_assert_int_ge(rng_below(&rng, 0x7fffffff), 0);
}
END_TEST

START_TEST(normal_has_mean_0_and_variance_1)
{
    struct rng rng = rng_stream(3, "normal", 0, 0);
    double sum = 0, square = 0;

    for (int i = 0; i < 100000; i++) {
        double x = rng_normal(&rng);

        ck_assert(isfinite(x));
        sum += x;
        square += x * x;
    }
    ck_assert_double_eq_tol(sum / 1e5, 0, 0.016);
    ck_assert_double_eq_tol(square / 1e5, 1, 0.023);
}
END_TEST

START_TEST(chance_keeps_its_ends)
{
    struct rng rng = rng_stream(4, "chance", 0, 0);

    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(rng_chance(&rng, 0), 0);
        ck_assert_int_eq(rng_chance(&rng, 1), 1);
    }
}
END_TEST

START_TEST(shuffle_keeps_every_item_and_reaches_every_order)
{
    struct rng rng = rng_stream(5, "shuffle", 0, 0);
    int seen[27] = {0}, orders = 0;

    for (int i = 0; i < 6000; i++) {
        int items[] = {0, 1, 2};

        rng_shuffle(&rng, items, 3);
        ck_assert_int_eq(1 << items[0] | 1 << items[1] | 1 << items[2], 7);
        seen[9 * items[0] + 3 * items[1] + items[2]]++;
    }
    for (int i = 0; i < 27; i++) {
        orders += seen[i] > 0;
        if (seen[i]) ck_assert_int_lt(abs(seen[i] - 1000), 150);
    }
    ck_assert_int_eq(orders, 6);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("rng");
    TCase *cases = tcase_create("rng");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_test(cases, philox_gives_the_published_answers);
    tcase_add_test(cases, a_stream_depends_on_seed_name_and_indices_alone);
    tcase_add_test(cases, uniform_fills_its_interval);
    tcase_add_test(cases, below_is_fair_and_in_range);
    tcase_add_test(cases, normal_has_mean_0_and_variance_1);
    tcase_add_test(cases, chance_keeps_its_ends);
    tcase_add_test(cases, shuffle_keeps_every_item_and_reaches_every_order);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
