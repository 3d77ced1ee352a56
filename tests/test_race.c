/* The race's arithmetic: operations, ratios, shares; its tables. */
#include "models/race.h"

#include <stdlib.h>
#include <string.h>

#include "models/work.h"

#include <check.h> /* last: it defines a macro named fail */

static const struct heat *heat_of(const char *name) {
    for (const struct heat *heat = heats; heat->name; heat++)
        if (!strcmp(heat->name, name)) return heat;
    ck_abort_msg("no heat %s", name);
}

static double operations(const char *name) {
    const struct heat *heat = heat_of(name);
    struct config config;
    struct error err;

    ck_assert_int_eq(race_config(&config, heat->model, &err), 0);
    return heat_operations(heat, &config);
}

START_TEST(operations_are_those_that_the_literature_counts)
{
    struct config gpt2;
    struct error err;

    /* 6 (12 384² 6 + 8192 384) + 6 128 384 6 */
    ck_assert_double_eq(operations("train S10M 8 x 128"), 84344832);
    /* 6 (12 768² 12 + 50257 768) + 6 128 768 12 */
    ck_assert_double_eq(operations("train GPT-2 8 x 128"), 748270080);
    /* 3.24 TFLOP an iteration of 8192 tokens */
    ck_assert_double_eq_tol(8192 * operations("PPO S10M 64 x (64 + 64), 4 epochs"), 3.24e12, 1e10);
    /* 2 (12 768² 12 + 50257 768) + 4 96 768 12 */
    ck_assert_double_eq(operations("generate GPT-2 x 64"), 169869312 + 77194752 + 3538944);
    /* the same weights once, and keys and values of 96 tokens for each of 64 */
    ck_assert_int_eq(race_config(&gpt2, &race_gpt2, &err), 0);
    ck_assert_double_eq(heat_decode_numbers(heat_of("generate GPT-2 x 64"), &gpt2),
                        84934656 + 38597376 + 2.0 * 64 * 96 * 768 * 12);
    ck_assert_double_eq(race_parameters(&race_gpt2), 124439808);
}
END_TEST

START_TEST(a_given_models_operations_are_its_own)
{
    /* SmolLM2-135M: matrices of 49152 576 and, 30 times, 960 576 + 576 576 + 3 1536 576 numbers */
    const struct config smollm2 = {.layers = 30,
                                   .width = 576,
                                   .heads = 9,
                                   .kv_heads = 3,
                                   .head_size = 64,
                                   .ffn = 1536,
                                   .gated = 1,
                                   .vocab = 49152};

    /* 2 106168320 + 2 512 576 30 of causal attention, and the head of one token in 512 */
    ck_assert_double_eq(heat_operations(heat_of("read 512 x 1"), &smollm2), 212336640 + 17694720 + 110592);
    /* 2 106168320 + 2 28311552 + 4 96 576 30 */
    ck_assert_double_eq(heat_operations(heat_of("decode x 16"), &smollm2), 212336640 + 56623104 + 6635520);
    /* keys and values of 3 heads of 64, of 96 tokens, for 16 */
    ck_assert_double_eq(heat_decode_numbers(heat_of("decode x 16"), &smollm2),
                        106168320 + 28311552 + 2.0 * 16 * 96 * 192 * 30);
}
END_TEST

START_TEST(every_bar_is_about_work_that_is_raced)
{
    for (const struct bar *bar = bars; bar->heat; bar++) {
        const struct heat *heat = heat_of(bar->heat);

        ck_assert(heat->who >> bar->ours & 1);
        ck_assert_uint_eq(bar->others & ~heat->who, 0);
        ck_assert_ptr_nonnull(work_find("train"));
    }
}
END_TEST

