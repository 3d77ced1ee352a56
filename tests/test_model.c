/* Parameters under Hugging Face's names: laid out, initialised, written, and read back strictly. */
#include "models/model.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "models/safetensors.h"
#include "tests/tiny_config.h"

#define FOLDER  "test_model.tmp"
#define WEIGHTS FOLDER "/model.safetensors"
#define CONFIG  FOLDER "/config.json"

static struct error err;

static void clean(void) {
    ck_assert_int_eq(folder_remove(FOLDER, &err), 0);
}

static void prepare(void) {
    clean();
    ck_assert_int_eq(folder_make(FOLDER, &err), 0);
}

static struct model *make(const struct config *config, uint64_t seed) {
    struct model *model;

    ck_assert_msg(model_create(&model, config, kernels_find("cpu"), &err) == 0, "%s", err.message);
    model_init(model, seed);
    return model;
}

static struct model *load(void) {
    struct model *model;

    ck_assert_msg(model_load(&model, FOLDER, kernels_find("cpu"), &err) == 0, "%s", err.message);
    return model;
}

static void check_load_fails(const char *said) {
    struct model *model;

    ck_assert_int_eq(model_load(&model, FOLDER, kernels_find("cpu"), &err), -1);
    ck_assert_ptr_null(model);
    ck_assert_msg(strstr(err.message, said) != NULL, "\"%s\" without \"%s\"", err.message, said);
}

static void save(const struct model *model, int bits) {
    ck_assert_msg(model_save(model, FOLDER, bits, &err) == 0, "%s", err.message);
}

static void check_same(const struct model *a, const struct model *b) {
    ck_assert_uint_eq(a->size, b->size);
    ck_assert_int_eq(a->count, b->count);
    ck_assert_int_eq(memcmp(&a->config, &b->config, sizeof a->config), 0);
    ck_assert_int_eq(memcmp(a->data, b->data, a->size * sizeof(float)), 0);
}

START_TEST(sizes_of_known_models_come_out)
{
    struct config gpt2 = {.vocab = 50257,
                          .context = 1024,
                          .layers = 12,
                          .width = 768,
                          .heads = 12,
                          .kv_heads = 12,
                          .head_size = 64,
                          .ffn = 3072,
                          .biases = 1,
                          .tied = 1};
    struct config llama = {.vocab = 32000,
                           .context = 4096,
                           .layers = 32,
                           .width = 4096,
                           .heads = 32,
                           .kv_heads = 32,
                           .head_size = 128,
                           .ffn = 11008,
                           .rms_norm = 1,
                           .rotary = 1,
                           .gated = 1};

    ck_assert_double_eq(config_parameters(&gpt2), 124439808);   /* as published */
    ck_assert_double_eq(config_parameters(&llama), 6738415616); /* Llama-2-7B */
    /* 2 (12 layers 12 width² + vocab width) + 12 layers 4 width (1024 + 1) / 2 */
    ck_assert_double_eq(config_flops(&gpt2, 1024),
                        2 * (12.0 * 12 * 768 * 768 + 50257.0 * 768) + 12.0 * 4 * 768 * 1025 / 2);
}
END_TEST

START_TEST(tables_count_what_the_configuration_says)
{
    static const char *const families[] = {"gpt2", "llama"};

    for (int i = 0; i < 8; i++) {
        struct config config = tiny(families[i % 2]);
        struct model *model;
        double sum = 0;

        config.tied = i / 2 % 2;
        config.score_heads = i / 4 ? 3 : 0;
        model = make(&config, 1);
        for (int t = 0; t < model->count; t++) {
            const struct tensor *tensor = &model->tensors[t];

            sum += (double)tensor->rows * tensor->cols;
            ck_assert_uint_eq((uintptr_t)tensor->data % 64, 0);
            ck_assert_int_eq(tensor->decays, tensor->rank == 2);
            ck_assert(tensor->data >= model->data && tensor->data < model->data + model->size);
        }
        ck_assert_double_eq(sum, config_parameters(&config));
        ck_assert((model->head == model->embedding) == config.tied);
        ck_assert((model->score != NULL) == (config.score_heads > 0));
        ck_assert((model->positions != NULL) == !config.rotary);
        model_free(model);
    }
}
END_TEST

