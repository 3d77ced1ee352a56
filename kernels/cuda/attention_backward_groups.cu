#include "kernels/cuda/slopes_bf16.cuh"

/* The two passes of attention_backward_bf16.cu for heads of 33 to 128 channels on Hopper: groups of 4 warps
 * multiply, 64 near lines each, and one more brings the lines. Weights and slopes of scores stay in
 * registers, from where products take them as their left. */

#define GROUP      128
#define HELD       (24 << 20) /* bytes of far lines that the second-level cache keeps, of Hopper's 50 MB */
#define HUGE_SCORE 0x1p20f    /* from here on rounding may leave a weight above 1 */

/* A block has NEAR lines, with room for those of NEARS tasks, and meets FAR lines at a time, with room for
 * STAGES of these. A thread has MULTIPLY registers to multiply with, or BRING. */
template <int SIZE_, int GROUPS_, int FAR_, int NEARS_, int STAGES_, int WANTED_> struct pass {
    static const int SIZE = SIZE_, GROUPS = GROUPS_, FAR = FAR_, NEARS = NEARS_, STAGES = STAGES_;
    static const int WANTED = WANTED_, BY_QUERY = WANTED == OF_QUERIES;
    static const int NEAR = 64 * GROUPS, BLOCK = (GROUPS + 1) * GROUP;
    static const int MULTIPLY = BY_QUERY ? 232 : 240, BRING = BY_QUERY ? 40 : 24;
};

/* Tiles of 64 channels, one behind the other; what is known of the far lines where they are queries; and who
 * has brought what, and who has done with it. */
template <class T> struct memory {
    bf16 near[T::NEARS][2][T::NEAR * T::SIZE], far[T::STAGES][2][T::FAR * T::SIZE];
    float logsum[T::STAGES][T::FAR], dot[T::STAGES][T::FAR];
    gate near_there[T::NEARS], near_free[T::NEARS], there[T::STAGES], free[T::STAGES];
};

#ifdef WITH_GROUPS

/* In which order tasks come: heads of rows, a section of them at a time, whose far lines the second-level
 * cache can hold; of a section the dearest tasks first. Blocks take them in rounds, forth and back. */
struct schedule {
    int most, section, units, rounds; /* of a section */
};

/* held: bytes that the cache can hold */
template <class T>
static __device__ __forceinline__ struct schedule schedule_of(const struct shape &shape, int held) {
    int most = most_tiles(shape, T::NEAR), units = shape.rows * (T::BY_QUERY ? shape.heads : shape.kv_heads);
    float share = (float)shape.heads / (float)shape.kv_heads;
    float bytes = (float)most * (4.0f * T::NEAR * T::SIZE) * (float)units * (T::BY_QUERY ? 1 / share : share);
    int sections = min(max((int)ceilf(bytes / (float)held), 1), units);
    int section = (units + sections - 1) / sections, tasks = max(most * section, 1);

    return {most, section, units, (tasks + (int)gridDim.x - 1) / (int)gridDim.x};
}

/* The block's task in round *round or the next that has one; 0 when there is none. */
template <class T>
static __device__ __forceinline__ int take_task(struct task *task, int *round, const struct schedule &by,
                                                const struct shape &shape) {
    int heads = T::BY_QUERY ? shape.heads : shape.kv_heads;

    for (;; ++*round) {
        int place = *round % 2 ? gridDim.x - 1 - blockIdx.x : blockIdx.x,
            first = *round / by.rounds * by.section;
        int number = *round % by.rounds * gridDim.x + place, unit = first + number % by.section;

        if (first >= by.units) return 0;
        if (number / by.section >= by.most || unit >= by.units) continue;
        task->first = shape.start[unit / heads];
        task->length = shape.start[unit / heads + 1] - task->first;
        task->head = unit % heads;
        task->tiles = (task->length + T::NEAR - 1) / T::NEAR;
        task->cost = by.most - number / by.section;
        if (task->cost > task->tiles) continue;
        ++*round;
        return 1;
    }
}

