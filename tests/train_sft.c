/* Supervised fine-tuning: it learns, and a killed run ends in the bytes of a whole one. */
#include "tests/training.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "models/dataset.h"
#include "models/folder.h"

static char *folder;

static void setup(void) {
    folder = fresh_folder();
    make_task(folder);
}

static void teardown(void) {
    struct error err;

    folder_remove(folder, &err);
    free(folder);
}

#define SFT "{base: @base, data: [@data], lr: 1e-2, batch: 32, decay: 0"

static void train(const char *name, const char *options, int threads) {
    struct error err;

    ck_assert_msg(run_step("sft", folder, name, options, threads, &err) == 0, "%s", err.message);
}

/* A coin for the word (ln 2), another for "please" (0.61), over two to four tokens: what is left is the
   demonstrator's own entropy. */
START_TEST(learns_all_but_the_coins)
{
    train("sft", SFT ", epochs: 10}", 1);
    ck_assert_double_gt(log_value(folder, "sft", "heldout_loss", 1), 0);
    ck_assert_double_gt(log_value(folder, "sft", "loss", 1), 5);
    ck_assert_double_lt(log_value(folder, "sft", "heldout_loss", 0), 0.7);
}
END_TEST

START_TEST(a_killed_run_ends_in_the_same_bytes)
{
    const char *options = SFT ", steps: 12, checkpoint_every: 5}";

    train("whole", options, 1);
    run_step_killed("sft", folder, "killed", options, 3); /* before there is a checkpoint */
    run_step_killed("sft", folder, "killed", options, 8);
    train("killed", options, 1);
    check_same_bytes(folder, "whole", "killed", "model.safetensors");
    check_same_bytes(folder, "whole", "killed", "log.jsonl");
}
END_TEST

static int same_loss(const char *a, const char *b) {
    return log_value(folder, a, "loss", 0) == log_value(folder, b, "loss", 0);
}

/* What is rounded in other ways computes other losses from the second update on. */
START_TEST(stochastic_rounding_is_of_the_seed_and_survives_a_kill)
{
    const char *options = SFT ", steps: 12, checkpoint_every: 5, stochastic_rounding: true}";

    training_device = "cpu-bf16";
    train("whole", options, 1);
    run_step_killed("sft", folder, "killed", options, 8);
    train("killed", options, 2);
    check_same_bytes(folder, "whole", "killed", "model.safetensors");
    check_same_bytes(folder, "whole", "killed", "log.jsonl");
    train("nearest", SFT ", steps: 12}", 1);
    ck_assert_double_eq(log_value(folder, "whole", "loss", 1), log_value(folder, "nearest", "loss", 1));
    ck_assert(!same_loss("whole", "nearest"));
    ck_assert_double_eq_tol(log_value(folder, "whole", "loss", 0), log_value(folder, "nearest", "loss", 0),
                            0.02);
    training_device = "cpu";
}
END_TEST

START_TEST(stochastic_rounding_is_refused_where_nothing_is_rounded)
{
    const char *options = SFT ", steps: 12, stochastic_rounding: true}";
    struct plan plan = {0};
    struct error err;

    ck_assert_int_eq(run_step("sft", folder, "exact", options, 1, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "stochastic_rounding is of weights in bf16"));
    ck_assert_int_eq(plan_step("sft", folder, options, &plan, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "stochastic_rounding is of weights in bf16"));
}
END_TEST

START_TEST(micro_batches_and_threads_change_nothing)
{
    train("whole", SFT ", steps: 6}", 1);
    train("pieces", SFT ", steps: 6, micro_tokens: 20}", 1);
    train("threads", SFT ", steps: 6}", 2);
    train("recompute", SFT ", steps: 6, recompute: true}", 1);
    check_same_bytes(folder, "whole", "pieces", "model.safetensors");
    check_same_bytes(folder, "whole", "threads", "model.safetensors");
    check_same_bytes(folder, "whole", "recompute", "model.safetensors");
}
END_TEST

START_TEST(batches_by_tokens_use_every_row)
{
    train("tokens", SFT ", epochs: 1, batch_tokens: 100, evaluate_every: 0}", 1);
    ck_assert_double_gt(log_value(folder, "tokens", "step", 0), 20);
}
END_TEST

START_TEST(a_new_model_is_made_to_the_recipe_s_measure)
{
    train("new",
          "{model: {family: gpt2, layers: 1, width: 16, heads: 2, context: 48}, tokenizer: @tokenizer, "
          "data: [@data], steps: 2, bits: 16}",
          1);
    ck_assert(isfinite(log_value(folder, "new", "loss", 0)));
}
END_TEST

