#include "harness/statistics_agree.h"

#include <math.h>
#include <stdlib.h>

#include "harness/memory.h"

/* Labels of the items that count, whatever the coefficient. */
struct labelled {
    const int *labels; /* [items][raters] */
    int items, raters, categories;
    enum kappa_weights weights;
};

static double disagreement(enum kappa_weights weights, int i, int j) {
    double apart = i - j;

    if (weights == KAPPA_NOMINAL) return i != j;
    return weights == KAPPA_LINEAR ? fabs(apart) : apart * apart;
}

static double cohen_of(const void *data, const int *picked, int count) {
    const struct labelled *all = data;
    int k = all->categories;
    double *table = xcalloc((size_t)k * k + 2 * k, sizeof *table), *rows = table + (size_t)k * k,
           *columns = rows + k;
    double observed = 0, expected = 0;

    for (int i = 0; i < count; i++) {
        const int *pair = all->labels + (size_t)picked[i] * 2;

        table[pair[0] * k + pair[1]]++;
        rows[pair[0]]++;
        columns[pair[1]]++;
    }
    for (int i = 0; i < k; i++)
        for (int j = 0; j < k; j++) {
            double w = disagreement(all->weights, i, j);

            observed += w * table[i * k + j];
            expected += w * rows[i] * columns[j] / count;
        }
    free(table);
    return expected > 0 ? 1 - observed / expected : NAN;
}

static void count_labels(const struct labelled *all, int item, double *counts) {
    for (int c = 0; c < all->categories; c++) counts[c] = 0;
    for (int r = 0; r < all->raters; r++) {
        int label = all->labels[(size_t)item * all->raters + r];

        if (label >= 0) counts[label]++;
    }
}

static double fleiss_of(const void *data, const int *picked, int count) {
    const struct labelled *all = data;
    double *counts = xcalloc(2 * all->categories, sizeof *counts), *totals = counts + all->categories;
    double n = all->raters, agree = 0, chance = 0;

    for (int i = 0; i < count; i++) {
        count_labels(all, picked[i], counts);
        for (int c = 0; c < all->categories; c++) {
            agree += counts[c] * (counts[c] - 1) / (n * (n - 1)) / count;
            totals[c] += counts[c] / (n * count);
        }
    }
    for (int c = 0; c < all->categories; c++) chance += totals[c] * totals[c];
    free(counts);
    return chance < 1 - 1e-12 ? (agree - chance) / (1 - chance) : NAN; /* all of one kind, but for rounding */
}

static double krippendorff_of(const void *data, const int *picked, int count) {
    const struct labelled *all = data;
    double *counts = xcalloc(2 * all->categories, sizeof *counts), *totals = counts + all->categories;
    double pairable = 0, alike = 0, alike_by_chance = 0;

    for (int i = 0; i < count; i++) {
        double given = 0;

        count_labels(all, picked[i], counts);
        for (int c = 0; c < all->categories; c++) given += counts[c];
        if (given < 2) continue;
        pairable += given;
        for (int c = 0; c < all->categories; c++) {
            alike += counts[c] * (counts[c] - 1) / (given - 1);
            totals[c] += counts[c];
        }
    }
    for (int c = 0; c < all->categories; c++) alike_by_chance += totals[c] * (totals[c] - 1);
    free(counts);
    if (pairable < 2 || alike_by_chance >= pairable * (pairable - 1)) return NAN;
    return 1 - (pairable - alike) / (pairable - alike_by_chance / (pairable - 1));
}

/* Share of pairs of labels of one item that are equal. */
static double raw_agreement(const struct labelled *all) {
    double *counts = xcalloc(all->categories, sizeof *counts), alike = 0, pairs = 0;

    for (int i = 0; i < all->items; i++) {
        double given = 0;

        count_labels(all, i, counts);
        for (int c = 0; c < all->categories; c++) {
            alike += counts[c] * (counts[c] - 1) / 2;
            given += counts[c];
        }
        pairs += given * (given - 1) / 2;
    }
    free(counts);
    return pairs > 0 ? alike / pairs : NAN;
}

static int measure(struct agreement *out, bootstrap_statistic *statistic, const struct labelled *all,
                   const struct bootstrap *how, struct error *err) {
    struct bootstrapped resampled;
    int *every;

    *out = (struct agreement){.value = NAN, .low = NAN, .high = NAN, .raw = NAN, .n = all->items};
    if (all->items < 1) return fail(err, "no item has enough labels");
    every = xmalloc(all->items * sizeof *every);
    for (int i = 0; i < all->items; i++) every[i] = i;
    out->value = statistic(all, every, all->items);
    out->raw = raw_agreement(all);
    free(every);
    if (isnan(out->value))
        return fail(err, "all labels are the same: agreement beyond chance is not defined");
    if (!how) return 0;
    if (bootstrap_run(&resampled, statistic, all, all->items, how, err)) return -1;
    out->low = resampled.low;
    out->high = resampled.high;
    return 0;
}

