/* What attention on tensor cores, its backward and decoding share: tiles of lines (a token's channels of one
 * head) in shared memory, their products, and the softmax that goes along the keys (Dao, FlashAttention-2,
 * 2023). A query's numbers depend on the keys it sees alone, and on where these lie in their tiles: whoever
 * repeats these steps for it, from key 0 on, gets the same bits. */
#ifndef KERNELS_CUDA_HEADS_BF16_CUH
#define KERNELS_CUDA_HEADS_BF16_CUH

#include "kernels/cuda/element.cuh"

#define WARPS   4
#define THREADS (WARPS * WARP)
#define PARTS   WARPS /* of a tile's keys, whose weights are added apart: decoding has a warp for each */
#define LOG2E   1.4426950408889634
#define LN2     0.6931471805599453

/* Heads of up to SIZE channels: KEYS of a tile, a multiple of 8 PARTS, and TALL blocks of 16 queries a warp.
 */
template <int SIZE_, int KEYS_, int TALL_> struct tiling {
    static const int SIZE = SIZE_, KEYS = KEYS_, TALL = TALL_;
    static const int QUERIES = WARPS * TALL * 16, BLOCKS = KEYS / PARTS / 8; /* blocks: a part's, of 8 keys */
};

typedef tiling<32, 64, 2> up_to_32;
typedef tiling<64, 64, 2> up_to_64;
typedef tiling<96, 32, 2> up_to_96;
typedef tiling<128, 32, 2> up_to_128;
typedef tiling<256, 32, 1> up_to_256;

/* How a product of query and key becomes a score, as a power of two: factor product, or, with a limit,
 * limit tanh(-factor product / log2(e) / 2). */
struct scoring {
    float factor, limit;
};

static inline struct scoring scoring_of(float scale, float cap) {
    double factor = (double)scale * LOG2E;

    if (cap > 0) return {(float)(-2 * factor / (double)cap), (float)((double)cap * LOG2E)};
    return {(float)factor, 0};
}

static __device__ __forceinline__ float score_power(float product, const struct scoring &by) {
    float score = product * by.factor;

    return by.limit > 0 ? (2 * reciprocal(1 + power_of_two(score)) - 1) * by.limit : score;
}

/* Arrays that hold several rows' heads. */
struct shape {
    const int *start;
    int rows, heads, kv_heads, head_size;
    struct scoring scoring;
    int whole; /* every line begins on 16 bytes and has a multiple of 8 channels */
};

static __host__ __device__ __forceinline__ int shape_width(const struct shape &shape) {
    return (shape.heads + 2 * shape.kv_heads) * shape.head_size;
}

/* A block's work: one head's tile of a row, which `cost` tiles of the other side meet, the dearest first. */
struct task {
    int first, length; /* of the row's tokens */
    int head, tiles, cost;
};

/* The tiles of the longest row. All threads of a block call it. */
static __device__ inline int most_tiles(const struct shape &shape, int tile) {
    __shared__ int most;
    int longest = 0;

    if (threadIdx.x == 0) most = 0;
    __syncthreads();
    for (int r = threadIdx.x; r < shape.rows; r += THREADS)
        longest = max(longest, shape.start[r + 1] - shape.start[r]);
    atomicMax(&most, (longest + tile - 1) / tile);
    __syncthreads();
    return most;
}

/* The block's next task of `heads` heads at or after *number; 0 when there is none. */
static __device__ inline int next_task(struct task *task, long long *number, const struct shape &shape,
                                       int heads, int most, int tile) {
    for (; *number < (long long)most * shape.rows * heads; *number += gridDim.x) {
        int at = (int)(*number / heads), row = at % shape.rows;

        task->first = shape.start[row];
        task->length = shape.start[row + 1] - task->first;
        task->head = (int)(*number % heads);
        task->tiles = (task->length + tile - 1) / tile;
        task->cost = most - at / shape.rows;
        if (task->cost <= task->tiles) return 1;
    }
    return 0;
}

/* Eight channels of a tile's line in shared memory: turned by the line, so that the same eight of 8 lines
 * lie in different banks. */
template <int SIZE>
static __device__ __forceinline__ bf16 *eight_of(bf16 *tile, unsigned line, unsigned eight) {
    unsigned turn = SIZE / 8 % 8 ? line / 2 % 4 : line % 8;

    return tile + (line * (SIZE / 8) + (eight ^ turn)) * 8;
}

template <int SIZE>
static __device__ __forceinline__ const bf16 *eight_of(const bf16 *tile, unsigned line, unsigned eight) {
    return eight_of<SIZE>((bf16 *)tile, line, eight);
}

/* Up to 8 neighbours, wherever they lie, then zeros. */
static __device__ __forceinline__ uint4 up_to_eight(const bf16 *from, int count) {
    unsigned pair[4];

#pragma unroll
    for (int i = 0; i < 4; i++)
        pair[i] = (2 * i < count ? from[2 * i] : 0u) | (2 * i + 1 < count ? from[2 * i + 1] : 0u) << 16;
    return make_uint4(pair[0], pair[1], pair[2], pair[3]);
}

