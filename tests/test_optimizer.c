/* AdamW, clipping and schedules against values worked by hand. */
#include "models/optimizer.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/targets.h"

static struct error err;

static struct model *make_on(const char *device) {
    struct config config;
    struct model *model;

    config_family(&config, "gpt2", &err);
    config.vocab = 5;
    config.context = 4;
    config.layers = 1;
    config.width = config.ffn = 6;
    config.heads = config.kv_heads = 2;
    config.head_size = 3;
    ck_assert_int_eq(model_create(&model, &config, kernels_find(device), &err), 0);
    model_init(model, 3);
    return model;
}

static struct model *make(void) {
    struct model *model = make_on("cpu");

    ck_assert_int_eq(model_train(model, &err), 0);
    return model;
}

static struct optimizer begin(const struct model *model) {
    struct optimizer optimizer;

    ck_assert_int_eq(optimizer_create(&optimizer, model, &err), 0);
    return optimizer;
}

START_TEST(the_first_step_moves_by_the_rate_against_the_sign)
{
    struct model *model = make();
    struct optimizer optimizer = begin(model);
    float *weight = model->embedding->data, before[2] = {weight[0], weight[1]};

    optimizer.clip = 0;
    model->embedding->grad[0] = 3;
    model->embedding->grad[1] = -0.5f;
    ck_assert_double_eq_tol(optimizer_update(&optimizer, model, 0.01f), sqrt(9.25), 1e-6);
    ck_assert_int_eq(optimizer.step, 1);
    ck_assert_float_eq_tol(weight[0], before[0] - 0.01f, 1e-7); /* m / sqrt(v) = sign(g) once corrected */
    ck_assert_float_eq_tol(weight[1], before[1] + 0.01f, 1e-7);
    ck_assert_float_eq_tol(optimizer.m[0], 0.3f, 1e-6);
    ck_assert_float_eq_tol(optimizer.v[0], 0.009f, 1e-6);
    ck_assert_float_eq(model->embedding->grad[0], 0);
    optimizer_free(&optimizer, model);
    model_free(model);
}
END_TEST

/* w = 1, g = 1 then 2, lr 0.1, betas 0.9 0.999, decay 0.5, as PyTorch's AdamW gives it:
   step 1: w = 1 - 0.1 (1 + 0.5) = 0.85
   step 2: m = 0.09 + 0.2 = 0.29, / 0.19; v = 0.000999 + 0.004 = 0.004999, / 0.001999
           w = 0.85 - 0.1 (1.5263158 / 1.5813762 + 0.425) = 0.7109822 */
START_TEST(two_steps_match_values_worked_by_hand)
{
    struct model *model = make();
    struct optimizer optimizer = begin(model);
    float *weight = model->layers[0].qkv->data, *bias = model->layers[0].qkv_bias->data;

    optimizer.clip = 0;
    optimizer.decay = 0.5f;
    weight[0] = bias[0] = 1;
    model->layers[0].qkv->grad[0] = model->layers[0].qkv_bias->grad[0] = 1;
    optimizer_update(&optimizer, model, 0.1f);
    ck_assert_float_eq_tol(weight[0], 0.85f, 1e-6);
    ck_assert_float_eq_tol(bias[0], 0.9f, 1e-6); /* vectors do not decay */
    model->layers[0].qkv->grad[0] = 2;
    optimizer_update(&optimizer, model, 0.1f);
    ck_assert_float_eq_tol(weight[0], 0.7109822f, 2e-6);
    optimizer_free(&optimizer, model);
    model_free(model);
}
END_TEST

START_TEST(norms_and_biases_do_not_decay)
{
    struct model *model = make();
    struct optimizer optimizer = begin(model);

    optimizer.decay = 0.1f;
    model->norm_bias->data[2] = 7;
    model->positions->data[2] = 7;
    ck_assert_double_eq(optimizer_update(&optimizer, model, 0.5f), 0);
    ck_assert_float_eq(model->norm->data[0], 1);
    ck_assert_float_eq(model->norm_bias->data[2], 7);
    ck_assert_float_eq_tol(model->positions->data[2], 7 * 0.95f, 1e-6);
    optimizer_free(&optimizer, model);
    model_free(model);
}
END_TEST