static int check_labels(const int *labels, size_t count, int categories, struct error *err) {
    for (size_t i = 0; i < count; i++)
        if (labels[i] >= categories || labels[i] < -1)
            return fail(err, "label %d is none of the %d categories", labels[i], categories);
    return 0;
}

/* The items with at least `least` labels; caller frees the labels. */
static struct labelled keep(const int *labels, int items, int raters, int categories, int least) {
    int *kept = xmalloc(((size_t)items * raters + 1) * sizeof *kept);
    struct labelled out = {kept, 0, raters, categories, KAPPA_NOMINAL};

    for (int i = 0; i < items; i++) {
        int given = 0;

        for (int r = 0; r < raters; r++) {
            kept[(size_t)out.items * raters + r] = labels[(size_t)i * raters + r];
            given += labels[(size_t)i * raters + r] >= 0;
        }
        out.items += given >= least;
    }
    return out;
}

int cohen_kappa(struct agreement *out, const int *a, const int *b, int items, int categories,
                enum kappa_weights weights, const struct bootstrap *how, struct error *err) {
    int *pairs = xmalloc(((size_t)items * 2 + 1) * sizeof *pairs), status = -1;
    struct labelled all = {0};

    for (int i = 0; i < items; i++) {
        pairs[2 * i] = a[i];
        pairs[2 * i + 1] = b[i];
    }
    if (!check_labels(pairs, (size_t)items * 2, categories, err)) {
        all = keep(pairs, items, 2, categories, 2);
        all.weights = weights;
        status = measure(out, cohen_of, &all, how, err);
    }
    free((int *)all.labels);
    free(pairs);
    return status;
}

int fleiss_kappa(struct agreement *out, const int *labels, int items, int raters, int categories,
                 const struct bootstrap *how, struct error *err) {
    struct labelled all;
    int status;

    if (raters < 2) return fail(err, "%d judge(s): agreement needs two", raters);
    if (check_labels(labels, (size_t)items * raters, categories, err)) return -1;
    all = keep(labels, items, raters, categories, raters);
    status = measure(out, fleiss_of, &all, how, err);
    free((int *)all.labels);
    return status;
}

int krippendorff_alpha(struct agreement *out, const int *labels, int items, int raters, int categories,
                       const struct bootstrap *how, struct error *err) {
    struct labelled all;
    int status;

    if (raters < 2) return fail(err, "%d judge(s): agreement needs two", raters);
    if (check_labels(labels, (size_t)items * raters, categories, err)) return -1;
    all = keep(labels, items, raters, categories, 2);
    status = measure(out, krippendorff_of, &all, how, err);
    free((int *)all.labels);
    return status;
}

/* Which side of ½ a score is on. */
static int winner(double score) {
    return (score > 0.5) - (score < 0.5);
}

/* 0 and 1 with the prompts they belong to. */
struct shares {
    double *value;
    int *cluster, count, ones;
};

static struct shares shares_make(int room) {
    return (struct shares){.value = xmalloc(((size_t)room + 1) * sizeof(double)),
                           .cluster = xmalloc(((size_t)room + 1) * sizeof(int))};
}

static void shares_add(struct shares *shares, int one, int cluster) {
    shares->value[shares->count] = one;
    shares->cluster[shares->count++] = cluster;
    shares->ones += one;
}

static void shares_free(struct shares *shares) {
    free(shares->value);
    free(shares->cluster);
}

/* p: against ½. With clusters that do not differ there is no interval: NaN, and so is p. */
static int shares_measure(double *share, struct interval *at, double *p, const struct shares *shares,
                          int clustered, double level, struct error *err) {
    struct estimate estimate;
    struct error none;

    *share = (double)shares->ones / shares->count;
    if (!clustered) {
        if (rate_wilson(at, shares->ones, shares->count, level, err)) return -1;
        return sign_test(p, shares->ones, shares->count - shares->ones, err);
    }
    for (int i = 0; i < shares->count; i++) shares->value[i] -= 0.5;
    *at = (struct interval){NAN, NAN};
    *p = NAN;
    if (mean_clustered(&estimate, shares->value, shares->cluster, shares->count, level, &none)) return 0;
    *at = (struct interval){fmax(0, estimate.low + 0.5), fmin(1, estimate.high + 0.5)};
    *p = estimate.p;
    return 0;
}

