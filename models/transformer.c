#include "models/transformer.h"

#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "models/trunk.h"

#define ALIGNED 16 /* floats: arrays begin on 64-byte boundaries */

/* Memory handed out from one block; without a base it only counts. */
struct arena {
    float *base;
    size_t used;
};

static float *take(struct arena *arena, size_t count) {
    float *at = arena->base ? arena->base + arena->used : NULL;

    arena->used += (count + ALIGNED - 1) / ALIGNED * ALIGNED;
    return at;
}

static int *take_ints(struct arena *arena, size_t count) {
    return (int *)take(arena, count); /* both have four bytes */
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static int qkv_width(const struct config *config) {
    return (config->heads + 2 * config->kv_heads) * config->head_size;
}

static int up_width(const struct config *config) {
    return config->gated ? 2 * config->ffn : config->ffn;
}

static void take_layer(struct arena *arena, struct activations *out, const struct config *config,
                       size_t count) {
    size_t width = count * config->width;

    out->norm1 = take(arena, width);
    out->mean1 = take(arena, count);
    out->rstd1 = take(arena, count);
    out->qkv = take(arena, count * qkv_width(config));
    out->attention = take(arena, count * config->heads * config->head_size);
    out->logsum = take(arena, count * config->heads);
    out->norm2 = take(arena, width);
    out->mean2 = take(arena, count);
    out->rstd2 = take(arena, count);
    out->up = take(arena, count * up_width(config));
    out->act = take(arena, count * config->ffn);
}

/* Without keep the residual stream is one array that every layer changes in place. */
static void take_layers(struct arena *arena, struct trunk *trunk, const struct config *config, size_t count,
                        int keep) {
    struct activations shared = {0};
    int apart = keep && !trunk->recompute;

    if (!apart) {
        take_layer(arena, &shared, config, count);
        shared.x = shared.middle = take(arena, count * config->width);
    }
    for (int i = 0; i < config->layers; i++) {
        struct activations *layer = &trunk->layers[i];

        *layer = shared;
        if (apart) {
            take_layer(arena, layer, config, count);
            layer->middle = take(arena, count * config->width);
        }
        if (keep) layer->x = take(arena, count * config->width);
    }
    trunk->x = keep ? take(arena, count * config->width) : shared.x;
}

static void take_gradients(struct arena *arena, struct trunk *trunk, const struct config *config,
                           size_t count) {
    size_t heads = (size_t)config->heads * config->head_size;

    trunk->dhidden = take(arena, count * config->width);
    trunk->dx = take(arena, count * config->width);
    trunk->dnorm = take(arena, count * config->width);
    trunk->wide = take(arena, count * larger(up_width(config), qkv_width(config)));
    trunk->narrow = take(arena, count * larger(config->ffn, heads));
}

static void take_head(struct arena *arena, struct trunk *trunk, const struct config *config) {
    trunk->head_x = take(arena, (size_t)HEAD_CHUNK * config->width);
    trunk->head_dx = take(arena, (size_t)HEAD_CHUNK * config->width);
    trunk->logits = take(arena, (size_t)HEAD_CHUNK * larger(config->vocab, config->score_heads));
    trunk->room = (struct head_room){.position = take_ints(arena, HEAD_CHUNK),
                                     .target = take_ints(arena, HEAD_CHUNK),
                                     .best = take_ints(arena, HEAD_CHUNK),
                                     .token = take_ints(arena, HEAD_CHUNK),
                                     .logprob = take(arena, HEAD_CHUNK),
                                     .entropy = take(arena, HEAD_CHUNK),
                                     .slope = take(arena, HEAD_CHUNK),
                                     .entropy_slope = take(arena, HEAD_CHUNK),
                                     .uniform = take(arena, HEAD_CHUNK)};
}

/* Places every array of a pass over `count` tokens in the arena. */
static void take_all(struct arena *arena, struct trunk *trunk, const struct config *config, int rows,
                     int total, int keep) {
    size_t count = (size_t)total;

    trunk->tokens = take_ints(arena, count);
    trunk->position = take_ints(arena, count);
    trunk->identity = take_ints(arena, count);
    trunk->start = take_ints(arena, (size_t)rows + 1);
    trunk->slot = take_ints(arena, count);
    take_layers(arena, trunk, config, count, keep);
    trunk->hidden = take(arena, count * config->width);
    trunk->mean = take(arena, count);
    trunk->rstd = take(arena, count);
    if (keep) take_gradients(arena, trunk, config, count);
    take_head(arena, trunk, config);
}

int trunk_create(struct trunk **out, struct model *model, int recompute, struct error *err) {
    struct trunk *trunk = xcalloc(1, sizeof *trunk);

    (void)err;
    trunk->model = model;
    trunk->recompute = recompute;
    trunk->layers = xcalloc((size_t)model->config.layers, sizeof *trunk->layers);
    *out = trunk;
    return 0;
}

void trunk_free(struct trunk *trunk) {
    if (!trunk) return;
    if (trunk->memory) trunk->model->kernels->free(trunk->memory);
    free(trunk->layers);
    free(trunk);
}

size_t trunk_bytes(const struct config *config, int tokens, int training, int recompute) {
    struct trunk trunk = {.recompute = recompute,
                          .layers = xcalloc((size_t)config->layers, sizeof *trunk.layers)};
    struct arena arena = {0};

    take_all(&arena, &trunk, config, tokens, tokens, training);
    free(trunk.layers);
    return arena.used * sizeof(float);
}

static int reserve(struct trunk *trunk, int rows, int total, int keep, struct error *err) {
    const struct kernels *kernels = trunk->model->kernels;
    struct arena arena = {0};

    take_all(&arena, trunk, &trunk->model->config, rows, total, keep);
    if (arena.used > trunk->size) {
        size_t size = arena.used + arena.used / 8;

        if (trunk->memory) kernels->free(trunk->memory);
        trunk->memory = kernels->alloc(size * sizeof(float));
        trunk->size = trunk->memory ? size : 0;
        if (!trunk->memory)
            return fail(err, "no memory for the activations of %d tokens (%zu MiB); use smaller batches",
                        total, size >> 18);
    }
    arena = (struct arena){trunk->memory, 0};
    take_all(&arena, trunk, &trunk->model->config, rows, total, keep);
    return 0;
}

static void copy(struct trunk *trunk, float *out, const float *x) {
    if (out != x)
        trunk->model->kernels->gather(out, x, trunk->identity, trunk->total, trunk->model->config.width);
}

/* out = x w' + bias, or that added to out; packed: w laid out for decoding, or NULL. */
static void linear(struct trunk *trunk, float *out, const float *x, const struct tensor *w,
                   const struct tensor *bias, const float *packed, int add) {
    const struct kernels *kernels = trunk->model->kernels;
    const float *offset = bias ? bias->data : NULL;

    if (packed)
        kernels->matmul_packed(out, x, packed, offset, trunk->total, w->rows, w->cols, add);
    else
        kernels->matmul(out, x, w->data, offset, trunk->total, w->rows, w->cols, add);
}

static void linear_backward(struct trunk *trunk, float *dx, const float *dy, const float *x, struct tensor *w,
                            struct tensor *bias) {
    const struct kernels *kernels = trunk->model->kernels;

    kernels->matmul_dx(dx, dy, w->data, trunk->total, w->rows, w->cols, 0);
    kernels->matmul_dw(w->grad, dy, x, trunk->total, w->rows, w->cols);
    if (bias) kernels->bias_backward(bias->grad, dy, trunk->total, w->rows);
}

static void norm(struct trunk *trunk, float *out, float *mean, float *rstd, const float *x,
                 const struct tensor *weight, const struct tensor *bias) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;

    if (c->rms_norm)
        kernels->rmsnorm(out, rstd, x, weight->data, trunk->total, c->width, c->norm_eps);
    else
        kernels->layernorm(out, mean, rstd, x, weight->data, bias->data, trunk->total, c->width, c->norm_eps);
}

