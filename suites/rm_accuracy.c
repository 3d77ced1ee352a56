/* How often a reward orders held-out preference pairs rightly, ties half; `policy` is the reward's name.
   Beside the rewards stand two that read nothing, null-longest and null-shortest, and in a world the gold
   score itself. Each reward is also compared with null-longest (baseline) on the same pairs, and with every
   reward before it, which is a family of its own. Clusters are prompts. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/statistics.h"
#include "suites/pair_accuracy.h"

static const char *const names[] = {"accuracy_label", "accuracy_gold", "accuracy_length_matched"};

static double sum_of(const double *values, int count) {
    double sum = 0;

    for (int i = 0; i < count; i++) sum += values[i];
    return sum;
}

/* Each seed's accuracy, less that of a rule. */
static void set_seeds(struct metric *metric, const struct accuracy *accuracy, double rule) {
    metric->per_seed = xmalloc((size_t)metric->seeds * sizeof *metric->per_seed);
    for (int s = 0; s < metric->seeds; s++) metric->per_seed[s] = accuracy->per_seed[s] - rule;
}

static void set_level(const struct bench *bench, const struct accuracy *accuracy, struct metric *metric) {
    struct bootstrap settings = {bench->seed, bench->resamples, bench->level, BOOTSTRAP_PERCENTILE};
    struct bootstrapped resampled = {0};
    struct error err;
    double pairs = sum_of(accuracy->weight, accuracy->prompts);

    metric->n = (int)pairs;
    set_seeds(metric, accuracy, 0);
    if (!pairs) {
        metric_reason(metric, "no such pairs");
        return;
    }
    metric->value = sum_of(accuracy->sum, accuracy->prompts) / pairs;
    metric_method(metric, "share of pairs, mean over seeds; bootstrap over prompts");
    if (bootstrap_mean(&resampled, accuracy->sum, accuracy->weight, accuracy->prompts, &settings, &err)) {
        metric_reason(metric, err.message);
        return;
    }
    metric->low = resampled.low;
    metric->high = resampled.high;
}

static void set_difference(const struct bench *bench, const struct accuracy *mine,
                           const struct accuracy *theirs, struct metric *metric) {
    struct bootstrap settings = {bench->seed, bench->resamples, bench->level, BOOTSTRAP_PERCENTILE};
    struct bootstrapped resampled = {0};
    double *d = xmalloc((size_t)mine->prompts * sizeof *d), pairs = sum_of(mine->weight, mine->prompts);
    struct error err;

    for (int i = 0; i < mine->prompts; i++) d[i] = mine->sum[i] - theirs->sum[i];
    metric->n = (int)pairs;
    if (!pairs) {
        metric_reason(metric, "no such pairs");
    } else {
        metric->value = sum_of(d, mine->prompts) / pairs;
        metric_method(metric, "paired difference; bootstrap over prompts; sign-flip test over prompts");
        if (bootstrap_difference(&resampled, mine->sum, mine->weight, theirs->sum, theirs->weight,
                                 mine->prompts, &settings, &err))
            metric_reason(metric, err.message);
        else {
            metric->low = resampled.low;
            metric->high = resampled.high;
        }
        metric->p_floor = sign_flip_floor(d, mine->prompts);
        if (sign_flip(&metric->p, d, mine->prompts, bench->seed, &err)) metric->p = NAN;
    }
    free(d);
}

/* The rules that read nothing but the length, and the truth; scored like rewards of one seed. */
struct rules {
    struct pair_scores scores[3];
    const struct pair_scores *list[3];
    struct contestant contestants[3];
    int count;
};

static void add_rule(struct rules *rules, const char *name, double *chosen, double *rejected) {
    int at = rules->count++;

    rules->scores[at] = (struct pair_scores){(char *)name, 0, chosen, rejected};
    rules->list[at] = &rules->scores[at];
    rules->contestants[at] = (struct contestant){name, &rules->list[at], 1};
}

static double *lengths(const struct pairs_judged *pairs, int chosen, double sign) {
    double *out = xmalloc((size_t)pairs->count * sizeof *out);

    for (int i = 0; i < pairs->count; i++)
        out[i] = sign * (double)strlen(chosen ? pairs->items[i]->chosen : pairs->items[i]->rejected);
    return out;
}

