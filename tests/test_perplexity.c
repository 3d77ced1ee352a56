/* Perplexity: what is predicted in which window, and the sum of it. */
#include "models/perplexity.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VOCAB 16

static struct error err;
static int ids[] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3};
static const struct tokens nothing, ten = {ids, 10, 10};

static struct model *new_model(void) {
    struct config config;
    struct model *model;

    ck_assert_int_eq(config_family(&config, "llama", &err), 0);
    config.vocab = VOCAB;
    config.context = 8;
    config.layers = 1;
    config.width = config.head_size = 8;
    config.heads = config.kv_heads = 1;
    config.ffn = 8;
    ck_assert_msg(model_create(&model, &config, kernels_find("cpu"), &err) == 0, "%s", err.message);
    model_init(model, 1);
    return model;
}

static struct perplexity measured(struct model *model, const struct tokens *begin, const struct tokens *text,
                                  int window) {
    struct perplexity out;

    ck_assert_msg(perplexity_measure(&out, model, begin, text, window, NULL, &err) == 0, "%s", err.message);
    return out;
}

START_TEST(a_model_that_knows_nothing_has_its_vocabulary_as_perplexity)
{
    struct model *model = new_model();
    struct perplexity out;

    memset(model->data, 0, model->size * sizeof *model->data);
    model_changed(model);
    out = measured(model, &nothing, &ten, 8); /* windows of 8 and 2: 7 + 1 predicted */
    ck_assert_int_eq(out.windows, 2);
    ck_assert_int_eq(out.scored, 8);
    ck_assert_double_eq_tol(exp(out.nats / out.scored), VOCAB, 1e-5);
    model_free(model);
}
END_TEST

START_TEST(windows_are_read_apart_from_each_other)
{
    struct model *model = new_model();
    struct tokens parts[] = {{ids, 4, 4}, {ids + 4, 4, 4}, {ids + 8, 2, 2}};
    struct perplexity all = measured(model, &nothing, &ten, 4);
    double nats = 0;

    ck_assert_int_eq(all.windows, 3);
    ck_assert_int_eq(all.scored, 3 + 3 + 1);
    for (int i = 0; i < 3; i++) nats += measured(model, &nothing, &parts[i], 4).nats;
    ck_assert_double_eq(all.nats, nats);
    /* the ninth token would be alone */
    ck_assert_int_eq(measured(model, &nothing, &(struct tokens){ids, 9, 9}, 4).scored, 3 + 3);
    model_free(model);
}
END_TEST

START_TEST(what_begins_texts_begins_every_window_and_is_not_predicted)
{
    struct model *model = new_model();
    int one = 7, both[] = {7, 3};
    const struct tokens begin = {&one, 1, 1};
    struct perplexity all = measured(model, &begin, &ten, 4); /* 3, 3, 3 and 1 of the text */

    ck_assert_int_eq(all.windows, 4);
    ck_assert_int_eq(all.scored, 10);
    ck_assert_double_eq(measured(model, &begin, &(struct tokens){ids, 1, 1}, 4).nats,
                        measured(model, &nothing, &(struct tokens){both, 2, 2}, 4).nats);
    model_free(model);
}
END_TEST

START_TEST(the_list_has_what_was_summed)
{
    struct model *model = new_model();
    char *text = NULL;
    size_t room = 0;
    FILE *list = open_memstream(&text, &room);
    struct perplexity out;
    double sum = 0;
    char *at;

    ck_assert_int_eq(perplexity_measure(&out, model, &nothing, &(struct tokens){ids, 3, 3}, 8, list, &err),
                     0);
    fclose(list);
    ck_assert_ptr_nonnull(strstr(text, "\"ids\":[3,1,4]"));
    at = strstr(text, "\"logprob\":[");
    ck_assert_ptr_nonnull(at);
    at += strlen("\"logprob\":[");
    for (int i = 0; i < 2; i++) sum += strtod(at, &at), at++;
    ck_assert_double_eq_tol(out.nats, -sum, 1e-9);
    free(text);
    model_free(model);
}
END_TEST

START_TEST(what_cannot_be_read_is_refused)
{
    struct model *model = new_model();
    struct perplexity out;
    int one = 7;

    ck_assert_int_eq(perplexity_measure(&out, model, &nothing, &ten, 9, NULL, &err), -1);
    ck_assert_str_eq(err.message, "windows of 9 tokens are longer than the model's context of 8, "
                                  "the most that it can read");
    ck_assert_int_eq(perplexity_measure(&out, model, &(struct tokens){&one, 1, 1}, &ten, 1, NULL, &err), -1);
    ck_assert_str_eq(err.message, "windows of 1 tokens leave none to predict: expected more than 1");
    ck_assert_int_eq(perplexity_measure(&out, model, &nothing, &(struct tokens){ids, 1, 1}, 4, NULL, &err),
                     -1);
    ck_assert_str_eq(err.message, "the text has 1 tokens: expected at least 2");
    model_free(model);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("perplexity");
    TCase *cases = tcase_create("perplexity");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_test(cases, a_model_that_knows_nothing_has_its_vocabulary_as_perplexity);
    tcase_add_test(cases, windows_are_read_apart_from_each_other);
    tcase_add_test(cases, what_begins_texts_begins_every_window_and_is_not_predicted);
    tcase_add_test(cases, the_list_has_what_was_summed);
    tcase_add_test(cases, what_cannot_be_read_is_refused);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
