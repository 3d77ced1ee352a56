#include "kernels/cuda/heads_bf16.cuh"

/* Causal attention by groups of 4 warps on Hopper, as FlashAttention-3 does it (Shah et al. 2024): a block
 * stays and takes tasks in turns. Its first group brings tiles of queries, keys and values, as far ahead as
 * there is room; each of the others has 64 of a tile's queries, and multiplies them with a tile of keys while
 * it weighs the tile before's values. Where that is not to be had, attention_bf16_cuda() serves. */

#define GROUP      128
#define GROUP_ROWS 64
#define PANEL      64 /* channels of a line in shared memory; heads of more have several panels */
#define KEYS       128
#define FIRST_TURN 1 /* of the named barriers: a group's turn to start products */
#define HUGE_SCORE 0x1p24f
#ifndef HELD_KEYS /* the emulator holds fewer, so that small tests have several sections */
/* Bytes of keys and values that the second-level cache can hold beside the rest. */
#define HELD_KEYS (24 << 20)
#endif

/* Heads of up to SIZE channels, with room for STAGES tiles of keys and values. */
template <int SIZE_, int STAGES_> struct team {
    static const int SIZE = SIZE_, STAGES = STAGES_, GROUPS = 2; /* beside that which brings */
    static const int QUERIES = GROUPS * GROUP_ROWS, BLOCK = (GROUPS + 1) * GROUP;
    static const int FEW = 56, MANY = 224; /* registers of a thread that brings, and of the others */
    static const int BYTES = (2 * QUERIES + 2 * STAGES * KEYS) * SIZE * 2 + (4 + 4 * STAGES) * 8;
};

/* A ring of tiles in shared memory: which is next, and how often the ring was gone round. */
template <int COUNT> struct ring {
    bf16 *tiles;
    gate *there, *free;
    int at, parity;
};

template <int COUNT> static __device__ __forceinline__ void next(struct ring<COUNT> *ring) {
    if (++ring->at < COUNT) return;
    ring->at = 0;
    ring->parity ^= 1;
}

/* What a block has in shared memory. */
template <class T> struct rings {
    struct ring<2> queries;
    struct ring<T::STAGES> keys, values;
    int group; /* the thread's, of those that attend; -1: it brings */
};

template <class T> static __device__ __forceinline__ struct rings<T> rings_of(bf16 *memory) {
    bf16 *keys = memory + 2 * T::QUERIES * T::SIZE, *values = keys + T::STAGES * KEYS * T::SIZE;
    gate *gates = (gate *)(values + T::STAGES * KEYS * T::SIZE);

    return {{memory, gates, gates + 2, 0, 0},
            {keys, gates + 4, gates + 4 + T::STAGES, 0, 0},
            {values, gates + 4 + 2 * T::STAGES, gates + 4 + 3 * T::STAGES, 0, 0},
            __shfl_sync(EVERYONE, (int)threadIdx.x / GROUP, 0) - 1};
}

template <int COUNT>
static __device__ __forceinline__ void set_gates(const struct ring<COUNT> &ring, int users) {
    for (int i = 0; i < COUNT; i++) {
        set_gate(ring.there + i, GROUP / WARP);
        set_gate(ring.free + i, users);
    }
}

template <int COUNT, int SIZE, int LINES>
static __device__ __forceinline__ bf16 *tile_of(const struct ring<COUNT> &ring) {
    return ring.tiles + ring.at * LINES * SIZE;
}

/* Waits for the ring's next tile to be there. */
template <int COUNT> static __device__ __forceinline__ void await(const struct ring<COUNT> &ring) {
    wait_at(ring.there + ring.at, ring.parity);
}

/* The warp has no more need of the ring's next tile. */
template <int COUNT> static __device__ __forceinline__ void let_go(struct ring<COUNT> *ring) {
    come(ring->free + ring->at);
    next(ring);
}

/* In which order tasks come: heads of rows, `section` of them at a time, whose keys and values the
 * second-level cache can hold; of these the longest tasks first. Blocks take them forth and back, and from
 * one section to the next in the other direction, so that their shares come to the same. */
struct schedule {
    int most, section, units; /* tiles of the longest row; heads of rows */
    int first, at;            /* the block's place: the section's first unit, and the number of its task */
    int back, odd;            /* whether this round, and the section's first, is taken back */
};

template <class T>
static __device__ __forceinline__ struct schedule schedule_of(const struct shape &shape, int held) {
    int most = max(most_tiles(shape, T::QUERIES), 1), units = shape.rows * shape.heads;
    float one = (float)most * (float)(T::QUERIES * 4 * shape.head_size) * (float)shape.kv_heads;
    int section = (int)fminf(fmaxf((float)held * (float)shape.heads * reciprocal(one), 1), (float)units);

    return {most, section, units, 0, (int)blockIdx.x, 0, 0};
}