template <int SIZE, int LINES>
static __device__ __forceinline__ void bring_lines(bf16 *tiles, const struct lines &lines, int from) {
#pragma unroll
    for (int channel = 0; channel < SIZE; channel += 64)
        bring<64, LINES>(tiles + LINES * channel,
                         {lines.data + channel, lines.stride, lines.end, lines.size - channel}, from, 1);
}

template <int SIZE, int LINES>
static __device__ __forceinline__ void bring_side(bf16 (*tiles)[LINES * SIZE], const struct side &side,
                                                  int from) {
    bring_lines<SIZE, LINES>(tiles[0], side.one, from);
    bring_lines<SIZE, LINES>(tiles[1], side.other, from);
}

/* One task's lines, by the group that brings; *tile counts all tasks' tiles. */
template <class T>
static __device__ __forceinline__ void bring_task(struct memory<T> *room, const struct gradients &g,
                                                  const struct task &task, const struct shape &shape,
                                                  unsigned number, unsigned *tile) {
    struct journey way = journey_of<T>(task, shape);
    unsigned place = number % T::NEARS;

    if (number >= T::NEARS) wait_at(&room->near_free[place], (number / T::NEARS - 1) % 2);
    bring_side<T::SIZE, T::NEAR>(room->near[place], near_side<T>(g, task, shape), way.from);
    arrive_with_copies(&room->near_there[place]);
    for (int head = way.head; head < way.head + way.heads; head++)
        for (int n = 0; n < way.tiles; n++, ++*tile) {
            unsigned stage = *tile % T::STAGES;
            int from = way.first + n * T::FAR;

            if (*tile >= T::STAGES) wait_at(&room->free[stage], (*tile / T::STAGES - 1) % 2);
            bring_side<T::SIZE, T::FAR>(room->far[stage], far_side<T>(g, task, shape, head), from);
            arrive_with_copies(&room->there[stage]);
            if (T::BY_QUERY) continue;
            if (threadIdx.x < T::FAR) {
                struct summary query = summary_of(g, task, shape, head, from + (int)threadIdx.x);

                room->logsum[stage][threadIdx.x] = query.logsum;
                room->dot[stage][threadIdx.x] = query.dot;
            }
            arrive(&room->there[stage]);
        }
}

/* sum = 64 near lines and FAR far ones, of channels that lie in tiles of NEAR and FAR lines. */
template <int SIZE, int NEAR, int FAR>
static __device__ __forceinline__ void multiply_tiles(float (&sum)[FAR / 8][4], const bf16 *near,
                                                      const bf16 *far) {
#pragma unroll
    for (int channel = 0; channel < SIZE; channel += 16)
        multiply_async<FAR, 0, 0>(sum, matrix_at(near + channel / 64 * 64 * NEAR + channel % 64),
                                  matrix_at(far + channel / 64 * 64 * FAR + channel % 64), channel > 0);
}

/* sum += weights far */
template <int SIZE, int FAR>
static __device__ __forceinline__ void mix_tile(float (&sum)[SIZE / 8][4],
                                                const unsigned (&weights)[FAR / 16][4], const bf16 *far) {
#pragma unroll
    for (int line = 0; line < FAR; line += 16)
        multiply_async<SIZE, 1>(sum, weights[line / 16], matrix_at(far + line * 64, FAR * 128), 1);
}

/* What a group gathers: one, of queries or keys, other, of values. */
template <class T> struct gathered { float one[T::SIZE / 8][4], other[T::SIZE / 8][4]; };

/* The row of a group's 64 that number i of a fragment is of. */
static __device__ __forceinline__ int group_row(int i) {
    return (int)threadIdx.x % GROUP / WARP * 16 + row_of(i);
}

/* Two queries' numbers, those of a lane's rows or of its columns from number 8 b on. */
template <class T>
static __device__ __forceinline__ float2 both_of(float2 rows, const float *columns, int b) {
    return T::BY_QUERY ? rows : *(const float2 *)(columns + 8 * b + col_of(0));
}

/* Products become -infinity where the query does not see the key. */
template <class T>
static __device__ __forceinline__ void hide_keys(float (&score)[T::FAR / 8][4], int at, int from) {
    if (T::BY_QUERY ? from + T::FAR - 1 <= at : at + 63 <= from) return;
#pragma unroll
    for (int b = 0; b < T::FAR / 8; b++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int near = at + group_row(i), far = from + 8 * b + col_of(i);

            if (T::BY_QUERY ? far > near : near > far) score[b][i] = -INFINITY;
        }
}

