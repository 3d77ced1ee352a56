#include "kernels/cuda/heads_bf16.cuh"

/* Causal attention on tensor cores: a block has a tile of queries, a warp 16 TALL of them, and passes once
 * over the keys; scores exist in registers alone. */

/* What a warp gathers on its way: channels are lines' of 8. */
template <class T> struct gathered {
    struct row_max max[T::TALL];
    float sum[T::TALL][PARTS][2], mixed[T::TALL][T::SIZE / 8][4];
};

template <class T> static __device__ __forceinline__ void begin(struct gathered<T> *got) {
    clear<T::TALL, T::SIZE / 8>(got->mixed);
#pragma unroll
    for (int a = 0; a < T::TALL; a++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            got->max[a].of[r] = -INFINITY;
#pragma unroll
            for (int p = 0; p < PARTS; p++) got->sum[a][p][r] = 0;
        }
}

/* What was mixed before keeps its part; most tiles raise no query's largest score. */
template <class T>
static __device__ __forceinline__ void keep(float mixed[T::SIZE / 8][4], const float kept[2]) {
    if (__all_sync(EVERYONE, kept[0] == 1 && kept[1] == 1)) return;
#pragma unroll
    for (int b = 0; b < T::SIZE / 8; b++)
#pragma unroll
        for (int i = 0; i < 4; i++) mixed[b][i] *= kept[i / 2];
}

/* A tile of keys and values for the warp's queries, whose lines begin at `line` of the block's. */
template <class T>
static __device__ __forceinline__ void pass_tile(struct gathered<T> *got, const bf16 *queries, int line,
                                                 const bf16 *keys, const bf16 *values,
                                                 const struct scoring &by, int from, int query) {
    float score[T::TALL][T::KEYS / 8][4];

    multiply_lines<T::SIZE, T::TALL, T::KEYS>(score, queries, line, keys);
#pragma unroll
    for (int a = 0; a < T::TALL; a++) {
        float kept[2];

        score_lines<T::KEYS / 8, 1>(score[a], by, query + 16 * a, from);
        raise(&got->max[a], kept, largest_scores<T::KEYS / 8>(score[a]));
#pragma unroll
        for (int p = 0; p < PARTS; p++)
            weigh<T::BLOCKS>(score[a] + p * T::BLOCKS, got->sum[a][p], got->max[a], kept);
        keep<T>(got->mixed[a], kept);
    }
    mix_lines<T::SIZE, T::TALL, T::KEYS>(got->mixed, score, values);
}

/* `query`: the place in the row of the first of the warp's. */
template <class T>
static __device__ __forceinline__ void end(bf16 *out, float *logsum, const struct gathered<T> &got,
                                           const struct task &task, const struct shape &shape, int query) {
#pragma unroll
    for (int a = 0; a < T::TALL; a++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const float part[PARTS] = {got.sum[a][0][r], got.sum[a][1][r], got.sum[a][2][r],
                                       got.sum[a][3][r]};
            float sum = whole_sum(part), share = 1.0f / sum;
            int at = query + 16 * a + row_of(2 * r);
            size_t line = (size_t)(task.first + at) * shape.heads + task.head;

            if (at >= task.length) continue;
            if (threadIdx.x % 4 == 0)
                logsum[line] = (float)((double)got.max[a].of[r] * LN2 + log((double)sum));
#pragma unroll
            for (int b = 0; b < T::SIZE / 8; b++)
                store_pair(out + line * shape.head_size, 8 * b + col_of(0), got.mixed[a][b][2 * r] * share,
                           got.mixed[a][b][2 * r + 1] * share, shape.head_size, shape.whole);
        }
}

/* What a task reads: the lines of its queries, keys and values. */
struct sources {
    struct lines queries, keys, values;
};

static __device__ __forceinline__ struct sources sources_of(const bf16 *qkv, const struct task &task,
                                                            const struct shape &shape) {
    int size = shape.head_size, kv = task.head / (shape.heads / shape.kv_heads);
    int width = shape_width(shape);
    const bf16 *row = qkv + (size_t)task.first * width, *keys = row + (size_t)(shape.heads + kv) * size;

    return {{row + (size_t)task.head * size, width, task.length, size},
            {keys, width, task.length, size},
            {keys + (size_t)shape.kv_heads * size, width, task.length, size}};
}

