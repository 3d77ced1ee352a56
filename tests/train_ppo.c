/* PPO: it raises a gold reward within seconds, and a killed run ends in the bytes of a whole one. */
#include "tests/training.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "models/folder.h"

static char *folder;

static void train(const char *stage, const char *name, const char *options, int threads) {
    struct error err;

    ck_assert_msg(run_step(stage, folder, name, options, threads, &err) == 0, "%s", err.message);
}

static void setup(void) {
    folder = fresh_folder();
    make_task(folder);
    train("sft", "sft", "{base: @base, data: [@data], lr: 1e-2, epochs: 6}", 1);
    train("reward", "gold", "{base: @sft, data: [@data], samples: 64, max_new: 8, reward: gold}", 1);
}

static void teardown(void) {
    struct error err;

    folder_remove(folder, &err);
    free(folder);
}

#define PPO "{policy: @sft, data: [@data], max_new: 8, episodes: 64, epochs: 4, minibatches: 2, lr: 1e-3, "

#define SHORT "{policy: @sft, data: [@data], reward: @gold, max_new: 1, episodes: 32, iterations: 1"

/* Half of the sft model's words are the right ones. */
START_TEST(it_learns_to_say_what_is_asked_for)
{
    train("ppo", "ppo", PPO "reward: @gold, iterations: 25}", 1);
    ck_assert_double_lt(log_value(folder, "ppo", "gold", 1), 0.75);
    ck_assert_double_gt(log_value(folder, "ppo", "gold", 0), 0.85);
    ck_assert_double_gt(log_value(folder, "ppo", "kl", 0), 0.1);
    ck_assert_double_eq(log_value(folder, "ppo", "kl", 1), 0);
    ck_assert_double_eq(log_value(folder, "ppo", "logprob_gap", 0), 0);
    ck_assert_double_eq_tol(log_value(folder, "ppo", "first_ratio", 0), 1, 1e-9);
}
END_TEST

START_TEST(it_learns_with_values_read_off_the_policy_s_trunk)
{
    struct config config;
    struct error err;
    char *place = path_join(folder, "ppo");

    train("ppo", "ppo",
          PPO "reward: @gold, iterations: 25, value: shared, value_coefficient: 4, value_clip: 5}", 1);
    ck_assert_double_lt(log_value(folder, "ppo", "gold", 1), 0.75);
    ck_assert_double_gt(log_value(folder, "ppo", "gold", 0), 0.85);
    ck_assert_double_gt(log_value(folder, "ppo", "explained_variance", 0), 0.1);
    ck_assert_double_eq(log_value(folder, "ppo", "logprob_gap", 0), 0);
    ck_assert_int_eq(folder_config(&config, place, &err), 1);
    ck_assert_int_eq(config.score_heads, 0); /* what is stored is a policy alone */
    train("generate", "answers", "{policy: @ppo, data: [@data], max_new: 8}", 1);
    train("ppo", "again",
          "{policy: @ppo, data: [@data], max_new: 8, episodes: 64, "
          "reward: @gold, iterations: 1, value: shared}",
          1);
    free(place);
}
END_TEST

/* In the first iteration all values are 0, so that the advantages are the same too. */
START_TEST(the_policy_s_own_gradient_does_not_depend_on_where_values_are_read)
{
    train("ppo", "separate", PPO "reward: @gold, iterations: 1, decay: 0.1}", 1);
    train("ppo", "shared",
          PPO "reward: @gold, iterations: 1, decay: 0.1, value: shared, value_coefficient: 0}", 1);
    check_same_bytes(folder, "separate", "shared", "model.safetensors");
}
END_TEST

START_TEST(a_value_head_on_the_policy_has_no_settings_of_its_own)
{
    static const char *const refused[][2] = {
        {"value_init: reward", "ppo: value: shared reads values off the policy's trunk; value_init: reward "
                               "needs value: separate"},
        {"freeze_policy: 1", "ppo: with value: shared the policy moves when the value learns; freeze_policy "
                             "needs value: separate"},
        {"value_lr: 1e-3", "ppo: with value: shared there is one optimizer, with lr and schedule; value_lr "
                           "and value_schedule need value: separate"},
        {"value_schedule: cosine", "ppo: with value: shared there is one optimizer, with lr and schedule; "
                                   "value_lr and value_schedule need value: separate"}};

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char *options = xprintf(PPO "reward: @gold, value: shared, %s}", refused[i][0]);
        struct plan plan;
        struct error err;

        ck_assert_int_eq(run_step("ppo", folder, "ppo", options, 1, &err), -1);
        ck_assert_str_eq(err.message, refused[i][1]);
        ck_assert_int_eq(plan_step("ppo", folder, options, &plan, &err), -1);
        free(options);
    }
}
END_TEST

