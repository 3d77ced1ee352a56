/* How rewards score: extraction and aggregation by hand, the seq2seq reward against its literal form. */
#include "rewards/reward.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/rng.h"
#include "models/folder.h"
#include "models/generator.h"
#include "rewards/ensemble.h"
#include "rewards/preference.h"
#include "rewards/seq2seq.h"
#include "tests/training.h"

static void check_floats(const float *got, const double *expected, int count) {
    for (int i = 0; i < count; i++) ck_assert_double_eq_tol(got[i], expected[i], 1e-6);
}

/* Divergence at the third token; the fourth agrees again, the fifth does not. p: 1/2, 1/4, … */
static const int said[] = {10, 11, 12, 13, 14}, best[] = {10, 11, 99, 13, 98};
static const float p[] = {-0.6931472f, -1.3862944f, -2.0794415f, -2.7725887f, -3.4657359f},
                   p_best[] = {-0.6931472f, -1.3862944f, -0.5f, -2.7725887f, -0.25f};
static const struct extraction plain = {VARIANT_HARD, SCALE_NONE, 0, 1, 1, 1, 1};

START_TEST(tokens_are_positive_until_the_response_diverges)
{
    const double expected[] = {1, 1, -1, 0, -1};
    float out[5];

    seq2seq_extract(out, said, best, p, NULL, 5, 1, &plain);
    check_floats(out, expected, 5);
}
END_TEST

START_TEST(agreement_throughout_earns_plus_throughout)
{
    const double expected[] = {1, 1, 1, 1, 1};
    float out[5];

    seq2seq_extract(out, said, said, p, NULL, 5, 1, &plain);
    check_floats(out, expected, 5);
}
END_TEST

START_TEST(a_missing_end_is_one_more_diverging_token)
{
    const double expected[] = {1, 1, 1, 1, 0};
    struct extraction how = plain;
    float out[5];

    seq2seq_extract(out, said, said, p, NULL, 5, 0, &how);
    check_floats(out, expected, 5);
    how.missing_end = 0;
    seq2seq_extract(out, said, said, p, NULL, 5, 0, &how);
    ck_assert_float_eq_tol(out[4], 1, 1e-6);
}
END_TEST

START_TEST(scales_divide_by_the_reference_or_the_length)
{
    const double by_reference[] = {0.5, 0.5, -0.75, 0, -0.75}, by_length[] = {0.4, 0.4, -0.6, 0, -0.6};
    struct extraction how = plain;
    float out[5];

    how.plus = 2, how.minus = 3, how.reference = 4, how.scale = SCALE_REFERENCE;
    seq2seq_extract(out, said, best, p, NULL, 5, 1, &how);
    check_floats(out, by_reference, 5);
    how.scale = SCALE_LENGTH;
    seq2seq_extract(out, said, best, p, NULL, 5, 1, &how);
    check_floats(out, by_length, 5);
}
END_TEST

START_TEST(soft_scores_are_probabilities)
{
    const double expected[] = {1 / 2.0, 1 / 4.0, -(1 - 1 / 8.0), 0, -(1 - 1 / 32.0)};
    struct extraction how = plain;
    float out[5];

    how.variant = VARIANT_SOFT;
    seq2seq_extract(out, said, best, p, NULL, 5, 1, &how);
    check_floats(out, expected, 5);
    how.agreement = 1;
    seq2seq_extract(out, said, best, p, NULL, 5, 1, &how);
    ck_assert_float_eq_tol(out[3], 1 / 16.0, 1e-6);
}
END_TEST

START_TEST(margins_are_log_probability_less_the_best_s)
{
    const double expected[] = {1, 1, -2.0794415 + 0.5, 0, -3.4657359 + 0.25};
    struct extraction how = plain;
    float out[5];

    how.variant = VARIANT_MARGIN;
    seq2seq_extract(out, said, best, p, p_best, 5, 1, &how);
    check_floats(out, expected, 5);
}
END_TEST

START_TEST(aggregates_match_values_worked_by_hand)
{
    const double members[] = {1, 2, 6}; /* mean 3, population variance 14/3 */

    ck_assert_double_eq_tol(ensemble_aggregate(members, 3, AGGREGATE_MEAN, 9), 3, 1e-12);
    ck_assert_double_eq_tol(ensemble_aggregate(members, 3, AGGREGATE_WORST, 9), 1, 1e-12);
    ck_assert_double_eq_tol(ensemble_variance(members, 3), 14 / 3.0, 1e-12);
    ck_assert_double_eq_tol(ensemble_aggregate(members, 3, AGGREGATE_MEAN_VARIANCE, 0.5), 3 - 7 / 3.0, 1e-12);
    ck_assert_double_eq_tol(ensemble_aggregate(members, 3, AGGREGATE_MEAN_STD, 2), 3 - 2 * sqrt(14 / 3.0),
                            1e-12);
}
END_TEST