/* Lines of `stride` elements each, of which those before `end` and `size` channels are there. */
struct lines {
    const bf16 *data;
    int stride, end, size;
};

/* Starts LINES lines from `from` on on their way to a tile; what is not there becomes 0. A thread has the
 * same eight channels of lines TOGETHER apart. whole: all eights lie on 16 bytes and have all of their
 * channels, or none. */
template <int SIZE, int LINES>
static __device__ __forceinline__ void bring(bf16 *tile, const struct lines &lines, int from, int whole) {
    const unsigned ACROSS = SIZE / 8, TOGETHER = THREADS / ACROSS;
    unsigned first = threadIdx.x / ACROSS, eight = threadIdx.x % ACROSS;
    int channels = min(lines.size - 8 * (int)eight, 8), there = channels > 0 ? lines.end - from : 0;
    const bf16 *at = lines.data + (size_t)(from + first) * (unsigned)lines.stride + 8 * eight;

    if (THREADS % ACROSS && first >= TOGETHER) return;
    if (whole) {
#pragma unroll
        for (unsigned line = first, e = 0; e < (LINES + TOGETHER - 1) / TOGETHER; e++, line += TOGETHER) {
            if (LINES % TOGETHER && line >= LINES) continue;
            copy_async(eight_of<SIZE>(tile, line, eight), at, (int)line < there ? 16 : 0);
            at += (size_t)TOGETHER * (unsigned)lines.stride;
        }
        return;
    }
#pragma unroll 1
    for (unsigned line = first; line < LINES; line += TOGETHER) {
        *(uint4 *)eight_of<SIZE>(tile, line, eight) = up_to_eight(at, (int)line < there ? channels : 0);
        at += (size_t)TOGETHER * (unsigned)lines.stride;
    }
}

/* Where number i of a fragment's four lies, seen from its first row and column. */
static __device__ __forceinline__ int row_of(int i) {
    return threadIdx.x % WARP / 4 + i / 2 * 8;
}

static __device__ __forceinline__ int col_of(int i) {
    return threadIdx.x % 4 * 2 + i % 2;
}

/* Fragments of 16 lines by 16 channels: `left` of a product, or `right` of one that sums over channels, or
 * over lines. */
template <int SIZE>
static __device__ __forceinline__ void load_left(unsigned out[4], const bf16 *tile, int line, int eight) {
    unsigned lane = threadIdx.x % WARP;

    load_matrices(out, eight_of<SIZE>(tile, line + lane % 16, eight + lane / 16));
}

template <int SIZE>
static __device__ __forceinline__ void load_right(unsigned out[4], const bf16 *tile, int line, int eight) {
    unsigned lane = threadIdx.x % WARP;

    load_matrices(out, eight_of<SIZE>(tile, line + lane / 16 * 8 + lane % 8, eight + lane / 8 % 2));
}

template <int SIZE>
static __device__ __forceinline__ void load_mixed(unsigned out[4], const bf16 *tile, int line, int eight) {
    unsigned lane = threadIdx.x % WARP;

    load_turned_matrices(out, eight_of<SIZE>(tile, line + lane % 16, eight + lane / 16));
}

template <int TALL, int BROAD> static __device__ __forceinline__ void clear(float sum[TALL][BROAD][4]) {
#pragma unroll
    for (int a = 0; a < TALL; a++)
#pragma unroll
        for (int b = 0; b < BROAD; b++)
#pragma unroll
            for (int i = 0; i < 4; i++) sum[a][b][i] = 0;
}

/* The warp has come to a gate. */
template <class G> static __device__ __forceinline__ void come(G *gate) {
    __syncwarp();
    if (threadIdx.x % WARP == 0) arrive(gate);
}

/* out = the products of near lines from `line` on, 16 TALL of them, and of a tile's FAR lines: chains of 16
 * channels. */
template <int SIZE, int TALL, int FAR>
static __device__ __forceinline__ void multiply_lines(float out[TALL][FAR / 8][4], const bf16 *near, int line,
                                                      const bf16 *far) {
    clear<TALL, FAR / 8>(out);
#pragma unroll
    for (int eight = 0; eight < SIZE / 8; eight += 2) {
        unsigned left[TALL][4];

#pragma unroll
        for (int a = 0; a < TALL; a++) load_left<SIZE>(left[a], near, line + 16 * a, eight);
#pragma unroll
        for (int b = 0; b < FAR / 8; b += 2) {
            unsigned right[4];

            load_right<SIZE>(right, far, 8 * b, eight);
#pragma unroll
            for (int a = 0; a < TALL; a++) {
                multiply(out[a][b], left[a], right);
                multiply(out[a][b + 1], left[a], right + 2);
            }
        }
    }
}

