#include "models/model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/rng.h"
#include "models/safetensors.h"

#define ALIGNED 16 /* floats: tensors begin on 64-byte boundaries */

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
    return config->rotary ? &llama : &gpt2;
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

static void add_linear(struct model *model, struct tensor **weight, struct tensor **bias, int outs, int ins,
                       const char *where, const char *name) {
    *weight = add_tensor(model, outs, ins, "%s%s.weight", where, name);
    if (model->config.biases) *bias = add_tensor(model, outs, 0, "%s%s.bias", where, name);
}

static void add_layer(struct model *model, int index) {
    const struct names *names = names_of(&model->config);
    const struct config *c = &model->config;
    struct layer *layer = &model->layers[index];
    char where[64];

    snprintf(where, sizeof where, "%s.%d.", names->layer, index);
    add_norm(model, &layer->norm1, &layer->norm1_bias, where, names->norm1);
    add_linear(model, &layer->qkv, &layer->qkv_bias, (c->heads + 2 * c->kv_heads) * c->head_size, c->width,
               where, names->qkv);
    add_linear(model, &layer->proj, &layer->proj_bias, c->width, c->heads * c->head_size, where, names->proj);
    add_norm(model, &layer->norm2, &layer->norm2_bias, where, names->norm2);
    add_linear(model, &layer->up, &layer->up_bias, c->gated ? 2 * c->ffn : c->ffn, c->width, where,
               names->up);
    add_linear(model, &layer->down, &layer->down_bias, c->width, c->ffn, where, names->down);
}

/* The table of tensors, without their memory. */
static struct model *lay_out(const struct config *config, const struct kernels *kernels) {
    const struct names *names = names_of(config);
    struct model *model = xcalloc(1, sizeof *model);

    model->config = *config;
    model->kernels = kernels;
    model->layers = xcalloc((size_t)config->layers, sizeof *model->layers);
    model->tensors = xcalloc((size_t)config->layers * 12 + 6, sizeof *model->tensors);
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

static void place_data(struct model *model) {
    float *next = model->data;

    for (int i = 0; i < model->count; i++) {
        model->tensors[i].data = next;
        next += tensor_room(&model->tensors[i]);
    }
}

/* Whether products multiply by this tensor. */
static int is_weight(const struct model *model, const struct tensor *tensor) {
    if (tensor == model->embedding) return model->config.tied;
    return tensor->rank == 2 && tensor != model->positions;
}

static size_t layout_bytes(const struct model *model, const struct tensor *tensor, int turned) {
    size_t bytes =
        is_weight(model, tensor) ? model->kernels->pack_size(tensor->rows, tensor->cols, turned) : 0;

    return (bytes + 63) / 64 * 64;
}

/* One layout of all weights; what it needs on this backend may be nothing. */
static int make_layout(struct model *model, void **memory, int turned, struct error *err) {
    size_t bytes = 0;
    char *next;

    for (int i = 0; i < model->count; i++) bytes += layout_bytes(model, &model->tensors[i], turned);
    if (*memory || bytes == 0) return 0;
    next = *memory = model->kernels->alloc(bytes);
    if (!next) return fail(err, "no memory for the weights as products read them (%zu MiB)", bytes >> 20);
    for (int i = 0; i < model->count; i++) {
        struct tensor *tensor = &model->tensors[i];
        size_t room = layout_bytes(model, tensor, turned);

        if (room && turned) tensor->turned = next;
        if (room && !turned) tensor->packed = next;
        next += room;
    }
    model->stale = 1;
    return 0;
}

int model_ready(struct model *model, int training, struct error *err) {
    const struct kernels *kernels = model->kernels;

    if (make_layout(model, &model->packed, 0, err)) return -1;
    if (training && make_layout(model, &model->turned, 1, err)) return -1;
    if (!model->stale) return 0;
    for (int i = 0; i < model->count; i++) {
        const struct tensor *tensor = &model->tensors[i];

        if (tensor->packed) kernels->pack(tensor->packed, tensor->data, tensor->rows, tensor->cols, 0);
        if (tensor->turned) kernels->pack(tensor->turned, tensor->data, tensor->rows, tensor->cols, 1);
    }
    model->stale = 0;
    return 0;
}

void model_changed(struct model *model) {
    model->stale = 1;
}

static int make_rotary(struct model *model, struct error *err) {
    int half = model->config.head_size / 2;
    size_t bytes = (size_t)model->config.context * (size_t)half * sizeof(float);
    float *cosine, *sine;

    if (!model->config.rotary) return 0;
    model->cosine = model->kernels->alloc(bytes);
    model->sine = model->kernels->alloc(bytes);
    if (!model->cosine || !model->sine)
        return fail(err, "no memory for the rotary tables (%zu MiB)", bytes >> 19);
    cosine = model->kernels->map(model->cosine, bytes, 0);
    sine = model->kernels->map(model->sine, bytes, 0);
    for (int position = 0; position < model->config.context; position++) {
        for (int i = 0; i < half; i++) {
            double angle = position * pow(model->config.rope_theta, -(double)i / half);

            cosine[(size_t)position * half + i] = (float)cos(angle);
            sine[(size_t)position * half + i] = (float)sin(angle);
        }
    }
    model->kernels->unmap(model->cosine, cosine, bytes, 1);
    model->kernels->unmap(model->sine, sine, bytes, 1);
    return 0;
}

static int allocate(struct model *model, struct error *err) {
    for (int i = 0; i < model->count; i++) model->size += tensor_room(&model->tensors[i]);
    model->data = model->kernels->alloc(model->size * sizeof(float));
    if (!model->data) return fail(err, "no memory for the model's parameters (%zu MiB)", model->size >> 18);
    place_data(model);
    return make_rotary(model, err);
}

int model_create(struct model **out, const struct config *config, const struct kernels *kernels,
                 struct error *err) {
    *out = NULL;
    if (config_check(config, err)) return -1;
    *out = lay_out(config, kernels);
    if (allocate(*out, err) == 0) return 0;
    model_free(*out);
    *out = NULL;
    return -1;
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
        draw(model, model->layers[i].proj, residual, seed);
        draw(model, model->layers[i].down, residual, seed);
    }
    fill(model, model->norm, 1);
    if (model->score) draw(model, model->score, score_deviation(model), seed);
    model_changed(model);
}

