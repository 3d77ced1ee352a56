#include <gsl/gsl_cdf.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/statistics.h"

/* Fisher's z interval; `spare` is n less the controls. */
static void fisher_interval(struct correlation *out, int spare, double level) {
    double reach;

    out->low = -1;
    out->high = 1;
    if (spare <= 3) return;
    reach = gsl_cdf_ugaussian_Pinv(0.5 + level / 2) / sqrt(spare - 3);
    out->low = tanh(atanh(out->value) - reach);
    out->high = tanh(atanh(out->value) + reach);
}

/* t, p and the interval of a correlation with `controls` variables held fixed. */
static void finish_correlation(struct correlation *out, double r, int n, int controls, double level) {
    double freedom = n - 2 - controls;

    if (fabs(r) > 1 - 1e-14) r = copysign(1, r);
    *out = (struct correlation){.value = r, .n = n};
    if (fabs(r) == 1) {
        out->low = out->high = r;
        out->statistic = copysign(HUGE_VAL, r);
        return;
    }
    out->statistic = r * sqrt(freedom / (1 - r * r));
    out->p = student_p(out->statistic, freedom);
    fisher_interval(out, n - controls, level);
}

static int varies(const double *x, int n) {
    for (int i = 1; i < n; i++)
        if (x[i] != x[0]) return 1;
    return 0;
}

static int check_columns(const double *x, const double *y, int n, int controls, struct error *err) {
    if (n < 3 + controls) return fail(err, "%d pairs: a correlation needs %d", n, 3 + controls);
    if (statistics_check(x, n, err) || statistics_check(y, n, err)) return -1;
    if (!varies(x, n) || !varies(y, n)) return fail(err, "no variance in one of the two");
    return 0;
}

int pearson(struct correlation *out, const double *x, const double *y, int n, double level,
            struct error *err) {
    if (check_columns(x, y, n, 0, err)) return -1;
    finish_correlation(out, gsl_stats_correlation(x, 1, y, 1, n), n, 0, level);
    return 0;
}

struct entry {
    double value;
    int index;
};

static int by_entry(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return x->index - y->index;
}

static struct entry *sort_entries(const double *values, int n) {
    struct entry *entries = xmalloc((n > 0 ? n : 1) * sizeof *entries);

    for (int i = 0; i < n; i++) entries[i] = (struct entry){values[i], i};
    qsort(entries, n, sizeof *entries, by_entry);
    return entries;
}

/* One past the last entry tied with `first`. */
static int tie_end(const struct entry *entries, int first, int n) {
    int end = first + 1;
    while (end < n && entries[end].value == entries[first].value) end++;
    return end;
}

/* Average ranks, from 1. Caller frees. */
static double *ranks_of(const double *values, int n) {
    struct entry *entries = sort_entries(values, n);
    double *ranks = xmalloc((n > 0 ? n : 1) * sizeof *ranks);

    for (int first = 0, end; first < n; first = end) {
        end = tie_end(entries, first, n);
        for (int i = first; i < end; i++) ranks[entries[i].index] = (first + 1 + end) / 2.0;
    }
    free(entries);
    return ranks;
}

int spearman(struct correlation *out, const double *x, const double *y, int n, double level,
             struct error *err) {
    double *rank_x, *rank_y;
    int status;

    if (statistics_check(x, n, err) || statistics_check(y, n, err)) return -1;
    rank_x = ranks_of(x, n);
    rank_y = ranks_of(y, n);
    status = pearson(out, rank_x, rank_y, n, level, err);
    free(rank_x);
    free(rank_y);
    return status;
}

/* Sums over groups of t tied values: t(t-1), t(t-1)(t-2) and t(t-1)(2t+5). */
struct ties {
    double pairs, triples, weighted;
};

static struct ties count_ties(const double *values, int n) {
    struct entry *entries = sort_entries(values, n);
    struct ties ties = {0};

