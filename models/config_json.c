#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "models/config.h"

#define MOST_SIZE (1 << 24) /* of any one dimension */

/* A number under the first of two names that is there and not null. */
static int read_number(const struct node *map, const char *name, const char *other, double fallback,
                       double *out, struct error *err) {
    const struct node *found = node_get(map, name);

    if (!found && other) found = node_get(map, other);
    *out = fallback;
    if (!found || found->kind == NODE_NULL) {
        if (isnan(fallback)) return fail(err, "\"%s\" is missing", name);
        return 0;
    }
    if (found->kind != NODE_NUMBER) return fail(err, "line %d: \"%s\" is not a number", found->line, name);
    *out = found->number;
    return 0;
}

static int read_size(const struct node *map, const char *name, const char *other, double fallback, int *out,
                     struct error *err) {
    double number;

    if (read_number(map, name, other, fallback, &number, err)) return -1;
    if (!(number >= 0 && number <= MOST_SIZE) || number != floor(number))
        return fail(err, "\"%s\" is %g: expected a whole number from 0 to %d", name, number, MOST_SIZE);
    *out = (int)number;
    return 0;
}

static int read_float(const struct node *map, const char *name, double fallback, float *out,
                      struct error *err) {
    double number;

    if (read_number(map, name, NULL, fallback, &number, err)) return -1;
    *out = (float)number;
    return 0;
}

static int read_count(const struct node *map, const char *name, int *out, struct error *err) {
    return read_size(map, name, NULL, NAN, out, err);
}

static int read_truth(const struct node *map, const char *name, int fallback) {
    return node_number(map, name, fallback) != 0;
}

/* Settings that would change the result and that this program does not have. */
static int refuse_text(const struct node *map, const char *name, const char *known, struct error *err) {
    const char *text = node_text(map, name, known);

    if (strcmp(text, known) == 0) return 0;
    return fail(err, "\"%s\" is \"%s\": only \"%s\" is supported", name, text, known);
}

static int read_gpt2(struct config *c, const struct node *map, struct error *err) {
    if (read_count(map, "n_embd", &c->width, err)) return -1;
    if (read_count(map, "n_layer", &c->layers, err)) return -1;
    if (read_count(map, "n_head", &c->heads, err)) return -1;
    if (read_size(map, "n_positions", "n_ctx", NAN, &c->context, err)) return -1;
    if (read_size(map, "n_inner", NULL, 4.0 * c->width, &c->ffn, err)) return -1;
    if (read_float(map, "layer_norm_epsilon", 1e-5, &c->norm_eps, err)) return -1;
    if (refuse_text(map, "activation_function", "gelu_new", err)) return -1;
    if (read_truth(map, "scale_attn_by_inverse_layer_idx", 0) || !read_truth(map, "scale_attn_weights", 1))
        return fail(err, "only attention scaled by 1/sqrt(head size) is supported");
    if (c->heads == 0 || c->width % c->heads)
        return fail(err, "n_embd %d is not a multiple of n_head %d", c->width, c->heads);
    c->kv_heads = c->heads;
    c->head_size = c->width / c->heads;
    c->tied = read_truth(map, "tie_word_embeddings", 1);
    return 0;
}

static int read_llama3(struct config *c, const struct node *scaling, struct error *err) {
    c->rope_scaling = ROPE_LLAMA3;
    if (read_float(scaling, "factor", NAN, &c->rope_factor, err)) return -1;
    if (read_float(scaling, "low_freq_factor", NAN, &c->rope_low, err)) return -1;
    if (read_float(scaling, "high_freq_factor", NAN, &c->rope_high, err)) return -1;
    return read_count(scaling, "original_max_position_embeddings", &c->rope_original, err);
}

static int read_scaling(struct config *c, const struct node *scaling, struct error *err) {
    const char *type = node_text(scaling, "rope_type", node_text(scaling, "type", "default"));

    if (strcmp(type, "default") == 0) return 0;
    if (strcmp(type, "llama3") == 0) return read_llama3(c, scaling, err);
    if (strcmp(type, "linear"))
        return fail(err, "line %d: the rope scaling is \"%s\": expected default, linear or llama3",
                    scaling->line, type);
    c->rope_scaling = ROPE_LINEAR;
    return read_float(scaling, "factor", NAN, &c->rope_factor, err);
}

