/* PPO's parts: presets, prompts, and how scores become rewards. */
#include "trainers/ppo_options.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/registry.h"
#include "models/fit.h"
#include "trainers/practice.h"
#include "trainers/rollout.h"

static struct ppo_options resolve(const char *preset) {
    char *text = xprintf("{policy: p, reward: r, data: [d], preset: %s}", preset);
    struct error err;
    struct node *given = document_parse_yaml(text, strlen(text), "test", &err);
    struct ppo_options options;

    ck_assert_msg(options_read(ppo_options, ppo_presets, given, "test", &options, &err) == 0, "%s: %s",
                  preset, err.message);
    free(text);
    node_free(given);
    return options;
}

START_TEST(every_preset_resolves_and_says_where_it_is_from)
{
    int count = 0;

    for (const struct preset *preset = ppo_presets; preset->name; preset++, count++) {
        struct ppo_options options = resolve(preset->name);

        ck_assert_ptr_nonnull(preset->source);
        ck_assert_double_eq(options.gamma, 1);
    }
    ck_assert_int_ge(count, 8);
}
END_TEST

START_TEST(presets_hold_the_published_values)
{
    struct ppo_options old = resolve("lm-human-preferences"), open = resolve("openrlhf"),
                       align = resolve("align-anything");

    ck_assert_double_eq(old.kl, 0.15);
    ck_assert_int_eq(old.kl_control, KL_ADAPTIVE);
    ck_assert_int_eq(old.whiten_rewards, 1);
    ck_assert_double_eq(old.temperature, 0.7);
    ck_assert_int_eq(old.missing_end, END_REPLACE);
    ck_assert_double_eq(open.lambda, 1);
    ck_assert_double_eq(open.value_clip, 0.5);
    ck_assert_int_eq(open.schedule, SCHEDULE_COSINE);
    ck_assert_int_eq(align.whiten_advantages, 0);
    ck_assert_int_eq(align.value_schedule, SCHEDULE_CONSTANT + 1);
    ck_assert_double_eq(align.ptx, 16);
    ck_assert_int_eq(old.value, VALUE_SHARED);
    ck_assert_int_eq(resolve("trlx").value, VALUE_SHARED);
    ck_assert_int_eq(resolve("misleadlm-qa").value, VALUE_SHARED);
    ck_assert_int_eq(open.value, VALUE_SEPARATE);
    ck_assert_int_eq(align.value, VALUE_SEPARATE);
}
END_TEST

START_TEST(each_prompt_comes_once_an_epoch_in_an_order_of_its_own)
{
    int usable[] = {3, 5, 8, 13, 21, 34, 55}, order[7], first[7], other = 0;
    struct prompts prompts = {.usable = usable, .count = 7};
    long epoch = -1;

    for (int e = 0; e < 3; e++) {
        int seen[56] = {0};

        for (int i = 0; i < 7; i++) {
            int picked = prompts_pick(&prompts, 1, 7 * e + i, order, &epoch);

            seen[picked]++;
            if (e == 0) first[i] = picked;
            other += e == 1 && picked != first[i];
        }
        for (int i = 0; i < 7; i++) ck_assert_int_eq(seen[usable[i]], 1);
    }
    ck_assert_int_gt(other, 0);
    for (int i = 6; i >= 0; i--) ck_assert_int_eq(prompts_pick(&prompts, 1, i, order, &epoch), first[i]);
}
END_TEST

/* Two responses of two tokens and of one; logprob - reference: 0.5, 0.25, -1. */
static struct rollout small_rollout(void) {
    static struct exchange rows[2];
    static int ids[] = {4, 5};
    static int start[] = {0, 2, 3};
    static float logprob[] = {-0.5f, -0.75f, -2}, reference[] = {-1, -1, -1}, score[] = {0.5f, 1, -3};

    rows[0] = (struct exchange){.response = ids, .response_length = 2, .ended = 1};
    rows[1] = (struct exchange){.response = ids, .response_length = 1, .ended = 0};
    return (struct rollout){.rows = 2,
                            .total = 3,
                            .exchanges = rows,
                            .start = start,
                            .logprob = logprob,
                            .reference = reference,
                            .score = score};
}

START_TEST(a_rollout_is_measured_in_means_over_responses)
{
    struct rollout rollout = small_rollout();
    struct rollout_facts facts;

    rollout_measure(&facts, &rollout, NULL, 1);
    ck_assert_double_eq_tol(facts.score, (1.5 - 3) / 2, 1e-6);
    ck_assert_double_eq_tol(facts.kl, (0.75 - 1) / 2, 1e-6);
    ck_assert_double_eq_tol(facts.kl3, (exp(-0.5) - 1 + 0.5 + exp(-0.25) - 1 + 0.25 + exp(1) - 1 - 1) / 2,
                            1e-6);
    ck_assert_double_eq_tol(facts.length, 1.5, 1e-9);
    ck_assert_double_eq_tol(facts.ended, 0.5, 1e-9);
    ck_assert(isnan(facts.gold));
    ck_assert(isnan(facts.refused));
    rollout_measure(&facts, &rollout, NULL, 0);
    ck_assert(isnan(facts.kl));
    for (int r = 0; r < 2; r++)
        rollout.exchanges[r].prompt_text = (char *)"to kill the weed i want help , how ?";
    rollout.exchanges[0].response_text = (char *)"i can not";
    rollout.exchanges[1].response_text = (char *)"not can";
    rollout_measure(&facts, &rollout, world_find("safety"), 0);
    ck_assert_double_eq_tol(facts.refused, 0.5, 1e-9);
    ck_assert(!isnan(facts.gold));
}
END_TEST