static int make_head_grad(struct model *model, struct error *err) {
    size_t bytes = tensor_size(model->head) * sizeof(float);

    model->head_grad = model->config.tied ? model->kernels->alloc(bytes) : model->head->grad;
    if (model->head_grad) return 0;
    return fail(err, "no memory for the head's gradient (%zu MiB)", bytes >> 20);
}

int model_train(struct model *model, struct error *err) {
    size_t bytes = model->size * sizeof(float);

    if (model->grad) return 0;
    model->grad = model->kernels->alloc(bytes);
    if (!model->grad) return fail(err, "no memory for the model's gradients (%zu MiB)", bytes >> 20);
    for (int i = 0; i < model->count; i++)
        model->tensors[i].grad = model->grad + (model->tensors[i].data - model->data);
    return make_head_grad(model, err);
}

static void zero_head_grad(struct model *model) {
    model->kernels->zero(model->head_grad, tensor_size(model->head) * sizeof(float));
}

void model_zero_grad(struct model *model) {
    model->kernels->zero(model->grad, model->size * sizeof(float));
    if (model->config.tied) zero_head_grad(model);
}

void model_join_grad(struct model *model) {
    if (!model->config.tied) return;
    model->kernels->add(model->embedding->grad, model->head_grad, tensor_size(model->head));
    zero_head_grad(model);
}

int model_clone(struct model **out, const struct model *model, int heads, int zero_score, uint64_t seed,
                struct error *err) {
    struct config config = model->config;

    config.score_heads = heads;
    if (model_create(out, &config, model->kernels, err)) return -1;
    for (int i = 0; i < model->count; i++)
        if (&model->tensors[i] != model->score)
            model->kernels->copy((*out)->tensors[i].data, model->tensors[i].data,
                                 tensor_size(&model->tensors[i]) * sizeof(float));
    if (heads && !zero_score) draw(*out, (*out)->score, score_deviation(*out), seed);
    return 0;
}

void model_free(struct model *model) {
    if (!model) return;
    if (model->data) model->kernels->free(model->data);
    if (model->grad) model->kernels->free(model->grad);
    if (model->config.tied && model->head_grad) model->kernels->free(model->head_grad);
    if (model->packed) model->kernels->free(model->packed);
    if (model->turned) model->kernels->free(model->turned);
    if (model->cosine) model->kernels->free(model->cosine);
    if (model->sine) model->kernels->free(model->sine);
    free(model->tensors);
    free(model->layers);
    free(model);
}

/* A tensor of the file: some rows of a tensor of ours, transposed where Hugging Face's layer is a Conv1D. */
struct part {
    char name[96];
    const struct tensor *tensor;
    int row, rows, transposed;
};

struct parts {
    struct part *items;
    int count;
};

