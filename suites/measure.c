#include "suites/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/format.h"
#include "harness/memory.h"
#include "harness/statistics.h"

struct metric *measure_metric(const struct bench *bench, const struct measure *what, const char *baseline,
                              struct metrics *out) {
    struct metric *metric = metrics_add(out);

    metric->task = xstrdup(bench->task);
    metric->suite = xstrdup(what->suite);
    metric->name = xstrdup(what->name);
    metric->policy = what->policy < 0 ? NULL : xstrdup(bench->table->policies[what->policy]);
    metric->baseline = xstrdup(baseline);
    metric->split = xstrdup(what->split);
    metric->judge = xstrdup(what->judge);
    metric->unit = xstrdup(what->unit);
    metric->level = bench->level;
    metric->lower_is_better = what->lower_is_better;
    metric->family = xprintf("%s/%s", what->suite, bench->task);
    return metric;
}

void metric_reason(struct metric *metric, const char *reason) {
    free(metric->reason);
    metric->reason = xstrdup(reason);
}

void metric_method(struct metric *metric, const char *method) {
    free(metric->method);
    metric->method = xstrdup(method);
}

const char **table_splits(const struct table *table) {
    const char **splits = xcalloc((size_t)table->question_count + 1, sizeof *splits);
    int count = 0;

    for (int q = 0; q < table->question_count; q++) {
        int known = 0;

        for (int i = 0; i < count; i++) known |= !strcmp(splits[i], table->questions[q].split);
        if (!known) splits[count++] = table->questions[q].split;
    }
    return splits;
}

static int is_reward(const struct bench *bench, const char *judge) {
    for (int r = 0; r < bench->reward_count && judge; r++)
        if (!strcmp(bench->rewards[r], judge)) return 1;
    return 0;
}

/* Rewards that leave some prompts out by design miss nothing there. */
static int is_left_out(const struct bench *bench, const struct measure *what,
                       const struct question *question) {
    const struct column *column = question->unscored ? table_column_of(bench->table, what->value) : NULL;

    return column && is_reward(bench, column->judge);
}

int measure_takes(const struct bench *bench, const struct measure *what, int question) {
    const struct question *q = &bench->table->questions[question];

    if (what->split && strcmp(q->split, what->split)) return 0;
    if (is_left_out(bench, what, q)) return 0;
    if (!what->categories) return 1;
    for (const char *const *category = what->categories; *category && q->category; category++)
        if (!strcmp(*category, q->category)) return 1;
    return 0;
}

double prompt_mean(const struct table *table, const double *value, int policy, int question) {
    double sum = 0;
    int count = 0;

    for (int s = 0; s < table->seed_count; s++) {
        double one = value[table_cell(table, policy, s, question)];

        if (isnan(one)) continue;
        sum += one;
        count++;
    }
    return count ? sum / count : NAN;
}

static struct bootstrap how(const struct bench *bench) {
    return (struct bootstrap){bench->seed, bench->resamples, bench->level, BOOTSTRAP_PERCENTILE};
}

/* A length of 0 or 1 is no rate. */
static int is_length(const struct metric *metric) {
    return metric->unit && (!strcmp(metric->unit, "tokens") || !strcmp(metric->unit, "words"));
}

static int all_binary(const double *values, int count) {
    for (int i = 0; i < count; i++)
        if (!isnan(values[i]) && values[i] != 0 && values[i] != 1) return 0;
    return 1;
}

/* Leaves out NaN; the number left. */
static int present(double *out, const double *values, int count) {
    int n = 0;

    for (int i = 0; i < count; i++)
        if (!isnan(values[i])) out[n++] = values[i];
    return n;
}

static double mean_of(const double *values, int count) {
    double sum = 0;

    for (int i = 0; i < count; i++) sum += values[i];
    return count ? sum / count : NAN;
}

static void set_interval(struct metric *metric, int status, double low, double high,
                         const struct error *err) {
    if (status) {
        metric_reason(metric, err->message);
        return;
    }
    metric->low = low;
    metric->high = high;
}