/* Whether a lane's queries, or, where the far lines are those, some of the tile's have scores so large. */
template <class T> static __device__ __forceinline__ bool are_huge(float2 rows, const float *logsum) {
    bool huge = T::BY_QUERY && (fabsf(rows.x) > HUGE_SCORE || fabsf(rows.y) > HUGE_SCORE);

    if (!T::BY_QUERY)
#pragma unroll
        for (int i = 0; i < T::FAR; i += WARP) huge |= fabsf(logsum[i + threadIdx.x % WARP]) > HUGE_SCORE;
    return __any_sync(EVERYONE, huge);
}

/* Products become weights, which are also rounded; HUGE: however large they are. */
template <class T, bool HUGE>
static __device__ __forceinline__ void weigh_tile(unsigned (&weight)[T::FAR / 16][4],
                                                  float (&score)[T::FAR / 8][4], float factor, float2 rows,
                                                  const float *logsum) {
#pragma unroll
    for (int b = 0; b < T::FAR / 8; b++) {
        float2 both = both_of<T>(rows, logsum, b);

#pragma unroll
        for (int i = 0; i < 4; i++) {
            float power = fmaf(score[b][i], factor, (T::BY_QUERY ? i / 2 : i % 2) ? -both.y : -both.x);

            score[b][i] = power_of_two(HUGE ? fminf(power, 0) : power);
        }
        weight[b / 2][b % 2 * 2] = rounded(score[b][0], score[b][1]);
        weight[b / 2][b % 2 * 2 + 1] = rounded(score[b][2], score[b][3]);
    }
}

/* Products of the slopes of outputs and values become, but for the scale, the slopes of scores, rounded. */
template <class T>
static __device__ __forceinline__ void
slope_tile(unsigned (&out)[T::FAR / 16][4], const float (&weight)[T::FAR / 8][4],
           const float (&slope)[T::FAR / 8][4], float2 rows, const float *dot) {
#pragma unroll
    for (int b = 0; b < T::FAR / 8; b++) {
        float2 both = both_of<T>(rows, dot, b);
        float got[4];

#pragma unroll
        for (int i = 0; i < 4; i++)
            got[i] = weight[b][i] * (slope[b][i] - ((T::BY_QUERY ? i / 2 : i % 2) ? both.y : both.x));
        out[b / 2][b % 2 * 2] = rounded(got[0], got[1]);
        out[b / 2][b % 2 * 2 + 1] = rounded(got[2], got[3]);
    }
}

/* A far tile for the group's near lines, the first of which is `line` of the block's and `at` of the row. */
template <class T>
static __device__ __forceinline__ void pass_tile(struct gathered<T> &got, const struct memory<T> *room,
                                                 unsigned place, unsigned stage, const struct summary rows[2],
                                                 float factor, int line, int at, int from) {
    const bf16 *one = room->far[stage][0], *other = room->far[stage][1];
    float score[T::FAR / 8][4], slope[T::FAR / 8][4];
    unsigned weight[T::FAR / 16][4], rounded_slope[T::FAR / 16][4];
    float2 logsums = make_float2(rows[0].logsum, rows[1].logsum);

    hold(score);
    hold(slope);
    begin_products();
    multiply_tiles<T::SIZE, T::NEAR, T::FAR>(score, room->near[place][0] + line * 64, one);
    end_products();
    multiply_tiles<T::SIZE, T::NEAR, T::FAR>(slope, room->near[place][1] + line * 64, other);
    end_products();
    wait_for_products<1>();
    hold(score);
    hide_keys<T>(score, at, from);
    if (are_huge<T>(logsums, room->logsum[stage]))
        weigh_tile<T, true>(weight, score, factor, logsums, room->logsum[stage]);
    else
        weigh_tile<T, false>(weight, score, factor, logsums, room->logsum[stage]);
    if constexpr (T::WANTED & OF_VALUES) {
        hold(weight);
        hold(got.other);
        begin_products();
        mix_tile<T::SIZE, T::FAR>(got.other, weight, other);
        end_products();
        wait_for_products<1>();
    } else {
        wait_for_products<0>();
    }
    hold(slope);
    slope_tile<T>(rounded_slope, score, slope, make_float2(rows[0].dot, rows[1].dot), room->dot[stage]);
    hold(rounded_slope);
    hold(got.one);
    begin_products();
    mix_tile<T::SIZE, T::FAR>(got.one, rounded_slope, one);
    end_products();
    wait_for_products<0>();
    hold(got.one);
    if constexpr (T::WANTED & OF_VALUES) hold(got.other);
}

