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
static const struct world *world;
static void *dials;

static void clean(void) {
    transcripts_free(&transcripts);
    verdicts_free(&verdicts);
    free(dials);
    dials = NULL;
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
    struct judge_setup setup = {&run, world, dials, folder, NULL};
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
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