    for (int first = 0, end; first < n; first = end) {
        double t = (end = tie_end(entries, first, n)) - first;
        ties.pairs += t * (t - 1);
        ties.triples += t * (t - 1) * (t - 2);
        ties.weighted += t * (t - 1) * (2 * t + 5);
    }
    free(entries);
    return ties;
}

static double concordance(const double *x, const double *y, int n) {
    long sum = 0;

#pragma omp parallel for reduction(+ : sum) schedule(static, 16)
    for (int i = 1; i < n; i++)
        for (int j = 0; j < i; j++) sum += ((x[i] > x[j]) - (x[i] < x[j])) * ((y[i] > y[j]) - (y[i] < y[j]));
    return (double)sum;
}

int kendall(struct correlation *out, const double *x, const double *y, int n, struct error *err) {
    struct ties in_x, in_y;
    double pairs = (double)n * (n - 1), net, variance;

    if (check_columns(x, y, n, 0, err)) return -1;
    in_x = count_ties(x, n);
    in_y = count_ties(y, n);
    net = concordance(x, y, n);
    variance = (pairs * (2.0 * n + 5) - in_x.weighted - in_y.weighted) / 18 +
               in_x.pairs * in_y.pairs / (2 * pairs) + in_x.triples * in_y.triples / (9 * pairs * (n - 2));
    *out = (struct correlation){.n = n};
    out->value = 2 * net / sqrt((pairs - in_x.pairs) * (pairs - in_y.pairs));
    out->statistic = net / sqrt(variance);
    out->p = 2 * gsl_cdf_ugaussian_Q(fabs(out->statistic));
    return 0;
}

/* Ways to reach each sum of twice x's rank times twice y's rank, over all orders: added[mask] holds those in
   which the ranks of y in the mask are taken by the first of x. */
static double *count_sums(const double *rank_x, const double *rank_y, int n, int most) {
    double *added = xcalloc(((size_t)1 << n) * (most + 1), sizeof *added);

    added[0] = 1;
    for (int mask = 0; mask < (1 << n) - 1; mask++) {
        const double *from = added + (size_t)mask * (most + 1);
        int own = (int)(2 * rank_x[__builtin_popcount(mask)]);

        for (int j = 0; j < n; j++) {
            int step = own * (int)(2 * rank_y[j]);
            double *to = added + (size_t)(mask | 1 << j) * (most + 1);

            if (mask >> j & 1) continue;
            for (int sum = 0; sum + step <= most; sum++) to[sum + step] += from[sum];
        }
    }
    return added;
}

int spearman_exact(double *p, const double *x, const double *y, int n, struct error *err) {
    double *rank_x, *rank_y, *added, seen = 0, middle = n * (n + 1.0) * (n + 1), total = 0, extreme = 0;
    int most = 0;

    if (check_columns(x, y, n, 0, err)) return -1;
    if (n > 10) return fail(err, "%d pairs: the orders are counted for 10 at most", n);
    rank_x = ranks_of(x, n);
    rank_y = ranks_of(y, n);
    for (int i = 0; i < n; i++) {
        seen += 4 * rank_x[i] * rank_y[i];
        most += 4 * (i + 1) * (i + 1);
    }
    added = count_sums(rank_x, rank_y, n, most);
    for (int sum = 0; sum <= most; sum++) {
        double ways = added[((((size_t)1 << n) - 1) * (most + 1)) + sum];

        total += ways;
        extreme += fabs(sum - middle) >= fabs(seen - middle) ? ways : 0;
    }
    *p = extreme / total;
    free(added);
    free(rank_x);
    free(rank_y);
    return 0;
}

