#include "models/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_part(struct parts *parts, const struct tensor *tensor, int row, int rows) {
    parts->items[parts->count] = (struct part){.tensor = tensor, .row = row, .rows = rows};
    memcpy(parts->items[parts->count++].name, tensor->name, sizeof tensor->name);
}

/* The part's name is the tensor's with one word replaced. */
static struct part *add_renamed(struct parts *parts, const struct tensor *tensor, const char *word,
                                const char *replacement, int row, int rows) {
    const char *found = strstr(tensor->name, word);
    struct part *part = &parts->items[parts->count];

    add_part(parts, tensor, row, rows);
    snprintf(part->name, sizeof part->name, "%.*s%s%s", (int)(found - tensor->name), tensor->name,
             replacement, found + strlen(word));
    return part;
}

static void add_gpt2(struct parts *parts, const struct tensor *tensor, int gguf) {
    add_part(parts, tensor, 0, tensor->rows);
    parts->items[parts->count - 1].transposed =
        !gguf && tensor->rank == 2 && strstr(tensor->name, ".c_") != NULL;
}

/* GGUF's architecture "llama", which Mistral's files have too, turns neighbours where Hugging Face turns
 * halves; it counts Gemma's norms from 0. */
static void add_llama(struct parts *parts, const struct config *config, const struct tensor *tensor,
                      int gguf) {
    int queries = config->heads * config->head_size, keys = config->kv_heads * config->head_size;
    int interleaved = gguf && (config->family == FAMILY_LLAMA || config->family == FAMILY_MISTRAL);
    int turned = interleaved ? config->head_size : 0;

    if (strstr(tensor->name, "qkv_proj")) {
        add_renamed(parts, tensor, "qkv_proj", "q_proj", 0, queries)->head_size = turned;
        add_renamed(parts, tensor, "qkv_proj", "k_proj", queries, keys)->head_size = turned;
        add_renamed(parts, tensor, "qkv_proj", "v_proj", queries + keys, keys);
    } else if (strstr(tensor->name, "gate_up_proj") && config->gated) {
        add_renamed(parts, tensor, "gate_up_proj", "gate_proj", 0, config->ffn);
        add_renamed(parts, tensor, "gate_up_proj", "up_proj", config->ffn, config->ffn);
    } else {
        add_part(parts, tensor, 0, tensor->rows);
        if (!gguf && config->family >= FAMILY_GEMMA && strstr(tensor->name, "norm."))
            parts->items[parts->count - 1].less = 1;
    }
}

static const struct {
    const char *ours, *theirs;
} stems[] = {{"transformer.wte", "token_embd"},
             {"transformer.wpe", "position_embd"},
             {"transformer.ln_f", "output_norm"},
             {"ln_1", "attn_norm"},
             {"attn.c_attn", "attn_qkv"},
             {"attn.c_proj", "attn_output"},
             {"ln_2", "ffn_norm"},
             {"mlp.c_fc", "ffn_up"},
             {"mlp.c_proj", "ffn_down"},
             {"model.embed_tokens", "token_embd"},
             {"model.norm", "output_norm"},
             {"input_layernorm", "attn_norm"},
             {"self_attn.q_proj", "attn_q"},
             {"self_attn.k_proj", "attn_k"},
             {"self_attn.v_proj", "attn_v"},
             {"self_attn.o_proj", "attn_output"},
             {"post_attention_layernorm", "ffn_norm"},
             {"pre_feedforward_layernorm", "ffn_norm"},
             {"post_feedforward_layernorm", "post_ffw_norm"},
             {"mlp.gate_proj", "ffn_gate"},
             {"mlp.up_proj", "ffn_up"},
             {"mlp.down_proj", "ffn_down"},
             {"lm_head", "output"}};

/* "model.layers.3.mlp.up_proj.weight" → "blk.3.ffn_up.weight"; a name without another one stays. Where there
 * are norms after attention too, "post_attention_layernorm" is that and not the one before the feed-forward.
 */
static void rename_part(char name[96], int post_norms) {
    char layer[32] = "", *stem = name, *end = strrchr(name, '.'), renamed[96];
    int index, length = 0;

    if (sscanf(name, "model.layers.%d.%n", &index, &length) == 1 ||
        sscanf(name, "transformer.h.%d.%n", &index, &length) == 1) {
        snprintf(layer, sizeof layer, "blk.%d.", index);
        stem += length;
    }
    if (post_norms && strncmp(stem, "post_attention_layernorm", (size_t)(end - stem)) == 0) {
        snprintf(name, 96, "%spost_attention_norm.weight", layer);
        return;
    }
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++)
        if (strncmp(stem, stems[i].ours, (size_t)(end - stem)) == 0 && !stems[i].ours[end - stem]) {
            snprintf(renamed, sizeof renamed, "%s%s%s", layer, stems[i].theirs, end);
            memcpy(name, renamed, sizeof renamed);
            return;
        }
}

