#include "models/generator.h"

#include <stdio.h>
#include <stdlib.h>

#include "harness/memory.h"
#include "harness/rng.h"
#include "models/decoding.h"
#include "models/device.h"
#include "models/span.h"

#define PROMPT_PASS 2048 /* tokens of prompts that go through together, or one prompt */

/* A slot of the cache and the request that is in it. */
struct place {
    int request; /* -1: free */
    int token;   /* drawn last, not yet in the cache */
    struct rng rng;
};

struct generator {
    const struct model *model;
    const struct generator_options *options;
    const struct request *requests;
    struct response *responses;
    int count, next, finished; /* requests: all, not yet begun, done */
    int *order, *group;        /* [count]: the order in which they begin; of each, the number of its prompt */
    int last;                  /* the slot that the last one went to */

    struct generator_memory own; /* where the options have none */
    struct trunk *trunk;         /* the memory's */
    struct decoder decoder;
    struct place *places;
    struct batch prompts;
    int *fill_row, *fill_slot; /* [slots]: rows of the prompts, and the slots that they go to */

    struct decoding *decoding; /* the memory's */
    int *fill_room;            /* the memory's */
    int *active;               /* [slots] of one pass: its rows' */
    int *ends;                 /* [slots] of the prompts of a pass, their last tokens */
    int *index;                /* [slots] of the hidden states to draw from */
};

static int least(int a, int b) {
    return a < b ? a : b;
}

/* The most tokens that a request's response can have. */
static int room(const struct generator *g, const struct request *request) {
    int most = g->options->max_new;

    if (request->max_new > 0) most = least(most, request->max_new);
    return least(most, g->model->config.context - request->length);
}

static int check_requests(const struct generator *g, struct error *err) {
    int context = g->model->config.context;

    if (g->options->slots < 1)
        return fail(err, "generation needs at least one slot, not %d", g->options->slots);
    if (g->options->max_new < 1)
        return fail(err, "responses of at most %d tokens were asked for: expected 1 or more",
                    g->options->max_new);
    if (g->options->values && g->model->config.score_heads != 1)
        return fail(err, "values need a model with one score head: this has %d",
                    g->model->config.score_heads);
    for (int i = 0; i < g->count; i++) {
        if (g->requests[i].length < 1) return fail(err, "prompt %d is empty", i);
        if (g->requests[i].length >= context)
            return fail(err,
                        "prompt %d has %d tokens: the model's context of %d leaves no room for a response", i,
                        g->requests[i].length, context);
    }
    return 0;
}

/* Numbers the prompts and puts requests that share one next to each other. */
static void order_requests(struct generator *g) {
    struct span *prompts = xcalloc((size_t)g->count, sizeof *prompts);
    int *first = xcalloc((size_t)g->count + 1, sizeof *first), known = 0;
    struct span_index index = {0};

    for (int i = 0; i < g->count; i++) {
        const struct request *request = &g->requests[i];
        size_t bytes = (size_t)request->length * sizeof *request->prompt;

        g->group[i] = span_find(&index, prompts, (const char *)request->prompt, bytes);
        if (g->group[i] < 0) {
            prompts[known] = (struct span){(const char *)request->prompt, bytes};
            span_add(&index, prompts, known);
            g->group[i] = known++;
        }
        first[g->group[i] + 1]++;
    }
    for (int p = 1; p < known; p++) first[p] += first[p - 1];
    for (int i = 0; i < g->count; i++) g->order[first[g->group[i]]++] = i;
    free(index.slots);
    free(prompts);
    free(first);
}

static void free_cache(struct generator_memory *memory) {
    const struct model *model = memory->trunk->model;

    for (int i = 0; memory->cache && i < model->config.layers; i++)
        if (memory->cache[i]) model->kernels->free(memory->cache[i]);
    if (memory->fills) model->kernels->free(memory->fills);
    free(memory->cache);
    memory->cache = NULL;
    memory->fills = NULL;
}

