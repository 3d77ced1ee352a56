#include "kernels/cuda/heads_bf16.cuh"

/* A slot's cache, per key head: keys by lines [context][channels], then values; channels: the head's, and
 * zeros up to a multiple of 8. */
static inline __host__ __device__ int cache_channels(int head_size) {
    return (head_size + 7) / 8 * 8;
}

static inline __host__ __device__ size_t cache_keys(int context, int head_size) {
    return (size_t)context * cache_channels(head_size);
}

extern "C" size_t cuda_cache_size_bf16(int slots, int context, int kv_heads, int head_size) {
    return 2 * sizeof(bf16) * cache_keys(context, head_size) * slots * kv_heads;
}

/* Entries and their cache. */
struct reading {
    const bf16 *qkv;
    bf16 *cache;
    const int *slot, *position; /* position: of steps */
    int context, heads, kv_heads, head_size;
};

static __device__ __forceinline__ size_t reading_width(const struct reading &of) {
    return (size_t)(of.heads + 2 * of.kv_heads) * of.head_size;
}

/* Where an entry's keys begin. */
static __device__ __forceinline__ size_t keys_of(const struct reading &of, int entry, int kv) {
    return ((size_t)of.slot[entry] * of.kv_heads + kv) * 2 * cache_keys(of.context, of.head_size);
}

/* A thread has one channel of a key and of its value, a line of blocks a row. */
static __global__ void cache_write_kernel(struct reading of, const int *start, const int *row) {
    size_t task = (size_t)blockIdx.x * THREADS + threadIdx.x;
    int channels = cache_channels(of.head_size), entry = blockIdx.y;
    int d = (int)(task % channels), kv = (int)(task / channels % of.kv_heads), there = d < of.head_size;
    int at = (int)(task / channels / of.kv_heads), token;

    start_successor();
    wait_for_predecessor();
    token = start[row[entry]] + at;
    if (token >= start[row[entry] + 1]) return;
    const bf16 *key = of.qkv + token * reading_width(of) + (size_t)(of.heads + kv) * of.head_size + d;
    bf16 *to = of.cache + keys_of(of, entry, kv) + (size_t)at * channels + d;

    to[0] = there ? key[0] : 0;
    to[cache_keys(of.context, of.head_size)] = there ? key[(size_t)of.kv_heads * of.head_size] : 0;
}

void cache_write_bf16_cuda(void *cache, const operand *qkv, const int *start, const int *row, const int *slot,
                           int count, int longest, int context, int heads, int kv_heads, int head_size) {
    struct reading of = {(const bf16 *)qkv, (bf16 *)cache, slot, NULL, context, heads, kv_heads, head_size};
    int across = blocks_for((size_t)longest * kv_heads * cache_channels(head_size), THREADS);

    if (count == 0 || across == 0) return;
    launch_chained("cache_write", cache_write_kernel, dim3(across, count), THREADS, 0, of, start, row);
}

/* How decoding goes: STAGES tiles of keys and values on their way or under work. A warp scores a part of each
 * tile's keys, and mixes a part of the values' channels. */
template <class T_, int STAGES_> struct decoding {
    typedef T_ T;
    static const int STAGES = STAGES_, ROOM = 2 * T::KEYS * T::SIZE, LINES = T::SIZE / 8 / WARPS;
};

/* What a block's warps tell each other. */
template <class T> struct exchange {
    float max[PARTS][16], sum[PARTS][16][4];
    __align__(16) bf16 weights[16 * T::KEYS]; /* rounded, as a tile */
};

/* out = the products of 16 queries and the warp's part of a tile's keys; sums as those of multiply_lines().
 */
template <class T>
static __device__ __forceinline__ void
score_part(float out[T::BLOCKS][4], const unsigned query[T::SIZE / 16][4], const bf16 *keys, int part) {
    unsigned lane = threadIdx.x % WARP;

#pragma unroll
    for (int b = 0; b < T::BLOCKS; b++) {
#pragma unroll
        for (int i = 0; i < 4; i++) out[b][i] = 0;
#pragma unroll
        for (int eight = 0; eight < T::SIZE / 8; eight += 4) {
            unsigned right[4];

            load_matrices(right,
                          eight_of<T::SIZE>(keys, 8 * (part * T::BLOCKS + b) + lane % 8, eight + lane / 8));
            multiply(out[b], query[eight / 2], right);
            multiply(out[b], query[eight / 2 + 1], right + 2);
        }
    }
}