/* Older files have rope_theta and rope_scaling, newer ones both in rope_parameters. */
static int read_rope(struct config *c, const struct node *map, struct error *err) {
    const struct node *scaling = node_get(map, "rope_parameters");

    if (!scaling || scaling->kind != NODE_MAP) scaling = node_get(map, "rope_scaling");
    if (read_float(map, "rope_theta", c->rope_theta, &c->rope_theta, err)) return -1;
    if (node_number(map, "partial_rotary_factor", 1) != 1)
        return fail(err, "\"partial_rotary_factor\" is %g: only whole heads can be rotated",
                    node_number(map, "partial_rotary_factor", 1));
    if (!scaling || scaling->kind != NODE_MAP) return 0;
    if (read_float(scaling, "rope_theta", c->rope_theta, &c->rope_theta, err)) return -1;
    return read_scaling(c, scaling, err);
}

/* Attention over a window is attention over all, for as long as the context is no longer. */
static int read_window(struct config *c, const struct node *map, struct error *err) {
    if (read_size(map, "sliding_window", NULL, 0, &c->window, err)) return -1;
    if (c->window && c->window < c->context) c->context = c->window;
    return 0;
}

static int read_llama(struct config *c, const struct node *map, struct error *err) {
    if (refuse_text(map, "hidden_act", "silu", err)) return -1;
    if (c->family == FAMILY_MISTRAL) return read_window(c, map, err);
    if (c->family == FAMILY_QWEN2)
        return read_truth(map, "use_sliding_window", 0) ? read_window(c, map, err) : 0;
    c->biases = read_truth(map, "attention_bias", 0);
    if (c->biases != read_truth(map, "mlp_bias", 0))
        return fail(err, "attention_bias and mlp_bias differ: only both or neither is supported");
    return 0;
}

/* null: none. */
static int read_cap(const struct node *map, const char *name, double fallback, float *out,
                    struct error *err) {
    const struct node *cap = node_get(map, name);

    return read_float(map, name, cap && cap->kind == NODE_NULL ? 0 : fallback, out, err);
}

/* Hugging Face's Gemma has GELU's tanh form even where "hidden_act" says "gelu". */
static int read_gemma(struct config *c, const struct node *map, struct error *err) {
    if (refuse_text(map, "hidden_activation", "gelu_pytorch_tanh", err)) return -1;
    if (c->family != FAMILY_GEMMA2) return 0;
    if (read_cap(map, "attn_logit_softcapping", 50, &c->attention_cap, err)) return -1;
    if (read_cap(map, "final_logit_softcapping", 30, &c->final_cap, err)) return -1;
    if (read_float(map, "query_pre_attn_scalar", 256, &c->query_scalar, err)) return -1;
    return read_window(c, map, err);
}

/* What Llama and its descendants share. */
static int read_rotary(struct config *c, const struct node *map, struct error *err) {
    int gemma = c->family >= FAMILY_GEMMA;

    if (read_count(map, "hidden_size", &c->width, err)) return -1;
    if (read_count(map, "intermediate_size", &c->ffn, err)) return -1;
    if (read_count(map, "num_hidden_layers", &c->layers, err)) return -1;
    if (read_count(map, "num_attention_heads", &c->heads, err)) return -1;
    if (read_size(map, "num_key_value_heads", NULL, c->heads, &c->kv_heads, err)) return -1;
    if (read_count(map, "max_position_embeddings", &c->context, err)) return -1;
    if (c->heads == 0) return fail(err, "\"num_attention_heads\" is 0: expected at least 1");
    if (read_size(map, "head_dim", NULL, gemma ? 256 : c->width / c->heads, &c->head_size, err)) return -1;
    if (read_float(map, "rms_norm_eps", 1e-6, &c->norm_eps, err)) return -1;
    if (read_rope(c, map, err)) return -1;
    c->tied = read_truth(map, "tie_word_embeddings", gemma);
    return gemma ? read_gemma(c, map, err) : read_llama(c, map, err);
}

