#include "kernels/cpu/heads.h"

#include <omp.h>

#define STEP 32 /* cells of values between looks ahead */
#define RUNS 8  /* of neighbouring heads that each thread takes, about, so that it can look ahead */

/* A slot's cache in cells, per key head: keys in blocks of 16 tokens [block][head_size][16], then values by
   tokens [token][channels], where channels is head_size rounded up to 16. A cell holds as many neighbours of
   head_size in keys, and of tokens in values. */
struct cache {
    int blocks, size, channels; /* size: elements of a head */
};

static struct cache cache_shape(int context, int head_size) {
    return (struct cache){ROUND16(context) / WIDTH, head_size, ROUND16(head_size)};
}

static size_t cache_keys(const struct cache *cache) {
    return (size_t)cache->blocks * CELLS(cache->size) * WIDTH;
}

static size_t cache_head(const struct cache *cache) {
    return cache_keys(cache) + (size_t)cache->blocks * (WIDTH / PAIR) * cache->channels;
}

size_t CPU(cache_size)(int slots, int context, int kv_heads, int head_size) {
    struct cache cache = cache_shape(context, head_size);

    return sizeof(float) * cache_head(&cache) * slots * kv_heads;
}

/* Key head kv of a slot: its keys, and cache_keys() behind its values. */
static float *head_at(const void *cache, const struct cache *shape, int slot, int kv_heads, int kv) {
    return (float *)cache + ((size_t)slot * kv_heads + kv) * cache_head(shape);
}

static void write_entry(float *head, const struct cache *cache, const element *k, const element *v,
                        int position) {
    const int whole = cache->size / PAIR, rest = cache->size % PAIR;
    float *key = head + (size_t)(position / WIDTH) * CELLS(cache->size) * WIDTH + position % WIDTH;
    element *value = (element *)(head + cache_keys(cache) + (size_t)(position / PAIR) * cache->channels);

    for (int c = 0; c < whole; c++) memcpy(key + (size_t)c * WIDTH, k + c * PAIR, sizeof *key);
    if (rest) key[(size_t)whole * WIDTH] = cell_of(k + whole * PAIR, rest);
    for (int d = 0; d < cache->size; d++) value[d * PAIR + position % PAIR] = v[d];
}

void CPU(cache_write)(void *cache, const operand *qkv, const int *start, const int *row, const int *slot,
                      int count, int longest, int context, int heads, int kv_heads, int head_size) {
    struct cache shape = cache_shape(context, head_size);
    size_t width = (size_t)(heads + 2 * kv_heads) * head_size;

#pragma omp parallel for if (worth_threads((size_t)count * longest * kv_heads * head_size))
    for (int task = 0; task < count * kv_heads; task++) {
        int i = task / kv_heads, kv = task % kv_heads, first = start[row[i]];
        float *head = head_at(cache, &shape, slot[i], kv_heads, kv);

        for (int t = first; t < start[row[i] + 1]; t++) {
            const element *k = (const element *)qkv + t * width + (size_t)(heads + kv) * head_size;

            write_entry(head, &shape, k, k + (size_t)kv_heads * head_size, t - first);
        }
    }
}

/* Query heads of one entry that share a key head, and what they see of it. */
struct seekers {
    const struct cache *cache;
    const float *keys, *values, *next; /* next: the keys of the entry after this */
    int rows, few, seen;               /* few: rows rounded up to 1, 2 or 4 */
    float scale, cap;
};

/* scores[few][room] */
static void score_keys(float *scores, size_t room, const float *queries, const struct seekers *of) {
    const int cells = CELLS(of->cache->size), blocks = ROUND16(of->seen) / WIDTH;

    for (int b = 0; b < blocks; b += WIDE) {
        const float *keys = of->keys + (size_t)b * WIDTH * cells;
        struct cells product = {.out = scores + (size_t)b * WIDTH,
                                .stride = room,
                                .left = queries,
                                .row = cells,
                                .step = 1,
                                .right = keys,
                                .next = WIDTH,
                                .block = (size_t)WIDTH * cells,
                                .depth = cells,
                                .ahead =
                                    b + WIDE < blocks ? keys + (size_t)WIDE * WIDTH * cells : of->values};

        cells_multiply_few(&product, of->few, smaller(WIDE, blocks - b));
    }
}

