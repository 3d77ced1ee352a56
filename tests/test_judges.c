/* Judges repeat what worlds and rewards say, for an answer in any company. */
#include "judges/judge.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"

#undef fail /* of check.h; ours is a function */

#define FOLDER "test_judges.tmp"

enum { ANSWERS = 30 };

static struct error err;
static struct transcripts transcripts;
static struct verdicts verdicts;
static struct examples questions;
static const struct world *world;
static void *dials;

static void clean(void) {
    transcripts_free(&transcripts);
    verdicts_free(&verdicts);
    examples_free(&questions);
    free(dials);
    dials = NULL;
    world = NULL;
    ck_assert_int_eq(folder_remove(FOLDER, &err), 0);
}

static void use_world(const char *name) {
    world = world_find(name);
    ck_assert_ptr_nonnull(world);
    dials = xcalloc(1, world->dials_size);
    ck_assert_int_eq(options_read(world->options, NULL, NULL, "test", dials, &err), 0);
    for (int i = 0; i < ANSWERS; i++) {
        struct rng rng = rng_stream(1, "test", (uint64_t)i, 0);
        struct transcript *t = transcripts_add(&transcripts);

        t->id = xprintf("t%d", i);
        t->prompt_id = xprintf("p%d", i);
        t->policy = xstrdup("sft");
        t->finish = xstrdup("eos");
        t->prompt = world->prompt(dials, "heldout", &rng);
        t->response = world->demonstrate(dials, t->prompt, &rng);
    }
}

static int judge_by(const char *name, const char *folder, int first, int count) {
    struct run run = {.recipe = "recipe.yaml", .folder = FOLDER, .device = "cpu", .threads = 1};
    struct judge_setup setup = {.run = &run, .world = world, .dials = dials, .folder = folder};
    const struct transcript *list[ANSWERS];
    const struct judge *judge = judge_find(name);
    struct judging *judging = NULL;
    int status;

    ck_assert_ptr_nonnull(judge);
    if (judge->open(&judging, &setup, &err)) return -1;
    for (int i = 0; i < count; i++) list[i] = &transcripts.items[first + i];
    status = judge->judge(judging, list, count, &verdicts, &err);
    judge->close(judging);
    return status;
}

static double score(const char *transcript, const char *what) {
    for (int i = 0; i < verdicts.count; i++) {
        const struct verdict *verdict = &verdicts.items[i];

        if (strcmp(verdict->transcript, transcript) || strcmp(verdict->what, what)) continue;
        ck_assert_int_eq(verdict->outcome, OUTCOME_VERDICT);
        return verdict->score;
    }
    return -1000;
}

START_TEST(gold_repeats_the_world)
{
    int refused = 0;

    use_world("safety");
    ck_assert_int_eq(judge_by("gold", NULL, 0, ANSWERS), 0);
    for (int i = 0; i < ANSWERS; i++) {
        const struct transcript *t = &transcripts.items[i];
        struct features features = {0};

        world->inspect(t->prompt, t->response, &features);
        ck_assert_double_eq(score(t->id, "gold"), features.gold);
        ck_assert_double_eq(score(t->id, "refused"), features.refused);
        refused += features.refused;
    }
    ck_assert_int_gt(refused, 0);
    ck_assert_int_lt(refused, ANSWERS);
    ck_assert_double_eq(score("t0", "correct"), -1000); /* no right and wrong here */
    ck_assert_str_eq(verdicts.items[0].judge, "gold");
}
END_TEST

START_TEST(bounded_approves_above_a_half)
{
    int approved = 0;

    use_world("debate");
    ck_assert_int_eq(judge_by("bounded", NULL, 0, ANSWERS), 0);
    ck_assert_int_eq(verdicts.count, 2 * ANSWERS);
    for (int i = 0; i < ANSWERS; i++) {
        const struct transcript *t = &transcripts.items[i];
        double chance = world->approve(dials, t->prompt, t->response);

        ck_assert_double_eq(score(t->id, "approval_probability"), chance);
        ck_assert_double_eq(score(t->id, "approval"), chance > 0.5);
        approved += chance > 0.5;
    }
    ck_assert_int_gt(approved, 0);
    ck_assert_int_lt(approved, ANSWERS);
}
END_TEST

START_TEST(correctness_is_judged_where_there_is_any)
{
    use_world("debate");
    ck_assert_int_eq(judge_by("gold", NULL, 0, ANSWERS), 0);
    for (int i = 0; i < ANSWERS; i++) {
        double correct = score(transcripts.items[i].id, "correct");

        ck_assert(correct == 0 || correct == 1);
        ck_assert_double_eq(correct, score(transcripts.items[i].id, "gold"));
    }
}
END_TEST

