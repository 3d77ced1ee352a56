/* Models in shards, in GGUF files and from other trainers are the models they were. */
#include "models/model_file.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/parts.h"
#include "tests/tiny_config.h"

#define FOLDER "test_model_file.tmp"
#define FILE_1 FOLDER "/model-00001-of-00002.safetensors"
#define FILE_2 FOLDER "/model-00002-of-00002.safetensors"
#define INDEX  FOLDER "/model.safetensors.index.json"
#define GGUF   FOLDER "/model.gguf"
#define WHOLE  FOLDER "/model.safetensors"

static struct error err;

static void clean(void) {
    ck_assert_int_eq(folder_remove(FOLDER, &err), 0);
}

static void prepare(void) {
    clean();
    ck_assert_int_eq(folder_make(FOLDER, &err), 0);
}

/* Weights that are all different, vectors too. */
static struct model *make(const struct config *config) {
    struct model *model;

    ck_assert_msg(model_create(&model, config, kernels_find("cpu"), &err) == 0, "%s", err.message);
    model_init(model, 5);
    for (int t = 0; t < model->count; t++)
        for (int j = 0; j < model->tensors[t].rows; j++) model->tensors[t].data[j] += (float)(t + j);
    return model;
}

static struct model *load(const char *path) {
    struct model *model;

    ck_assert_msg(model_load(&model, path, kernels_find("cpu"), &err) == 0, "%s", err.message);
    return model;
}

static void check_refused(const char *path, const char *said) {
    struct model *model;

    ck_assert_int_eq(model_load(&model, path, kernels_find("cpu"), &err), -1);
    ck_assert_ptr_null(model);
    ck_assert_msg(strstr(err.message, said) != NULL, "\"%s\" without \"%s\"", err.message, said);
}

static void check_same(const struct model *a, const struct model *b) {
    ck_assert_int_eq(memcmp(&a->config, &b->config, sizeof a->config), 0);
    ck_assert_uint_eq(a->size, b->size);
    ck_assert_int_eq(memcmp(a->data, b->data, a->size * sizeof(float)), 0);
}

static void save(const struct model *model) {
    ck_assert_msg(model_save(model, FOLDER, 32, &err) == 0, "%s", err.message);
}

static void save_gguf(const struct model *model, const char *type) {
    struct gguf_out none = {0};

    ck_assert_msg(model_write_gguf(model, GGUF, number_type_find(type), &none, &err) == 0, "%s", err.message);
}

static const struct {
    const char *family;
    int biases, tied, heads;
    enum rope_scaling scaling;
} kinds[] = {{"gpt2", 1, 1, 0, ROPE_PLAIN},  {"gpt2", 1, 0, 1, ROPE_PLAIN},   {"llama", 0, 0, 0, ROPE_PLAIN},
             {"llama", 1, 1, 2, ROPE_PLAIN}, {"llama", 0, 1, 0, ROPE_LINEAR}, {"llama", 0, 1, 0, ROPE_LLAMA3},
             {"qwen2", 0, 1, 0, ROPE_PLAIN}};
#define KINDS (int)(sizeof kinds / sizeof *kinds)

static struct config kind(int i) {
    struct config config = tiny(kinds[i].family);

    config.biases = kinds[i].biases;
    config.tied = kinds[i].tied;
    config.score_heads = kinds[i].heads;
    config.rope_scaling = kinds[i].scaling;
    if (config.rotary) config.rope_theta = 1e6f;
    if (config.rope_scaling) config.rope_factor = 8;
    if (config.rope_scaling == ROPE_LLAMA3) {
        config.head_size = 16;
        config.rope_low = 1;
        config.rope_high = 4;
        config.rope_original = 8192;
    }
    return config;
}

START_TEST(a_model_comes_back_from_gguf)
{
    struct config config = kind(_i);
    struct model *model = make(&config), *got;

    save_gguf(model, "F32");
    got = load(GGUF);
    check_same(model, got);
    model_free(model);
    model_free(got);
}
END_TEST

