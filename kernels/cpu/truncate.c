#include "kernels/cpu/distribution.h"

/* A token that is still in. Candidates are ordered by weight, the largest first, and equals by index. */
struct candidate {
    float logit, weight;
    int index;
};

static int before(const struct candidate *a, const struct candidate *b) {
    return a->logit != b->logit ? a->logit > b->logit : a->index < b->index;
}

static void swap(struct candidate *a, struct candidate *b) {
    struct candidate kept = *a;

    *a = *b;
    *b = kept;
}

/* Puts the candidates that come before the middle one, then that one, first; returns how many these are. */
static int partition(struct candidate *list, int count) {
    int first = 0;

    swap(list + count / 2, list + count - 1);
    for (int i = 0; i < count - 1; i++)
        if (before(list + i, list + count - 1)) swap(list + i, list + first++);
    swap(list + first, list + count - 1);
    return first + 1;
}

static double weight_of(const struct candidate *list, int count) {
    double sum = 0;

    for (int i = 0; i < count; i++) sum += (double)list[i].weight;
    return sum;
}

/* Brings the k first candidates to the front. */
static int keep_count(struct candidate *list, int count, int k) {
    int from = 0, to = count;

    if (k >= count) return count;
    while (to - from > 1) {
        int first = from + partition(list + from, to - from);

        if (first == k) break;
        if (first > k) {
            to = first - 1;
            if (to == k) break;
        } else {
            from = first;
        }
    }
    return k;
}

/* Brings the fewest first candidates whose weights reach `mass` to the front. */
static int keep_mass(struct candidate *list, int count, double mass) {
    int from = 0, to = count;

    while (to - from > 1) {
        int first = from + partition(list + from, to - from);
        double sum = weight_of(list + from, first - 1 - from), pivot = (double)list[first - 1].weight;

        if (sum >= mass) {
            to = first - 1;
        } else if (sum + pivot >= mass) {
            return first;
        } else {
            mass -= sum + pivot;
            from = first;
        }
    }
    return to;
}

static int keep_least(struct candidate *list, int count, float least) {
    int kept = 0;

    for (int i = 0; i < count; i++)
        if (list[i].weight >= least) swap(list + i, list + kept++);
    return kept;
}

static int list_candidates(struct candidate *list, const float *logits, int vocab, float max,
                           float temperature) {
    int count = 0;

    for (int i = 0; i < vocab; i++)
        if (logits[i] > -INFINITY)
            list[count++] = (struct candidate){logits[i], exp_of((logits[i] - max) / temperature), i};
    return count;
}

static void truncate_row(float *logits, int keep, int vocab, float temperature, int top_k, float top_p,
                         float min_p) {
    size_t floats = (sizeof(struct candidate) * vocab + sizeof(float) - 1) / sizeof(float);
    struct candidate *list = (struct candidate *)scratch_floats(SCRATCH_ROW, floats);
    float kept = keep >= 0 ? logits[keep] : 0;
    int count = list_candidates(list, logits, vocab, max_of(logits, vocab), temperature);

    if (top_k > 0) count = keep_count(list, count, top_k);
    if (top_p < 1) count = keep_mass(list, count, (double)top_p * weight_of(list, count));
    if (min_p > 0) count = keep_least(list, count, min_p);
    for (int i = 0; i < vocab; i++) logits[i] = -INFINITY;
    for (int i = 0; i < count; i++) logits[list[i].index] = list[i].logit;
    if (keep >= 0) logits[keep] = kept;
}

void CPU(truncate)(float *logits, const int *keep, int rows, int vocab, int line, float temperature,
                   int top_k, float top_p, float min_p) {
    if (top_k <= 0 && !(top_p < 1) && !(min_p > 0)) return;
#pragma omp parallel for if (worth_threads((size_t)rows * vocab))
    for (int r = 0; r < rows; r++)
        truncate_row(logits + (size_t)r * line, keep ? keep[r] : -1, vocab, temperature > 0 ? temperature : 1,
                     top_k, top_p, min_p);
}