void generator_hold(double held[HOLDINGS], const struct config *config, const struct kernels *kernels,
                    int slots, int length, const struct adapter_options *adapters) {
    double rows = (double)slots * length, pass = slots > PROMPT_PASS ? slots : PROMPT_PASS;

    if (pass < length) pass = length; /* a prompt goes through in one piece */
    held[HELD_CACHE] += (double)config->layers *
                        (double)kernels->cache_size(slots, length, config->kv_heads, config->head_size);
    trunk_hold(held, config, kernels, (int)(rows < pass ? rows : pass), 0, 0, adapters);
}

/* Says so, and for how many rows, of those that are halves of these, there would be room with their pass. */
static int no_cache(const struct generator_memory *memory, size_t bytes, struct error *err) {
    const struct kernels *kernels = memory->trunk->model->kernels;
    struct plan plan = {0};
    size_t left, all;
    char what[80], remedy[64];
    int slots = memory->slots;

    kernels->memory(&left, &all);
    for (int fits = 0; !fits && slots > 1; fits = plan_bytes(&plan) <= (double)left) {
        plan = (struct plan){0};
        slots /= 2;
        generator_hold(plan.held, &memory->trunk->model->config, kernels, slots, memory->context, NULL);
    }
    snprintf(what, sizeof what, "the keys and values of %d rows of %d tokens", memory->slots,
             memory->context);
    snprintf(remedy, sizeof remedy, "slots: %d", slots);
    return device_full(kernels, bytes, what, remedy, err);
}

/* A cache of at least so many slots of so many tokens, in the place of a smaller one. */
static int make_cache(struct generator_memory *memory, int slots, int context, struct error *err) {
    const struct config *c = &memory->trunk->model->config;
    const struct kernels *kernels = memory->trunk->model->kernels;
    size_t bytes;

    if (memory->cache && slots <= memory->slots && context <= memory->context) return 0;
    free_cache(memory);
    if (slots > memory->slots) memory->slots = slots;
    if (context > memory->context) memory->context = context;
    memory->cache = xcalloc((size_t)c->layers, sizeof *memory->cache);
    memory->fills = kernels->alloc(2 * (size_t)memory->slots * sizeof *memory->fills);
    bytes = kernels->cache_size(memory->slots, memory->context, c->kv_heads, c->head_size);
    for (int i = 0; i < c->layers && memory->fills; i++)
        if (!(memory->cache[i] = kernels->alloc(bytes))) break;
    if (memory->fills && memory->cache[c->layers - 1]) return 0;
    free_cache(memory);
    return no_cache(memory, bytes * (size_t)c->layers, err);
}

/* Of at least so many slots. */
static int make_decoding(struct generator_memory *memory, int slots, struct error *err) {
    if (memory->decoding && slots <= memory->decoding->slots) return 0;
    decoding_free(memory->decoding);
    memory->decoding = NULL;
    return decoding_create(&memory->decoding, memory->trunk->model->kernels, slots, err);
}

/* The trunk, the cache and a step's arrays, from an earlier call or made now. */
static int take_memory(struct generator *g, struct error *err) {
    struct generator_memory *memory = g->options->memory ? g->options->memory : &g->own;

    /* of the model, a decoder writes the layouts alone */
    if (!memory->trunk && trunk_create(&memory->trunk, (struct model *)g->model, 0, err)) return -1;
    g->trunk = memory->trunk;
    if (make_cache(memory, g->decoder.slots, g->decoder.context, err)) return -1;
    if (make_decoding(memory, memory->slots, err)) return -1;
    g->decoding = memory->decoding;
    g->decoder.cache = memory->cache;
    g->decoder.context = memory->context;
    g->fill_room = memory->fills;
    g->trunk->decoder = &g->decoder;
    return 0;
}

void generator_memory_free(struct generator_memory *memory) {
    if (!memory->trunk) return;
    decoding_free(memory->decoding);
    free_cache(memory);
    trunk_free(memory->trunk);
    *memory = (struct generator_memory){0};
}

