#include "kernels/cpu/softmax.h"
#include "kernels/cpu/vector.h"

#define BLOCKS 4 /* of 16 keys, whose scores are under way together */
#define CHUNK  8 /* vectors of a value, likewise */

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

static void write_entry(float *head, const struct cache *cache, const element *k, const element *v,
                        int position) {
    float *key = head + (size_t)(position / WIDTH) * CELLS(cache->size) * WIDTH + position % WIDTH;
    element *value = (element *)(head + cache_keys(cache) + (size_t)(position / PAIR) * cache->channels);

    for (int d = 0; d < cache->size; d++) ((element *)(key + d / PAIR * WIDTH))[d % PAIR] = k[d];
    for (int d = 0; d < cache->size; d++) value[d * PAIR + position % PAIR] = v[d];
}

void CPU(cache_write)(void *cache, const operand *qkv, const int *slot, const int *position, int count,
                      int context, int heads, int kv_heads, int head_size) {
    struct cache shape = cache_shape(context, head_size);
    size_t width = (size_t)(heads + 2 * kv_heads) * head_size;

#pragma omp parallel for if (worth_threads((size_t)count * kv_heads * head_size))
    for (int task = 0; task < count * kv_heads; task++) {
        int i = task / kv_heads, kv = task % kv_heads;
        const element *k = (const element *)qkv + i * width + (size_t)(heads + kv) * head_size;

        write_entry((float *)cache + ((size_t)slot[i] * kv_heads + kv) * cache_head(&shape), &shape, k,
                    k + (size_t)kv_heads * head_size, position[i]);
    }
}

/* scores[16 blocks] of one query: chains over head_size, lanes over keys. */
INLINE void score_blocks(float *scores, const element *q, const float *keys, int size, const int blocks) {
    const int cells = CELLS(size);
    vec sum[BLOCKS * PARTS];

    for (int p = 0; p < blocks * PARTS; p++) sum[p] = vec_set(0);
    for (int d = 0; d < cells; d++) {
        vec query = vec_set(cell_of(q + d * PAIR, size - d * PAIR));

#pragma GCC unroll 16
        for (int p = 0; p < blocks * PARTS; p++)
            sum[p] = vec_step(
                query, vec_load(keys + (size_t)(p / PARTS * cells + d) * WIDTH + p % PARTS * LANES), sum[p]);
    }
    for (int p = 0; p < blocks * PARTS; p++) vec_store(scores + p * LANES, sum[p]);
}

static void score_keys(float *scores, const element *q, const float *keys, int size, int blocks) {
    for (; blocks >= BLOCKS; blocks -= BLOCKS) {
        score_blocks(scores, q, keys, size, BLOCKS);
        scores += BLOCKS * WIDTH;
        keys += (size_t)BLOCKS * WIDTH * CELLS(size);
    }
    for (; blocks > 0; blocks--) {
        score_blocks(scores, q, keys, size, 1);
        scores += WIDTH;
        keys += (size_t)WIDTH * CELLS(size);
    }
}

/* out[vecs LANES] = sum over keys of weights[key] values[key], both in cells: chains over keys, lanes over
 * channels. */
INLINE void value_chunk(float *out, const float *weights, const float *values, int channels, int keys,
                        const int vecs) {
    vec sum[CHUNK];

    for (int v = 0; v < vecs; v++) sum[v] = vec_set(0);
    for (int k = 0; k < CELLS(keys); k++) {
        vec weight = vec_set(weights[k]);

#pragma GCC unroll 8
        for (int v = 0; v < vecs; v++)
            sum[v] = vec_step(weight, vec_load(values + (size_t)k * channels + v * LANES), sum[v]);
    }
    for (int v = 0; v < vecs; v++) vec_store(out + v * LANES, sum[v]);
}

static void mix_values(float *out, const float *weights, const float *values, int channels, int keys) {
    int c = 0;

    for (; c + CHUNK * LANES <= channels; c += CHUNK * LANES)
        value_chunk(out + c, weights, values + c, channels, keys, CHUNK);
    for (; c + 4 * LANES <= channels; c += 4 * LANES)
        value_chunk(out + c, weights, values + c, channels, keys, 4);
    for (; c < channels; c += LANES) value_chunk(out + c, weights, values + c, channels, keys, 1);
}

static void decode_head(element *out, const element *q, const float *head, const struct cache *cache,
                        int position) {
    int keys = position + 1, room = ROUND16(keys);
    float *scores = scratch_floats(SCRATCH_SCORES, (size_t)room + cache->channels), *mixed = scores + room;
    float max, sum;

    score_keys(scores, q, head, cache->size, room / WIDTH);
    sum = softmax(scores, keys, 1.0f / sqrtf((float)cache->size), &max);
    mix_values(mixed, scores, head + cache_keys(cache), cache->channels, keys);
    for (int d = 0; d < cache->size; d++) out[d] = element_of(mixed[d] * (1.0f / sum));
}

/* All query heads that share key head kv of one entry. */
static void decode_group(element *out, const element *q, const float *head, const struct cache *cache,
                         int group, int position) {
    for (int h = 0; h < group; h++)
        decode_head(out + h * cache->size, q + h * cache->size, head, cache, position);
}

void CPU(attention_decode)(operand *out, const operand *qkv, const void *cache, const int *slot,
                           const int *position, int count, int context, int heads, int kv_heads,
                           int head_size) {
    struct cache shape = cache_shape(context, head_size);
    size_t width = (size_t)(heads + 2 * kv_heads) * head_size, seen = 0;
    int group = heads / kv_heads;

    for (int i = 0; i < count; i++) seen += (size_t)position[i] + 1;
#pragma omp parallel for schedule(dynamic) if (worth_threads(seen * heads * head_size / 4))
    for (int task = 0; task < count * kv_heads; task++) {
        int i = task / kv_heads, kv = task % kv_heads;
        size_t first = (size_t)kv * group * head_size;

        decode_group((element *)out + (size_t)i * heads * head_size + first,
                     (const element *)qkv + i * width + first,
                     (const float *)cache + ((size_t)slot[i] * kv_heads + kv) * cache_head(&shape), &shape,
                     group, position[i]);
    }
}
