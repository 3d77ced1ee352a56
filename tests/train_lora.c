/* Training adapters: they learn what whole models learn, stand on bases that stay as they were, and a killed
 * step ends in the bytes of a whole one. */
#include "tests/training.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "models/adapter_file.h"
#include "models/folder.h"
#include "rewards/preference.h"

static char *folder;

static void train(const char *stage, const char *name, const char *options) {
    struct error err;

    ck_assert_msg(run_step(stage, folder, name, options, 1, &err) == 0, "%s", err.message);
}

static void refuse(const char *stage, const char *options, const char *said) {
    struct error err;
    struct plan plan;

    ck_assert_int_eq(run_step(stage, folder, "refused", options, 1, &err), -1);
    ck_assert_msg(strstr(err.message, said) != NULL, "\"%s\" without \"%s\"", err.message, said);
    if (plan_step(stage, folder, options, &plan, &err) == 0) return; /* it cannot know */
    ck_assert_msg(strstr(err.message, said) != NULL, "\"%s\" without \"%s\"", err.message, said);
}

static void setup(void) {
    folder = fresh_folder();
    make_task(folder);
}

static void teardown(void) {
    struct error err;

    folder_remove(folder, &err);
    free(folder);
}

#define SFT     "{base: @base, data: [@data], lr: 3e-2, epochs: 6, "
#define LORA    "lora: {rank: 4, alpha: 8}"
#define FIT     "{base: @sft, data: [@data], samples: 64, max_new: 8, epochs: 3, lr: 2e-2, batch: 16, "
#define PPO     "{policy: @sft, data: [@data], reward: @gold, max_new: 8, episodes: 64, lr: 2e-3, " LORA ", "
#define INT8    "weights: int8, " LORA
#define NUMBERS "adapter_model.safetensors"

static void make_sft(void) {
    train("sft", "sft", "{base: @base, data: [@data], lr: 1e-2, epochs: 4}");
}

/* FOLDER/name/file exists. */
static int has(const char *name, const char *file) {
    char *path = xprintf("%s/%s/%s", folder, name, file);
    int found = file_exists(path);

    free(path);
    return found;
}

static struct node *facts_of(const char *name) {
    char *path = xprintf("%s/%s/reward.json", folder, name);
    struct error err;
    struct node *facts = document_read(path, &err);

    ck_assert_msg(facts != NULL, "%s", err.message);
    free(path);
    return facts;
}

static void check_accuracy(const char *name, double least) {
    struct node *facts = facts_of(name);

    ck_assert_double_ge(node_number(node_get(facts, "accuracy"), "heldout", 0), least);
    node_free(facts);
}

START_TEST(demonstrations_are_learned_by_adapters_on_a_base_that_stays)
{
    char *path = path_join(folder, "sft");
    struct adapter_folder opened;
    struct error err;

    double before;

    train("sft", "first", "{base: @base, data: [@data], lr: 1e-2, epochs: 1}");
    before = log_value(folder, "first", "heldout_loss", 0);
    train("sft", "sft", "{base: @first, data: [@data], lr: 1e-2, epochs: 4, " LORA "}");
    ck_assert_msg(log_value(folder, "sft", "heldout_loss", 0) < before - 0.1, "%g after %g",
                  log_value(folder, "sft", "heldout_loss", 0), before);
    ck_assert(has("sft", NUMBERS) && has("sft", "tokenizer.json") && !has("sft", "model.safetensors"));
    ck_assert_msg(adapter_open(&opened, path, &err) == 0, "%s", err.message);
    ck_assert(text_ends(opened.base, "/sft/../first"));
    ck_assert_int_eq(opened.options.rank, 4);
    adapter_close(&opened);
    train("generate", "answers", "{policy: @sft, data: [@data], max_new: 8}");
    free(path);
}
END_TEST

/* The new adapters stand on the first ones' folder: both are merged where that is loaded. */
START_TEST(an_adapter_s_folder_is_a_base_like_another)
{
    struct config config;
    struct error err;
    char *path = path_join(folder, "second");
    double loss;

    train("sft", "sft", SFT LORA "}");
    loss = log_value(folder, "sft", "heldout_loss", 0);
    train("sft", "second",
          "{base: @sft, data: [@data], lr: 1e-4, steps: 1, lora: {targets: [q_proj, v_proj]}}");
    ck_assert_double_eq_tol(log_value(folder, "second", "heldout_loss", 0), loss, 0.02);
    ck_assert_int_eq(folder_config(&config, path, &err), 1);
    train("sft", "whole", "{base: @second, data: [@data], steps: 1}");
    ck_assert(has("whole", "model.safetensors") && !has("whole", NUMBERS));
    free(path);
}
END_TEST