int kendall_exact(double *p, const double *x, const double *y, int n, struct error *err) {
    int most = n * (n - 1) / 2, least;
    double *chance, below = 0;

    if (check_columns(x, y, n, 0, err)) return -1;
    if (n > 100) return fail(err, "%d pairs: the orders are counted for 100 at most", n);
    if (count_ties(x, n).pairs > 0 || count_ties(y, n).pairs > 0)
        return fail(err, "ties: Kendall's exact p is known without them");
    chance = xcalloc(most + 1, sizeof *chance); /* of each number of inversions (Kendall 1938) */
    chance[0] = 1;
    for (int size = 2; size <= n; size++)
        for (int sum = size * (size - 1) / 2; sum >= 0; sum--) {
            double ways = 0;

            for (int k = 0; k < size && k <= sum; k++) ways += chance[sum - k];
            chance[sum] = ways / size;
        }
    least = (int)((most - fabs(concordance(x, y, n))) / 2);
    for (int sum = 0; sum <= least; sum++) below += chance[sum];
    *p = fmin(1, 2 * below);
    free(chance);
    return 0;
}

/* y less its least-squares line on z. Caller frees. */
static double *residuals(const double *y, const double *z, int n) {
    double mean_y = gsl_stats_mean(y, 1, n), mean_z = gsl_stats_mean(z, 1, n);
    double slope = gsl_stats_covariance(y, 1, z, 1, n) / gsl_stats_variance(z, 1, n);
    double *left = xmalloc(n * sizeof *left);

    for (int i = 0; i < n; i++) left[i] = y[i] - mean_y - slope * (z[i] - mean_z);
    return left;
}

/* The control leaves nothing of y: what is left is rounding. */
static int explained(const double *left, const double *y, int n) {
    return gsl_stats_sd(left, 1, n) <= 1e-9 * gsl_stats_sd(y, 1, n);
}

int partial_pearson(struct correlation *out, const double *x, const double *y, const double *z, int n,
                    double level, struct error *err) {
    double *left_x, *left_y;
    int status = 0;

    if (check_columns(x, y, n, 1, err)) return -1;
    if (statistics_check(z, n, err)) return -1;
    if (!varies(z, n)) return fail(err, "no variance in the control");
    left_x = residuals(x, z, n);
    left_y = residuals(y, z, n);
    if (explained(left_x, x, n) || explained(left_y, y, n))
        status = fail(err, "the control explains one of the two entirely");
    else
        finish_correlation(out, gsl_stats_correlation(left_x, 1, left_y, 1, n), n, 1, level);
    free(left_x);
    free(left_y);
    return status;
}

int partial_spearman(struct correlation *out, const double *x, const double *y, const double *z, int n,
                     double level, struct error *err) {
    double *rank_x, *rank_y, *rank_z;
    int status;

    if (statistics_check(x, n, err) || statistics_check(y, n, err) || statistics_check(z, n, err)) return -1;
    rank_x = ranks_of(x, n);
    rank_y = ranks_of(y, n);
    rank_z = ranks_of(z, n);
    status = partial_pearson(out, rank_x, rank_y, rank_z, n, level, err);
    free(rank_x);
    free(rank_y);
    free(rank_z);
    return status;
}

static double bend(enum gao_form form, double d) {
    return form == GAO_BEST_OF_N ? -d * d : -d * log(d);
}

/* Sums of the normal equations of reward on (d, bend(d)). */
struct normal {
    double dd, db, bb, dr, br, rr;
    double nearest, farthest;
    int n;
};

static struct normal sum_points(enum gao_form form, const double *distance, const double *reward, int n) {
    struct normal sums = {.nearest = HUGE_VAL};

    for (int i = 0; i < n; i++) {
        double d = distance[i], b;

        if (!(d > 0)) continue;
        b = bend(form, d);
        sums.dd += d * d;
        sums.db += d * b;
        sums.bb += b * b;
        sums.dr += d * reward[i];
        sums.br += b * reward[i];
        sums.rr += reward[i] * reward[i];
        sums.nearest = fmin(sums.nearest, d);
        sums.farthest = fmax(sums.farthest, d);
        sums.n++;
    }
    return sums;
}