START_TEST(gradients_are_clipped_to_the_global_norm)
{
    struct model *model = make();
    struct optimizer optimizer = begin(model);

    model->embedding->grad[0] = 3;
    model->norm->grad[0] = 4;
    ck_assert_double_eq_tol(optimizer_update(&optimizer, model, 0.01f), 5, 1e-12);
    ck_assert_float_eq_tol(optimizer.m[0], 0.1f * 0.6f, 1e-7); /* 3 / 5 */
    ck_assert_float_eq_tol(optimizer.m[model->norm->data - model->data], 0.1f * 0.8f, 1e-7);
    optimizer_free(&optimizer, model);
    model_free(model);
}
END_TEST

START_TEST(a_norm_that_is_not_finite_changes_nothing)
{
    struct model *model = make();
    struct optimizer optimizer = begin(model);
    float before = model->embedding->data[0];

    model->embedding->grad[0] = 1;
    model->norm->grad[3] = NAN;
    ck_assert_double_nan(optimizer_update(&optimizer, model, 0.01f));
    model->norm->grad[3] = INFINITY;
    ck_assert_double_infinite(optimizer_update(&optimizer, model, 0.01f));
    ck_assert_int_eq(optimizer.step, 0);
    ck_assert_float_eq(model->embedding->data[0], before);
    ck_assert_float_eq(optimizer.m[0], 0);
    optimizer_free(&optimizer, model);
    model_free(model);
}
END_TEST

START_TEST(schedules_warm_up_and_come_down)
{
    ck_assert_double_eq(schedule_lr(SCHEDULE_CONSTANT, 2, 0, 10, 0, 0), 2);
    ck_assert_double_eq(schedule_lr(SCHEDULE_CONSTANT, 2, 0, 10, 4, 0), 0.5);
    ck_assert_double_eq(schedule_lr(SCHEDULE_CONSTANT, 2, 3, 10, 4, 0), 2);
    ck_assert_double_eq(schedule_lr(SCHEDULE_CONSTANT, 2, 9, 10, 4, 0), 2);
    ck_assert_double_eq(schedule_lr(SCHEDULE_LINEAR, 2, 0, 11, 0, 0.1), 2);
    ck_assert_double_eq_tol(schedule_lr(SCHEDULE_LINEAR, 2, 5, 11, 0, 0.1), 1.1, 1e-12);
    ck_assert_double_eq_tol(schedule_lr(SCHEDULE_LINEAR, 2, 10, 11, 0, 0.1), 0.2, 1e-12);
    ck_assert_double_eq_tol(schedule_lr(SCHEDULE_COSINE, 2, 4, 9, 2, 0), 2 * 0.75,
                            1e-12); /* a third of the way */
    ck_assert_double_eq_tol(schedule_lr(SCHEDULE_COSINE, 2, 8, 9, 2, 0.5), 1, 1e-12);
    ck_assert_double_eq(schedule_lr(SCHEDULE_COSINE, 2, 0, 1, 0, 0), 2);
    ck_assert_double_eq_tol(schedule_lr(SCHEDULE_LINEAR, 2, 20, 11, 0, 0.1), 0.2, 1e-12);
}
END_TEST

/* A copy of what products read of this tensor. */
static void *layout_of(struct model *model, const struct tensor *tensor) {
    size_t bytes = model->kernels->pack_size(tensor->rows, tensor->cols, 0);

    ck_assert_int_eq(model_ready(model, 1, &err), 0);
    return memcpy(xmalloc(bytes), tensor->packed, bytes);
}

static int reads_the_same(struct model *a, const struct tensor *of_a, struct model *b,
                          const struct tensor *of_b) {
    void *one = layout_of(a, of_a), *other = layout_of(b, of_b);
    int same = !memcmp(one, other, a->kernels->pack_size(of_a->rows, of_a->cols, 0));

    free(one);
    free(other);
    return same;
}

static int same_layouts(struct model *a, struct model *b) {
    return reads_the_same(a, a->layers[0].qkv, b, b->layers[0].qkv) && reads_the_same(a, a->head, b, b->head);
}