START_TEST(numbers_that_drop_out_are_drawn_again_after_a_kill)
{
    const char *options = SFT "batch: 64, checkpoint_every: 4, lora: {rank: 2, dropout: 0.2, rslora: true}}";

    train("sft", "whole", options);
    run_step_killed("sft", folder, "killed", options, 6);
    train("sft", "killed", options);
    check_same_bytes(folder, "whole", "killed", "log.jsonl");
    check_same_bytes(folder, "whole", "killed", NUMBERS);
    check_same_bytes(folder, "whole", "killed", ADAPTER_CONFIG);
    train("sft", "without", SFT "batch: 64, lora: {rank: 2, rslora: true}}");
    ck_assert_double_ne(log_value(folder, "whole", "loss", 0), log_value(folder, "without", "loss", 0));
}
END_TEST

START_TEST(rewards_are_learned_by_adapters)
{
    make_sft();
    train("reward", "scalar", FIT "reward: scalar, " LORA "}");
    check_accuracy("scalar", 0.95);
    ck_assert(has("scalar", NUMBERS) && !has("scalar", "model.safetensors"));
    train("reward", "seq2seq", FIT "reward: seq2seq, " LORA "}");
    check_accuracy("seq2seq", 0.9);
    train("reward", "shared",
          FIT "reward: ensemble, settings: {members: 2, architecture: shared}, " LORA "}");
    check_accuracy("shared", 0.95);
    ck_assert(has("shared", NUMBERS));
}
END_TEST

static int large;

static void *count_large(size_t bytes) {
    large += bytes > 100000; /* the base's parameters; an adapter of rank 4 and a head are less */
    return kernels_find("cpu")->alloc(bytes);
}

/* The mean of what the members' own folders say, each merged. */
static void check_members(const char *name) {
    int prompt[] = {1, 2, 3}, response[] = {4, 5};
    struct exchange row = {.prompt = prompt, .response = response, .prompt_length = 3, .response_length = 2};
    struct kernels counting = *kernels_find("cpu");
    const struct reward *reward;
    struct scorer *scorer;
    struct error err;
    char *place = path_join(folder, name);
    float whole, score, sum = 0;

    counting.alloc = count_large;
    large = 0;
    ck_assert_msg(reward_open(&reward, &scorer, place, &counting, &err) == 0, "%s", err.message);
    ck_assert_int_eq(large, 1);
    for (int twice = 0; twice < 2; twice++)
        ck_assert_int_eq(reward->score(scorer, &row, 1, NULL, &whole, &err), 0);
    for (int m = 1; m <= 2; m++) {
        char *member = xprintf("%s/member-%d", place, m);
        struct preference alone = {0};

        ck_assert_int_eq(preference_open(&alone, member, kernels_find("cpu"), WEIGHTS_FULL, &err), 0);
        ck_assert_int_eq(preference_score(&alone, &row, 1, &score, &err), 0);
        sum += score;
        preference_close(&alone);
        free(member);
    }
    ck_assert_float_eq_tol(whole, sum / 2, 1e-5f);
    reward->close(scorer);
    free(place);
}

START_TEST(members_are_adapters_that_take_turns_on_one_base)
{
    make_sft();
    train("reward", "apart", FIT "reward: ensemble, normalise: none, settings: {members: 2}, " LORA "}");
    check_accuracy("apart", 0.95);
    check_members("apart");
    train("reward", "lora",
          FIT "reward: ensemble, normalise: none, settings: {members: 2, architecture: lora, lora_lr: 1e-2, "
              "lora_schedule: constant}, " LORA "}");
    /* the world has four prompts, of which the trunk saw some and the adapters the others */
    ck_assert_double_ge(log_value(folder, "lora/trunk", "accuracy", 0), 0.9);
    ck_assert_double_ge(log_value(folder, "lora", "accuracy", 0), 0.9);
    ck_assert(has("lora", "trunk/model.safetensors") && has("lora", "trunk/log.jsonl"));
    check_members("lora");
}
END_TEST

