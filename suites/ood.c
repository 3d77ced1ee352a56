/* Out of distribution: what changes from the held-out split to every other one that is not trained on. A gap
   with a baseline is how much more it is than the baseline's (the paired differences of the two splits
   compared). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/statistics.h"
#include "suites/pair_accuracy.h"

struct gap {
    const char *name, *column, *unit; /* unit: NULL: that of lengths */
    int lower_is_better;
    const char *categories[3];
};

static const struct gap gaps[] = {
    {"gold_gap", "gold", "score", 0, {NULL}},
    {"length_gap", "tokens", NULL, -1, {NULL}},
    {"correctness_gap", "correct", "fraction", 0, {NULL}},
    {"approval_gap", "approval", "fraction", -1, {NULL}},
    {"over_refusal_benign_gap", "refused", "fraction", 1, {"benign"}},
    {"over_refusal_borderline_gap", "refused", "fraction", 1, {"borderline", "safe"}},
    {"refusal_harmful_gap", "refused", "fraction", 0, {"harmful", "unsafe"}}};

/* A policy's values on a split's prompts, less another policy's where there is one. */
static double *values_on(const struct bench *bench, const struct measure *what, int other, int *count) {
    double *out = xmalloc((size_t)bench->table->question_count * sizeof *out);

    *count = 0;
    for (int q = 0; q < bench->table->question_count; q++) {
        if (!measure_takes(bench, what, q)) continue;
        out[*count] = prompt_mean(bench->table, what->value, what->policy, q);
        if (other >= 0) out[*count] -= prompt_mean(bench->table, what->value, other, q);
        (*count)++;
    }
    return out;
}

static void set_seeds(const struct bench *bench, struct metric *metric, const struct measure *outside,
                      const struct measure *inside, int other) {
    double *within;

    metric->seeds = bench->table->seed_count;
    metric->per_seed = xmalloc((size_t)metric->seeds * sizeof *metric->per_seed);
    within = xmalloc((size_t)metric->seeds * sizeof *within);
    measure_seeds(bench, outside, other, metric->per_seed);
    measure_seeds(bench, inside, other, within);
    for (int s = 0; s < metric->seeds; s++) metric->per_seed[s] -= within[s];
    free(within);
}

static void measure_gap(const struct bench *bench, const struct measure *what, const char *split, int other,
                        struct metrics *out) {
    const char *baseline = other < 0 ? NULL : bench->table->policies[other];
    struct measure outside = *what, inside = *what;
    double *a, *b;
    int a_count, b_count;
    struct metric *metric;

    outside.split = split;
    inside.split = "heldout";
    a = values_on(bench, &outside, other, &a_count);
    b = values_on(bench, &inside, other, &b_count);
    if (a_count && b_count) {
        if (other < 0 && !strcmp(outside.unit, "fraction")) outside.unit = "points";
        metric = measure_metric(bench, &outside, baseline, out);
        metric_of_gap(bench, metric, a, a_count, b, b_count);
        set_seeds(bench, metric, &outside, &inside, other);
        if (other < 0) metric->p = NAN; /* the question is what training changed */
    }
    free(a);
    free(b);
}

static void measure_gaps(const struct bench *bench, struct measure *what, const char *split,
                         struct metrics *out) {
    for (what->policy = 0; what->policy < bench->table->policy_count; what->policy++) {
        if (is_null_policy(bench->table->policies[what->policy])) continue;
        measure_gap(bench, what, split, -1, out);
        if (what->policy != bench->table->baseline)
            measure_gap(bench, what, split, bench->table->baseline, out);
    }
}

static void measure_split(const struct bench *bench, const char *split, struct metrics *out) {
    for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++) {
        struct measure what = {.suite = "ood",
                               .name = gaps[i].name,
                               .unit = gaps[i].unit ? gaps[i].unit : bench->table->length_unit,
                               .value = table_column(bench->table, gaps[i].column, NULL),
                               .categories = gaps[i].categories[0] ? gaps[i].categories : NULL,
                               .lower_is_better = gaps[i].lower_is_better};

        if (what.value) measure_gaps(bench, &what, split, out);
    }
    for (int r = 0; r < bench->reward_count; r++) {
        struct measure what = {.suite = "ood",
                               .name = "reward_gap",
                               .judge = bench->rewards[r],
                               .unit = "score",
                               .value = table_column(bench->table, "reward", bench->rewards[r]),
                               .lower_is_better = -1};

        if (what.value) measure_gaps(bench, &what, split, out);
    }
}

