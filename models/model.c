#include "models/model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/ranks.h"
#include "harness/reduction.h"
#include "harness/rng.h"
#include "models/device.h"
#include "models/devices.h"

#define BUCKET  (1 << 18) /* gradients that leave for other ranks at a time, unless devices have their own */
#define ALIGNED 16        /* floats: tensors begin on 64-byte boundaries */

/* Hugging Face's names, without ".weight" and ".bias"; Llama's joined matrices have names of their own. */
static const struct names {
    const char *embedding, *positions, *layer, *norm;
    const char *norm1, *qkv, *proj, *norm2, *up, *down;
} gpt2 = {"transformer.wte", "transformer.wpe", "transformer.h", "transformer.ln_f", "ln_1",
          "attn.c_attn",     "attn.c_proj",     "ln_2",          "mlp.c_fc",         "mlp.c_proj"},
  llama = {"model.embed_tokens", "model.embed_positions", "model.layers",     "model.norm",
           "input_layernorm",    "self_attn.qkv_proj",    "self_attn.o_proj", "post_attention_layernorm",
           "mlp.gate_up_proj",   "mlp.down_proj"};

static const struct names *names_of(const struct config *config) {
    return config->family == FAMILY_GPT2 ? &gpt2 : &llama;
}

/* cols 0: a vector of `rows`. */
static struct tensor *add_tensor(struct model *model, int rows, int cols, const char *format, ...) {
    struct tensor *tensor = &model->tensors[model->count++];
    va_list args;

    va_start(args, format);
    vsnprintf(tensor->name, sizeof tensor->name, format, args);
    va_end(args);
    tensor->rows = rows;
    tensor->cols = cols ? cols : 1;
    tensor->rank = cols ? 2 : 1;
    tensor->decays = cols != 0;
    return tensor;
}

static void add_norm(struct model *model, struct tensor **weight, struct tensor **bias, const char *where,
                     const char *name) {
    *weight = add_tensor(model, model->config.width, 0, "%s%s.weight", where, name);
    if (!model->config.rms_norm) *bias = add_tensor(model, model->config.width, 0, "%s%s.bias", where, name);
}

/* bias NULL: it has none. */
static void add_linear(struct model *model, struct tensor **weight, struct tensor **bias, int outs, int ins,
                       const char *where, const char *name) {
    *weight = add_tensor(model, outs, ins, "%s%s.weight", where, name);
    if (bias) *bias = add_tensor(model, outs, 0, "%s%s.bias", where, name);
}

static void add_layer(struct model *model, int index) {
    const struct names *names = names_of(&model->config);
    const struct config *c = &model->config;
    struct layer *layer = &model->layers[index];
    char where[64];

    snprintf(where, sizeof where, "%s.%d.", names->layer, index);
    add_norm(model, &layer->norm1, &layer->norm1_bias, where, names->norm1);
    add_linear(model, &layer->qkv, c->biases || c->qkv_biases ? &layer->qkv_bias : NULL,
               (c->heads + 2 * c->kv_heads) * c->head_size, c->width, where, names->qkv);
    add_linear(model, &layer->proj, c->biases ? &layer->proj_bias : NULL, c->width, c->heads * c->head_size,
               where, names->proj);
    if (c->post_norms) add_norm(model, &layer->after_attention, NULL, where, "post_attention_layernorm");
    add_norm(model, &layer->norm2, &layer->norm2_bias, where,
             c->post_norms ? "pre_feedforward_layernorm" : names->norm2);
    add_linear(model, &layer->up, c->biases ? &layer->up_bias : NULL, c->gated ? 2 * c->ffn : c->ffn,
               c->width, where, names->up);
    add_linear(model, &layer->down, c->biases ? &layer->down_bias : NULL, c->width, c->ffn, where,
               names->down);
    if (c->post_norms) add_norm(model, &layer->after_hidden, NULL, where, "post_feedforward_layernorm");
}