static void norm_backward(struct trunk *trunk, float *dx, const float *dy, const float *x, const float *mean,
                          const float *rstd, struct tensor *weight, struct tensor *bias) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;

    if (c->rms_norm)
        kernels->rmsnorm_backward(dx, weight->grad, dy, x, weight->data, rstd, trunk->total, c->width);
    else
        kernels->layernorm_backward(dx, weight->grad, bias->grad, dy, x, weight->data, mean, rstd,
                                    trunk->total, c->width);
}

static void rotate(struct trunk *trunk, float *qkv, int inverse) {
    const struct config *c = &trunk->model->config;

    if (c->rotary)
        trunk->model->kernels->rope(qkv, trunk->model->cosine, trunk->model->sine, trunk->position,
                                    trunk->total, c->heads + c->kv_heads, c->head_size, qkv_width(c),
                                    inverse);
}

static void write_cache(struct trunk *trunk, float *cache, const float *qkv, const int *slot, int first,
                        int count) {
    const struct config *c = &trunk->model->config;

    trunk->model->kernels->cache_write(cache, qkv + (size_t)first * qkv_width(c), slot,
                                       trunk->position + first, count, trunk->decoder->context, c->heads,
                                       c->kv_heads, c->head_size);
}

static void fill_cache(struct trunk *trunk, float *cache, const float *qkv) {
    struct decoder *decoder = trunk->decoder;

    for (int i = 0; i < decoder->fill_count; i++) {
        int first = trunk->host_start[decoder->fills[i].row];
        int count = trunk->host_start[decoder->fills[i].row + 1] - first;

        for (int t = 0; t < count; t++) decoder->slot[t] = decoder->fills[i].slot;
        write_cache(trunk, cache, qkv,
                    trunk->model->kernels->send(trunk->slot, decoder->slot, (size_t)count * sizeof(int)),
                    first, count);
    }
}