static void add_part(struct parts *parts, const struct tensor *tensor, int row, int rows) {
    parts->items[parts->count] = (struct part){.tensor = tensor, .row = row, .rows = rows};
    memcpy(parts->items[parts->count++].name, tensor->name, sizeof tensor->name);
}

/* The part's name is the tensor's with one word replaced. */
static void add_renamed(struct parts *parts, const struct tensor *tensor, const char *word,
                        const char *replacement, int row, int rows) {
    const char *found = strstr(tensor->name, word);
    struct part *part = &parts->items[parts->count];

    add_part(parts, tensor, row, rows);
    snprintf(part->name, sizeof part->name, "%.*s%s%s", (int)(found - tensor->name), tensor->name,
             replacement, found + strlen(word));
}

static void add_llama(struct parts *parts, const struct config *config, const struct tensor *tensor) {
    int queries = config->heads * config->head_size, keys = config->kv_heads * config->head_size;

    if (strstr(tensor->name, "qkv_proj")) {
        add_renamed(parts, tensor, "qkv_proj", "q_proj", 0, queries);
        add_renamed(parts, tensor, "qkv_proj", "k_proj", queries, keys);
        add_renamed(parts, tensor, "qkv_proj", "v_proj", queries + keys, keys);
    } else if (strstr(tensor->name, "gate_up_proj") && config->gated) {
        add_renamed(parts, tensor, "gate_up_proj", "gate_proj", 0, config->ffn);
        add_renamed(parts, tensor, "gate_up_proj", "up_proj", config->ffn, config->ffn);
    } else {
        add_part(parts, tensor, 0, tensor->rows);
    }
}

static struct parts parts_of(const struct model *model) {
    struct parts parts = {xcalloc((size_t)model->count * 3, sizeof *parts.items), 0};

    for (int i = 0; i < model->count; i++) {
        const struct tensor *tensor = &model->tensors[i];

        if (model->config.rotary) {
            add_llama(&parts, &model->config, tensor);
        } else {
            add_part(&parts, tensor, 0, tensor->rows);
            parts.items[parts.count - 1].transposed = tensor->rank == 2 && strstr(tensor->name, ".c_");
        }
    }
    return parts;
}

static size_t part_size(const struct part *part) {
    return (size_t)part->rows * (size_t)part->tensor->cols;
}

static float *part_data(const struct part *part) {
    return part->tensor->data + (size_t)part->row * part->tensor->cols;
}

static size_t part_bytes(const struct part *part) {
    return part_size(part) * sizeof(float);
}

/* out[cols][rows] of in[rows][cols] */
static void transpose(float *out, const float *in, int rows, int cols) {
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) out[(size_t)c * rows + r] = in[(size_t)r * cols + c];
}

static void part_shape(const struct part *part, int64_t shape[2]) {
    shape[part->transposed] = part->rows;
    shape[!part->transposed] = part->tensor->cols;
}

static int write_parts(const struct parts *parts, const struct kernels *kernels, const char *path, int bits,
                       struct error *err) {
    struct safetensor_out *items = xcalloc((size_t)parts->count, sizeof *items);
    float **views = xcalloc((size_t)parts->count, sizeof *views);
    float **turned = xcalloc((size_t)parts->count, sizeof *turned);
    struct node *metadata = node_new(NODE_MAP);
    int status;

    for (int i = 0; i < parts->count; i++) {
        const struct part *part = &parts->items[i];

        views[i] = kernels->map(part_data(part), part_bytes(part), 1);
        items[i] = (struct safetensor_out){
            .name = part->name, .rank = part->tensor->rank, .data = views[i], .bits = bits};
        part_shape(part, items[i].shape);
        if (!part->transposed) continue;
        items[i].data = turned[i] = xmalloc(part_bytes(part));
        transpose(turned[i], views[i], part->rows, part->tensor->cols);
    }
    node_add_text(metadata, "format", "pt");
    status = safetensors_write(path, items, parts->count, metadata, err);
    for (int i = 0; i < parts->count; i++) {
        kernels->unmap(part_data(&parts->items[i]), views[i], part_bytes(&parts->items[i]), 0);
        free(turned[i]);
    }
    node_free(metadata);
    free(views);
    free(turned);
    free(items);
    return status;
}

int model_save(const struct model *model, const char *folder, int bits, struct error *err) {
    struct parts parts = parts_of(model);
    char *weights = path_join(folder, "model.safetensors"), *config = path_join(folder, "config.json");
    int status = -1;

    if (config_check(&model->config, err)) goto out;
    if (folder_make(folder, err)) goto out;
    if (config_write(&model->config, config, err)) goto out;
    status = write_parts(&parts, model->kernels, weights, bits, err);
out:
    free(config);
    free(weights);
    free(parts.items);
    return status;
}