/* Lane q of 4 gets of each its number q, in the order of the lanes. */
static __device__ __forceinline__ uint4 turn_four(const unsigned own[4]) {
    unsigned lane = threadIdx.x % 4, kept[2], came[2];
    int high = lane / 2, odd = lane % 2;

#pragma unroll
    for (int i = 0; i < 2; i++) {
        kept[i] = high ? own[2 + i] : own[i];
        came[i] = __shfl_xor_sync(EVERYONE, high ? own[i] : own[2 + i], 2);
    }
    unsigned low = high ? came[0] : kept[0], low_next = high ? came[1] : kept[1];
    unsigned far = high ? kept[0] : came[0], far_next = high ? kept[1] : came[1];
    unsigned low_other = __shfl_xor_sync(EVERYONE, odd ? low : low_next, 1);
    unsigned far_other = __shfl_xor_sync(EVERYONE, odd ? far : far_next, 1);

    return odd ? make_uint4(low_other, low_next, far_other, far_next)
               : make_uint4(low, low_other, far, far_other);
}

/* `at`: the place in the row of the group's first line; line: where a row's gradients of this head begin. */
template <int SIZE>
static __device__ __forceinline__ void store_lines(bf16 *line, const float (&sum)[SIZE / 8][4], float scale,
                                                   const struct task &task, const struct shape &shape,
                                                   int at) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
        int to = at + group_row(2 * r);

#pragma unroll
        for (int b = 0; b < SIZE / 8; b += 4) {
            int channel = 8 * (b + (int)threadIdx.x % 4);
            unsigned own[4];

#pragma unroll
            for (int i = 0; i < 4; i++)
                own[i] = rounded(sum[b + i][2 * r] * scale, sum[b + i][2 * r + 1] * scale);
            uint4 eight = turn_four(own);

            if (to < task.length && channel < shape.head_size)
                *(uint4 *)(line + (size_t)to * shape_width(shape) + channel) = eight;
        }
    }
}

template <class T>
static __device__ __forceinline__ void store(const struct gradients &g, const struct gathered<T> &got,
                                             const struct task &task, const struct shape &shape, float scale,
                                             int at) {
    bf16 *row = g.dqkv + (size_t)task.first * shape_width(shape);
    bf16 *line = row + (task.head + (T::BY_QUERY ? 0 : shape.heads)) * shape.head_size;

    store_lines<T::SIZE>(line, got.one, scale, task, shape, at);
    if (T::WANTED & OF_VALUES)
        store_lines<T::SIZE>(line + shape.kv_heads * shape.head_size, got.other, 1, task, shape, at);
}

/* One task, by a group that multiplies, whose lines begin at `line` of the block's. */
template <class T>
static __device__ __forceinline__ void gather(struct memory<T> *room, const struct gradients &g,
                                              const struct task &task, const struct shape &shape, float scale,
                                              unsigned number, unsigned *tile, int line) {
    struct journey way = journey_of<T>(task, shape);
    unsigned place = number % T::NEARS;
    int at = way.from + line;
    struct summary rows[2] = {};
    struct gathered<T> got;

    clear<1, T::SIZE / 8>(&got.one);
    clear<1, T::SIZE / 8>(&got.other);
    if (T::BY_QUERY)
#pragma unroll
        for (int r = 0; r < 2; r++) rows[r] = summary_of(g, task, shape, task.head, at + group_row(2 * r));
    wait_at(&room->near_there[place], number / T::NEARS % 2);
    for (int head = 0; head < way.heads; head++)
        for (int n = 0; n < way.tiles; n++, ++*tile) {
            unsigned stage = *tile % T::STAGES;
            int from = way.first + n * T::FAR;

            wait_at(&room->there[stage], *tile / T::STAGES % 2);
            show_to_products();
            if (at < task.length && (T::BY_QUERY ? from < at + 64 : from + T::FAR > at))
                pass_tile<T>(got, room, place, stage, rows, shape.scoring.factor, line, at, from);
            come(&room->free[stage]);
        }
    come(&room->near_free[place]);
    store<T>(g, got, task, shape, scale, at);
}

