/* Whose answers a verdict compares, and how long it takes to put many together. */
#include "harness/duels.h"

#include "harness/memory.h"
#include "harness/names.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <check.h> /* last: it defines a macro named fail */

static struct error err;
static struct outputs outputs;
static struct duels duels;

static void clean(void) {
    duels_free(&duels);
    outputs_free(&outputs);
}

/* The transcript won. */
static struct verdict *judged(const char *transcript, const char *other) {
    struct verdict *verdict = verdicts_add(&outputs.verdicts);

    *verdict = (struct verdict){.transcript = xstrdup(transcript),
                                .other = xstrdup(other),
                                .judge = xstrdup("j"),
                                .what = xstrdup("preference"),
                                .score = 1};
    return verdict;
}

static void told(const char *transcript, const char *other, const char *policy, const char *other_policy) {
    struct verdict *verdict = judged(transcript, other);

    verdict->policy = xstrdup(policy);
    verdict->other_policy = xstrdup(other_policy);
}

static void answered(const char *policy, const char *prompt) {
    struct transcript *answer = transcripts_add(&outputs.transcripts);

    answer->id = xprintf("%s/%s", policy, prompt);
    answer->policy = xstrdup(policy);
    answer->prompt_id = xstrdup(prompt);
    answer->response = xstrdup("");
}

static void make(const char *baseline) {
    ck_assert_msg(!duels_make(&duels, &outputs, baseline, &err), "%s", err.message);
}

static void is_duel(int i, const char *policy, const char *other, const char *prompt, double score) {
    const struct duel *duel = &duels.items[i];

    ck_assert_int_lt(i, duels.count);
    ck_assert_str_eq(duel->policy, policy);
    ck_assert_str_eq(duel->other, other);
    ck_assert_str_eq(duel->prompt_id, prompt);
    ck_assert_double_eq(duel_score(duel, DUEL_AVERAGE), score);
}

static void refused(const char *sentence) {
    ck_assert_int_eq(duels_make(&duels, &outputs, NULL, &err), -1);
    ck_assert_msg(strstr(err.message, sentence) != NULL, "%s", err.message);
    clean();
}

START_TEST(a_name_ends_where_the_verdict_says)
{
    told("x/m/q1", "y/m/q1", "x/m", "y/m"); /* models of two makers, called alike */
    told("x/Age/1", "y/Age/1", "x", "y");   /* prompts of several parts */
    told("x-1-q1-0", "y-1-q1-0", "x", "y"); /* as trained policies' answers are called */
    make(NULL);
    is_duel(0, "x", "y", "1-q1-0", 1);
    is_duel(1, "x", "y", "Age/1", 1);
    is_duel(2, "x/m", "y/m", "q1", 1);
    duels_free(&duels);
    make("x/m");
    is_duel(2, "y/m", "x/m", "q1", 0);
    ck_assert_str_eq(duels.items[2].answer, "y/m/q1");
    ck_assert_str_eq(duels.items[2].other_answer, "x/m/q1");
}
END_TEST

START_TEST(names_that_one_side_or_the_answers_tell_are_enough)
{
    told("x/m/q1", "y/m/q1", NULL, "y/m");
    judged("x/m/q2", "y/m/q2");
    answered("x/m", "q2");
    judged("x/q/1", "y/1"); /* the ids end alike at one slash */
    make(NULL);
    is_duel(0, "x/m", "y/m", "q1", 1);
    is_duel(1, "x/m", "y/m", "q2", 1);
    is_duel(2, "x/q", "y", "1", 1);
}
END_TEST

START_TEST(ids_that_do_not_tell_are_refused)
{
    judged("x/m/q1", "y/m/q1");
    refused("the ids x/m/q1 and y/m/q1 do not tell where the policies' names end");
    judged("one", "two");
    refused("the ids one and two do not tell");
    told("x/q1", "y/q2", "x", "y");
    refused("x/q1 and y/q2, of the policies x and y, are no answers to one prompt");
    told("x/q1", "y/q1", "xy", "y");
    refused("of the policies xy and y, are no answers to one prompt");
    told("x/m/q1", "y/m/q1", "x/m", "y");
    refused("are no answers to one prompt");
}
END_TEST

/* Processor seconds for so many verdicts, each of whose answers and prompt is looked up. */
static double seconds(int count) {
    struct names prompts = {0};
    clock_t from;

    for (int i = 0; i < count; i++) {
        char *prompt = xprintf("q%d", i), *own = xprintf("x/%s", prompt), *theirs = xprintf("y/%s", prompt);

        told(own, theirs, "x", "y");
        answered("x", prompt);
        answered("y", prompt);
        free(prompt);
        free(own);
        free(theirs);
    }
    from = clock();
    make(NULL);
    for (int i = 0; i < duels.count; i++) {
        const struct duel *duel = &duels.items[i];

        ck_assert_ptr_nonnull(transcripts_find(&outputs.transcripts, duel->answer));
        ck_assert_ptr_nonnull(transcripts_find(&outputs.transcripts, duel->other_answer));
        ck_assert_int_eq(names_add(&prompts, duel->prompt_id), i);
        ck_assert_int_eq(names_place(&prompts, duels.items[i / 2].prompt_id), i / 2);
    }
    from = clock() - from;
    free(prompts.items);
    clean();
    return (double)from / CLOCKS_PER_SEC;
}

/* Sorting four times as many takes some 4.5 times as long; comparing each with each, 16 times. */
START_TEST(four_times_the_verdicts_take_less_than_eight_times_as_long)
{
    double few = 1e9, many = 1e9;

    for (int i = 0; i < 5; i++) {
        double a = seconds(10000), b = seconds(40000);

        few = a < few ? a : few;
        many = b < many ? b : many;
    }
    ck_assert_msg(many < 8 * few, "%g s for 40,000 verdicts, %g s for 10,000", many, few);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("duels");
    TCase *all = tcase_create("duels");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_checked_fixture(all, NULL, clean);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, a_name_ends_where_the_verdict_says);
    tcase_add_test(all, names_that_one_side_or_the_answers_tell_are_enough);
    tcase_add_test(all, ids_that_do_not_tell_are_refused);
    tcase_add_test(all, four_times_the_verdicts_take_less_than_eight_times_as_long);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