START_TEST(initial_weights_have_gpt2s_spread)
{
    struct config config = tiny("gpt2");
    struct model *model, *again, *other;
    double squares[3] = {0};
    const struct tensor *drawn[3];

    config.width = 64;
    config.head_size = 32;
    config.ffn = 256;
    config.score_heads = 100;
    model = make(&config, 1);
    again = make(&config, 1);
    other = make(&config, 2);
    check_same(model, again);
    ck_assert(memcmp(model->data, other->data, model->size * sizeof(float)) != 0);
    drawn[0] = model->layers[0].qkv;
    drawn[1] = model->layers[1].down;
    drawn[2] = model->score;
    for (int i = 0; i < 3; i++) {
        int count = drawn[i]->rows * drawn[i]->cols;

        for (int j = 0; j < count; j++) squares[i] += drawn[i]->data[j] * drawn[i]->data[j] / count;
    }
    ck_assert_double_eq_tol(sqrt(squares[0]), 1 / sqrt(192), 0.03 / sqrt(192));    /* 12288 draws: 0.6% */
    ck_assert_double_eq_tol(sqrt(squares[1]), 0.5 / sqrt(192), 0.015 / sqrt(192)); /* / sqrt(2 layers) */
    ck_assert_double_eq_tol(sqrt(squares[2]), 1 / sqrt(65), 0.03 / sqrt(65));
    ck_assert_float_eq(model->norm->data[5], 1);
    ck_assert_float_eq(model->layers[1].norm2->data[0], 1);
    ck_assert_float_eq(model->layers[1].norm2_bias->data[0], 0);
    ck_assert_float_eq(model->layers[1].down_bias->data[0], 0);
    model_free(model);
    model_free(again);
    model_free(other);
}
END_TEST

START_TEST(rotary_tables_hold_the_angles)
{
    struct config config = tiny("llama");
    struct model *model = make(&config, 1);

    ck_assert_float_eq(model->cosine[0], 1);
    ck_assert_float_eq_tol(model->sine[3 * 2 + 0], sin(3), 1e-7);
    ck_assert_float_eq_tol(model->cosine[3 * 2 + 1], cos(3 * 0.01), 1e-7); /* 10000^(-1/2) */
    model_free(model);
}
END_TEST

START_TEST(what_is_saved_is_loaded)
{
    static const char *const families[] = {"gpt2", "llama"};
    struct config config = tiny(families[_i % 2]);
    struct model *model, *got;

    config.tied = _i / 2 % 2;
    config.score_heads = _i / 4 ? 2 : 0;
    if (config.rotary) config.biases = _i / 2 % 2;
    model = make(&config, 5);
    for (int t = 0; t < model->count; t++)
        for (int j = 0; j < model->tensors[t].rows; j++) model->tensors[t].data[j] += (float)t;
    save(model, 32);
    got = load();
    check_same(model, got);
    model_free(model);
    model_free(got);
}
END_TEST

START_TEST(bf16_files_hold_rounded_numbers)
{
    struct config config = tiny("llama");
    struct model *model = make(&config, 5), *got;

    model->norm->data[0] = 1.00390625f; /* halfway: to even */
    model->norm->data[1] = 1.01171875f;
    save(model, 16);
    got = load();
    ck_assert_float_eq(got->norm->data[0], 1);
    ck_assert_float_eq(got->norm->data[1], 1.015625f);
    for (size_t i = 0; i < model->size; i++)
        ck_assert_float_le(fabsf(got->data[i] - model->data[i]), fabsf(model->data[i]) / 256);
    model_free(model);
    model_free(got);
}
END_TEST

