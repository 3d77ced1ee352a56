#include "kernels/cpu/distribution.h"

/* The first token of a span at which the running sum passes `target`; the last of positive weight if rounding
 * leaves none. */
static int draw_within(const float *weight, int count, double target) {
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

/* Inverts the cumulative sum at `target`: by span, then within it. */
static int draw(const float *logits, int vocab, float max, float temperature, double target) {
    float weight[SPAN];
    int last = 0;

    for (int from = 0; from < vocab; from += SPAN) {
        int count = span_of(from, vocab);
        double sum;

        weigh(weight, logits + from, count, max, temperature);
        sum = (double)sum_of(weight, count);
        if (sum > 0) last = from + draw_within(weight, count, target);
        if (sum > target) return last;
        target -= sum;
    }
    return last;
}

static void sample_row(int *token, float *logprob, const float *logits, float u, int vocab,
                       float temperature) {
    float max = max_of(logits, vocab), scale = temperature > 0 ? temperature : 1;
    double sum = weight_sum(logits, vocab, max, scale);

    *token =
        temperature > 0 ? draw(logits, vocab, max, scale, (double)u * sum) : first_of(logits, vocab, max);
    *logprob = log_probability(logits[*token], max, scale, sum);
}

void CPU(sample)(int *token, float *logprob, const float *logits, const float *u, int rows, int vocab,
                 float temperature) {
#pragma omp parallel for if (worth_threads((size_t)rows * vocab))
    for (int r = 0; r < rows; r++)
        sample_row(token + r, logprob + r, logits + (size_t)r * vocab, u[r], vocab, temperature);
}
