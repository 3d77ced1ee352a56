#include "models/transformer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "models/device.h"
#include "models/trunk.h"

#define ALIGNED     16                /* floats: arrays begin on 64-byte boundaries */
#define LEAST_CHUNK 512               /* positions whose logits exist at a time */
#define LOGITS      ((size_t)1 << 30) /* bytes of theirs, with more positions */

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

/* So many elements of operands. */
static operand *take_operands(struct arena *arena, const struct trunk *trunk, size_t count) {
    return take(arena, (count * trunk->operand_bytes + sizeof(float) - 1) / sizeof(float));
}

static int *take_ints(struct arena *arena, size_t count) {
    return (int *)take(arena, count); /* both have four bytes */
}

/* Whether operands are smaller than floats. */
static int narrows(const struct trunk *trunk) {
    return trunk->operand_bytes < sizeof(float);
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

static void take_layer(struct arena *arena, const struct trunk *trunk, struct activations *out,
                       const struct config *config, size_t count) {
    size_t width = count * config->width;

    out->norm1 = take_operands(arena, trunk, width);
    out->mean1 = take(arena, count);
    out->rstd1 = take(arena, count);
    out->qkv = take_operands(arena, trunk, count * qkv_width(config));
    out->attention = take_operands(arena, trunk, count * config->heads * config->head_size);
    out->logsum = take(arena, count * config->heads);
    out->norm2 = take_operands(arena, trunk, width);
    out->mean2 = take(arena, count);
    out->rstd2 = take(arena, count);
    out->up = take_operands(arena, trunk, count * up_width(config));
    out->act = take_operands(arena, trunk, count * config->ffn);
    for (enum joined j = 0; j < JOINED; j++)
        out->low[j] = take_operands(arena, trunk, count * (size_t)trunk->adapting.ranks[j]);
    if (!config->post_norms) return;
    out->attended = take(arena, width);
    out->fed = take(arena, width);
    out->rstd3 = take(arena, count);
    out->rstd4 = take(arena, count);
}

/* Without keep the residual stream is one array that every layer changes in place. */
static void take_layers(struct arena *arena, struct trunk *trunk, const struct config *config, size_t count,
                        int keep) {
    struct activations shared = {0};
    int apart = keep && !trunk->recompute;

    if (!apart) {
        take_layer(arena, trunk, &shared, config, count);
        shared.x = shared.middle = take(arena, count * config->width);
    }
    for (int i = 0; i < config->layers; i++) {
        struct activations *layer = &trunk->layers[i];

        *layer = shared;
        if (apart) {
            take_layer(arena, trunk, layer, config, count);
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
    trunk->dafter = config->post_norms ? take(arena, count * config->width) : NULL;
    trunk->wide = take_operands(arena, trunk, count * larger(up_width(config), qkv_width(config)));
    trunk->narrow = take(arena, count * (config->gated ? larger(config->ffn, heads) : heads));
    trunk->rounded = narrows(trunk) ? take_operands(arena, trunk, count * config->width) : NULL;
}

static void take_adapting(struct arena *arena, struct trunk *trunk, const struct config *config, size_t count,
                          int keep) {
    struct adapting *adapting = &trunk->adapting;
    size_t heads = (size_t)config->heads * config->head_size, ranks = 0;

    for (enum joined j = 0; j < JOINED; j++) ranks = larger(ranks, (size_t)adapting->ranks[j]);
    if (!ranks) return;
    adapting->ranked = take(arena, count * ranks);
    if (narrows(trunk)) adapting->base = take(arena, count * larger(up_width(config), qkv_width(config)));
    if (keep) adapting->slope = take_operands(arena, trunk, count * ranks);
    if (!adapting->drops) return;
    adapting->key = take_ints(arena, 2 * count);
    adapting->chosen_key = take_ints(arena, 2 * (size_t)trunk->selection.count);
    adapting->dropped =
        take_operands(arena, trunk, count * larger(config->width, larger(config->ffn, heads)));
}

static void take_selection(struct arena *arena, struct trunk *trunk, const struct config *config,
                           size_t count, int keep) {
    size_t heads = (size_t)config->heads * config->head_size;
    struct selection *selection = &trunk->selection;
    size_t wanted = (size_t)selection->count;

    if (!wanted) return;
    selection->chosen = take_ints(arena, wanted);
    selection->spread = take_ints(arena, count);
    selection->x = take(arena, wanted * config->width);
    selection->attention = take_operands(arena, trunk, wanted * heads);
    selection->dattention = keep ? take_operands(arena, trunk, count * heads) : NULL;
}

/* Positions of a pass over `count` tokens whose logits exist at a time: the more, the better products fill a
 * device, as long as the logits stay below LOGITS. */
static int head_chunk(const struct config *config, const struct kernels *kernels, size_t count) {
    size_t line = (size_t)head_line(config, kernels) * sizeof(float), most = HEAD_CHUNK;

    while (most > (size_t)kernels->head_rows || (most > LEAST_CHUNK && most * line > LOGITS)) most /= 2;
    return (int)(count < most ? larger(count, 1) : most);
}

/* Of a pass over `count` tokens. */
static void take_head(struct arena *arena, struct trunk *trunk, const struct config *config, size_t count,
                      int keep) {
    size_t chunk = (size_t)head_chunk(config, trunk->kernels, count);
    int line = head_line(config, trunk->kernels);
    size_t scores = chunk * (size_t)config->score_heads, logits = larger(chunk * (size_t)line, scores);
    int apart = keep && (narrows(trunk) || config->final_cap > 0);

    trunk->chunk = (int)chunk;
    trunk->line = line;
    trunk->head_x = take_operands(arena, trunk, chunk * config->width);
    trunk->head_dx = keep ? take(arena, chunk * config->width) : NULL;
    trunk->logits = take(arena, logits);
    trunk->norm = take(arena, chunk * 4);
    trunk->dlogits = apart ? take_operands(arena, trunk, logits) : trunk->logits;
    trunk->room = (struct head_room){.position = take_ints(arena, chunk),
                                     .target = take_ints(arena, chunk),
                                     .best = take_ints(arena, chunk),
                                     .token = take_ints(arena, chunk),
                                     .logprob = take(arena, chunk),
                                     .entropy = take(arena, chunk),
                                     .slope = take(arena, chunk),
                                     .entropy_slope = take(arena, chunk),
                                     .uniform = take(arena, chunk),
                                     .score = take(arena, scores),
                                     .score_slope = take(arena, keep ? scores : 0)};
}

/* Places every array of a pass over `count` tokens in the arena. */
static void take_all(struct arena *arena, struct trunk *trunk, const struct config *config, int rows,
                     int total, int keep) {
    size_t count = (size_t)total;

    trunk->own_tokens = take_ints(arena, count);
    trunk->own_position = take_ints(arena, count);
    trunk->start = take_ints(arena, (size_t)rows + 1);
    take_layers(arena, trunk, config, count, keep);
    trunk->hidden = take_operands(arena, trunk, count * config->width);
    trunk->mean = take(arena, count);
    trunk->rstd = take(arena, count);
    if (keep) take_gradients(arena, trunk, config, count);
    take_adapting(arena, trunk, config, count, keep);
    take_selection(arena, trunk, config, count, keep);
    take_head(arena, trunk, config, count, keep);
}

int trunk_create(struct trunk **out, struct model *model, int recompute, struct error *err) {
    struct trunk *trunk = xcalloc(1, sizeof *trunk);

    (void)err;
    trunk->model = model;
    trunk->kernels = model->kernels;
    trunk->operand_bytes = model->kernels->operand_bytes;
    trunk->recompute = recompute;
    trunk->adapting.update = -1;
    trunk->layers = xcalloc((size_t)model->config.layers, sizeof *trunk->layers);
    *out = trunk;
    return 0;
}

void trunk_free(struct trunk *trunk) {
    if (!trunk) return;
    if (trunk->memory) trunk->model->kernels->free(trunk->memory);
    free(trunk->layers);
    free(trunk->selection.row);
    free(trunk);
}

void trunk_use(struct trunk *trunk, struct model *model) {
    trunk->model = model;
    trunk->layers = xrealloc(trunk->layers, (size_t)model->config.layers, sizeof *trunk->layers);
}

/* What the operations of passes over so many tokens need for themselves, at most. */
static size_t scratch_bytes(const struct config *config, const struct kernels *kernels, int tokens,
                            const struct adapter_options *adapters) {
    int heads = config->heads * config->head_size, chunk = head_chunk(config, kernels, (size_t)tokens);
    const int outs[JOINED] = {[JOINED_QKV] = qkv_width(config),
                              [JOINED_PROJ] = config->width,
                              [JOINED_UP] = up_width(config),
                              [JOINED_DOWN] = config->width};
    const int ins[JOINED] = {[JOINED_QKV] = config->width,
                             [JOINED_PROJ] = heads,
                             [JOINED_UP] = config->width,
                             [JOINED_DOWN] = config->ffn};
    size_t most = kernels->scratch_size(chunk, head_line(config, kernels), config->width, 0);

    if (config->score_heads)
        most = larger(most, kernels->scratch_size(chunk, config->score_heads, config->width, 0));
    for (enum joined j = 0; j < JOINED; j++) {
        int rank = adapters ? adapter_ranks(adapters, config, j) : 0;

        most = larger(most, kernels->scratch_size(tokens, outs[j], ins[j], 1));
        if (!rank) continue;
        most = larger(most, kernels->scratch_size(tokens, rank, ins[j], 0));
        most = larger(most, kernels->scratch_size(tokens, outs[j], rank, 0));
    }
    return most;
}

void trunk_hold(double held[HOLDINGS], const struct config *config, const struct kernels *kernels, int tokens,
                int training, int recompute, const struct adapter_options *adapters) {
    struct trunk trunk = {.recompute = recompute,
                          .kernels = kernels,
                          .operand_bytes = kernels->operand_bytes,
                          .selection = {.count = tokens},
                          .layers = xcalloc((size_t)config->layers, sizeof *trunk.layers)};
    struct arena all = {0}, head = {0};
    size_t scratch = scratch_bytes(config, kernels, tokens, adapters);

    for (enum joined j = 0; j < JOINED && adapters; j++)
        trunk.adapting.ranks[j] = adapter_ranks(adapters, config, j);
    trunk.adapting.drops = training && adapters && adapters->dropout > 0;
    take_all(&all, &trunk, config, tokens, tokens, training);
    take_head(&head, &trunk, config, (size_t)tokens, training);
    held[HELD_ACTIVATIONS] += (double)(all.used - head.used) * sizeof(float);
    held[HELD_LOGITS] += (double)head.used * sizeof(float);
    if (held[HELD_SCRATCH] < (double)scratch) held[HELD_SCRATCH] = (double)scratch;
    free(trunk.layers);
}

const struct kernels *trunk_kernels(const struct trunk *trunk) {
    return trunk->model->kernels;
}

size_t trunk_bytes(const struct config *config, const struct kernels *kernels, int tokens, int training,
                   int recompute, const struct adapter_options *adapters) {
    double held[HOLDINGS] = {0};

    trunk_hold(held, config, kernels, tokens, training, recompute, adapters);
    return (size_t)(held[HELD_ACTIVATIONS] + held[HELD_LOGITS]);
}

/* Says so, and how many tokens there would be room for, of those that are halves of these. */
static int no_room(struct trunk *trunk, int rows, int total, int keep, struct error *err) {
    const struct kernels *kernels = trunk->model->kernels;
    size_t asked = trunk->size * sizeof(float), left, all, needed = asked;
    char what[64], remedy[96];
    int tokens = total;

    trunk->size = 0;
    kernels->memory(&left, &all);
    for (; needed > left && tokens > 1; tokens /= 2) {
        struct arena arena = {0};

        take_all(&arena, trunk, &trunk->model->config, rows < tokens / 2 ? rows : tokens / 2, tokens / 2,
                 keep);
        needed = arena.used * sizeof(float);
    }
    snprintf(what, sizeof what, "the activations of %d tokens", total);
    snprintf(remedy, sizeof remedy, "%s%d tokens at once (micro_tokens, slots), if rows are no longer",
             keep && !trunk->recompute ? "recompute: true, " : "", tokens);
    return device_full(kernels, asked, what, remedy, err);
}

static int reserve(struct trunk *trunk, int rows, int total, int keep, struct error *err) {
    const struct kernels *kernels = trunk->model->kernels;
    struct arena arena = {0};

    take_all(&arena, trunk, &trunk->model->config, rows, total, keep);
    if (arena.used > trunk->size) {
        if (trunk->memory) kernels->free(trunk->memory);
        trunk->size = arena.used; /* no more than was planned for, though longer ones may come */
        trunk->memory = kernels->alloc(trunk->size * sizeof(float));
        if (!trunk->memory) return no_room(trunk, rows, total, keep, err);
    }
    arena = (struct arena){trunk->memory, 0};
    take_all(&arena, trunk, &trunk->model->config, rows, total, keep);
    return 0;
}

/* Where sums are before they become the operands `out`. */
static float *sum_room(const struct trunk *trunk, operand *out) {
    return narrows(trunk) ? trunk->adapting.base : out;
}

/* out = base + x w' + bias, and what an adapter adds; low: as adapter_forward() keeps it */
static void linear(struct trunk *trunk, float *out, const float *base, const operand *x,
                   const struct tensor *w, const struct tensor *bias, operand *low) {
    base = adapter_forward(trunk, out, base, x, w, low);
    trunk->model->kernels->matmul(out, x, w->data, w->packed, bias ? bias->data : NULL, base, trunk->total,
                                  w->rows, w->cols);
}

/* The same as an operand, without base. */
static void linear_operand(struct trunk *trunk, operand *out, const operand *x, const struct tensor *w,
                           const struct tensor *bias, operand *low) {
    const float *base = adapter_forward(trunk, sum_room(trunk, out), NULL, x, w, low);

    trunk->model->kernels->matmul_operand(out, x, w->data, w->packed, bias ? bias->data : NULL, base,
                                          trunk->total, w->rows, w->cols);
}

/* Adds the gradients of w and bias, unless they are frozen. */
static void weight_backward(struct trunk *trunk, const operand *dy, const operand *x, struct tensor *w,
                            struct tensor *bias) {
    const struct kernels *kernels = trunk->model->kernels;

    if (w->grad) kernels->matmul_dw(w->grad, dy, x, trunk->total, w->rows, w->cols);
    if (bias && bias->grad) kernels->bias_backward(bias->grad, dy, trunk->total, w->rows);
}

static void norm(struct trunk *trunk, operand *out, float *mean, float *rstd, const float *x,
                 const struct tensor *weight, const struct tensor *bias) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;

    if (c->rms_norm)
        kernels->rmsnorm(out, rstd, x, weight->data, trunk->total, c->width, c->norm_eps);
    else
        kernels->layernorm(out, mean, rstd, x, weight->data, bias->data, trunk->total, c->width, c->norm_eps);
}

/* dx is the gradient of the residual stream; products read it as it is, if no norm comes between. */
static void norm_backward(struct trunk *trunk, float *dx, const float *dy, const float *x, const float *mean,
                          const float *rstd, struct tensor *weight, struct tensor *bias) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;
    operand *rounded = c->post_norms ? NULL : trunk->rounded;

    if (c->rms_norm)
        kernels->rmsnorm_backward(dx, rounded, weight->grad, dy, x, weight->data, rstd, trunk->total,
                                  c->width);
    else
        kernels->layernorm_backward(dx, rounded, weight->grad, bias->grad, dy, x, weight->data, mean, rstd,
                                    trunk->total, c->width);
}

/* out = base + x w' + bias, with a norm of what is added where there is one: then sum keeps that. */
static void join(struct trunk *trunk, float *out, const float *base, float *sum, float *rstd,
                 const operand *x, const struct tensor *w, const struct tensor *bias,
                 const struct tensor *after, operand *low) {
    const struct config *c = &trunk->model->config;

    if (!after) {
        linear(trunk, out, base, x, w, bias, low);
        return;
    }
    linear(trunk, sum, NULL, x, w, bias, low);
    trunk->model->kernels->rmsnorm_add(out, rstd, base, sum, after->data, trunk->total, c->width,
                                       c->norm_eps);
}

/* The gradient of what join() adds to the residual stream, as an operand, given that of the stream. */
static const operand *join_backward(struct trunk *trunk, const float *dx, const float *sum, const float *rstd,
                                    struct tensor *after) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;

    if (!after) return narrows(trunk) ? trunk->rounded : dx;
    kernels->zero(trunk->dafter, (size_t)trunk->total * (size_t)c->width * sizeof(float));
    kernels->rmsnorm_backward(trunk->dafter, trunk->rounded, after->grad, dx, sum, after->data, rstd,
                              trunk->total, c->width);
    return narrows(trunk) ? trunk->rounded : trunk->dafter;
}