struct model *model_outline(const struct config *config, const struct kernels *kernels) {
    const struct names *names = names_of(config);
    struct model *model = xcalloc(1, sizeof *model);

    model->config = *config;
    model->kernels = kernels;
    model->layers = xcalloc((size_t)config->layers, sizeof *model->layers);
    model->tensors = xcalloc((size_t)config->layers * (14 + 8) + 6, sizeof *model->tensors);
    model->embedding = add_tensor(model, config->vocab, config->width, "%s.weight", names->embedding);
    if (!config->rotary)
        model->positions = add_tensor(model, config->context, config->width, "%s.weight", names->positions);
    for (int i = 0; i < config->layers; i++) add_layer(model, i);
    add_norm(model, &model->norm, &model->norm_bias, "", names->norm);
    model->head =
        config->tied ? model->embedding : add_tensor(model, config->vocab, config->width, "lm_head.weight");
    if (config->score_heads)
        model->score = add_tensor(model, config->score_heads, config->width, "score.weight");
    return model;
}

static size_t tensor_size(const struct tensor *tensor) {
    return (size_t)tensor->rows * (size_t)tensor->cols;
}

static size_t tensor_room(const struct tensor *tensor) {
    return (tensor_size(tensor) + ALIGNED - 1) / ALIGNED * ALIGNED;
}

/* Adapters' tensors among them. */
static int all_tensors(const struct model *model) {
    return model->count + model->added;
}

/* Whether a tensor has floats for good. */
static int keeps_data(const struct model *model, const struct tensor *tensor) {
    return !tensor->coded || tensor == model->embedding;
}

static void place_data(struct model *model) {
    float *next = model->data;

    for (int i = 0; i < model->count; i++) {
        if (!keeps_data(model, &model->tensors[i])) continue;
        model->tensors[i].data = next;
        next += tensor_room(&model->tensors[i]);
    }
}

/* Whether products multiply by this tensor. */
static int is_weight(const struct model *model, const struct tensor *tensor) {
    if (tensor == model->embedding) return model->config.tied;
    return tensor->rank == 2 && tensor != model->positions;
}

int head_line(const struct config *config, const struct kernels *kernels) {
    int line = config->tied ? kernels->line : 1;

    return (config->vocab + line - 1) / line * line;
}

static size_t head_size(const struct model *model) {
    return (size_t)head_line(&model->config, model->kernels) * (size_t)model->config.width;
}

static size_t layout_bytes(const struct model *model, const struct tensor *tensor, int turned) {
    int rows = tensor == model->head ? head_line(&model->config, model->kernels) : tensor->rows;
    size_t bytes = 0;

    if (tensor->coded && !turned)
        bytes = model->kernels->pack_int8_size(tensor->rows, tensor->cols);
    else if (!tensor->coded && is_weight(model, tensor))
        bytes = model->kernels->pack_size(rows, tensor->cols, turned);
    return (bytes + 63) / 64 * 64;
}

/* Whether products of either direction read one layout. */
static int shares_layout(const struct model *model, const struct tensor *tensor) {
    return tensor->coded || model->kernels->one_layout;
}

/* The parameters of one tensor, and what training it takes. */
static void hold_tensor(double held[HOLDINGS], const struct model *model, const struct tensor *tensor,
                        int training) {
    double bytes = (double)tensor_room(tensor) * sizeof(float);
    int learns = training && !tensor->frozen;

    held[HELD_PARAMETERS] += learns || keeps_data(model, tensor) ? bytes : 0;
    held[HELD_LAYOUTS] += (double)layout_bytes(model, tensor, 0);
    if (training) held[HELD_LAYOUTS] += (double)layout_bytes(model, tensor, 1);
    if (!learns) return;
    held[HELD_GRADIENTS] += bytes;
    held[HELD_MOMENTS] += 2 * bytes / ranks_count();
}

int weight_form_read(enum weight_form *out, const char *text, struct error *err) {
    *out = strcmp(text, "int8") ? WEIGHTS_FULL : WEIGHTS_INT8;
    if (*out == WEIGHTS_INT8 || !strcmp(text, "full")) return 0;
    return fail(err, "weights are full or int8, not '%s'", text);
}