/* The second member's base becomes a copy elsewhere: the same numbers, and another model to who reads names.
 */
START_TEST(members_on_different_bases_are_refused)
{
    char *config = xprintf("%s/apart/member-2/adapter_config.json", folder);
    char *place = path_join(folder, "apart"), *text, *at, *moved;
    const struct reward *reward;
    struct scorer *scorer = NULL;
    struct error err;

    make_sft();
    train("sft", "other", "{base: @base, data: [@data], lr: 1e-2, epochs: 4}");
    train("reward", "apart",
          FIT "reward: ensemble, steps: 1, normalise: none, settings: {members: 2}, " LORA "}");
    text = file_read(config, NULL, &err);
    at = text ? strstr(text, "/sft\"") : NULL;
    ck_assert_ptr_nonnull(at);
    moved = xprintf("%.*s/other%s", (int)(at - text), text, at + strlen("/sft"));
    ck_assert_int_eq(file_write(config, moved, strlen(moved), &err), 0);
    ck_assert_int_eq(reward_open(&reward, &scorer, place, kernels_find("cpu"), &err), -1);
    ck_assert_msg(strstr(err.message, "member-2: the adapter stands on another base than member-1") != NULL,
                  "%s", err.message);
    free(moved);
    free(text);
    free(place);
    free(config);
}
END_TEST

/* Killed in the trunk's part and, again, in the members'. */
START_TEST(a_killed_ensemble_of_adapters_ends_in_the_same_bytes)
{
    const char *options =
        FIT "checkpoint_every: 2, reward: ensemble, settings: {members: 2, architecture: lora}, "
            "lora: {rank: 2, dropout: 0.1}}";
    static const char *const files[] = {
        "log.jsonl",        "trunk/log.jsonl",         "trunk/model.safetensors",
        "reward.json",      "trunk/heads.safetensors", "member-1/" NUMBERS,
        "member-2/" NUMBERS};

    make_sft();
    train("reward", "whole", options);
    run_step_killed("reward", folder, "killed", options, 5);
    ck_assert(!has("killed", "trunk/model.safetensors"));
    run_step_killed("reward", folder, "killed", options, 29);
    train("reward", "killed", options);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        check_same_bytes(folder, "whole", "killed", files[i]);
}
END_TEST

/* A member starts from the base and a head of its own, not from where the one before it ended. */
START_TEST(a_later_member_starts_as_it_would_alone)
{
    static const char *const kinds[] = {"", ", lora: {rank: 2}", ", lora: {rank: 2}, weights: int8"};

    make_sft();
    for (int i = 0; i < 3; i++) {
        char *both =
            xprintf("{base: @sft, data: [@data], normalise: none, lr: 1e-2, steps: 1, batch: 1000, reward: "
                    "ensemble, settings: {members: 2}%s}",
                    kinds[i]);
        char *alone = xprintf("{base: @sft, data: [@data], normalise: none, lr: 1e-2, steps: 1, batch: 1000, "
                              "reward: scalar, seed: 1000004%s}",
                              kinds[i]);
        char *a = xprintf("both-%d", i), *b = xprintf("alone-%d", i);

        train("reward", a, both);
        train("reward", b, alone);
        ck_assert_double_eq_tol(log_value(folder, a, "loss", 0), log_value(folder, b, "loss", 0), 1e-6);
        free(a);
        free(b);
        free(both);
        free(alone);
    }
}
END_TEST

static void make_gold(void) {
    make_sft();
    train("reward", "gold", "{base: @sft, data: [@data], samples: 64, max_new: 8, reward: gold}");
}

START_TEST(a_policy_of_adapters_learns_from_a_reward)
{
    make_gold();
    train("ppo", "ppo", PPO "iterations: 40}");
    ck_assert_double_lt(log_value(folder, "ppo", "gold", 1), 0.6);
    ck_assert_double_gt(log_value(folder, "ppo", "gold", 0), 0.8);
    ck_assert_double_eq(log_value(folder, "ppo", "kl", 1), 0);
    ck_assert_double_gt(log_value(folder, "ppo", "kl", 0), 0.1);
    ck_assert_double_eq(log_value(folder, "ppo", "logprob_gap", 0), 0);
    ck_assert(has("ppo", NUMBERS) && !has("ppo", "model.safetensors"));
    train("generate", "answers", "{policy: @ppo, reference: @sft, data: [@data], max_new: 8}");
}
END_TEST

