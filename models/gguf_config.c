#include "models/gguf_config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_SIZE (1 << 24)

/* Keys of the architecture, "llama.block_count". */
struct keys {
    const struct node *map;
    const char *architecture;
};

static const struct node *find_key(const struct keys *keys, const char *name) {
    char *full = xprintf("%s.%s", keys->architecture, name);
    const struct node *found = node_get(keys->map, full);

    free(full);
    return found;
}

/* fallback NAN: it must be there. */
static int read_number(const struct keys *keys, const char *name, double fallback, double *out,
                       struct error *err) {
    const struct node *found = find_key(keys, name);

    *out = found ? found->number : fallback;
    if (found && found->kind != NODE_NUMBER)
        return fail(err, "%s.%s is not a number", keys->architecture, name);
    if (!found && isnan(fallback)) return fail(err, "%s.%s is missing", keys->architecture, name);
    return 0;
}

static int read_size(const struct keys *keys, const char *name, double fallback, int *out,
                     struct error *err) {
    double number;

    if (read_number(keys, name, fallback, &number, err)) return -1;
    if (!(number >= 0 && number <= MOST_SIZE) || number != floor(number))
        return fail(err, "%s.%s is %g: expected a whole number from 0 to %d", keys->architecture, name,
                    number, MOST_SIZE);
    *out = (int)number;
    return 0;
}

static int read_float(const struct keys *keys, const char *name, double fallback, float *out,
                      struct error *err) {
    double number;

    if (read_number(keys, name, fallback, &number, err)) return -1;
    *out = (float)number;
    return 0;
}

static const struct stored *find_tensor(const struct gguf *file, const char *name) {
    struct stored key = {.name = (char *)name};

    return file->count ? bsearch(&key, file->items, (size_t)file->count, sizeof key, stored_by_name) : NULL;
}