static void set_form(struct model *model, enum weight_form form) {
    model->form = form;
    for (int i = 0; i < model->count; i++)
        model->tensors[i].coded = form == WEIGHTS_INT8 && is_weight(model, &model->tensors[i]) &&
                                  &model->tensors[i] != model->score;
}

int weight_form_check(enum weight_form form, const struct kernels *kernels, struct error *err) {
    if (form != WEIGHTS_INT8 || kernels->pack_int8_size(1, 1)) return 0;
    return fail(err, "the device %s has no products with int8 weights, processors have", kernels->name);
}

int rounding_check(int stochastic, const struct kernels *kernels, struct error *err) {
    if (!stochastic || kernels->operand_bytes == 2) return 0;
    return fail(
        err,
        "stochastic_rounding is of weights in bf16, and the device %s multiplies by weights in single "
        "precision: take cpu-bf16, cuda-bf16 or cuda-cublas, or leave it out",
        kernels->name);
}

int model_set_form(struct model *model, enum weight_form form, struct error *err) {
    if (weight_form_check(form, model->kernels, err)) return -1;
    set_form(model, form);
    return 0;
}

int model_check_full(const struct model *model, const char *what, struct error *err) {
    if (model->form == WEIGHTS_FULL) return 0;
    return fail(err, "a model of int8 weights cannot %s: read it with weights: full", what);
}

size_t model_bytes(const struct config *config, const struct kernels *kernels, int training,
                   const struct adapter_options *adapters) {
    return model_bytes_as(config, kernels, WEIGHTS_FULL, training, adapters);
}

/* Whether the head's gradient has a place of its own, which joins that of the tied embedding in the end: so
 * that micro-batches add up to the bits of one batch, if they do at all. */
static int is_apart(const struct model *model) {
    return model->config.tied && !model->kernels->rows_vary;
}

/* Numbers of a head's gradient behind those of the head: zeros, which products add to what follows. */
static size_t head_excess(const struct model *model) {
    return head_size(model) - tensor_size(model->head);
}

void model_hold(double held[HOLDINGS], const struct config *config, const struct kernels *kernels,
                enum weight_form form, int training, const struct adapter_options *adapters) {
    struct model *model = model_outline(config, kernels);

    set_form(model, form);
    if (adapters) model_outline_adapters(model, adapters);
    for (int i = 0; i < all_tensors(model); i++) hold_tensor(held, model, &model->tensors[i], training);
    if (adapters && model->score) held[HELD_PARAMETERS] += (double)tensor_room(model->score) * sizeof(float);
    if (training && config->tied && !model->head->frozen)
        held[HELD_GRADIENTS] +=
            (double)(is_apart(model) ? head_size(model) : head_excess(model)) * sizeof(float);
    if (config->rotary)
        held[HELD_PARAMETERS] += (double)config->context * (double)config->head_size * sizeof(float);
    model_free(model);
}

size_t model_bytes_as(const struct config *config, const struct kernels *kernels, enum weight_form form,
                      int training, const struct adapter_options *adapters) {
    double held[HOLDINGS] = {0}, bytes = 0;

    model_hold(held, config, kernels, form, training, adapters);
    for (int i = 0; i < HOLDINGS; i++) bytes += held[i];
    return (size_t)bytes;
}

/* One layout of the weights among these tensors; what it needs on this backend may be nothing. */
static int make_layout(struct model *model, void **memory, int from, int to, int turned, struct error *err) {
    size_t bytes = 0;
    char *next;

    for (int i = from; i < to; i++) bytes += layout_bytes(model, &model->tensors[i], turned);
    if (*memory || bytes == 0) return 0;
    next = *memory = model->kernels->alloc(bytes);
    if (!next) return device_full(model->kernels, bytes, "the weights as products read them", NULL, err);
    for (int i = from; i < to; i++) {
        struct tensor *tensor = &model->tensors[i];
        size_t room = layout_bytes(model, tensor, turned);

        if (room && (turned || shares_layout(model, tensor))) tensor->turned = next;
        if (room && !turned) tensor->packed = next;
        next += room;
    }
    if (model->stale != STALE) model->stale = from == 0 ? STALE : STALE_LEARNED;
    return 0;
}