/* What the value would be, had every missing judgment been a 0, and had it been a 1. */
static void set_bounds(struct metric *metric, double none, double every) {
    if (!metric->n || !(none < every) || !metric->unit || strcmp(metric->unit, "fraction")) return;
    metric->worst = metric->lower_is_better == 1 ? every : none;
    metric->best = metric->lower_is_better == 1 ? none : every;
}

void measure_failures(const struct bench *bench, const struct measure *what, const double *value,
                      struct metric *metric) {
    const struct table *table = bench->table;
    const struct column *column = table_column_of(table, value);

    for (int q = 0; q < table->question_count && column && column->failure; q++) {
        if (!measure_takes(bench, what, q)) continue;
        for (int s = 0; s < table->seed_count; s++) {
            int failure = column->failure[table_cell(table, what->policy, s, q)];

            metric->refused += failure == OUTCOME_REFUSED;
            metric->unparsed += failure == OUTCOME_UNPARSED;
            metric->transport += failure == OUTCOME_TRANSPORT;
        }
    }
}

void metric_of_values(const struct bench *bench, struct metric *metric, const double *values, int count) {
    double *kept = xmalloc((size_t)count * sizeof *kept), *weight = xmalloc((size_t)count * sizeof *weight);
    int n = present(kept, values, count), status;
    struct bootstrap settings = how(bench);
    struct bootstrapped resampled = {0};
    struct interval interval = {0};
    struct error err;

    metric->n = n;
    metric->n_missing = count - n;
    metric->value = mean_of(kept, n);
    for (int i = 0; i < n; i++) weight[i] = 1;
    if (!n) {
        metric_reason(metric, count ? "no answer could be judged" : "no prompts of this kind");
    } else if (!is_length(metric) && all_binary(kept, n)) {
        metric_method(metric, "share of prompts; Wilson interval");
        status = rate_wilson(&interval, metric->value * n, n, bench->level, &err);
        set_interval(metric, status, interval.low, interval.high, &err);
    } else {
        metric_method(metric, "mean over prompts of the mean over seeds; bootstrap over prompts");
        status = bootstrap_mean(&resampled, kept, weight, n, &settings, &err);
        set_interval(metric, status, resampled.low, resampled.high, &err);
    }
    free(weight);
    free(kept);
}

/* Newcombe and McNemar on 0/1 values. */
static void exact_difference(const struct bench *bench, struct metric *metric, const double *a,
                             const double *b, int n) {
    struct estimate estimate = {0};
    struct error err;
    int cells[2][2] = {{0}}, status;

    for (int i = 0; i < n; i++) cells[a[i] == 1][b[i] == 1]++;
    metric_method(metric, "paired difference of shares; Newcombe interval; exact McNemar test");
    status = rate_paired(&estimate, cells[1][1], cells[1][0], cells[0][1], cells[0][0], bench->level, &err);
    set_interval(metric, status, estimate.low, estimate.high, &err);
    if (!status) metric->p = estimate.p;
}

static void resampled_difference(const struct bench *bench, struct metric *metric, const double *a,
                                 const double *b, int n) {
    double *weight = xmalloc((size_t)n * sizeof *weight), *d = xmalloc((size_t)n * sizeof *d);
    struct bootstrap settings = how(bench);
    struct bootstrapped resampled = {0};
    struct error err;
    int status;

    for (int i = 0; i < n; i++) {
        weight[i] = 1;
        d[i] = a[i] - b[i];
    }
    metric_method(metric,
                  "mean over prompts of the paired difference; bootstrap over prompts; sign-flip test");
    status = bootstrap_difference(&resampled, a, weight, b, weight, n, &settings, &err);
    set_interval(metric, status, resampled.low, resampled.high, &err);
    metric->p_floor = sign_flip_floor(d, n);
    if (sign_flip(&metric->p, d, n, bench->seed, &err)) {
        metric->p = NAN;
        if (!metric->reason) metric_reason(metric, err.message);
    }
    free(weight);
    free(d);
}

