#include "kernels/cuda/device.cuh"

#define THREADS 128

/* A slot's cache, per key head: keys in blocks of 16 tokens [block][head_size][16], then values by rows
   [token][head_size]. */
struct cache {
    int blocks, size;
};

static inline __host__ __device__ size_t cache_keys(struct cache cache) {
    return (size_t)cache.blocks * cache.size * WIDTH;
}

static inline __host__ __device__ size_t cache_head(struct cache cache) {
    return 2 * cache_keys(cache);
}

static struct cache cache_shape(int context, int head_size) {
    return (struct cache){ROUND16(context) / WIDTH, head_size};
}

extern "C" size_t cuda_cache_size(int slots, int context, int kv_heads, int head_size) {
    return sizeof(float) * cache_head(cache_shape(context, head_size)) * slots * kv_heads;
}

/* One channel of a key and of its value to their places. */
static __device__ __forceinline__ void keep(float *head, struct cache shape, int at, int d, float key,
                                            float value) {
    head[((size_t)(at / WIDTH) * shape.size + d) * WIDTH + at % WIDTH] = key;
    head[cache_keys(shape) + (size_t)at * shape.size + d] = value;
}

/* A thread has one channel of a key and of its value, a line of blocks a row. */
static __global__ void cache_write_kernel(float *cache, const float *qkv, const int *start, const int *row,
                                          const int *slot, struct cache shape, int heads, int kv_heads) {
    size_t task = (size_t)blockIdx.x * THREADS + threadIdx.x;
    int d = (int)(task % shape.size), kv = (int)(task / shape.size % kv_heads), i = blockIdx.y;
    int at = (int)(task / shape.size / kv_heads), token;

    start_successor();
    wait_for_predecessor();
    token = start[row[i]] + at;
    if (token >= start[row[i] + 1]) return;
    const float *k = qkv + ((size_t)token * (heads + 2 * kv_heads) + heads + kv) * shape.size + d;
    float *head = cache + ((size_t)slot[i] * kv_heads + kv) * cache_head(shape);

    keep(head, shape, at, d, k[0], k[(size_t)kv_heads * shape.size]);
}

void cache_write_cuda(void *cache, const operand *qkv, const int *start, const int *row, const int *slot,
                      int count, int longest, int context, int heads, int kv_heads, int head_size) {
    int across = blocks_for((size_t)longest * kv_heads * head_size, THREADS);

    if (count == 0 || across == 0) return;
    launch_chained("cache_write", cache_write_kernel, dim3(across, count), THREADS, 0, (float *)cache,
                   (const float *)qkv, start, row, slot, cache_shape(context, head_size), heads, kv_heads);
}

/* The product of a query and a key, whose channels lie NEXT apart. */
template <int NEXT>
static __device__ __forceinline__ float multiply_by(const float *q, const float *key, int size) {
    float sum = 0;

#pragma unroll 8
    for (int d = 0; d < size; d++) sum = fmaf(q[d], key[(size_t)d * NEXT], sum);
    return sum;
}

/* Scores of `last` keys and of the entry's own behind them, scaled; returns the thread's largest. */
static __device__ float score_keys(float *scores, const float *q, const float *keys, const float *own,
                                   int last, int size, float scale, float cap) {
    float max = -INFINITY;

    for (int j = threadIdx.x; j <= last; j += THREADS) {
        const float *key = keys + (size_t)(j / WIDTH) * size * WIDTH + j % WIDTH;
        float product = j < last ? multiply_by<WIDTH>(q, key, size) : multiply_by<1>(q, own, size);

        scores[j] = score_of(product, scale, cap);
        max = scores[j] > max ? scores[j] : max;
    }
    return max;
}

/* The largest of all threads' numbers. */
static __device__ float block_max(float x) {
    __shared__ float most[THREADS / WIDTH];

    x = lanes_max(x);
    if (threadIdx.x % WIDTH == 0) most[threadIdx.x / WIDTH] = x;
    __syncthreads();
    x = most[0];
    for (int h = 1; h < THREADS / WIDTH; h++) x = most[h] > x ? most[h] : x;
    return x;
}

/* The weights' sum in 16 lanes, given to all. */
static __device__ float weight_sum(const float *weights, int count) {
    __shared__ float total;

    if (threadIdx.x < WARP) { /* both halves alike */
        float sum = 0;

        for (int j = threadIdx.x % WIDTH; j < count; j += WIDTH) sum += weights[j];
        sum = lanes_sum(sum);
        if (threadIdx.x == 0) total = sum;
    }
    __syncthreads();
    return total;
}

/* Floats of shared memory for a query, a key or a value; loops over it may look ahead by a few. */
static inline __host__ __device__ int query_room(int size) {
    return ROUND16(size) + WIDTH;
}

/* One query head of one entry a block. What the entry adds to the cache is read from qkv by all that share
 * the key head, and written by the first of them alone. */
static __global__ void decode_kernel(float *out, float *cache, const float *qkv, const int *slot,
                                     const int *position, struct cache shape, int heads, int kv_heads,
                                     float scale, float cap) {
    int h = blockIdx.x, i = blockIdx.y, size = shape.size, last = position[i];
    int group = heads / kv_heads, kv = h / group;
    float *q = dynamic_shared<float>(), *key = q + query_room(size), *value = key + query_room(size);
    float *scores = value + query_room(size), max, sum;
    float *head = cache + ((size_t)slot[i] * kv_heads + kv) * cache_head(shape);
    const float *values = head + cache_keys(shape), *entry = qkv + (size_t)i * (heads + 2 * kv_heads) * size;

    start_successor();
    wait_for_predecessor();
    for (int d = threadIdx.x; d < size; d += THREADS) {
        q[d] = entry[(size_t)h * size + d];
        key[d] = entry[(size_t)(heads + kv) * size + d];
        value[d] = entry[(size_t)(heads + kv_heads + kv) * size + d];
        if (h % group == 0) keep(head, shape, last, d, key[d], value[d]);
    }
    __syncthreads();
    max = block_max(score_keys(scores, q, head, key, last, size, scale, cap));
    for (int j = threadIdx.x; j <= last; j += THREADS) scores[j] = exp_of(scores[j] - max);
    __syncthreads();
    sum = weight_sum(scores, last + 1);
    for (int d = threadIdx.x; d < size; d += THREADS) {
        float mixed = 0;

#pragma unroll 8
        for (int j = 0; j < last; j++) mixed = fmaf(scores[j], values[(size_t)j * size + d], mixed);
        mixed = fmaf(scores[last], value[d], mixed);
        out[((size_t)i * heads + h) * size + d] = mixed * (1.0f / sum);
    }
}

void attention_decode_cuda(operand *out, void *cache, const operand *qkv, const int *slot,
                           const int *position, int count, int context, int heads, int kv_heads,
                           int head_size, float scale, float cap) {
    size_t bytes = ((size_t)context + 3 * query_room(head_size)) * sizeof(float);

    if (count == 0) return;
    launch_chained("attention_decode", decode_kernel, dim3(heads, count), THREADS, bytes, (float *)out,
                   (float *)cache, (const float *)qkv, slot, position, cache_shape(context, head_size), heads,
                   kv_heads, scale, cap);
}
