#include "harness/statistics.h"

#include <float.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/rng.h"

#define EXACT_FLIPS   20
#define SAMPLED_FLIPS 100000

static double normal_quantile(double level) {
    return gsl_cdf_ugaussian_Pinv(0.5 + level / 2);
}

int statistics_check(const double *values, int n, struct error *err) {
    for (int i = 0; i < n; i++)
        if (!isfinite(values[i])) return fail(err, "observation %d of %d is not a finite number", i + 1, n);
    return 0;
}

static int check_level(double level, struct error *err) {
    if (level > 0 && level < 1) return 0;
    return fail(err, "a level of %g, expected one between 0 and 1", level);
}

static int check_counts(double successes, double n, struct error *err) {
    if (!(n >= 1)) return fail(err, "no observations");
    if (!(successes >= 0 && successes <= n)) return fail(err, "%g successes of %g", successes, n);
    return 0;
}

int rate_wilson(struct interval *out, double successes, double n, double level, struct error *err) {
    double z = normal_quantile(level), rate = successes / n, spread;

    if (check_counts(successes, n, err) || check_level(level, err)) return -1;
    spread = z * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n));
    out->low = successes > 0 ? (rate + z * z / (2 * n) - spread) / (1 + z * z / n) : 0;
    out->high = successes < n ? (rate + z * z / (2 * n) + spread) / (1 + z * z / n) : 1;
    return 0;
}

/* The p-quantile of the beta distribution by bisection: GSL's own inverse fails to converge for some. */
static double beta_quantile(double p, double a, double b) {
    double low = 0, high = 1, middle;

    while ((middle = (low + high) / 2) > low && middle < high)
        *(gsl_cdf_beta_P(middle, a, b) < p ? &low : &high) = middle;
    return high;
}

int rate_clopper_pearson(struct interval *out, int successes, int n, double level, struct error *err) {
    double tail = (1 - level) / 2;

    if (check_counts(successes, n, err) || check_level(level, err)) return -1;
    out->low = successes > 0 ? beta_quantile(tail, successes, n - successes + 1.0) : 0;
    out->high = successes < n ? 1 - beta_quantile(tail, n - successes, successes + 1.0) : 1;
    return 0;
}

/* Newcombe's square-and-add of two Wilson intervals, with correlation phi between the rates. */
static int square_and_add(struct estimate *out, const double rates[2], const double n[2], double phi,
                          double level, struct error *err) {
    struct interval wilson[2];
    double below[2], above[2];

    for (int i = 0; i < 2; i++) {
        if (rate_wilson(&wilson[i], rates[i] * n[i], n[i], level, err)) return -1;
        below[i] = rates[i] - wilson[i].low;
        above[i] = wilson[i].high - rates[i];
    }
    *out = (struct estimate){.value = rates[0] - rates[1]};
    out->low =
        out->value - sqrt(fmax(0, below[0] * below[0] - 2 * phi * below[0] * above[1] + above[1] * above[1]));
    out->high =
        out->value + sqrt(fmax(0, above[0] * above[0] - 2 * phi * above[0] * below[1] + below[1] * below[1]));
    return 0;
}

int rate_difference(struct estimate *out, int successes_a, int n_a, int successes_b, int n_b, double level,
                    struct error *err) {
    if (check_counts(successes_a, n_a, err) || check_counts(successes_b, n_b, err)) return -1;
    return square_and_add(out, (double[]){(double)successes_a / n_a, (double)successes_b / n_b},
                          (double[]){n_a, n_b}, 0, level, err);
}

/* Newcombe takes n/2 off a positive association, down to none. */
static double newcombe_phi(double both, double only_a, double only_b, double neither) {
    double n = both + only_a + only_b + neither;
    double cross = both * neither - only_a * only_b;
    double product = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither);

    if (product == 0) return 0;
    if (cross > 0) cross = fmax(cross - n / 2, 0);
    return cross / sqrt(product);
}