static float value_at(const struct safetensors *file, const char *name, int64_t rows, int64_t cols,
                      int64_t row, int64_t col) {
    const struct stored *tensor = safetensors_find(file, name);
    float value;

    ck_assert_msg(tensor != NULL, "no tensor \"%s\"", name);
    ck_assert_int_eq(tensor->shape[0], rows);
    ck_assert_int_eq(tensor->shape[1], cols);
    memcpy(&value, tensor->bytes + 4 * (row * cols + col), 4);
    return value;
}

START_TEST(gpt2_files_have_conv1d_layouts)
{
    struct config config = tiny("gpt2");
    struct model *model = make(&config, 5);
    struct safetensors file;

    save(model, 32);
    ck_assert_int_eq(safetensors_open(&file, WEIGHTS, &err), 0);
    ck_assert_float_eq(value_at(&file, "transformer.h.1.attn.c_attn.weight", 6, 18, 4, 17),
                       model->layers[1].qkv->data[17 * 6 + 4]);
    ck_assert_float_eq(value_at(&file, "transformer.h.0.mlp.c_proj.weight", 5, 6, 4, 2),
                       model->layers[0].down->data[2 * 5 + 4]);
    ck_assert_float_eq(value_at(&file, "transformer.wte.weight", 11, 6, 10, 1),
                       model->embedding->data[10 * 6 + 1]);
    ck_assert_ptr_null(safetensors_find(&file, "lm_head.weight"));
    ck_assert_str_eq(node_text(file.metadata, "format", ""), "pt");
    safetensors_close(&file);
    model_free(model);
}
END_TEST

START_TEST(llama_files_have_separate_projections)
{
    struct config config = tiny("llama");
    struct model *model;
    struct safetensors file;

    config.score_heads = 2;
    model = make(&config, 5);
    save(model, 32);
    ck_assert_int_eq(safetensors_open(&file, WEIGHTS, &err), 0);
    ck_assert_float_eq(value_at(&file, "model.layers.1.self_attn.q_proj.weight", 8, 6, 7, 5),
                       model->layers[1].qkv->data[7 * 6 + 5]);
    ck_assert_float_eq(value_at(&file, "model.layers.1.self_attn.k_proj.weight", 4, 6, 0, 1),
                       model->layers[1].qkv->data[8 * 6 + 1]);
    ck_assert_float_eq(value_at(&file, "model.layers.1.self_attn.v_proj.weight", 4, 6, 3, 2),
                       model->layers[1].qkv->data[15 * 6 + 2]);
    ck_assert_float_eq(value_at(&file, "model.layers.0.mlp.gate_proj.weight", 5, 6, 4, 0),
                       model->layers[0].up->data[4 * 6]);
    ck_assert_float_eq(value_at(&file, "model.layers.0.mlp.up_proj.weight", 5, 6, 0, 3),
                       model->layers[0].up->data[5 * 6 + 3]);
    ck_assert_float_eq(value_at(&file, "score.weight", 2, 6, 1, 5), model->score->data[11]);
    ck_assert_float_eq(value_at(&file, "lm_head.weight", 11, 6, 2, 5), model->head->data[17]);
    safetensors_close(&file);
    model_free(model);
}
END_TEST

START_TEST(files_of_hugging_face_are_read)
{
    static const char *const names[] = {"gpt2", "gpt2_untied", "llama", "llama_tied"};
    const char *source = getenv("srcdir");
    char *folder = xprintf("%s/tests/fixtures/transformer/%s", source ? source : ".", names[_i]);
    struct model *model;

    ck_assert_msg(model_load(&model, folder, kernels_find("cpu"), &err) == 0, "%s", err.message);
    ck_assert_int_eq(model->config.layers, 2);
    ck_assert_int_eq(model->config.score_heads, 2);
    ck_assert_int_eq(model->config.tied, _i % 3 == 0);
    model_free(model);
    free(folder);
}
END_TEST