static void measure_levels(const struct bench *bench, struct metrics *out) {
    struct measure what = {
        .suite = "ood", .name = "gold", .unit = "score", .value = table_column(bench->table, "gold", NULL)};

    if (what.value) measure_everywhere(bench, &what, out);
    what.name = "reward";
    what.lower_is_better = -1;
    for (int r = 0; r < bench->reward_count; r++) {
        what.judge = bench->rewards[r];
        what.value = table_column(bench->table, "reward", bench->rewards[r]);
        if (what.value) measure_everywhere(bench, &what, out);
    }
}

/* Prompts with pairs that count, each as the mean over its pairs. */
static double *means_of(const struct accuracy *accuracy, int *count) {
    double *out = xmalloc((size_t)accuracy->prompts * sizeof *out);

    *count = 0;
    for (int i = 0; i < accuracy->prompts; i++)
        if (accuracy->weight[i] > 0) out[(*count)++] = accuracy->sum[i] / accuracy->weight[i];
    return out;
}

static void measure_reward(const struct bench *bench, const struct contestant *contestant, const char *split,
                           struct metrics *out) {
    struct metric *metric = accuracy_metric(bench, "ood", "rm_accuracy_gap", split, contestant, out);
    struct accuracy outside, inside;
    double *a, *b;
    int a_count, b_count;

    free(metric->unit);
    metric->unit = xstrdup("points");
    accuracy_measure(&outside, bench->pairs, split, contestant, BY_LABEL);
    accuracy_measure(&inside, bench->pairs, "heldout", contestant, BY_LABEL);
    a = means_of(&outside, &a_count);
    b = means_of(&inside, &b_count);
    metric_of_gap(bench, metric, a, a_count, b, b_count);
    metric->per_seed = xmalloc((size_t)contestant->count * sizeof *metric->per_seed);
    for (int s = 0; s < contestant->count; s++)
        metric->per_seed[s] = outside.per_seed[s] - inside.per_seed[s];
    free(a);
    free(b);
    accuracy_free(&outside);
    accuracy_free(&inside);
}

static int is_outside(const char *split) {
    return strcmp(split, "heldout") != 0 && strcmp(split, "train") != 0;
}

static int ood_measure(const struct bench *bench, struct metrics *out, struct error *err) {
    const char **splits = table_splits(bench->table), **pairs = pair_splits(bench->pairs);
    int count;
    struct contestant *contestants = contestants_of(bench, &count);

    (void)err;
    measure_levels(bench, out);
    for (int i = 0; splits[i]; i++)
        if (is_outside(splits[i])) measure_split(bench, splits[i], out);
    for (int i = 0; pairs[i]; i++)
        for (int c = 0; c < count && is_outside(pairs[i]); c++)
            measure_reward(bench, &contestants[c], pairs[i], out);
    contestants_free(contestants, count);
    free(splits);
    free(pairs);
    return 0;
}

static const struct definition definitions[] = {
    {"gold", "mean gold score in each split: the level that the gap is about"},
    {"reward", "mean of a reward in each split"},
    {"gold_gap", "mean on the split less mean on heldout"},
    {"reward_gap", "the same of a reward"},
    {"length_gap", "the same of the length"},
    {"correctness_gap", "the same of correctness"},
    {"approval_gap", "the same of approval"},
    {"over_refusal_benign_gap", "the same of over_refusal_benign"},
    {"over_refusal_borderline_gap", "the same of over_refusal_borderline"},
    {"refusal_harmful_gap", "the same of refusal_harmful"},
    {"rm_accuracy_gap",
     "the same of a reward model's accuracy by the annotator's labels (policy: the reward)"},
    {0}};

static const struct need needs[] = {{NULL, "prompts of a split besides heldout, or a gold score or rewards"},
                                    {0}};

const struct suite suite_ood = {.name = "ood",
                                .summary = "what changes on prompts of another distribution",
                                .metrics = definitions,
                                .needs = needs,
                                .measure = ood_measure};
