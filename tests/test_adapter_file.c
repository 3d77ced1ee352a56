/* Adapters in PEFT's format: what PEFT saved computes here what it computed there, what is written is read
 * back to the bit, and what cannot be used is refused by name. */
#include "models/adapter_file.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "models/adapter_config.h"
#include "models/folder.h"
#include "models/transformer.h"
#include "tests/stored_numbers.h"
#include "tests/targets.h"
#include "tests/tiny_config.h"

#define PLACE   "test_adapter_file.tmp"
#define BASE    PLACE "/base"
#define FOLDER  PLACE "/adapter"
#define SETTING FOLDER "/" ADAPTER_CONFIG
#define NUMBERS FOLDER "/adapter_model.safetensors"

static struct error err;

static const struct kernels *cpu(void) {
    return kernels_find("cpu");
}

static void clean(void) {
    ck_assert_int_eq(folder_remove(PLACE, &err), 0);
}

static void prepare(void) {
    clean();
    ck_assert_int_eq(folder_make(FOLDER, &err), 0);
}

/* The tokens' log-probabilities at every position, or the score at the last. */
static void check_outputs(struct model *model, const int *tokens, int total, const float *expected,
                          int scored) {
    int vocab = model->config.vocab, last = total - 1;
    struct trunk *trunk;
    struct batch batch = {0};
    float got[64];

    ck_assert_int_eq(trunk_create(&trunk, model, 0, &err), 0);
    batch_add(&batch, tokens, total);
    ck_assert_msg(trunk_forward(trunk, &batch, 0, &err) == 0, "%s", err.message);
    if (scored) head_score(trunk, &last, 1, got);
    for (int i = 0; i < (scored ? model->config.score_heads : total * vocab); i++) {
        int position = i / vocab, target = i % vocab;

        if (!scored) head_logprob(trunk, &position, &target, 1, &SAMPLING_PLAIN, got, NULL, NULL);
        ck_assert_float_eq_tol(got[scored ? i : 0], expected[i], 1e-5f);
    }
    batch_free(&batch);
    trunk_free(trunk);
}

static const char *const saved[] = {"gpt2", "llama", "qwen2", "gemma2", "scored"};

static char *fixture(const char *name) {
    const char *root = getenv("srcdir");

    return xprintf("%s/tests/fixtures/peft/%s", root ? root : ".", name);
}

START_TEST(what_peft_saved_computes_what_it_computed)
{
    int scored = strcmp(saved[_i], "scored") == 0, total, count, tokens[64];
    char *folder = fixture(saved[_i]), *path = path_join(folder, "expected.safetensors");
    struct safetensors expected;
    struct model *model;
    float *ids, *outputs;

    ck_assert_msg(safetensors_open(&expected, path, &err) == 0, "%s", err.message);
    ids = floats(&expected, "tokens", &total);
    outputs = floats(&expected, "outputs", &count);
    for (int i = 0; i < total; i++) tokens[i] = (int)ids[i];
    ck_assert_msg(model_load(&model, folder, cpu(), &err) == 0, "%s", err.message);
    ck_assert_int_eq(model->adapter_count, 0);
    ck_assert_int_eq(count, scored ? model->config.score_heads : total * model->config.vocab);
    check_outputs(model, tokens, total, outputs, scored);
    model_free(model);
    safetensors_close(&expected);
    free(outputs);
    free(ids);
    free(path);
    free(folder);
}
END_TEST

static struct model *make_base(const char *family, int heads) {
    struct config config = tiny(family);
    struct model *model;

    config.score_heads = heads;
    ck_assert_msg(model_create(&model, &config, cpu(), &err) == 0, "%s", err.message);
    model_init(model, 5);
    ck_assert_msg(model_save(model, BASE, 32, &err) == 0, "%s", err.message);
    return model;
}

static struct adapter_options options_of(const char *targets, const struct config *config) {
    struct adapter_options options = {.rank = 2, .alpha = 3, .dropout = 0.5, .rslora = 1};

    ck_assert_msg(adapter_targets(&options.targets, targets, config, &err) == 0, "%s", err.message);
    return options;
}