/* The policy without its adapters and a model of its own, loaded from elsewhere, say the same. */
START_TEST(the_frozen_policy_is_its_own_reference)
{
    make_gold();
    train("sft", "other", "{base: @base, data: [@data], lr: 1e-2, epochs: 4}");
    check_same_bytes(folder, "sft", "other", "model.safetensors");
    train("ppo", "own", PPO "iterations: 3, value: shared}");
    train("ppo", "loaded", PPO "iterations: 3, value: shared, reference: @other}");
    check_same_bytes(folder, "own", "loaded", "log.jsonl");
    check_same_bytes(folder, "own", "loaded", NUMBERS);
}
END_TEST

static void check_killed_policy(const char *options) {
    train("ppo", "whole", options);
    run_step_killed("ppo", folder, "killed", options, 5);
    train("ppo", "killed", options);
    check_same_bytes(folder, "whole", "killed", "log.jsonl");
    check_same_bytes(folder, "whole", "killed", NUMBERS);
}

START_TEST(a_killed_policy_of_adapters_ends_in_the_same_bytes)
{
    const char *options = PPO "iterations: 6, checkpoint_every: 2}";

    make_gold();
    check_killed_policy(options);
}
END_TEST

START_TEST(a_value_model_may_stand_on_a_reward_of_adapters)
{
    make_sft();
    train("reward", "gold", FIT "reward: ensemble, settings: {members: 2}, " LORA "}");
    train("ppo", "ppo", PPO "iterations: 1, value_init: reward}");
    ck_assert(has("ppo", NUMBERS));
}
END_TEST

START_TEST(what_cannot_be_is_refused)
{
    make_gold();
    refuse("sft", SFT "lora: {rank: 0}}", "\"rank\" must be a whole number from 1 to 65536, not 0");
    refuse("sft", SFT "lora: {ranks: 4}}", "unknown option \"ranks\"; did you mean \"rank\"");
    refuse("sft", SFT "lora: {targets: [q_prj]}}", "\"q_prj\" is no module of a llama model");
    refuse("sft", SFT "lora: {targets: []}}", "\"targets\" names no module");
    refuse("sft", "{model: {layers: 1}, tokenizer: @tokenizer, data: [@data], " LORA "}",
           "lora needs a base");
    refuse("ppo", "{policy: @sft, data: [@data], reward: @gold, lora: {dropout: 0.1}}",
           "a policy that drops numbers out is not the one that was sampled");
    refuse("reward", FIT "reward: ensemble, settings: {architecture: lora}}",
           "architecture: lora needs the option lora");
    refuse("reward", FIT "reward: ensemble, settings: {architecture: lora, first: 0.01}, " LORA "}",
           "for the trunk and");
    train("reward", "scored", FIT "reward: scalar}");
    refuse("reward",
           "{base: @scored, data: [@data], samples: 64, max_new: 8, reward: ensemble, settings: {members: 2, "
           "architecture: shared}, " LORA "}",
           "the base has a score head of 1, where adapters with one of 2 cannot be put");
}
END_TEST

/* Each row's numbers as int8 holds them to the bit: the largest of 32 is 127 times a scale of ten bits. */
static void round_row(float *w, int cols) {
    for (float *end = w + cols; w < end; w += 32) {
        float most = 0, scale;
        int exponent;

        for (int i = 0; i < 32; i++) most = fmaxf(most, fabsf(w[i]));
        scale = frexpf(most / 127, &exponent);
        scale = ldexpf(rintf(1024 * scale) / 1024, exponent);
        for (int i = 0; i < 32; i++) w[i] = scale * rintf(w[i] / scale);
    }
}

/* FOLDER/round: the sft model with such matrices. */
static void make_round(void) {
    char *from = path_join(folder, "sft"), *to = path_join(folder, "round");
    struct tokenizer *tokenizer;
    struct model *model;
    struct error err;

    ck_assert_int_eq(folder_open(&model, &tokenizer, from, kernels_find("cpu"), &err), 0);
    for (int i = 0; i < model->count; i++) {
        const struct tensor *tensor = &model->tensors[i];

        ck_assert(tensor->rank == 1 || tensor->cols % 32 == 0);
        for (int r = 0; r < tensor->rows && tensor->rank == 2; r++)
            round_row(tensor->data + (size_t)r * (size_t)tensor->cols, tensor->cols);
    }
    ck_assert_msg(folder_store(model, tokenizer, to, 32, &err) == 0, "%s", err.message);
    tokenizer_free(tokenizer);
    model_free(model);
    free(from);
    free(to);
}