/* mixed[few][channels] = weights values */
static void mix_cached(float *mixed, const float *weights, size_t room, const struct seekers *of) {
    const int channels = of->cache->channels, cells = CELLS(of->seen);

    for (int c = 0; c < cells; c += STEP) {
        const float *values = of->values + (size_t)c * channels;
        struct cells product = {.out = mixed,
                                .stride = channels,
                                .left = weights + c,
                                .row = room,
                                .step = 1,
                                .right = values,
                                .next = channels,
                                .block = WIDTH,
                                .depth = smaller(STEP, cells - c),
                                .add = c > 0,
                                .ahead = c + STEP < cells ? values + (size_t)STEP * channels : of->next};

        cells_multiply_few(&product, of->few, channels / WIDTH);
    }
}

static void decode_rows(element *out, const element *q, const struct seekers *of) {
    const struct cache *cache = of->cache;
    size_t room = ROUND16(of->seen), cells = CELLS(cache->size);
    float *scores = scratch_floats(SCRATCH_SCORES, of->few * (room + cells + cache->channels));
    float *queries = scores + of->few * room, *mixed = queries + of->few * cells, sum[FEW], max;

    pack_rows(queries, q, cache->size, of->rows, of->few, cache->size);
    score_keys(scores, room, queries, of);
    for (int i = 0; i < of->rows; i++)
        sum[i] = softmax(scores + i * room, of->seen, of->scale, of->cap, &max);
    mix_cached(mixed, scores, room, of);
    for (int i = 0; i < of->rows; i++)
        narrow_row(out + i * cache->size, mixed + i * cache->channels, 1.0f / sum[i], cache->size);
}

/* All query heads that share a key head, so few at a time that sums stay in registers. */
static void decode_group(element *out, const element *q, struct seekers seekers, int group) {
    for (int h = 0; h < group; h += seekers.rows) {
        seekers.rows = smaller(FEW, group - h);
        seekers.few = seekers.rows == 3 ? 4 : seekers.rows;
        decode_rows(out + h * seekers.cache->size, q + h * seekers.cache->size, &seekers);
    }
}

void CPU(attention_decode)(operand *out, void *cache, const operand *qkv, const int *slot,
                           const int *position, int count, int context, int heads, int kv_heads,
                           int head_size, float scale, float cap) {
    struct cache shape = cache_shape(context, head_size);
    size_t width = (size_t)(heads + 2 * kv_heads) * head_size, seen = 0;
    int group = heads / kv_heads, tasks = count * kv_heads, run = tasks / (RUNS * omp_get_max_threads());

    for (int i = 0; i < count; i++) seen += (size_t)position[i] + 1;
#pragma omp parallel for schedule(dynamic, run > 1 ? run : 1) if (worth_threads(seen * heads * head_size / 4))
    for (int task = 0; task < tasks; task++) {
        int i = task / kv_heads, kv = task % kv_heads, next = smaller(task + 1, tasks - 1);
        size_t first = (size_t)kv * group * head_size;
        const element *entry = (const element *)qkv + i * width;
        const element *k = entry + (size_t)(heads + kv) * head_size;
        float *keys = head_at(cache, &shape, slot[i], kv_heads, kv);

        write_entry(keys, &shape, k, k + (size_t)kv_heads * head_size, position[i]);
        decode_group(
            (element *)out + (size_t)i * heads * head_size + first, entry + first,
            (struct seekers){.cache = &shape,
                             .keys = keys,
                             .values = keys + cache_keys(&shape),
                             .next = head_at(cache, &shape, slot[next / kv_heads], kv_heads, next % kv_heads),
                             .seen = position[i] + 1,
                             .scale = scale,
                             .cap = cap},
            group);
    }
}