START_TEST(a_model_comes_back_from_safetensors)
{
    struct config config = kind(_i);
    struct model *model, *got;

    config.begin_token = 3;
    config.pad_token = 0;
    model = make(&config);
    save(model);
    got = load(FOLDER);
    check_same(model, got);
    model_free(model);
    model_free(got);
}
END_TEST

START_TEST(a_mistral_is_a_llama_to_gguf)
{
    struct config config = tiny("mistral");
    struct model *model, *got;

    config.window = 7;
    model = make(&config);
    save(model);
    got = load(FOLDER);
    check_same(model, got);
    model_free(got);
    save_gguf(model, "F32");
    got = load(GGUF);
    ck_assert_int_eq(got->config.family, FAMILY_LLAMA);
    ck_assert_int_eq(memcmp(model->data, got->data, model->size * sizeof(float)), 0);
    model_free(model);
    model_free(got);
}
END_TEST

static float number_at(const struct weights *weights, const char *name, int64_t row, int64_t col) {
    const struct stored *tensor = weights_find(weights, name);
    float number;

    ck_assert_msg(tensor != NULL, "no tensor \"%s\"", name);
    memcpy(&number, tensor->bytes + 4 * (row * (tensor->rank > 1 ? tensor->shape[1] : 1) + col), 4);
    return number;
}

/* A head of 4 has pairs of rows (0, 2) and (1, 3); GGUF has them next to each other, in queries and keys. */
START_TEST(gguf_interleaves_the_rotary_halves_of_llama)
{
    struct config config = tiny("llama");
    struct model *model = make(&config);
    const float *qkv = model->layers[1].qkv->data;
    struct weights weights;

    save_gguf(model, "F32");
    ck_assert_int_eq(weights_open(&weights, GGUF, &err), 0);
    ck_assert_float_eq(number_at(&weights, "blk.1.attn_q.weight", 1, 3), qkv[2 * 6 + 3]);
    ck_assert_float_eq(number_at(&weights, "blk.1.attn_q.weight", 2, 3), qkv[1 * 6 + 3]);
    ck_assert_float_eq(number_at(&weights, "blk.1.attn_q.weight", 4 + 3, 0), qkv[(4 + 3) * 6]);
    ck_assert_float_eq(number_at(&weights, "blk.1.attn_k.weight", 1, 5), qkv[(8 + 2) * 6 + 5]);
    ck_assert_float_eq(number_at(&weights, "blk.1.attn_v.weight", 1, 5), qkv[(12 + 1) * 6 + 5]);
    weights_close(&weights);
    model_free(model);
}
END_TEST

START_TEST(gguf_leaves_the_halves_of_qwen2_together)
{
    struct config config = tiny("qwen2");
    struct model *model = make(&config);
    struct weights weights;

    save_gguf(model, "F32");
    ck_assert_int_eq(weights_open(&weights, GGUF, &err), 0);
    ck_assert_float_eq(number_at(&weights, "blk.0.attn_q.weight", 1, 3), model->layers[0].qkv->data[6 + 3]);
    ck_assert_float_eq(number_at(&weights, "blk.0.attn_k.bias", 1, 0),
                       model->layers[0].qkv_bias->data[8 + 1]);
    ck_assert_ptr_null(weights_find(&weights, "blk.0.attn_output.bias"));
    weights_close(&weights);
    model_free(model);
}
END_TEST

START_TEST(gguf_has_gpt2s_layers_as_linear_ones)
{
    struct config config = tiny("gpt2");
    struct model *model = make(&config);
    struct weights weights;

    save_gguf(model, "F32");
    ck_assert_int_eq(weights_open(&weights, GGUF, &err), 0);
    ck_assert_float_eq(number_at(&weights, "blk.1.attn_qkv.weight", 17, 4),
                       model->layers[1].qkv->data[17 * 6 + 4]);
    ck_assert_float_eq(number_at(&weights, "position_embd.weight", 6, 5), model->positions->data[41]);
    ck_assert_ptr_null(weights_find(&weights, "output.weight"));
    weights_close(&weights);
    model_free(model);
}
END_TEST

