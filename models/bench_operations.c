#include "models/bench_operations.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/memory.h"
#include "harness/rng.h"

/* GPT-2's sizes, and how many tokens are scored or drawn together for each of the rows, and
 * how many are decoded. */
enum {
    LENGTH = 1024,
    WIDTH = 768,
    HEADS = 12,
    SIZE = 64,
    FFN = 4 * WIDTH,
    VOCAB = 50257,
    CHUNK = 256,
    SLOTS = 64
};
enum { QKV = 3 * WIDTH, SHAPES = 4 };
#define TOP_P 0.999f

/* The arrays that operations work on: big enough for the widest use of each. */
struct arrays {
    const struct kernels *k;
    int tokens;
    int chunk, line;      /* rows of logits, and the length of their lines */
    int length, channels; /* of attention's rows and heads, in the operation that is timed */
    size_t size;          /* floats of each of the first three */
    float *a, *b, *c, *logits, *dlogits, *table, *cache, *columns, *tokenwise;
    double *sum;
    int *token, *position, *start, *slot, *last;
};

typedef void task(const struct arrays *x);

static void embed(const struct arrays *x) {
    x->k->embed(x->a, x->table, x->b, x->token, x->position, x->tokens, WIDTH, 1);
}

static void embed_backward(const struct arrays *x) {
    x->k->embed_backward(x->table, x->b, x->a, x->token, x->position, x->tokens, WIDTH, 1);
}

static void gather(const struct arrays *x) {
    x->k->gather(x->a, x->table, x->token, x->tokens, WIDTH * sizeof(float));
}

static void add(const struct arrays *x) {
    x->k->add(x->a, x->b, x->size);
}

static void layernorm(const struct arrays *x) {
    x->k->layernorm(x->a, x->tokenwise, x->tokenwise + x->tokens, x->b, x->columns, x->columns, x->tokens,
                    WIDTH, 1e-5f);
}

static void layernorm_backward(const struct arrays *x) {
    x->k->layernorm_backward(x->a, NULL, x->columns, x->columns + WIDTH, x->b, x->c, x->columns + 2 * WIDTH,
                             x->tokenwise, x->tokenwise + x->tokens, x->tokens, WIDTH);
}

static void rmsnorm(const struct arrays *x) {
    x->k->rmsnorm(x->a, x->tokenwise, x->b, x->columns, x->tokens, WIDTH, 1e-5f);
}

static void rmsnorm_backward(const struct arrays *x) {
    x->k->rmsnorm_backward(x->a, NULL, x->columns, x->b, x->c, x->columns + WIDTH, x->tokenwise, x->tokens,
                           WIDTH);
}

static void bias_backward(const struct arrays *x) {
    x->k->bias_backward(x->columns, x->a, x->tokens, QKV);
}

static void rope(const struct arrays *x) {
    x->k->rope(x->a, x->b, x->c, x->position, x->tokens, 2 * HEADS, SIZE, QKV, 0);
}

static void swiglu(const struct arrays *x) {
    x->k->swiglu(x->a, x->b, x->tokens, FFN / 2);
}

static void swiglu_backward(const struct arrays *x) {
    x->k->swiglu_backward(x->a, x->b, x->c, x->tokens, FFN / 2);
}

static void attention(const struct arrays *x) {
    int heads = WIDTH / x->channels;

    x->k->attention(x->a, x->tokenwise, x->b, x->start, x->tokens / x->length, heads, heads, x->channels,
                    0.125f, 0);
}

static void attention_backward(const struct arrays *x) {
    int heads = WIDTH / x->channels;

    x->k->attention_backward(x->c, x->a, x->b, x->a, x->tokenwise, x->start, x->tokens / x->length, heads,
                             heads, x->channels, 0.125f, 0);
}

static void cache_write(const struct arrays *x) {
    x->k->cache_write(x->cache, x->b, x->start, x->slot, x->slot, x->tokens / x->length, x->length, LENGTH,
                      HEADS, HEADS, SIZE);
}

