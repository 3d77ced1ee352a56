#include "kernels/cuda/distribution.cuh"
#include "kernels/cuda/element.cuh"

/* weight (logit - max) / temperature; a weight of 0 counts nothing, even at -infinity. */
struct weighted_logit {
    float max, temperature;

    __device__ float operator()(float logit) const {
        float z = scaled(logit, max, temperature), weight = exp_of(z);

        return weight > 0 ? weight * z : 0;
    }
};

/* In the CPU's order. */
static __device__ double weighted_sum(double *sums, const float *logits, int vocab, float max,
                                      float temperature) {
    return span_sums(sums, logits, vocab, weighted_logit{max, temperature});
}

/* What a row's forward leaves for its backward: norm[4]. */
enum { MAX, SHARE, LOG_SUM, ENTROPY, NORMS };

/* ONCE: the row is read once, or once more for `best`; else the sums are the CPU's. */
template <bool ONCE>
static __global__ void __launch_bounds__(THREADS, ONCE ? 4 : 1)
    logprob_kernel(float *logprob, float *entropy, int *best, float *norm, const float *logits,
                   const int *target, int vocab, int line, float temperature) {
    double *sums = dynamic_shared<double>();
    int r = blockIdx.x;
    const float *row = logits + (size_t)r * line;
    struct moments of =
        ONCE ? moments_at_once(row, vocab, temperature) : moments_in_order(sums, row, vocab, temperature);
    double nats = 0;

    if (threadIdx.x == 0) logprob[r] = log_probability(row[target[r]], of.max, temperature, of.sum);
    if (entropy) {
        if (!ONCE) of.weighted = weighted_sum(sums, row, vocab, of.max, temperature);
        nats = log(of.sum) - of.weighted / of.sum;
        if (threadIdx.x == 0) entropy[r] = (float)nats;
    }
    if (norm && threadIdx.x == 0) {
        float *of_row = norm + (size_t)r * NORMS;

        of_row[MAX] = of.max;
        of_row[SHARE] = (float)(1 / of.sum);
        of_row[LOG_SUM] = (float)log(of.sum);
        of_row[ENTROPY] = (float)nats;
    }
    if (best) {
        int first = first_of(row, vocab, of.max);

        if (threadIdx.x == 0) best[r] = first;
    }
}

void logprob_cuda(float *logprob, float *entropy, int *best, float *norm, const float *logits,
                  const int *target, int rows, int vocab, int line, float temperature) {
    if (rows == 0) return;
    launch("logprob", logprob_kernel<false>, rows, THREADS, spans_of(vocab) * sizeof(double), logprob,
           entropy, best, norm, logits, target, vocab, line, temperature);
}

void logprob_bf16_cuda(float *logprob, float *entropy, int *best, float *norm, const float *logits,
                       const int *target, int rows, int vocab, int line, float temperature) {
    if (rows == 0) return;
    launch("logprob", logprob_kernel<true>, rows, THREADS, 0, logprob, entropy, best, norm, logits, target,
           vocab, line, temperature);
}

/* What the slopes of one row's logits are made of. */
struct slopes {
    float max, share, log_sum, entropy, of_logprob, of_entropy, temperature;
    bool with_entropy;
};

/* d logprob[target] / d z_j = [j == target] - p_j;  d entropy / d z_j = -p_j (log p_j + entropy);  z = logit
 * / temperature. Here all but the [j == target]. */
static __device__ __forceinline__ float logit_slope(float logit, const struct slopes &by) {
    float z = scaled(logit, by.max, by.temperature), p = exp_of(z) * by.share;
    float slope = -by.of_logprob * p, spread = by.of_entropy * p * (z - by.log_sum + by.entropy);

    return by.with_entropy && p > 0 ? slope - spread : slope;
}

/* Blocks to a row, each thread with one group. Groups are those of all rows as one array, for their
 * alignment: a row's first and last may be shared with its neighbours, who have their own part of them. */
template <class E>
static __global__ void __launch_bounds__(GROUP_THREADS)
    logprob_backward_kernel(E *dlogits, const float *logits, const int *target, const float *norm,
                            const float *slope, const float *entropy_slope, int blocks, int vocab, int line,
                            float temperature, bool wide) {
    const int each = group<E>::SIZE;
    int r = blockIdx.x / blocks, place = blockIdx.x % blocks * GROUP_THREADS + threadIdx.x;
    size_t begin = (size_t)r * line;
    int at = place * each - (int)(begin % each), from = at > 0 ? at : 0;
    int count = (at + each < line ? at + each : line) - from, chosen = target[r];
    const float *of_row = norm + (size_t)r * NORMS;
    struct slopes by = {
        of_row[MAX],     of_row[SHARE],          of_row[LOG_SUM],
        of_row[ENTROPY], slope[r] / temperature, entropy_slope ? entropy_slope[r] / temperature : 0,
        temperature,     entropy_slope != NULL};
    float x[each];

    if (at >= line) return;
    take<each>(x, logits + begin + from, count, wide);
#pragma unroll
    for (int i = 0; i < each; i++) {
        x[i] = from + i < vocab ? logit_slope(x[i], by) : 0;
        if (from + i == chosen) x[i] += by.of_logprob;
    }
    give<each>(dlogits + begin + from, x, count, wide);
}

template <class E>
static void run_logprob_backward(E *dlogits, const float *logits, const int *target, const float *norm,
                                 const float *slope, const float *entropy_slope, int rows, int vocab,
                                 int line, float temperature) {
    const int each = group<E>::SIZE;
    int blocks = blocks_for((size_t)line + (line % each ? each - 1 : 0), GROUP_THREADS * each);

    if (rows == 0) return;
    launch("logprob_backward", logprob_backward_kernel<E>, rows * blocks, GROUP_THREADS, 0, dlogits, logits,
           target, norm, slope, entropy_slope, blocks, vocab, line, temperature,
           on_16_bytes(dlogits, logits));
}

void logprob_backward_cuda(operand *dlogits, const float *logits, const int *target, const float *norm,
                           const float *slope, const float *entropy_slope, int rows, int vocab, int line,
                           float temperature) {
    run_logprob_backward((float *)dlogits, logits, target, norm, slope, entropy_slope, rows, vocab, line,
                         temperature);
}

void logprob_backward_bf16_cuda(operand *dlogits, const float *logits, const int *target, const float *norm,
                                const float *slope, const float *entropy_slope, int rows, int vocab, int line,
                                float temperature) {
    run_logprob_backward((bf16 *)dlogits, logits, target, norm, slope, entropy_slope, rows, vocab, line,
                         temperature);
}