START_TEST(narrow_types_are_close_and_vectors_stay_floats)
{
    static const struct {
        const char *type;
        double error; /* of the largest number of a block */
    } cases[] = {{"F16", 1.0 / 2048},
                 {"BF16", 1.0 / 256},
                 {"Q8_0", 0.5 / 127 + 1.0 / 2048}}; /* half a step, and its size as a half */
    struct config config = tiny("llama");

    config.width = 32;
    config.ffn = 64;
    config.head_size = 32;
    for (int i = 0; i < 3; i++) {
        struct model *model = make(&config), *got;

        save_gguf(model, cases[i].type);
        got = load(GGUF);
        for (int t = 0; t < model->count; t++) {
            const struct tensor *tensor = &model->tensors[t];

            for (int j = 0; j < tensor->rows * tensor->cols; j++) {
                double gap = fabs(got->tensors[t].data[j] - tensor->data[j]), most = fabs(tensor->data[j]);

                for (int k = j / 32 * 32; tensor->rank == 2 && k < j / 32 * 32 + 32; k++)
                    most = fmax(most, fabs(tensor->data[k]));
                ck_assert_double_le(gap, tensor->rank == 1 ? 0 : most * cases[i].error);
            }
        }
        model_free(model);
        model_free(got);
    }
}
END_TEST

START_TEST(rows_that_are_no_blocks_are_halves)
{
    struct config config = tiny("llama");
    struct model *model = make(&config);
    struct weights weights;

    save_gguf(model, "Q8_0");
    ck_assert_int_eq(weights_open(&weights, GGUF, &err), 0);
    ck_assert_str_eq(weights_find(&weights, "blk.0.ffn_up.weight")->type->name, "F16");
    ck_assert_str_eq(weights_find(&weights, "blk.0.ffn_norm.weight")->type->name, "F32");
    weights_close(&weights);
    model->layers[0].up->data[7] = INFINITY;
    config.width = 32;
    model_free(model);
    model = make(&config);
    model->layers[0].proj->data[1] = model->layers[0].qkv->data[7] = INFINITY;
    ck_assert_int_eq(model_write_gguf(model, GGUF, number_type_find("Q8_0"), &(struct gguf_out){0}, &err),
                     -1);
    ck_assert_ptr_nonnull(strstr(err.message, "\"blk.0.attn_q.weight\" holds inf"));
    model_free(model);
}
END_TEST

START_TEST(what_gguf_cannot_say_is_not_written)
{
    static const struct {
        float attention_cap, final_cap, query_scalar;
        const char *said;
    } cases[] = {{0, 30, 4, "does not cap both"}, {50, 0, 4, "does not cap both"}, {50, 30, 9, "by sqrt(9)"}};
    struct config config = tiny("gemma2");
    struct gguf_out none = {0};

    for (int i = 0; i < 3; i++) {
        struct model *model;

        config.attention_cap = cases[i].attention_cap;
        config.final_cap = cases[i].final_cap;
        config.query_scalar = cases[i].query_scalar;
        model = model_outline(&config, kernels_find("cpu"));
        ck_assert_int_eq(model_write_gguf(model, GGUF, number_type_find("F32"), &none, &err), -1);
        ck_assert_msg(strstr(err.message, cases[i].said) != NULL, "\"%s\" without \"%s\"", err.message,
                      cases[i].said);
        model_free(model);
    }
    ck_assert(!file_exists(GGUF));
}
END_TEST

/* Hugging Face keeps Gemma's norms less 1, GGUF as they are. */
START_TEST(norms_of_gemma_are_counted_from_1)
{
    struct config config = tiny("gemma");
    struct model *model = make(&config), *got;
    struct weights weights;

    model->layers[1].norm2->data[3] = 1.25f;
    save_gguf(model, "F32");
    save(model);
    ck_assert_int_eq(weights_open(&weights, FOLDER, &err), 0);
    ck_assert_float_eq(number_at(&weights, "model.layers.1.post_attention_layernorm.weight", 3, 0), 0.25f);
    weights_close(&weights);
    ck_assert_int_eq(weights_open(&weights, GGUF, &err), 0);
    ck_assert_float_eq(number_at(&weights, "blk.1.ffn_norm.weight", 3, 0), 1.25f);
    weights_close(&weights);
    got = load(GGUF);
    check_same(model, got);
    model_free(got);
    got = load(FOLDER);
    ck_assert_float_eq(got->layers[1].norm2->data[3], 1.25f);
    model_free(model);
    model_free(got);
}
END_TEST