START_TEST(scores_stand_on_the_last_tokens)
{
    const struct exchange rows[] = {{.response_length = 3}, {.response_length = 1}};
    const float score[] = {2, -1};
    const double expected[] = {0, 0, 2, -1};
    float out[4];

    score_last_tokens(out, rows, 2, score);
    check_floats(out, expected, 4);
}
END_TEST

/* A random model as a seq2seq reward, and the rewards of its literal definition. */
struct literal {
    char *folder;
    struct model *model;
    int end, better;
};

static struct literal open_literal(const char *settings) {
    struct literal out = {.folder = fresh_folder()};
    char *base, *path, *facts = xprintf("{\"reward\": \"seq2seq\", \"settings\": %s}", settings);
    struct tokenizer *tokenizer;
    struct error err;

    make_task(out.folder);
    base = path_join(out.folder, "base");
    path = path_join(base, "reward.json");
    ck_assert_int_eq(file_write(path, facts, strlen(facts), &err), 0);
    ck_assert_int_eq(folder_open(&out.model, &tokenizer, base, kernels_find("cpu"), &err), 0);
    for (size_t i = 0; i < out.model->size; i++) out.model->data[i] *= 3; /* sharper, so that it varies */
    ck_assert_int_eq(folder_store(out.model, tokenizer, base, 32, &err), 0);
    out.end = tokenizer_special(tokenizer, TOKEN_END);
    out.better = tokenizer_special(tokenizer, TOKEN_BETTER);
    tokenizer_free(tokenizer);
    free(base);
    free(path);
    free(facts);
    return out;
}

static void close_literal(struct literal *l) {
    struct error err;

    folder_remove(l->folder, &err);
    free(l->folder);
    model_free(l->model);
}

/* Prompt, draft, separator, then `count` tokens of the response: what the model goes on with, greedily. */
static struct response go_on(const struct literal *l, const struct exchange *row, int count, int most) {
    struct generator_options options = {.sampling = {0, 0, 1, 0},
                                        .max_new = most,
                                        .end_token = l->end,
                                        .slots = 1,
                                        .seed = 1,
                                        .stream = "test"};
    struct response out = {0};
    struct tokens given = {0};
    struct request request = {.a = 0};
    struct error err;

    for (int i = 0; i < row->prompt_length; i++) tokens_add(&given, row->prompt[i]);
    for (int i = 0; i < row->response_length - (row->ended != 0); i++) tokens_add(&given, row->response[i]);
    tokens_add(&given, l->better);
    for (int i = 0; i < count; i++) tokens_add(&given, row->response[i]);
    request.prompt = given.ids;
    request.length = given.count;
    ck_assert_msg(generate(l->model, &request, 1, &options, &out, NULL, NULL, &err) == 0, "%s", err.message);
    free(given.ids);
    return out;
}

/* The literal form: the model rewrites the response; up to where the two differ tokens earn 1; from there on
   the response is fed in token by token and tokens that are not the model's choice earn -1. */
static void literal_rewards(const struct literal *l, const struct exchange *row, float *out) {
    struct response rewrite = go_on(l, row, 0, row->response_length);
    int length = row->response_length, d = 0;

    while (d < length && d < rewrite.length && rewrite.tokens[d] == row->response[d]) d++;
    for (int t = 0; t < d; t++) out[t] = 1;
    for (int t = d; t < length; t++) {
        struct response next = go_on(l, row, t, 1);

        out[t] = next.tokens[0] == row->response[t] ? 0 : -1;
        response_free(&next);
    }
    if (!row->ended) out[length - 1] -= 1;
    response_free(&rewrite);
}

/* Noise that was replaced, mostly, by the model's rewrite of it, three times over: such a response follows
   the model for a while, leaves it, and sometimes comes back. Returns how many tokens it follows. */