/* A gold reward with mean 0.25 and standard deviation 0.5, as its fit would have written. */
START_TEST(a_reward_scores_alike_in_any_company)
{
    const char *facts = "{\"reward\":\"gold\",\"world\":\"safety\",\"mean\":0.25,\"std\":0.5}";
    double together[ANSWERS];

    use_world("safety");
    ck_assert_int_eq(folder_make(FOLDER, &err), 0);
    ck_assert_int_eq(file_write(FOLDER "/reward.json", facts, strlen(facts), &err), 0);
    ck_assert_msg(!judge_by("reward_model", FOLDER, 0, ANSWERS), "%s", err.message);
    ck_assert_int_eq(verdicts.count, ANSWERS);
    for (int i = 0; i < ANSWERS; i++) {
        struct features features = {0};

        world->inspect(transcripts.items[i].prompt, transcripts.items[i].response, &features);
        together[i] = score(transcripts.items[i].id, "reward");
        ck_assert_double_eq_tol(together[i], (features.gold - 0.25) / 0.5, 1e-5);
    }
    verdicts_free(&verdicts);
    for (int i = 0; i < ANSWERS; i++) ck_assert_int_eq(judge_by("reward_model", FOLDER, i, 1), 0);
    for (int i = 0; i < ANSWERS; i++)
        ck_assert_double_eq(score(transcripts.items[i].id, "reward"), together[i]);
}
END_TEST

START_TEST(a_judge_that_lacks_its_means_says_so)
{
    use_world("safety");
    ck_assert_int_eq(judge_by("bounded", NULL, 0, 1), -1);
    ck_assert_str_eq(err.message, "the judge bounded needs a world with an evaluator; safety has none");
    ck_assert_int_eq(judge_by("reward_model", NULL, 0, 1), -1);
    ck_assert_int_eq(judge_by("reward_model", FOLDER "/none", 0, 1), -1);
    world = NULL;
    ck_assert_int_eq(judge_by("gold", NULL, 0, 1), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "needs a world"));
    ck_assert_int_eq(judge_by("bounded", NULL, 0, 1), -1);
    ck_assert_ptr_null(judge_find("oracle"));
}
END_TEST

/* An answer to question `id`, which is made with the first. */
static void ask(const char *id, const char *truth, const char *response) {
    struct transcript *t = transcripts_add(&transcripts);

    if (!examples_find(&questions, id)) {
        struct example *question = examples_add(&questions);

        question->id = xstrdup(id);
        question->prompt = xprintf("question %s", id);
        question->truth = xstrdup(truth);
    }
    t->id = xprintf("t%d", transcripts.count - 1);
    t->prompt_id = xstrdup(id);
    t->policy = xstrdup("sft");
    t->prompt = xprintf("question %s", id);
    t->response = xstrdup(response);
}

/* Every answer, by a judge with options in YAML. */
static int judge_with(const char *name, const char *yaml) {
    struct run run = {.recipe = "recipe.yaml", .folder = FOLDER, .device = "cpu", .threads = 2};
    struct node *options = document_parse_yaml(yaml, strlen(yaml), "options", &err);
    struct judge_setup setup = {.run = &run, .questions = &questions, .options = options, .where = "options"};
    const struct transcript **list = xmalloc(((size_t)transcripts.count + 1) * sizeof *list);
    const struct judge *judge = judge_find(name);
    struct judging *judging = NULL;
    int status;

    ck_assert_ptr_nonnull(judge);
    ck_assert_ptr_nonnull(options);
    verdicts_free(&verdicts);
    for (int i = 0; i < transcripts.count; i++) list[i] = &transcripts.items[i];
    status = judge->open(&judging, &setup, &err);
    if (!status) {
        status = judge->judge(judging, list, transcripts.count, &verdicts, &err);
        judge->close(judging);
    }
    free(list);
    node_free(options);
    return status;
}

/* 1 right, 0 wrong, ? no verdict: of every answer in order. */
static const char *marks(void) {
    static char out[100];

    ck_assert_int_lt(verdicts.count, 100);
    for (int i = 0; i < verdicts.count; i++) {
        const struct verdict *verdict = &verdicts.items[i];

        ck_assert_str_eq(verdict->transcript, transcripts.items[i].id);
        ck_assert(verdict->outcome == OUTCOME_VERDICT || verdict->reason);
        out[i] = verdict->outcome != OUTCOME_VERDICT ? '?' : verdict->score == 1 ? '1' : '0';
    }
    out[verdicts.count] = 0;
    return out;
}

static void expect_marks(const char *judge, const char *yaml, const char *wanted) {
    ck_assert_msg(!judge_with(judge, yaml), "%s", err.message);
    ck_assert_msg(!strcmp(marks(), wanted), "%s %s: %s, expected %s", judge, yaml, marks(), wanted);
}

