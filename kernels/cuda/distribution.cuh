/* A row of logits as a distribution: what logprob(), sample() and truncate() share. */
#ifndef KERNELS_CUDA_DISTRIBUTION_CUH
#define KERNELS_CUDA_DISTRIBUTION_CUH

#include "kernels/cuda/device.cuh"

#define SPAN    1024 /* logits summed in single precision; spans are added in double */
#define THREADS 512
#define HALVES  (THREADS / WIDTH)

/* The row's span sums, in dynamic shared memory: [spans_of(vocab)]. */
static inline __host__ __device__ int spans_of(int vocab) {
    return (vocab + SPAN - 1) / SPAN;
}

/* (logit - max) / temperature */
static __device__ __forceinline__ float scaled(float logit, float max, float temperature) {
    return temperature == 1 ? logit - max : (logit - max) / temperature;
}

static __device__ __forceinline__ float weight_of(float logit, float max, float temperature) {
    return exp_of(scaled(logit, max, temperature));
}

/* The largest of a number of every thread, given to all. */
static __device__ float block_max(float x) {
    __shared__ float most[HALVES];

    x = lanes_max(x);
    __syncthreads();
    if (threadIdx.x % WIDTH == 0) most[threadIdx.x / WIDTH] = x;
    __syncthreads();
    x = most[0];
    for (int h = 1; h < HALVES; h++) x = most[h] > x ? most[h] : x;
    return x;
}

#define AHEAD 8 /* logits on their way to a thread */

/* op(logit, index) for all of a row. */
template <class OP>
static __device__ __forceinline__ void over_logits(const float *logits, int vocab, const OP &op) {
    for (int from = threadIdx.x; from < vocab; from += THREADS * AHEAD) {
        float x[AHEAD];

#pragma unroll
        for (int i = 0; i < AHEAD; i++)
            x[i] = from + i * THREADS < vocab ? logits[from + i * THREADS] : -INFINITY;
#pragma unroll
        for (int i = 0; i < AHEAD; i++)
            if (from + i * THREADS < vocab) op(x[i], from + i * THREADS);
    }
}

static __device__ float max_of(const float *logits, int vocab) {
    float max = -INFINITY;

    over_logits(logits, vocab, [&](float logit, int) { max = logit > max ? logit : max; });
    return block_max(max);
}

/* The first index of that value, or 0. */
static __device__ int first_of(const float *logits, int vocab, float value) {
    __shared__ int first;

    __syncthreads();
    if (threadIdx.x == 0) first = vocab;
    __syncthreads();
    int own = vocab;

#pragma unroll 16
    for (int i = threadIdx.x; i < vocab; i += THREADS)
        if (logits[i] == value) own = min(own, i);
    if (own < vocab) atomicMin(&first, own);
    __syncthreads();
    return first < vocab ? first : 0;
}

/* Spans' sums in shared memory added up in order, to all. */
static __device__ double total_of(const double *sums, int spans) {
    __shared__ double total;

    __syncthreads();
    if (threadIdx.x == 0) {
        total = 0;
        for (int s = 0; s < spans; s++) total += sums[s];
    }
    __syncthreads();
    return total;
}

/* Fills sums[spans] with term(logit) added up as sum_of() does, and returns their sum in order, to all. */
template <class TERM>
static __device__ double span_sums(double *sums, const float *logits, int vocab, TERM term) {
    int lane = threadIdx.x % WIDTH, spans = spans_of(vocab);

    __syncthreads();
    for (int from = 0; from < spans; from += HALVES) { /* together, for the shuffles */
        int span = from + threadIdx.x / WIDTH;
        int begin = span * SPAN, end = vocab - begin < SPAN ? vocab : begin + SPAN;
        float sum = 0;

        if (span >= spans) begin = end;
#pragma unroll 16
        for (int i = begin + lane; i < end; i += WIDTH) sum += term(logits[i]);
        sum = lanes_sum(sum);
        if (lane == 0 && span < spans) sums[span] = (double)sum;
    }
    return total_of(sums, spans);
}

struct weight_term {
    float max, temperature;

    __device__ float operator()(float logit) const {
        return weight_of(logit, max, temperature);
    }
};

static __device__ double weight_sum(double *sums, const float *logits, int vocab, float max,
                                    float temperature) {
    return span_sums(sums, logits, vocab, weight_term{max, temperature});
}

/* A row's largest logit, the sum of weights exp(z), z = (logit - max) / temperature, and the sum of z times
 * them. */
