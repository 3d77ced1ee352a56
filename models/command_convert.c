#include <stdlib.h>
#include <string.h>

#include "harness/adapter_base.h"
#include "harness/command.h"
#include "models/gguf_tokenizer.h"
#include "models/model_file.h"

/* What a folder has beside its weights and config.json that belongs to its tokenizer. */
static const char *const tokenizer_files[] = {"tokenizer.json",
                                              "tokenizer_config.json",
                                              "special_tokens_map.json",
                                              "added_tokens.json",
                                              "generation_config.json",
                                              "chat_template.jinja",
                                              "vocab.json",
                                              "merges.txt",
                                              "tokenizer.model"};

/* From where to where, and how. */
struct conversion {
    const char *in, *out;
    char *words; /* where the tokenizer is: in, or a base of that adapter */
    const struct number_type *type;
    int tokenizer;          /* it goes along */
    struct weights weights; /* of no adapter */
    struct model *model;
};

static int copy_file(const char *from, const char *to, struct error *err) {
    size_t length;
    char *bytes = file_read(from, &length, err);
    int status = bytes ? file_write(to, bytes, length, err) : -1;

    free(bytes);
    return status;
}

static int copy_tokenizer(const char *in, const char *out, struct error *err) {
    int status = 0;

    for (size_t i = 0; i < sizeof tokenizer_files / sizeof *tokenizer_files && status == 0; i++) {
        char *from = path_join(in, tokenizer_files[i]), *to = path_join(out, tokenizer_files[i]);

        if (file_exists(from)) status = copy_file(from, to, err);
        free(from);
        free(to);
    }
    return status;
}

/* Files as they are from a folder; from a GGUF file what its keys say. */
static int carry_tokenizer(const struct conversion *c, struct error *err) {
    const struct config *config = &c->model->config;
    struct tokenizer *tokenizer;
    int status;

    if (!is_gguf(c->words)) return copy_tokenizer(c->words, c->out, err);
    if (tokenizer_open(&tokenizer, c->words, err)) return fail_within(err, "without --no-tokenizer");
    tokenizer_set_roles(tokenizer, config->begin_token, config->end_token);
    status = tokenizer_store(tokenizer, c->out, err);
    tokenizer_free(tokenizer);
    return status;
}

static int write_folder(const struct conversion *c, struct error *err) {
    if (c->type->count > 1)
        return fail(err,
                    "safetensors hold no %s: expected --type f32, f16 or bf16, or an OUT that ends in .gguf",
                    c->type->name);
    if (folder_make(c->out, err)) return -1;
    if (c->tokenizer && carry_tokenizer(c, err)) return -1;
    return model_write(c->model, c->out, c->type, err);
}

static int write_gguf(const struct conversion *c, struct error *err) {
    struct gguf_out tokenizer = {0};
    struct gguf words = {0};
    int status = 0;

    if (c->tokenizer && is_gguf(c->words)) {
        if (gguf_open(&words, c->words, err)) return -1;
        gguf_tokenizer_copy(&tokenizer, words.metadata);
    } else {
        status = gguf_tokenizer_write(&tokenizer, c->tokenizer ? c->words : NULL, &c->model->config, err);
    }
    if (status == 0) status = model_write_gguf(c->model, c->out, c->type, &tokenizer, err);
    gguf_free(&tokenizer);
    if (words.metadata) gguf_close(&words);
    return status;
}

static int check_out(const char *out, struct error *err) {
    char *weights = path_join(out, "model.safetensors");
    int taken = is_gguf(out) ? file_exists(out) : file_exists(weights);

    free(weights);
    return taken ? fail(err, "%s holds a model already: name another place, or remove it", out) : 0;
}

static int read_type(const struct arguments *arguments, const struct number_type **out, struct error *err) {
    static const struct {
        const char *word, *type;
    } types[] = {{"f32", "F32"}, {"f16", "F16"}, {"bf16", "BF16"}, {"q8_0", "Q8_0"}};
    const char *word = argument_value(arguments, "type", "f32");

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].word, word) == 0) *out = number_type_find(types[i].type);
    return *out ? 0 : fail(err, "--type is '%s': expected f32, f16, bf16 or q8_0", word);
}