/* Writes the tensors of the saved file anew: `skip` left out, the names of `from` changed to `to`. */
static void rewrite(const char *skip, const char *from, const char *to) {
    struct safetensors file;
    struct safetensor_out items[64];
    int count = 0;

    ck_assert_int_eq(safetensors_open(&file, WEIGHTS, &err), 0);
    for (int i = 0; i < file.count; i++) {
        const struct stored *tensor = &file.items[i];
        int renamed = from && strncmp(tensor->name, from, strlen(from)) == 0;
        float *data;

        if (skip && strcmp(tensor->name, skip) == 0) continue;
        data = xmalloc(tensor->length + 1);
        memcpy(data, tensor->bytes, tensor->length);
        items[count] = (struct safetensor_out){
            .name = renamed ? xprintf("%s%s", to, tensor->name + strlen(from)) : xstrdup(tensor->name),
            .rank = tensor->rank,
            .data = data,
            .type = tensor->type};
        memcpy(items[count++].shape, tensor->shape, sizeof tensor->shape);
    }
    ck_assert_int_eq(safetensors_write(WEIGHTS, items, count, NULL, &err), 0);
    for (int i = 0; i < count; i++) {
        free((char *)items[i].name);
        free((float *)items[i].data);
    }
    safetensors_close(&file);
}

START_TEST(a_missing_tensor_is_named)
{
    struct config config = tiny("llama");
    struct model *model = make(&config, 5);

    save(model, 32);
    rewrite("model.layers.1.self_attn.k_proj.weight", NULL, NULL);
    check_load_fails("\"model.layers.1.self_attn.k_proj.weight\" is missing");
    model_free(model);
}
END_TEST

START_TEST(a_tensor_left_over_is_named)
{
    struct config config = tiny("llama");
    struct model *model;

    config.score_heads = 1;
    model = make(&config, 5);
    save(model, 32);
    config.score_heads = 0;
    ck_assert_int_eq(config_write(&config, CONFIG, &err), 0);
    check_load_fails("\"score.weight\" belongs to no part");
    model_free(model);
}
END_TEST

START_TEST(a_shape_that_does_not_fit_is_named)
{
    struct config config = tiny("gpt2");
    struct model *model = make(&config, 5);

    save(model, 32);
    config.vocab = 12;
    ck_assert_int_eq(config_write(&config, CONFIG, &err), 0);
    check_load_fails("[12, 6]");
    model_free(model);
}
END_TEST

START_TEST(a_giant_configuration_takes_no_memory)
{
    struct config config = tiny("gpt2");
    struct model *model = make(&config, 5);

    save(model, 32);
    config.vocab = config.context = config.ffn = 1 << 24;
    ck_assert_int_eq(config_write(&config, CONFIG, &err), 0);
    check_load_fails("[16777216, 6]");
    model_free(model);
}
END_TEST

START_TEST(names_of_base_models_and_spare_buffers_are_accepted)
{
    struct config config = tiny("gpt2");
    struct model *model = make(&config, 5), *got;

    save(model, 32);
    rewrite(NULL, "transformer.", "");
    got = load();
    check_same(model, got);
    model_free(model);
    model_free(got);
}
END_TEST