void metric_of_difference(const struct bench *bench, struct metric *metric, const double *a, const double *b,
                          int count) {
    double *left = xmalloc((size_t)count * sizeof *left), *right = xmalloc((size_t)count * sizeof *right);
    int n = 0;

    for (int i = 0; i < count; i++) {
        if (isnan(a[i]) || isnan(b[i])) continue;
        left[n] = a[i];
        right[n++] = b[i];
    }
    metric->n = n;
    metric->n_missing = count - n;
    metric->value = mean_of(left, n) - mean_of(right, n);
    if (!n)
        metric_reason(metric, count ? "no prompt has a judged answer of both" : "no prompts of this kind");
    else if (!is_length(metric) && all_binary(left, n) && all_binary(right, n))
        exact_difference(bench, metric, left, right, n);
    else
        resampled_difference(bench, metric, left, right, n);
    free(left);
    free(right);
}

void metric_of_gap(const struct bench *bench, struct metric *metric, const double *a, int a_count,
                   const double *b, int b_count) {
    double *left = xmalloc((size_t)a_count * sizeof *left), *right = xmalloc((size_t)b_count * sizeof *right);
    int n = present(left, a, a_count), m = present(right, b, b_count);
    struct estimate estimate = {0};
    struct error err;
    int status;

    metric->n = n + m;
    metric->n_missing = a_count + b_count - n - m;
    metric->value = mean_of(left, n) - mean_of(right, m);
    if (!n || !m) {
        metric_reason(metric, "one of the two splits has no judged answer");
    } else {
        metric_method(metric, "difference of means over different prompts; Welch's t");
        status = mean_difference(&estimate, left, n, right, m, bench->level, &err);
        set_interval(metric, status, estimate.low, estimate.high, &err);
        if (!status) metric->p = estimate.p;
    }
    free(left);
    free(right);
}

static int nearly_equal(double a, double b) {
    return fabs(a - b) <= fmax(1, 0.05 * (a + b));
}

/* 1, 1/2 or 0 under one seed; NaN: not judged, or not of one length. */
static double win(const struct bench *bench, const struct measure *what, int other, const double *tokens,
                  int seed, int question) {
    int a = table_cell(bench->table, what->policy, seed, question),
        b = table_cell(bench->table, other, seed, question);

    if (what->are_wins) return what->value[a];
    if (isnan(what->value[a]) || isnan(what->value[b])) return NAN;
    if (tokens && !nearly_equal(tokens[a], tokens[b])) return NAN;
    return what->value[a] > what->value[b] ? 1 : what->value[a] == what->value[b] ? 0.5 : 0;
}

static void set_wins(const struct bench *bench, struct metric *metric, const double *wins, int count) {
    double *kept = xmalloc((size_t)count * sizeof *kept);
    int n = present(kept, wins, count), status;
    struct estimate estimate = {0};
    struct error err;

    metric->n = n;
    metric->n_missing = count - n;
    metric->value = mean_of(kept, n);
    if (n) {
        metric_method(metric, all_binary(kept, n)
                                  ? "share won; Wilson interval; exact sign test against 1/2"
                                  : "mean of win 1, tie 1/2, loss 0; Student's t over prompts");
        status = win_rate(&estimate, kept, n, bench->level, &err);
        set_interval(metric, status, estimate.low, estimate.high, &err);
        if (!status) metric->p = estimate.p;
    }
    free(kept);
}

/* A prompt's wins under all seeds. */
struct prompt_wins {
    double mean;        /* NaN: none was judged */
    double none, every; /* had those that were not judged been lost, or won */
    int ties, judged;
};

static struct prompt_wins wins_of(const struct bench *bench, const struct measure *what, int other,
                                  const double *tokens, int question) {
    const struct table *table = bench->table;
    struct prompt_wins out = {0};
    double sum = 0, open = 0;

    for (int s = 0; s < table->seed_count; s++) {
        double one = win(bench, what, other, tokens, s, question);

        open += isnan(one) && table->answers[table_cell(table, what->policy, s, question)];
        if (isnan(one)) continue;
        sum += one;
        out.ties += one == 0.5;
        out.judged++;
    }
    out.mean = sum / out.judged;
    out.none = out.judged + open ? sum / (out.judged + open) : 0;
    out.every = out.judged + open ? (sum + open) / (out.judged + open) : 1;
    return out;
}