template <class S> static __device__ __forceinline__ void go_on(S *schedule) {
    int place = blockIdx.x, blocks = gridDim.x;

    schedule->at += schedule->back ? 2 * place + 1 : 2 * (blocks - place) - 1;
    schedule->back ^= 1;
}

template <class S> static __device__ __forceinline__ void next_section(S *schedule) {
    schedule->first += schedule->section;
    schedule->back = schedule->odd ^= 1;
    schedule->at = schedule->odd ? gridDim.x - 1 - blockIdx.x : blockIdx.x;
}

/* The block's next task; 0 when there is none. */
template <class T>
static __device__ __forceinline__ int take_task(struct task *task, struct schedule *schedule,
                                                const struct shape &shape) {
    for (;; go_on(schedule)) {
        int turn = schedule->most * schedule->section, unit, row;

        while (schedule->at >= turn && schedule->first < schedule->units) next_section(schedule);
        if (schedule->first >= schedule->units) return 0;
        unit = schedule->first + schedule->at % schedule->section;
        if (unit >= schedule->units) continue;
        row = unit / shape.heads;
        task->first = shape.start[row];
        task->length = shape.start[row + 1] - task->first;
        task->head = unit - row * shape.heads;
        task->cost = schedule->most - schedule->at / schedule->section;
        if ((task->cost - 1) * T::QUERIES >= task->length) continue;
        go_on(schedule);
        return 1;
    }
}

template <class T> static __device__ __forceinline__ int keys_of(const struct task &task) {
    return min(task.cost * T::QUERIES, task.length);
}

/* Until all copies but those of the last LEFT tiles are there; then those who wait at `there` hear of it. */
template <int LEFT> static __device__ __forceinline__ void report(gate *there) {
    wait_for_copies<LEFT>();
    show_to_products();
    if (there) come(there);
}

/* Starts a tile's panels on their way to the ring's next tile, and reports the one brought before, *late. */
template <int COUNT, int SIZE, int LINES>
static __device__ __forceinline__ void bring_tile(gate **late, struct ring<COUNT> *ring,
                                                  const struct lines &lines, int from) {
    bf16 *tile = tile_of<COUNT, SIZE, LINES>(*ring);

    wait_at(ring->free + ring->at, ring->parity ^ 1);
#pragma unroll
    for (int p = 0; p < SIZE / PANEL; p++)
        bring<PANEL, LINES>(tile + p * LINES * PANEL,
                            {lines.data + p * PANEL, lines.stride, lines.end, lines.size - p * PANEL}, from,
                            1);
    end_copies();
    report<1>(*late);
    *late = ring->there + ring->at;
    next(ring);
}

template <class T>
static __device__ __forceinline__ void bring_tasks(struct rings<T> rings, const bf16 *qkv,
                                                   const struct shape &shape, struct schedule schedule) {
    int size = shape.head_size, width = shape_width(shape);
    gate *late = NULL;
    struct task task;

    while (take_task<T>(&task, &schedule, shape)) {
        int end = keys_of<T>(task), kv = task.head / (shape.heads / shape.kv_heads);
        const bf16 *row = qkv + (size_t)task.first * width, *keys = row + (size_t)(shape.heads + kv) * size;
        struct lines values = {keys + (size_t)shape.kv_heads * size, width, task.length, size};

        bring_tile<2, T::SIZE, T::QUERIES>(&late, &rings.queries,
                                           {row + (size_t)task.head * size, width, task.length, size},
                                           (task.cost - 1) * T::QUERIES);
        for (int key = 0; key < end; key += KEYS) {
            bring_tile<T::STAGES, T::SIZE, KEYS>(&late, &rings.keys, {keys, width, task.length, size}, key);
            bring_tile<T::STAGES, T::SIZE, KEYS>(&late, &rings.values, values, key);
        }
    }
    report<0>(late);
}

/* What a thread has of its group's queries: the largest score so far as a power of two, and the sum of
 * weights of rows row_of(0) and row_of(2); what is mixed; and the scores, then the weights, of a tile. */
template <class T> struct attended {
    float top[2], sum[2], kept[2], mixed[T::SIZE / 8][4], score[KEYS / 8][4];
    unsigned weight[KEYS / 16][4];
};

