/* Fitting rewards: each learns the echo world's preference, and a killed fit ends in the bytes of a whole
 * one. */
#include "tests/training.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "rewards/reward.h"

static char *folder;

static void train(const char *stage, const char *name, const char *options) {
    struct error err;

    ck_assert_msg(run_step(stage, folder, name, options, 1, &err) == 0, "%s", err.message);
}

static void setup(void) {
    folder = fresh_folder();
    make_task(folder);
    train("sft", "sft", "{base: @base, data: [@data], lr: 1e-2, epochs: 4}");
}

static void teardown(void) {
    struct error err;

    folder_remove(folder, &err);
    free(folder);
}

static struct node *facts_of(const char *name) {
    char *path = xprintf("%s/%s/reward.json", folder, name);
    struct error err;
    struct node *facts = document_read(path, &err);

    ck_assert_msg(facts != NULL, "%s", err.message);
    free(path);
    return facts;
}

#define FIT  "{base: @sft, data: [@data], samples: 64, max_new: 8, epochs: 3, "
#define FAST "lr: 1e-2, batch: 16, "

static void check_accuracy(const char *name, double least) {
    struct node *facts = facts_of(name);
    const struct node *accuracy = node_get(facts, "accuracy");

    ck_assert_double_ge(node_number(accuracy, "heldout", 0), least);
    ck_assert_double_ge(node_number(accuracy, "ood", 0), least);
    ck_assert(isfinite(node_number(facts, "length_correlation", NAN)));
    node_free(facts);
}

static int passes, most_tokens, allocations;

static void count_embed(float *out, const float *table, const float *positions, const int *token,
                        const int *position, int count, int width, float scale) {
    passes++;
    most_tokens = count > most_tokens ? count : most_tokens;
    kernels_find("cpu")->embed(out, table, positions, token, position, count, width, scale);
}

static void *count_alloc(size_t bytes) {
    allocations++;
    return kernels_find("cpu")->alloc(bytes);
}

/* Reading 2000 rows of 3 + 2 tokens takes so many passes, of a bounded size, all in the same memory. */
static void check_batches(const char *name, int expected) {
    enum { ROWS = 2000 };
    int prompt[] = {1, 2, 3}, response[] = {4, 5};
    struct exchange *rows = xcalloc(ROWS, sizeof *rows);
    float *score = xcalloc(ROWS, sizeof *score);
    struct kernels counting = *kernels_find("cpu");
    const struct reward *reward;
    struct scorer *scorer;
    struct error err;
    char *place = path_join(folder, name);

    counting.embed = count_embed;
    counting.alloc = count_alloc;
    for (int i = 0; i < ROWS; i++)
        rows[i] = (struct exchange){
            .prompt = prompt, .response = response, .prompt_length = 3, .response_length = 2};
    ck_assert_msg(reward_open(&reward, &scorer, place, &counting, &err) == 0, "%s", err.message);
    ck_assert_int_eq(reward->score(scorer, rows, 1, NULL, score, &err), 0); /* lays out the weights */
    passes = most_tokens = allocations = 0;
    ck_assert_int_eq(reward->score(scorer, rows, ROWS, NULL, score, &err), 0);
    ck_assert_int_eq(passes, expected);
    ck_assert_int_le(most_tokens, SCORE_BUDGET);
    ck_assert_int_eq(allocations, 1);
    for (int i = 1; i < ROWS; i++) ck_assert(score[i] == score[0]);
    reward->close(scorer);
    free(place);
    free(score);
    free(rows);
}

START_TEST(the_scalar_reward_learns_the_preference)
{
    train("reward", "rm", FIT FAST "reward: scalar}");
    check_accuracy("rm", 0.95);
    ck_assert_double_ge(log_value(folder, "rm", "heldout_accuracy", 0), 0.95);
    check_batches("rm", 3);
}
END_TEST

START_TEST(the_seq2seq_reward_learns_the_preference)
{
    train("reward", "rm", FIT FAST "reward: seq2seq}");
    check_accuracy("rm", 0.9);
    check_batches("rm", 4); /* rows of 3 + 2 + 1 + 1 */
}
END_TEST

