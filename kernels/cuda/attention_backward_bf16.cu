#include "kernels/cuda/slopes_bf16.cuh"

/* Gradients of attention on tensor cores, of the same bits every time: a pass that gives each block a tile of
 * keys gathers theirs and those of the values over the queries that see them, and another with tiles of
 * queries those of the queries over the keys. Both make the scores again, in registers. */

/* A block has NEAR lines, TALL blocks of 16 a warp, and meets FAR lines at a time. */
template <int SIZE_, int TALL_, int FAR_, int WANTED_> struct pass {
    static const int SIZE = SIZE_, TALL = TALL_, FAR = FAR_, WANTED = WANTED_, NEAR = WARPS * TALL * 16;
    static const int BY_QUERY = WANTED == OF_QUERIES, MIXES = WANTED != OF_VALUES; /* slopes of scores */
};

template <class T, int LINES>
static __device__ __forceinline__ void bring_side(bf16 *tiles, const struct side &side, int from, int whole) {
    bring<T::SIZE, LINES>(tiles, side.one, from, whole);
    bring<T::SIZE, LINES>(tiles + LINES * T::SIZE, side.other, from, whole);
}

/* A dot waits where the query's gradient will be, in the place of its first two channels. */
static __device__ __forceinline__ void leave_dot(bf16 *line, float dot) {
    line[0] = (bf16)(__float_as_uint(dot) >> 16);
    line[1] = (bf16)__float_as_uint(dot);
}

/* LANES for each query of each head, with 8 neighbouring channels at a time. */
template <int LANES>
static __global__ void __launch_bounds__(GROUP_THREADS) dots_kernel(struct gradients g, struct shape shape) {
    const int TOGETHER = GROUP_THREADS / LANES;
    int count = shape.start[shape.rows] * shape.heads, size = shape.head_size;
    int own = (int)threadIdx.x / LANES, lane = threadIdx.x % LANES;

    for (int from = blockIdx.x * TOGETHER; from < count; from += gridDim.x * TOGETHER) {
        int at = min(from + own, count - 1);
        const bf16 *dout = g.dout + (size_t)at * size, *out = g.out + (size_t)at * size;
        float dot = 0;

        for (int d = 8 * lane; d < size; d += 8 * LANES) {
            float x[8], y[8];

            take<8>(x, dout + d, min(size - d, 8), shape.whole);
            take<8>(y, out + d, min(size - d, 8), shape.whole);
#pragma unroll
            for (int i = 0; i < 8; i++) dot = fmaf(x[i], y[i], dot);
        }
        for (int half = LANES / 2; half; half /= 2) dot += __shfl_xor_sync(EVERYONE, dot, half);
        if (lane == 0 && from + own < count)
            leave_dot(g.dqkv + (size_t)(at / shape.heads) * shape_width(shape) +
                          (size_t)(at % shape.heads) * size,
                      dot);
    }
}

/* Scores, and products of the slopes of outputs and values, become weights and, but for the scale, the slopes
 * of the products of queries and keys. */
template <class T>
static __device__ __forceinline__ void weigh_tile(float score[T::FAR / 8][4], float slope[T::FAR / 8][4],
                                                  const struct summary rows[2], const struct summary *columns,
                                                  float limit) {
    float inverse = limit > 0 ? 1 / limit : 0;

#pragma unroll
    for (int b = 0; b < T::FAR / 8; b++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const struct summary &query = T::BY_QUERY ? rows[i / 2] : columns[8 * b + col_of(i)];
            float share = score[b][i] * inverse;

            score[b][i] = power_of_two(score[b][i] - query.logsum);
            if (!T::MIXES) continue;
            slope[b][i] = score[b][i] * (slope[b][i] - query.dot);
            if (limit > 0 && score[b][i] > 0) slope[b][i] *= 1 - share * share;
        }
}

/* What a warp gathers: one, of queries or keys, other, of values. */
template <class T> struct gathered { float one[T::TALL][T::SIZE / 8][4], other[T::TALL][T::SIZE / 8][4]; };