static void attention_decode(const struct arrays *x) {
    x->k->attention_decode(x->a, x->cache, x->b, x->slot, x->last, SLOTS, LENGTH, HEADS, HEADS, SIZE, 0.125f,
                           0);
}

static void logprob(const struct arrays *x) {
    x->k->logprob(x->tokenwise, NULL, NULL, NULL, x->logits, x->token, x->chunk, VOCAB, x->line, 1);
}

static void logprob_with_entropy(const struct arrays *x) {
    x->k->logprob(x->tokenwise, x->tokenwise + x->chunk, NULL, NULL, x->logits, x->token, x->chunk, VOCAB,
                  x->line, 1);
}

static void logprob_backward(const struct arrays *x) {
    x->k->logprob_backward(x->dlogits, x->logits, x->token, x->columns, x->tokenwise, NULL, x->chunk, VOCAB,
                           x->line, 1);
}

static void truncate_top_p(const struct arrays *x) {
    x->k->truncate(x->logits, NULL, x->chunk, VOCAB, x->line, 1, 0, TOP_P, 0);
}

static void sample(const struct arrays *x) {
    x->k->sample(x->last + SLOTS, x->tokenwise, x->logits, x->columns, x->chunk, VOCAB, x->line, 1);
}

static void sum_squares(const struct arrays *x) {
    x->k->sum_squares(x->sum, x->a, x->size);
}

static void adamw(const struct arrays *x) {
    size_t part = x->size / 2;

    x->k->adamw(x->a, x->b, x->b + part, x->c, NULL, NULL, (int)part, 1, 1, 1e-9f, 0.9f, 0.999f, 1e-8f, 0, 1,
                1);
}

/* Room for that layout, if this backend has it. */
static void *layout(const struct arrays *x, int turned) {
    if (!x->k->pack_size(FFN, WIDTH, turned)) return NULL;
    return turned ? x->dlogits : x->logits;
}

static void adamw_with_layouts(const struct arrays *x) {
    size_t part = x->size / 2;

    x->k->adamw(x->a, x->b, x->b + part, x->c, layout(x, 0), layout(x, 1), (int)(part / WIDTH), WIDTH, 1,
                1e-9f, 0.9f, 0.999f, 1e-8f, 0, 1, 1);
}

/* What goes to or from memory for each token (or each logit, element or key): so many floats and
 * elements of operands. BY_SCORE: arithmetic counts, floats are its operations, and it is timed
 * with every shape of attention. */
struct entry {
    const char *name;
    task *run;
    enum { BY_TOKEN, BY_LOGIT, BY_ELEMENT, BY_LAID_OUT, BY_KEY, BY_SCORE } unit;
    double floats, operands;
    int rival; /* 1: PyTorch has it as one call, or in the few that one writes */
};