/* Starts the products of the group's queries and the ring's next tile of keys. */
template <class T>
static __device__ __forceinline__ void start_scores(struct attended<T> *got, const struct rings<T> &rings) {
    const bf16 *queries = tile_of<2, T::SIZE, T::QUERIES>(rings.queries) + rings.group * GROUP_ROWS * PANEL;
    const bf16 *keys = tile_of<T::STAGES, T::SIZE, KEYS>(rings.keys);

    hold(got->score);
    begin_products();
#pragma unroll
    for (int k = 0; k < T::SIZE / 16; k++) {
        int panel = k / (PANEL / 16), channel = k % (PANEL / 16) * 16;

        multiply_async<KEYS, 0, 0>(got->score, matrix_at(queries + panel * T::QUERIES * PANEL + channel),
                                   matrix_at(keys + panel * KEYS * PANEL + channel), k > 0);
    }
    end_products();
}

/* Starts mixing the ring's next tile of values. */
template <class T>
static __device__ __forceinline__ void start_mixing(struct attended<T> *got, const struct rings<T> &rings) {
    const bf16 *values = tile_of<T::STAGES, T::SIZE, KEYS>(rings.values);

    hold(got->mixed);
    hold(got->weight);
    begin_products();
#pragma unroll
    for (int k = 0; k < KEYS / 16; k++)
        multiply_async<T::SIZE, 1>(got->mixed, got->weight[k],
                                   matrix_at(values + 16 * k * PANEL, KEYS * PANEL * 2), 1);
    end_products();
}

/* Where scores are so large that a product's roundoff matters, they are rounded before they are compared. */
template <class T>
static __device__ __forceinline__ float tame(float score[KEYS / 8][4], float factor, const float top[2]) {
    if (!__any_sync(EVERYONE, fabsf(top[0]) > HUGE_SCORE || fabsf(top[1]) > HUGE_SCORE)) return factor;
#pragma unroll
    for (int b = 0; b < KEYS / 8; b++)
#pragma unroll
        for (int i = 0; i < 4; i++) score[b][i] *= factor;
    return 1;
}

/* Scores of a tile, whose first key and the warp's first query have these places in the row, become weights.
 */
template <class T>
static __device__ __forceinline__ void weigh_tile(struct attended<T> *got, float factor, int query, int key) {
    struct row_max top;

    if (key + KEYS - 1 > query) {
#pragma unroll
        for (int b = 0; b < KEYS / 8; b++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                if (key + 8 * b + col_of(i) > query + row_of(i)) got->score[b][i] = -INFINITY;
    }
    top = largest_scores<KEYS / 8>(got->score);
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float higher = fmaxf(got->top[r], top.of[r] * factor);

        got->kept[r] = power_of_two(got->top[r] - higher);
        got->top[r] = higher;
    }
    factor = tame<T>(got->score, factor, got->top);
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float fresh = 0;

#pragma unroll
        for (int b = 0; b < KEYS / 8; b++) {
            float *pair = got->score[b] + 2 * r;

            pair[0] = power_of_two(fmaf(pair[0], factor, -got->top[r]));
            pair[1] = power_of_two(fmaf(pair[1], factor, -got->top[r]));
            fresh += pair[0] + pair[1];
        }
        got->sum[r] = fmaf(got->sum[r], got->kept[r], fresh);
    }
}

template <class T> static __device__ __forceinline__ void round_tile(struct attended<T> *got) {
#pragma unroll
    for (int k = 0; k < KEYS / 16; k++) round_weights(got->weight[k], got->score + 2 * k);
}

template <class T> static __device__ __forceinline__ void keep_mixed(struct attended<T> *got) {
#pragma unroll
    for (int b = 0; b < T::SIZE / 8; b++)
#pragma unroll
        for (int i = 0; i < 4; i++) got->mixed[b][i] *= got->kept[i / 2];
}

template <class T>
static __device__ __forceinline__ void give_rows(bf16 *out, float *logsum, const struct attended<T> &got,
                                                 const struct task &task, const struct shape &shape,
                                                 int query) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float sum = got.sum[r] + __shfl_xor_sync(EVERYONE, got.sum[r], 1), share;
        int at = query + row_of(2 * r);
        size_t line = (size_t)(task.first + at) * shape.heads + task.head;

        sum += __shfl_xor_sync(EVERYONE, sum, 2);
        share = reciprocal(sum);
        if (at >= task.length) continue;
        if (threadIdx.x % 4 == 0) logsum[line] = (float)((double)got.top[r] * LN2 + (double)logf(sum));
#pragma unroll
        for (int b = 0; b < T::SIZE / 8; b++)
            store_pair(out + line * shape.head_size, 8 * b + col_of(0), got.mixed[b][2 * r] * share,
                       got.mixed[b][2 * r + 1] * share, shape.head_size, 1);
    }
}

/* Groups start their products in turns, so that one multiplies while another weighs. */
template <class T> static __device__ __forceinline__ void take_turn(int group) {
    meet(FIRST_TURN + group, 2 * GROUP);
}