static int same_numbers(const struct stored *a, const struct stored *b) {
    return a->type == b->type && a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

/* A head is tied if there is none, or a second copy of the embedding. */
static int read_tensors(struct config *c, const struct gguf *file, struct error *err) {
    const struct stored *embedding = find_tensor(file, "token_embd.weight"),
                        *head = find_tensor(file, "output.weight");

    if (!embedding || embedding->rank != 2 || embedding->shape[0] > MOST_SIZE)
        return fail(err, "tensor \"token_embd.weight\" is missing or no matrix of embeddings");
    c->vocab = (int)embedding->shape[0];
    c->tied = !head || same_numbers(head, embedding);
    if (c->family == FAMILY_GPT2) return 0;
    c->qkv_biases = find_tensor(file, "blk.0.attn_q.bias") != NULL;
    c->biases = find_tensor(file, "blk.0.attn_output.bias") != NULL;
    if (c->biases) c->qkv_biases = 0;
    return 0;
}

/* Llama 3.1 and its kin: llama.cpp's files hold what the frequencies are divided by, not what that was made
 * from. All published ones were made from low 1, high 4, original 8192 and the factor that is largest. */
static int read_factors(struct config *c, const struct gguf *file, struct error *err) {
    const struct stored *tensor = find_tensor(file, "rope_freqs.weight");
    int half = c->head_size / 2, status;
    float *factors;

    if (!tensor) return 0;
    factors = xcalloc((size_t)half, sizeof *factors);
    status = stored_floats(tensor, factors, (size_t)half, err);
    c->rope_scaling = ROPE_LLAMA3;
    c->rope_low = 1;
    c->rope_high = 4;
    c->rope_original = 8192;
    c->rope_factor = status == 0 && half ? factors[half - 1] : 1;
    for (int i = 0; i < half && status == 0; i++)
        if (!(fabs(factors[i] - config_rope_divisor(c, i)) <= 1e-5 * factors[i]))
            status = fail(err, "tensor \"rope_freqs.weight\" is not Llama 3.1's scaling from 8192 positions");
    free(factors);
    return status;
}

static int read_rope(struct config *c, const struct keys *keys, const struct gguf *file, struct error *err) {
    const struct node *type = find_key(keys, "rope.scaling.type");
    int rotated;

    if (read_float(keys, "rope.freq_base", 10000, &c->rope_theta, err)) return -1;
    if (read_size(keys, "rope.dimension_count", c->head_size, &rotated, err)) return -1;
    if (rotated != c->head_size)
        return fail(err, "%s.rope.dimension_count is %d of %d: only whole heads can be rotated",
                    keys->architecture, rotated, c->head_size);
    if (read_float(keys, "rope.scale_linear", 1, &c->rope_factor, err)) return -1;
    if (read_float(keys, "rope.scaling.factor", c->rope_factor, &c->rope_factor, err)) return -1;
    if (type && type->text && strcmp(type->text, "linear") && strcmp(type->text, "none"))
        return fail(err, "%s.rope.scaling.type is \"%s\": expected none or linear", keys->architecture,
                    type->text);
    if (c->rope_factor != 1 && !(type && type->text && strcmp(type->text, "none") == 0))
        c->rope_scaling = ROPE_LINEAR;
    else
        c->rope_factor = 0;
    return read_factors(c, file, err);
}

static int read_attention(struct config *c, const struct keys *keys, struct error *err) {
    int values;

    if (read_size(keys, "attention.head_count", NAN, &c->heads, err)) return -1;
    if (read_size(keys, "attention.head_count_kv", c->heads, &c->kv_heads, err)) return -1;
    if (c->heads == 0)
        return fail(err, "%s.attention.head_count is 0: expected at least 1", keys->architecture);
    if (read_size(keys, "attention.key_length", c->width / c->heads, &c->head_size, err)) return -1;
    if (read_size(keys, "attention.value_length", c->head_size, &values, err)) return -1;
    if (values != c->head_size)
        return fail(err, "heads have keys of %d and values of %d: only one size is supported", c->head_size,
                    values);
    return 0;
}

static int read_gemma2(struct config *c, const struct keys *keys, struct error *err) {
    if (read_float(keys, "attn_logit_softcapping", 50, &c->attention_cap, err)) return -1;
    if (read_float(keys, "final_logit_softcapping", 30, &c->final_cap, err)) return -1;
    c->query_scalar =
        (float)(c->layers == 46 ? c->width / c->heads : c->head_size); /* the 27B model's is its own */
    return 0;
}

static int read_rotary(struct config *c, const struct keys *keys, const struct gguf *file,
                       struct error *err) {
    if (read_float(keys, "attention.layer_norm_rms_epsilon", NAN, &c->norm_eps, err)) return -1;
    if (read_size(keys, "attention.sliding_window", 0, &c->window, err)) return -1;
    if (c->window && c->window < c->context) c->context = c->window;
    if (c->family == FAMILY_GEMMA2 && read_gemma2(c, keys, err)) return -1;
    return read_rope(c, keys, file, err);
}

static int read_sizes(struct config *c, const struct keys *keys, struct error *err) {
    int experts;

    if (read_size(keys, "expert_count", 0, &experts, err)) return -1;
    if (experts) return fail(err, "%d experts share the work, which is not supported", experts);
    if (read_size(keys, "block_count", NAN, &c->layers, err)) return -1;
    if (read_size(keys, "context_length", NAN, &c->context, err)) return -1;
    if (read_size(keys, "embedding_length", NAN, &c->width, err)) return -1;
    return read_size(keys, "feed_forward_length", NAN, &c->ffn, err);
}

static int read_token(const struct node *map, const char *key) {
    double id = node_number(map, key, -1);

    return id >= 0 && id <= MOST_SIZE ? (int)id : -1;
}

static int read_all(struct config *c, const struct gguf *file, struct error *err) {
    const struct keys keys = {file->metadata, node_text(file->metadata, "general.architecture", "")};
    const struct keys ours = {file->metadata, "pyrite"};
    const char *kind = node_text(file->metadata, "general.type", "model");
    const char *pooling = node_text(file->metadata, "pyrite.pooling", "last");

    if (strcmp(kind, "model")) return fail(err, "it holds no model but a %s", kind);
    if (config_family(c, keys.architecture, err))
        return fail_within(err, "general.architecture is \"%s\"", keys.architecture);
    if (read_sizes(c, &keys, err) || read_attention(c, &keys, err) || read_tensors(c, file, err)) return -1;
    if (c->family == FAMILY_GPT2) {
        if (read_float(&keys, "attention.layer_norm_epsilon", NAN, &c->norm_eps, err)) return -1;
    } else if (read_rotary(c, &keys, file, err)) {
        return -1;
    }
    if (read_size(&ours, "score_heads", 0, &c->score_heads, err)) return -1;
    if (strcmp(pooling, "last"))
        return fail(err, "pyrite.pooling is \"%s\": only \"last\" is supported", pooling);
    c->begin_token = read_token(file->metadata, "tokenizer.ggml.bos_token_id");
    c->end_token = read_token(file->metadata, "tokenizer.ggml.eos_token_id");
    c->pad_token = read_token(file->metadata, "tokenizer.ggml.padding_token_id");
    return config_check(c, err);
}

int gguf_config_read(struct config *out, const struct gguf *file, struct error *err) {
    return read_all(out, file, err);
}

static void add_count(struct gguf_out *out, const char *architecture, const char *name, int value) {
    char *key = xprintf("%s.%s", architecture, name);

    gguf_add_count(out, key, (uint32_t)value);
    free(key);
}

static void add_real(struct gguf_out *out, const char *architecture, const char *name, float value) {
    char *key = xprintf("%s.%s", architecture, name);

    gguf_add_real(out, key, value);
    free(key);
}

static void add_scaling(struct gguf_out *out, const char *architecture, const struct config *c) {
    char *key = xprintf("%s.rope.scaling.type", architecture);

    if (c->rope_scaling == ROPE_LINEAR) {
        gguf_add_text(out, key, "linear");
        add_real(out, architecture, "rope.scaling.factor", c->rope_factor);
    }
    free(key);
}

static void add_rotary(struct gguf_out *out, const char *architecture, const struct config *c) {
    add_count(out, architecture, "attention.head_count_kv", c->kv_heads);
    add_count(out, architecture, "attention.key_length", c->head_size);
    add_count(out, architecture, "attention.value_length", c->head_size);
    add_real(out, architecture, "attention.layer_norm_rms_epsilon", c->norm_eps);
    add_count(out, architecture, "rope.dimension_count", c->head_size);
    add_real(out, architecture, "rope.freq_base", c->rope_theta);
    add_scaling(out, architecture, c);
    if (c->window) add_count(out, architecture, "attention.sliding_window", c->window);
    if (c->attention_cap != 0) add_real(out, architecture, "attn_logit_softcapping", c->attention_cap);
    if (c->final_cap != 0) add_real(out, architecture, "final_logit_softcapping", c->final_cap);
}

/* llama.cpp's numbers of what most of a file is, which are not ggml's codes. */
static uint32_t file_type(const struct number_type *type) {
    if (strcmp(type->name, "F16") == 0) return 1;
    if (strcmp(type->name, "Q8_0") == 0) return 7;
    return strcmp(type->name, "BF16") == 0 ? 32 : 0;
}

void gguf_config_write(struct gguf_out *out, const struct config *c, const struct number_type *type) {
    enum family family = c->family == FAMILY_MISTRAL ? FAMILY_LLAMA : c->family;
    const char *architecture = config_family_name(family);

    gguf_add_text(out, "general.architecture", architecture);
    gguf_add_text(out, "general.type", "model");
    gguf_add_count(out, "general.file_type", file_type(type));
    if (type->count > 1) gguf_add_count(out, "general.quantization_version", 2);
    add_count(out, architecture, "block_count", c->layers);
    add_count(out, architecture, "context_length", c->context);
    add_count(out, architecture, "embedding_length", c->width);
    add_count(out, architecture, "feed_forward_length", c->ffn);
    add_count(out, architecture, "attention.head_count", c->heads);
    add_count(out, architecture, "vocab_size", c->vocab);
    if (c->family == FAMILY_GPT2)
        add_real(out, architecture, "attention.layer_norm_epsilon", c->norm_eps);
    else
        add_rotary(out, architecture, c);
    if (!c->score_heads) return;
    gguf_add_count(out, "pyrite.score_heads", (uint32_t)c->score_heads);
    gguf_add_text(out, "pyrite.pooling", "last");
}