void measure_wins(const struct bench *bench, const struct measure *what, int other, const double *tokens,
                  struct metrics *out) {
    const struct table *table = bench->table;
    struct metric *metric = measure_metric(bench, what, table->policies[other], out);
    double *wins = xmalloc((size_t)table->question_count * sizeof *wins);
    double *kept = xmalloc((size_t)table->question_count * sizeof *kept), none = 0, every = 0;
    int count = 0, unjudged = 0;

    metric->seeds = table->seed_count;
    metric->per_seed = xcalloc((size_t)table->seed_count, sizeof *metric->per_seed);
    for (int s = 0; s < table->seed_count; s++) {
        count = 0;
        for (int q = 0; q < table->question_count; q++)
            if (measure_takes(bench, what, q)) wins[count++] = win(bench, what, other, tokens, s, q);
        count = present(kept, wins, count);
        metric->per_seed[s] = mean_of(kept, count);
    }
    count = 0;
    for (int q = 0; q < table->question_count; q++) {
        struct prompt_wins prompt;

        if (!measure_takes(bench, what, q)) continue;
        prompt = wins_of(bench, what, other, tokens, q);
        unjudged += isnan(prompt.mean) && (!tokens || isnan(wins_of(bench, what, other, NULL, q).mean));
        none += prompt.none;
        every += prompt.every;
        metric->ties += prompt.ties;
        metric->judged += prompt.judged;
        wins[count++] = prompt.mean;
    }
    set_wins(bench, metric, wins, count);
    metric->n_missing = unjudged; /* not those of unequal length: nobody wants to know who won them */
    if (!tokens) set_bounds(metric, none / count, every / count);
    if (!metric->n)
        metric_reason(metric, tokens ? "no two judged answers are of nearly one length"
                                     : "no prompt has a judged answer of both");
    if (is_null_policy(table->policies[what->policy])) metric->p = NAN;
    free(wins);
    free(kept);
}

/* Shares and their differences end somewhere. */
static void cut(double *low, double *high, const struct metric *metric) {
    if (!metric->unit || strcmp(metric->unit, "fraction")) return;
    *low = fmax(*low, metric_is_difference(metric) ? -1 : 0);
    *high = fmin(*high, 1);
}

void metric_of_seeds(const struct bench *bench, struct metric *metric, enum of_seeds kind) {
    double *kept = xmalloc((size_t)metric->seeds * sizeof *kept);
    int n = present(kept, metric->per_seed, metric->seeds), status;
    struct estimate estimate = {0};
    struct error err;

    metric->by_seed = 1;
    metric->n = n;
    metric->n_missing = metric->seeds - n;
    metric->value = mean_of(kept, n);
    if (n > 1 && kind == FROM_ZERO) {
        metric_method(metric, "mean over seeds");
        metric_reason(
            metric, "it is never below 0 and few seeds scatter widely: each seed's value stands for itself");
    } else if (n > 1) {
        metric_method(metric, "mean over seeds; Student's t over seeds");
        status = mean_simple(&estimate, kept, n, bench->level, &err);
        set_interval(metric, status, estimate.low, estimate.high, &err);
        cut(&metric->low, &metric->high, metric);
        if (!status && kind == TESTED) metric->p = estimate.p;
    } else if (n) {
        metric_method(metric, bench->training_count ? "one seed" : "one set of answers");
        metric_reason(metric, bench->training_count ? "one seed gives no interval; run at least two"
                                                    : "one set of answers gives no interval");
    } else if (!metric->reason) {
        metric_reason(metric, "no seed gives a value");
    }
    free(kept);
}

/* The prompts' values of a policy, in `out`; the number of prompts asked. */
static int gather(const struct bench *bench, const struct measure *what, int policy, double *out) {
    int count = 0;

    for (int q = 0; q < bench->table->question_count; q++)
        if (measure_takes(bench, what, q)) out[count++] = prompt_mean(bench->table, what->value, policy, q);
    return count;
}