static void find_peak(struct gao_fit *fit, const struct normal *sums) {
    if (!(fit->beta > 0)) return;
    if (fit->form == GAO_BEST_OF_N) {
        if (!(fit->alpha > 0)) return;
        fit->peak_at = fit->alpha / (2 * fit->beta);
    } else {
        fit->peak_at = exp(fit->alpha / fit->beta - 1);
    }
    fit->has_peak = isfinite(fit->peak_at);
    if (!fit->has_peak) fit->peak_at = 0;
    fit->peak = fit->has_peak ? gao_value(fit, fit->peak_at) : 0;
    fit->inside = fit->has_peak && fit->peak_at >= sums->nearest && fit->peak_at <= sums->farthest;
}

int gao_fit(struct gao_fit *out, enum gao_form form, const double *distance, const double *reward, int n,
            struct error *err) {
    struct normal sums;
    double determinant, spread = 0;

    if (statistics_check(distance, n, err) || statistics_check(reward, n, err)) return -1;
    sums = sum_points(form, distance, reward, n);
    determinant = sums.dd * sums.bb - sums.db * sums.db;
    if (sums.n < 3) return fail(err, "%d points away from the start: the fit needs 3", sums.n);
    if (!(determinant > 1e-12 * sums.dd * sums.bb))
        return fail(err, "all points lie at the same distance: the fit needs two");
    *out = (struct gao_fit){.form = form};
    out->alpha = (sums.dr * sums.bb - sums.br * sums.db) / determinant;
    out->beta = (sums.br * sums.dd - sums.dr * sums.db) / determinant;
    for (int i = 0; i < n; i++) {
        double left = distance[i] > 0 ? reward[i] - gao_value(out, distance[i]) : 0;

        spread += left * left / (sums.n - 2);
    }
    out->alpha_error = sqrt(spread * sums.bb / determinant);
    out->beta_error = sqrt(spread * sums.dd / determinant);
    find_peak(out, &sums);
    return 0;
}

double gao_value(const struct gao_fit *fit, double distance) {
    return distance > 0 ? fit->alpha * distance + fit->beta * bend(fit->form, distance) : 0;
}

double best_of_n_kl(double n) {
    return log(n) - (n - 1) / n;
}

/* gold in ascending order of proxy; samples that tie in proxy each get their group's mean. Caller frees. */
static double *gold_by_proxy(const double *proxy, const double *gold, int count) {
    struct entry *entries = sort_entries(proxy, count);
    double *sorted = xmalloc(count * sizeof *sorted);

    for (int first = 0, end; first < count; first = end) {
        double sum = 0;

        end = tie_end(entries, first, count);
        for (int i = first; i < end; i++) sum += gold[entries[i].index];
        for (int i = first; i < end; i++) sorted[i] = sum / (end - first);
    }
    free(entries);
    return sorted;
}

int best_of_n(double *out, const double *proxy, const double *gold, int count, int n, struct error *err) {
    double *sorted, weight;

    if (n < 1 || n > count) return fail(err, "best of %d from %d stored samples", n, count);
    if (statistics_check(proxy, count, err) || statistics_check(gold, count, err)) return -1;
    sorted = gold_by_proxy(proxy, gold, count);
    weight = (double)n / count;
    *out = 0;
    for (int i = count; i >= n; i--) { /* C(i-2, n-1) / C(i-1, n-1) = (i-n) / (i-1) */
        *out += weight * sorted[i - 1];
        if (i > 1) weight *= (double)(i - n) / (i - 1);
    }
    free(sorted);
    return 0;
}

int pass_at(double *out, int n, int right, int k, struct error *err) {
    double none = 1;

    if (k < 1 || k > n || right < 0 || right > n)
        return fail(err, "pass at %d of %d samples, %d right", k, n, right);
    for (int i = n - right + 1; i <= n; i++) none *= i > k ? 1 - (double)k / i : 0;
    *out = 1 - none;
    return 0;
}

static int cell_of(const struct sophistry_item *item) {
    return 2 * (item->correct_before != 0) + (item->correct_after != 0);
}