/* Adapters whose B is not 0, and a head that differs by `seed`. */
static struct adapter_options adapt(struct model *model, const char *targets, uint64_t seed) {
    struct adapter_options options = options_of(targets, &model->config);

    ck_assert_msg(model_adapt(model, &options, seed, &err) == 0, "%s", err.message);
    for (int i = 0; i < model->adapter_count; i++) {
        const struct adapter *adapter = &model->adapters[i];

        for (int p = 0; p < adapter->part_count; p++)
            for (int r = 0; r < adapter->parts[p].rows; r++)
                for (int k = 0; k < adapter->rank; k++)
                    adapter->b->data[(adapter->parts[p].row + r) * adapter->b->cols +
                                     adapter->parts[p].rank_from + k] =
                        (float)(seed + 1) / (float)(p + r + k + 1);
    }
    if (model->score) model_init_score(model, seed);
    return options;
}

static void store(const struct model *model, const struct adapter_options *options, const char *folder,
                  const char *type) {
    ck_assert_msg(
        adapter_store(model, options, BASE, model->score != NULL, folder, number_type_find(type), &err) == 0,
        "%s", err.message);
}

static void check_same_learned(const struct model *a, const struct model *b) {
    ck_assert_uint_eq(a->learned_size, b->learned_size);
    ck_assert_int_eq(a->adapter_count, b->adapter_count);
    for (int t = a->count; t < a->count + a->added; t++) {
        size_t bytes = (size_t)a->tensors[t].rows * (size_t)a->tensors[t].cols * sizeof(float);

        ck_assert_int_eq(memcmp(a->tensors[t].data, b->tensors[t].data, bytes), 0);
    }
    if (a->score)
        ck_assert_int_eq(memcmp(a->score->data, b->score->data, (size_t)a->score->rows * 6 * sizeof(float)),
                         0);
}

static void check_same_base(const struct model *a, const struct model *b) {
    for (int t = 0; t < a->count; t++)
        if (&a->tensors[t] != a->score)
            ck_assert_int_eq(memcmp(a->tensors[t].data, b->tensors[t].data,
                                    (size_t)a->tensors[t].rows * (size_t)a->tensors[t].cols * sizeof(float)),
                             0);
}

static const struct {
    const char *family, *targets;
    int heads; /* of the adapter */
    int below; /* of the base */
} kinds[] = {{"llama", "all-linear", 0, 0}, {"llama", "v_proj", 1, 0},
             {"gpt2", "all-linear", 0, 0},  {"gpt2", "attn.c_proj", 2, 2},
             {"gemma", "up_proj", 3, 0},    {"qwen2", "q_proj, v_proj, gate_proj", 1, 1}};

static struct model *open_kind(int kind) {
    struct model *base = make_base(kinds[kind].family, kinds[kind].below), *model;

    ck_assert_int_eq(model_clone(&model, base, kinds[kind].heads, 0, 1, &err), 0);
    model_free(base);
    return model;
}

START_TEST(what_is_written_is_read_back_to_the_bit)
{
    struct model *model = open_kind(_i), *got;
    struct adapter_options options = adapt(model, kinds[_i].targets, 3), read;

    store(model, &options, FOLDER, "F32");
    ck_assert_msg(adapter_load(&got, &read, FOLDER, cpu(), &err) == 0, "%s", err.message);
    ck_assert_int_eq(read.rank, 2);
    ck_assert_double_eq(read.alpha, 3);
    ck_assert_double_eq(read.dropout, 0.5);
    ck_assert_int_eq(read.rslora, 1);
    ck_assert_uint_eq(read.targets, options.targets);
    check_same_learned(model, got);
    check_same_base(model, got);
    model_free(got);
    model_free(model);
}
END_TEST