static void attend(struct trunk *trunk, const struct activations *a, float *cache) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;
    const struct decoder *decoder = trunk->decoder;

    if (decoder && !decoder->fills) {
        const int *slot = kernels->send(trunk->slot, decoder->slot, (size_t)trunk->total * sizeof(int));

        write_cache(trunk, cache, a->qkv, slot, 0, trunk->total);
        kernels->attention_decode(a->attention, a->qkv, cache, slot, trunk->position, trunk->total,
                                  decoder->context, c->heads, c->kv_heads, c->head_size);
        return;
    }
    kernels->attention(a->attention, a->logsum, a->qkv, trunk->start, trunk->rows, c->heads, c->kv_heads,
                       c->head_size);
    if (decoder) fill_cache(trunk, cache, a->qkv);
}

static void activate(struct trunk *trunk, const struct activations *a) {
    const struct config *c = &trunk->model->config;

    if (c->gated)
        trunk->model->kernels->swiglu(a->act, a->up, trunk->total, c->ffn);
    else
        trunk->model->kernels->gelu(a->act, a->up, (size_t)trunk->total * c->ffn);
}

/* The last layer of a prompt pass goes on with the rows' last tokens alone: only these are drawn from. */
static void keep_last_tokens(struct trunk *trunk, struct activations *a) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;
    size_t bytes = (size_t)trunk->rows * sizeof *trunk->position;
    int *last = kernels->map(trunk->position, bytes, 0);

    for (int r = 0; r < trunk->rows; r++) last[r] = trunk->host_start[r + 1] - 1;
    kernels->unmap(trunk->position, last, bytes, 1);
    kernels->gather(a->qkv, a->attention, trunk->position, trunk->rows, c->heads * c->head_size);
    kernels->gather(a->norm1, a->x, trunk->position, trunk->rows, c->width);
    a->attention = a->qkv;
    a->x = a->norm1;
    trunk->total = trunk->rows;
}

static void attention_half(struct trunk *trunk, int index) {
    const struct packed_layer none = {0}, *packed = trunk->decoder ? &trunk->decoder->layers[index] : &none;
    const struct layer *layer = &trunk->model->layers[index];
    struct activations *a = &trunk->layers[index];

    norm(trunk, a->norm1, a->mean1, a->rstd1, a->x, layer->norm1, layer->norm1_bias);
    linear(trunk, a->qkv, a->norm1, layer->qkv, layer->qkv_bias, packed->qkv, 0);
    rotate(trunk, a->qkv, 0);
    attend(trunk, a, packed->cache);
    if (trunk->decoder && trunk->decoder->fills && index + 1 == trunk->model->config.layers)
        keep_last_tokens(trunk, a);
    copy(trunk, a->middle, a->x);
    linear(trunk, a->middle, a->attention, layer->proj, layer->proj_bias, packed->proj, 1);
}