template <class T>
static __device__ __forceinline__ void pass_tile(struct gathered<T> *got, const bf16 *near, int line,
                                                 const bf16 *far, const struct summary rows[T::TALL][2],
                                                 const struct summary *columns, const struct scoring &by,
                                                 int at, int from) {
    float weight[T::TALL][T::FAR / 8][4], slope[T::TALL][T::FAR / 8][4];
    const bf16 *far_other = far + T::FAR * T::SIZE;

    multiply_lines<T::SIZE, T::TALL, T::FAR>(weight, near, line, far);
    if (T::MIXES) multiply_lines<T::SIZE, T::TALL, T::FAR>(slope, near + T::NEAR * T::SIZE, line, far_other);
#pragma unroll
    for (int a = 0; a < T::TALL; a++) {
        int near_line = at + 16 * a;

        score_lines<T::FAR / 8, T::BY_QUERY>(weight[a], by, T::BY_QUERY ? near_line : from,
                                             T::BY_QUERY ? from : near_line);
        weigh_tile<T>(weight[a], slope[a], rows[a], columns, by.limit);
    }
    if (T::WANTED & OF_VALUES) mix_lines<T::SIZE, T::TALL, T::FAR>(got->other, weight, far_other);
    if (T::MIXES) mix_lines<T::SIZE, T::TALL, T::FAR>(got->one, slope, far);
}

/* `at`: the place in the row of the warp's first line; line: where a row's gradients of this head begin. */
template <class T>
static __device__ __forceinline__ void store_lines(bf16 *line, const float sum[T::TALL][T::SIZE / 8][4],
                                                   float scale, const struct task &task,
                                                   const struct shape &shape, int at) {
#pragma unroll
    for (int a = 0; a < T::TALL; a++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            int to = at + 16 * a + row_of(2 * r);

            if (to >= task.length) continue;
#pragma unroll
            for (int b = 0; b < T::SIZE / 8; b++)
                store_pair(line + (size_t)to * shape_width(shape), 8 * b + col_of(0),
                           sum[a][b][2 * r] * scale, sum[a][b][2 * r + 1] * scale, shape.head_size,
                           shape.whole);
        }
}

/* What the warp has gathered, for the task's head. */
template <class T>
static __device__ __forceinline__ void store(const struct gradients &g, const struct gathered<T> &got,
                                             const struct task &task, const struct shape &shape, float scale,
                                             int at) {
    int size = shape.head_size;
    bf16 *row = g.dqkv + (size_t)task.first * shape_width(shape), *queries = row + (size_t)task.head * size;
    bf16 *keys = row + (size_t)(shape.heads + task.head) * size;

    if (T::WANTED & OF_QUERIES) store_lines<T>(queries, got.one, scale, task, shape, at);
    if (T::WANTED & OF_KEYS) store_lines<T>(keys, got.one, scale, task, shape, at);
    if (T::WANTED & OF_VALUES)
        store_lines<T>(keys + (size_t)shape.kv_heads * size, got.other, 1, task, shape, at);
}

/* What is known of the queries that a lane has. */
template <class T>
static __device__ __forceinline__ void summarize(struct summary rows[T::TALL][2], const struct gradients &g,
                                                 const struct task &task, const struct shape &shape, int at) {
#pragma unroll
    for (int a = 0; a < T::TALL; a++)
#pragma unroll
        for (int r = 0; r < 2; r++)
            rows[a][r] = summary_of(g, task, shape, task.head, at + 16 * a + row_of(2 * r));
}

/* One task: far tiles in two stages, and what is known of their queries, which a thread each fetches while
 * the tile before is multiplied. */
template <class T>
static __device__ __forceinline__ void gather(const struct gradients &g, const struct task &task,
                                              const struct shape &shape, float scale, bf16 *near,
                                              struct summary columns[2][T::FAR]) {
    const int room = 2 * T::FAR * T::SIZE;
    struct journey way = journey_of<T>(task, shape);
    int line = threadIdx.x / WARP * T::TALL * 16, at = way.from + line;
    bf16 *stages = near + 2 * T::NEAR * T::SIZE;
    struct summary rows[T::TALL][2] = {}, next = {};
    struct gathered<T> got;

    clear<T::TALL, T::SIZE / 8>(got.one);
    clear<T::TALL, T::SIZE / 8>(got.other);
    __syncthreads();
    bring_side<T, T::NEAR>(near, near_side<T>(g, task, shape), way.from, shape.whole);
    bring_side<T, T::FAR>(stages, far_side<T>(g, task, shape, way.head), way.first, shape.whole);
    end_copies();
    if (T::BY_QUERY)
        summarize<T>(rows, g, task, shape, at);
    else if (threadIdx.x < T::FAR)
        next = summary_of(g, task, shape, way.head, way.first + threadIdx.x);
    for (int n = 0, head = way.head, far = way.first; n < way.tiles * way.heads; n++) {
        int last = far + T::FAR >= way.first + way.tiles * T::FAR;
        int next_head = head + last, next_far = last ? way.first : far + T::FAR;

        wait_for_copies<0>();
        if (!T::BY_QUERY && threadIdx.x < T::FAR) columns[n % 2][threadIdx.x] = next;
        __syncthreads();
        if (n + 1 < way.tiles * way.heads) {
            bring_side<T, T::FAR>(stages + (n + 1) % 2 * room, far_side<T>(g, task, shape, next_head),
                                  next_far, shape.whole);
            if (!T::BY_QUERY && threadIdx.x < T::FAR)
                next = summary_of(g, task, shape, next_head, next_far + threadIdx.x);
        }
        end_copies();
        if (at < task.length && (T::BY_QUERY ? far < at + 16 * T::TALL : far + T::FAR > at))
            pass_tile<T>(&got, near, line, stages + n % 2 * room, rows, columns[n % 2], shape.scoring, at,
                         far);
        head = next_head;
        far = next_far;
    }
    store<T>(g, got, task, shape, scale, at);
}