static int prepare(struct generator *g, struct error *err) {
    struct decoder *decoder = &g->decoder;
    size_t slots;

    decoder->slots = least(g->options->slots, g->count);
    for (int i = 0; i < g->count; i++) {
        int length = g->requests[i].length + room(g, &g->requests[i]);

        if (length > decoder->context) decoder->context = length;
    }
    if (take_memory(g, err)) return -1;
    slots = (size_t)decoder->slots;
    g->order = xcalloc((size_t)g->count, sizeof *g->order);
    g->group = xcalloc((size_t)g->count, sizeof *g->group);
    order_requests(g);
    g->places = xcalloc(slots, sizeof *g->places);
    g->fill_row = xcalloc(2 * slots, sizeof *g->fill_row);
    g->fill_slot = g->fill_row + slots;
    g->active = xcalloc(slots, sizeof *g->active);
    g->index = xcalloc(slots, sizeof *g->index);
    g->ends = xcalloc(slots, sizeof *g->ends);
    for (size_t i = 0; i < slots; i++) g->places[i].request = -1;
    return 0;
}

static void discard(struct generator *g) {
    if (g->trunk) g->trunk->decoder = NULL;
    generator_memory_free(&g->own);
    batch_free(&g->prompts);
    free(g->order);
    free(g->group);
    free(g->places);
    free(g->fill_row);
    free(g->active);
    free(g->index);
    free(g->ends);
}

static void begin(struct generator *g, int slot) {
    const struct generator_options *options = g->options;
    int index = g->order[g->next++];
    const struct request *request = &g->requests[index];
    struct response *response = &g->responses[index];
    struct place *place = &g->places[slot];

    place->request = index;
    place->token = request->prompt[request->length - 1];
    g->last = slot;
    place->rng = rng_stream(options->seed, options->stream, request->a, request->b);
    response->tokens = xmalloc((size_t)room(g, request) * sizeof *response->tokens);
    response->logprob = xmalloc((size_t)room(g, request) * sizeof *response->logprob);
    if (options->values) response->value = xmalloc((size_t)room(g, request) * sizeof *response->value);
}

/* Gives a slot the keys and values of the one that the last request went to. */
static void copy_slot(const struct generator *g, int slot) {
    const struct config *c = &g->model->config;
    const struct kernels *kernels = g->model->kernels;
    size_t size = kernels->cache_size(1, g->decoder.context, c->kv_heads, c->head_size);

    for (int i = 0; i < c->layers && slot != g->last; i++) {
        char *cache = g->decoder.cache[i];

        kernels->copy(cache + size * (size_t)slot, cache + size * (size_t)g->last, size);
    }
}

/* Puts waiting requests into free places. The first of a prompt makes a row of this pass, and others that
   begin with it take their keys and values from that row; the rest, in later passes, copy them from the slot
   of the one before and go on with the prompt's last token. */
static int choose_prompts(struct generator *g) {
    int fills = 0;

    batch_clear(&g->prompts);
    for (int slot = 0; slot < g->decoder.slots && g->next < g->count; slot++) {
        int index = g->order[g->next], known = g->next && g->group[index] == g->group[g->order[g->next - 1]];
        const struct request *request = &g->requests[index];

        if (g->places[slot].request >= 0) continue;
        if (known && !g->prompts.rows) {
            copy_slot(g, slot);
            begin(g, slot);
            continue;
        }
        if (!known && g->prompts.rows && g->prompts.total + request->length > PROMPT_PASS) break;
        if (!known) batch_add(&g->prompts, request->prompt, request->length);
        g->fill_row[fills] = g->prompts.rows - 1;
        g->fill_slot[fills++] = slot;
        begin(g, slot);
    }
    return fills;
}

/* Notes what was drawn i-th, for the place of the i-th active slot; a complete response leaves it free. */
static void note(struct generator *g, int i) {
    struct place *place = &g->places[g->active[i]];
    struct response *response = &g->responses[place->request];
    int token = g->decoding->drawn[i];

    if (response->value) response->value[response->length] = g->decoding->value[i];
    response->tokens[response->length] = token;
    response->logprob[response->length++] = g->decoding->logprob[i];
    response->ended = token == g->options->end_token;
    place->token = token;
    if (!response->ended && response->length < room(g, &g->requests[place->request])) return;
    place->request = -1;
    g->finished++;
}