void measure_seeds(const struct bench *bench, const struct measure *what, int other, double *out) {
    const struct table *table = bench->table;

    for (int s = 0; s < table->seed_count; s++) {
        double sum = 0;
        int count = 0;

        for (int q = 0; q < table->question_count; q++) {
            double one = what->value[table_cell(table, what->policy, s, q)];

            if (other >= 0) one -= what->value[table_cell(table, other, s, q)];
            if (isnan(one) || !measure_takes(bench, what, q)) continue;
            sum += one;
            count++;
        }
        out[s] = count ? sum / count : NAN;
    }
}

static void set_per_seed(const struct bench *bench, const struct measure *what, int other,
                         struct metric *metric) {
    metric->seeds = bench->table->seed_count;
    metric->per_seed = xcalloc((size_t)metric->seeds, sizeof *metric->per_seed);
    measure_seeds(bench, what, other, metric->per_seed);
}

/* The mean over the prompts that are measured, with `fill` for answers that were not judged and for prompts
   that were not answered. */
static double filled_mean(const struct bench *bench, const struct measure *what, int policy, double fill) {
    const struct table *table = bench->table;
    double total = 0;
    int count = 0;

    for (int q = 0; q < table->question_count; q++) {
        double sum = 0;
        int answers = 0;

        if (!measure_takes(bench, what, q)) continue;
        for (int s = 0; s < table->seed_count; s++) {
            int cell = table_cell(table, policy, s, q);

            if (isnan(what->value[cell]) && !table->answers[cell]) continue;
            sum += isnan(what->value[cell]) ? fill : what->value[cell];
            answers++;
        }
        total += answers ? sum / answers : fill;
        count++;
    }
    return count ? total / count : NAN;
}

void measure_level(const struct bench *bench, const struct measure *what, struct metrics *out) {
    double *mine = xmalloc((size_t)bench->table->question_count * sizeof *mine);
    int count = gather(bench, what, what->policy, mine);
    struct metric *metric = measure_metric(bench, what, NULL, out);

    set_per_seed(bench, what, -1, metric);
    metric_of_values(bench, metric, mine, count);
    set_bounds(metric, filled_mean(bench, what, what->policy, 0), filled_mean(bench, what, what->policy, 1));
    measure_failures(bench, what, what->value, metric);
    free(mine);
}

static void measure_change(const struct bench *bench, const struct measure *what, const double *mine,
                           int count, struct metrics *out) {
    const struct table *table = bench->table;
    double *theirs = xmalloc((size_t)table->question_count * sizeof *theirs);
    struct metric *metric = measure_metric(bench, what, table->policies[table->baseline], out);
    struct measure baseline = *what;

    gather(bench, what, table->baseline, theirs);
    set_per_seed(bench, what, table->baseline, metric);
    metric_of_difference(bench, metric, mine, theirs, count);
    set_bounds(metric,
               filled_mean(bench, what, what->policy, 0) - filled_mean(bench, what, table->baseline, 1),
               filled_mean(bench, what, what->policy, 1) - filled_mean(bench, what, table->baseline, 0));
    measure_failures(bench, what, what->value, metric);
    baseline.policy = table->baseline;
    measure_failures(bench, &baseline, what->value, metric);
    free(theirs);
}

void measure_column(const struct bench *bench, const struct measure *what, struct metrics *out) {
    const struct table *table = bench->table;
    double *mine = xmalloc((size_t)table->question_count * sizeof *mine);
    int count = gather(bench, what, what->policy, mine);

    measure_level(bench, what, out);
    if (what->policy != table->baseline && !is_null_policy(table->policies[what->policy]))
        measure_change(bench, what, mine, count, out);
    free(mine);
}