static void hidden_half(struct trunk *trunk, int index) {
    const struct packed_layer none = {0}, *packed = trunk->decoder ? &trunk->decoder->layers[index] : &none;
    const struct layer *layer = &trunk->model->layers[index];
    const struct activations *a = &trunk->layers[index];

    norm(trunk, a->norm2, a->mean2, a->rstd2, a->middle, layer->norm2, layer->norm2_bias);
    linear(trunk, a->up, a->norm2, layer->up, layer->up_bias, packed->up, 0);
    activate(trunk, a);
}

static void add_hidden(struct trunk *trunk, int index, float *out) {
    const struct layer *layer = &trunk->model->layers[index];
    const struct activations *a = &trunk->layers[index];

    copy(trunk, out, a->middle);
    linear(trunk, out, a->act, layer->down, layer->down_bias,
           trunk->decoder ? trunk->decoder->layers[index].down : NULL, 1);
}

static void run_layers(struct trunk *trunk) {
    const struct model *model = trunk->model;
    int layers = model->config.layers;

    model->kernels->embed(trunk->layers[0].x, model->embedding->data,
                          model->positions ? model->positions->data : NULL, trunk->tokens, trunk->position,
                          trunk->total, model->config.width);
    for (int i = 0; i < layers; i++) {
        attention_half(trunk, i);
        hidden_half(trunk, i);
        add_hidden(trunk, i, i + 1 < layers ? trunk->layers[i + 1].x : trunk->x);
    }
    norm(trunk, trunk->hidden, trunk->mean, trunk->rstd, trunk->x, model->norm, model->norm_bias);
}

static int check_batch(const struct config *config, int rows, int total, const int *tokens, const int *start,
                       struct error *err) {
    for (int r = 0; r < rows && start; r++)
        if (start[r + 1] - start[r] > config->context)
            return fail(err, "row %d has %d tokens: the model's context is %d", r, start[r + 1] - start[r],
                        config->context);
    for (int t = 0; t < total; t++)
        if (tokens[t] < 0 || tokens[t] >= config->vocab)
            return fail(err, "token %d is %d: the model's vocabulary has %d", t, tokens[t], config->vocab);
    return 0;
}

/* memory[count] = in[count], or 0 … count-1 without it. */
static void place_ints(const struct kernels *kernels, int *memory, const int *in, int count) {
    size_t bytes = (size_t)count * sizeof *in;
    int *view = kernels->map(memory, bytes, 0);

    for (int i = 0; i < count; i++) view[i] = in ? in[i] : i;
    kernels->unmap(memory, view, bytes, 1);
}

static void place_positions(struct trunk *trunk, const int *start) {
    const struct kernels *kernels = trunk->model->kernels;
    size_t bytes = (size_t)trunk->total * sizeof *trunk->position;
    int *position = kernels->map(trunk->position, bytes, 0);

    for (int r = 0; r < trunk->rows; r++)
        for (int t = start[r]; t < start[r + 1]; t++) position[t] = t - start[r];
    kernels->unmap(trunk->position, position, bytes, 1);
}

static void place_tokens(struct trunk *trunk, const int *tokens, const int *start, const int *position) {
    const struct kernels *kernels = trunk->model->kernels;

    trunk->host_start = start;
    place_ints(kernels, trunk->tokens, tokens, trunk->total);
    place_ints(kernels, trunk->identity, NULL, trunk->total);
    if (start) {
        place_ints(kernels, trunk->start, start, trunk->rows + 1);
        place_positions(trunk, start);
    } else {
        place_ints(kernels, trunk->position, position, trunk->total);
    }
}