/* Writes the tensors of the saved file [from, to) anew, under names that begin with `with` in place of
 * `begin`. */
static void rewrite(const char *path, int from, int to, const char *begin, const char *with) {
    struct safetensors file;
    struct safetensor_out items[64];
    int count = 0;

    ck_assert_int_eq(safetensors_open(&file, WHOLE, &err), 0);
    for (int i = from; i < file.count && i < to; i++) {
        const struct stored *tensor = &file.items[i];
        int renamed = begin && strncmp(tensor->name, begin, strlen(begin)) == 0;
        float *data = xmalloc(tensor->length + 1);

        memcpy(data, tensor->bytes, tensor->length);
        items[count] = (struct safetensor_out){
            .name = renamed ? xprintf("%s%s", with, tensor->name + strlen(begin)) : xstrdup(tensor->name),
            .rank = tensor->rank,
            .data = data,
            .type = tensor->type};
        memcpy(items[count++].shape, tensor->shape, sizeof tensor->shape);
    }
    ck_assert_int_eq(safetensors_write(path, items, count, NULL, &err), 0);
    for (int i = 0; i < count; i++) {
        free((char *)items[i].name);
        free((float *)items[i].data);
    }
    safetensors_close(&file);
}

/* The first `first` tensors in one shard, the others in another, and the index of it. */
static void split(int first) {
    struct node *index = node_new(NODE_MAP), *map = node_add(index, "weight_map", NODE_MAP);
    struct safetensors file;

    ck_assert_int_eq(safetensors_open(&file, WHOLE, &err), 0);
    for (int i = 0; i < file.count; i++)
        node_add_text(map, file.items[i].name,
                      i < first ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors");
    safetensors_close(&file);
    rewrite(FILE_1, 0, first, NULL, NULL);
    rewrite(FILE_2, first, 99, NULL, NULL);
    ck_assert_int_eq(document_write(INDEX, index, &err), 0);
    ck_assert_int_eq(folder_remove(WHOLE, &err), 0);
    node_free(index);
}

START_TEST(shards_are_one_model)
{
    struct config config = tiny("llama");
    struct model *model = make(&config), *got;

    save(model);
    split(7);
    got = load(FOLDER);
    check_same(model, got);
    model_free(model);
    model_free(got);
}
END_TEST

static const struct {
    const char *index, *said;
} indexes[] = {
    {"{}", "\"weight_map\" is missing"},
    {"[]", "\"weight_map\" is missing"},
    {"{\"weight_map\":[]}", "\"weight_map\" is missing"},
    {"{\"weight_map\":{}}", "\"weight_map\" is missing"},
    {"{\"weight_map\":{\"a\":7}}", "the file of tensor \"a\" is not a name"},
    {"{\"weight_map\":{\"a\":\"../model.safetensors\"}}", "not a file of this folder"},
    {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "not a file of this folder"},
    {"{\"weight_map\":{\"a\":\"..\"}}", "not a file of this folder"},
    {"{\"weight_map\":{\"a\":\"\"}}", "not a file of this folder"},
    {"{\"weight_map\":{\"a\":\"missing.safetensors\"}}", "missing.safetensors"},
    {"{\"weight_map\":{\"a\":\"one.safetensors\"}}", "tensor \"a\" is not in one.safetensors"},
    {"{\"weight_map\":{\"x\":\"one.safetensors\"}}", "tensor \"y\" of a shard is not in the index"},
    {"{\"weight_map\":{\"x\":\"one.safetensors\",\"y\":\"two.safetensors\"}}", "\"x\" is in two shards"},
    {"{\"weight_map\":{\"x\":\"one.safetensors\",\"y\":\"one.safetensors\",\"x\":\"one.safetensors\"}}", "x"},
    {"{\"weight_map\":", "JSON"},
};

START_TEST(an_index_that_lies_is_refused)
{
    const float numbers[] = {1};
    const struct number_type *f32 = number_type_find("F32");
    const struct safetensor_out items[] = {{.name = "x", .data = numbers, .type = f32},
                                           {.name = "y", .data = numbers, .type = f32}};
    struct weights weights;

    ck_assert_int_eq(safetensors_write(FOLDER "/one.safetensors", items, 2, NULL, &err), 0);
    ck_assert_int_eq(safetensors_write(FOLDER "/two.safetensors", items, 2, NULL, &err), 0);
    ck_assert_int_eq(file_write(INDEX, indexes[_i].index, strlen(indexes[_i].index), &err), 0);
    ck_assert_int_eq(weights_open(&weights, FOLDER, &err), -1);
    ck_assert_msg(strstr(err.message, indexes[_i].said) != NULL, "\"%s\" without \"%s\"", err.message,
                  indexes[_i].said);
    ck_assert_ptr_null(weights.items);
}
END_TEST

static const struct {
    const char *family, *begin, *with;
    int heads_are_said; /* by config.json */
} trainers[] = {
    {"llama", "score.", "value_head.", 0},     /* OpenRLHF */
    {"llama", "score.", "v_head.summary.", 0}, /* TRL's models with a value head */
    {"llama", "score.", "score_head.", 1},     /* safe-rlhf */
    {"gpt2", "score.", "v_head.", 0},          /* DeepSpeed-Chat */
    {"gpt2", "transformer.", "rwtransformer.", 1},
    {"llama", "model.", "rwtransformer.", 1},
    {"llama", "model.", "pretrained_model.model.", 1},
    {"llama", "model.", "", 1}, /* base models */
};

START_TEST(files_of_other_trainers_are_read)
{
    struct config config = tiny(trainers[_i].family);
    struct model *model, *got;

    config.score_heads = 1;
    config.tied = 1;
    model = make(&config);
    save(model);
    rewrite(WHOLE, 0, 99, trainers[_i].begin, trainers[_i].with);
    config.score_heads = trainers[_i].heads_are_said;
    ck_assert_int_eq(config_write(&config, FOLDER "/config.json", &err), 0);
    got = load(FOLDER);
    check_same(model, got);
    model_free(model);
    model_free(got);
}
END_TEST

/* Hugging Face's …ForSequenceClassification has no head for words, whatever config.json says of it. */
START_TEST(a_reward_model_needs_no_head_for_words)
{
    struct config config = tiny("llama");
    struct model *model, *got;

    config.score_heads = 1;
    config.tied = 1;
    model = make(&config);
    save(model);
    config.tied = 0;
    ck_assert_int_eq(config_write(&config, FOLDER "/config.json", &err), 0);
    got = load(FOLDER);
    check_same(model, got);
    model_free(model);
    model_free(got);
}
END_TEST

static void add_offset(float offset) {
    struct safetensor_out items[2] = {
        {.name = "v_head.summary.weight", .rank = 2, .shape = {1, 6}, .type = number_type_find("F32")},
        {.name = "v_head.summary.bias", .rank = 1, .shape = {1}, .type = number_type_find("F32")}};
    const float weight[6] = {1}, bias[1] = {offset};
    struct node *index = node_new(NODE_MAP), *map = node_add(index, "weight_map", NODE_MAP);
    struct safetensors file;

    items[0].data = weight;
    items[1].data = bias;
    ck_assert_int_eq(safetensors_write(FOLDER "/head.safetensors", items, 2, NULL, &err), 0);
    ck_assert_int_eq(safetensors_open(&file, WHOLE, &err), 0);
    rewrite(FOLDER "/trunk.safetensors", 0, 99, NULL, NULL);
    for (int i = 0; i < file.count; i++) node_add_text(map, file.items[i].name, "trunk.safetensors");
    for (int i = 0; i < 2; i++) node_add_text(map, items[i].name, "head.safetensors");
    safetensors_close(&file);
    ck_assert_int_eq(document_write(INDEX, index, &err), 0);
    ck_assert_int_eq(folder_remove(WHOLE, &err), 0);
    node_free(index);
}

START_TEST(a_head_with_an_offset_is_refused_unless_it_is_0)
{
    struct config config = tiny("llama");
    struct model *model = make(&config), *got;

    save(model);
    add_offset(_i ? 0.5f : 0);
    if (_i) {
        check_refused(FOLDER, "\"v_head.summary.bias\" adds 0.5 to every score");
    } else {
        got = load(FOLDER);
        ck_assert_int_eq(got->config.score_heads, 1);
        ck_assert_float_eq(got->score->data[0], 1);
        model_free(got);
    }
    model_free(model);
}
END_TEST

START_TEST(a_missing_head_is_drawn_only_where_that_is_asked_for)
{
    struct config config = tiny("llama");
    struct model *model = make(&config), *got;
    struct weights weights;

    save(model);
    if (_i) {
        config.score_heads = 1;
        ck_assert_int_eq(config_write(&config, FOLDER "/config.json", &err), 0);
        check_refused(FOLDER, "\"score.weight\" is missing: pyrite convert --init-head");
    }
    ck_assert_int_eq(weights_open(&weights, FOLDER, &err), 0);
    ck_assert_msg(model_read(&got, FOLDER, &weights, kernels_find("cpu"), WEIGHTS_FULL, 1, &err) == 0, "%s",
                  err.message);
    ck_assert_int_eq(got->config.score_heads, 1);
    for (int i = 0; i < 6; i++)
        ck_assert(got->score->data[i] != 0 && fabsf(got->score->data[i]) < 5 / sqrtf(7)); /* N(0, 1/7) */
    ck_assert_int_eq(memcmp(model->layers[1].down->data, got->layers[1].down->data, 30 * sizeof(float)), 0);
    weights_close(&weights);
    model_free(model);
    model_free(got);
}
END_TEST

/* A GGUF file of these keys and no tensors but embeddings. */
static void write_keys(const char *architecture, void (*add)(struct gguf_out *keys)) {
    const struct number_type *f32 = number_type_find("F32");
    const float numbers[66] = {0};
    struct gguf_out keys = {0};
    struct output to;

    gguf_add_text(&keys, "general.architecture", architecture);
    add(&keys);
    gguf_add_tensor(&keys, "token_embd.weight", (int64_t[]){11, 6}, 2, f32);
    ck_assert_int_eq(output_open(&to, GGUF, &err), 0);
    gguf_write_header(&keys, to.file);
    gguf_write_tensor(to.file, f32, numbers, 66);
    ck_assert_int_eq(output_close(&to, &err), 0);
    gguf_free(&keys);
}

static void add_sizes(struct gguf_out *keys) {
    gguf_add_count(keys, "llama.block_count", 2);
    gguf_add_count(keys, "llama.context_length", 7);
    gguf_add_count(keys, "llama.embedding_length", 6);
    gguf_add_count(keys, "llama.feed_forward_length", 5);
    gguf_add_count(keys, "llama.attention.head_count", 3);
    gguf_add_real(keys, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
}

static void add_nothing(struct gguf_out *keys) {
    (void)keys;
}

static void add_adapter(struct gguf_out *keys) {
    gguf_add_text(keys, "general.type", "adapter");
}

static void add_split(struct gguf_out *keys) {
    gguf_add_count(keys, "split.count", 3);
}

static void add_experts(struct gguf_out *keys) {
    gguf_add_count(keys, "llama.expert_count", 8);
    add_sizes(keys);
}

static void add_yarn(struct gguf_out *keys) {
    add_sizes(keys);
    gguf_add_text(keys, "llama.rope.scaling.type", "yarn");
}

static void add_half_rotated(struct gguf_out *keys) {
    add_sizes(keys);
    gguf_add_count(keys, "llama.rope.dimension_count", 1);
}

static void add_narrow_values(struct gguf_out *keys) {
    add_sizes(keys);
    gguf_add_count(keys, "llama.attention.value_length", 1);
}

static void add_text_count(struct gguf_out *keys) {
    gguf_add_text(keys, "llama.block_count", "2");
}

static void add_giant_count(struct gguf_out *keys) {
    gguf_add_count(keys, "llama.block_count", UINT32_MAX);
}

static void add_no_heads(struct gguf_out *keys) {
    gguf_add_count(keys, "llama.block_count", 2);
    gguf_add_count(keys, "llama.context_length", 7);
    gguf_add_count(keys, "llama.embedding_length", 6);
    gguf_add_count(keys, "llama.feed_forward_length", 5);
    gguf_add_count(keys, "llama.attention.head_count", 0);
}

static void add_mean(struct gguf_out *keys) {
    add_sizes(keys);
    gguf_add_count(keys, "pyrite.score_heads", 1);
    gguf_add_text(keys, "pyrite.pooling", "mean");
}

static const struct {
    const char *architecture;
    void (*add)(struct gguf_out *keys);
    const char *said;
} descriptions[] = {
    {"bert", add_nothing, "general.architecture is \"bert\""},
    {"", add_nothing, "general.architecture is \"\""},
    {"llama", add_nothing, "llama.block_count is missing"},
    {"llama", add_text_count, "llama.block_count is not a number"},
    {"llama", add_giant_count, "llama.block_count is 4.29497e+09"},
    {"llama", add_no_heads, "llama.attention.head_count is 0"},
    {"llama", add_adapter, "no model but a adapter"},
    {"llama", add_split, "one of 3 parts"},
    {"llama", add_experts, "8 experts"},
    {"llama", add_yarn, "\"yarn\": expected none or linear"},
    {"llama", add_half_rotated, "is 1 of 2: only whole heads"},
    {"llama", add_narrow_values, "keys of 2 and values of 1"},
    {"llama", add_mean, "pyrite.pooling is \"mean\": only \"last\""},
    {"llama", add_sizes, "\"blk.0.attn_norm.weight\" is missing"},
    {"gemma", add_nothing, "gemma.block_count is missing"},
};

START_TEST(a_gguf_file_that_cannot_be_is_refused)
{
    write_keys(descriptions[_i].architecture, descriptions[_i].add);
    check_refused(GGUF, descriptions[_i].said);
    ck_assert_ptr_nonnull(strstr(err.message, GGUF));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("model_file");
    TCase *files = tcase_create("files");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(files, a_model_comes_back_from_gguf, 0, KINDS);
    tcase_add_loop_test(files, a_model_comes_back_from_safetensors, 0, KINDS);
    tcase_add_test(files, a_mistral_is_a_llama_to_gguf);
    tcase_add_test(files, gguf_interleaves_the_rotary_halves_of_llama);
    tcase_add_test(files, gguf_leaves_the_halves_of_qwen2_together);
    tcase_add_test(files, gguf_has_gpt2s_layers_as_linear_ones);
    tcase_add_test(files, narrow_types_are_close_and_vectors_stay_floats);
    tcase_add_test(files, rows_that_are_no_blocks_are_halves);
    tcase_add_test(files, what_gguf_cannot_say_is_not_written);
    tcase_add_test(files, norms_of_gemma_are_counted_from_1);
    tcase_add_test(files, shards_are_one_model);
    tcase_add_loop_test(files, an_index_that_lies_is_refused, 0, (int)(sizeof indexes / sizeof *indexes));
    tcase_add_loop_test(files, files_of_other_trainers_are_read, 0,
                        (int)(sizeof trainers / sizeof *trainers));
    tcase_add_test(files, a_reward_model_needs_no_head_for_words);
    tcase_add_loop_test(files, a_head_with_an_offset_is_refused_unless_it_is_0, 0, 2);
    tcase_add_loop_test(files, a_missing_head_is_drawn_only_where_that_is_asked_for, 0, 2);
    tcase_add_loop_test(files, a_gguf_file_that_cannot_be_is_refused, 0,
                        (int)(sizeof descriptions / sizeof *descriptions));
    tcase_add_checked_fixture(files, prepare, clean);
    suite_add_tcase(suite, files);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