static void add_entry(struct node *entries, int contender, const double *seconds, int count) {
    struct node *entry = node_add(entries, NULL, NODE_MAP), *turns;

    node_add_text(entry, "name", contenders[contender].name);
    turns = node_add(entry, "turns", NODE_LIST);
    for (int i = 0; i < count; i++) {
        struct node *turn = node_add(turns, NULL, NODE_MAP);

        node_add_number(turn, "seconds", seconds[i]);
        node_add_number(turn, "tokens", 1000);
    }
}

START_TEST(ratios_are_of_turns_of_one_round)
{
    /* 1000, 500, 2000 and 500, 125, 500 tokens a second: ratios 2, 4, 4 */
    const double ours[] = {1, 2, 0.5}, theirs[] = {2, 8, 2};
    struct node *results = node_new(NODE_MAP), *heat, *entries;
    char *text = NULL;
    size_t room = 0;
    FILE *out = open_memstream(&text, &room);

    node_add_number(node_add(node_add(results, "ceilings", NODE_MAP), "f32", NODE_MAP), "median", 843.44832);
    heat = node_add(node_add(results, "heats", NODE_LIST), NULL, NODE_MAP);
    node_add_text(heat, "name", "train S10M 8 x 128");
    node_add_number(heat, "operations", 84344832);
    entries = node_add(heat, "entries", NODE_LIST);
    add_entry(entries, PYRITE_F32, ours, 3);
    add_entry(entries, PYTORCH_F32, theirs, 3);
    race_markdown(results, out);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "| pyrite f32 | 1000 [500, 2000] | 3 | 0.10 | – | – |"));
    ck_assert_ptr_nonnull(
        strstr(text, "| PyTorch f32 | 500 [125, 500] | 3 | 0.05 | – | 4.00 [2.00, 4.00] |"));
    ck_assert_ptr_nonnull(strstr(text, "| pyrite f32 / PyTorch f32 | 4.00 [2.00, 4.00] | 1.25 | – | met |"));
    ck_assert_ptr_nonnull(
        strstr(text, "| pyrite f32, share of its peak | 0.10 [0.05, 0.20] | 0.78 | 0.86 | missed |"));
    ck_assert_ptr_null(strstr(text, "pyrite bf16 / PyTorch"));
    free(text);
    node_free(results);
}
END_TEST

/* An entry of one turn. */
static struct node *add_turn(struct node *entries, int contender, double seconds, double tokens) {
    struct node *entry = node_add(entries, NULL, NODE_MAP), *turn;

    node_add_text(entry, "name", contenders[contender].name);
    turn = node_add(node_add(entry, "turns", NODE_LIST), NULL, NODE_MAP);
    node_add_number(turn, "seconds", seconds);
    node_add_number(turn, "tokens", tokens);
    return turn;
}

static struct node *add_heat(struct node *results, const char *name, const char *count, double number) {
    struct node *heat = node_add((struct node *)node_get(results, "heats"), NULL, NODE_MAP);

    node_add_text(heat, "name", name);
    node_add_number(heat, count, number);
    return node_add(heat, "entries", NODE_LIST);
}

static struct node *device_results(void) {
    struct node *results = node_new(NODE_MAP), *ceilings = node_add(results, "ceilings", NODE_MAP);

    node_add_number(node_add(ceilings, "bf16", NODE_MAP), "median", 800e3);
    node_add_number(node_add(ceilings, "bandwidth", NODE_MAP), "median", 3e12);
    node_add_text(node_add(node_add(results, "programs", NODE_LIST), NULL, NODE_MAP), "device",
                  "NVIDIA H100 80GB HBM3");
    node_add(results, "heats", NODE_LIST);
    return results;
}