/* mixed += weights values, of the warp's channels; sums as those of mix_lines(). */
template <class D>
static __device__ __forceinline__ void mix_part(float mixed[D::LINES][4], const bf16 *weights,
                                                const bf16 *values, int part) {
    typedef typename D::T T;
    unsigned lane = threadIdx.x % WARP;

#pragma unroll
    for (int key = 0; key < T::KEYS; key += 32) {
        unsigned left[2][4];

        load_left<T::KEYS>(left[0], weights, 0, key / 8);
        load_left<T::KEYS>(left[1], weights, 0, key / 8 + 2);
#pragma unroll
        for (int b = 0; b < D::LINES; b++) {
            unsigned right[4];

            load_turned_matrices(right, eight_of<T::SIZE>(values, key + lane, part * D::LINES + b));
            multiply(mixed[b], left[0], right);
            multiply(mixed[b], left[1], right + 2);
        }
    }
}

/* The warp's part of the weights, rounded, where all can read them. */
template <class T>
static __device__ __forceinline__ void put_weights(bf16 *weights, const float weight[T::BLOCKS][4],
                                                   int part) {
#pragma unroll
    for (int b = 0; b < T::BLOCKS; b++)
#pragma unroll
        for (int r = 0; r < 2; r++)
            *(unsigned *)(eight_of<T::KEYS>(weights, row_of(2 * r), part * T::BLOCKS + b) + col_of(0)) =
                rounded(weight[b][2 * r], weight[b][2 * r + 1]);
}

/* The tile's largest scores, of what the warps have found each in its part. */
template <class T>
static __device__ __forceinline__ struct row_max highest(const struct exchange<T> &shared) {
    struct row_max top;

#pragma unroll
    for (int r = 0; r < 2; r++) {
        top.of[r] = shared.max[0][row_of(2 * r)];
#pragma unroll
        for (int p = 1; p < PARTS; p++) top.of[r] = fmaxf(top.of[r], shared.max[p][row_of(2 * r)]);
    }
    return top;
}

/* Starts tile n of the keys, and behind it that of their values, on its way: of the `last` that are in the
 * cache. For the entry's own come zeros. */
template <class D>
static __device__ __forceinline__ void bring_tile(bf16 *stages, const struct reading &of, const bf16 *keys,
                                                  int n, int last) {
    typedef typename D::T T;
    int channels = cache_channels(of.head_size);
    size_t values = cache_keys(of.context, of.head_size);
    bf16 *stage = stages + n % D::STAGES * D::ROOM;

    if (n * T::KEYS <= last) {
        bring<T::SIZE, T::KEYS>(stage, {keys, channels, last, channels}, n * T::KEYS, 1);
        bring<T::SIZE, T::KEYS>(stage + T::KEYS * T::SIZE, {keys + values, channels, last, channels},
                                n * T::KEYS, 1);
    }
    end_copies();
}

/* Eight channels of an entry's own key and value, in the threads that bring_tile() has for that line of its
 * tile. */
template <class T> struct own_line {
    uint4 key, value;
    unsigned line, eight;
    int there; /* this thread has some */

    __device__ __forceinline__ own_line(const struct reading &of, const bf16 *from, int last, int whole)
        : line(last % T::KEYS), eight(threadIdx.x % (T::SIZE / 8)) {
        const unsigned ACROSS = T::SIZE / 8, TOGETHER = THREADS / ACROSS;
        int channels = max(min(of.head_size - 8 * (int)eight, 8), 0);
        const bf16 *v = from + (size_t)of.kv_heads * of.head_size + 8 * eight, *k = from + 8 * eight;

        there = threadIdx.x / ACROSS == line % TOGETHER && channels > 0;
        if (!there) return;
        key = whole ? *(const uint4 *)k : up_to_eight(k, channels);
        value = whole ? *(const uint4 *)v : up_to_eight(v, channels);
    }
    /* In the place of zeros, which have arrived. */
    __device__ __forceinline__ void place(bf16 *stage) const {
        if (!there) return;
        *(uint4 *)eight_of<T::SIZE>(stage, line, eight) = key;
        *(uint4 *)eight_of<T::SIZE>(stage + T::KEYS * T::SIZE, line, eight) = value;
    }
    __device__ __forceinline__ void write(const struct reading &of, bf16 *keys, int last) const {
        bf16 *to = keys + (size_t)last * cache_channels(of.head_size) + 8 * eight;

        if (!there) return;
        *(uint4 *)to = key;
        *(uint4 *)(to + cache_keys(of.context, of.head_size)) = value;
    }
};