struct parts parts_of(const struct model *model, int gguf) {
    struct parts parts = {xcalloc((size_t)model->count * 3, sizeof *parts.items), 0};

    for (int i = 0; i < model->count; i++)
        if (model->config.family == FAMILY_GPT2)
            add_gpt2(&parts, &model->tensors[i], gguf);
        else
            add_llama(&parts, &model->config, &model->tensors[i], gguf);
    for (int i = 0; i < parts.count; i++) {
        parts.items[i].kernels = model->kernels;
        if (gguf) rename_part(parts.items[i].name, model->config.post_norms);
    }
    return parts;
}

size_t part_size(const struct part *part) {
    return (size_t)part->rows * (size_t)part->tensor->cols;
}

void part_shape(const struct part *part, int64_t shape[2]) {
    shape[part->transposed] = part->rows;
    shape[!part->transposed] = part->tensor->cols;
}

/* score.weight; OpenRLHF; DeepSpeed-Chat; TRL's models with a value head; safe-rlhf and align-anything. */
static const char *const heads[] = {"score.weight", "value_head.weight", "v_head.weight",
                                    "v_head.summary.weight", "score_head.weight"};

static const struct stored *find_head(const struct weights *weights) {
    const struct stored *found = NULL;

    for (size_t i = 0; i < sizeof heads / sizeof *heads && !found; i++)
        found = weights_find(weights, heads[i]);
    return found;
}

int parts_score_heads(const struct weights *weights) {
    const struct stored *head = weights_find(weights, heads[0]) ? NULL : find_head(weights);

    return head && head->rank == 2 && head->shape[0] < 1 << 24 ? (int)head->shape[0] : 0;
}

static const struct stored *find_prefixed(const struct weights *weights, const char *prefix,
                                          const char *name) {
    char *full = xprintf("%s%s", prefix, name);
    const struct stored *found = weights_find(weights, full);

    free(full);
    return found;
}

/* GPT-2 files of base models leave out "transformer.", and those of Llama "model."; DeepSpeed-Chat's reward
 * models have "rwtransformer." instead, TRL's models with a value head may have "pretrained_model." before
 * it. */
static const struct stored *find_part(const struct weights *weights, const char *name) {
    const struct stored *found = weights_find(weights, name);
    const char *bare = strchr(name, '.');

    if (!found && strcmp(name, heads[0]) == 0) return find_head(weights);
    if (!found) found = find_prefixed(weights, "pretrained_model.", name);
    if (found || (strncmp(name, "transformer.", 12) && strncmp(name, "model.", 6))) return found;
    found = weights_find(weights, bare + 1);
    return found ? found : find_prefixed(weights, "rwtransformer.", bare + 1);
}

/* Masks, frequencies and a second copy of a tied head, which files may hold and nothing needs. */
static int is_spare(const char *name, const struct config *config) {
    if (config->tied && (text_ends(name, "lm_head.weight") || strcmp(name, "output.weight") == 0)) return 1;
    if (config->rope_scaling == ROPE_LLAMA3 && strcmp(name, "rope_freqs.weight") == 0) return 1;
    return text_ends(name, ".attn.bias") || text_ends(name, ".attn.masked_bias") ||
           text_ends(name, ".rotary_emb.inv_freq");
}

/* Heads of some trainers have an offset; ours have none, and need none where it is 0. */
static int check_offset(const struct stored *tensor, struct error *err) {
    float offset[64];
    size_t count = tensor->rank == 1 && tensor->shape[0] <= 64 ? (size_t)tensor->shape[0] : 64;

    if (stored_floats(tensor, offset, count, err)) return -1;
    for (size_t i = 0; i < count; i++)
        if (offset[i] != 0)
            return fail(
                err,
                "tensor \"%s\" adds %g to every score, and this program's heads have no offset: subtract "
                "it from what you compare with, and set it to 0",
                tensor->name, offset[i]);
    return 0;
}

static int check_left_over(const struct stored *tensor, const struct config *config, struct error *err) {
    if (is_spare(tensor->name, config)) return 0;
    if (config->score_heads &&
        (text_ends(tensor->name, "v_head.summary.bias") || text_ends(tensor->name, "score_head.bias") ||
         text_ends(tensor->name, "v_head.bias")))
        return check_offset(tensor, err);
    return fail(err, "tensor \"%s\" belongs to no part of the model that is described", tensor->name);
}