/* FOLDER/long: a row that fits the context of 64, one whose prompt does not, one whose response does not. */
static void write_long_rows(void) {
    struct examples rows = {0};
    char *data = path_join(folder, "long"), *path = path_join(data, "demonstrations.jsonl");
    struct error err;

    for (int i = 0; i < 3; i++) {
        struct example *row = examples_add(&rows);
        struct text many = {0};

        for (int j = 0; j < 100; j++) text_printf(&many, "%sqwertz", j ? " " : "");
        row->id = xprintf("row-%d", i + 1);
        row->split = xstrdup("train");
        row->prompt = i == 1 ? xprintf("%s say no", many.data) : xstrdup("say no");
        row->response = xstrdup(i == 2 ? many.data : "no");
        free(many.data);
    }
    ck_assert_int_eq(folder_make(data, &err), 0);
    ck_assert_int_eq(examples_write(path, &rows, &err), 0);
    examples_free(&rows);
    free(path);
    free(data);
}

START_TEST(rows_that_do_not_fit_are_left_out_cut_or_an_error)
{
    static const char alone[] = "{\"id\":\"row-3\",\"reason\":\"the response alone is longer than the "
                                "context\"}\n";
    struct error err;
    char *both = xprintf(
        "{\"id\":\"row-2\",\"reason\":\"prompt and response are longer than the context\"}\n%s", alone);
    char *cut = xprintf(
        "{\"id\":\"row-2\",\"reason\":\"the prompt was cut to fit the context\",\"kept\":true}\n%s", alone);

    write_long_rows();
    train("drop", "{base: @base, data: [@long], steps: 2}", 1);
    check_dropped(folder, "drop", both);
    train("cut", "{base: @base, data: [@long], steps: 2, overlong: cut_prompt}", 1);
    check_dropped(folder, "cut", cut);
    ck_assert_int_eq(
        run_step("sft", folder, "error", "{base: @base, data: [@long], steps: 2, overlong: error}", 1, &err),
        -1);
    ck_assert_ptr_nonnull(strstr(err.message, "prompt and response of row-2 have"));
    ck_assert_ptr_nonnull(strstr(err.message, "and the context 64; overlong: drop"));
    train("all", SFT ", steps: 2}", 1);
    check_dropped(folder, "all", "");
    free(both);
    free(cut);
}
END_TEST

/* A dialogue: 'b' of an earlier turn is learned by `assistant` alone, the user's words only by `all`. */
START_TEST(losses_are_masked_by_role)
{
    static const char row[] =
        "{\"id\":\"row-1\",\"split\":\"train\",\"prompt\":\"\\n\\nHuman: a\\n\\nAssistant: "
        "bcd\\n\\nHuman: e\\n\\nAssistant:\",\"response\":\"f\"}\n";
    char *data = path_join(folder, "talk"), *path = path_join(data, "demonstrations.jsonl");
    double loss[3];
    struct error err;

    ck_assert_int_eq(folder_make(data, &err), 0);
    ck_assert_int_eq(file_write(path, row, strlen(row), &err), 0);
    train("response", "{base: @base, data: [@talk], steps: 1}", 1);
    train("assistant", "{base: @base, data: [@talk], steps: 1, learn: assistant}", 1);
    train("all", "{base: @base, data: [@talk], steps: 1, learn: all}", 1);
    loss[0] = log_value(folder, "response", "loss", 1);
    loss[1] = log_value(folder, "assistant", "loss", 1);
    loss[2] = log_value(folder, "all", "loss", 1);
    ck_assert(isfinite(loss[0]) && isfinite(loss[1]) && isfinite(loss[2]));
    ck_assert_double_ne(loss[0], loss[1]);
    ck_assert_double_ne(loss[1], loss[2]);
    train("same", SFT ", steps: 3}", 1); /* no earlier answers there */
    train("again", SFT ", steps: 3, learn: assistant}", 1);
    check_same_bytes(folder, "same", "again", "model.safetensors");
    free(path);
    free(data);
}
END_TEST