/* FOLDER/long: a prompt that fits the context of 64, and one that does not. */
static void write_long_prompt(void) {
    struct examples rows = {0};
    char *data = path_join(folder, "long"), *path = path_join(data, "prompts.jsonl");
    struct error err;

    for (int i = 0; i < 2; i++) {
        struct example *row = examples_add(&rows);
        struct text many = {0};

        for (int j = 0; j < 100; j++) text_printf(&many, "%sqwertz", j ? " " : "");
        row->id = xprintf("row-%d", i + 1);
        row->split = xstrdup("train");
        row->prompt = i ? many.data : xstrdup("say no");
        if (!i) free(many.data);
    }
    ck_assert_int_eq(folder_make(data, &err), 0);
    ck_assert_int_eq(examples_write(path, &rows, &err), 0);
    examples_free(&rows);
    free(path);
    free(data);
}

START_TEST(prompts_without_room_for_a_response_are_listed)
{
    static const char row[] =
        "{\"id\":\"row-2\",\"reason\":\"prompt and response are longer than the context\"}\n";
    struct error err;

    write_long_prompt();
    train("ppo", "ppo",
          "{policy: @sft, data: [@data, @long], max_new: 8, episodes: 64, reward: @gold, iterations: 1}", 1);
    check_dropped(folder, "ppo", row);
    train("generate", "answers", "{policy: @sft, data: [@long], splits: train, max_new: 8}", 1);
    check_dropped(folder, "answers", row);
    train("generate", "all", "{policy: @sft, data: [@data], max_new: 8}", 1);
    check_dropped(folder, "all", "");
    ck_assert_int_eq(run_step("generate", folder, "none",
                              "{policy: @sft, data: [@long], splits: heldout, max_new: 8}", 1, &err),
                     -1);
    ck_assert_str_eq(err.message, "none: prompts.jsonl has no prompt of the splits \"heldout\"");
}
END_TEST

START_TEST(it_learns_from_rewards_on_every_token)
{
    train("reward", "rm",
          "{base: @sft, data: [@data], samples: 64, max_new: 8, epochs: 3, lr: 1e-2, batch: 16, reward: "
          "seq2seq, settings: {scale: length}}",
          1);
    train("ppo", "ppo", PPO "reward: @rm, iterations: 25, value_init: reward}", 1);
    ck_assert_double_gt(log_value(folder, "ppo", "gold", 0), 0.75);
}
END_TEST

static const char *const values[] = {"separate", "shared"};

START_TEST(a_killed_run_ends_in_the_same_bytes)
{
    char *options = xprintf(PPO "reward: @gold, iterations: 7, checkpoint_every: 2, kl_control: adaptive, "
                                "score_scale: running, ptx: 0.1, schedule: linear, value: %s}",
                            values[_i]);

    train("ppo", "whole", options, 1);
    run_step_killed("ppo", folder, "killed", options, 1); /* before there is a checkpoint */
    run_step_killed("ppo", folder, "killed", options, 5);
    train("ppo", "killed", options, 1);
    check_same_bytes(folder, "whole", "killed", "model.safetensors");
    check_same_bytes(folder, "whole", "killed", "log.jsonl");
    free(options);
}
END_TEST

/* The sampler and the trainer read the same rounded weights; the first iteration's are the reference's. */
START_TEST(stochastic_rounding_survives_a_kill_and_is_sampled_as_it_is_trained)
{
    const char *options = PPO "reward: @gold, iterations: 5, checkpoint_every: 2, stochastic_rounding: true}";

    training_device = "cpu-bf16";
    train("ppo", "whole", options, 1);
    run_step_killed("ppo", folder, "killed", options, 3);
    train("ppo", "killed", options, 1);
    check_same_bytes(folder, "whole", "killed", "model.safetensors");
    check_same_bytes(folder, "whole", "killed", "log.jsonl");
    ck_assert_double_eq(log_value(folder, "whole", "kl", 1), 0);
    ck_assert_double_eq(log_value(folder, "whole", "logprob_gap", 0), 0);
    train("ppo", "nearest", PPO "reward: @gold, iterations: 5}", 1);
    ck_assert_double_ne(log_value(folder, "whole", "policy_loss", 1),
                        log_value(folder, "nearest", "policy_loss", 1));
    training_device = "cpu";
}
END_TEST

START_TEST(slots_micro_batches_and_threads_change_nothing)
{
    char *whole = xprintf(PPO "reward: @gold, iterations: 3, value: %s}", values[_i]);
    char *pieces =
        xprintf(PPO "reward: @gold, iterations: 3, value: %s, micro_tokens: 30, slots: 5}", values[_i]);

    train("ppo", "whole", whole, 1);
    train("ppo", "pieces", pieces, 2);
    free(whole);
    free(pieces);
    check_same_bytes(folder, "whole", "pieces", "model.safetensors");
    check_same_bytes(folder, "whole", "pieces", "log.jsonl");
}
END_TEST