START_TEST(a_model_is_its_adapter_merged)
{
    struct model *model = open_kind(_i), *got;
    struct adapter_options options = adapt(model, kinds[_i].targets, 3);
    struct config config;

    store(model, &options, FOLDER, "F32");
    ck_assert_int_eq(folder_config(&config, FOLDER, &err), 1);
    ck_assert_int_eq(config.score_heads, kinds[_i].heads);
    ck_assert_msg(model_load(&got, FOLDER, cpu(), &err) == 0, "%s", err.message);
    ck_assert_int_eq(model_merge(model, &err), 0);
    ck_assert_int_eq(memcmp(&got->config, &model->config, sizeof model->config), 0);
    ck_assert_int_eq(memcmp(got->data, model->data, model->size * sizeof(float)), 0);
    model_free(got);
    model_free(model);
}
END_TEST

/* An adapter on an adapter is one on the two below it merged, whose head it brings. */
START_TEST(an_adapter_may_stand_on_another)
{
    struct model *model = make_base("llama", 0), *scored, *got;
    struct adapter_options options = adapt(model, "q_proj, down_proj", 3);

    store(model, &options, PLACE "/below", "F32");
    ck_assert_int_eq(model_merge(model, &err), 0);
    ck_assert_int_eq(model_clone(&scored, model, 1, 0, 1, &err), 0);
    options = adapt(scored, "k_proj, up_proj", 4);
    ck_assert_msg(adapter_store(scored, &options, PLACE "/below", 1, FOLDER, number_type_find("F32"), &err) ==
                      0,
                  "%s", err.message);
    ck_assert_msg(adapter_load(&got, NULL, FOLDER, cpu(), &err) == 0, "%s", err.message);
    check_same_learned(scored, got);
    check_same_base(scored, got);
    model_free(got);
    model_free(scored);
    model_free(model);
}
END_TEST

START_TEST(one_base_serves_several_adapters)
{
    struct model *model = open_kind(1), *second = open_kind(1), *got;
    struct adapter_options options = adapt(model, "v_proj", 3), others;

    adapt(second, "v_proj", 8);
    store(model, &options, FOLDER, "F32");
    store(second, &options, PLACE "/second", "F32");
    ck_assert_msg(adapter_load(&got, &others, FOLDER, cpu(), &err) == 0, "%s", err.message);
    ck_assert_msg(adapter_exchange(got, &others, PLACE "/second", &err) == 0, "%s", err.message);
    check_same_learned(second, got);
    ck_assert_msg(adapter_exchange(got, &others, FOLDER, &err) == 0, "%s", err.message);
    check_same_learned(model, got);
    others.alpha = 4;
    ck_assert_int_eq(adapter_exchange(got, &others, FOLDER, &err), -1);
    ck_assert_ptr_nonnull(
        strstr(err.message, FOLDER ": the adapter is not of the base, rank, alpha and targets"));
    model_free(got);
    model_free(second);
    model_free(model);
}
END_TEST

/* 1/3 is no bf16: 0x3eab is the nearest. */
START_TEST(numbers_may_be_of_16_bits)
{
    struct model *model = make_base("llama", 0), *got;
    struct adapter_options options = adapt(model, "o_proj", 0);

    ck_assert_float_eq(model->adapters[0].b->data[3], 1.0f / 3);
    store(model, &options, FOLDER, "BF16");
    ck_assert_int_eq(adapter_load(&got, NULL, FOLDER, cpu(), &err), 0);
    ck_assert_float_eq(got->adapters[0].b->data[3], 0x1.56p-2f);
    model_free(got);
    model_free(model);
}
END_TEST