static int check_shape(const struct stored *found, const struct part *part, struct error *err) {
    char has[200], wants[200];
    int64_t shape[2];

    part_shape(part, shape);
    if (found->rank == part->tensor->rank && found->shape[0] == shape[0] &&
        (found->rank == 1 || found->shape[1] == shape[1]))
        return 0;
    return fail(err, "tensor \"%s\" is of the shape %s, and not %s as the model's description implies",
                found->name, shape_text(has, found->shape, found->rank),
                shape_text(wants, shape, part->tensor->rank));
}

static int check_missing(const struct part *part, int headless, struct error *err) {
    if (strcmp(part->name, heads[0])) return fail(err, "tensor \"%s\" is missing", part->name);
    if (headless) return 0;
    return fail(err, "tensor \"%s\" is missing: pyrite convert --init-head writes a model with a new one",
                part->name);
}

static int by_address(const void *a, const void *b) {
    const struct stored *x = *(const struct stored *const *)a, *y = *(const struct stored *const *)b;

    return x < y ? -1 : x > y;
}

int parts_check(const struct parts *parts, const struct weights *weights, const struct config *config,
                int headless, struct error *err) {
    const struct stored **used = xcalloc((size_t)parts->count, sizeof *used);
    int status = 0, count = 0;

    for (int i = 0; i < parts->count && status == 0; i++) {
        const struct stored *found = find_part(weights, parts->items[i].name);

        if (!found) {
            status = check_missing(&parts->items[i], headless, err);
            continue;
        }
        used[count++] = found;
        status = check_shape(found, &parts->items[i], err);
    }
    qsort(used, (size_t)count, sizeof *used, by_address);
    for (int i = 0; i < weights->count && status == 0; i++) {
        const struct stored *tensor = weights->items[i];

        if (!bsearch(&tensor, used, (size_t)count, sizeof *used, by_address))
            status = check_left_over(tensor, config, err);
    }
    free(used);
    return status;
}

/* out[cols][rows] of in[rows][cols] */
static void transpose(float *out, const float *in, int rows, int cols) {
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) out[(size_t)c * rows + r] = in[(size_t)r * cols + c];
}

/* Of each head the file has row j of the first half before row j of the second. */
static void turn(float *ours, float *theirs, const struct part *part, int reading) {
    size_t cols = (size_t)part->tensor->cols;
    int half = part->head_size / 2;

    for (int row = 0; row < part->rows; row++) {
        int in = row % part->head_size;
        float *a = ours + (size_t)row * cols;
        float *b = theirs + (size_t)(row - in + in % half * 2 + in / half) * cols;

        memcpy(reading ? a : b, reading ? b : a, cols * sizeof *a);
    }
}

static void read_layout(const struct part *part, float *out, float *in) {
    if (part->transposed)
        transpose(out, in, part->tensor->cols, part->rows);
    else
        turn(out, in, part, 1);
}

static int read_floats(const struct stored *found, const struct part *part, float *out, struct error *err) {
    size_t size = part_size(part);
    float *as_stored;
    int status;

    if (part->transposed || part->head_size) {
        as_stored = xmalloc(size * sizeof *as_stored);
        status = stored_floats(found, as_stored, size, err);
        if (status == 0) read_layout(part, out, as_stored);
        free(as_stored);
    } else {
        status = stored_floats(found, out, size, err);
    }
    for (size_t i = 0; i < size && part->less != 0 && status == 0; i++) out[i] += part->less;
    return status;
}

static float *part_data(const struct part *part) {
    return part->tensor->data + (size_t)part->row * part->tensor->cols;
}

int parts_read(const struct parts *parts, const struct weights *weights, struct error *err) {
    int status = 0;

    for (int i = 0; i < parts->count && status == 0; i++) {
        const struct part *part = &parts->items[i];
        const struct stored *found = find_part(weights, part->name);
        size_t bytes = part_size(part) * sizeof(float);
        float *view;

        if (!found) continue;
        view = part->kernels->map(part_data(part), bytes, 0);
        status = read_floats(found, part, view, err);
        part->kernels->unmap(part_data(part), view, bytes, !status);
    }
    return status;
}

float *part_numbers(const void *context) {
    const struct part *part = context;
    size_t size = part_size(part), bytes = size * sizeof(float);
    float *out = xmalloc(bytes), *view = part->kernels->map(part_data(part), bytes, 1);

    if (part->transposed)
        transpose(out, view, part->rows, part->tensor->cols);
    else if (part->head_size)
        turn(view, out, part, 0);
    else
        memcpy(out, view, bytes);
    part->kernels->unmap(part_data(part), view, bytes, 0);
    for (size_t i = 0; i < size && part->less != 0; i++) out[i] -= part->less;
    if (!part->kernels->sync()) return out;
    free(out);
    return NULL;
}