START_TEST(a_clone_has_the_same_trunk_and_a_new_score_head)
{
    struct config config = tiny("llama");
    struct model *model, *scored, *zero, *plain;

    config.score_heads = 1;
    model = make(&config, 5);
    ck_assert_int_eq(model_clone(&scored, model, 3, 0, 9, &err), 0);
    ck_assert_int_eq(model_clone(&zero, model, 1, 1, 9, &err), 0);
    ck_assert_int_eq(model_clone(&plain, model, 0, 0, 9, &err), 0);
    ck_assert_int_eq(scored->score->rows, 3);
    ck_assert(scored->score->data[0] != 0 && scored->score->data[0] != model->score->data[0]);
    for (int i = 0; i < 6; i++) ck_assert_float_eq(zero->score->data[i], 0);
    ck_assert_ptr_null(plain->score);
    for (int t = 0; t < plain->count; t++) {
        size_t bytes = (size_t)model->tensors[t].rows * model->tensors[t].cols * sizeof(float);

        ck_assert_int_eq(memcmp(model->tensors[t].data, plain->tensors[t].data, bytes), 0);
        ck_assert_int_eq(memcmp(model->tensors[t].data, scored->tensors[t].data, bytes), 0);
    }
    model_free(model);
    model_free(scored);
    model_free(zero);
    model_free(plain);
}
END_TEST

START_TEST(gradients_begin_at_zero)
{
    struct config config = tiny("gpt2");
    struct model *model = make(&config, 5);

    ck_assert_ptr_null(model->tensors[0].grad);
    ck_assert_int_eq(model_train(model, &err), 0);
    for (size_t i = 0; i < model->size; i++) ck_assert_float_eq(model->grad[i], 0);
    model->layers[1].down->grad[3] = 5;
    ck_assert_float_eq(model->grad[model->layers[1].down->data - model->data + 3], 5);
    ck_assert_int_eq(model_train(model, &err), 0);
    model_zero_grad(model);
    ck_assert_float_eq(model->layers[1].down->grad[3], 0);
    model_free(model);
}
END_TEST

START_TEST(a_configuration_comes_back)
{
    struct config config = tiny(_i % 2 ? "llama" : "gpt2"), got;

    config.tied = _i / 2;
    config.norm_eps = 3e-6f;
    config.score_heads = _i;
    if (config.rotary) config.rope_theta = 5e5f;
    if (config.rotary) config.biases = 1;
    ck_assert_msg(config_write(&config, CONFIG, &err) == 0, "%s", err.message);
    ck_assert_msg(config_read(&got, CONFIG, &err) == 0, "%s", err.message);
    ck_assert_int_eq(memcmp(&config, &got, sizeof config), 0);
}
END_TEST

#define GPT2                                                                                                 \
    "{\"model_type\":\"gpt2\",\"n_embd\":6,\"n_layer\":2,\"n_head\":2,\"n_positions\":7,\"vocab_size\":11"
#define LLAMA                                                                                                \
    "{\"model_type\":\"llama\",\"hidden_size\":6,\"intermediate_size\":5,\"num_hidden_layers\":2,"           \
    "\"num_attention_heads\":3,\"max_position_embeddings\":7,\"vocab_size\":11"

static int read_config(struct config *config, const char *text) {
    ck_assert_int_eq(file_write(CONFIG, text, strlen(text), &err), 0);
    return config_read(config, CONFIG, &err);
}

START_TEST(defaults_are_those_of_hugging_face)
{
    struct config config;

    ck_assert_msg(read_config(&config, GPT2 ",\"n_inner\":null}") == 0, "%s", err.message);
    ck_assert_int_eq(config.ffn, 24);
    ck_assert(config.tied && config.biases && config.kv_heads == 2 && config.head_size == 3);
    ck_assert_int_eq(config.score_heads, 0);
    ck_assert_msg(read_config(&config, LLAMA "}") == 0, "%s", err.message);
    ck_assert(!config.tied && !config.biases && config.kv_heads == 3 && config.head_size == 2);
    ck_assert_float_eq(config.rope_theta, 10000);
    ck_assert_float_eq(config.norm_eps, 1e-6f);
    ck_assert_int_eq(read_config(&config, LLAMA ",\"rope_parameters\":{\"rope_type\":\"default\","
                                                "\"rope_theta\":500}}"),
                     0);
    ck_assert_float_eq(config.rope_theta, 500);
    ck_assert_int_eq(read_config(&config, LLAMA ",\"architectures\":[\"LlamaForSequenceClassification\"],"
                                                "\"id2label\":{\"0\":\"LABEL_0\"}}"),
                     0);
    ck_assert_int_eq(config.score_heads, 1);
}
END_TEST