/* For pack(): of what learns, once there was an update. */
static uint64_t rounding_key(const struct model *model, int index) {
    struct rng rng =
        rng_stream(model->rounding.seed, "model/rounding", (uint64_t)model->rounding.update, (uint64_t)index);
    uint64_t high = rng_u32(&rng), low = rng_u32(&rng);

    return model->rounding.update && !model->tensors[index].frozen ? high << 32 | low : 0;
}

int model_ready(struct model *model, int training, struct error *err) {
    const struct kernels *kernels = model->kernels;
    int count = model->count, all = all_tensors(model);

    if (make_layout(model, &model->packed, 0, count, 0, err)) return -1;
    if (make_layout(model, &model->packed_added, count, all, 0, err)) return -1;
    if (training && make_layout(model, &model->turned, 0, count, 1, err)) return -1;
    if (training && make_layout(model, &model->turned_added, count, all, 1, err)) return -1;
    for (int i = 0; i < all && model->stale; i++) {
        const struct tensor *tensor = &model->tensors[i];
        uint64_t key = rounding_key(model, i);

        if (tensor->coded || (model->stale == STALE_LEARNED && tensor->frozen)) continue;
        if (tensor->packed) kernels->pack(tensor->packed, tensor->data, key, tensor->rows, tensor->cols, 0);
        if (tensor->turned && tensor->turned != tensor->packed)
            kernels->pack(tensor->turned, tensor->data, key, tensor->rows, tensor->cols, 1);
    }
    model->stale = FRESH;
    return 0;
}

const float *tensor_factors(const struct tensor *tensor) {
    return tensor->coded ? NULL : tensor->data;
}

void model_changed(struct model *model) {
    model->stale = STALE;
}

void model_learned_changed(struct model *model) {
    if (model->stale == FRESH) model->stale = STALE_LEARNED;
}

void model_round(struct model *model, uint64_t seed, int update) {
    model->rounding.seed = seed;
    model->rounding.update = update;
    model_learned_changed(model);
}

static int make_rotary(struct model *model, struct error *err) {
    int half = model->config.head_size / 2;
    size_t bytes = (size_t)model->config.context * (size_t)half * sizeof(float);
    float *cosine, *sine;

    if (!model->config.rotary) return 0;
    model->cosine = model->kernels->alloc(bytes);
    model->sine = model->kernels->alloc(bytes);
    if (!model->cosine || !model->sine)
        return device_full(model->kernels, 2 * bytes, "the rotary tables", NULL, err);
    cosine = model->kernels->map(model->cosine, bytes, 0);
    sine = model->kernels->map(model->sine, bytes, 0);
    for (int position = 0; position < model->config.context; position++) {
        for (int i = 0; i < half; i++) {
            double angle = position * config_rope_frequency(&model->config, i);

            cosine[(size_t)position * half + i] = (float)cos(angle);
            sine[(size_t)position * half + i] = (float)sin(angle);
        }
    }
    model->kernels->unmap(model->cosine, cosine, bytes, 1);
    model->kernels->unmap(model->sine, sine, bytes, 1);
    return 0;
}

int model_allocate(struct model *model, struct error *err) {
    for (int i = 0; i < model->count; i++)
        if (keeps_data(model, &model->tensors[i])) model->size += tensor_room(&model->tensors[i]);
    model->data = model->kernels->alloc(model->size * sizeof(float));
    if (!model->data)
        return device_full(model->kernels, model->size * sizeof(float), "the model's parameters", NULL, err);
    place_data(model);
    model->learned = model->data;
    model->learned_size = model->size;
    if (model->form == WEIGHTS_INT8 && make_layout(model, &model->packed, 0, model->count, 0, err)) return -1;
    return make_rotary(model, err);
}