/* An id, or the first of a list of them; -1 where there is none. */
static int read_token(const struct node *map, const char *name) {
    const struct node *id = node_get(map, name);

    if (id && id->kind == NODE_LIST) id = id->first;
    return id && id->kind == NODE_NUMBER && id->number >= 0 && id->number <= MOST_SIZE ? (int)id->number : -1;
}

/* OpenRLHF's reward models and critics have one score, which two more fields may rescale. */
static int read_score_head(struct config *c, const struct node *map, struct error *err) {
    if (!node_get(map, "value_head_prefix")) return 0;
    c->score_heads = 1;
    if (node_number(map, "mean", 0) == 0 && node_number(map, "std", 1) == 1) return 0;
    return fail(err, "scores are (x - %g) / %g by \"mean\" and \"std\": only 0 and 1 are supported",
                node_number(map, "mean", 0), node_number(map, "std", 1));
}

/* Hugging Face reads a score off the last token that is no padding, this program off the last token: the same
 * wherever a text does not end in padding. */
static int read_pooling(const struct node *map, struct error *err) {
    return refuse_text(map, "pooling", "last", err);
}

static int scores(const struct node *map) {
    const struct node *names = node_get(map, "architectures");
    const char *name = names && names->first ? names->first->text : NULL;

    return name && strstr(name, "ForSequenceClassification");
}

static int read_any(struct config *c, const struct node *map, struct error *err) {
    const char *type = node_text(map, "model_type", "");
    const struct node *labels = node_get(map, "id2label");

    if (config_family(c, type, err)) return fail_within(err, "\"model_type\" is \"%s\"", type);
    if (c->family == FAMILY_GPT2 ? read_gpt2(c, map, err) : read_rotary(c, map, err)) return -1;
    if (read_count(map, "vocab_size", &c->vocab, err)) return -1;
    c->begin_token = read_token(map, "bos_token_id");
    c->end_token = read_token(map, "eos_token_id");
    c->pad_token = read_token(map, "pad_token_id");
    if (read_score_head(c, map, err) || read_pooling(map, err)) return -1;
    if (scores(map) && read_size(map, "num_labels", NULL, labels ? labels->count : 2, &c->score_heads, err))
        return -1;
    return config_check(c, err);
}

int config_read(struct config *config, const char *path, struct error *err) {
    struct node *map = document_read(path, err);
    int status;

    if (!map) return -1;
    status = read_any(config, map, err);
    if (status) fail_within(err, "%s", path);
    node_free(map);
    return status;
}

/* The double that is spelt as the float is: 1e-5f as 1e-05, not as 9.999999747378752e-06. */
static double as_spelt(float value) {
    char text[32];

    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtof(text, NULL) == value) break;
    }
    return strtod(text, NULL);
}

static void write_gpt2(struct node *map, const struct config *c) {
    node_add_number(map, "n_embd", c->width);
    node_add_number(map, "n_layer", c->layers);
    node_add_number(map, "n_head", c->heads);
    node_add_number(map, "n_positions", c->context);
    node_add_number(map, "n_inner", c->ffn);
    node_add_text(map, "activation_function", "gelu_new");
    node_add_number(map, "layer_norm_epsilon", as_spelt(c->norm_eps));
}

static void write_scaling(struct node *map, const struct config *c) {
    struct node *scaling;

    if (c->rope_scaling == ROPE_PLAIN) return;
    scaling = node_add(map, "rope_scaling", NODE_MAP);
    node_add_text(scaling, "rope_type", c->rope_scaling == ROPE_LINEAR ? "linear" : "llama3");
    node_add_number(scaling, "factor", as_spelt(c->rope_factor));
    if (c->rope_scaling == ROPE_LINEAR) return;
    node_add_number(scaling, "low_freq_factor", as_spelt(c->rope_low));
    node_add_number(scaling, "high_freq_factor", as_spelt(c->rope_high));
    node_add_number(scaling, "original_max_position_embeddings", c->rope_original);
}

/* transformers wants caps to be reals or null. */
static void write_cap(struct node *map, const char *name, float cap) {
    if (cap != 0)
        node_add_real(map, name, as_spelt(cap));
    else
        node_add_text(map, name, NULL);
}