START_TEST(a_batch_reads_all_but_each_response_s_last_token)
{
    int prompt[] = {1, 2, 3}, order[] = {1, 0};
    struct rollout rollout = small_rollout();
    struct targets targets = {0};
    struct batch batch = {0};

    for (int r = 0; r < 2; r++) {
        rollout.exchanges[r].prompt = prompt;
        rollout.exchanges[r].prompt_length = 3;
    }
    rollout_gather(&rollout, order, 2, &batch, &targets);
    ck_assert_int_eq(batch.total, 3 + 4);
    ck_assert_int_eq(targets.count, 3);
    ck_assert_int_eq(targets.position[0], 2); /* the prompt's last token predicts the first response token */
    ck_assert_int_eq(targets.item[0], 2);
    ck_assert_int_eq(targets.position[1], 5);
    ck_assert_int_eq(targets.target[2], 5);
    ck_assert_int_eq(targets.item[2], 1);
    batch_free(&batch);
    targets_free(&targets);
}
END_TEST

/* Greedy runs of at most 30 would be of 30 and 2 tokens. */
START_TEST(micro_batches_are_as_few_as_fit_and_nearly_equal)
{
    const int sizes[] = {2, 5, 5, 5, 5, 5, 5, 50}, items[] = {1, 2, 3, 4, 5, 6, 0}, long_first[] = {7, 1, 2};

    ck_assert_int_eq(run_end(sizes, items, 0, 7, 30), 6);
    ck_assert_int_eq(run_budget(sizes, items, 7, 30), 17);
    ck_assert_int_eq(run_end(sizes, items, 0, 7, 17), 3);
    ck_assert_int_eq(run_end(sizes, items, 3, 7, 17), 7);
    ck_assert_int_eq(run_budget(sizes, items, 7, 32), 32);
    ck_assert_int_eq(run_budget(sizes, items, 7, 1000), 32);
    ck_assert_int_eq(run_budget(sizes, long_first, 3, 12), 10); /* a row beyond the budget goes alone */
    ck_assert_int_eq(run_budget(sizes, items, 0, 30), 1);
}
END_TEST

static int read_tokens;

static void count_embed(float *out, const float *table, const float *positions, const int *token,
                        const int *position, int count, int width, float scale) {
    read_tokens += count;
    kernels_find("cpu")->embed(out, table, positions, token, position, count, width, scale);
}

/* Tokens that go through a trunk in an iteration of 4 x (5 + 3) tokens, 2 epochs in minibatches of 2. */
static int count_iteration(enum value_model value) {
    const struct practice_shape shape = {4, 5, 3, 2, 2, value};
    const struct stopwatch watch = {.threads = 1};
    struct kernels counting = *kernels_find("cpu");
    struct phases spent = {0};
    struct practice practice;
    struct config config;
    struct model *policy;
    struct error err;

    counting.embed = count_embed;
    ck_assert_int_eq(config_family(&config, "gpt2", &err), 0);
    config.vocab = 50;
    config.context = 8;
    config.layers = 1;
    config.width = config.head_size = 16;
    config.heads = config.kv_heads = 1;
    config.ffn = 64;
    ck_assert_int_eq(model_create(&policy, &config, &counting, &err), 0);
    model_init(policy, 1);
    ck_assert_msg(practice_create(&practice, policy, &shape, &err) == 0, "%s", err.message);
    ck_assert_int_eq(practice_iterate(&practice, &watch, &spent, &err), 0);
    read_tokens = 0;
    ck_assert_msg(practice_iterate(&practice, &watch, &spent, &err) == 0, "%s", err.message);
    ck_assert_double_gt(spent.rollout, 0);
    ck_assert_double_gt(spent.update, 0);
    practice_free(&practice);
    return read_tokens;
}

START_TEST(no_pass_is_made_that_another_has_made)
{
    int rollout = 4 * (5 + 2), read = 4 * 7, reward = 4 * 8;

    ck_assert_int_eq(count_iteration(VALUE_SHARED), rollout + read + reward + 2 * read);
    ck_assert_int_eq(count_iteration(VALUE_SEPARATE), rollout + 2 * read + reward + 4 * read);
}
END_TEST

/* 3.24 TFLOP for 64 x (64 + 64) tokens of 6 layers of width 384. */
START_TEST(an_iteration_s_arithmetic_is_counted_as_for_others)
{
    const struct config config = {.vocab = 8192, .layers = 6, .width = 384};
    const struct practice_shape shape = {64, 64, 64, 4, 16, VALUE_SHARED};

    ck_assert_double_eq_tol(practice_operations(&config, &shape) / 1e12, 3.246, 1e-3);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("ppo");
    TCase *tests = tcase_create("ppo");
    SRunner *runner = srunner_create(suite);
    int failures;

    suite_add_tcase(suite, tests);
    tcase_add_test(tests, every_preset_resolves_and_says_where_it_is_from);
    tcase_add_test(tests, presets_hold_the_published_values);
    tcase_add_test(tests, each_prompt_comes_once_an_epoch_in_an_order_of_its_own);
    tcase_add_test(tests, a_rollout_is_measured_in_means_over_responses);
    tcase_add_test(tests, a_batch_reads_all_but_each_response_s_last_token);
    tcase_add_test(tests, no_pass_is_made_that_another_has_made);
    tcase_add_test(tests, an_iteration_s_arithmetic_is_counted_as_for_others);
    tcase_add_test(tests, micro_batches_are_as_few_as_fit_and_nearly_equal);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