int model_open_tensor(struct model *model, struct tensor *tensor, struct error *err) {
    size_t bytes = tensor_size(tensor) * sizeof(float);

    if (tensor->data) return 0;
    tensor->data = model->kernels->alloc(bytes);
    return tensor->data ? 0 : device_full(model->kernels, bytes, tensor->name, NULL, err);
}

/* As the files have it, of which scales can be made. */
static int check_finite(const struct tensor *tensor, struct error *err) {
    for (size_t i = 0; i < tensor_size(tensor); i++)
        if (!isfinite(tensor->data[i]))
            return fail(err, "tensor \"%s\" holds %g, which int8 has not", tensor->name, tensor->data[i]);
    return 0;
}

int model_close_tensor(struct model *model, struct tensor *tensor, int is_read, struct error *err) {
    int status;

    if (!tensor->coded || !tensor->data) return 0;
    status = is_read ? check_finite(tensor, err) : -1;
    if (status == 0) model->kernels->pack_int8(tensor->packed, tensor->data, tensor->rows, tensor->cols);
    if (keeps_data(model, tensor)) return status;
    model->kernels->free(tensor->data);
    tensor->data = NULL;
    return status;
}

int model_place_learned(struct model *model, struct error *err) {
    size_t size = 0;
    float *next;

    for (int i = 0; i < all_tensors(model); i++)
        if (!model->tensors[i].frozen) size += tensor_room(&model->tensors[i]);
    next = model->kernels->alloc(size * sizeof *next);
    if (!next) return device_full(model->kernels, size * sizeof *next, "the adapters", NULL, err);
    model->learned = next;
    model->learned_size = size;
    for (int i = model->count; i < all_tensors(model); i++) {
        model->tensors[i].data = next;
        next += tensor_room(&model->tensors[i]);
    }
    if (model->score) {
        model->kernels->copy(next, model->score->data, tensor_size(model->score) * sizeof *next);
        model->score->data = next;
    }
    return 0;
}

static void free_adapters(struct model *model) {
    const struct kernels *kernels = model->kernels;

    if (model->learned && model->learned != model->data) kernels->free(model->learned);
    if (model->packed_added) kernels->free(model->packed_added);
    if (model->turned_added) kernels->free(model->turned_added);
    free(model->adapters);
}

void model_drop_adapters(struct model *model) {
    const float *score = model->score ? model->score->data : NULL;

    place_data(model);
    if (score) model->kernels->copy(model->score->data, score, tensor_size(model->score) * sizeof *score);
    free_adapters(model);
    for (int i = 0; i < all_tensors(model); i++) {
        model->tensors[i].frozen = 0;
        model->tensors[i].adapter = NULL;
    }
    memset(model->tensors + model->count, 0, (size_t)model->added * sizeof *model->tensors);
    model->learned = model->data;
    model->learned_size = model->size;
    model->packed_added = model->turned_added = NULL;
    model->adapters = NULL;
    model->added = model->adapter_count = 0;
    model_changed(model);
}

float *model_learned_copy(const struct model *model) {
    size_t bytes = model->learned_size * sizeof(float);
    float *out = xmalloc(bytes), *view = model->kernels->map(model->learned, bytes, 1);

    memcpy(out, view, bytes);
    model->kernels->unmap(model->learned, view, bytes, 0);
    return out;
}

void model_learned_set(struct model *model, const float *numbers) {
    size_t bytes = model->learned_size * sizeof(float);
    float *view = model->kernels->map(model->learned, bytes, 0);

    memcpy(view, numbers, bytes);
    model->kernels->unmap(model->learned, view, bytes, 1);
    model_learned_changed(model);
}