int rate_paired(struct estimate *out, int both, int only_a, int only_b, int neither, double level,
                struct error *err) {
    double n = (double)both + only_a + only_b + neither;

    if (both < 0 || only_a < 0 || only_b < 0 || neither < 0) return fail(err, "a count of pairs is negative");
    if (n < 1) return fail(err, "no pairs");
    if (square_and_add(out, (double[]){(both + only_a) / n, (both + only_b) / n}, (double[]){n, n},
                       newcombe_phi(both, only_a, only_b, neither), level, err))
        return -1;
    out->p = mcnemar_exact(only_a, only_b);
    return 0;
}

double mcnemar_exact(int only_a, int only_b) {
    int least = only_a < only_b ? only_a : only_b;

    if (only_a + only_b <= 0) return 1;
    return fmin(1, 2 * gsl_cdf_binomial_P(least, 0.5, only_a + only_b));
}

void mcnemar_chi_square(double *statistic, double *p, int only_a, int only_b, int corrected) {
    double apart = fabs((double)only_a - only_b) - (corrected != 0), discordant = (double)only_a + only_b;

    *statistic = discordant > 0 && apart > 0 ? apart * apart / discordant : 0;
    *p = gsl_cdf_chisq_Q(*statistic, 1);
}

double mcnemar_mid(int only_a, int only_b) {
    int least = only_a < only_b ? only_a : only_b;

    if (only_a + only_b <= 0) return 1;
    return fmin(1, 2 * gsl_cdf_binomial_P(least, 0.5, only_a + only_b) -
                       gsl_ran_binomial_pdf(least, 0.5, only_a + only_b));
}

int fisher_exact(double *p, int a, int b, int c, int d, struct error *err) {
    double seen, sum = 0;

    if (a < 0 || b < 0 || c < 0 || d < 0) return fail(err, "a count of the table is negative");
    if (a + b == 0 || c + d == 0) return fail(err, "one of the two groups is empty");
    seen = gsl_ran_hypergeometric_pdf(a, a + b, c + d, a + c) * (1 + 1e-7);
    for (int k = a + c > c + d ? a - d : 0; k <= a + b && k <= a + c; k++) {
        double chance = gsl_ran_hypergeometric_pdf(k, a + b, c + d, a + c);
        if (chance <= seen) sum += chance;
    }
    *p = fmin(1, sum);
    return 0;
}

int odds_ratio(double *out, int a, int b, int c, int d, struct error *err) {
    if (a < 0 || b < 0 || c < 0 || d < 0) return fail(err, "a count of the table is negative");
    if (b == 0 || c == 0) return fail(err, "no finite odds ratio: a cell of the table is 0");
    *out = (double)a * d / ((double)b * c);
    return 0;
}

int sign_test(double *p, int wins, int losses, struct error *err) {
    if (wins < 0 || losses < 0 || wins + losses == 0) return fail(err, "no wins and no losses to compare");
    *p = mcnemar_exact(wins, losses);
    return 0;
}

double student_p(double t, double freedom) {
    if (isinf(t)) return 0;
    return gsl_cdf_beta_P(freedom / (freedom + t * t), freedom / 2, 0.5);
}

/* t whose two-sided p is 1 - level: GSL's quantile, whose digits beyond 30 degrees of freedom are few, and
   Newton's steps. */
static double student_quantile(double level, double freedom) {
    double t = gsl_cdf_tdist_Pinv(0.5 + level / 2, freedom);

    for (int i = 0; i < 4; i++) {
        double slope = 2 * gsl_ran_tdist_pdf(t, freedom);
        if (slope > 0) t += (student_p(t, freedom) - (1 - level)) / slope;
    }
    return t;
}

/* Interval, t and p from a value and its standard error. An error that is rounding beside `size`, that of the
   observations, is none (as R's t.test has it). */