/* A model that goes on with the numbers of `model`, as a resumed run does. */
static struct model *going_on(const struct model *model, uint64_t seed, int step) {
    struct model *other = make_on("cpu-bf16");
    struct optimizer optimizer = {.step = step};

    model_copy(other, model);
    ck_assert_int_eq(optimizer_round(&optimizer, other, seed, &err), 0);
    return other;
}

/* Whether products then read what those of `model` do. */
static void check_going_on(struct model *model, uint64_t seed, int step, int same) {
    struct model *other = going_on(model, seed, step);

    ck_assert_int_eq(same_layouts(model, other), same);
    ck_assert(!same || !memcmp(model->data, other->data, model->size * sizeof(float)));
    model_free(other);
}

START_TEST(stochastic_rounding_is_of_a_seed_and_the_updates_done)
{
    struct model *model = make_on("cpu-bf16");
    struct optimizer optimizer;

    ck_assert_int_eq(model_train(model, &err), 0);
    optimizer = begin(model);
    ck_assert_int_eq(optimizer_round(&optimizer, model, 7, &err), 0);
    check_going_on(model, 9, 0, 1); /* at first to the nearest */
    for (int i = 0; i < 2; i++) {
        model->layers[0].qkv->grad[i] = 1;
        optimizer_update(&optimizer, model, 0.01f);
    }
    ck_assert_int_eq(optimizer.step, 2);
    check_going_on(model, 7, 2, 1);
    check_going_on(model, 7, 1, 0);
    check_going_on(model, 7, 3, 0);
    check_going_on(model, 8, 2, 0);
    check_going_on(model, 7, 0, 0);
    optimizer_free(&optimizer, model);
    model_free(model);
}
END_TEST

START_TEST(stochastic_rounding_leaves_what_is_frozen_to_the_nearest)
{
    struct model *model = make_on("cpu-bf16"), *plain = make_on("cpu-bf16");
    struct adapter_options options = {.rank = 2, .alpha = 2};
    const struct tensor *qkv = model->layers[0].qkv, *a;
    struct optimizer optimizer;
    void *before;

    ck_assert_int_eq(adapter_targets(&options.targets, "all-linear", &model->config, &err), 0);
    ck_assert_int_eq(model_adapt(model, &options, 11, &err), 0);
    ck_assert_int_eq(model_train(model, &err), 0);
    optimizer = begin(model);
    a = qkv->adapter->a;
    before = layout_of(model, a);
    ck_assert_int_eq(optimizer_round(&optimizer, model, 7, &err), 0);
    optimizer_update(&optimizer, model, 0);
    ck_assert(reads_the_same(model, qkv, plain, plain->layers[0].qkv));
    ck_assert_int_eq(model_ready(model, 1, &err), 0);
    ck_assert(memcmp(before, a->packed, model->kernels->pack_size(a->rows, a->cols, 0)) != 0);
    free(before);
    optimizer_free(&optimizer, model);
    model_free(model);
    model_free(plain);
}
END_TEST

START_TEST(weights_that_are_not_rounded_are_not_rounded_stochastically)
{
    struct model *model = make();
    struct optimizer optimizer = begin(model);

    ck_assert_int_eq(optimizer_round(&optimizer, model, 7, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "the device cpu"));
    ck_assert_ptr_nonnull(strstr(err.message, "take cpu-bf16, cuda-bf16 or cuda-cublas"));
    optimizer_free(&optimizer, model);
    model_free(model);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("optimizer");
    TCase *tests = tcase_create("optimizer");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tests, the_first_step_moves_by_the_rate_against_the_sign);
    tcase_add_test(tests, two_steps_match_values_worked_by_hand);
    tcase_add_test(tests, norms_and_biases_do_not_decay);
    tcase_add_test(tests, gradients_are_clipped_to_the_global_norm);
    tcase_add_test(tests, a_norm_that_is_not_finite_changes_nothing);
    tcase_add_test(tests, stochastic_rounding_is_of_a_seed_and_the_updates_done);
    tcase_add_test(tests, stochastic_rounding_leaves_what_is_frozen_to_the_nearest);
    tcase_add_test(tests, weights_that_are_not_rounded_are_not_rounded_stochastically);
    tcase_add_test(tests, schedules_warm_up_and_come_down);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