/* The weights of 16 of a tile's lines, rounded, as the left of a product. */
static __device__ __forceinline__ void round_weights(unsigned out[4], const float weights[2][4]) {
#pragma unroll
    for (int i = 0; i < 4; i++) out[i] = rounded(weights[i / 2][i % 2 * 2], weights[i / 2][i % 2 * 2 + 1]);
}

/* sum += weights far: chains of 16 lines. */
template <int SIZE, int TALL, int FAR>
static __device__ __forceinline__ void mix_lines(float sum[TALL][SIZE / 8][4],
                                                 const float weights[TALL][FAR / 8][4], const bf16 *far) {
#pragma unroll
    for (int b = 0; b < FAR / 8; b += 2) {
        unsigned left[TALL][4];

#pragma unroll
        for (int a = 0; a < TALL; a++) round_weights(left[a], weights[a] + b);
#pragma unroll
        for (int eight = 0; eight < SIZE / 8; eight += 2) {
            unsigned right[4];

            load_mixed<SIZE>(right, far, 8 * b, eight);
#pragma unroll
            for (int a = 0; a < TALL; a++) {
                multiply(sum[a][eight], left[a], right);
                multiply(sum[a][eight + 1], left[a], right + 2);
            }
        }
    }
}

/* Products become scores; those of keys that a query does not see, if there are any, -infinity. `query` and
 * `key`: the places in the row of the first row and column, or, unless BY_QUERY, of the first column and row.
 */
template <int COUNT, int BY_QUERY>
static __device__ __forceinline__ void score_lines(float score[COUNT][4], const struct scoring &by, int query,
                                                   int key) {
#pragma unroll
    for (int b = 0; b < COUNT; b++)
#pragma unroll
        for (int i = 0; i < 4; i++) score[b][i] = score_power(score[b][i], by);
    if (key + (BY_QUERY ? 8 * COUNT : 16) - 1 <= query) return;
#pragma unroll
    for (int b = 0; b < COUNT; b++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int row = row_of(i), column = 8 * b + col_of(i);

            if (BY_QUERY ? key + column > query + row : key + row > query + column) score[b][i] = -INFINITY;
        }
}

/* Of the 2 of 16 queries that a lane has. */
struct row_max {
    float of[2];
};

/* The largest of the scores in a lane and in the 3 that share its queries. */
template <int COUNT>
static __device__ __forceinline__ struct row_max largest_scores(const float score[COUNT][4]) {
    struct row_max top;

#pragma unroll
    for (int r = 0; r < 2; r++) {
        top.of[r] = fmaxf(score[0][2 * r], score[0][2 * r + 1]);
#pragma unroll
        for (int b = 1; b < COUNT; b++)
            top.of[r] = fmaxf(top.of[r], fmaxf(score[b][2 * r], score[b][2 * r + 1]));
        top.of[r] = fmaxf(top.of[r], __shfl_xor_sync(EVERYONE, top.of[r], 1));
        top.of[r] = fmaxf(top.of[r], __shfl_xor_sync(EVERYONE, top.of[r], 2));
    }
    return top;
}

/* Lets the largest score take in a tile's; kept: what becomes of what was weighed before. */
static __device__ __forceinline__ void raise(struct row_max *max, float kept[2], const struct row_max &top) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float higher = fmaxf(max->of[r], top.of[r]);

        kept[r] = power_of_two(max->of[r] - higher);
        max->of[r] = higher;
    }
}

/* Scores of a part become weights and are added to its sums. */
template <int COUNT>
static __device__ __forceinline__ void weigh(float score[COUNT][4], float sum[2], const struct row_max &max,
                                             const float kept[2]) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float fresh = 0;

#pragma unroll
        for (int b = 0; b < COUNT; b++) {
            score[b][2 * r] = power_of_two(score[b][2 * r] - max.of[r]);
            score[b][2 * r + 1] = power_of_two(score[b][2 * r + 1] - max.of[r]);
            fresh += score[b][2 * r] + score[b][2 * r + 1];
        }
        sum[r] = sum[r] * kept[r] + fresh;
    }
}

/* A query's sum of all weights, given what a lane has of it by part. */
static __device__ __forceinline__ float whole_sum(const float part[PARTS]) {
    float sum = part[0] + part[1] + (part[2] + part[3]);

    sum += __shfl_xor_sync(EVERYONE, sum, 1);
    return sum + __shfl_xor_sync(EVERYONE, sum, 2);
}

/* Two neighbouring channels from `channel` on of a line that has `size`. */
static __device__ __forceinline__ void store_pair(bf16 *line, int channel, float low, float high, int size,
                                                  int whole) {
    unsigned both = rounded(low, high);

    if (whole && channel < size)
        *(unsigned *)(line + channel) = both;
    else {
        if (channel < size) line[channel] = (bf16)both;
        if (channel + 1 < size) line[channel + 1] = (bf16)(both >> 16);
    }
}

#endif