static void rotate(struct trunk *trunk, operand *qkv, int inverse) {
    const struct config *c = &trunk->model->config;

    if (c->rotary)
        trunk->model->kernels->rope(qkv, trunk->model->cosine, trunk->model->sine, trunk->position,
                                    trunk->total, c->heads + c->kv_heads, c->head_size, qkv_width(c),
                                    inverse);
}

static float attention_scale(const struct config *config) {
    return 1 / sqrtf(config->query_scalar > 0 ? config->query_scalar : (float)config->head_size);
}

static void attend(struct trunk *trunk, const struct activations *a, void *cache) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;
    const struct decoder *decoder = trunk->decoder;

    if (trunk->slot) {
        kernels->attention_decode(a->attention, cache, a->qkv, trunk->slot, trunk->position, trunk->total,
                                  decoder->context, c->heads, c->kv_heads, c->head_size, attention_scale(c),
                                  c->attention_cap);
        return;
    }
    kernels->attention(a->attention, a->logsum, a->qkv, trunk->start, trunk->rows, c->heads, c->kv_heads,
                       c->head_size, attention_scale(c), c->attention_cap);
    if (decoder)
        kernels->cache_write(cache, a->qkv, trunk->start, decoder->row, decoder->slot, decoder->fills,
                             decoder->longest, decoder->context, c->heads, c->kv_heads, c->head_size);
}