/* What a warp gathers. */
template <class D> struct gathered {
    struct row_max max;
    float sum[2], mixed[D::LINES][4];
};

/* Tile n of the keys up to `last`: attention_kernel()'s steps. Copies of the next tile are waited for on the
 * way, and a later one is started where the tile before was. */
template <class D>
static __device__ __forceinline__ void
decode_tile(struct gathered<D> *got, struct exchange<typename D::T> &shared,
            const unsigned query[D::T::SIZE / 16][4], bf16 *stages, const struct reading &of,
            const struct scoring &by, const bf16 *keys, const struct own_line<typename D::T> &own, int n,
            int last) {
    typedef typename D::T T;
    const bf16 *stage = stages + n % D::STAGES * D::ROOM;
    int part = threadIdx.x / WARP;
    float score[T::BLOCKS][4], kept[2];
    struct row_max top;

    score_part<T>(score, query, stage, part);
#pragma unroll
    for (int b = 0; b < T::BLOCKS; b++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int key = n * T::KEYS + 8 * (part * T::BLOCKS + b) + col_of(i);

            score[b][i] = key <= last ? score_power(score[b][i], by) : -INFINITY;
        }
    top = largest_scores<T::BLOCKS>(score);
    if (threadIdx.x % 4 == 0)
        for (int r = 0; r < 2; r++) shared.max[part][row_of(2 * r)] = top.of[r];
    __syncthreads();
    raise(&got->max, kept, highest(shared));
    weigh<T::BLOCKS>(score, got->sum, got->max, kept);
    put_weights<T>(shared.weights, score, part);
    wait_for_copies<D::STAGES - 3>();
    if (n + 1 == last / T::KEYS) own.place(stages + (n + 1) % D::STAGES * D::ROOM);
    __syncthreads();
    bring_tile<D>(stages, of, keys, n + D::STAGES - 1, last);
#pragma unroll
    for (int b = 0; b < D::LINES; b++)
#pragma unroll
        for (int i = 0; i < 4; i++) got->mixed[b][i] *= kept[i / 2];
    mix_part<D>(got->mixed, shared.weights, stage + T::KEYS * T::SIZE, part);
}

/* Line r of out is that of the r-th of the block's heads. */
template <class D>
static __device__ __forceinline__ void end(bf16 *out, const struct gathered<D> &got,
                                           struct exchange<typename D::T> &shared, int heads, int size) {
    int part = threadIdx.x / WARP;

#pragma unroll
    for (int r = 0; r < 2; r++) shared.sum[part][row_of(2 * r)][threadIdx.x % 4] = got.sum[r];
    __syncthreads();
#pragma unroll
    for (int r = 0; r < 2; r++) {
        int row = row_of(2 * r);
        float sums[PARTS], share;

#pragma unroll
        for (int p = 0; p < PARTS; p++) sums[p] = shared.sum[p][row][threadIdx.x % 4];
        share = 1.0f / whole_sum(sums);
        if (row >= heads) continue;
#pragma unroll
        for (int b = 0; b < D::LINES; b++)
            store_pair(out + (size_t)row * size, 8 * (part * D::LINES + b) + col_of(0),
                       got.mixed[b][2 * r] * share, got.mixed[b][2 * r + 1] * share, size, 0);
    }
}

/* Channels c and c + 1 of a line. */
static __device__ __forceinline__ unsigned pair_at(const bf16 *line, int c, int size, int whole) {
    if (c >= size) return 0;
    if (whole) return *(const unsigned *)(line + c);
    return line[c] | (c + 1 < size ? (unsigned)line[c + 1] << 16 : 0u);
}