static int cell_weights(double weights[4], const int counts[4], int n, const double *shares,
                        struct error *err) {
    double total = 0;

    for (int cell = 0; cell < 4; cell++) {
        double share = shares ? shares[cell] : (double)counts[cell] / n;

        if (!(share >= 0)) return fail(err, "a population share of %g", share);
        if (share > 0 && counts[cell] == 0)
            return fail(err, "no items drawn from a cell that holds %g of the population", share);
        weights[cell] = counts[cell] ? share / counts[cell] : 0;
        total += share;
    }
    if (!(total > 0)) return fail(err, "the population shares are all 0");
    for (int cell = 0; cell < 4; cell++) weights[cell] /= total;
    return 0;
}

static void add_item(struct sophistry *sum, double weight, int correct, double approves, int both_wrong) {
    sum->correctness += weight * (correct != 0);
    sum->approval += weight * approves;
    sum->error += weight * fabs(approves - (correct != 0));
    sum->n++;
    if (!both_wrong) return;
    sum->both_wrong++;
    sum->false_positive += approves;
}

int sophistry_measure(struct sophistry *before, struct sophistry *after, const struct sophistry_item *items,
                      int n, const double shares[4], struct error *err) {
    int counts[4] = {0};
    double weights[4];

    if (n < 1) return fail(err, "no items judged before and after");
    for (int i = 0; i < n; i++) counts[cell_of(&items[i])]++;
    if (cell_weights(weights, counts, n, shares, err)) return -1;
    *before = *after = (struct sophistry){0};
    for (int i = 0; i < n; i++) {
        int cell = cell_of(&items[i]);

        add_item(before, weights[cell], items[i].correct_before, items[i].approves_before, cell == 0);
        add_item(after, weights[cell], items[i].correct_after, items[i].approves_after, cell == 0);
    }
    before->false_positive = counts[0] ? before->false_positive / counts[0] : NAN;
    after->false_positive = counts[0] ? after->false_positive / counts[0] : NAN;
    return 0;
}

/* What each resample measures again. */
struct remeasured {
    const struct sophistry_item *items;
    const double *shares;
    enum sophistry_figure figure;
    enum { BEFORE, AFTER, CHANGE } which;
};

static double figure_of(const struct sophistry *all, enum sophistry_figure figure) {
    switch (figure) {
    case SOPHISTRY_CORRECTNESS:
        return all->correctness;
    case SOPHISTRY_APPROVAL:
        return all->approval;
    case SOPHISTRY_ERROR:
        return all->error;
    default:
        return all->false_positive;
    }
}

static double remeasure(const void *context, const int *picked, int count) {
    const struct remeasured *how = context;
    struct sophistry_item *items = xmalloc(count * sizeof *items);
    struct sophistry before, after;
    struct error err;
    int status;

    for (int i = 0; i < count; i++) items[i] = how->items[picked[i]];
    status = sophistry_measure(&before, &after, items, count, how->shares, &err);
    free(items);
    if (status) return NAN;
    if (how->which == BEFORE) return figure_of(&before, how->figure);
    if (how->which == AFTER) return figure_of(&after, how->figure);
    return figure_of(&after, how->figure) - figure_of(&before, how->figure);
}

int sophistry_resample(struct sophistry_change *out, enum sophistry_figure figure,
                       const struct sophistry_item *items, int n, const double shares[4],
                       const struct bootstrap *how, struct error *err) {
    struct bootstrapped *parts[] = {&out->before, &out->after, &out->change};
    struct remeasured again = {.items = items, .shares = shares, .figure = figure};
    struct sophistry before, after;
    int status = 0;

    if (sophistry_measure(&before, &after, items, n, shares, err)) return -1;
    if (isnan(figure_of(&before, figure))) return fail(err, "no item was answered wrongly by both");
    for (int part = BEFORE; part <= CHANGE; part++) {
        again.which = part;
        if (bootstrap_run(parts[part], remeasure, &again, n, how, err)) status = -1;
    }
    return status;
}