static void tell(const struct conversion *c, FILE *out) {
    const struct config *config = &c->model->config;

    fprintf(out, "%s: %s, %.0f parameters, %s%s\n", c->out, config_family_name(config->family),
            config_parameters(config), c->type->name, config->score_heads ? ", with a score head" : "");
}

static int load(struct conversion *c, int init_head, struct error *err) {
    if (is_adapter(c->in)) return model_load(&c->model, c->in, kernels_find("cpu"), err);
    if (weights_open(&c->weights, c->in, err)) return -1;
    return model_read(&c->model, c->in, &c->weights, kernels_find("cpu"), WEIGHTS_FULL, init_head, err);
}

static int convert(struct conversion *c, int init_head, FILE *out, struct error *err) {
    int status = load(c, init_head, err);

    c->words = is_adapter(c->in) ? adapter_find_file(c->in, "tokenizer.json") : xstrdup(c->in);
    if (status == 0) status = is_gguf(c->out) ? write_gguf(c, err) : write_folder(c, err);
    if (status == 0) tell(c, out);
    model_free(c->model);
    weights_close(&c->weights);
    free(c->words);
    return status;
}

/* An adapter alone is the same in any format; what is asked for is the whole. */
static int check_merge(const char *in, int merge, int init_head, struct error *err) {
    if (merge && init_head) return fail(err, "--init-head adds a head to a whole model: merge first");
    if (is_adapter(in) == merge) return 0;
    return merge ? fail(err, "%s is no adapter: --merge takes a folder with " ADAPTER_CONFIG, in)
                 : fail(err, "%s is an adapter: --merge writes its base with it as one model", in);
}

static int run(const struct arguments *arguments, struct error *err) {
    struct conversion c = {.in = arguments->words[0], .out = arguments->words[1]};
    int merge = argument_given(arguments, "merge"), init_head = argument_given(arguments, "init-head");

    c.tokenizer = !argument_given(arguments, "no-tokenizer");
    if (!kernels_find("cpu")) return fail(err, "%s", kernels_missing("cpu"));
    if (check_merge(c.in, merge, init_head, err)) return -1;
    if (read_type(arguments, &c.type, err) || check_out(c.out, err)) return -1;
    if (convert(&c, init_head, arguments->out, err)) return -1;
    return 0;
}

static const struct flag flags[] = {
    {"type", 0, "TYPE", "f32 (as is), f16, bf16; for GGUF also q8_0 (default: f32)"},
    {"merge", 0, NULL, "IN is an adapter's folder: write its base with it as one model"},
    {"init-head", 0, NULL, "add a score head, drawn at random, to a model that has none"},
    {"no-tokenizer", 0, NULL, "leave the tokenizer behind"},
    {0},
};

const struct command command_convert = {
    .name = "convert",
    .summary = "write a model in another format or with other numbers",
    .usage = "IN OUT [--type TYPE] [--merge] [--init-head] [--no-tokenizer]",
    .description =
        "IN is a folder with config.json and safetensors (one file, or shards with an index), or a GGUF "
        "file. OUT is a GGUF file if it ends in .gguf, and else a folder that is written as Hugging Face's "
        "transformers reads it. The tokenizer goes along.\n"
        "\n"
        "With --merge IN is a LoRA adapter, a folder with adapter_config.json and adapter_model.safetensors "
        "as PEFT writes them, and OUT the model that it makes of its base.\n"
        "\n"
        "A tensor that is missing, or that belongs to no part of the model, is an error that names it. With "
        "--init-head a reward model's missing score head is drawn from N(0, 1/(width + 1)), always the same, "
        "and a model without one gets one.",
    .flags = flags,
    .least_words = 2,
    .most_words = 2,
    .run = run,
};