static int create(struct model **out, const struct config *config, const struct kernels *kernels,
                  enum weight_form form, struct error *err) {
    *out = NULL;
    if (config_check(config, err)) return -1;
    *out = model_outline(config, kernels);
    set_form(*out, form);
    if (model_allocate(*out, err) == 0) return 0;
    model_free(*out);
    *out = NULL;
    return -1;
}

int model_create(struct model **out, const struct config *config, const struct kernels *kernels,
                 struct error *err) {
    return create(out, config, kernels, WEIGHTS_FULL, err);
}

static void fill(const struct model *model, struct tensor *tensor, float value) {
    size_t size = tensor_size(tensor);
    float *data = model->kernels->map(tensor->data, size * sizeof *data, 0);

    for (size_t i = 0; i < size; i++) data[i] = value;
    model->kernels->unmap(tensor->data, data, size * sizeof *data, 1);
}

static void draw(const struct model *model, struct tensor *tensor, double deviation, uint64_t seed) {
    struct rng rng = rng_stream(seed, tensor->name, 0, 0);
    size_t size = tensor_size(tensor);
    float *data = model->kernels->map(tensor->data, size * sizeof *data, 0);

    for (size_t i = 0; i < size; i++) data[i] = (float)(deviation * rng_normal(&rng));
    model->kernels->unmap(tensor->data, data, size * sizeof *data, 1);
}

static double score_deviation(const struct model *model) {
    return 1 / sqrt(model->config.width + 1.0);
}

void model_init_score(struct model *model, uint64_t seed) {
    if (model->score) draw(model, model->score, score_deviation(model), seed);
}

void model_init(struct model *model, uint64_t seed) {
    double deviation = 1 / sqrt(3.0 * model->config.width);
    double residual = deviation / sqrt(2.0 * model->config.layers);

    for (int i = 0; i < model->count; i++) {
        struct tensor *tensor = &model->tensors[i];

        if (tensor->rank == 2)
            draw(model, tensor, deviation, seed);
        else
            fill(model, tensor, 0);
    }
    for (int i = 0; i < model->config.layers; i++) {
        fill(model, model->layers[i].norm1, 1);
        fill(model, model->layers[i].norm2, 1);
        if (model->config.post_norms) fill(model, model->layers[i].after_attention, 1);
        if (model->config.post_norms) fill(model, model->layers[i].after_hidden, 1);
        draw(model, model->layers[i].proj, residual, seed);
        draw(model, model->layers[i].down, residual, seed);
    }
    fill(model, model->norm, 1);
    model_init_score(model, seed);
    model_changed(model);
}

static int make_head_grad(struct model *model, struct error *err) {
    size_t bytes = head_size(model) * sizeof(float);

    if (model->head->frozen) return 0;
    model->head_grad = is_apart(model) ? model->kernels->alloc(bytes) : model->head->grad;
    if (model->head_grad) return 0;
    return device_full(model->kernels, bytes, "the head's gradient", "lora", err);
}

/* Where kernel memory is not the host's, the devices add up. */
static int open_reduction(struct model *model, struct error *err) {
    const struct reducer *devices = devices_reducer(model->kernels);

    return reduction_open(&model->reduction, model->grad, model->learned_size,
                          devices ? model->kernels->collective->bucket : BUCKET, devices, err);
}

int model_train(struct model *model, struct error *err) {
    size_t bytes = (model->learned_size + head_excess(model)) * sizeof(float);

    if (model->grad) return 0;
    if (!model->added && model_check_full(model, "be trained without adapters", err)) return -1;
    model->grad = model->kernels->alloc(bytes);
    if (!model->grad) return device_full(model->kernels, bytes, "the model's gradients", "lora", err);
    for (int i = 0; i < all_tensors(model); i++)
        if (!model->tensors[i].frozen)
            model->tensors[i].grad = model->grad + (model->tensors[i].data - model->learned);
    if (open_reduction(model, err)) return -1;
    return make_head_grad(model, err);
}

static void zero_head_grad(struct model *model) {
    model->kernels->zero(model->head_grad, head_size(model) * sizeof(float));
}