/* Hugging Face reads scores off the last token that is no padding: padding must be none that texts end in. */
START_TEST(a_reward_model_says_where_its_score_is_read)
{
    struct config config = tiny("llama"), got;
    struct node *map;

    config.score_heads = 1;
    config.end_token = config.pad_token = 3;
    for (int apart = 0; apart < 2; apart++) {
        config.pad_token += apart;
        ck_assert_msg(config_write(&config, CONFIG, &err) == 0, "%s", err.message);
        map = document_read(CONFIG, &err);
        ck_assert_str_eq(node_text(map, "pooling", ""), "last");
        node_free(map);
        ck_assert_int_eq(config_read(&got, CONFIG, &err), 0);
        ck_assert_int_eq(got.pad_token, apart ? 4 : -1);
        ck_assert_int_eq(got.end_token, 3);
    }
}
END_TEST

static const struct {
    const char *text, *said;
} refused[] = {
    {"{}", "model_type"},
    {"[]", "model_type"},
    {"{\"model_type\":\"bert\"}", "bert"},
    {"{\"model_type\":\"gpt2\"}", "\"n_embd\" is missing"},
    {GPT2 ",\"n_inner\":1e300}", "n_inner"},
    {GPT2 ",\"n_inner\":0}", "ffn is 0"},
    {GPT2 ",\"n_inner\":2.5}", "whole number"},
    {GPT2 ",\"n_inner\":9223372036854775808}", "whole number"},
    {GPT2 ",\"n_inner\":-4}", "whole number"},
    {GPT2 ",\"n_inner\":\"24\"}", "not a number"},
    {GPT2 ",\"activation_function\":\"relu\"}", "relu"},
    {GPT2 ",\"scale_attn_by_inverse_layer_idx\":true}", "1/sqrt"},
    {GPT2 ",\"layer_norm_epsilon\":0}", "epsilon"},
    {GPT2 ",\"architectures\":[\"GPT2ForSequenceClassification\"],\"num_labels\":5000}", "score heads"},
    {LLAMA ",\"architectures\":[\"LlamaForSequenceClassification\"],\"pooling\":\"mean\"}",
     "\"pooling\" is \"mean\": only \"last\""},
    {LLAMA ",\"num_key_value_heads\":2}", "divisor"},
    {LLAMA ",\"num_key_value_heads\":4}", "key-value"},
    {LLAMA ",\"head_dim\":3}", "even"},
    {LLAMA ",\"rope_theta\":-1}", "rope_theta"},
    {LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\"}}", "\"factor\" is missing"},
    {LLAMA ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":0.5}}", "factor of the rope scaling is 0.5"},
    {LLAMA ",\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2}}", "\"dynamic\": expected default, linear"},
    {LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,"
           "\"high_freq_factor\":4,\"original_max_position_embeddings\":8192}}",
     "two increasing"},
    {LLAMA ",\"partial_rotary_factor\":0.5}", "whole heads"},
    {LLAMA ",\"value_head_prefix\":\"score\",\"mean\":0.5,\"std\":2}", "(x - 0.5) / 2"},
    {LLAMA ",\"hidden_act\":\"gelu\"}", "gelu"},
    {LLAMA ",\"attention_bias\":true}", "mlp_bias"},
    {"{\"model_type\":\"llama\",\"hidden_size\":6,\"intermediate_size\":5,\"num_hidden_layers\":2,"
     "\"num_attention_heads\":0,\"max_position_embeddings\":7,\"vocab_size\":11}",
     "num_attention_heads"},
    {"{\"model_type\":\"gpt2\",\"n_embd\":7,\"n_layer\":2,\"n_head\":2,\"n_positions\":7,\"vocab_size\":11}",
     "multiple"},
};