START_TEST(rows_hold_marks_for_every_token_but_the_first)
{
    static const int ids[] = {5, 6, 7, 8};
    static const unsigned char learn[] = {1, 0, 1, 1};
    struct dataset data = {0};

    dataset_add(&data, ids, 2, ids, 1, 0.5f);
    dataset_add_marked(&data, ids, learn, 4, 1);
    dataset_add(&data, ids, 0, ids, 3, 1);
    ck_assert_int_eq(data.count, 3);
    ck_assert_int_eq(data.longest, 4);
    ck_assert_mem_eq(data.learn, "\0\0\1\0\0\1\1\0\1\1", 10);
    ck_assert_int_eq(data.learned[0], 1);
    ck_assert_int_eq(data.learned[1], 2);
    ck_assert_int_eq(data.learned[2], 2); /* nothing predicts a row's first */
    ck_assert_int_eq(dataset_length(&data, 1), 4);
    dataset_free(&data);
}
END_TEST

START_TEST(divergence_is_an_error_with_a_name)
{
    struct error err;
    char *path, *log;

    ck_assert_int_eq(
        run_step("sft", folder, "nan",
                 "{base: @base, data: [@data], lr: 10, decay: 10, warmup: 0, schedule: constant, "
                 "steps: 200, clip_gradient: 0}",
                 1, &err),
        -1);
    ck_assert_ptr_nonnull(strstr(err.message, "lower lr"));
    path = xprintf("%s/nan/log.jsonl", folder);
    log = file_read(path, NULL, &err);
    ck_assert_ptr_nonnull(strstr(log, "\"events\":[\"nan\"]"));
    free(log);
    free(path);
}
END_TEST

START_TEST(the_plan_knows_what_a_base_weighs)
{
    struct plan plan = {0};
    struct error err;

    ck_assert_int_eq(plan_step("sft", folder, SFT ", steps: 10, batch_tokens: 100}", &plan, &err), 0);
    ck_assert_double_gt(plan.parameters, 10000);
    ck_assert_double_gt(plan_bytes(&plan), 16 * plan.parameters);
    plan = (struct plan){0};
    ck_assert_int_eq(plan_step("sft", folder, "{base: @later, data: [@data]}", &plan, &err), 0);
    ck_assert_double_eq(plan.parameters, 0);
    ck_assert_int_eq(plan_step("ppo", folder, "{policy: @base, reward: @rm, data: [@data]}", &plan, &err), 0);
    ck_assert_double_gt(plan.parameters, 40000);
    ck_assert_int_eq(plan_step("reward", folder, "{reward: scalar, base: @base, data: [@data]}", &plan, &err),
                     0);
}
END_TEST

static double plan_of(const char *stage, const char *options, double *bytes) {
    struct plan plan = {0};
    struct error err;

    ck_assert_msg(!plan_step(stage, folder, options, &plan, &err), "%s", err.message);
    *bytes = plan_bytes(&plan);
    return plan.parameters;
}

/* The folder of a fitted gold reward, or a plan's word for one that is not fitted yet. */
START_TEST(the_plan_knows_that_the_gold_reward_is_no_model)
{
    static const char *const told[] = {"{policy: @base, reward: @gold, data: [@data]}",
                                       "{policy: @base, reward: " NO_MODEL ", data: [@data]}"};
    char *gold = xprintf("%s/gold", folder), *path = path_join(gold, "reward.json");
    static const char facts[] = "{\"reward\": \"gold\", \"world\": \"safety\"}";
    double fitted, bare, parameters;
    struct error err;

    ck_assert_int_eq(folder_make(gold, &err), 0);
    ck_assert_int_eq(file_write(path, facts, strlen(facts), &err), 0);
    parameters = plan_of("ppo", "{policy: @base, reward: @base, data: [@data]}", &fitted);
    for (int i = 0; i < 2; i++) {
        ck_assert_double_eq(plan_of("ppo", told[i], &bare),
                            parameters * 3 / 4); /* of two pupils, a reference */
        ck_assert_double_lt(bare, fitted);
    }
    parameters = plan_of("reward", "{reward: scalar, base: @base, data: [@data]}", &fitted);
    ck_assert_double_eq(plan_of("reward", "{reward: gold, base: @base, data: [@data]}", &bare),
                        parameters / 2);
    ck_assert_double_lt(bare, fitted);
    free(path);
    free(gold);
}
END_TEST

/* The base has 2 layers of width 32: 2 x 32 x 2 x (96 + 32 + 128 + 64) operations of a token's products and 2
   x 4 x 32 x (L + 1) / 2 of its attention in a row of L; the context is 64. */
static double body(double tokens, int length) {
    return tokens * (40960 + 128.0 * (length + 1));
}

static double planned(const char *stage, const char *options) {
    struct plan plan = {0};
    struct error err;

    ck_assert_msg(!plan_step(stage, folder, options, &plan, &err), "%s", err.message);
    return plan.flops;
}