int positions_measure(struct positions *out, const double *shown_first, const double *shown_second,
                      const int *cluster, int pairs, double level, struct error *err) {
    struct shares same = shares_make(pairs), first = shares_make(2 * pairs);
    double unused;
    int status = -1;

    *out = (struct positions){0};
    for (int i = 0; i < pairs; i++) {
        int c = cluster ? cluster[i] : i;

        if (isnan(shown_first[i]) || isnan(shown_second[i])) continue;
        shares_add(&same, winner(shown_first[i]) == winner(shown_second[i]), c);
        if (shown_first[i] != 0.5) shares_add(&first, shown_first[i] > 0.5, c);
        if (shown_second[i] != 0.5) shares_add(&first, shown_second[i] < 0.5, c);
    }
    out->pairs = same.count;
    out->decided = first.count;
    if (!out->pairs) {
        fail(err, "no pair was judged in both orders");
        goto out;
    }
    if (shares_measure(&out->consistency, &out->consistency_at, &unused, &same, cluster != NULL, level, err))
        goto out;
    if (!out->decided) {
        fail(err, "every verdict is a tie");
        goto out;
    }
    status =
        shares_measure(&out->first_slot, &out->first_slot_at, &out->p, &first, cluster != NULL, level, err);
out:
    shares_free(&same);
    shares_free(&first);
    return status;
}

int longer_preferred(struct estimate *out, const double *score, const double *delta, int pairs, double level,
                     struct error *err) {
    int longer = 0, decided = 0;
    struct interval at;

    for (int i = 0; i < pairs; i++) {
        if (isnan(score[i]) || isnan(delta[i]) || score[i] == 0.5 || delta[i] == 0) continue;
        decided++;
        longer += (score[i] > 0.5) == (delta[i] > 0);
    }
    if (!decided) return fail(err, "no pair of unequal lengths has a winner");
    if (rate_wilson(&at, longer, decided, level, err)) return -1;
    *out = (struct estimate){.value = (double)longer / decided, .low = at.low, .high = at.high};
    out->freedom = decided;
    return sign_test(&out->p, longer, decided - longer, err);
}

struct prediction {
    double p;
    int y;
};

static int by_chance(const void *a, const void *b) {
    double x = ((const struct prediction *)a)->p, y = ((const struct prediction *)b)->p;
    return (x > y) - (x < y);
}

/* Mann and Whitney's U by the average ranks of the ones. */
static double area(struct prediction *sorted, int n) {
    double rank_sum = 0, ones = 0;

    qsort(sorted, n, sizeof *sorted, by_chance);
    for (int i = 0; i < n;) {
        int end = i, tied = 0;

        for (; end < n && sorted[end].p == sorted[i].p; end++) tied += sorted[end].y;
        rank_sum += tied * (i + 1 + end) / 2.0;
        ones += tied;
        i = end;
    }
    return ones > 0 && ones < n ? (rank_sum - ones * (ones + 1) / 2) / (ones * (n - ones)) : NAN;
}

static double calibration_error(const double *p, const int *y, int n, int bins) {
    double *sums = xcalloc(bins, sizeof *sums), out = 0;

    for (int i = 0; i < n; i++) {
        int bin = (int)(p[i] * bins);
        sums[bin < bins ? bin : bins - 1] += p[i] - y[i];
    }
    for (int b = 0; b < bins; b++) out += fabs(sums[b]) / n;
    free(sums);
    return out;
}

int calibration_measure(struct calibration *out, const double *p, const int *y, int n, int bins,
                        struct error *err) {
    struct prediction *sorted;

    *out = (struct calibration){.n = n};
    if (n < 1) return fail(err, "no predictions");
    if (bins < 1) return fail(err, "%d bins, expected one or more", bins);
    for (int i = 0; i < n; i++)
        if (!(p[i] >= 0 && p[i] <= 1) || (y[i] != 0 && y[i] != 1))
            return fail(err, "prediction %d: a probability and an outcome of 0 or 1 were expected", i + 1);
    sorted = xmalloc(n * sizeof *sorted);
    for (int i = 0; i < n; i++) {
        double clipped = fmin(fmax(p[i], 1e-15), 1 - 1e-15);

        sorted[i] = (struct prediction){p[i], y[i]};
        out->brier += (p[i] - y[i]) * (p[i] - y[i]) / n;
        out->log_loss -= log(y[i] ? clipped : 1 - clipped) / n;
    }
    out->auc = area(sorted, n);
    out->ece = calibration_error(p, y, n, bins);
    free(sorted);
    return isnan(out->auc) ? fail(err, "all outcomes are alike: there is no area under the curve") : 0;
}
