/* Records survive the way through a file; what they lack is named. */
#include "harness/record.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"

#define FOLDER "test_record.tmp"

static struct error err;

static void clean(void) {
    ck_assert_int_eq(folder_remove(FOLDER, &err), 0);
}

static void prepare(void) {
    clean();
    ck_assert_int_eq(folder_make(FOLDER, &err), 0);
}

START_TEST(examples_come_back_and_are_found_by_id)
{
    struct examples list = {0}, again = {0};

    for (int i = 0; i < 100; i++) {
        struct example *example = examples_add(&list);

        example->id = xprintf("p%d", i * 37 % 100);
        example->prompt = xprintf("prompt %d", i);
        if (i % 2) example->chosen = xstrdup("a\nb");
    }
    ck_assert_int_eq(examples_write(FOLDER "/e.jsonl", &list, &err), 0);
    ck_assert_int_eq(examples_read(FOLDER "/e.jsonl", &again, &err), 0);
    ck_assert_int_eq(again.count, 100);
    ck_assert_str_eq(again.items[1].chosen, "a\nb");
    ck_assert_ptr_null(again.items[0].chosen);
    ck_assert_ptr_null(again.items[0].split);
    ck_assert_str_eq(examples_find(&again, "p37")->prompt, "prompt 1");
    ck_assert_ptr_null(examples_find(&again, "p100"));
    ck_assert_int_eq(examples_read(FOLDER "/e.jsonl", &again, &err), 0);
    ck_assert_int_eq(again.count, 200);
    ck_assert_ptr_eq(examples_find(&again, "p0"), &again.items[0]);
    examples_free(&list);
    examples_free(&again);
    ck_assert_ptr_null(examples_find(&again, "p0"));
    free(again.order);
}
END_TEST

START_TEST(transcripts_come_back)
{
    struct transcripts list = {0}, again = {0};
    struct transcript *made = transcripts_add(&list), *got;

    ck_assert(isnan(made->reference));
    *made = (struct transcript){.id = xstrdup("t1"),
                                .prompt_id = xstrdup("p1"),
                                .policy = xstrdup("sft"),
                                .prompt = xstrdup("hello ?"),
                                .response = xstrdup(""),
                                .finish = xstrdup("length"),
                                .tokens = 12,
                                .logprob = -3.25,
                                .reference = NAN,
                                .seed = 3};
    ck_assert_int_eq(transcripts_write(FOLDER "/t.jsonl", &list, &err), 0);
    ck_assert_int_eq(transcripts_read(FOLDER "/t.jsonl", &again, &err), 0);
    got = again.items;
    ck_assert_int_eq(again.count, 1);
    ck_assert_str_eq(got->response, "");
    ck_assert_str_eq(got->finish, "length");
    ck_assert_int_eq(got->tokens, 12);
    ck_assert_int_eq(got->seed, 3);
    ck_assert_double_eq(got->logprob, -3.25);
    ck_assert(isnan(got->reference));
    transcripts_free(&list);
    transcripts_free(&again);
}
END_TEST

START_TEST(verdicts_come_back_with_every_outcome)
{
    struct verdicts list = {0}, again = {0};

    for (int i = 0; i <= OUTCOME_TRANSPORT; i++) {
        struct verdict *verdict = verdicts_add(&list);

        verdict->transcript = xprintf("t%d", i);
        verdict->judge = xstrdup("gold");
        verdict->what = xstrdup("correct");
        verdict->outcome = (enum outcome)i;
        verdict->score = i / 3.;
    }
    ck_assert_int_eq(verdicts_write(FOLDER "/v.jsonl", &list, &err), 0);
    ck_assert_int_eq(verdicts_read(FOLDER "/v.jsonl", &again, &err), 0);
    ck_assert_int_eq(again.count, 5);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(again.items[i].outcome, i);
        ck_assert_double_eq(again.items[i].score, i / 3.);
    }
    verdicts_free(&list);
    verdicts_free(&again);
}
END_TEST