START_TEST(the_plan_counts_operations)
{
    char *path = xprintf("%s/base", folder);
    struct config config;
    struct error err;
    double head, fit, samples, rows;

    ck_assert_int_eq(folder_config(&config, path, &err), 1);
    free(path);
    head = 64.0 * config.vocab;
    fit = body(10 * 100, 64);
    ck_assert_double_eq(planned("sft", SFT ", steps: 10, batch_tokens: 100}"), 3 * (fit + 500 * head));
    ck_assert_double_eq(planned("sft", SFT ", steps: 10, batch_tokens: 100, learn: all}"),
                        3 * (fit + 1000 * head));
    ck_assert_double_eq(planned("sft", SFT ", steps: 10}"), 0); /* of so many rows, nobody knows how long */

    samples = body(8 * 16, 16);
    ck_assert_double_eq(
        planned("reward", "{reward: gold, base: @base, data: [@data], samples: 8, max_new: 8}"),
        samples + 64 * head);
    ck_assert_double_eq(planned("reward",
                                "{reward: scalar, base: @base, data: [@data], steps: 10, batch_tokens: "
                                "100, samples: 8, max_new: 8}"),
                        3 * fit + samples + 64 * head + samples);
    ck_assert_double_eq(planned("reward",
                                "{reward: ensemble, settings: {members: 4}, base: @base, data: [@data], "
                                "steps: 10, batch_tokens: 100, samples: 8, max_new: 8}"),
                        samples + 64 * head + 4 * (3 * fit + samples));
    ck_assert_double_eq(
        planned("reward", "{reward: ensemble, settings: {members: 4, architecture: shared}, base: @base, "
                          "data: [@data], steps: 10, batch_tokens: 100, samples: 8, max_new: 8}"),
        3 * fit + samples + 64 * head + samples);

    rows = body(4 * 16, 16); /* sampled, read by the reference, learned from; the reward reads no words off */
    ck_assert_double_eq(planned("ppo",
                                "{policy: @base, reward: @rm, data: [@data], iterations: 2, episodes: 4, "
                                "epochs: 1, max_new: 8, value: shared}"),
                        2 * (5 * (rows + 32 * head) + rows));
    ck_assert_double_eq(planned("ppo",
                                "{policy: @base, reward: @rm, data: [@data], iterations: 2, episodes: 4, "
                                "epochs: 1, max_new: 8, log_reference: false, kl: 0}"),
                        2 * (4 * (rows + 32 * head) + 5 * rows));

    ck_assert_double_eq(planned("generate", "{policy: @base, data: [@data], limit: 5, max_new: 8}"),
                        body(10 * 16, 16) + 80 * head);
    ck_assert_double_eq(planned("generate", "{policy: @base, reference: @base, data: [@data], limit: 5, "
                                            "max_new: 8, per_prompt: 3, splits: ood}"),
                        body(5 * (8 + 3 * 8), 16) + 120 * head + body(15 * 16, 16) + 120 * head);
}
END_TEST

START_TEST(a_model_must_come_from_somewhere)
{
    struct error err;

    ck_assert_int_eq(run_step("sft", folder, "none", "{data: [@data]}", 1, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "base"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("train_sft");
    TCase *tests = tcase_create("sft");
    SRunner *runner = srunner_create(suite);
    int failures;

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, learns_all_but_the_coins);
    tcase_add_test(tests, a_killed_run_ends_in_the_same_bytes);
    tcase_add_test(tests, stochastic_rounding_is_of_the_seed_and_survives_a_kill);
    tcase_add_test(tests, stochastic_rounding_is_refused_where_nothing_is_rounded);
    tcase_add_test(tests, micro_batches_and_threads_change_nothing);
    tcase_add_test(tests, batches_by_tokens_use_every_row);
    tcase_add_test(tests, a_new_model_is_made_to_the_recipe_s_measure);
    tcase_add_test(tests, rows_that_do_not_fit_are_left_out_cut_or_an_error);
    tcase_add_test(tests, losses_are_masked_by_role);
    tcase_add_test(tests, rows_hold_marks_for_every_token_but_the_first);
    tcase_add_test(tests, divergence_is_an_error_with_a_name);
    tcase_add_test(tests, the_plan_knows_what_a_base_weighs);
    tcase_add_test(tests, the_plan_knows_that_the_gold_reward_is_no_model);
    tcase_add_test(tests, the_plan_counts_operations);
    tcase_add_test(tests, a_model_must_come_from_somewhere);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
