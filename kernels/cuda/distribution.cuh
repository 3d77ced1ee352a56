/* A row of logits as a distribution, one block a row: what logprob(), sample() and truncate() share. */
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

static __device__ float max_of(const float *logits, int vocab) {
    float max = -INFINITY;

    for (int i = threadIdx.x; i < vocab; i += THREADS) max = logits[i] > max ? logits[i] : max;
    return block_max(max);
}

/* The first index of that value, or 0. */
static __device__ int first_of(const float *logits, int vocab, float value) {
    __shared__ int first;

    __syncthreads();
    if (threadIdx.x == 0) first = vocab;
    __syncthreads();
    for (int i = threadIdx.x; i < vocab; i += THREADS)
        if (logits[i] == value) {
            atomicMin(&first, i);
            break;
        }
    __syncthreads();
    return first < vocab ? first : 0;
}

/* Fills sums[spans] with term(logit) added up as sum_of() does, and returns their sum in order, to all. */
template <class TERM>
static __device__ double span_sums(double *sums, const float *logits, int vocab, TERM term) {
    __shared__ double total;
    int lane = threadIdx.x % WIDTH, spans = spans_of(vocab);

    __syncthreads();
    for (int from = 0; from < spans; from += HALVES) { /* together, for the shuffles */
        int span = from + threadIdx.x / WIDTH;
        int begin = span * SPAN, end = vocab - begin < SPAN ? vocab : begin + SPAN;
        float sum = 0;

        for (int i = begin + lane; span < spans && i < end; i += WIDTH) sum += term(logits[i]);
        sum = lanes_sum(sum);
        if (lane == 0 && span < spans) sums[span] = (double)sum;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        total = 0;
        for (int s = 0; s < spans; s++) total += sums[s];
    }
    __syncthreads();
    return total;
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

#define TOGETHER 8 /* logits on their way to a thread */

/* All three from one reading of the row: a thread's sums are relative to the largest logit that it has met,
 * and are made relative to a larger one when that comes. */
static __device__ struct moments moments_at_once(const float *logits, int vocab, float temperature) {
    float most = -INFINITY, sum = 0, weighted = 0;
    struct moments out;

    for (int from = threadIdx.x; from < vocab; from += THREADS * TOGETHER) {
        float x[TOGETHER], next = most, step;

#pragma unroll
        for (int i = 0; i < TOGETHER; i++) {
            x[i] = from + i * THREADS < vocab ? logits[from + i * THREADS] : -INFINITY;
            next = x[i] > next ? x[i] : next;
        }
        if (next == -INFINITY) continue;
        step = most == -INFINITY ? 0 : scaled(most, next, temperature);
        weighted = (weighted + sum * step) * exp_of(step);
        sum *= exp_of(step);
        most = next;
#pragma unroll
        for (int i = 0; i < TOGETHER; i++) {
            float z = scaled(x[i], most, temperature), weight = exp_of(z);

            sum += weight;
            weighted += weight > 0 ? weight * z : 0;
        }
    }
    out.max = block_max(most);
    float step = most == -INFINITY ? 0 : scaled(most, out.max, temperature), by = exp_of(step);

    out.sum = block_total((double)sum * by);
    out.weighted = block_total(((double)weighted + (double)sum * step) * by);
    return out;
}

static __device__ __forceinline__ float log_probability(float logit, float max, float temperature,
                                                        double sum) {
    return (float)(((double)logit - (double)max) / (double)temperature - log(sum));
}

#endif