START_TEST(metrics_come_back_with_what_could_not_be_computed)
{
    struct metrics list = {0}, again = {0};
    struct metric *made = metrics_add(&list), *got;

    ck_assert(isnan(made->value) && isnan(made->low) && isnan(made->high));
    ck_assert(isnan(made->p) && isnan(made->p_adjusted) && isnan(made->p_seeds));
    ck_assert_int_eq(made->lower_is_better, -1);
    made->suite = xstrdup("length");
    made->name = xstrdup("mean_length");
    made->reason = xstrdup("no answers");
    made->seeds = 3;
    made->per_seed = xmalloc(3 * sizeof(double));
    made->per_seed[0] = 1.5;
    made->per_seed[1] = NAN;
    made->per_seed[2] = -2;
    made->p_seeds = 0.25;
    made->by_seed = 1;
    made->unit = xstrdup("percent");
    ck_assert_int_eq(metrics_write(FOLDER "/m.jsonl", &list, &err), 0);
    ck_assert_int_eq(metrics_read(FOLDER "/m.jsonl", &again, &err), 0);
    got = again.items;
    ck_assert(isnan(got->value));
    ck_assert_str_eq(got->reason, "no answers");
    ck_assert_int_eq(got->seeds, 3);
    ck_assert_double_eq(got->per_seed[0], 1.5);
    ck_assert(isnan(got->per_seed[1]));
    ck_assert_double_eq(got->per_seed[2], -2);
    ck_assert_double_eq(got->p_seeds, 0.25);
    ck_assert(isnan(got->seeds_low) && isnan(got->seeds_high));
    ck_assert_int_eq(got->by_seed, 1);
    ck_assert_str_eq(got->unit, "fraction");
    ck_assert_int_eq(got->lower_is_better, -1);
    metrics_free(&list);
    metrics_free(&again);
}
END_TEST

START_TEST(what_a_record_lacks_is_named)
{
    static const char *const cases[][2] = {
        {"{\"prompt\": \"x\"}", "every transcript needs \"id\""},
        {"{\"id\": null}", "every transcript needs \"id\""},
        {"[1]", "an object was expected, one transcript a line"},
        {"{\"id\": [1]}", "\"id\" must be a text"},
        {"{\"id\":1,\"prompt_id\":2,\"policy\":\"a\",\"prompt\":\"b\",\"response\":\"c\",\"tokens\":1.5}",
         "\"tokens\" must be a whole number"},
        {"{\"id\":1,\"prompt_id\":2,\"policy\":\"a\",\"prompt\":\"b\",\"response\":\"c\",\"logprob\":\"x\"}",
         "\"logprob\" must be a number or null"}};
    struct transcripts list = {0};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(file_write(FOLDER "/t.jsonl", cases[i][0], strlen(cases[i][0]), &err), 0);
        ck_assert_int_eq(transcripts_read(FOLDER "/t.jsonl", &list, &err), -1);
        ck_assert_msg(strstr(err.message, FOLDER "/t.jsonl:1: ") && strstr(err.message, cases[i][1]), "%s",
                      err.message);
    }
    transcripts_free(&list);
}
END_TEST

START_TEST(an_unknown_outcome_is_refused)
{
    const char *line = "{\"transcript\":\"t\",\"judge\":\"g\",\"what\":\"w\",\"outcome\":\"won\"}";
    struct verdicts list = {0};

    ck_assert_int_eq(file_write(FOLDER "/v.jsonl", line, strlen(line), &err), 0);
    ck_assert_int_eq(verdicts_read(FOLDER "/v.jsonl", &list, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "verdict, tie, refused, unparsed, transport"));
    verdicts_free(&list);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("record");
    TCase *cases = tcase_create("record");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_checked_fixture(cases, prepare, clean);
    tcase_add_test(cases, examples_come_back_and_are_found_by_id);
    tcase_add_test(cases, transcripts_come_back);
    tcase_add_test(cases, verdicts_come_back_with_every_outcome);
    tcase_add_test(cases, metrics_come_back_with_what_could_not_be_computed);
    tcase_add_test(cases, what_a_record_lacks_is_named);
    tcase_add_test(cases, an_unknown_outcome_is_refused);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
