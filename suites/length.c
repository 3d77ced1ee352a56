/* Length of the answers, in tokens, the end token included; in words where nobody counted tokens. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/statistics.h"
#include "suites/measure.h"

enum association { PEARSON, SPEARMAN, PARTIAL };

/* Order statistics and correlations resample a fifth as often as means: each costs a pass over all answers.
 */
static struct bootstrap costly(const struct bench *bench) {
    int resamples = bench->resamples / 5 > 200 ? bench->resamples / 5 : 200;

    return (struct bootstrap){bench->seed, resamples, bench->level, BOOTSTRAP_PERCENTILE};
}

/* The prompts that are measured, and up to three columns at them: [seeds][prompts]. */
struct series {
    int prompts, seeds;
    double *x, *y, *z; /* y and z may be NULL */
    double q;          /* which quantile of x */
};

static double *copy_column(const struct bench *bench, const struct measure *what, const double *value,
                           int *prompts) {
    const struct table *table = bench->table;
    double *out = xmalloc((size_t)table->seed_count * (size_t)table->question_count * sizeof *out);
    int count = 0, n = 0;

    for (int s = 0; s < table->seed_count; s++) {
        n = 0;
        for (int q = 0; q < table->question_count; q++) {
            if (!measure_takes(bench, what, q)) continue;
            out[count++] = value[table_cell(table, what->policy, s, q)];
            n++;
        }
    }
    *prompts = n;
    return out;
}

static void series_free(struct series *series) {
    free(series->x);
    free(series->y);
    free(series->z);
}

static double quantile_of(const void *data, const int *picked, int count) {
    const struct series *series = data;
    double *values = xmalloc((size_t)count * (size_t)series->seeds * sizeof *values), out = NAN;
    struct error err;
    int n = 0;

    for (int s = 0; s < series->seeds; s++)
        for (int i = 0; i < count; i++) {
            double one = series->x[s * series->prompts + picked[i]];

            if (!isnan(one)) values[n++] = one;
        }
    if (n && quantile(&out, values, n, series->q, &err)) out = NAN;
    free(values);
    return out;
}

static double quantile_of_seed(const struct series *all, int seed) {
    struct series one = {all->prompts, 1, all->x + seed * all->prompts, NULL, NULL, all->q};
    int *every = xmalloc((size_t)all->prompts * sizeof *every);
    double out;

    for (int i = 0; i < all->prompts; i++) every[i] = i;
    out = quantile_of(&one, every, all->prompts);
    free(every);
    return out;
}

/* What a resampled statistic says, in the metric; `missing`: why it may not exist. */
static void set_resampled(const struct bench *bench, struct metric *metric, bootstrap_statistic *statistic,
                          const struct series *series, const char *method, const char *missing) {
    struct bootstrap settings = costly(bench);
    struct bootstrapped resampled = {.value = NAN};
    struct error err;

    metric->n = series->prompts;
    metric_method(metric, method);
    if (!series->prompts) {
        metric_reason(metric, "no answer has all the scores");
        return;
    }
    if (bootstrap_run(&resampled, statistic, series, series->prompts, &settings, &err)) {
        metric->value = resampled.value;
        metric_reason(metric, isnan(resampled.value) ? missing : err.message);
        return;
    }
    metric->value = resampled.value;
    metric->low = resampled.low;
    metric->high = resampled.high;
}

static void measure_quantile(const struct bench *bench, const struct measure *what, double q,
                             struct metrics *out) {
    struct metric *metric = measure_metric(bench, what, NULL, out);
    struct series series = {.seeds = bench->table->seed_count, .q = q};

    series.x = copy_column(bench, what, what->value, &series.prompts);
    metric->seeds = series.seeds;
    metric->per_seed = xcalloc((size_t)series.seeds, sizeof *metric->per_seed);
    for (int s = 0; s < series.seeds; s++) metric->per_seed[s] = quantile_of_seed(&series, s);
    set_resampled(bench, metric, quantile_of, &series,
                  "quantile of all answers; bootstrap over prompts by a fifth of the resamples",
                  "no answer has a known length");
    series_free(&series);
}

/* Sums of equal numbers round, so what has no spread is asked of the numbers. */
static int has_spread(const double *values, const int *picked, int count) {
    for (int i = 1; i < count; i++)
        if (values[picked[i]] != values[picked[0]]) return 1;
    return 0;
}

