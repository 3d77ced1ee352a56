/* Low-rank adapters: their tables, what they leave alone, and what training through them does. */
#include "models/adapter.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "models/optimizer.h"
#include "models/transformer.h"
#include "tests/targets.h"

static struct error err;

static struct config small_config(const char *family) {
    struct config config;

    ck_assert_int_eq(config_family(&config, family, &err), 0);
    config.vocab = 37;
    config.context = 16;
    config.layers = 2;
    config.width = 24;
    config.heads = 4;
    config.kv_heads = strcmp(family, "gpt2") ? 2 : 4;
    config.head_size = 6;
    config.ffn = 20;
    config.score_heads = 1;
    return config;
}

static struct model *small_model(const char *family) {
    struct config config = small_config(family);
    struct model *model;

    ck_assert_msg(model_create(&model, &config, kernels_find("cpu"), &err) == 0, "%s", err.message);
    model_init(model, 7);
    return model;
}

static struct adapter_options adapters_on(const struct config *config, const char *targets) {
    struct adapter_options options = {.rank = 3, .alpha = 6};

    ck_assert_msg(adapter_targets(&options.targets, targets, config, &err) == 0, "%s", err.message);
    return options;
}

static struct model *adapted_model(const char *family, const char *targets) {
    struct model *model = small_model(family);
    struct adapter_options options = adapters_on(&model->config, targets);

    ck_assert_msg(model_adapt(model, &options, 11, &err) == 0, "%s", err.message);
    return model;
}

static int size_of(const struct tensor *tensor) {
    return tensor->rows * tensor->cols;
}

/* B is 0 after model_adapt(): numbers there that a trained one could have. */
static void fill_blocks(struct model *model) {
    for (int i = 0; i < model->adapter_count; i++) {
        const struct adapter *adapter = &model->adapters[i];

        for (int p = 0; p < adapter->part_count; p++)
            for (int r = 0; r < adapter->parts[p].rows * adapter->rank; r++) {
                int row = adapter->parts[p].row + r / adapter->rank;
                int col = adapter->parts[p].rank_from + r % adapter->rank;

                adapter->b->data[row * adapter->b->cols + col] = 0.2f * sinf((float)(r + i + 7 * p));
            }
    }
    model_changed(model);
}

START_TEST(targets_are_named_as_in_peft)
{
    struct config llama = small_config("llama"), gpt2 = small_config("gpt2");
    unsigned targets = 0;

    ck_assert_str_eq(adapter_module(&llama, 2), "self_attn.v_proj");
    ck_assert_ptr_null(adapter_module(&llama, 7));
    ck_assert_int_eq(adapter_target(&targets, "q_proj", &llama, &err), 0);
    ck_assert_int_eq(adapter_target(&targets, "self_attn.v_proj", &llama, &err), 0);
    ck_assert_uint_eq(targets, 1 | 4);
    targets = 0;
    ck_assert_int_eq(adapter_target(&targets, "all-linear", &llama, &err), 0);
    ck_assert_uint_eq(targets, 127);
    targets = 0;
    ck_assert_int_eq(adapter_target(&targets, "c_proj", &gpt2, &err), 0);
    ck_assert_uint_eq(targets, 2 | 8);
    ck_assert_int_eq(adapter_target(&targets, "proj", &gpt2, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "\"proj\""));
    ck_assert_ptr_nonnull(strstr(err.message, "c_attn"));
}
END_TEST

START_TEST(options_that_cannot_be_are_refused)
{
    struct model *model = small_model("llama");
    const struct adapter_options good = adapters_on(&model->config, "q_proj");
    struct adapter_options bad[4] = {good, good, good, good};

    bad[0].rank = 0;
    bad[1].alpha = 0;
    bad[2].dropout = 1;
    bad[3].targets = 128;
    for (int i = 0; i < 4; i++) ck_assert_int_eq(model_adapt(model, &bad[i], 1, &err), -1);
    ck_assert_int_eq(model_adapt(model, &good, 1, &err), 0);
    ck_assert_int_eq(model_adapt(model, &good, 1, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "already"));
    model_free(model);
}
END_TEST

START_TEST(an_adapter_has_rows_for_each_module_of_a_joined_tensor)
{
    struct model *model = adapted_model("llama", "q_proj,v_proj,up_proj");
    const struct adapter *qkv = model->layers[1].qkv->adapter, *up = model->layers[1].up->adapter;

    ck_assert_int_eq(model->adapter_count, 4);
    ck_assert_ptr_null(model->layers[1].proj->adapter);
    ck_assert_int_eq(qkv->part_count, 2);
    ck_assert_str_eq(qkv->parts[1].name, "model.layers.1.self_attn.v_proj");
    ck_assert_int_eq(qkv->parts[1].row, 4 * 6 + 2 * 6);
    ck_assert_int_eq(qkv->parts[1].rows, 2 * 6);
    ck_assert_int_eq(qkv->parts[1].rank_from, 3);
    ck_assert_int_eq(qkv->a->rows, 6);
    ck_assert_int_eq(qkv->a->cols, 24);
    ck_assert_int_eq(qkv->b->rows, 48);
    ck_assert_int_eq(qkv->b->cols, 6);
    ck_assert_float_eq(qkv->scale, 2);
    ck_assert_str_eq(qkv->a->name, "model.layers.1.self_attn.qkv_proj.lora_A.weight");
    ck_assert_int_eq(up->parts[0].row, 20);
    ck_assert_int_eq(up->b->rows, 40);
    for (int i = 0; i < size_of(qkv->a); i++) ck_assert_float_le(fabsf(qkv->a->data[i]), 1 / sqrtf(24));
    for (int i = 0; i < size_of(qkv->b); i++) ck_assert_float_eq(qkv->b->data[i], 0);
    model_free(model);
}
END_TEST