START_TEST(exact_compares_by_the_rule_that_is_named)
{
    ask("paris", "Paris", "Paris");
    ask("paris", NULL, "  paris.\n");
    ask("paris", NULL, "It is Paris, in France.");
    ask("paris", NULL, "Parisian");
    ask("paris", NULL, "Let me think.\n\nParis\n");
    ask("paris", NULL, "");
    ask("none", NULL, "Paris");
    expect_marks("exact", "{}", "110000?");
    expect_marks("exact", "{keep_case: true}", "100000?");
    expect_marks("exact", "{keep_punctuation: true}", "100000?");
    expect_marks("exact", "{rule: contains}", "111010?");
    expect_marks("exact", "{rule: last_line}", "110010?");
    expect_marks("exact", "{rule: first_line}", "110000?");
    ck_assert_str_eq(verdicts.items[6].reason, "the question has no reference answer");
    ck_assert_str_eq(verdicts.items[0].what, "correct");
    ck_assert_str_eq(verdicts.items[0].judge, "exact");
}
END_TEST

START_TEST(exact_takes_any_of_several_references)
{
    ask("who", "the Beatles; Beatles, The", "Beatles the");
    ask("who", NULL, "The Beatles");
    ask("who", NULL, "beatles");
    ask("list", "[\"one\", \"1\"]", "1");
    ask("list", NULL, "two");
    expect_marks("exact", "{separator: ;}", "11010");
    expect_marks("exact", "{separator: ;, drop_articles: true}", "11110");
    expect_marks("exact", "{}", "00010");
}
END_TEST

START_TEST(exact_reads_the_last_number)
{
    ask("sum", "#### 1,234.50", "First 17, then it is $1,234.5.");
    ask("sum", NULL, "1234.5 or 1235");
    ask("sum", NULL, "-1234.5");
    ask("sum", NULL, "none");
    ask("sum", NULL, "1,23,4.5"); /* no groups of three: the last number is 4.5 */
    ask("zero", "0", "It is 0.");
    ask("word", "many", "3");
    expect_marks("exact", "{rule: number}", "100001?");
    expect_marks("exact", "{rule: number, tolerance: 0.001}", "110001?");
}
END_TEST

/* Meta, in YAML, of the question made last. */
static void add_meta(const char *yaml) {
    questions.items[questions.count - 1].meta = document_parse_yaml(yaml, strlen(yaml), "meta", &err);
    ck_assert_ptr_nonnull(questions.items[questions.count - 1].meta);
}

START_TEST(choice_is_right_where_the_last_statement_is)
{
    ask("list", "B", "The answer is A. No: the answer is B.");
    add_meta("{choices: [red, green, blue]}");
    ask("list", NULL, "green");
    ask("list", NULL, "C");
    ask("list", NULL, "Hard to say.");
    ask("map", "blue", "3");
    add_meta("{options: {A: red, B: green, C: blue}}");
    ask("columns", "2", "(B)");
    add_meta("{A: red, B: green}");
    ask("arc", "1", "B");
    add_meta("{choices: {text: [red, green], label: [A, B]}}");
    ask("odd", "D", "A");
    add_meta("{choices: [red, green]}");
    ask("none", "A", "A");
    expect_marks("choice", "{}", "110?110??");
    expect_marks("choice", "{first: 0}", "110?1?1??"); /* 2 is beyond two choices; 1 is the second */
    ck_assert_str_eq(verdicts.items[0].reason, "took B of 3");
    ck_assert_str_eq(verdicts.items[3].reason, "the answer takes no choice, or more than one");
    ck_assert_str_eq(verdicts.items[7].reason, "the question's truth is none of its choices");
    ck_assert_str_eq(verdicts.items[8].reason, "the question has no choices");
}
END_TEST

START_TEST(a_judge_says_what_it_was_not_given)
{
    ask("none", NULL, "x");
    ck_assert_int_eq(judge_with("exact", "{}"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "no question has a reference answer"));
    ck_assert_int_eq(judge_with("choice", "{}"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "no question has choices"));
    ck_assert_int_eq(judge_with("exact", "{ruel: equal}"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "did you mean \"rule\"?"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("judges");
    TCase *cases = tcase_create("judges");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_checked_fixture(cases, clean, clean);
    tcase_add_test(cases, gold_repeats_the_world);
    tcase_add_test(cases, bounded_approves_above_a_half);
    tcase_add_test(cases, correctness_is_judged_where_there_is_any);
    tcase_add_test(cases, a_reward_scores_alike_in_any_company);
    tcase_add_test(cases, a_judge_that_lacks_its_means_says_so);
    tcase_add_test(cases, exact_compares_by_the_rule_that_is_named);
    tcase_add_test(cases, exact_takes_any_of_several_references);
    tcase_add_test(cases, exact_reads_the_last_number);
    tcase_add_test(cases, choice_is_right_where_the_last_statement_is);
    tcase_add_test(cases, a_judge_says_what_it_was_not_given);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