/* Whether the layer goes on with the wanted tokens alone. */
static int selects(const struct trunk *trunk, int index) {
    return trunk->selection.count && index + 1 == trunk->model->config.layers;
}

static size_t attention_bytes(const struct trunk *trunk) {
    return (size_t)(trunk->model->config.heads * trunk->model->config.head_size) * trunk->operand_bytes;
}

static void leave_out_others(struct trunk *trunk, const struct activations *a) {
    const struct kernels *kernels = trunk->model->kernels;
    struct selection *selection = &trunk->selection;

    kernels->gather(selection->attention, a->attention, selection->chosen, selection->count,
                    attention_bytes(trunk));
    kernels->gather(selection->x, a->x, selection->chosen, selection->count,
                    (size_t)trunk->model->config.width * sizeof(float));
    trunk->total = selection->count;
}

/* Back to all tokens: gradients of dx and of attention (narrow), zero for those that were left out. */
static void take_in_others(struct trunk *trunk) {
    const struct kernels *kernels = trunk->model->kernels;
    struct selection *selection = &trunk->selection;
    size_t bytes = attention_bytes(trunk);
    float *dx = trunk->dx;

    kernels->zero((char *)trunk->narrow + bytes * (size_t)selection->count, bytes);
    kernels->gather(selection->dattention, trunk->narrow, selection->spread, trunk->all, bytes);
    kernels->gather(trunk->dnorm, dx, selection->spread, trunk->all,
                    (size_t)trunk->model->config.width * sizeof(float));
    trunk->dx = trunk->dnorm;
    trunk->dnorm = dx;
    trunk->total = trunk->all;
}