static int student(struct estimate *out, double value, double error, double freedom, double size,
                   double level, struct error *err) {
    double reach;

    *out = (struct estimate){.value = value, .low = value, .high = value, .p = 1};
    if (check_level(level, err)) return -1;
    if (!(freedom > 0)) return fail(err, "one observation has no spread");
    if (!(error > 10 * DBL_EPSILON * size)) return fail(err, "no variance: all observations are equal");
    if (!isfinite(error)) return fail(err, "the observations are too large for their spread to be a number");
    reach = student_quantile(level, freedom) * error;
    out->error = error;
    out->freedom = freedom;
    out->low = value - reach;
    out->high = value + reach;
    out->t = value / error;
    out->p = student_p(out->t, freedom);
    return 0;
}

static double mean_size(const double *values, int n) {
    double sum = 0;

    for (int i = 0; i < n; i++) sum += fabs(values[i]) / n;
    return sum;
}

int mean_simple(struct estimate *out, const double *values, int n, double level, struct error *err) {
    double mean;

    if (n < 1) return fail(err, "no observations");
    if (statistics_check(values, n, err)) return -1;
    mean = gsl_stats_mean(values, 1, n);
    return student(out, mean, n > 1 ? sqrt(gsl_stats_variance_m(values, 1, n, mean) / n) : 0, n - 1,
                   mean_size(values, n), level, err);
}

struct member {
    int cluster;
    double value;
};

static int by_cluster(const void *a, const void *b) {
    const struct member *x = a, *y = b;
    return (x->cluster > y->cluster) - (x->cluster < y->cluster);
}

/* Σ over clusters of (Σ of the cluster's deviations)², and how many clusters there are. */
static double between_clusters(const struct member *members, int n, double mean, int *clusters) {
    double sum = 0, total = 0;

    *clusters = 0;
    for (int i = 0; i < n; i++) {
        sum += members[i].value - mean;
        if (i + 1 < n && members[i + 1].cluster == members[i].cluster) continue;
        total += sum * sum;
        sum = 0;
        ++*clusters;
    }
    return total;
}

int mean_clustered(struct estimate *out, const double *values, const int *cluster, int n, double level,
                   struct error *err) {
    struct member *members;
    double mean, total;
    int clusters;

    if (n < 1) return fail(err, "no observations");
    if (statistics_check(values, n, err)) return -1;
    members = xmalloc(n * sizeof *members);
    for (int i = 0; i < n; i++) members[i] = (struct member){cluster[i], values[i]};
    qsort(members, n, sizeof *members, by_cluster);
    mean = gsl_stats_mean(values, 1, n);
    total = between_clusters(members, n, mean, &clusters);
    free(members);
    if (clusters < 2) {
        *out = (struct estimate){.value = mean, .low = mean, .high = mean, .p = 1};
        return fail(err, "one cluster has no spread");
    }
    return student(out, mean, sqrt(total * clusters / (clusters - 1.0)) / n, clusters - 1,
                   mean_size(values, n), level, err);
}

int mean_paired(struct estimate *out, const double *a, const double *b, const int *cluster, int n,
                double level, struct error *err) {
    double *difference = xmalloc((n > 0 ? n : 1) * sizeof *difference);
    int status;

    for (int i = 0; i < n; i++) difference[i] = a[i] - b[i];
    status = cluster ? mean_clustered(out, difference, cluster, n, level, err)
                     : mean_simple(out, difference, n, level, err);
    free(difference);
    return status;
}

int mean_difference(struct estimate *out, const double *a, int n_a, const double *b, int n_b, double level,
                    struct error *err) {
    double square_a, square_b, freedom;

    if (n_a < 2 || n_b < 2) return fail(err, "%d and %d observations: two of each are needed", n_a, n_b);
    if (statistics_check(a, n_a, err) || statistics_check(b, n_b, err)) return -1;
    square_a = gsl_stats_variance(a, 1, n_a) / n_a;
    square_b = gsl_stats_variance(b, 1, n_b) / n_b;
    freedom =
        pow(square_a + square_b, 2) / (square_a * square_a / (n_a - 1) + square_b * square_b / (n_b - 1));
    if (square_a + square_b == 0) freedom = n_a + n_b - 2;
    return student(out, gsl_stats_mean(a, 1, n_a) - gsl_stats_mean(b, 1, n_b), sqrt(square_a + square_b),
                   freedom, fmax(mean_size(a, n_a), mean_size(b, n_b)), level, err);
}