/* The sum of squares and the sample come last but for what spoils the arrays they read. */
static const struct entry entries[] = {
    {"add", add, BY_ELEMENT, 3, 0, 1},
    {"embed", embed, BY_TOKEN, 2 * WIDTH, 0, 1},
    {"gather", gather, BY_TOKEN, 2 * WIDTH, 0, 1},
    {"layernorm", layernorm, BY_TOKEN, WIDTH, WIDTH, 1},
    {"layernorm_backward", layernorm_backward, BY_TOKEN, 4 * WIDTH, 0, 1},
    {"rmsnorm", rmsnorm, BY_TOKEN, WIDTH, WIDTH, 1},
    {"rmsnorm_backward", rmsnorm_backward, BY_TOKEN, 4 * WIDTH, 0, 1},
    {"bias_backward", bias_backward, BY_TOKEN, 0, QKV, 0},
    {"rope", rope, BY_TOKEN, 0, 2 * 2 * WIDTH, 0},
    {"swiglu", swiglu, BY_TOKEN, 0, 1.5 * FFN, 0},
    {"swiglu_backward", swiglu_backward, BY_TOKEN, 0.5 * FFN, 2 * FFN, 0},
    {"attention", attention, BY_SCORE, 4, 0, 1},
    {"attention_backward", attention_backward, BY_SCORE, 10, 0, 1},
    {"cache_write", cache_write, BY_TOKEN, 0, 4 * WIDTH, 0},
    {"attention_decode", attention_decode, BY_KEY, 0, 2 * WIDTH, 0},
    {"logprob", logprob, BY_LOGIT, 1, 0, 1},
    {"logprob with entropy", logprob_with_entropy, BY_LOGIT, 1, 0, 1},
    {"sample", sample, BY_LOGIT, 1, 0, 1},
    {"truncate to top_p", truncate_top_p, BY_LOGIT, 2, 0, 1},
    {"logprob_backward", logprob_backward, BY_LOGIT, 1, 1, 1},
    {"embed_backward", embed_backward, BY_TOKEN, 3 * WIDTH, 0, 0},
    {"sum_squares", sum_squares, BY_ELEMENT, 1, 0, 0},
    {"adamw", adamw, BY_ELEMENT, 4, 0, 1},
    {"adamw with layouts", adamw_with_layouts, BY_LAID_OUT, 1, 0, 0},
};

static double units_of(const struct arrays *x, int unit) {
    switch (unit) {
    case BY_TOKEN:
        return x->tokens;
    case BY_LOGIT:
        return (double)x->chunk * VOCAB;
    case BY_ELEMENT:
        return (double)x->size;
    case BY_LAID_OUT: /* four arrays to and fro, and the layouts */
        return (double)x->size / 2 *
               (8 + (!!layout(x, 0) + !!layout(x, 1)) * (double)x->k->operand_bytes / sizeof(float));
    case BY_KEY:
        return (double)SLOTS * LENGTH;
    default:
        return (double)x->tokens * x->length / 2 * WIDTH; /* multiply-adds count two in .floats */
    }
}

static double now(void) {
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static double run_times(const struct arrays *x, task *run, int times) {
    double from = now();

    for (int i = 0; i < times; i++) run(x);
    x->k->sync();
    return (now() - from) / times;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Seconds: the median of the rounds, each of some ten milliseconds. */
static double time_of(const struct arrays *x, task *run, int rounds) {
    double *samples = xcalloc((size_t)rounds, sizeof *samples), once, median;
    int times;

    run_times(x, run, 1);
    once = run_times(x, run, 1);
    times = (int)fmin(fmax(0.02 / once, 1), 1000);
    for (int r = 0; r < rounds; r++) samples[r] = run_times(x, run, times);
    qsort(samples, (size_t)rounds, sizeof *samples, by_size);
    median = samples[rounds / 2];
    free(samples);
    return median;
}

/* Numbers in [0, 1), as floats and, in either half of each, as bf16. */
static float *noise(const struct kernels *k, size_t count, uint64_t index) {
    struct rng rng = rng_stream(1, "bench", index, 1);
    float *memory = k->alloc(count * sizeof *memory), *view;

    if (!memory) return NULL;
    view = k->map(memory, count * sizeof *view, 0);
    for (size_t i = 0; i < count; i++) {
        float number = (float)(rng_u32(&rng) >> 8) * 0x1p-24f;
        uint32_t bits;

        memcpy(&bits, &number, sizeof bits);
        bits = (bits & 0xffff0000) | bits >> 16;
        memcpy(&view[i], &bits, sizeof bits);
    }
    k->unmap(memory, view, count * sizeof *view, 1);
    return memory;
}

/* memory[i] = i / each + offset, or below `limit` at random if that is not 0. */
static int *whole(const struct kernels *k, int count, int each, int offset, int limit) {
    struct rng rng = rng_stream(1, "bench", (uint64_t)limit, 2);
    size_t bytes = (size_t)count * sizeof(int);
    int *memory = k->alloc(bytes), *view;

    if (!memory) return NULL;
    view = k->map(memory, bytes, 0);
    for (int i = 0; i < count; i++) view[i] = limit ? rng_below(&rng, limit) : i / each + offset;
    k->unmap(memory, view, bytes, 1);
    return memory;
}

static void arrays_free(struct arrays *x) {
    void *const all[] = {x->a,     x->b,        x->c,       x->logits,    x->dlogits,
                         x->table, x->cache,    x->columns, x->tokenwise, x->sum,
                         x->token, x->position, x->start,   x->slot,      x->last};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i]) x->k->free(all[i]);
}