static void write_gemma2(struct node *map, const struct config *c) {
    node_add_number(map, "query_pre_attn_scalar", as_spelt(c->query_scalar));
    write_cap(map, "attn_logit_softcapping", c->attention_cap);
    write_cap(map, "final_logit_softcapping", c->final_cap);
}

/* Newer transformers rename the activation; both names are written. */
static void write_rotary(struct node *map, const struct config *c) {
    node_add_number(map, "hidden_size", c->width);
    node_add_number(map, "intermediate_size", c->ffn);
    node_add_number(map, "num_hidden_layers", c->layers);
    node_add_number(map, "num_attention_heads", c->heads);
    node_add_number(map, "num_key_value_heads", c->kv_heads);
    node_add_number(map, "head_dim", c->head_size);
    node_add_number(map, "max_position_embeddings", c->context);
    node_add_text(map, "hidden_act", c->gelu_gate ? "gelu_pytorch_tanh" : "silu");
    if (c->gelu_gate) node_add_text(map, "hidden_activation", "gelu_pytorch_tanh");
    if (c->family == FAMILY_LLAMA) {
        node_add_bool(map, "attention_bias", c->biases);
        node_add_bool(map, "mlp_bias", c->biases);
    }
    if (c->family == FAMILY_QWEN2) node_add_bool(map, "use_sliding_window", c->window > 0);
    if (c->window)
        node_add_number(map, "sliding_window", c->window);
    else if (c->family == FAMILY_MISTRAL)
        node_add_text(map, "sliding_window", NULL);
    if (c->family == FAMILY_GEMMA2) write_gemma2(map, c);
    node_add_number(map, "rms_norm_eps", as_spelt(c->norm_eps));
    node_add_number(map, "rope_theta", as_spelt(c->rope_theta));
    write_scaling(map, c);
}

static void write_token(struct node *map, const char *name, int id) {
    if (id < 0)
        node_add_text(map, name, NULL);
    else
        node_add_number(map, name, id);
}

static void write_architecture(struct node *map, const struct config *c) {
    static const char *const prefixes[] = {"GPT2", "Llama", "Mistral", "Qwen2", "Gemma", "Gemma2"};
    const char *head = c->score_heads             ? "ForSequenceClassification"
                       : c->family == FAMILY_GPT2 ? "LMHeadModel"
                                                  : "ForCausalLM";
    char *name = xprintf("%s%s", prefixes[c->family], head);

    node_add_text(map, "model_type", config_family_name(c->family));
    node_add_text(node_add(map, "architectures", NODE_LIST), NULL, name);
    free(name);
}

/* Padding that texts end in would move the token that Hugging Face reads scores off; without any it reads the
 * last one, of one text at a time. */
static int pad_token(const struct config *c) {
    return c->score_heads && c->pad_token == c->end_token ? -1 : c->pad_token;
}

static struct node *describe(const struct config *c) {
    struct node *map = node_new(NODE_MAP);

    write_architecture(map, c);
    if (c->family == FAMILY_GPT2)
        write_gpt2(map, c);
    else
        write_rotary(map, c);
    node_add_number(map, "vocab_size", c->vocab);
    node_add_bool(map, "tie_word_embeddings", c->tied);
    if (c->score_heads) node_add_number(map, "num_labels", c->score_heads);
    if (c->score_heads) node_add_text(map, "pooling", "last");
    write_token(map, "bos_token_id", c->begin_token);
    write_token(map, "eos_token_id", c->end_token);
    if (pad_token(c) >= 0) node_add_number(map, "pad_token_id", c->pad_token);
    return map;
}

/* Whether Hugging Face has a model of these settings. */
static int nameable(const struct config *c) {
    if (c->family != FAMILY_GPT2)
        return c->rotary && c->rms_norm && c->gated && c->qkv_biases == (c->family == FAMILY_QWEN2);
    return !c->rotary && !c->rms_norm && !c->gated && c->biases && c->kv_heads == c->heads &&
           c->head_size * c->heads == c->width;
}

int config_write(const struct config *config, const char *path, struct error *err) {
    struct node *map;
    int status;

    if (config_check(config, err)) return -1;
    if (!nameable(config))
        return fail(err, "%s: config.json cannot say this mixture of GPT-2's and Llama's parts", path);
    map = describe(config);
    status = document_write(path, map, err);
    node_free(map);
    return status;
}