/* Starts a tile of keys, and behind them their values, on its way. */
template <class T>
static __device__ __forceinline__ void bring_keys(bf16 *stage, const struct sources &of, int from,
                                                  int whole) {
    bring<T::SIZE, T::KEYS>(stage, of.keys, from, whole);
    bring<T::SIZE, T::KEYS>(stage + T::KEYS * T::SIZE, of.values, from, whole);
}

/* One task. Two stages: while a tile is multiplied, the next is on its way. */
template <class T>
static __device__ __forceinline__ void attend(bf16 *out, float *logsum, const bf16 *qkv,
                                              const struct task &task, const struct shape &shape,
                                              bf16 *queries) {
    const int room = 2 * T::KEYS * T::SIZE;
    int from = (task.cost - 1) * T::QUERIES, end_of_keys = min(from + T::QUERIES, task.length);
    int line = threadIdx.x / WARP * T::TALL * 16, query = from + line;
    struct sources of = sources_of(qkv, task, shape);
    bf16 *stages = queries + T::QUERIES * T::SIZE;
    struct gathered<T> got;

    begin<T>(&got);
    __syncthreads();
    bring<T::SIZE, T::QUERIES>(queries, of.queries, from, shape.whole);
    bring_keys<T>(stages, of, 0, shape.whole);
    end_copies();
    for (int key = 0, now = 0; key < end_of_keys; key += T::KEYS, now ^= 1) {
        const bf16 *stage = stages + now * room;

        wait_for_copies<0>();
        __syncthreads();
        if (key + T::KEYS < end_of_keys)
            bring_keys<T>(stages + (now ^ 1) * room, of, key + T::KEYS, shape.whole);
        end_copies();
        if (query < task.length && key < query + 16 * T::TALL)
            pass_tile<T>(&got, queries, line, stage, stage + T::KEYS * T::SIZE, shape.scoring, key, query);
    }
    end<T>(out, logsum, got, task, shape, query);
}

template <class T>
static __global__ void __launch_bounds__(THREADS, 2)
    attention_kernel(bf16 *out, float *logsum, const bf16 *qkv, struct shape shape) {
    int most = most_tiles(shape, T::QUERIES);
    struct task task;

    for (long long number = blockIdx.x; next_task(&task, &number, shape, shape.heads, most, T::QUERIES);
         number += gridDim.x)
        attend<T>(out, logsum, qkv, task, shape, dynamic_shared<bf16>());
}

template <class T> static void run(bf16 *out, float *logsum, const bf16 *qkv, const struct shape &shape) {
    size_t bytes = (size_t)(T::QUERIES + 4 * T::KEYS) * T::SIZE * sizeof(bf16);
    static int known;
    int blocks = resident_blocks(&known, (const void *)attention_kernel<T>, THREADS, bytes, "attention");

    if (blocks) launch("attention", attention_kernel<T>, blocks, THREADS, bytes, out, logsum, qkv, shape);
}

void attention_bf16_cuda(operand *out, float *logsum, const operand *qkv, const int *start, int rows,
                         int heads, int kv_heads, int head_size, float scale, float cap) {
    int whole = head_size % 8 == 0 && on_16_bytes(qkv, out);
    struct shape shape = {start, rows, heads, kv_heads, head_size, scoring_of(scale, cap), whole};

    if (rows == 0) return;
    if (head_size <= 32)
        run<up_to_32>((bf16 *)out, logsum, (const bf16 *)qkv, shape);
    else if (head_size <= 64)
        run<up_to_64>((bf16 *)out, logsum, (const bf16 *)qkv, shape);
    else if (head_size <= 96)
        run<up_to_96>((bf16 *)out, logsum, (const bf16 *)qkv, shape);
    else if (head_size <= 128)
        run<up_to_128>((bf16 *)out, logsum, (const bf16 *)qkv, shape);
    else if (head_size <= 256)
        run<up_to_256>((bf16 *)out, logsum, (const bf16 *)qkv, shape);
    else
        note_failure(cudaErrorInvalidValue, "attention with heads of more than 256 channels");
}