static int arrays_create(struct arrays *x, const struct kernels *k, int rows, struct error *err) {
    *x = (struct arrays){.k = k, .tokens = rows * LENGTH, .length = LENGTH, .channels = SIZE};
    x->size = (size_t)x->tokens * FFN;
    x->chunk = CHUNK * rows;
    x->line = (VOCAB + k->line - 1) / k->line * k->line;
    x->a = noise(k, x->size, 0);
    x->b = noise(k, x->size, 1);
    x->c = noise(k, x->size, 2);
    x->logits = noise(k, (size_t)x->chunk * x->line, 3);
    x->dlogits = noise(k, (size_t)x->chunk * x->line, 8);
    x->table = noise(k, (size_t)VOCAB * WIDTH, 4);
    x->cache = noise(k, k->cache_size(SLOTS, LENGTH, HEADS, SIZE) / sizeof(float), 5);
    x->columns = noise(k, (size_t)(QKV + 4 * x->chunk), 6);
    x->tokenwise = noise(k, (size_t)x->tokens * HEADS, 7);
    x->sum = k->alloc(sizeof *x->sum);
    x->token = whole(k, x->tokens, 0, 0, VOCAB);
    x->position = whole(k, x->tokens, 0, 0, LENGTH);
    x->start = whole(k, rows + 1, 1, 0, 0); /* set_shape() */
    x->slot = whole(k, SLOTS, 1, 0, 0);
    x->last = whole(k, SLOTS + x->chunk, SLOTS + x->chunk, LENGTH - 1, 0);
    if (x->a && x->b && x->c && x->logits && x->dlogits && x->table && x->cache && x->columns &&
        x->tokenwise && x->sum && x->token && x->position && x->start && x->slot && x->last)
        return 0;
    arrays_free(x);
    return fail(err, "no memory for the operations on %d tokens", rows * LENGTH);
}

/* Tokens of attention's rows, channels of its heads; GPT-2's first. */
static const struct shape {
    int length, channels;
} shapes[SHAPES] = {{LENGTH, SIZE}, {LENGTH, 128}, {4096, SIZE}, {4096, 128}};

/* start[r] = length r */
static void set_shape(struct arrays *x, const struct shape *shape) {
    int rows = x->tokens / shape->length;
    size_t bytes = (size_t)(rows + 1) * sizeof(int);
    int *view = x->k->map(x->start, bytes, 0);

    x->length = shape->length;
    x->channels = shape->channels;
    for (int r = 0; r <= rows; r++) view[r] = r * shape->length;
    x->k->unmap(x->start, view, bytes, 1);
}

static struct operation measure(const struct operations *all, const struct arrays *x,
                                const struct entry *entry, int rounds) {
    int arithmetic = entry->unit == BY_SCORE;
    double units = units_of(x, entry->unit);
    double bytes = units * (sizeof(float) * entry->floats + (double)x->k->operand_bytes * entry->operands);
    struct operation out = {.bound = arithmetic ? "arithmetic" : "bytes",
                            .rival = entry->rival ? entry->name : NULL,
                            .length = x->length,
                            .channels = x->channels,
                            .theirs = NAN,
                            .seconds = time_of(x, entry->run, rounds),
                            .floor = arithmetic ? units * entry->floats / (all->peak * 1e9)
                                                : bytes / all->bandwidth};

    snprintf(out.name, sizeof out.name, "%s", entry->name);
    if (arithmetic) snprintf(out.name, sizeof out.name, "%s %d x %d", entry->name, x->length, x->channels);
    return out;
}