START_TEST(the_policy_stays_while_it_is_frozen)
{
    train("ppo", "ppo", PPO "reward: @gold, iterations: 2, freeze_policy: 2}", 1);
    check_same_bytes(folder, "ppo", "sft", "model.safetensors");
    ck_assert(isnan(log_value(folder, "ppo", "policy_loss", 0)));
    ck_assert_double_gt(log_value(folder, "ppo", "value_loss", 0), 0);
}
END_TEST

START_TEST(truncated_sampling_is_trained_as_it_was_sampled)
{
    train("ppo", "ppo", PPO "reward: @gold, iterations: 2, temperature: 0.7, top_k: 5, top_p: 0.9}", 1);
    ck_assert_double_eq(log_value(folder, "ppo", "logprob_gap", 0), 0);
}
END_TEST

START_TEST(a_missing_end_costs_what_the_option_says)
{
    train("ppo", "none", SHORT "}", 1);
    train("ppo", "replace",
          SHORT ", missing_eos: replace, missing_eos_value: -1, kl: 0, log_reference: false}", 1);
    ck_assert_double_eq(log_value(folder, "none", "ended", 0), 0);
    ck_assert(isnan(log_value(folder, "replace", "kl", 0)));
}
END_TEST

START_TEST(a_reference_that_nobody_asks_for_is_not_even_read)
{
    struct error err;

    train("ppo", "ppo", SHORT ", reference: @nowhere, kl: 0, log_reference: false}", 1);
    ck_assert(isnan(log_value(folder, "ppo", "kl", 0)));
    ck_assert_int_eq(run_step("ppo", folder, "ppo", SHORT ", reference: @nowhere, kl: 0}", 1, &err), -1);
}
END_TEST

static int has_event(const char *name, const char *event) {
    char *path = xprintf("%s/%s/log.jsonl", folder, name);
    struct error err;
    char *log = file_read(path, NULL, &err);
    int found;

    ck_assert_ptr_nonnull(log);
    found = strstr(log, event) != NULL;
    free(log);
    free(path);
    return found;
}

START_TEST(watchdogs_bark_by_name)
{
    train("ppo", "ppo",
          PPO "reward: @gold, iterations: 4, kl_limit: 0.0001, entropy_limit: 50, kl_stop: 0.0002}", 1);
    ck_assert(has_event("ppo", "kl_blowup"));
    ck_assert(has_event("ppo", "entropy_collapse"));
    ck_assert(has_event("ppo", "kl_stop"));
    ck_assert(!has_event("ppo", "length_collapse"));
    ck_assert_double_lt(log_value(folder, "ppo", "iteration", 0), 4);
}
END_TEST

START_TEST(generation_records_what_was_sampled_and_by_whom)
{
    struct transcripts list = {0};
    char *path = xprintf("%s/answers/transcripts.jsonl", folder);
    struct error err;

    train("generate", "answers",
          "{policy: @sft, reference: @sft, data: [@data], max_new: 8, per_prompt: 3, "
          "splits: heldout, name: ppo/gold, limit: 2}",
          1);
    ck_assert_int_eq(transcripts_read(path, &list, &err), 0);
    ck_assert_int_eq(list.count, 6);
    ck_assert_str_eq(list.items[0].policy, "ppo-gold");
    ck_assert_str_eq(list.items[4].id, "ppo-gold-1-echo-heldout-6-1");
    for (int i = 0; i < list.count; i++) {
        ck_assert_double_eq(list.items[i].logprob, list.items[i].reference);
        ck_assert_str_eq(list.items[i].finish, list.items[i].tokens == 8 ? "length" : "eos");
    }
    transcripts_free(&list);
    free(path);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("train_ppo");
    TCase *tests = tcase_create("ppo");
    SRunner *runner = srunner_create(suite);
    int failures;

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, it_learns_to_say_what_is_asked_for);
    tcase_add_test(tests, it_learns_with_values_read_off_the_policy_s_trunk);
    tcase_add_test(tests, the_policy_s_own_gradient_does_not_depend_on_where_values_are_read);
    tcase_add_test(tests, a_value_head_on_the_policy_has_no_settings_of_its_own);
    tcase_add_test(tests, prompts_without_room_for_a_response_are_listed);
    tcase_add_test(tests, it_learns_from_rewards_on_every_token);
    tcase_add_loop_test(tests, a_killed_run_ends_in_the_same_bytes, 0, 2);
    tcase_add_test(tests, stochastic_rounding_survives_a_kill_and_is_sampled_as_it_is_trained);
    tcase_add_loop_test(tests, slots_micro_batches_and_threads_change_nothing, 0, 2);
    tcase_add_test(tests, the_policy_stays_while_it_is_frozen);
    tcase_add_test(tests, truncated_sampling_is_trained_as_it_was_sampled);
    tcase_add_test(tests, a_missing_end_costs_what_the_option_says);
    tcase_add_test(tests, a_reference_that_nobody_asks_for_is_not_even_read);
    tcase_add_test(tests, watchdogs_bark_by_name);
    tcase_add_test(tests, generation_records_what_was_sampled_and_by_whom);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