/* PEFT matches the ends of paths: "c_proj" would be both of GPT-2's, "q_proj" is what other programs know. */
START_TEST(targets_are_named_as_peft_matches_them)
{
    static const struct {
        const char *family, *targets, *written;
    } cases[] = {{"llama", "down_proj, q_proj", "[\"q_proj\",\"down_proj\"]"},
                 {"gpt2", "attn.c_proj", "[\"attn.c_proj\"]"},
                 {"gpt2", "c_proj", "[\"c_proj\"]"},
                 {"gpt2", "all-linear", "[\"c_attn\",\"c_proj\",\"c_fc\"]"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config config = tiny(cases[i].family);
        struct adapter_options options = options_of(cases[i].targets, &config);
        struct node *map;
        char *json;

        ck_assert_int_eq(adapter_config_write(SETTING, &options, &config, 0, "../base", &err), 0);
        map = document_read(SETTING, &err);
        json = node_json(node_get(map, "target_modules"), 0);
        ck_assert_str_eq(json, cases[i].written);
        ck_assert_int_eq((int)node_number(map, "fan_in_fan_out", -1), config.family == FAMILY_GPT2);
        ck_assert_str_eq(node_text(map, "task_type", ""), "CAUSAL_LM");
        free(json);
        node_free(map);
    }
}
END_TEST

static void write_text(const char *path, const char *text) {
    ck_assert_int_eq(file_write(path, text, strlen(text), &err), 0);
}

static void check_refused(const char *said) {
    struct model *model;
    struct config config;

    ck_assert_int_eq(folder_config(&config, FOLDER, &err), -1);
    ck_assert_int_eq(model_load(&model, FOLDER, cpu(), &err), -1);
    ck_assert_ptr_null(model);
    ck_assert_msg(strstr(err.message, said) != NULL, "\"%s\" without \"%s\"", err.message, said);
    ck_assert_msg(strstr(err.message, FOLDER) != NULL, "\"%s\" names no file", err.message);
}

/* Settings of an adapter that is sound but for these. */
static void write_settings(const char *settings) {
    char *text =
        xprintf("{\"peft_type\":\"LORA\",\"r\":2,\"base_model_name_or_path\":\"../base\"%s}", settings);

    write_text(SETTING, text);
    free(text);
}

#define TARGET ",\"target_modules\":[\"v_proj\"]"

static const struct {
    const char *settings, *said;
} settings[] = {
    {"", "\"target_modules\" is missing"},
    {",\"target_modules\":[]", "\"target_modules\" is missing"},
    {",\"target_modules\":[1]", "no list of modules"},
    {",\"target_modules\":{\"a\":1}", "no list of modules"},
    {",\"target_modules\":[\"query\"]", "\"query\" is no module of a llama model"},
    {",\"target_modules\":[\"lm_head\"]", "\"lm_head\" is no module"},
    {",\"target_modules\":[\"model.layers.0.self_attn.v_proj\"]", "self_attn.v_proj in 1 of 2 layers"},
    {",\"target_modules\":\".*v_proj\"", "no tensor of the base's first layer"},
    {TARGET ",\"use_dora\":true", "\"use_dora\" is set, which may change what the adapter computes"},
    {TARGET ",\"rank_pattern\":{\"v_proj\":4}", "\"rank_pattern\" is set"},
    {TARGET ",\"alpha_pattern\":{\"v_proj\":4}", "\"alpha_pattern\" is set"},
    {TARGET ",\"layers_to_transform\":[1]", "\"layers_to_transform\" is set"},
    {TARGET ",\"layer_replication\":[[0,2]]", "\"layer_replication\" is set"},
    {TARGET ",\"exclude_modules\":\"v_proj\"", "\"exclude_modules\" is set"},
    {TARGET ",\"lora_bias\":true", "\"lora_bias\" is set"},
    {TARGET ",\"of_next_year\":0.5", "\"of_next_year\" is set"},
    {TARGET ",\"bias\":\"all\"", "\"bias\" is all: only \"none\""},
    {TARGET ",\"init_lora_weights\":\"pissa\"", "\"pissa\", which changes the base too"},
    {TARGET ",\"modules_to_save\":[\"embed_tokens\"]", "names \"embed_tokens\": only a score head"},
    {TARGET ",\"task_type\":\"SEQ_2_SEQ_LM\"", "\"SEQ_2_SEQ_LM\": only CAUSAL_LM and SEQ_CLS"},
    {TARGET ",\"task_type\":\"SEQ_CLS\"", "score.weight\" is missing, and the base has no score head"},
    {TARGET ",\"lora_alpha\":0", "\"lora_alpha\" must be a number"},
    {TARGET ",\"lora_alpha\":\"two\"", "\"lora_alpha\" must be a number"},
    {TARGET ",\"lora_dropout\":1", "\"lora_dropout\" must be a number"},
};

START_TEST(settings_that_are_not_supported_are_refused)
{
    struct model *model = make_base("llama", 0);
    struct safetensor_out nothing = {.name = "x", .rank = 1, .shape = {0}, .data = (float[]){0}};

    nothing.type = number_type_find("F32");
    ck_assert_int_eq(safetensors_write(NUMBERS, &nothing, 1, NULL, &err), 0);
    write_settings(settings[_i].settings);
    check_refused(settings[_i].said);
    model_free(model);
}
END_TEST

static const struct {
    const char *text, *said;
} files[] = {
    {"[]", "a map of settings"},
    {"{}", "\"peft_type\" is missing"},
    {"{\"peft_type\":\"IA3\"}", "\"peft_type\" is IA3: only \"LORA\""},
    {"{\"peft_type\":3}", "\"peft_type\" is 3: only \"LORA\""},
    {"{\"peft_type\":\"LORA\",\"r\":0}", "\"r\" must be a number from 1 to 65536"},
    {"{\"peft_type\":\"LORA\",\"r\":9223372036854775808}", "\"r\" must be a number"},
    {"{\"peft_type\":\"LORA\",\"r\":1.5}", "\"r\" is 1.5: expected a whole number"},
    {"{\"peft_type\":\"LORA\",\"target_modules\":[\"v_proj\"]}", "base_model_name_or_path names no model"},
    {"{\"peft_type\":\"LORA\",\"target_modules\":[\"v_proj\"],\"base_model_name_or_path\":\"org/model\"}",
     "the base \"org/model\" is neither at that path from"},
    {"{\"peft_type\":\"LORA\",\"target_modules\":[\"v_proj\"],\"base_model_name_or_path\":\".\"}",
     "stands on more than 8 adapters"}};

START_TEST(a_file_that_describes_no_adapter_is_refused)
{
    write_text(SETTING, files[_i].text);
    check_refused(files[_i].said);
}
END_TEST

/* An adapter's tensors with one left out, renamed, reshaped or added. */
struct change {
    const char *name;        /* of the tensor that is changed, without "base_model.model."; NULL: added */
    const char *replacement; /* its name then; NULL: left out */
    int rows;                /* its rows then; 0: as they are */
};

static void rewrite(const struct change *change) {
    struct safetensor_out items[16];
    struct safetensors file;
    static const float zeros[5000 * 6];
    int count = 0;

    ck_assert_int_eq(safetensors_open(&file, NUMBERS, &err), 0);
    for (int i = 0; i < file.count; i++) {
        const struct stored *tensor = &file.items[i];
        int changed = change->name && strcmp(tensor->name + strlen("base_model.model."), change->name) == 0;

        if (changed && !change->replacement) continue;
        items[count] = (struct safetensor_out){.name = changed ? change->replacement : tensor->name,
                                               .rank = 2,
                                               .data = zeros,
                                               .type = tensor->type};
        items[count].shape[0] = changed && change->rows ? change->rows : tensor->shape[0];
        items[count++].shape[1] = tensor->shape[1];
    }
    if (!change->name)
        items[count++] = (struct safetensor_out){.name = change->replacement,
                                                 .rank = 2,
                                                 .shape = {2, 6},
                                                 .data = zeros,
                                                 .type = number_type_find("F32")};
    ck_assert_int_eq(safetensors_write(PLACE "/numbers", items, count, NULL, &err), 0);
    safetensors_close(&file);
    ck_assert_int_eq(rename(PLACE "/numbers", NUMBERS), 0);
}

#define V1   "model.layers.1.self_attn.v_proj."
#define FULL "base_model.model."

static const struct {
    struct change change;
    const char *said; /* NULL: read as it is */
} changes[] = {
    {{V1 "lora_A.weight", FULL V1 "lora_A.default.weight", 0}, NULL},
    {{V1 "lora_A.weight", FULL "layers.1.self_attn.v_proj.lora_A.weight", 0}, NULL},
    {{"score.weight", FULL "score.modules_to_save.default.weight", 0}, NULL},
    {{V1 "lora_A.weight", NULL, 0}, "tensor \"base_model.model." V1 "lora_A.weight\" is missing"},
    {{V1 "lora_B.weight", NULL, 0}, "tensor \"base_model.model." V1 "lora_B.weight\" is missing"},
    {{V1 "lora_B.weight", FULL V1 "lora_B.weight", 9},
     "lora_B.weight\" is of the shape [9, 2], and not [4, 2]"},
    {{V1 "lora_A.weight", FULL V1 "lora_A.weight", 3},
     "lora_A.weight\" is of the shape [3, 6], and not [2, 6]"},
    {{"score.weight", NULL, 0}, "score.weight\" is missing, and the base has no score head"},
    {{"score.weight", FULL "score.weight", 5000}, "score.weight\" is of the shape [5000, 6]"},
    {{NULL, FULL V1 "lora_embedding_A", 0}, V1 "lora_embedding_A\" belongs to no module"},
    {{NULL, FULL "model.embed_tokens.weight", 0}, "model.embed_tokens.weight\" belongs to no module"},
    {{NULL, FULL "model.layers.2.self_attn.v_proj.lora_A.weight", 0},
     "layers.2.self_attn.v_proj.lora_A.weight\""},
};

START_TEST(every_tensor_must_be_there_and_none_left_over)
{
    struct model *model = open_kind(1), *got;
    struct adapter_options options = adapt(model, "v_proj", 3);

    store(model, &options, FOLDER, "F32");
    rewrite(&changes[_i].change);
    if (changes[_i].said) {
        check_refused(changes[_i].said);
    } else {
        ck_assert_msg(model_load(&got, FOLDER, cpu(), &err) == 0, "%s", err.message);
        model_free(got);
    }
    model_free(model);
}
END_TEST

START_TEST(a_base_of_another_shape_is_refused)
{
    struct model *model = open_kind(1);
    struct adapter_options options = adapt(model, "v_proj", 3);
    struct config config = tiny("llama");

    store(model, &options, FOLDER, "F32");
    model_free(model);
    config.width = 8;
    ck_assert_int_eq(model_create(&model, &config, cpu(), &err), 0);
    ck_assert_int_eq(model_save(model, BASE, 32, &err), 0);
    check_refused("is of the shape [2, 6], and not [2, 8] as adapter_config.json and the base imply");
    model_free(model);
}
END_TEST

START_TEST(numbers_in_pytorchs_own_format_are_refused)
{
    struct model *model = make_base("llama", 0);

    write_settings(TARGET);
    write_text(FOLDER "/adapter_model.bin", "PK");
    check_refused("adapter_model.bin is PyTorch's own format, which is not read");
    model_free(model);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("adapter_file");
    TCase *peft = tcase_create("peft"), *own = tcase_create("own"), *hostile = tcase_create("hostile");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(peft, what_peft_saved_computes_what_it_computed, 0,
                        (int)(sizeof saved / sizeof *saved));
    tcase_add_checked_fixture(own, prepare, clean);
    tcase_add_loop_test(own, what_is_written_is_read_back_to_the_bit, 0, (int)(sizeof kinds / sizeof *kinds));
    tcase_add_loop_test(own, a_model_is_its_adapter_merged, 0, (int)(sizeof kinds / sizeof *kinds));
    tcase_add_test(own, an_adapter_may_stand_on_another);
    tcase_add_test(own, one_base_serves_several_adapters);
    tcase_add_test(own, numbers_may_be_of_16_bits);
    tcase_add_test(own, targets_are_named_as_peft_matches_them);
    tcase_add_checked_fixture(hostile, prepare, clean);
    tcase_add_loop_test(hostile, settings_that_are_not_supported_are_refused, 0,
                        (int)(sizeof settings / sizeof *settings));
    tcase_add_loop_test(hostile, a_file_that_describes_no_adapter_is_refused, 0,
                        (int)(sizeof files / sizeof *files));
    tcase_add_loop_test(hostile, every_tensor_must_be_there_and_none_left_over, 0,
                        (int)(sizeof changes / sizeof *changes));
    tcase_add_test(hostile, a_base_of_another_shape_is_refused);
    tcase_add_test(hostile, numbers_in_pytorchs_own_format_are_refused);
    suite_add_tcase(suite, peft);
    suite_add_tcase(suite, own);
    suite_add_tcase(suite, hostile);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
