/* How far the rewards of a policy's answers lie from those of demonstrations (2404.19409, section 4.4); for
   demonstrations stand the chosen answers of the held-out pairs of the same split. One value a seed: a
   bootstrap of a binned divergence is biased upwards. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "suites/pair_accuracy.h"

enum { BINS = 50 };
static const double floor_share = 1e-6;

struct values {
    double *items;
    int count;
};

static struct values chosen_of(const struct bench *bench, const struct pair_scores *scores,
                               const char *split) {
    const struct pairs_judged *pairs = bench->pairs;
    struct values out = {xmalloc((size_t)pairs->count * sizeof(double)), 0};

    for (int i = 0; i < pairs->count; i++)
        if (!strcmp(pairs->items[i]->split, split) && !isnan(scores->chosen[i]))
            out.items[out.count++] = scores->chosen[i];
    return out;
}

static struct values rewards_of(const struct bench *bench, const struct measure *what, int seed) {
    const struct table *table = bench->table;
    struct values out = {xmalloc((size_t)table->question_count * sizeof(double)), 0};

    for (int q = 0; q < table->question_count; q++) {
        double one = what->value[table_cell(table, what->policy, seed, q)];

        if (measure_takes(bench, what, q) && !isnan(one)) out.items[out.count++] = one;
    }
    return out;
}

static void widen(double *low, double *high, const struct values *values) {
    for (int i = 0; i < values->count; i++) {
        *low = fmin(*low, values->items[i]);
        *high = fmax(*high, values->items[i]);
    }
}

static void fill(double bins[BINS], const struct values *values, double low, double high) {
    for (int b = 0; b < BINS; b++) bins[b] = floor_share / (1 + BINS * floor_share);
    for (int i = 0; i < values->count; i++) {
        int b = high > low ? (int)((values->items[i] - low) / (high - low) * BINS) : 0;

        bins[b < BINS ? b : BINS - 1] += 1. / values->count / (1 + BINS * floor_share);
    }
}

/* NaN if one of them is empty. */
static double divergence(const struct values *from, const struct values *to) {
    double low = INFINITY, high = -INFINITY, p[BINS], q[BINS], sum = 0;

    if (!from->count || !to->count) return NAN;
    widen(&low, &high, from);
    widen(&low, &high, to);
    fill(p, from, low, high);
    fill(q, to, low, high);
    for (int b = 0; b < BINS; b++) sum += p[b] * log(p[b] / q[b]);
    return fmax(sum, 0);
}

/* The reward of this name and seed; one that has a single fit serves all seeds. */
static const struct pair_scores *scores_of(const struct bench *bench, const char *reward, int seed) {
    const struct pair_scores *only = NULL;
    int count = 0;

    for (int i = 0; i < bench->pairs->score_count; i++) {
        const struct pair_scores *scores = &bench->pairs->scores[i];

        if (strcmp(scores->reward, reward)) continue;
        if (scores->seed == seed) return scores;
        only = scores;
        count++;
    }
    return count == 1 ? only : NULL;
}

static double alignment_of(const struct bench *bench, const struct measure *what, int seed) {
    const struct pair_scores *scores = scores_of(bench, what->judge, bench->table->seeds[seed]);
    struct values demonstrated, answered;
    double out;

    if (!scores) return NAN;
    demonstrated = chosen_of(bench, scores, what->split);
    answered = rewards_of(bench, what, seed);
    out = divergence(&demonstrated, &answered);
    free(demonstrated.items);
    free(answered.items);
    return out;
}

static void measure_policy(const struct bench *bench, const struct measure *what, struct metrics *out) {
    struct metric *metric = measure_metric(bench, what, NULL, out);

    metric->seeds = bench->table->seed_count;
    metric->per_seed = xmalloc((size_t)metric->seeds * sizeof *metric->per_seed);
    for (int s = 0; s < metric->seeds; s++) metric->per_seed[s] = alignment_of(bench, what, s);
    metric_of_seeds(bench, metric, FROM_ZERO);
}

static int has_pairs(const struct bench *bench, const char *split) {
    for (int i = 0; i < bench->pairs->count; i++)
        if (!strcmp(bench->pairs->items[i]->split, split)) return 1;
    return 0;
}

static int alignment_measure(const struct bench *bench, struct metrics *out, struct error *err) {
    const char **splits = table_splits(bench->table);
    struct measure what = {
        .suite = "alignment", .name = "reward_alignment", .unit = "nats", .lower_is_better = 1};

    (void)err;
    for (int i = 0; splits[i]; i++)
        for (int r = 0; r < bench->reward_count && has_pairs(bench, splits[i]); r++) {
            what.split = splits[i];
            what.judge = bench->rewards[r];
            what.value = table_column(bench->table, "reward", what.judge);
            for (what.policy = 0; what.policy < bench->table->policy_count && what.value; what.policy++)
                if (!is_null_policy(bench->table->policies[what.policy])) measure_policy(bench, &what, out);
        }
    free(splits);
    return 0;
}

static const struct definition definitions[] = {
    {"reward_alignment", "KL(chosen answers ‖ policy's), in nats, of the two distributions of a reward: 50 "
                         "bins from the least to the greatest of both, 1e-6 added to each share; 0 is best"},
    {0}};

static const struct need needs[] = {{NULL, "rewards and held-out preference pairs"}, {0}};

const struct suite suite_alignment = {.name = "alignment",
                                      .summary =
                                          "how far a policy's rewards lie from those of chosen answers",
                                      .metrics = definitions,
                                      .needs = needs,
                                      .measure = alignment_measure};