template <class T>
static __global__ void __launch_bounds__(THREADS, 2)
    slopes_kernel(struct gradients g, struct shape shape, float scale) {
    __shared__ struct summary columns[2][T::FAR];
    int heads = T::BY_QUERY ? shape.heads : shape.kv_heads, most = most_tiles(shape, T::NEAR);
    struct task task;

    for (long long number = blockIdx.x; next_task(&task, &number, shape, heads, most, T::NEAR);
         number += gridDim.x)
        gather<T>(g, task, shape, scale, dynamic_shared<bf16>(), columns);
}

template <class T> static void run(const struct gradients &g, const struct shape &shape, float scale) {
    size_t bytes = (size_t)(2 * T::NEAR + 4 * T::FAR) * T::SIZE * sizeof(bf16);
    static int known;
    int blocks =
        resident_blocks(&known, (const void *)slopes_kernel<T>, THREADS, bytes, "attention_backward");

    if (blocks) launch("attention_backward", slopes_kernel<T>, blocks, THREADS, bytes, g, shape, scale);
}

void leave_dots(const struct gradients &g, const struct shape &shape) {
    void (*kernel)(struct gradients, struct shape) = shape.head_size <= 32   ? dots_kernel<4>
                                                     : shape.head_size <= 64 ? dots_kernel<8>
                                                                             : dots_kernel<16>;

    if (shape.head_size < 2) return;
    launch("attention_backward", kernel, 8 * multiprocessors(), GROUP_THREADS, 0, g, shape);
}

void attention_backward_bf16_cuda(operand *dqkv, const operand *dout, const operand *qkv, const operand *out,
                                  const float *logsum, const int *start, int rows, int heads, int kv_heads,
                                  int head_size, float scale, float cap) {
    struct gradients g = {(bf16 *)dqkv, (const bf16 *)dout, (const bf16 *)qkv, (const bf16 *)out, logsum};
    int whole = head_size % 8 == 0 && on_16_bytes(dqkv, dout, qkv, out);
    struct shape shape = {start, rows, heads, kv_heads, head_size, scoring_of(scale, cap), whole};

    if (rows == 0) return;
    leave_dots(g, shape);
    if (head_size <= 32) {
        run<pass<32, 2, 32, OF_KEYS | OF_VALUES>>(g, shape, scale);
        run<pass<32, 2, 32, OF_QUERIES>>(g, shape, scale);
    } else if (head_size <= 64) {
        run<pass<64, 2, 32, OF_KEYS | OF_VALUES>>(g, shape, scale);
        run<pass<64, 2, 32, OF_QUERIES>>(g, shape, scale);
    } else if (head_size <= 96) {
        run<pass<96, 1, 32, OF_KEYS | OF_VALUES>>(g, shape, scale);
        run<pass<96, 2, 32, OF_QUERIES>>(g, shape, scale);
    } else if (head_size <= 128) {
        run<pass<128, 1, 32, OF_KEYS | OF_VALUES>>(g, shape, scale);
        run<pass<128, 2, 32, OF_QUERIES>>(g, shape, scale);
    } else if (head_size <= 256) {
        run<pass<256, 1, 16, OF_KEYS>>(g, shape, scale);
        run<pass<256, 1, 16, OF_VALUES>>(g, shape, scale);
        run<pass<256, 1, 16, OF_QUERIES>>(g, shape, scale);
    } else {
        note_failure(cudaErrorInvalidValue, "attention_backward with heads of more than 256 channels");
    }
}