template <class T> static __device__ __forceinline__ void give_turn(int group) {
    announce(FIRST_TURN + (group + 1) % T::GROUPS, 2 * GROUP);
}

template <class T>
static __device__ __forceinline__ void attend(struct attended<T> *got, struct rings<T> *rings, float factor,
                                              int query, int end) {
    got->top[0] = got->top[1] = -INFINITY;
    got->sum[0] = got->sum[1] = 0;
    clear<1, T::SIZE / 8>(&got->mixed);
    await(rings->queries);
    await(rings->keys);
    take_turn<T>(rings->group);
    start_scores<T>(got, *rings);
    give_turn<T>(rings->group);
    wait_for_products<0>();
    hold(got->score);
    let_go(&rings->keys);
    weigh_tile<T>(got, factor, query, 0);
    round_tile<T>(got);
    for (int key = KEYS; key < end; key += KEYS) {
        await(rings->keys);
        take_turn<T>(rings->group);
        start_scores<T>(got, *rings);
        await(rings->values);
        start_mixing<T>(got, *rings);
        give_turn<T>(rings->group);
        wait_for_products<1>();
        hold(got->score);
        let_go(&rings->keys);
        weigh_tile<T>(got, factor, query, key);
        wait_for_products<0>();
        hold(got->mixed);
        let_go(&rings->values);
        keep_mixed<T>(got);
        round_tile<T>(got);
    }
    let_go(&rings->queries);
    await(rings->values);
    start_mixing<T>(got, *rings);
    wait_for_products<0>();
    hold(got->mixed);
    let_go(&rings->values);
}

template <class T>
static __device__ __forceinline__ void attend_tasks(bf16 *out, float *logsum, struct rings<T> rings,
                                                    const struct shape &shape, struct schedule schedule) {
    int line = rings.group * GROUP_ROWS + (int)threadIdx.x % GROUP / WARP * 16;
    struct attended<T> got;
    struct task task;

    if (rings.group == T::GROUPS - 1) announce(FIRST_TURN, 2 * GROUP);
    while (take_task<T>(&task, &schedule, shape)) {
        int query = (task.cost - 1) * T::QUERIES + line;

        attend<T>(&got, &rings, shape.scoring.factor, query, keys_of<T>(task));
        give_rows<T>(out, logsum, got, task, shape, query);
    }
}

template <class T>
static __global__ void __launch_bounds__(T::BLOCK, 1)
    groups_kernel(bf16 *out, float *logsum, const bf16 *qkv, struct shape shape, int held) {
#ifdef WITH_GROUPS
    struct rings<T> rings = rings_of<T>(dynamic_matrices<bf16>());
    struct schedule schedule = schedule_of<T>(shape, held);

    if (threadIdx.x == 0) {
        set_gates(rings.queries, 4 * T::GROUPS);
        set_gates(rings.keys, 4 * T::GROUPS);
        set_gates(rings.values, 4 * T::GROUPS);
    }
    __syncthreads();
    if (rings.group >= 0) {
        take_registers<T::MANY>();
        attend_tasks<T>(out, logsum, rings, shape, schedule);
    } else {
        give_registers<T::FEW>();
        bring_tasks<T>(rings, qkv, shape, schedule);
    }
#else
    (void)out, (void)logsum, (void)qkv, (void)shape, (void)held;
#endif
}

template <class T> static void run(bf16 *out, float *logsum, const bf16 *qkv, const struct shape &shape) {
    static int known;
    int blocks = resident_blocks(&known, (const void *)groups_kernel<T>, T::BLOCK, T::BYTES, "attention");

    if (blocks)
        launch("attention", groups_kernel<T>, blocks, T::BLOCK, T::BYTES, out, logsum, qkv, shape, HELD_KEYS);
}

typedef team<64, 3> team_of_64;
typedef team<128, 2> team_of_128;

void attention_lt_cuda(operand *out, float *logsum, const operand *qkv, const int *start, int rows, int heads,
                       int kv_heads, int head_size, float scale, float cap) {
    int fits = head_size % 8 == 0 && head_size > 32 && head_size <= 128 && on_16_bytes(qkv, out);
    struct shape shape = {start, rows, heads, kv_heads, head_size, scoring_of(scale, 0), 1};

    if (rows == 0) return;
    if (!have_groups() || !fits || cap > 0 || !(scale > 0))
        attention_bf16_cuda(out, logsum, qkv, start, rows, heads, kv_heads, head_size, scale, cap);
    else if (head_size <= 64)
        run<team_of_64>((bf16 *)out, logsum, (const bf16 *)qkv, shape);
    else
        run<team_of_128>((bf16 *)out, logsum, (const bf16 *)qkv, shape);
}