static double pair_correlation(const double *x, const double *y, const int *picked, int count) {
    double sx = 0, sy = 0, xx = 0, yy = 0, xy = 0;

    if (!has_spread(x, picked, count) || !has_spread(y, picked, count)) return NAN;
    for (int i = 0; i < count; i++) {
        sx += x[picked[i]] / count;
        sy += y[picked[i]] / count;
    }
    for (int i = 0; i < count; i++) {
        double a = x[picked[i]] - sx, b = y[picked[i]] - sy;

        xx += a * a;
        yy += b * b;
        xy += a * b;
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

/* Of one seed; with z the partial correlation. */
static double seed_correlation(const struct series *series, int seed, const int *picked, int count) {
    const double *x = series->x + seed * series->prompts, *y = series->y + seed * series->prompts, *z;
    double xy = pair_correlation(x, y, picked, count), xz, yz;

    if (!series->z) return xy;
    z = series->z + seed * series->prompts;
    xz = pair_correlation(x, z, picked, count);
    yz = pair_correlation(y, z, picked, count);
    if (!(fabs(xz) < 1) || !(fabs(yz) < 1)) return NAN;
    return (xy - xz * yz) / sqrt((1 - xz * xz) * (1 - yz * yz));
}

static double mean_correlation(const void *data, const int *picked, int count) {
    const struct series *series = data;
    double sum = 0;

    for (int s = 0; s < series->seeds; s++) sum += seed_correlation(series, s, picked, count) / series->seeds;
    return sum;
}

struct ranked {
    double value;
    int index;
};

static int by_value(const void *a, const void *b) {
    double x = ((const struct ranked *)a)->value, y = ((const struct ranked *)b)->value;

    return (x > y) - (x < y);
}

/* Replaces values by their average ranks. */
static void rank_values(double *values, int count) {
    struct ranked *order = xmalloc((size_t)count * sizeof *order);

    for (int i = 0; i < count; i++) order[i] = (struct ranked){values[i], i};
    qsort(order, (size_t)count, sizeof *order, by_value);
    for (int from = 0, to; from < count; from = to) {
        for (to = from; to < count && order[to].value == order[from].value; to++) continue;
        for (int i = from; i < to; i++) values[order[i].index] = (from + to + 1) / 2.;
    }
    free(order);
}

/* Keeps the prompts at which every column of every seed has a value; their number. */
static int keep_complete(struct series *series) {
    double *columns[] = {series->x, series->y, series->z};
    int kept = 0, *keep = xcalloc((size_t)series->prompts, sizeof *keep);

    for (int i = 0; i < series->prompts; i++) {
        keep[i] = 1;
        for (int c = 0; c < 3; c++)
            for (int s = 0; s < series->seeds && columns[c]; s++)
                if (isnan(columns[c][s * series->prompts + i])) keep[i] = 0;
    }
    for (int c = 0; c < 3; c++) {
        int to = 0;

        for (int s = 0; s < series->seeds && columns[c]; s++)
            for (int i = 0; i < series->prompts; i++)
                if (keep[i]) columns[c][to++] = columns[c][s * series->prompts + i];
    }
    for (int i = 0; i < series->prompts; i++) kept += keep[i];
    free(keep);
    return kept;
}

static void correlate(const struct bench *bench, enum association how, struct series *series,
                      struct metric *metric) {
    int asked = series->prompts, *every;

    series->prompts = keep_complete(series);
    metric->n_missing = asked - series->prompts;
    for (int s = 0; s < series->seeds && how != PEARSON; s++) {
        rank_values(series->x + s * series->prompts, series->prompts);
        rank_values(series->y + s * series->prompts, series->prompts);
        if (series->z) rank_values(series->z + s * series->prompts, series->prompts);
    }
    every = xmalloc((size_t)asked * sizeof *every);
    for (int i = 0; i < asked; i++) every[i] = i;
    metric->seeds = series->seeds;
    metric->per_seed = xcalloc((size_t)series->seeds, sizeof *metric->per_seed);
    for (int s = 0; s < series->seeds; s++)
        metric->per_seed[s] = series->prompts ? seed_correlation(series, s, every, series->prompts) : NAN;
    set_resampled(bench, metric, mean_correlation, series,
                  "mean over seeds of the correlation over prompts; bootstrap over prompts (of the sample's "
                  "ranks) by a fifth of the resamples",
                  "a score does not vary over prompts, or two of them are the same");
    free(every);
}

static void measure_association(const struct bench *bench, const struct measure *what, enum association how,
                                const double *reward, const double *gold, struct metrics *out) {
    struct metric *metric = measure_metric(bench, what, NULL, out);
    struct series series = {.seeds = bench->table->seed_count};
    struct measure scored = *what; /* the prompts whose answers the reward was to score */

    if (how == PARTIAL && !gold) {
        metric_reason(metric, "no gold score to hold fixed: this is not a world's data");
        return;
    }
    scored.value = reward;
    series.x = copy_column(bench, &scored, reward, &series.prompts);
    series.y = copy_column(bench, &scored, what->value, &series.prompts);
    if (how == PARTIAL) series.z = copy_column(bench, &scored, gold, &series.prompts);
    correlate(bench, how, &series, metric);
    series_free(&series);
}

static void measure_rewards(const struct bench *bench, const struct measure *like, struct metrics *out) {
    static const char *const names[] = {"reward_length_pearson", "reward_length_spearman",
                                        "reward_length_partial"};
    const double *gold = table_column(bench->table, "gold", NULL);
    struct measure what = *like;

    what.unit = "correlation";
    what.lower_is_better = -1;
    for (int r = 0; r < bench->reward_count; r++) {
        const double *reward = table_column(bench->table, "reward", bench->rewards[r]);

        what.judge = bench->rewards[r];
        for (int how = PEARSON; how <= PARTIAL && reward; how++) {
            what.name = names[how];
            measure_association(bench, &what, (enum association)how, reward, gold, out);
        }
    }
}

static void measure_matched(const struct bench *bench, const struct measure *like, const double *value,
                            const char *judge, struct metrics *out) {
    struct measure what = *like;

    what.name = "length_matched_win_rate";
    what.unit = "fraction";
    what.judge = judge;
    what.lower_is_better = 0;
    what.value = value;
    measure_wins(bench, &what, bench->table->baseline, like->value, out);
}

static void measure_policy(const struct bench *bench, struct measure *what, struct metrics *out) {
    const double *gold = table_column(bench->table, "gold", NULL);
    int trained = what->policy != bench->table->baseline;
    int first = out->count;

    what->name = "mean_length";
    measure_column(bench, what, out);
    for (int i = first; i < out->count; i++)
        if (out->items[i].baseline) {
            free(out->items[i].name);
            out->items[i].name = xstrdup("drift");
        }
    what->name = "median_length";
    measure_quantile(bench, what, 0.5, out);
    what->name = "p90_length";
    measure_quantile(bench, what, 0.9, out);
    measure_rewards(bench, what, out);
    if (trained && gold) measure_matched(bench, what, gold, NULL, out);
    for (int r = 0; r < bench->reward_count && trained && !gold; r++)
        measure_matched(bench, what, table_column(bench->table, "reward", bench->rewards[r]),
                        bench->rewards[r], out);
}

/* Answers made elsewhere seldom say how they ended. */
static int is_known(const struct table *table, const double *value) {
    for (int i = 0; i < table_cells(table); i++)
        if (table->answers[i] && !is_null_policy(table->answers[i]->policy) && !isnan(value[i])) return 1;
    return 0;
}

static int length_measure(const struct bench *bench, struct metrics *out, struct error *err) {
    const char **splits = table_splits(bench->table);
    struct measure what = {.suite = "length", .lower_is_better = -1};

    (void)err;
    for (int i = 0; splits[i]; i++)
        for (what.policy = 0; what.policy < bench->table->policy_count; what.policy++) {
            if (is_null_policy(bench->table->policies[what.policy])) continue;
            what.split = splits[i];
            what.unit = bench->table->length_unit;
            what.value = table_column(bench->table, "tokens", NULL);
            measure_policy(bench, &what, out);
            what.name = "truncated";
            what.unit = "fraction";
            what.value = table_column(bench->table, "truncated", NULL);
            if (is_known(bench->table, what.value)) measure_column(bench, &what, out);
        }
    free(splits);
    return 0;
}

static const struct definition definitions[] = {
    {"mean_length", "mean length of a policy's answers"},
    {"median_length", "its median"},
    {"p90_length", "its 90th percentile"},
    {"drift", "mean length less the baseline's, on the same prompts"},
    {"truncated", "share of answers cut off at the length limit, where they say how they ended"},
    {"reward_length_pearson", "Pearson's correlation of a reward with length over the policy's answers"},
    {"reward_length_spearman", "Spearman's rank correlation of the same"},
    {"reward_length_partial", "Spearman's with the gold score held fixed; a world is needed"},
    {"length_matched_win_rate", "win rate against the baseline where the two lengths differ by at most a "
                                "tenth of their mean (or one token); by the "
                                "gold score, or by each reward where there is no world"},
    {0}};

const struct suite suite_length = {.name = "length",
                                   .summary = "lengths, drift, and how far a reward is a reward of length",
                                   .metrics = definitions,
                                   .measure = length_measure};
