#include "models/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"

#define MOST_LAYERS 4096
#define MOST_SIZE   (1 << 24) /* of any one dimension */

int config_family(struct config *config, const char *family, struct error *err) {
    *config = (struct config){.norm_eps = 1e-5f, .rope_theta = 10000};
    if (strcmp(family, "gpt2") == 0) {
        config->biases = config->tied = 1;
        return 0;
    }
    if (strcmp(family, "llama") == 0) {
        config->rms_norm = config->rotary = config->gated = 1;
        return 0;
    }
    return fail(err, "there is no model family \"%s\": expected gpt2 or llama", family);
}

static int check_size(const char *name, int value, int low, int high, struct error *err) {
    if (value >= low && value <= high) return 0;
    return fail(err, "the model's %s is %d: expected %d to %d", name, value, low, high);
}

int config_check(const struct config *c, struct error *err) {
    if (check_size("vocab", c->vocab, 1, MOST_SIZE, err)) return -1;
    if (check_size("context", c->context, 1, MOST_SIZE, err)) return -1;
    if (check_size("number of layers", c->layers, 1, MOST_LAYERS, err)) return -1;
    if (check_size("width", c->width, 1, MOST_SIZE, err)) return -1;
    if (check_size("number of heads", c->heads, 1, MOST_LAYERS, err)) return -1;
    if (check_size("number of key-value heads", c->kv_heads, 1, c->heads, err)) return -1;
    if (check_size("head size", c->head_size, 1, MOST_LAYERS, err)) return -1;
    if (check_size("ffn", c->ffn, 1, MOST_SIZE, err)) return -1;
    if (check_size("number of score heads", c->score_heads, 0, MOST_LAYERS, err)) return -1;
    if (c->heads % c->kv_heads)
        return fail(err, "%d heads cannot share %d key-value heads evenly: expected a divisor of the heads",
                    c->heads, c->kv_heads);
    if (c->rotary && c->head_size % 2)
        return fail(err, "the head size is %d: rotary positions need an even one", c->head_size);
    if (!(c->norm_eps > 0) || c->norm_eps >= 1)
        return fail(err, "the norm's epsilon is %g: expected a number in (0, 1)", c->norm_eps);
    if (c->rotary && (!(c->rope_theta > 0) || !isfinite(c->rope_theta)))
        return fail(err, "rope_theta is %g: expected a positive number", c->rope_theta);
    return 0;
}

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
    if (config_family(c, "gpt2", err)) return -1;
    if (read_size(map, "n_embd", NULL, NAN, &c->width, err)) return -1;
    if (read_size(map, "n_layer", NULL, NAN, &c->layers, err)) return -1;
    if (read_size(map, "n_head", NULL, NAN, &c->heads, err)) return -1;
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

static int read_rope(struct config *c, const struct node *map, struct error *err) {
    const struct node *scaling = node_get(map, "rope_parameters");

    if (!scaling || scaling->kind != NODE_MAP) scaling = node_get(map, "rope_scaling");
    if (read_float(map, "rope_theta", c->rope_theta, &c->rope_theta, err)) return -1;
    if (!scaling || scaling->kind != NODE_MAP) return 0;
    if (read_float(scaling, "rope_theta", c->rope_theta, &c->rope_theta, err)) return -1;
    if (refuse_text(scaling, "rope_type", "default", err)) return -1;
    return refuse_text(scaling, "type", "default", err);
}

static int read_llama(struct config *c, const struct node *map, struct error *err) {
    if (config_family(c, "llama", err)) return -1;
    if (read_size(map, "hidden_size", NULL, NAN, &c->width, err)) return -1;
    if (read_size(map, "intermediate_size", NULL, NAN, &c->ffn, err)) return -1;
    if (read_size(map, "num_hidden_layers", NULL, NAN, &c->layers, err)) return -1;
    if (read_size(map, "num_attention_heads", NULL, NAN, &c->heads, err)) return -1;
    if (read_size(map, "num_key_value_heads", NULL, c->heads, &c->kv_heads, err)) return -1;
    if (read_size(map, "max_position_embeddings", NULL, NAN, &c->context, err)) return -1;
    if (c->heads == 0) return fail(err, "\"num_attention_heads\" is 0: expected at least 1");
    if (read_size(map, "head_dim", NULL, c->width / c->heads, &c->head_size, err)) return -1;
    if (read_float(map, "rms_norm_eps", 1e-6, &c->norm_eps, err)) return -1;
    if (read_rope(c, map, err)) return -1;
    if (refuse_text(map, "hidden_act", "silu", err)) return -1;
    c->tied = read_truth(map, "tie_word_embeddings", 0);
    c->biases = read_truth(map, "attention_bias", 0);
    if (c->biases != read_truth(map, "mlp_bias", 0))
        return fail(err, "attention_bias and mlp_bias differ: only both or neither is supported");
    return 0;
}

