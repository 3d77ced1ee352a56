#include "kernels/cuda/distribution.cuh"

/* The first token of a span at which the running sum passes `target`; the last of positive weight if rounding
 * leaves none. By one thread: the sums' order is part of the result. */
static __device__ int draw_within(const float *weight, int count, double target) {
    double running = 0;
    int last = 0;

    for (int i = 0; i < count; i++) {
        if (!(weight[i] > 0)) continue;
        running += (double)weight[i];
        last = i;
        if (running > target) break;
    }
    return last;
}

#define SHARE (SPAN / WARP) /* neighbours of a span that a lane adds up */

/* The same by a warp, whose lanes add up neighbours each: the sums' order is another one. */
static __device__ int draw_by_lanes(const float *weight, int count, double target) {
    int lane = threadIdx.x % WARP, from = min(lane * SHARE, count), end = min(from + SHARE, count);
    double own = 0, before;
    unsigned some, behind;

    for (int i = from; i < end; i++) own += weight[i] > 0 ? (double)weight[i] : 0;
    before = own;
    for (int by = 1; by < WARP; by *= 2) {
        double more = __shfl_up_sync(EVERYONE, before, by);

        if (lane >= by) before += more;
    }
    behind = __ballot_sync(EVERYONE, own > 0 && before > target);
    some = __ballot_sync(EVERYONE, own > 0);
    if (!some) return 0;
    int chosen = behind ? __ffs((int)behind) - 1 : WARP - 1 - __clz((int)some);
    int within = from + draw_within(weight + from, end - from, target - (before - own));

    return __shfl_sync(EVERYONE, within, chosen);
}

/* Inverts the cumulative sum at `target`: by span, then within it. weight: room for a span. */
template <bool ONCE>
static __device__ int draw(float *weight, const double *sums, const float *logits, int vocab, float max,
                           float temperature, double target) {
    __shared__ int chosen, token;
    __shared__ double left;

    if (threadIdx.x == 0) {
        chosen = -1;
        for (int s = 0; s < spans_of(vocab); s++) {
            if (sums[s] > 0) {
                chosen = s;
                left = target;
            }
            if (sums[s] > target) break;
            target -= sums[s];
        }
    }
    __syncthreads();
    if (chosen < 0) return 0;
    int from = chosen * SPAN, count = vocab - from < SPAN ? vocab - from : SPAN;

    for (int i = threadIdx.x; i < count; i += THREADS)
        weight[i] = weight_of(logits[from + i], max, temperature);
    __syncthreads();
    if (threadIdx.x < WARP) {
        int within = ONCE ? draw_by_lanes(weight, count, left) : draw_within(weight, count, left);

        if (threadIdx.x == 0) token = from + within;
    }
    __syncthreads();
    return token;
}

/* What blocks leave of rows in scratch memory. */
struct left {
    double *sums;      /* [rows][spans]: of weights */
    float *most, *sum; /* [rows][THREADS]: what logprob()'s threads would have met */
    int *first;        /* [rows]: index of a largest logit */
};

#define ROWS   128 /* that are sampled at a time, for their logits to stay in the second-level cache */
#define ROUNDS 4   /* see meet() */

/* A warp of those that a row has in logprob_kernel<true> is a block here: the same threads meet the same
 * logits, so that their sums have the same bits. Without ONCE the largest alone is wanted. */
template <bool ONCE>
static __global__ void __launch_bounds__(WARP)
    meet_kernel(struct left left, const float *logits, int vocab, int line, float temperature) {
    int r = blockIdx.y, number = blockIdx.x * WARP + threadIdx.x;
    size_t at = (size_t)r * THREADS + number;

    start_successor();
    wait_for_predecessor();
    struct running of =
        meet<ROUNDS>(logits + (size_t)r * line, vocab, number, scale_of(temperature > 0 ? temperature : 1));

    left.most[at] = of.most;
    if (ONCE) left.sum[at] = of.sum;
    if (number == 0) left.first[r] = vocab;
}

#define SPANS 4              /* that a block adds up */
#define PITCH (SPAN + WIDTH) /* floats from one to the next: the lanes of two are on different banks */
#define EACH  (SPANS * SPAN / THREADS)

/* A thread's logits of the block's spans, groups of four. */
static __device__ __forceinline__ int group_at(int group) {
    return (group * THREADS + threadIdx.x) * 4;
}

/* Adds the block's spans up as span_sums() does, from weights[SPANS][PITCH] that all threads made. */
static __device__ void leave_sums(double *sums, float *weights, const float x[EACH], int count, float max,
                                  float temperature) {
    int span = threadIdx.x / WIDTH, lane = threadIdx.x % WIDTH, left = min(count - span * SPAN, SPAN);
    float sum = 0;

#pragma unroll
    for (int g = 0; g < EACH / 4; g++) {
        float weight[4];

#pragma unroll
        for (int i = 0; i < 4; i++) weight[i] = weight_of(x[4 * g + i], max, temperature);
        store<4>(weights + group_at(g) / SPAN * PITCH + group_at(g) % SPAN, weight);
    }
    __syncthreads();
    if (span >= SPANS) return;
#pragma unroll 16
    for (int i = lane; i < left; i += WIDTH) sum += weights[span * PITCH + i];
    sum = lanes_sum(sum);
    if (lane == 0 && left > 0) sums[span] = (double)sum;
}