/* On a base that int8 holds as it is, to the bit; then the reward's samples are the same too. */
START_TEST(rewards_on_int8_weights_learn_what_full_ones_would)
{
    static const char *const kinds[] = {"scalar", "seq2seq", "ensemble, settings: {members: 2}",
                                        "ensemble, settings: {members: 2, architecture: shared}"};

    make_sft();
    make_round();
    for (int i = 0; i < 4; i++) {
        const char *numbers = i == 2 ? "member-2/" NUMBERS : NUMBERS;
        char *full = xprintf("{base: @round, data: [@data], samples: 64, max_new: 8, epochs: 3, lr: 2e-2, "
                             "batch: 16, " LORA ", reward: %s}",
                             kinds[i]);
        char *coded = xprintf("%.*s, weights: int8}", (int)strlen(full) - 1, full);
        char *a = xprintf("full-%d", i), *b = xprintf("int8-%d", i);
        struct node *facts, *others;

        train("reward", a, full);
        train("reward", b, coded);
        check_same_bytes(folder, a, b, "log.jsonl");
        check_same_bytes(folder, a, b, numbers);
        check_accuracy(b, 0.9);
        facts = facts_of(b);
        others = facts_of(a);
        ck_assert_str_eq(node_text(facts, "weights", ""), "int8");
        ck_assert_ptr_null(node_get(others, "weights"));
        ck_assert_double_eq_tol(node_number(facts, "mean", 9), node_number(others, "mean", 8), 1e-4);
        ck_assert_double_eq_tol(node_number(facts, "std", 9), node_number(others, "std", 8), 1e-4);
        node_free(facts);
        node_free(others);
        free(a);
        free(b);
        free(full);
        free(coded);
    }
}
END_TEST

/* A row's score by the reward at FOLDER/name, undone what normalises it, and by its model with such weights.
 */
static void score_both(const char *name, enum weight_form form, float *whole, float *alone) {
    int prompt[] = {1, 2, 3}, response[] = {4, 5};
    struct exchange row = {.prompt = prompt, .response = response, .prompt_length = 3, .response_length = 2};
    char *place = path_join(folder, name);
    const struct kernels *kernels = kernels_find("cpu");
    struct node *facts = facts_of(name);
    struct preference model = {0};
    const struct reward *reward;
    struct scorer *scorer;
    struct error err;

    ck_assert_msg(reward_open(&reward, &scorer, place, kernels, &err) == 0, "%s", err.message);
    ck_assert_int_eq(reward->score(scorer, &row, 1, NULL, whole, &err), 0);
    *whole = (float)(*whole * node_number(facts, "std", 0) + node_number(facts, "mean", 0));
    ck_assert_msg(preference_open(&model, place, kernels, form, &err) == 0, "%s", err.message);
    ck_assert_int_eq(preference_score(&model, &row, 1, alone, &err), 0);
    reward->close(scorer);
    preference_close(&model);
    node_free(facts);
    free(place);
}

START_TEST(a_reward_scores_with_the_weights_that_it_learned_on)
{
    float whole, full, coded;

    make_sft();
    train("reward", "scalar", FIT "reward: scalar, " INT8 "}");
    score_both("scalar", WEIGHTS_INT8, &whole, &coded);
    ck_assert_float_eq_tol(whole, coded, 1e-5f);
    score_both("scalar", WEIGHTS_FULL, &whole, &full);
    ck_assert_float_gt(fabsf(full - coded), 1e-3f);
    ck_assert_float_lt(fabsf(full - coded), 0.5f);
}
END_TEST

START_TEST(a_killed_ensemble_on_int8_weights_ends_in_the_same_bytes)
{
    const char *options = FIT "checkpoint_every: 2, reward: ensemble, settings: {members: 2}, " INT8 "}";
    static const char *const files[] = {"log.jsonl", "reward.json", "member-1/" NUMBERS, "member-2/" NUMBERS};

    make_sft();
    train("reward", "whole", options);
    run_step_killed("reward", folder, "killed", options, 15);
    train("reward", "killed", options);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        check_same_bytes(folder, "whole", "killed", files[i]);
}
END_TEST