/* Null policies are not judged by everything. */
static int is_judged(const struct bench *bench, const struct measure *what) {
    const struct table *table = bench->table;
    int first = table_cell(table, what->policy, 0, 0), count = table->seed_count * table->question_count;

    if (!is_null_policy(table->policies[what->policy])) return 1;
    for (int i = first; i < first + count; i++)
        if (!isnan(what->value[i])) return 1;
    return 0;
}

static int any_question(const struct bench *bench, const struct measure *what) {
    for (int q = 0; q < bench->table->question_count; q++)
        if (measure_takes(bench, what, q)) return 1;
    return 0;
}

static void each_place(const struct bench *bench, const struct measure *what, struct metrics *out,
                       void (*take)(const struct bench *, const struct measure *, struct metrics *)) {
    const char **splits = table_splits(bench->table);
    struct measure one = *what;

    for (int i = 0; splits[i]; i++) {
        one.split = splits[i];
        for (one.policy = 0; one.policy < bench->table->policy_count; one.policy++)
            if (any_question(bench, &one) && is_judged(bench, &one)) take(bench, &one, out);
    }
    free(splits);
}

void measure_everywhere(const struct bench *bench, const struct measure *what, struct metrics *out) {
    each_place(bench, what, out, measure_column);
}

void measure_levels_everywhere(const struct bench *bench, const struct measure *what, struct metrics *out) {
    each_place(bench, what, out, measure_level);
}

static int has_runs(const struct metric *metric) {
    return metric->policy && metric->baseline && !metric->by_seed && !is_null_policy(metric->policy) &&
           metric_seeds(metric) > 1;
}

void metrics_over_seeds(struct metrics *metrics) {
    for (int i = 0; i < metrics->count; i++) {
        struct metric *metric = &metrics->items[i];
        double *runs = xmalloc((size_t)metric->seeds * sizeof *runs), centre = metric_centre(metric);
        struct estimate estimate = {0};
        struct error err;
        int n = has_runs(metric) ? present(runs, metric->per_seed, metric->seeds) : 0;

        for (int s = 0; s < n; s++) runs[s] -= centre;
        if (n && !mean_simple(&estimate, runs, n, metric->level, &err)) {
            metric->seeds_low = estimate.low + centre;
            metric->seeds_high = estimate.high + centre;
            metric->p_seeds = estimate.p;
            cut(&metric->seeds_low, &metric->seeds_high, metric);
        }
        free(runs);
    }
}

static int leaves_out(const struct bench *bench, const char *split) {
    for (int q = 0; q < bench->table->question_count; q++)
        if (bench->table->questions[q].unscored && !strcmp(bench->table->questions[q].split, split)) return 1;
    return 0;
}

void metrics_note_sample(const struct bench *bench, struct metrics *metrics) {
    for (int i = 0; i < metrics->count; i++) {
        struct metric *metric = &metrics->items[i];
        char *method;

        if (!metric->method || !metric->split || !is_reward(bench, metric->judge)) continue;
        if (!leaves_out(bench, metric->split)) continue;
        method = xprintf("%s; of the first %d prompts of the split, whose answers the rewards scored",
                         metric->method, bench->reward_prompts);
        metric_method(metric, method);
        free(method);
    }
}

void metrics_adjust(struct metrics *metrics) {
    double *p = xmalloc((size_t)metrics->count * sizeof *p),
           *adjusted = xmalloc((size_t)metrics->count * sizeof *p);
    int *at = xmalloc((size_t)metrics->count * sizeof *at);
    char *done = xcalloc((size_t)metrics->count, 1);

    for (int i = 0; i < metrics->count; i++) {
        int count = 0;

        if (done[i] || !metrics->items[i].family) continue;
        for (int j = i; j < metrics->count; j++) {
            const struct metric *metric = &metrics->items[j];

            if (!metric->family || strcmp(metric->family, metrics->items[i].family)) continue;
            done[j] = 1;
            at[count] = j;
            p[count++] = metric->p;
        }
        adjust_holm(adjusted, p, count);
        for (int k = 0; k < count; k++) metrics->items[at[k]].p_adjusted = adjusted[k];
    }
    free(done);
    free(at);
    free(adjusted);
    free(p);
}
