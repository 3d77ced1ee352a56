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

/* The sum of all weights, and of each span's: sums[spans]. */
static double span_sums(double *sums, const float *logits, int vocab, float max, float temperature) {
    double sum = 0;

    for (int from = 0; from < vocab; from += SPAN)
        sum += sums[from / SPAN] =
            (double)span_sum(NULL, logits + from, span_of(from, vocab), max, temperature);
    return sum;
}

/* Inverts the cumulative sum at `target`: by span, then within it. */
static int draw(const float *logits, const double *sums, int vocab, float max, float temperature,
                double target) {
    float weight[SPAN];
    double within = 0;
    int from = 0;

    for (int next = 0; next < vocab; next += SPAN) {
        double sum = sums[next / SPAN];

        if (sum > 0) from = next;
        if (sum > 0) within = target;
        if (sum > target) break;
        target -= sum;
    }
    for (int i = from; i < from + span_of(from, vocab); i++)
        weight[i - from] = exp_of(scaled(logits[i], max, temperature));
    return from + draw_within(weight, span_of(from, vocab), within);
}

static void sample_row(int *token, float *logprob, const float *logits, float u, int vocab,
                       float temperature) {
    size_t spans = ((size_t)vocab + SPAN - 1) / SPAN;
    double *sums = (double *)scratch_floats(SCRATCH_ROW, spans * sizeof *sums / sizeof(float));
    float max = max_of(logits, vocab), scale = temperature > 0 ? temperature : 1;
    double sum = span_sums(sums, logits, vocab, max, scale);

    *token = temperature > 0 ? draw(logits, sums, vocab, max, scale, (double)u * sum)
                             : first_of(logits, vocab, max);
    *logprob = log_probability(logits[*token], max, scale, sum);
}

void CPU(sample)(int *token, float *logprob, const float *logits, const float *u, int rows, int vocab,
                 int line, float temperature) {
#pragma omp parallel for if (worth_threads((size_t)rows * vocab))
    for (int r = 0; r < rows; r++)
        sample_row(token + r, logprob + r, logits + (size_t)r * line, u[r], vocab, temperature);
}