static void attention_half(struct trunk *trunk, int index) {
    const struct layer *layer = &trunk->model->layers[index];
    const struct activations *a = &trunk->layers[index];
    int some = selects(trunk, index);

    if (some) trunk->total = trunk->all;
    norm(trunk, a->norm1, a->mean1, a->rstd1, a->x, layer->norm1, layer->norm1_bias);
    linear_operand(trunk, a->qkv, a->norm1, layer->qkv, layer->qkv_bias, a->low[JOINED_QKV]);
    rotate(trunk, a->qkv, 0);
    attend(trunk, a, trunk->decoder ? trunk->decoder->cache[index] : NULL);
    if (some) leave_out_others(trunk, a);
    join(trunk, a->middle, some ? trunk->selection.x : a->x, a->attended, a->rstd3,
         some ? trunk->selection.attention : a->attention, layer->proj, layer->proj_bias,
         layer->after_attention, a->low[JOINED_PROJ]);
}

static void hidden_half(struct trunk *trunk, int index) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;
    const struct layer *layer = &trunk->model->layers[index];
    const struct activations *a = &trunk->layers[index];
    const float *bias = layer->up_bias ? layer->up_bias->data : NULL, *base;
    operand *low = a->low[JOINED_UP];

    norm(trunk, a->norm2, a->mean2, a->rstd2, a->middle, layer->norm2, layer->norm2_bias);
    if (c->gated) {
        linear_operand(trunk, a->up, a->norm2, layer->up, layer->up_bias, low);
        (c->gelu_gate ? kernels->geglu : kernels->swiglu)(a->act, a->up, trunk->total, c->ffn);
    } else {
        base = adapter_forward(trunk, sum_room(trunk, a->up), NULL, a->norm2, layer->up, low);
        kernels->matmul_gelu(a->act, a->up, a->norm2, layer->up->data, layer->up->packed, bias, base,
                             trunk->total, c->ffn, c->width);
    }
}