START_TEST(a_configuration_that_cannot_be_is_refused)
{
    struct config config;

    ck_assert_int_eq(read_config(&config, refused[_i].text), -1);
    ck_assert_msg(strstr(err.message, refused[_i].said) && strstr(err.message, CONFIG),
                  "\"%s\" without \"%s\"", err.message, refused[_i].said);
}
END_TEST

/* transformers refuses a cap of 30 where it wants 30.0. */
START_TEST(caps_are_written_as_reals)
{
    struct config config = tiny("gemma2"), got;
    char *text;

    config.final_cap = 30;
    config.query_scalar = 4;
    ck_assert_msg(config_write(&config, CONFIG, &err) == 0, "%s", err.message);
    text = file_read(CONFIG, NULL, &err);
    ck_assert_ptr_nonnull(strstr(text, "\"final_logit_softcapping\": 30.0"));
    ck_assert_ptr_nonnull(strstr(text, "\"attn_logit_softcapping\": null"));
    ck_assert_int_eq(config_read(&got, CONFIG, &err), 0);
    ck_assert_int_eq(memcmp(&config, &got, sizeof config), 0);
    free(text);
}
END_TEST

START_TEST(mixtures_run_but_have_no_name_to_be_saved_under)
{
    struct config config = tiny("llama");
    struct model *model;

    config.rms_norm = 0;
    model = make(&config, 1);
    ck_assert_ptr_nonnull(model->layers[0].norm1_bias);
    ck_assert_int_eq(model_save(model, FOLDER, 32, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "mixture"));
    model_free(model);
    ck_assert_int_eq(config_family(&config, "bert", &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "bert"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("model");
    TCase *tables = tcase_create("tables"), *files = tcase_create("files"),
          *configs = tcase_create("configs");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tables, sizes_of_known_models_come_out);
    tcase_add_test(tables, tables_count_what_the_configuration_says);
    tcase_add_test(tables, initial_weights_have_gpt2s_spread);
    tcase_add_test(tables, rotary_tables_hold_the_angles);
    tcase_add_test(tables, a_clone_has_the_same_trunk_and_a_new_score_head);
    tcase_add_test(tables, gradients_begin_at_zero);
    tcase_add_loop_test(files, what_is_saved_is_loaded, 0, 8);
    tcase_add_test(files, bf16_files_hold_rounded_numbers);
    tcase_add_test(files, gpt2_files_have_conv1d_layouts);
    tcase_add_test(files, llama_files_have_separate_projections);
    tcase_add_loop_test(files, files_of_hugging_face_are_read, 0, 4);
    tcase_add_test(files, a_missing_tensor_is_named);
    tcase_add_test(files, a_tensor_left_over_is_named);
    tcase_add_test(files, a_shape_that_does_not_fit_is_named);
    tcase_add_test(files, a_giant_configuration_takes_no_memory);
    tcase_add_test(files, names_of_base_models_and_spare_buffers_are_accepted);
    tcase_add_loop_test(configs, a_configuration_comes_back, 0, 4);
    tcase_add_test(configs, a_reward_model_says_where_its_score_is_read);
    tcase_add_test(configs, defaults_are_those_of_hugging_face);
    tcase_add_loop_test(configs, a_configuration_that_cannot_be_is_refused, 0,
                        (int)(sizeof refused / sizeof *refused));
    tcase_add_test(configs, caps_are_written_as_reals);
    tcase_add_test(configs, mixtures_run_but_have_no_name_to_be_saved_under);
    tcase_add_checked_fixture(files, prepare, clean);
    tcase_add_checked_fixture(configs, prepare, clean);
    suite_add_tcase(suite, tables);
    suite_add_tcase(suite, files);
    suite_add_tcase(suite, configs);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