template <class T> static __device__ __forceinline__ void set_gates(struct memory<T> *room) {
    for (int place = 0; place < T::NEARS; place++) {
        set_gate(&room->near_there[place], GROUP);
        set_gate(&room->near_free[place], T::GROUPS * GROUP / WARP);
    }
    for (int stage = 0; stage < T::STAGES; stage++) {
        set_gate(&room->there[stage], T::BY_QUERY ? GROUP : 2 * GROUP);
        set_gate(&room->free[stage], T::GROUPS * GROUP / WARP);
    }
}

#endif

template <class T>
static __global__ void __launch_bounds__(T::BLOCK, 1)
    slopes_kernel(struct gradients g, struct shape shape, float scale, int held) {
#ifdef WITH_GROUPS
    struct memory<T> *room = dynamic_matrices<struct memory<T>>();
    struct schedule by = schedule_of<T>(shape, held);
    int group = (int)threadIdx.x / GROUP - 1, round = 0;
    unsigned done = 0, tile = 0;
    struct task task;

    if (threadIdx.x == 0) set_gates(room);
    __syncthreads();
    if (group < 0) {
        give_registers<T::BRING>();
        while (take_task<T>(&task, &round, by, shape)) bring_task<T>(room, g, task, shape, done++, &tile);
        end_copies();
        wait_for_copies<0>();
    } else {
        take_registers<T::MULTIPLY>();
        while (take_task<T>(&task, &round, by, shape))
            gather<T>(room, g, task, shape, scale, done++, &tile, 64 * group);
    }
#else
    (void)g, (void)shape, (void)scale, (void)held;
#endif
}

template <class T> static void run(const struct gradients &g, const struct shape &shape, float scale) {
    static int known;
    int blocks = resident_blocks(&known, (const void *)slopes_kernel<T>, T::BLOCK, sizeof(struct memory<T>),
                                 "attention_backward");

    if (blocks)
        launch("attention_backward", slopes_kernel<T>, blocks, T::BLOCK, sizeof(struct memory<T>), g, shape,
               scale, HELD);
}

void attention_backward_lt_cuda(operand *dqkv, const operand *dout, const operand *qkv, const operand *out,
                                const float *logsum, const int *start, int rows, int heads, int kv_heads,
                                int head_size, float scale, float cap) {
    struct gradients g = {(bf16 *)dqkv, (const bf16 *)dout, (const bf16 *)qkv, (const bf16 *)out, logsum};
    struct shape shape = {start, rows, heads, kv_heads, head_size, scoring_of(scale, 0), 1};
    int fits = head_size % 8 == 0 && head_size > 32 && head_size <= 128 && on_16_bytes(dqkv, dout, qkv, out);

    if (rows == 0) return;
    if (!have_groups() || !fits || cap > 0 || !(scale > 0)) {
        attention_backward_bf16_cuda(dqkv, dout, qkv, out, logsum, start, rows, heads, kv_heads, head_size,
                                     scale, cap);
        return;
    }
    leave_dots(g, shape);
    if (head_size <= 64) {
        run<pass<64, 2, 128, 1, 2, OF_KEYS | OF_VALUES>>(g, shape, scale);
        run<pass<64, 2, 128, 2, 4, OF_QUERIES>>(g, shape, scale);
    } else {
        run<pass<128, 2, 64, 1, 2, OF_KEYS | OF_VALUES>>(g, shape, scale);
        run<pass<128, 2, 64, 2, 2, OF_QUERIES>>(g, shape, scale);
    }
}