void model_zero_grad(struct model *model) {
    model->kernels->zero(model->grad, model->learned_size * sizeof(float));
    model->adapters_done = 0;
    if (is_apart(model) && model->head_grad) zero_head_grad(model);
}

/* Of each part's rows the columns of the others become 0, and all of rows without a part. */
static void keep_blocks(const struct model *model, const struct adapter *adapter) {
    const struct tensor *b = adapter->b;
    int row = 0;

    for (int p = 0; p <= adapter->part_count; p++) {
        const struct adapter_part *part = &adapter->parts[p];
        int next = p < adapter->part_count ? part->row : b->rows;

        model->kernels->zero(b->grad + (size_t)row * b->cols,
                             (size_t)(next - row) * (size_t)b->cols * sizeof(float));
        if (p == adapter->part_count) return;
        model->kernels->keep_columns(b->grad + (size_t)part->row * b->cols, part->rows, b->cols,
                                     part->rank_from, part->rank_from + adapter->rank);
        row = part->row + part->rows;
    }
}

/* The first adapter of the layer, or of one above it; how many there are if there is none. */
static int layer_adapter(const struct model *model, int layer) {
    for (; layer < model->config.layers; layer++)
        for (enum joined joined = 0; joined < JOINED; joined++) {
            const struct tensor *tensor = joined_tensor(&model->layers[layer], joined);

            if (tensor->adapter) return (int)(tensor->adapter - model->adapters);
        }
    return model->adapter_count;
}

/* Makes the gradients of adapters whole, from the last to `first`, each once in an update. */
static void finish_adapters(struct model *model, int first) {
    for (; model->adapter_count - model->adapters_done > first; model->adapters_done++)
        keep_blocks(model, &model->adapters[model->adapter_count - model->adapters_done - 1]);
}

/* What is learned stands in the order of layers, the score head behind them. */
void model_layer_done(struct model *model, int layer) {
    const struct tensor *first = model->layers[layer].norm1;
    int adapter = layer_adapter(model, layer);

    finish_adapters(model, adapter);
    if (adapter < model->adapter_count) first = model->adapters[adapter].a;
    if (first->grad) reduction_ready(model->reduction, (size_t)(first->grad - model->grad));
}

void model_join_grad(struct model *model) {
    finish_adapters(model, 0);
    model->adapters_done = 0;
    if (!is_apart(model) || !model->head_grad) return;
    model->kernels->add(model->embedding->grad, model->head_grad, tensor_size(model->head));
    zero_head_grad(model);
}

void model_copy(struct model *model, const struct model *from) {
    const struct kernels *kernels = model->kernels;

    for (int i = 0; i < from->count; i++) {
        const struct tensor *source = &from->tensors[i], *to = &model->tensors[i];

        if (source == from->score) continue;
        if (source->data) kernels->copy(to->data, source->data, tensor_size(source) * sizeof(float));
        if (source->coded) kernels->copy(to->packed, source->packed, layout_bytes(from, source, 0));
    }
    model_changed(model);
}

int model_clone(struct model **out, const struct model *model, int heads, int zero_score, uint64_t seed,
                struct error *err) {
    struct config config = model->config;

    config.score_heads = heads;
    if (create(out, &config, model->kernels, model->form, err)) return -1;
    model_copy(*out, model);
    if (!zero_score) model_init_score(*out, seed);
    return 0;
}

void model_free(struct model *model) {
    if (!model) return;
    free_adapters(model);
    if (model->data) model->kernels->free(model->data);
    reduction_close(model->reduction);
    if (model->grad) model->kernels->free(model->grad);
    if (is_apart(model) && model->head_grad) model->kernels->free(model->head_grad);
    if (model->packed) model->kernels->free(model->packed);
    if (model->turned) model->kernels->free(model->turned);
    if (model->cosine) model->kernels->free(model->cosine);
    if (model->sine) model->kernels->free(model->sine);
    free(model->tensors);
    free(model->layers);
    free(model);
}