/* All scores 0 or 1: counts of each. */
static int count_decisive(const double *scores, int n, int *wins, int *losses) {
    *wins = *losses = 0;
    for (int i = 0; i < n; i++) {
        *wins += scores[i] == 1;
        *losses += scores[i] == 0;
    }
    return *wins + *losses == n;
}

int win_rate(struct estimate *out, const double *scores, int n, double level, struct error *err) {
    struct interval wilson;
    int wins, losses;

    if (n < 1) return fail(err, "no comparisons");
    for (int i = 0; i < n; i++)
        if (!(scores[i] >= 0 && scores[i] <= 1)) return fail(err, "a win score of %g", scores[i]);
    if (count_decisive(scores, n, &wins, &losses)) {
        if (rate_wilson(&wilson, wins, n, level, err)) return -1;
        *out = (struct estimate){.value = (double)wins / n, .low = wilson.low, .high = wilson.high};
        if (n > 1) out->error = sqrt(out->value * (1 - out->value) / (n - 1));
        return sign_test(&out->p, wins, losses, err);
    }
    if (mean_simple(out, scores, n, level, err)) return -1;
    out->low = fmax(0, out->low);
    out->high = fmin(1, out->high);
    out->t = (out->value - 0.5) / out->error;
    out->p = student_p(out->t, out->freedom);
    return 0;
}

/* Share of all 2^n sign patterns whose sum is as far from 0; by Gray code, one sign a step. */
static double flip_exactly(const double *d, int n, double seen) {
    double sign[EXACT_FLIPS], sum = 0;
    long patterns = 1L << n, extreme = 0;

    for (int i = 0; i < n; i++) {
        sign[i] = 1;
        sum += d[i];
    }
    for (long step = 1; step <= patterns; step++) {
        int turned = __builtin_ctzl(step);

        extreme += fabs(sum) >= seen;
        if (turned == n) break;
        sign[turned] = -sign[turned];
        sum += 2 * sign[turned] * d[turned];
    }
    return (double)extreme / patterns;
}

/* Sums of each eight differences under each of their 256 sign patterns: [(n + 7)/8][256]. Caller frees. */
static double *flip_tables(const double *d, int n) {
    int groups = (n + 7) / 8;
    double *tables = xcalloc((size_t)groups * 256, sizeof *tables);

    for (int i = 0; i < n; i++)
        for (int pattern = 0; pattern < 256; pattern++)
            tables[(size_t)(i / 8) * 256 + pattern] += pattern >> (i % 8) & 1 ? d[i] : -d[i];
    return tables;
}

static double flip_sampled(const double *d, int n, double seen, uint64_t seed) {
    double *tables = flip_tables(d, n);
    long extreme = 0;

#pragma omp parallel for reduction(+ : extreme)
    for (int draw = 0; draw < SAMPLED_FLIPS; draw++) {
        struct rng rng = rng_stream(seed, "sign_flip", draw, 0);
        uint32_t bits = 0;
        double sum = 0;

        for (int g = 0; 8 * g < n; g++) {
            bits = g % 4 ? bits >> 8 : rng_u32(&rng);
            sum += tables[(size_t)g * 256 + (bits & 255)];
        }
        extreme += fabs(sum) >= seen;
    }
    free(tables);
    return (extreme + 1.0) / (SAMPLED_FLIPS + 1.0);
}

int sign_flip(double *p, const double *d, int n, uint64_t seed, struct error *err) {
    double *moved, sum = 0, size = 0;
    int count = 0;

    if (n < 1) return fail(err, "no differences");
    if (statistics_check(d, n, err)) return -1;
    moved = xmalloc(n * sizeof *moved);
    for (int i = 0; i < n; i++) {
        if (d[i] != 0) moved[count++] = d[i];
        sum += d[i];
        size += fabs(d[i]);
    }
    sum = fabs(sum) - 1e-9 * size; /* equal sums may differ by rounding */
    if (count == 0)
        *p = 1;
    else if (count <= EXACT_FLIPS)
        *p = flip_exactly(moved, count, sum);
    else
        *p = flip_sampled(moved, count, sum, seed);
    free(moved);
    return 0;
}

