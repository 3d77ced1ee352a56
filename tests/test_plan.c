/* What is said of a step that does not fit, by the fake stage: 1 KiB and 1024 cells of a byte, unless told
 * otherwise. */
#include "harness/plan.h"

#include "harness/document.h"
#include "harness/memory.h"
#include "harness/run.h"
#include "tests/fakes.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* The sentence of a step with these options in so many free bytes of twice as many (NULL: it fits). */
static char *trouble(const char *options, const char *device, double left) {
    struct error err;
    struct node *node = document_parse_yaml(options, strlen(options), "test", &err);
    struct run run = {.recipe = "test", .device = device};
    struct step step = {.name = "a", .label = "a", .use = "count", .options = node};
    struct room room = {left, 2 * left, 0};
    struct plan plan;
    char *text;

    ck_assert_msg(plan_make(&plan, &run, &step, &err) == 0, "%s", err.message);
    text = plan_trouble(&plan, &run, &step, &room);
    node_free(node);
    return text;
}

static void says(const char *options, double left, const char *want) {
    char *text = trouble(options, "cuda-bf16", left);

    ck_assert_ptr_nonnull(text);
    ck_assert_str_eq(text, want);
    free(text);
}

START_TEST(a_plan_is_described_by_what_it_is_for)
{
    struct plan plan = {.held = {[HELD_PARAMETERS] = 3 << 20, [HELD_CACHE] = 1 << 20}}, none = {0};
    char *text = plan_describe(&plan), *empty = plan_describe(&none);

    ck_assert_str_eq(text, "4 MiB (parameters 3 MiB, keys and values 1 MiB)");
    ck_assert_str_eq(empty, "nothing");
    free(text);
    free(empty);
}
END_TEST

START_TEST(phases_peak_at_the_largest)
{
    double held[HOLDINGS] = {3, 4}, smaller[HOLDINGS] = {6}, larger[HOLDINGS] = {1, 0, 7};

    plan_phase(held, smaller);
    ck_assert_double_eq(held[0], 3);
    plan_phase(held, larger);
    ck_assert_double_eq(held[0], 1);
    ck_assert_double_eq(held[2], 7);
}
END_TEST

START_TEST(what_is_held_beside_adds_up_but_for_scratch)
{
    double held[HOLDINGS] = {[HELD_PARAMETERS] = 3, [HELD_SCRATCH] = 5},
           more[HOLDINGS] = {[HELD_PARAMETERS] = 4, [HELD_LOGITS] = 2, [HELD_SCRATCH] = 1};

    plan_add(held, more);
    ck_assert_double_eq(held[HELD_PARAMETERS], 7);
    ck_assert_double_eq(held[HELD_LOGITS], 2);
    ck_assert_double_eq(held[HELD_SCRATCH], 5);
}
END_TEST

/* 2048 bytes; of twice 2115, all but a 64th of half of that, 2048.9, is left to a step. */
START_TEST(a_devices_driver_keeps_a_64th_of_its_memory_and_256_MiB_at_most)
{
    double mib = 1 << 20, large = 8192 * mib;
    char *tight = trouble("{}", "cuda-bf16", 2114), *text;
    struct plan plan = {.held = {large - 255 * mib}};
    struct node *none = node_new(NODE_MAP);
    struct run run = {.recipe = "test", .device = "cuda"};
    struct step step = {.name = "a", .label = "a", .use = "count", .options = none};

    ck_assert_ptr_null(trouble("{}", "cuda-bf16", 2115));
    ck_assert_ptr_nonnull(strstr(tight, ", 66.1 B of them for its driver: "));
    text = plan_trouble(&plan, &run, &step, &(struct room){large, 10 * large, 0});
    ck_assert_ptr_nonnull(strstr(text, ", 256 MiB of them for its driver: 1 MiB too little"));
    plan.held[0] -= mib;
    ck_assert_ptr_null(plan_trouble(&plan, &run, &step, &(struct room){large, 10 * large, 0}));
    plan.held[0] = large;
    ck_assert_ptr_null(plan_trouble(&plan, &run, &step, &(struct room){large, 10 * large, 1}));
    node_free(none);
    free(tight);
    free(text);
}
END_TEST

START_TEST(what_fits_or_is_not_known_is_no_trouble)
{
    ck_assert_ptr_null(trouble("{}", "cuda", 2115));
    ck_assert_ptr_null(trouble("{}", "cuda", 0)); /* of 0: nobody can tell */
}
END_TEST

/* 2048 bytes: half of the cells are 512 less, a quarter of them 768. */
START_TEST(remedies_that_are_enough_alone_are_named_with_what_they_take)
{
    says("{}", 1600,
         "it takes 2 KiB (parameters 1 KiB, activations 1 KiB), where cuda-bf16 has 1.56 KiB of its 3.12 KiB "
         "free, 50 B of them for its driver: 498 B too little; it fits where nothing else runs (--jobs 1), "
         "or with: thrifty: true (1.5 KiB), "
         "cells: 512 (1.5 KiB), dials: {quarter: true} (1.25 KiB)");
    says("{thrifty: true, cells: 3000}", 1450,
         "it takes 2.46 KiB (parameters 1 KiB, activations 1.46 KiB), where cuda-bf16 has 1.42 KiB of its "
         "2.83 KiB "
         "free, 45.3 B of them for its driver: 1.09 KiB too little; it fits where nothing else runs (--jobs "
         "1), or with: cells: 512 (1.25 "
         "KiB), "
         "dials: {quarter: true} (1.37 KiB)");
}
END_TEST

/* The least number of cells is 64: 1088 bytes; half of those 1056; a quarter of that half 1032. */
START_TEST(what_no_remedy_does_alone_several_do_together)
{
    says("{cells: 2048}", 1070,
         "it takes 3 KiB (parameters 1 KiB, activations 2 KiB), where cuda-bf16 has 1.04 KiB of its 2.09 KiB "
         "free, 33.4 B of them for its driver: 1.99 KiB too little; nothing alone is enough: thrifty: true "
         "(2 KiB), cells: 64 (1.06 KiB), "
         "dials: {quarter: true} (1.5 KiB); thrifty: true with cells: 64 with dials: {quarter: true} takes "
         "1.01 KiB "
         "and fits");
}
END_TEST

START_TEST(what_nothing_helps_is_said)
{
    char *text = trouble("{cells: 2048}", "cuda-bf16", 500), *bare = trouble("{cells: 1}", "cuda-bf16", 500);

    ck_assert_ptr_nonnull(strstr(text, "takes 1.01 KiB, still too much"));
    ck_assert_ptr_nonnull(strstr(bare, "; none of its options lowers that"));
    free(text);
    free(bare);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("plan");
    TCase *cases = tcase_create("plan");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_test(cases, a_plan_is_described_by_what_it_is_for);
    tcase_add_test(cases, phases_peak_at_the_largest);
    tcase_add_test(cases, what_is_held_beside_adds_up_but_for_scratch);
    tcase_add_test(cases, a_devices_driver_keeps_a_64th_of_its_memory_and_256_MiB_at_most);
    tcase_add_test(cases, what_fits_or_is_not_known_is_no_trouble);
    tcase_add_test(cases, remedies_that_are_enough_alone_are_named_with_what_they_take);
    tcase_add_test(cases, what_no_remedy_does_alone_several_do_together);
    tcase_add_test(cases, what_nothing_helps_is_said);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