static __device__ void leave_first(int *first, const float x[EACH], int begin, int vocab, float max) {
    int own = vocab;

#pragma unroll
    for (int i = EACH - 1; i >= 0; i--)
        if (x[i] == max) own = min(own, begin + group_at(i / 4) + i % 4);
    if (own < vocab) atomicMin(first, own);
}

/* How many blocks have left a row's sums. All 0 between launches. */
static __device__ unsigned arrived[ROWS];

/* A row has a block for every SPANS spans, of which the last to end draws. ONCE: the log-probability is that
 * of logprob_kernel<true>, whose sum is not that of the spans. */
template <bool ONCE>
static __global__ void __launch_bounds__(THREADS)
    draw_kernel(int *token, float *logprob, struct left left, const float *logits, const float *u, int vocab,
                int line, float temperature) {
    float *weights = dynamic_shared<float>(), scale = temperature > 0 ? temperature : 1, x[EACH];
    double *sums = (double *)(weights + SPANS * PITCH), all = 0;
    int r = blockIdx.y, spans = spans_of(vocab), begin = blockIdx.x * SPANS * SPAN, drawn;
    const float *row = logits + (size_t)r * line;

    start_successor();
    wait_for_predecessor();
#pragma unroll
    for (int g = 0; g < EACH / 4; g++)
        take_logits(x + 4 * g, row, begin + group_at(g), vocab, (size_t)row % 16 == 0);
    struct running of = {left.most[(size_t)r * THREADS + threadIdx.x], 0, 0};
    float max = block_max(of.most);

    left.sums += (size_t)r * spans;
    if (!ONCE || temperature > 0)
        leave_sums(left.sums + blockIdx.x * SPANS, weights, x, vocab - begin, max, scale);
    if (!(temperature > 0)) leave_first(left.first + r, x, begin, vocab, max);
    if (!comes_last(arrived + r, gridDim.x)) return;
    for (int s = threadIdx.x; s < spans; s += THREADS) sums[s] = left.sums[s];
    if (!ONCE || temperature > 0) all = total_of(sums, spans);
    if (temperature > 0)
        drawn = draw<ONCE>(weights, sums, row, vocab, max, scale, (double)u[r] * all);
    else
        drawn = left.first[r] < vocab ? left.first[r] : 0;
    if (ONCE) {
        of.sum = left.sum[(size_t)r * THREADS + threadIdx.x];
        make_relative(&of, max, scale_of(scale));
        all = block_total((double)of.sum);
    }
    if (threadIdx.x) return;
    token[r] = drawn;
    logprob[r] = log_probability(row[drawn], max, scale, all);
}

/* Bytes that a row leaves. */
static size_t left_size(int vocab) {
    return spans_of(vocab) * sizeof(double) + 2 * THREADS * sizeof(float) + sizeof(int);
}

static struct left left_at(char *room, int rows, int vocab) {
    struct left out;

    out.sums = (double *)room;
    out.most = (float *)(out.sums + (size_t)rows * spans_of(vocab));
    out.sum = out.most + (size_t)rows * THREADS;
    out.first = (int *)(out.sum + (size_t)rows * THREADS);
    return out;
}

static int rows_at_a_time(int rows, int vocab) {
    size_t most = LEAST_SCRATCH / left_size(vocab);

    if (most > ROWS) most = ROWS;
    if (most < 1) most = 1;
    return (size_t)rows < most ? rows : (int)most;
}

template <bool ONCE>
static void sample(int *token, float *logprob, const float *logits, const float *u, int rows, int vocab,
                   int line, float temperature) {
    int each = rows_at_a_time(rows, vocab), blocks = blocks_for(spans_of(vocab), SPANS);
    size_t shared = SPANS * PITCH * sizeof(float) + spans_of(vocab) * sizeof(double);
    char *room = rows ? (char *)device_scratch(each * left_size(vocab)) : NULL;

    for (int from = 0; room && from < rows; from += each) {
        int count = rows - from < each ? rows - from : each;
        const float *at = logits + (size_t)from * line;
        struct left left = left_at(room, count, vocab);

        launch_chained("sample", meet_kernel<ONCE>, dim3(THREADS / WARP, count), WARP, 0, left, at, vocab,
                       line, temperature);
        launch_chained("sample", draw_kernel<ONCE>, dim3(blocks, count), THREADS, shared, token + from,
                       logprob + from, left, at, u + from, vocab, line, temperature);
    }
}

void sample_cuda(int *token, float *logprob, const float *logits, const float *u, int rows, int vocab,
                 int line, float temperature) {
    sample<false>(token, logprob, logits, u, rows, vocab, line, temperature);
}

void sample_bf16_cuda(int *token, float *logprob, const float *logits, const float *u, int rows, int vocab,
                      int line, float temperature) {
    sample<true>(token, logprob, logits, u, rows, vocab, line, temperature);
}