static int make_response(const struct literal *l, struct rng *rng, struct exchange *row, int *ids) {
    int length = 1 + rng_below(rng, 12), ended = rng_chance(rng, 0.5), agree;
    struct response rewrite;

    for (int i = 0; i < length; i++) ids[i] = rng_below(rng, 200);
    if (ended) ids[length - 1] = l->end;
    *row = (struct exchange){row->prompt, ids, row->prompt_length, length, ended, "", ""};
    for (int round = 0; round < 3; round++) {
        rewrite = go_on(l, row, 0, length);
        for (int i = 0; i < length - ended; i++)
            if (i < rewrite.length && rewrite.tokens[i] != l->end && rng_chance(rng, 0.8))
                ids[i] = rewrite.tokens[i];
        response_free(&rewrite);
    }
    rewrite = go_on(l, row, 0, length);
    for (agree = 0; agree < length && agree < rewrite.length && rewrite.tokens[agree] == ids[agree];) agree++;
    response_free(&rewrite);
    return agree;
}

START_TEST(one_pass_equals_the_literal_form_exactly)
{
    struct literal l = open_literal("{\"scale\": \"none\", \"sequence\": \"sum\"}");
    struct rng rng = rng_stream(1, "test", 0, 0);
    int prompt[6], ids[40][16], agreed = 0;
    struct exchange rows[40];
    float expected[16], *got = xcalloc(40 * 16, sizeof *got), sums[40], *at = got;
    const struct reward *reward;
    struct scorer *scorer;
    char *base = path_join(l.folder, "base");
    struct error err;

    for (int i = 0; i < 6; i++) prompt[i] = rng_below(&rng, 200);
    for (int r = 0; r < 40; r++) {
        rows[r] = (struct exchange){.prompt = prompt, .prompt_length = 6};
        agreed += make_response(&l, &rng, &rows[r], ids[r]) > 0;
    }
    ck_assert_int_gt(agreed, 3); /* else the test says little */
    ck_assert_msg(reward_open(&reward, &scorer, base, kernels_find("cpu"), &err) == 0, "%s", err.message);
    ck_assert_msg(reward->score(scorer, rows, 40, got, sums, &err) == 0, "%s", err.message);
    for (int r = 0; r < 40; r++) {
        double sum = 0;

        literal_rewards(&l, &rows[r], expected);
        for (int t = 0; t < rows[r].response_length; t++, at++) {
            ck_assert_float_eq(*at, expected[t]);
            sum += expected[t];
        }
        ck_assert_double_eq(sums[r], sum);
    }
    reward->close(scorer);
    close_literal(&l);
    free(base);
    free(got);
}
END_TEST

START_TEST(a_response_that_does_not_fit_twice_is_an_error)
{
    struct literal l = open_literal("{}");
    int ids[40] = {0};
    struct exchange row = {ids, ids, 4, 40, 0, "", ""};
    const struct reward *reward;
    struct scorer *scorer;
    char *base = path_join(l.folder, "base");
    struct error err;
    float sum;

    ck_assert_int_eq(reward_open(&reward, &scorer, base, kernels_find("cpu"), &err), 0);
    ck_assert_int_eq(reward->score(scorer, &row, 1, NULL, &sum, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "context"));
    reward->close(scorer);
    close_literal(&l);
    free(base);
}
END_TEST

START_TEST(a_folder_that_is_no_reward_is_named)
{
    char *folder = fresh_folder(), *path = path_join(folder, "reward.json");
    const struct reward *reward;
    struct scorer *scorer;
    struct error err;

    ck_assert_int_eq(reward_open(&reward, &scorer, folder, kernels_find("cpu"), &err), -1);
    ck_assert_int_eq(file_write(path, "{\"reward\": \"oracle\"}", 20, &err), 0);
    ck_assert_int_eq(reward_open(&reward, &scorer, folder, kernels_find("cpu"), &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "oracle"));
    folder_remove(folder, &err);
    free(path);
    free(folder);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("rewards");
    TCase *tests = tcase_create("rewards");
    SRunner *runner = srunner_create(suite);
    int failures;

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, tokens_are_positive_until_the_response_diverges);
    tcase_add_test(tests, agreement_throughout_earns_plus_throughout);
    tcase_add_test(tests, a_missing_end_is_one_more_diverging_token);
    tcase_add_test(tests, scales_divide_by_the_reference_or_the_length);
    tcase_add_test(tests, soft_scores_are_probabilities);
    tcase_add_test(tests, margins_are_log_probability_less_the_best_s);
    tcase_add_test(tests, aggregates_match_values_worked_by_hand);
    tcase_add_test(tests, scores_stand_on_the_last_tokens);
    tcase_add_test(tests, one_pass_equals_the_literal_form_exactly);
    tcase_add_test(tests, a_response_that_does_not_fit_twice_is_an_error);
    tcase_add_test(tests, a_folder_that_is_no_reward_is_named);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