static void add_hidden(struct trunk *trunk, int index) {
    int is_last = index + 1 == trunk->model->config.layers;
    float *out = is_last ? trunk->x : trunk->layers[index + 1].x;
    const struct layer *layer = &trunk->model->layers[index];
    const struct activations *a = &trunk->layers[index];

    join(trunk, out, a->middle, a->fed, a->rstd4, a->act, layer->down, layer->down_bias, layer->after_hidden,
         a->low[JOINED_DOWN]);
}

static float embedding_scale(const struct config *config) {
    return config->scaled_embeddings ? sqrtf((float)config->width) : 1;
}

void trunk_layers(struct trunk *trunk) {
    const struct model *model = trunk->model;
    int layers = model->config.layers;

    model->kernels->embed(trunk->layers[0].x, model->embedding->data,
                          model->positions ? model->positions->data : NULL, trunk->tokens, trunk->position,
                          trunk->total, model->config.width, embedding_scale(&model->config));
    for (int i = 0; i < layers; i++) {
        attention_half(trunk, i);
        hidden_half(trunk, i);
        add_hidden(trunk, i);
    }
    norm(trunk, trunk->hidden, trunk->mean, trunk->rstd, trunk->x, model->norm, model->norm_bias);
}

static int check_batch(const struct config *config, int rows, int total, const int *tokens, const int *start,
                       struct error *err) {
    for (int r = 0; r < rows; r++)
        if (start[r + 1] - start[r] > config->context)
            return fail(err, "row %d has %d tokens: the model's context is %d", r, start[r + 1] - start[r],
                        config->context);
    for (int t = 0; t < total; t++)
        if (tokens[t] < 0 || tokens[t] >= config->vocab)
            return fail(err, "token %d is %d: the model's vocabulary has %d", t, tokens[t], config->vocab);
    return 0;
}