/* The numbers that the active slots' next tokens are drawn with. */
static void draw_uniforms(struct generator *g, int count) {
    for (int i = 0; i < count; i++) /* 24 bits, so that no float is 1 */
        g->decoding->uniform[i] = (float)(rng_u32(&g->places[g->active[i]].rng) >> 8) * 0x1p-24f;
}

static void place_fills(struct generator *g, int fills) {
    struct decoder *decoder = &g->decoder;
    size_t slots = (size_t)decoder->slots;
    const int *start = g->prompts.start;

    decoder->row = g->model->kernels->send(g->fill_room, g->fill_row, 2 * slots * sizeof *g->fill_row);
    decoder->slot = decoder->row + slots;
    decoder->fills = fills;
    decoder->longest = 0;
    for (int r = 0; r < g->prompts.rows; r++)
        if (start[r + 1] - start[r] > decoder->longest) decoder->longest = start[r + 1] - start[r];
}

static int begin_prompts(struct generator *g, struct error *err) {
    int fills;

    while ((fills = choose_prompts(g)) > 0) {
        place_fills(g, fills);
        for (int r = 0; r < g->prompts.rows; r++) g->ends[r] = g->prompts.start[r + 1] - 1;
        if (trunk_run(g->trunk,
                      &(struct pass){.rows = g->prompts.rows,
                                     .total = g->prompts.total,
                                     .tokens = g->prompts.tokens,
                                     .start = g->prompts.start,
                                     .wanted = g->ends,
                                     .wanted_count = g->prompts.rows},
                      err))
            return -1;
        for (int i = 0; i < fills; i++) {
            g->active[i] = g->fill_slot[i];
            g->index[i] = g->ends[g->fill_row[i]];
        }
        draw_uniforms(g, fills);
        if (decoding_draw(g->decoding, g->trunk, g->index, fills, &g->options->sampling, g->options->values,
                          err))
            return -1;
        for (int i = 0; i < fills; i++) note(g, i);
    }
    return 0;
}

static int step(struct generator *g, struct error *err) {
    struct decoding *decoding = g->decoding;
    int count = 0;

    for (int slot = 0; slot < g->decoder.slots; slot++) {
        const struct place *place = &g->places[slot];

        if (place->request < 0) continue;
        decoding->token[count] = place->token;
        decoding->position[count] =
            g->requests[place->request].length + g->responses[place->request].length - 1;
        g->active[count] = decoding->slot[count] = slot;
        count++;
    }
    if (count == 0) return 0;
    draw_uniforms(g, count);
    if (decoding_step(decoding, g->trunk, count, &g->options->sampling, g->options->values, err)) return -1;
    for (int i = 0; i < count; i++) note(g, i);
    return 0;
}

static int run(struct generator *g, void (*done)(void *context, int finished), void *context,
               struct error *err) {
    int told = 0;

    if (prepare(g, err)) return -1;
    while (g->finished < g->count) {
        if (begin_prompts(g, err)) return -1;
        if (step(g, err)) return -1;
        if (done && g->finished > told) done(context, g->finished);
        told = g->finished;
    }
    return 0;
}

int generate(const struct model *model, const struct request *requests, int count,
             const struct generator_options *options, struct response *responses,
             void (*done)(void *context, int finished), void *context, struct error *err) {
    struct generator g = {
        .model = model, .options = options, .requests = requests, .responses = responses, .count = count};
    int status;

    for (int i = 0; i < count; i++) responses[i] = (struct response){0};
    if (check_requests(&g, err)) return -1;
    if (count == 0) return 0;
    status = run(&g, done, context, err);
    discard(&g);
    for (int i = 0; status && i < count; i++) response_free(&responses[i]);
    return status;
}

void response_free(struct response *response) {
    free(response->tokens);
    free(response->logprob);
    free(response->value);
    *response = (struct response){0};
}