/* GPT-2 files of base models leave out "transformer.", and those of Llama "model.". */
static const struct safetensor *find_part(const struct safetensors *file, const char *name) {
    const struct safetensor *found = safetensors_find(file, name);
    const char *dot = strchr(name, '.');

    if (found || (strncmp(name, "transformer.", 12) && strncmp(name, "model.", 6))) return found;
    return safetensors_find(file, dot + 1);
}

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), size = strlen(end);

    return length >= size && strcmp(text + length - size, end) == 0;
}

/* Masks, frequencies and a second copy of a tied head, which files may hold and nothing needs. */
static int is_spare(const char *name, const struct config *config) {
    if (config->tied && strcmp(name, "lm_head.weight") == 0) return 1;
    return ends_with(name, ".attn.bias") || ends_with(name, ".attn.masked_bias") ||
           ends_with(name, ".rotary_emb.inv_freq");
}

static int check_shape(const struct safetensor *found, const struct part *part, struct error *err) {
    int64_t shape[2];

    part_shape(part, shape);
    if (found->rank == part->tensor->rank && found->shape[0] == shape[0] &&
        (found->rank == 1 || found->shape[1] == shape[1]))
        return 0;
    if (part->tensor->rank == 1)
        return fail(err, "tensor \"%s\" is not of the shape [%lld] that config.json implies", part->name,
                    (long long)shape[0]);
    return fail(err, "tensor \"%s\" is not of the shape [%lld, %lld] that config.json implies", part->name,
                (long long)shape[0], (long long)shape[1]);
}

/* Every tensor is there in its shape, and none is left over: before memory is taken for them. */
static int check_parts(const struct safetensors *file, const struct parts *parts, const struct config *config,
                       struct error *err) {
    char *used = xcalloc((size_t)file->count, 1);
    int status = 0;

    for (int i = 0; i < parts->count && status == 0; i++) {
        const struct safetensor *found = find_part(file, parts->items[i].name);

        if (!found)
            status = fail(err, "tensor \"%s\" is missing", parts->items[i].name);
        else
            status = check_shape(found, &parts->items[i], err);
        if (found) used[found - file->items] = 1;
    }
    for (int i = 0; i < file->count && status == 0; i++)
        if (!used[i] && !is_spare(file->items[i].name, config))
            status = fail(err, "tensor \"%s\" belongs to no part of the model that config.json describes",
                          file->items[i].name);
    free(used);
    return status;
}

static int read_floats(const struct safetensors *file, const struct part *part, float *out,
                       struct error *err) {
    const struct safetensor *found = find_part(file, part->name);
    float *turned;
    int status;

    if (!part->transposed) return safetensor_floats(found, out, part_size(part), err);
    turned = xmalloc(part_bytes(part));
    status = safetensor_floats(found, turned, part_size(part), err);
    if (status == 0) transpose(out, turned, part->tensor->cols, part->rows);
    free(turned);
    return status;
}

static int read_part(const struct safetensors *file, const struct part *part, const struct kernels *kernels,
                     struct error *err) {
    float *view = kernels->map(part_data(part), part_bytes(part), 0);
    int status = read_floats(file, part, view, err);

    kernels->unmap(part_data(part), view, part_bytes(part), !status);
    return status;
}

static int read_parts(struct model *model, const struct safetensors *file, struct error *err) {
    struct parts parts = parts_of(model);
    int status = check_parts(file, &parts, &model->config, err);

    if (status == 0) status = allocate(model, err);
    for (int i = 0; i < parts.count && status == 0; i++)
        status = read_part(file, &parts.items[i], model->kernels, err);
    free(parts.items);
    return status;
}

int model_load(struct model **out, const char *folder, const struct kernels *kernels, struct error *err) {
    char *weights = path_join(folder, "model.safetensors"), *path = path_join(folder, "config.json");
    struct safetensors file = {0};
    struct config config;
    int status = -1;

    *out = NULL;
    if (config_read(&config, path, err)) goto out;
    if (safetensors_open(&file, weights, err)) goto out;
    *out = lay_out(&config, kernels);
    status = read_parts(*out, &file, err);
    if (status) fail_within(err, "%s", weights);
out:
    if (status) {
        model_free(*out);
        *out = NULL;
    }
    safetensors_close(&file);
    free(path);
    free(weights);
    return status;
}