static void zero_gradients(struct trunk *trunk) {
    size_t bytes = (size_t)trunk->total * trunk->model->config.width * sizeof(float);

    trunk->model->kernels->zero(trunk->dhidden, bytes);
    trunk->model->kernels->zero(trunk->dx, bytes);
}

int trunk_run(struct trunk *trunk, int rows, int total, const int *tokens, const int *start,
              const int *position, int keep, struct error *err) {
    const char *trouble = trunk->model->kernels->sync();

    if (trouble) return fail(err, "%s", trouble);
    if (check_batch(&trunk->model->config, rows, total, tokens, start, err)) return -1;
    if (reserve(trunk, rows, total, keep, err)) return -1;
    trunk->rows = rows;
    trunk->total = total;
    if (total == 0) return 0;
    place_tokens(trunk, tokens, start, position);
    if (keep) zero_gradients(trunk);
    run_layers(trunk);
    return 0;
}

int trunk_forward(struct trunk *trunk, const struct batch *batch, int keep, const float **hidden,
                  struct error *err) {
    static const int empty[1];
    const struct kernels *kernels = trunk->model->kernels;
    const char *trouble;

    if (trunk_run(trunk, batch->rows, batch->total, batch->tokens, batch->rows ? batch->start : empty, NULL,
                  keep, err))
        return -1;
    trouble = kernels->sync();
    if (trouble) return fail(err, "the forward pass failed: %s", trouble);
    if (hidden) *hidden = trunk->hidden;
    return 0;
}

static void activate_backward(struct trunk *trunk, const struct activations *a) {
    const struct config *c = &trunk->model->config;

    if (c->gated)
        trunk->model->kernels->swiglu_backward(trunk->wide, trunk->narrow, a->up, trunk->total, c->ffn);
    else
        trunk->model->kernels->gelu_backward(trunk->wide, trunk->narrow, a->up,
                                             (size_t)trunk->total * c->ffn);
}

static void hidden_backward(struct trunk *trunk, float *dx, int index) {
    const struct layer *layer = &trunk->model->layers[index];
    const struct activations *a = &trunk->layers[index];

    linear_backward(trunk, trunk->narrow, dx, a->act, layer->down, layer->down_bias);
    activate_backward(trunk, a);
    linear_backward(trunk, trunk->dnorm, trunk->wide, a->norm2, layer->up, layer->up_bias);
    norm_backward(trunk, dx, trunk->dnorm, a->middle, a->mean2, a->rstd2, layer->norm2, layer->norm2_bias);
}

static void attention_half_backward(struct trunk *trunk, float *dx, int index) {
    const struct config *c = &trunk->model->config;
    const struct layer *layer = &trunk->model->layers[index];
    const struct activations *a = &trunk->layers[index];

    linear_backward(trunk, trunk->narrow, dx, a->attention, layer->proj, layer->proj_bias);
    trunk->model->kernels->attention_backward(trunk->wide, trunk->narrow, a->qkv, a->attention, a->logsum,
                                              trunk->start, trunk->rows, c->heads, c->kv_heads, c->head_size);
    rotate(trunk, trunk->wide, 1);
    linear_backward(trunk, trunk->dnorm, trunk->wide, a->norm1, layer->qkv, layer->qkv_bias);
    norm_backward(trunk, dx, trunk->dnorm, a->x, a->mean1, a->rstd1, layer->norm1, layer->norm1_bias);
}

void trunk_backward(struct trunk *trunk) {
    struct model *model = trunk->model;
    float *dx = trunk->dx;

    if (trunk->total == 0) return;
    norm_backward(trunk, dx, trunk->dhidden, trunk->x, trunk->mean, trunk->rstd, model->norm,
                  model->norm_bias);
    for (int i = model->config.layers - 1; i >= 0; i--) {
        if (trunk->recompute) {
            attention_half(trunk, i);
            hidden_half(trunk, i);
        }
        hidden_backward(trunk, dx, i);
        attention_half_backward(trunk, dx, i);
    }
    model->kernels->embed_backward(model->embedding->grad, model->positions ? model->positions->grad : NULL,
                                   dx, trunk->tokens, trunk->position, trunk->total, model->config.width);
}