/* Returns the memory. */
static int *place_ints(const struct kernels *kernels, int *memory, const int *in, int count) {
    size_t bytes = (size_t)count * sizeof *in;
    int *view = kernels->map(memory, bytes, 0);

    for (int i = 0; i < count; i++) view[i] = in[i];
    kernels->unmap(memory, view, bytes, 1);
    return memory;
}

static void place_positions(struct trunk *trunk, const int *start) {
    const struct kernels *kernels = trunk->model->kernels;
    size_t bytes = (size_t)trunk->total * sizeof *trunk->position;
    int *position = kernels->map(trunk->own_position, bytes, 0);

    for (int r = 0; r < trunk->rows; r++)
        for (int t = start[r]; t < start[r + 1]; t++) position[t] = t - start[r];
    kernels->unmap(trunk->own_position, position, bytes, 1);
    trunk->position = trunk->own_position;
}

static void place_tokens(struct trunk *trunk, const int *tokens, const int *start) {
    const struct kernels *kernels = trunk->model->kernels;

    trunk->slot = NULL;
    trunk->tokens = place_ints(kernels, trunk->own_tokens, tokens, trunk->total);
    place_ints(kernels, trunk->start, start, trunk->rows + 1);
    place_positions(trunk, start);
}

static void zero_gradients(struct trunk *trunk) {
    size_t bytes = (size_t)trunk->total * trunk->model->config.width * sizeof(float);

    trunk->model->kernels->zero(trunk->dhidden, bytes);
    trunk->model->kernels->zero(trunk->dx, bytes);
}