struct moments {
    float max;
    double sum, weighted;
};

/* The CPU's: its largest logit first, then the sum; the weighted one is left to entropy_of(). */
static __device__ struct moments moments_in_order(double *sums, const float *logits, int vocab,
                                                  float temperature) {
    float max = max_of(logits, vocab);

    return {max, weight_sum(sums, logits, vocab, max, temperature), 0};
}

/* x of a thread's, of all threads in a fixed order, given to all. */
static __device__ double block_total(double x) {
    __shared__ double part[THREADS / WARP];

    for (int half = WARP / 2; half; half /= 2) x += __shfl_xor_sync(EVERYONE, x, half);
    __syncthreads();
    if (threadIdx.x % WARP == 0) part[threadIdx.x / WARP] = x;
    __syncthreads();
    x = 0;
    for (int w = 0; w < THREADS / WARP; w++) x += part[w];
    return x;
}

#define TOGETHER 4 /* groups of four logits on their way to a thread */

/* What a thread has met of a row: weights are 2^((logit - most) scale), `weighted` the sum of them times
 * those exponents. */
struct running {
    float most, sum, weighted;
};

/* The same relative to another logit, that is not smaller. */
static __device__ __forceinline__ void make_relative(struct running *of, float most, float scale) {
    float step = of->most == -INFINITY ? 0 : (of->most - most) * scale, by = power_of_two(step);

    of->weighted = (of->weighted + of->sum * step) * by;
    of->sum *= by;
    of->most = most;
}

template <int N>
static __device__ __forceinline__ void add_logits(struct running *of, const float x[N], float scale) {
    float most = of->most;

#pragma unroll
    for (int i = 0; i < N; i++) most = fmaxf(most, x[i]);
    if (most > of->most) make_relative(of, most, scale);
    if (most == -INFINITY) return;
#pragma unroll
    for (int i = 0; i < N; i++) {
        float exponent = (x[i] - most) * scale, weight = power_of_two(exponent);

        of->sum += weight;
        of->weighted += weight > 0 ? weight * exponent : 0;
    }
}

/* Logits at … at + 3, on their alignment if `wide`; behind the last -infinity. */
static __device__ __forceinline__ void take_logits(float out[4], const float *logits, int at, int vocab,
                                                   bool wide) {
    if (wide && at + 4 <= vocab) {
        load<4>(out, logits + at);
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; i++) out[i] = at + i < vocab ? logits[at + i] : -INFINITY;
}

#define ROUND (THREADS * 4 * TOGETHER) /* logits of a row that its threads take at a time */

/* Of the exponents that weights have to base 2. */
static __device__ __forceinline__ float scale_of(float temperature) {
    return 1.44269504f / temperature; /* log2 e */
}

/* What thread `number` of the THREADS of a row meets of it, with ROUNDS of its logits on their way at a time.
 * The bits depend on the row alone: not on ROUNDS, on how it lies, or on the block that the thread is in. */
template <int ROUNDS>
static __device__ __forceinline__ struct running meet(const float *logits, int vocab, int number,
                                                      float scale) {
    bool wide = (size_t)logits % 16 == 0;
    struct running of = {-INFINITY, 0, 0};

    for (int from = number * 4; from < vocab; from += ROUNDS * ROUND) {
        float x[ROUNDS][4 * TOGETHER];

#pragma unroll
        for (int i = 0; i < ROUNDS * TOGETHER; i++)
            take_logits(x[i / TOGETHER] + i % TOGETHER * 4, logits, from + i * THREADS * 4, vocab, wide);
#pragma unroll
        for (int r = 0; r < ROUNDS; r++) add_logits<4 * TOGETHER>(&of, x[r], scale);
    }
    return of;
}

/* All three from one reading of the row: a thread's sums are relative to the largest logit that it has met,
 * and are made relative to a larger one when that comes. */
static __device__ struct moments moments_at_once(const float *logits, int vocab, float temperature) {
    const float scale = scale_of(temperature);
    struct running of = meet<1>(logits, vocab, threadIdx.x, scale);
    struct moments out;

    out.max = block_max(of.most);
    make_relative(&of, out.max, scale);
    out.sum = block_total((double)of.sum);
    out.weighted = block_total((double)of.weighted) * 0.6931471805599453; /* log 2 */
    return out;
}

static __device__ __forceinline__ float log_probability(float logit, float max, float temperature,
                                                        double sum) {
    return (float)(((double)logit - (double)max) / (double)temperature - log(sum));
}

#endif
