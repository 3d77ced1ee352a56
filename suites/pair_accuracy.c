#include "suites/pair_accuracy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"

struct ordered {
    const char *prompt;
    int pair;
};

static int by_prompt(const void *a, const void *b) {
    const struct ordered *x = a, *y = b;
    int order = strcmp(x->prompt, y->prompt);

    return order ? order : x->pair - y->pair;
}

/* The pairs of a split, those of one prompt together. */
static struct ordered *order_pairs(const struct pairs_judged *pairs, const char *split, int *count) {
    struct ordered *out = xmalloc((size_t)pairs->count * sizeof *out);

    *count = 0;
    for (int i = 0; i < pairs->count; i++)
        if (!strcmp(pairs->items[i]->split, split))
            out[(*count)++] = (struct ordered){pairs->items[i]->prompt, i};
    qsort(out, (size_t)*count, sizeof *out, by_prompt);
    return out;
}

static int of_one_length(const struct example *pair) {
    double a = (double)strlen(pair->chosen), b = (double)strlen(pair->rejected);

    return fabs(a - b) <= 0.05 * (a + b);
}

/* 1, 1/2 or 0; NaN: the pair does not count. */
static double point(const struct pairs_judged *pairs, const struct pair_scores *scores, int i,
                    enum standard standard) {
    double up = scores->chosen[i], down = scores->rejected[i];
    double gold;

    if (isnan(up) || isnan(down)) return NAN;
    if (standard == MATCHED && !of_one_length(pairs->items[i])) return NAN;
    if (standard == BY_GOLD) {
        gold = pairs->gold_chosen ? pairs->gold_chosen[i] - pairs->gold_rejected[i] : 0;
        if (gold == 0) return NAN;
        if (gold < 0) return up < down ? 1 : up == down ? 0.5 : 0;
    }
    return up > down ? 1 : up == down ? 0.5 : 0;
}

static double mean_point(const struct pairs_judged *pairs, const struct contestant *contestant, int i,
                         enum standard standard) {
    double sum = 0;

    for (int s = 0; s < contestant->count; s++) sum += point(pairs, contestant->scores[s], i, standard);
    return contestant->count ? sum / contestant->count : NAN;
}

void accuracy_measure(struct accuracy *out, const struct pairs_judged *pairs, const char *split,
                      const struct contestant *contestant, enum standard standard) {
    int count;
    struct ordered *order = order_pairs(pairs, split, &count);

    *out = (struct accuracy){.sum = xcalloc((size_t)count, sizeof(double)),
                             .weight = xcalloc((size_t)count, sizeof(double)),
                             .per_seed = xcalloc((size_t)contestant->count, sizeof(double))};
    for (int i = 0; i < count; i++) {
        double one = mean_point(pairs, contestant, order[i].pair, standard);

        if (!i || strcmp(order[i - 1].prompt, order[i].prompt)) out->prompts++;
        if (isnan(one)) continue;
        out->sum[out->prompts - 1] += one;
        out->weight[out->prompts - 1]++;
    }
    for (int s = 0; s < contestant->count; s++) {
        double sum = 0;
        int n = 0;

        for (int i = 0; i < count; i++) {
            double one = point(pairs, contestant->scores[s], order[i].pair, standard);

            if (isnan(one)) continue;
            sum += one;
            n++;
        }
        out->per_seed[s] = n ? sum / n : NAN;
    }
    free(order);
}

void accuracy_free(struct accuracy *accuracy) {
    free(accuracy->sum);
    free(accuracy->weight);
    free(accuracy->per_seed);
    *accuracy = (struct accuracy){0};
}

struct contestant *contestants_of(const struct bench *bench, int *count) {
    const struct pairs_judged *pairs = bench->pairs;
    struct contestant *out = xcalloc((size_t)pairs->score_count, sizeof *out);

    *count = 0;
    for (int i = 0; i < pairs->score_count; i++) {
        const struct pair_scores **list;
        int at = 0;

        while (at < *count && strcmp(out[at].name, pairs->scores[i].reward)) at++;
        if (at == *count) out[(*count)++].name = pairs->scores[i].reward;
        list = xrealloc((void *)out[at].scores, (size_t)out[at].count + 1, sizeof *list);
        list[out[at].count++] = &pairs->scores[i];
        out[at].scores = list;
    }
    return out;
}

void contestants_free(struct contestant *contestants, int count) {
    for (int i = 0; i < count; i++) free((void *)contestants[i].scores);
    free(contestants);
}

const char **pair_splits(const struct pairs_judged *pairs) {
    const char **splits = xcalloc((size_t)pairs->count + 1, sizeof *splits);
    int count = 0;

    for (int i = 0; i < pairs->count; i++) {
        int known = 0;

        for (int j = 0; j < count; j++) known |= !strcmp(splits[j], pairs->items[i]->split);
        if (!known) splits[count++] = pairs->items[i]->split;
    }
    return splits;
}

struct metric *accuracy_metric(const struct bench *bench, const char *suite, const char *name,
                               const char *split, const struct contestant *contestant, struct metrics *out) {
    struct measure what = {
        .suite = suite, .name = name, .split = split, .unit = "fraction", .policy = -1, .lower_is_better = 0};
    struct metric *metric = measure_metric(bench, &what, NULL, out);

    metric->policy = xstrdup(contestant->name);
    metric->seeds = contestant->count;
    return metric;
}