/* The fragments that load_left() makes of a tile, straight from memory. */
template <int SIZE>
static __device__ __forceinline__ void take_queries(unsigned out[SIZE / 16][4], const struct lines &lines,
                                                    int whole) {
#pragma unroll
    for (int k = 0; k < SIZE / 16; k++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int row = row_of(2 * (i % 2)), c = 16 * k + 8 * (i / 2) + col_of(0);

            out[k][i] =
                row < lines.end ? pair_at(lines.data + (size_t)row * lines.stride, c, lines.size, whole) : 0;
        }
}

/* Up to 16 of the heads of one entry that share a key head. The tiles of earlier tokens are asked for before
 * the wait. What the entry adds to the cache is taken from qkv by all blocks that need it, and written by the
 * first of them alone. */
template <class D>
static __global__ void __launch_bounds__(THREADS)
    decode_kernel(bf16 *out, struct reading of, struct scoring by, int whole) {
    typedef typename D::T T;
    __shared__ struct exchange<T> shared;
    bf16 *stages = dynamic_shared<bf16>();
    int group = of.heads / of.kv_heads, entry = blockIdx.y, kv = blockIdx.x % of.kv_heads;
    int first = blockIdx.x / of.kv_heads * 16, heads = min(group - first, 16);
    int head = kv * group + first, last = of.position[entry];
    bf16 *keys = of.cache + keys_of(of, entry, kv);
    const bf16 *line = of.qkv + entry * reading_width(of);
    struct lines lines = {line + (size_t)head * of.head_size, of.head_size, heads, of.head_size};
    unsigned query[T::SIZE / 16][4];
    struct gathered<D> got = {
        {{-INFINITY, -INFINITY}}, {0, 0}, {
        }
    };

    for (int n = 0; n < D::STAGES - 1; n++) bring_tile<D>(stages, of, keys, n, last);
    start_successor();
    wait_for_predecessor();
    own_line<T> own(of, line + (size_t)(of.heads + kv) * of.head_size, last, whole);
    take_queries<T::SIZE>(query, lines, whole);
    if (first == 0) own.write(of, keys, last);
    wait_for_copies<D::STAGES - 2>();
    if (last < T::KEYS) own.place(stages);
    __syncthreads();
    for (int n = 0; n * T::KEYS <= last; n++)
        decode_tile<D>(&got, shared, query, stages, of, by, keys, own, n, last);
    end<D>(out + ((size_t)entry * of.heads + head) * of.head_size, got, shared, heads, of.head_size);
}

template <class D>
static void run(bf16 *out, const struct reading &of, int count, const struct scoring &by, int whole) {
    size_t bytes = D::STAGES * D::ROOM * sizeof(bf16);
    int blocks = of.kv_heads * ((of.heads / of.kv_heads + 15) / 16);

    launch_chained("attention_decode", decode_kernel<D>, dim3(blocks, count), THREADS, bytes, out, of, by,
                   whole);
}

void attention_decode_bf16_cuda(operand *out, void *cache, const operand *qkv, const int *slot,
                                const int *position, int count, int context, int heads, int kv_heads,
                                int head_size, float scale, float cap) {
    struct reading of = {(const bf16 *)qkv, (bf16 *)cache, slot,     position,
                         context,           heads,         kv_heads, head_size};
    struct scoring by = scoring_of(scale, cap);
    int whole = head_size % 8 == 0 && on_16_bytes(qkv);

    if (count == 0) return;
    if (head_size <= 32)
        run<decoding<up_to_32, 4>>((bf16 *)out, of, count, by, whole);
    else if (head_size <= 64)
        run<decoding<up_to_64, 4>>((bf16 *)out, of, count, by, whole);
    else if (head_size <= 96)
        run<decoding<up_to_96, 4>>((bf16 *)out, of, count, by, whole);
    else if (head_size <= 128)
        run<decoding<up_to_128, 4>>((bf16 *)out, of, count, by, whole);
    else if (head_size <= 256)
        run<decoding<up_to_256, 3>>((bf16 *)out, of, count, by, whole);
    else
        note_failure(cudaErrorInvalidValue, "attention_decode with heads of more than 256 channels");
}