START_TEST(on_a_device_the_ratio_is_to_the_fastest_of_PyTorchs)
{
    /* 494.7 of 989.4 TFLOP/s, and of 800 that were probed; 1000 tokens a second beside 250 and 500 */
    struct node *results = device_results(), *list, *turn;
    char *text = NULL;
    size_t room = 0;
    FILE *out = open_memstream(&text, &room);

    list = add_heat(results, "train GPT-2 8 x 1024, cuda", "operations", 494.7e9);
    add_turn(list, DEVICE_CUBLAS, 1, 1000);
    add_turn(list, TORCH_BF16, 4, 1000);
    add_turn(list, TORCH_COMPILED_BF16, 2, 1000);
    /* 64 rows that read 3e9 / 2 numbers of 2 bytes a step take a millisecond each at best; here two */
    list = add_heat(results, "generate GPT-2 x 64, cuda", "decode_numbers", 1.5e9);
    turn = add_turn(list, DEVICE_CUBLAS, 5, 5);
    node_add_number(turn, "decode_seconds", 1);
    node_add_number(turn, "decode_tokens", 64 * 500);
    list = add_heat(results, "PPO GPT-2 512 x (64 + 64), 4 epochs, cuda", "operations", 1);
    turn = add_turn(list, DEVICE_CUBLAS, 4, 65536);
    node_add_number(node_add(turn, "parts", NODE_MAP), "rollout", 1);
    race_markdown(results, out);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(
        text, "| pyrite cuda-cublas | 1000 [1000, 1000] | 1 | 494.7 | 0.50 | 0.618 | 2.00 [2.00, 2.00] |"));
    ck_assert_ptr_nonnull(strstr(text, "| PyTorch bf16 | 250 [250, 250] | 1 | 123.7 | 0.12 | 0.155 | 0.50"));
    ck_assert_ptr_nonnull(strstr(text, "| 32000 [32000, 32000] | 1 | 1 | 0.50 |"));
    ck_assert_ptr_nonnull(strstr(text, "rollout 1.00 s (25 %)"));
    ck_assert_ptr_nonnull(
        strstr(text, "share of the data sheet's peak | 0.50 [0.50, 0.50] | 0.55 | – | missed |"));
    ck_assert_ptr_nonnull(
        strstr(text, "share of the rollout, at most | 0.25 [0.25, 0.25] | 0.35 | – | met |"));
    free(text);
    node_free(results);
}
END_TEST

START_TEST(reading_is_compared_by_its_own_seconds)
{
    /* 512 tokens in half a second, whatever the rest took */
    struct node *results = node_new(NODE_MAP), *heat, *turn;
    char *text = NULL;
    size_t room = 0;
    FILE *out = open_memstream(&text, &room);

    heat = node_add(node_add(results, "heats", NODE_LIST), NULL, NODE_MAP);
    node_add_text(heat, "name", "read 512 x 1");
    add_entry(node_add(heat, "entries", NODE_LIST), PYRITE_BF16, (double[]){7}, 1);
    turn = node_get(node_get(heat, "entries")->first, "turns")->first;
    node_add_number(turn, "prompt_seconds", 0.5);
    node_add_number(turn, "prompt_tokens", 512);
    race_markdown(results, out);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "| pyrite bf16 | 1024 [1024, 1024] | 1 |"));
    free(text);
    node_free(results);
}
END_TEST

START_TEST(tokens_of_the_race_are_the_same_everywhere)
{
    /* computed by noise() of tools/peers.py */
    const int known[] = {0, 29971, 34979, 18787, 36541};

    for (int i = 0; i < 5; i++) ck_assert_int_eq(race_token((uint32_t)i, 50257), known[i]);
    ck_assert_int_eq(race_token(RACE_TARGETS, 8192), 2500);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("race");
    TCase *cases = tcase_create("race");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_test(cases, operations_are_those_that_the_literature_counts);
    tcase_add_test(cases, a_given_models_operations_are_its_own);
    tcase_add_test(cases, on_a_device_the_ratio_is_to_the_fastest_of_PyTorchs);
    tcase_add_test(cases, reading_is_compared_by_its_own_seconds);
    tcase_add_test(cases, every_bar_is_about_work_that_is_raced);
    tcase_add_test(cases, ratios_are_of_turns_of_one_round);
    tcase_add_test(cases, tokens_of_the_race_are_the_same_everywhere);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