double sign_flip_floor(const double *d, int n) {
    int count = 0;

    for (int i = 0; i < n; i++) count += d[i] != 0;
    return count <= EXACT_FLIPS ? NAN : 1 / (SAMPLED_FLIPS + 1.0);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int quantile(double *out, const double *values, int n, double q, struct error *err) {
    double *sorted;

    if (n < 1) return fail(err, "no observations");
    if (!(q >= 0 && q <= 1)) return fail(err, "a quantile at %g, expected 0 to 1", q);
    if (statistics_check(values, n, err)) return -1;
    sorted = xmalloc(n * sizeof *sorted);
    memcpy(sorted, values, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    *out = gsl_stats_quantile_from_sorted_data(sorted, 1, n, q);
    free(sorted);
    return 0;
}

struct ranked {
    double p;
    int index;
};

static int by_p(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->p != y->p) return x->p < y->p ? -1 : 1;
    return x->index - y->index;
}

/* The p values that are tests, ascending; the rest of `adjusted` becomes NaN. Caller frees. */
static struct ranked *rank_tests(double *adjusted, const double *p, int n, int *tests) {
    struct ranked *ranked = xmalloc((n > 0 ? n : 1) * sizeof *ranked);

    *tests = 0;
    for (int i = 0; i < n; i++) {
        adjusted[i] = NAN;
        if (!isnan(p[i])) ranked[(*tests)++] = (struct ranked){p[i], i};
    }
    qsort(ranked, *tests, sizeof *ranked, by_p);
    return ranked;
}

void adjust_bonferroni(double *adjusted, const double *p, int n) {
    int tests = 0;

    for (int i = 0; i < n; i++) tests += !isnan(p[i]);
    for (int i = 0; i < n; i++) adjusted[i] = isnan(p[i]) ? NAN : fmin(1, tests * p[i]);
}

void adjust_holm(double *adjusted, const double *p, int n) {
    int tests;
    struct ranked *ranked = rank_tests(adjusted, p, n, &tests);
    double most = 0;

    for (int i = 0; i < tests; i++) {
        most = fmax(most, fmin(1, (tests - i) * ranked[i].p));
        adjusted[ranked[i].index] = most;
    }
    free(ranked);
}

void adjust_benjamini_hochberg(double *adjusted, const double *p, int n) {
    int tests;
    struct ranked *ranked = rank_tests(adjusted, p, n, &tests);
    double least = 1;

    for (int i = tests - 1; i >= 0; i--) {
        least = fmin(least, ranked[i].p * tests / (i + 1));
        adjusted[ranked[i].index] = least;
    }
    free(ranked);
}

static double two_quantiles(double alpha, double power) {
    return gsl_cdf_ugaussian_Qinv(alpha / 2) + gsl_cdf_ugaussian_Pinv(power);
}

static double paired_variance(const struct paired_design *design) {
    return design->between + design->within_a / design->answers_a + design->within_b / design->answers_b;
}

double paired_sample_size(const struct paired_design *design, double effect) {
    double z = two_quantiles(design->alpha, design->power);
    return z * z * paired_variance(design) / (effect * effect);
}

double paired_detectable(const struct paired_design *design, double n) {
    return detectable_effect(sqrt(paired_variance(design) / n), design->alpha, design->power);
}

double paired_power(const struct paired_design *design, double n, double effect) {
    double z = gsl_cdf_ugaussian_Qinv(design->alpha / 2);

    return gsl_cdf_ugaussian_P(fabs(effect) / sqrt(paired_variance(design) / n) - z);
}

double detectable_effect(double error, double alpha, double power) {
    return two_quantiles(alpha, power) * error;
}