static void make_rules(struct rules *rules, const struct pairs_judged *pairs) {
    rules->count = 0;
    add_rule(rules, NULL_POLICY "longest", lengths(pairs, 1, 1), lengths(pairs, 0, 1));
    add_rule(rules, NULL_POLICY "shortest", lengths(pairs, 1, -1), lengths(pairs, 0, -1));
    if (pairs->gold_chosen) add_rule(rules, "gold", pairs->gold_chosen, pairs->gold_rejected);
}

static void free_rules(struct rules *rules) {
    for (int i = 0; i < 2; i++) {
        free(rules->scores[i].chosen);
        free(rules->scores[i].rejected);
    }
}

static void measure_contestant(const struct bench *bench, const char *split,
                               const struct contestant *contestant, const struct contestant *longest,
                               enum standard standard, struct metrics *out) {
    struct accuracy mine, theirs;
    struct metric *metric;

    accuracy_measure(&mine, bench->pairs, split, contestant, standard);
    set_level(bench, &mine, accuracy_metric(bench, "rm_accuracy", names[standard], split, contestant, out));
    if (longest) {
        accuracy_measure(&theirs, bench->pairs, split, longest, standard);
        metric = accuracy_metric(bench, "rm_accuracy", names[standard], split, contestant, out);
        metric->baseline = xstrdup(longest->name);
        set_seeds(metric, &mine, theirs.per_seed[0]);
        set_difference(bench, &mine, &theirs, metric);
        accuracy_free(&theirs);
    }
    accuracy_free(&mine);
}

static int of_same_seeds(const struct contestant *a, const struct contestant *b) {
    if (a->count != b->count) return 0;
    for (int s = 0; s < a->count; s++)
        if (a->scores[s]->seed != b->scores[s]->seed) return 0;
    return 1;
}

/* One reward less another, on the same pairs. */
static void compare_rewards(const struct bench *bench, const char *split, const struct contestant *reward,
                            const struct contestant *other, enum standard standard, struct metrics *out) {
    struct metric *metric = accuracy_metric(bench, "rm_accuracy", names[standard], split, reward, out);
    struct accuracy mine, theirs;

    accuracy_measure(&mine, bench->pairs, split, reward, standard);
    accuracy_measure(&theirs, bench->pairs, split, other, standard);
    metric->baseline = xstrdup(other->name);
    free(metric->family);
    metric->family = xprintf("rm_accuracy/rewards/%s", bench->task);
    metric->seeds = of_same_seeds(reward, other) ? reward->count : 0;
    if (metric->seeds) metric->per_seed = xmalloc((size_t)metric->seeds * sizeof *metric->per_seed);
    for (int s = 0; s < metric->seeds; s++) metric->per_seed[s] = mine.per_seed[s] - theirs.per_seed[s];
    set_difference(bench, &mine, &theirs, metric);
    accuracy_free(&mine);
    accuracy_free(&theirs);
}

static int rm_accuracy_measure(const struct bench *bench, struct metrics *out, struct error *err) {
    const char **splits = pair_splits(bench->pairs);
    struct contestant *contestants;
    struct rules rules;
    int count;

    (void)err;
    contestants = contestants_of(bench, &count);
    make_rules(&rules, bench->pairs);
    for (int s = 0; splits[s] && count; s++)
        for (enum standard standard = BY_LABEL; standard <= MATCHED; standard++) {
            if (standard == BY_GOLD && !bench->pairs->gold_chosen) continue;
            for (int i = 0; i < count; i++)
                measure_contestant(bench, splits[s], &contestants[i], &rules.contestants[0], standard, out);
            for (int i = 0; i < count; i++)
                for (int j = 0; j < i; j++)
                    compare_rewards(bench, splits[s], &contestants[i], &contestants[j], standard, out);
            for (int i = 0; i < rules.count; i++)
                measure_contestant(bench, splits[s], &rules.contestants[i], NULL, standard, out);
        }
    free_rules(&rules);
    contestants_free(contestants, count);
    free(splits);
    return 0;
}

static const struct definition definitions[] = {
    {"accuracy_label", "share of pairs ordered as the annotator did"},
    {"accuracy_gold",
     "share ordered as the gold score does, of pairs whose gold scores differ; a world is needed"},
    {"accuracy_length_matched",
     "share ordered as the annotator did, of pairs whose lengths differ by at most a tenth of their mean"},
    {0}};

static const struct need needs[] = {{NULL, "rewards and held-out preference pairs"}, {0}};

const struct suite suite_rm_accuracy = {
    .name = "rm_accuracy",
    .summary =
        "rewards against the annotator's labels and the gold score, beside rules that read only the length",
    .metrics = definitions,
    .needs = needs,
    .measure = rm_accuracy_measure};