static int scores(const struct node *map) {
    const struct node *names = node_get(map, "architectures");
    const char *name = names && names->first ? names->first->text : NULL;

    return name && strstr(name, "ForSequenceClassification");
}

static int read_any(struct config *c, const struct node *map, struct error *err) {
    const char *type = node_text(map, "model_type", "");
    const struct node *labels = node_get(map, "id2label");
    int status = -1;

    if (strcmp(type, "gpt2") == 0)
        status = read_gpt2(c, map, err);
    else if (strcmp(type, "llama") == 0)
        status = read_llama(c, map, err);
    else
        fail(err, "\"model_type\" is \"%s\": expected gpt2 or llama", type);
    if (status) return -1;
    if (read_size(map, "vocab_size", NULL, NAN, &c->vocab, err)) return -1;
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

static void write_gpt2(struct node *map, const struct config *c) {
    node_add_number(map, "n_embd", c->width);
    node_add_number(map, "n_layer", c->layers);
    node_add_number(map, "n_head", c->heads);
    node_add_number(map, "n_positions", c->context);
    node_add_number(map, "n_inner", c->ffn);
    node_add_text(map, "activation_function", "gelu_new");
}

static void write_llama(struct node *map, const struct config *c) {
    node_add_number(map, "hidden_size", c->width);
    node_add_number(map, "intermediate_size", c->ffn);
    node_add_number(map, "num_hidden_layers", c->layers);
    node_add_number(map, "num_attention_heads", c->heads);
    node_add_number(map, "num_key_value_heads", c->kv_heads);
    node_add_number(map, "head_dim", c->head_size);
    node_add_number(map, "max_position_embeddings", c->context);
    node_add_text(map, "hidden_act", "silu");
    node_add_bool(map, "attention_bias", c->biases);
    node_add_bool(map, "mlp_bias", c->biases);
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

static struct node *describe(const struct config *c) {
    struct node *map = node_new(NODE_MAP);
    struct node *names = node_add(map, "architectures", NODE_LIST);

    node_add_text(map, "model_type", c->rotary ? "llama" : "gpt2");
    if (c->score_heads)
        node_add_text(names, NULL,
                      c->rotary ? "LlamaForSequenceClassification" : "GPT2ForSequenceClassification");
    else
        node_add_text(names, NULL, c->rotary ? "LlamaForCausalLM" : "GPT2LMHeadModel");
    if (c->rotary)
        write_llama(map, c);
    else
        write_gpt2(map, c);
    node_add_number(map, c->rotary ? "rms_norm_eps" : "layer_norm_epsilon", as_spelt(c->norm_eps));
    if (c->rotary) node_add_number(map, "rope_theta", as_spelt(c->rope_theta));
    node_add_number(map, "vocab_size", c->vocab);
    node_add_bool(map, "tie_word_embeddings", c->tied);
    if (c->score_heads) node_add_number(map, "num_labels", c->score_heads);
    node_add_text(map, "bos_token_id", NULL);
    node_add_text(map, "eos_token_id", NULL);
    return map;
}

/* Whether Hugging Face has a model of these settings. */
static int nameable(const struct config *c) {
    if (c->rotary) return c->rms_norm && c->gated;
    return !c->rms_norm && !c->gated && c->biases && c->kv_heads == c->heads &&
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

double config_parameters(const struct config *c) {
    double width = c->width, norm = (c->rms_norm ? 1 : 2) * width;
    double attended = (double)c->heads * c->head_size, up = (c->gated ? 2.0 : 1.0) * c->ffn;
    double qkv = (c->heads + 2.0 * c->kv_heads) * c->head_size;
    double layer = 2 * norm + (qkv + attended + up + c->ffn) * width;

    if (c->biases) layer += qkv + width + up + width;
    return c->vocab * width * (c->tied ? 1 : 2) + (c->rotary ? 0 : c->context * width) + c->layers * layer +
           norm + c->score_heads * width;
}

/* Matrix products with every weight but the embedding tables, and attention over the mean (context + 1) / 2
 * keys. */
double config_flops(const struct config *c, int context) {
    double width = c->width, attended = (double)c->heads * c->head_size;
    double up = (c->gated ? 2.0 : 1.0) * c->ffn, qkv = (c->heads + 2.0 * c->kv_heads) * c->head_size;
    double products = 2 * width * (c->layers * (qkv + attended + up + c->ffn) + c->vocab + c->score_heads);

    return products + c->layers * 4 * attended * (context + 1) / 2;
}
