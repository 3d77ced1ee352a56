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

/* Inverts the cumulative sum at `target`: by span, then within it. */
template <bool ONCE>
static __device__ int draw(const double *sums, const float *logits, int vocab, float max, float temperature,
                           double target) {
    __shared__ float weight[SPAN];
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

/* ONCE: the log-probability is that of logprob_kernel<true>. */
template <bool ONCE>
static __global__ void __launch_bounds__(THREADS)
    sample_kernel(int *token, float *logprob, const float *logits, const float *u, int vocab, int line,
                  float temperature) {
    double *sums = dynamic_shared<double>();
    int r = blockIdx.x, drawn;
    const float *row = logits + (size_t)r * line;
    float scale = temperature > 0 ? temperature : 1;

    start_successor();
    wait_for_predecessor();
    struct moments of = ONCE ? moments_at_once(row, vocab, scale) : moments_in_order(sums, row, vocab, scale);

    if (temperature > 0) {
        double sum = ONCE ? weight_sum(sums, row, vocab, of.max, scale) : of.sum;

        drawn = draw<ONCE>(sums, row, vocab, of.max, scale, (double)u[r] * sum);
    } else {
        drawn = first_of(row, vocab, of.max);
    }
    if (threadIdx.x) return;
    token[r] = drawn;
    logprob[r] = log_probability(row[drawn], of.max, scale, of.sum);
}

void sample_cuda(int *token, float *logprob, const float *logits, const float *u, int rows, int vocab,
                 int line, float temperature) {
    if (rows == 0) return;
    launch_chained("sample", sample_kernel<false>, rows, THREADS, spans_of(vocab) * sizeof(double), token,
                   logprob, logits, u, vocab, line, temperature);
}

void sample_bf16_cuda(int *token, float *logprob, const float *logits, const float *u, int rows, int vocab,
                      int line, float temperature) {
    if (rows == 0) return;
    launch_chained("sample", sample_kernel<true>, rows, THREADS, spans_of(vocab) * sizeof(double), token,
                   logprob, logits, u, vocab, line, temperature);
}
