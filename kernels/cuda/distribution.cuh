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

static __device__ __forceinline__ float log_probability(float logit, float max, float temperature,
                                                        double sum) {
    return (float)(((double)logit - (double)max) / (double)temperature - log(sum));
}

#endif