START_TEST(rslora_divides_by_the_ranks_root)
{
    struct model *model = small_model("gpt2");
    struct adapter_options options = adapters_on(&model->config, "all-linear");

    options.rslora = 1;
    ck_assert_int_eq(model_adapt(model, &options, 1, &err), 0);
    ck_assert_float_eq_tol(model->layers[0].down->adapter->scale, 6 / sqrtf(3), 1e-6);
    ck_assert_str_eq(model->layers[0].down->adapter->parts[0].name, "transformer.h.0.mlp.c_proj");
    model_free(model);
}
END_TEST

/* Gradients and moments are there for these numbers alone; the update changes no frozen bit, and nothing
   outside the blocks of B. */
START_TEST(adapters_and_the_score_head_learn_and_nothing_else)
{
    struct model *model = adapted_model("llama", "q_proj,v_proj,down_proj");
    struct optimizer optimizer;
    size_t bytes = model->size * sizeof(float), learned = 0;
    float *before = xmalloc(bytes), score = model->score->data[0];
    const struct tensor *b = model->layers[0].qkv->adapter->b;

    memcpy(before, model->data, bytes);
    ck_assert_int_eq(model_train(model, &err), 0);
    ck_assert_int_eq(optimizer_create(&optimizer, model, &err), 0);
    for (int i = 0; i < model->count; i++)
        ck_assert_int_eq(model->tensors[i].grad == NULL, &model->tensors[i] != model->score);
    for (int i = 0; i < model->adapter_count; i++)
        learned += (size_t)(size_of(model->adapters[i].a) + size_of(model->adapters[i].b));
    ck_assert_uint_ge(model->learned_size, learned + 24);
    ck_assert_uint_le(model->learned_size, learned + 24 + 16 * 9);
    for (size_t i = 0; i < model->learned_size; i++) model->grad[i] = 1;
    optimizer.decay = 0.1f;
    optimizer_update(&optimizer, model, 0.01f);
    ck_assert_int_eq(memcmp(before, model->data, bytes), 0);
    ck_assert_float_eq_tol(model->score->data[0], score - 0.01f * (1 + 0.1f * score), 1e-5);
    for (int r = 0; r < b->rows; r++)
        for (int c = 0; c < b->cols; c++) {
            float expected = (c < 3 ? r < 24 : r >= 36) ? -0.01f : 0;

            ck_assert_float_eq_tol(b->data[r * b->cols + c], expected, 1e-6);
            ck_assert_int_eq(b->data[r * b->cols + c] == 0, expected == 0);
        }
    optimizer_free(&optimizer, model);
    model_free(model);
    free(before);
}
END_TEST

START_TEST(learned_numbers_go_out_and_come_back)
{
    struct model *model = adapted_model("gpt2", "all-linear");
    float *first = model_learned_copy(model), *second;

    fill_blocks(model);
    model->score->data[3] = 5;
    second = model_learned_copy(model);
    model_learned_set(model, first);
    ck_assert_float_eq(model->layers[1].up->adapter->b->data[4], 0);
    model_learned_set(model, second);
    ck_assert_float_ne(model->layers[1].up->adapter->b->data[4], 0);
    ck_assert_float_eq(model->score->data[3], 5);
    free(first);
    free(second);
    model_free(model);
}
END_TEST

/* By hand: two ranks of one row. */
START_TEST(merging_adds_the_scaled_product)
{
    struct model *model = adapted_model("llama", "k_proj");
    struct tensor *qkv = model->layers[0].qkv;
    float w = qkv->data[25 * 24 + 2], query = qkv->data[2], sum;

    qkv->adapter->b->data[25 * 3] = 0.5f;
    qkv->adapter->b->data[25 * 3 + 2] = 2;
    sum = 0.5f * qkv->adapter->a->data[2] + 2 * qkv->adapter->a->data[2 * 24 + 2];
    model->score->data[1] = 4;
    ck_assert_int_eq(model_merge(model, &err), 0);
    ck_assert_float_eq_tol(qkv->data[25 * 24 + 2], w + 2 * sum, 1e-6);
    ck_assert_float_eq(qkv->data[2], query);
    ck_assert_float_eq(model->score->data[1], 4);
    ck_assert_ptr_null(qkv->adapter);
    ck_assert_int_eq(model->added, 0);
    ck_assert_int_eq(model_merge(model, &err), -1);
    ck_assert_int_eq(model_train(model, &err), 0);
    ck_assert_ptr_nonnull(qkv->grad);
    model_free(model);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("adapter");
    TCase *tables = tcase_create("tables");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tables, targets_are_named_as_in_peft);
    tcase_add_test(tables, options_that_cannot_be_are_refused);
    tcase_add_test(tables, an_adapter_has_rows_for_each_module_of_a_joined_tensor);
    tcase_add_test(tables, rslora_divides_by_the_ranks_root);
    tcase_add_test(tables, adapters_and_the_score_head_learn_and_nothing_else);
    tcase_add_test(tables, learned_numbers_go_out_and_come_back);
    tcase_add_test(tables, merging_adds_the_scaled_product);
    suite_add_tcase(suite, tables);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