#define ROUND "{policy: @round, data: [@data], max_new: 8, episodes: 32, lr: 2e-3, iterations: 3, " LORA ", "

/* As above; the reference is the policy's own base. Numbers that int8 has to round give another policy. */
START_TEST(policies_on_int8_weights_learn_what_full_ones_would)
{
    static const char *const kinds[] = {"", "value: shared, "};

    make_gold();
    make_round();
    for (int i = 0; i < 2; i++) {
        char *full = xprintf(ROUND "%sreward: @gold}", kinds[i]);
        char *coded = xprintf(ROUND "%sreward: @gold, weights: int8}", kinds[i]);
        char *a = xprintf("full-%d", i), *b = xprintf("int8-%d", i);

        train("ppo", a, full);
        train("ppo", b, coded);
        check_same_bytes(folder, a, b, "log.jsonl");
        check_same_bytes(folder, a, b, NUMBERS);
        free(a);
        free(b);
        free(full);
        free(coded);
    }
    train("ppo", "full", PPO "iterations: 2}");
    train("ppo", "int8", PPO "iterations: 2, weights: int8}");
    ck_assert_double_ne(log_value(folder, "full", "kl", 0), log_value(folder, "int8", "kl", 0));
}
END_TEST

START_TEST(a_policy_on_int8_weights_learns_from_a_reward_on_such)
{
    make_sft();
    train("reward", "gold", FIT "reward: scalar, " INT8 "}"); /* PPO's options name it so */
    train("ppo", "ppo", PPO "iterations: 20, weights: int8}");
    ck_assert_double_gt(log_value(folder, "ppo", "reward", 0), log_value(folder, "ppo", "reward", 1) + 0.5);
    ck_assert_double_eq(log_value(folder, "ppo", "kl", 1), 0);
    ck_assert_double_eq(log_value(folder, "ppo", "logprob_gap", 0), 0);
    train("generate", "answers", "{policy: @ppo, data: [@data], max_new: 8, weights: int8}");
}
END_TEST

START_TEST(a_killed_policy_on_int8_weights_ends_in_the_same_bytes)
{
    const char *options = PPO "weights: int8, reference: @base, iterations: 6, checkpoint_every: 2}";

    make_gold();
    check_killed_policy(options);
}
END_TEST

START_TEST(what_int8_weights_cannot_be_is_refused)
{
    make_gold();
    train("sft", "adapted", SFT "steps: 1, " LORA "}");
    train("reward", "scalar", FIT "steps: 1, reward: scalar, " LORA "}");
    refuse("sft", SFT "weights: int8}", "weights: int8 needs lora: only adapters can learn");
    refuse("reward", FIT "reward: scalar, weights: int8}", "weights: int8 needs lora");
    refuse("ppo", "{policy: @sft, data: [@data], reward: @gold, weights: int8}", "weights: int8 needs lora");
    refuse("reward", FIT "reward: ensemble, settings: {architecture: lora}, " INT8 "}",
           "weights: int8 cannot learn, and architecture: lora trains a trunk whole");
    refuse("sft", "{base: @adapted, data: [@data], " INT8 "}", "/adapted is: give weights: full");
    refuse("reward", "{base: @adapted, data: [@data], reward: scalar, " INT8 "}",
           "cannot take in the adapter that");
    refuse("ppo", "{policy: @adapted, data: [@data], reward: @gold, " INT8 "}",
           "cannot take in the adapter that");
    refuse("ppo", "{policy: @sft, data: [@data], reward: @scalar, value_init: reward, " INT8 "}",
           "value_init: reward: weights: int8 cannot take in the adapter that");
}
END_TEST

static double planned(const char *stage, const char *options) {
    struct plan plan;
    struct error err;

    ck_assert_msg(plan_step(stage, folder, options, &plan, &err) == 0, "%s", err.message);
    return plan_bytes(&plan);
}

/* Gradients and moments alone. */
static double planned_to_learn(const char *stage, const char *options) {
    struct plan plan;
    struct error err;

    ck_assert_msg(plan_step(stage, folder, options, &plan, &err) == 0, "%s", err.message);
    ck_assert_double_gt(plan.held[HELD_MOMENTS], 0);
    return plan.held[HELD_GRADIENTS] + plan.held[HELD_MOMENTS];
}