static void place_selection(struct trunk *trunk) {
    const struct kernels *kernels = trunk->model->kernels;
    struct selection *selection = &trunk->selection;

    if (!selection->count) return;
    if (trunk->all > selection->room) {
        selection->room = trunk->all;
        selection->row = xrealloc(selection->row, (size_t)selection->room, sizeof *selection->row);
    }
    for (int t = 0; t < trunk->all; t++) selection->row[t] = selection->count;
    for (int i = 0; i < selection->count; i++) selection->row[selection->wanted[i]] = i;
    place_ints(kernels, selection->chosen, selection->wanted, selection->count);
    place_ints(kernels, selection->spread, selection->row, trunk->all);
}

/* Layouts, adapters and memory for so many tokens, of which the caller has said how many are wanted. */
static int prepare(struct trunk *trunk, int rows, int total, int keep, struct error *err) {
    trunk->rows = rows;
    trunk->total = trunk->all = total;
    if (model_ready(trunk->model, keep, err)) return -1;
    adapting_prepare(trunk, keep);
    return reserve(trunk, rows, total, keep, err);
}

int trunk_run(struct trunk *trunk, const struct pass *pass, struct error *err) {
    if (check_batch(&trunk->model->config, pass->rows, pass->total, pass->tokens, pass->start, err))
        return -1;
    trunk->selection.count = pass->wanted_count < pass->total ? pass->wanted_count : 0;
    trunk->selection.wanted = pass->wanted;
    if (prepare(trunk, pass->rows, pass->total, pass->keep, err)) return -1;
    if (pass->total == 0) return 0;
    place_tokens(trunk, pass->tokens, pass->start);
    place_selection(trunk);
    adapting_place_keys(trunk, pass);
    if (pass->keep) zero_gradients(trunk);
    trunk_layers(trunk);
    return 0;
}

int trunk_prepare_step(struct trunk *trunk, const int *tokens, int count, struct error *err) {
    if (check_batch(&trunk->model->config, 0, count, tokens, NULL, err)) return -1;
    trunk->selection.count = 0;
    return prepare(trunk, count, count, 0, err);
}

int trunk_forward_at(struct trunk *trunk, const struct batch *batch, const int *wanted, int count, int keep,
                     struct error *err) {
    static const int empty[1];
    struct pass pass = {.rows = batch->rows,
                        .total = batch->total,
                        .tokens = batch->tokens,
                        .start = batch->rows ? batch->start : empty,
                        .wanted = wanted,
                        .wanted_count = count,
                        .keep = keep};

    return trunk_run(trunk, &pass, err);
}

int trunk_forward(struct trunk *trunk, const struct batch *batch, int keep, struct error *err) {
    return trunk_forward_at(trunk, batch, NULL, 0, keep, err);
}

const operand *trunk_hidden(const struct trunk *trunk) {
    return trunk->hidden;
}

static void hidden_backward(struct trunk *trunk, int index) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;
    const struct layer *layer = &trunk->model->layers[index];
    const struct activations *a = &trunk->layers[index];
    const struct tensor *down = layer->down, *up = layer->up;
    const operand *dy = join_backward(trunk, trunk->dx, a->fed, a->rstd4, layer->after_hidden);
    float *room = c->gated ? trunk->narrow : sum_room(trunk, trunk->wide);
    const float *base = adapter_backward(trunk, room, dy, a->act, down, a->low[JOINED_DOWN]);

    if (c->gated) {
        kernels->matmul_dx(trunk->narrow, dy, down->data, down->turned, base, trunk->total, c->width, c->ffn);
        (c->gelu_gate ? kernels->geglu_backward : kernels->swiglu_backward)(trunk->wide, trunk->narrow, a->up,
                                                                            trunk->total, c->ffn);
    } else {
        kernels->matmul_dx_gelu(trunk->wide, a->up, dy, down->data, down->turned, base, trunk->total,
                                c->width, c->ffn);
    }
    weight_backward(trunk, dy, a->act, layer->down, layer->down_bias);
    base = adapter_backward(trunk, trunk->dnorm, trunk->wide, a->norm2, up, a->low[JOINED_UP]);
    kernels->matmul_dx(trunk->dnorm, trunk->wide, up->data, up->turned, base, trunk->total, up->rows,
                       up->cols);
    weight_backward(trunk, trunk->wide, a->norm2, layer->up, layer->up_bias);
    norm_backward(trunk, trunk->dx, trunk->dnorm, a->middle, a->mean2, a->rstd2, layer->norm2,
                  layer->norm2_bias);
}