START_TEST(a_reward_that_pays_for_length_is_called_out)
{
    struct node *strict, *lax;

    train("reward", "strict", FIT "reward: gold, length_limit: 0}");
    train("reward", "lax", FIT "reward: gold, length_limit: 1}");
    strict = facts_of("strict");
    lax = facts_of("lax");
    ck_assert_double_ne(node_number(strict, "length_correlation", 0), 0);
    ck_assert_str_eq(node_get(strict, "events")->first->text, "length_correlation");
    ck_assert_ptr_null(node_get(lax, "events"));
    node_free(strict);
    node_free(lax);
}
END_TEST

START_TEST(ensembles_learn_the_preference_together_or_apart)
{
    train("reward", "apart", FIT FAST "reward: ensemble, settings: {members: 2, aggregate: worst}}");
    train("reward", "shared", FIT FAST "reward: ensemble, settings: {members: 2, architecture: shared}}");
    check_accuracy("apart", 0.95);
    check_accuracy("shared", 0.95);
    check_batches("apart", 2 * 3);
    check_batches("shared", 3);
}
END_TEST

START_TEST(the_gold_reward_needs_no_fit_but_a_world)
{
    struct error err;

    train("reward", "rm", FIT "reward: gold}");
    check_accuracy("rm", 0.95);
    ck_assert_int_eq(run_step("reward", folder, "lost", "{base: @sft, data: [@sft], reward: gold}", 1, &err),
                     -1);
}
END_TEST

static const char *const devices[] = {"cpu", "cpu-bf16"};
static const char *const roundings[] = {"false", "true"};

START_TEST(a_killed_fit_ends_in_the_same_bytes)
{
    char *options = xprintf(FIT "batch: 64, checkpoint_every: 4, reward: ensemble, settings: {members: 2}, "
                                "stochastic_rounding: %s}",
                            roundings[_i]);

    training_device = devices[_i];
    train("reward", "whole", options);
    run_step_killed("reward", folder, "killed", options, 6);
    train("reward", "killed", options);
    check_same_bytes(folder, "whole", "killed", "log.jsonl");
    check_same_bytes(folder, "whole", "killed", "reward.json");
    check_same_bytes(folder, "whole", "killed", "member-1/model.safetensors");
    check_same_bytes(folder, "whole", "killed", "member-2/model.safetensors");
    training_device = "cpu";
    free(options);
}
END_TEST

START_TEST(scores_are_normalised_on_the_samples)
{
    struct node *facts;

    train("reward", "rm", FIT FAST "reward: scalar, normalise: demonstrations}");
    train("reward", "none", FIT FAST "reward: scalar, normalise: none}");
    facts = facts_of("rm");
    ck_assert_double_eq(node_number(facts, "samples", 0), 64);
    ck_assert_double_ne(node_number(facts, "mean", 0), 0);
    node_free(facts);
    facts = facts_of("none");
    ck_assert_double_eq(node_number(facts, "mean", 1), 0);
    ck_assert_double_eq(node_number(facts, "std", 0), 1);
    node_free(facts);
    check_same_bytes(folder, "rm", "none", "model.safetensors");
}
END_TEST

START_TEST(an_unknown_reward_is_named_with_the_nearest)
{
    struct error err;

    ck_assert_int_eq(run_step("reward", folder, "rm", FIT "reward: scaler}", 1, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "scalar"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("train_reward");
    TCase *tests = tcase_create("reward");
    SRunner *runner = srunner_create(suite);
    int failures;

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, the_scalar_reward_learns_the_preference);
    tcase_add_test(tests, the_seq2seq_reward_learns_the_preference);
    tcase_add_test(tests, a_reward_that_pays_for_length_is_called_out);
    tcase_add_test(tests, ensembles_learn_the_preference_together_or_apart);
    tcase_add_test(tests, the_gold_reward_needs_no_fit_but_a_world);
    tcase_add_loop_test(tests, a_killed_fit_ends_in_the_same_bytes, 0, 2);
    tcase_add_test(tests, scores_are_normalised_on_the_samples);
    tcase_add_test(tests, an_unknown_reward_is_named_with_the_nearest);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