/* Of two layers the matrices have 20480 numbers, of which two models are held: a reward's base and the model
 * that learns; a policy and a value model; and a reference is a third. */
START_TEST(a_plan_knows_what_int8_weights_save)
{
    const double matrices = 4 * 20480;
    double two, three;

    make_sft();
    two = planned("ppo", PPO "slots: 64}") - planned("ppo", PPO "weights: int8}");
    three = planned("ppo", PPO "reference: @base}") - planned("ppo", PPO "reference: @base, weights: int8}");
    ck_assert_double_gt(planned("reward", FIT "reward: scalar, " LORA "}") -
                            planned("reward", FIT "reward: scalar, " INT8 "}"),
                        2 * matrices);
    ck_assert_double_gt(two, 2 * matrices);
    ck_assert_double_gt(three, two + matrices);
}
END_TEST

/* The trunk is trained as a whole model is, beside its base. */
START_TEST(a_plan_knows_that_the_trunk_of_adapters_learns_whole)
{
    make_sft();
    ck_assert_double_ge(planned("reward", FIT
                                "reward: ensemble, settings: {architecture: lora}, micro_tokens: 64, " LORA
                                "}"),
                        planned("reward", FIT "reward: scalar, micro_tokens: 64}"));
    ck_assert_double_lt(planned_to_learn("reward", FIT "reward: scalar, " LORA "}"),
                        planned_to_learn("reward", FIT "reward: scalar}") / 4);
}
END_TEST

START_TEST(a_plan_knows_that_adapters_alone_learn)
{
    struct plan whole, adapted;
    struct error err;

    ck_assert_int_eq(plan_step("sft", folder, SFT "micro_tokens: 64}", &whole, &err), 0);
    ck_assert_int_eq(plan_step("sft", folder, SFT "micro_tokens: 64, " LORA "}", &adapted, &err), 0);
    ck_assert_double_eq(whole.parameters, adapted.parameters);
    ck_assert_double_lt(plan_bytes(&adapted), plan_bytes(&whole));
    /* two layers; of rank 4 q k v o have 64 inputs and outputs, gate, up and down 96 */
    ck_assert_msg(strstr(adapted.note, ", 4352 numbers learn") != NULL, "%s", adapted.note);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("train_lora");
    TCase *tests = tcase_create("lora");
    SRunner *runner = srunner_create(suite);
    int failures;

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, demonstrations_are_learned_by_adapters_on_a_base_that_stays);
    tcase_add_test(tests, an_adapter_s_folder_is_a_base_like_another);
    tcase_add_test(tests, numbers_that_drop_out_are_drawn_again_after_a_kill);
    tcase_add_test(tests, rewards_are_learned_by_adapters);
    tcase_add_test(tests, members_are_adapters_that_take_turns_on_one_base);
    tcase_add_test(tests, members_on_different_bases_are_refused);
    tcase_add_test(tests, a_killed_ensemble_of_adapters_ends_in_the_same_bytes);
    tcase_add_test(tests, a_later_member_starts_as_it_would_alone);
    tcase_add_test(tests, a_policy_of_adapters_learns_from_a_reward);
    tcase_add_test(tests, the_frozen_policy_is_its_own_reference);
    tcase_add_test(tests, a_killed_policy_of_adapters_ends_in_the_same_bytes);
    tcase_add_test(tests, a_value_model_may_stand_on_a_reward_of_adapters);
    tcase_add_test(tests, what_cannot_be_is_refused);
    tcase_add_test(tests, a_plan_knows_that_the_trunk_of_adapters_learns_whole);
    tcase_add_test(tests, a_plan_knows_that_adapters_alone_learn);
    tcase_add_test(tests, rewards_on_int8_weights_learn_what_full_ones_would);
    tcase_add_test(tests, a_reward_scores_with_the_weights_that_it_learned_on);
    tcase_add_test(tests, a_killed_ensemble_on_int8_weights_ends_in_the_same_bytes);
    tcase_add_test(tests, policies_on_int8_weights_learn_what_full_ones_would);
    tcase_add_test(tests, a_policy_on_int8_weights_learns_from_a_reward_on_such);
    tcase_add_test(tests, a_killed_policy_on_int8_weights_ends_in_the_same_bytes);
    tcase_add_test(tests, what_int8_weights_cannot_be_is_refused);
    tcase_add_test(tests, a_plan_knows_what_int8_weights_save);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