static void attention_half_backward(struct trunk *trunk, int index) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;
    const struct layer *layer = &trunk->model->layers[index];
    const struct activations *a = &trunk->layers[index];
    const struct tensor *proj = layer->proj, *qkv = layer->qkv;
    const operand *dy = join_backward(trunk, trunk->dx, a->attended, a->rstd3, layer->after_attention);
    int some = selects(trunk, index);
    const operand *attended = some ? trunk->selection.attention : a->attention;
    const float *base =
        adapter_backward(trunk, sum_room(trunk, trunk->narrow), dy, attended, proj, a->low[JOINED_PROJ]);

    kernels->matmul_dx_operand(trunk->narrow, dy, proj->data, proj->turned, base, trunk->total, proj->rows,
                               proj->cols);
    weight_backward(trunk, dy, attended, layer->proj, layer->proj_bias);
    if (some) take_in_others(trunk);
    kernels->attention_backward(trunk->wide, some ? trunk->selection.dattention : trunk->narrow, a->qkv,
                                a->attention, a->logsum, trunk->start, trunk->rows, c->heads, c->kv_heads,
                                c->head_size, attention_scale(c), c->attention_cap);
    rotate(trunk, trunk->wide, 1);
    base = adapter_backward(trunk, trunk->dnorm, trunk->wide, a->norm1, qkv, a->low[JOINED_QKV]);
    if (index == 0 && !trunk->model->embedding->grad) return; /* nothing below learns */
    kernels->matmul_dx(trunk->dnorm, trunk->wide, qkv->data, qkv->turned, base, trunk->total, qkv->rows,
                       qkv->cols);
    weight_backward(trunk, trunk->wide, a->norm1, layer->qkv, layer->qkv_bias);
    norm_backward(trunk, trunk->dx, trunk->dnorm, a->x, a->mean1, a->rstd1, layer->norm1, layer->norm1_bias);
}

/* Of add_hidden() what its backward reads: what is normed on its way, or an adapter's low numbers. */
static void remake_hidden(struct trunk *trunk, int index) {
    const struct activations *a = &trunk->layers[index];

    if (trunk->model->config.post_norms)
        add_hidden(trunk, index);
    else
        adapter_lower(trunk, a->low[JOINED_DOWN], a->act, trunk->model->layers[index].down);
}

static void backward(struct trunk *trunk, int last) {
    struct model *model = trunk->model;

    if (trunk->total == 0) return;
    norm_backward(trunk, trunk->dx, trunk->dhidden, trunk->x, trunk->mean, trunk->rstd, model->norm,
                  model->norm_bias);
    for (int i = model->config.layers - 1; i >= 0; i--) {
        if (trunk->recompute) {
            attention_half(trunk, i);
            hidden_half(trunk, i);
            remake_hidden(trunk, i);
        }
        hidden_backward(trunk, i);
        attention_half_backward(trunk, i);
        if (last) model_layer_done(model, i);
    }
    if (!model->embedding->grad) return;
    model->kernels->embed_backward(model->embedding->grad, model->positions ? model->positions->grad : NULL,
                                   trunk->dx, trunk->tokens, trunk->position, trunk->total,
                                   model->config.width, embedding_scale(&model->config));
}

void trunk_backward(struct trunk *trunk) {
    backward(trunk, 0);
}

void trunk_backward_last(struct trunk *trunk) {
    backward(trunk, 1);
}

void trunk_backward_none(struct trunk *trunk) {
    model_layer_done(trunk->model, 0);
}