/* Once, or attention in every shape for which there are tokens. */
static void add_entry(struct operations *out, struct arrays *x, const struct entry *entry, int rounds) {
    if (entry->unit != BY_SCORE) out->items[out->count++] = measure(out, x, entry, rounds);
    for (size_t s = 0; s < SHAPES && entry->unit == BY_SCORE; s++) {
        if (shapes[s].length > x->tokens) continue;
        set_shape(x, &shapes[s]);
        out->items[out->count++] = measure(out, x, entry, rounds);
    }
}

int operations_measure(struct operations *out, const struct kernels *kernels, const char *only, int rows,
                       int rounds, double peak, struct error *err) {
    const int count = (int)(sizeof entries / sizeof *entries);
    const char *trouble;
    struct arrays x;

    if (arrays_create(&x, kernels, rows, err)) return -1;
    out->peak = peak;
    out->rows = rows;
    out->bandwidth = 3 * 4 * (double)x.size / time_of(&x, add, rounds);
    out->items = xcalloc((size_t)count * SHAPES, sizeof *out->items);
    for (int i = 0; i < count; i++)
        if (!only || strstr(entries[i].name, only)) add_entry(out, &x, &entries[i], rounds);
    trouble = kernels->sync();
    arrays_free(&x);
    if (trouble) return fail(err, "%s", trouble);
    return out->count ? 0 : fail(err, "no operation has \"%s\" in its name", only);
}

void operation_order(const struct operations *operations, const struct operation *operation,
                     struct node *order) {
    int tokens = operations->rows * LENGTH;
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"tokens", tokens},
                   {"length", operation->length},
                   {"channels", operation->channels},
                   {"width", WIDTH},
                   {"context", LENGTH},
                   {"vocab", VOCAB},
                   {"chunk", CHUNK * operations->rows},
                   {"elements", (double)tokens * FFN},
                   {"top_p", (double)TOP_P}};

    node_add_text(order, "name", operation->rival);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        node_add_number(order, numbers[i].name, numbers[i].value);
}

static void print_theirs(const struct operation *one, FILE *out) {
    if (isfinite(one->theirs))
        fprintf(out, " %11.1f %12.2f", 1e6 * one->theirs, one->theirs / one->seconds);
    else
        fprintf(out, " %11s %12s", "-", "-");
}

void operations_print(const struct operations *operations, FILE *out) {
    const char *against = operations->against;

    fprintf(out, "adding large arrays moves %.0f GB/s\n", operations->bandwidth / 1e9);
    if (against) fprintf(out, "beside %s\n", against);
    fprintf(out, "%-28s %11s %11s %9s%s\n", "", "us", "floor, us", "of floor",
            against ? " PyTorch, us PyTorch / it" : "");
    for (int i = 0; i < operations->count; i++) {
        const struct operation *one = &operations->items[i];

        fprintf(out, "%-28s %11.1f %11.1f %9.2f", one->name, 1e6 * one->seconds, 1e6 * one->floor,
                one->floor / one->seconds);
        if (against) print_theirs(one, out);
        fprintf(out, "  %s\n", one->bound);
    }
}

void operations_json(const struct operations *operations, struct node *list) {
    for (int i = 0; i < operations->count; i++) {
        const struct operation *one = &operations->items[i];
        struct node *map = node_add(list, NULL, NODE_MAP);

        node_add_text(map, "name", one->name);
        node_add_text(map, "bound", one->bound);
        node_add_number(map, "seconds", one->seconds);
        node_add_number(map, "floor", one->floor);
        if (isfinite(one->theirs)) node_add_number(map, "pytorch_seconds", one->theirs);
    }
}
