#include <float.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/rng.h"
#include "harness/statistics.h"

/* `count` indices below count, with repeats. Two of 16 bits from each word while they reach; Lemire's
   rejection keeps every index equally likely. */
static void pick(int *picked, int count, struct rng *rng) {
    uint32_t spare = 0, bound = (uint32_t)count, reject;
    int halves = 0, done = 0;

    if (count > 0x10000) {
        while (done < count) picked[done++] = rng_below(rng, count);
        return;
    }
    reject = 0x10000 % bound;
    while (done < count) {
        uint32_t product;

        if (halves == 0) {
            spare = rng_u32(rng);
            halves = 2;
        }
        product = (spare & 0xffff) * bound;
        spare >>= 16;
        halves--;
        if ((product & 0xffff) >= reject) picked[done++] = (int)(product >> 16);
    }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Resamples the statistic and sorts what exists; returns how many. */
static int resample(double *values, bootstrap_statistic *statistic, const void *data, int clusters,
                    const struct bootstrap *how) {
    int used = 0;

#pragma omp parallel
    {
        int *picked = xmalloc(clusters * sizeof *picked);

#pragma omp for
        for (int r = 0; r < how->resamples; r++) {
            struct rng rng = rng_stream(how->seed, "bootstrap", r, 0);
            pick(picked, clusters, &rng);
            values[r] = statistic(data, picked, clusters);
        }
        free(picked);
    }
    for (int r = 0; r < how->resamples; r++)
        if (!isnan(values[r])) values[used++] = values[r];
    qsort(values, used, sizeof *values, by_value);
    return used;
}

/* Jackknife acceleration (Efron 1987): Σd³ / 6(Σd²)^1.5, d = mean of the leave-one-out values less each. */
static double acceleration(bootstrap_statistic *statistic, const void *data, int clusters) {
    double *left_out = xmalloc(clusters * sizeof *left_out), mean = 0, squares = 0, cubes = 0;
    int *picked = xmalloc(clusters * sizeof *picked), used = 0;

    for (int i = 0; i < clusters; i++) picked[i] = i + 1;
    for (int i = 0; i < clusters; i++) {
        double value = statistic(data, picked, clusters - 1);
        if (!isnan(value)) left_out[used++] = value;
        picked[i] = i;
    }
    for (int i = 0; i < used; i++) mean += left_out[i] / used;
    for (int i = 0; i < used; i++) {
        double d = mean - left_out[i];
        squares += d * d;
        cubes += d * d * d;
    }
    free(left_out);
    free(picked);
    return squares > 0 ? cubes / (6 * pow(squares, 1.5)) : 0;
}

/* The tail at which BCa reads the resamples, for the nominal tail `q`. */
static double corrected_tail(double q, double bias, double skew) {
    double z = bias + gsl_cdf_ugaussian_Pinv(q);
    return gsl_cdf_ugaussian_P(bias + z / (1 - skew * z));
}

/* Bias as the share of resamples below the sample's value, ties out (Efron 1987); sums in another order may
   differ by rounding. */
static void correct_tails(double tails[2], const double *values, int used, double value, double skew) {
    double below = 0, edge = value - 1e-12 * fabs(value);

    for (int i = 0; i < used; i++) below += values[i] < edge;
    below = fmin(fmax(below, 0.5), used - 0.5) / used; /* a finite bias at the ends */
    for (int i = 0; i < 2; i++) tails[i] = corrected_tail(tails[i], gsl_cdf_ugaussian_Pinv(below), skew);
}

/* Twice the smaller of the shares at or beyond 0. */
static double achieved_level(const double *values, int used) {
    int low = 0, high = 0;

    for (int i = 0; i < used; i++) {
        low += values[i] <= 0;
        high += values[i] >= 0;
    }
    return fmin(1, 2 * ((low < high ? low : high) + 1.0) / (used + 1.0));
}

static int check_bootstrap(int clusters, const struct bootstrap *how, struct error *err) {
    if (clusters < 2)
        return fail(err, clusters ? "one cluster: resampling needs two" : "no cluster: resampling needs two");
    if (how->resamples < 100) return fail(err, "%d resamples, expected 100 or more", how->resamples);
    if (!(how->level > 0 && how->level < 1))
        return fail(err, "a level of %g, expected one between 0 and 1", how->level);
    return 0;
}

static double on_sample(bootstrap_statistic *statistic, const void *data, int clusters) {
    int *all = xmalloc(clusters * sizeof *all);
    double value;

    for (int i = 0; i < clusters; i++) all[i] = i;
    value = statistic(data, all, clusters);
    free(all);
    return value;
}

int bootstrap_run(struct bootstrapped *out, bootstrap_statistic *statistic, const void *data, int clusters,
                  const struct bootstrap *how, struct error *err) {
    double *values, tails[2];
    int status = -1;

    *out = (struct bootstrapped){0};
    if (clusters == 1) out->value = on_sample(statistic, data, 1);
    if (check_bootstrap(clusters, how, err)) return -1;
    out->value = on_sample(statistic, data, clusters);
    if (isnan(out->value)) return fail(err, "the statistic does not exist on this sample");
    values = xmalloc(how->resamples * sizeof *values);
    out->used = resample(values, statistic, data, clusters, how);
    if (out->used < 0.9 * how->resamples) {
        fail(err, "the statistic exists in %d of %d resamples only", out->used, how->resamples);
        goto out;
    }
    out->low = out->high = out->value;
    out->p = 1;
    if (values[out->used - 1] - values[0] <= 10 * DBL_EPSILON * fabs(out->value)) {
        fail(err, "no variance: all resamples are equal");
        goto out;
    }
    tails[0] = (1 - how->level) / 2;
    tails[1] = 1 - tails[0];
    if (how->kind == BOOTSTRAP_BCA) {
        out->skew = acceleration(statistic, data, clusters);
        correct_tails(tails, values, out->used, out->value, out->skew);
    }
    out->low = gsl_stats_quantile_from_sorted_data(values, 1, out->used, tails[0]);
    out->high = gsl_stats_quantile_from_sorted_data(values, 1, out->used, tails[1]);
    out->error = gsl_stats_sd(values, 1, out->used);
    out->p = achieved_level(values, out->used);
    out->floor = 2 / (out->used + 1.0);
    status = 0;
out:
    free(values);
    return status;
}

struct ratio {
    const double *sum, *weight;
};

static double ratio_of(const struct ratio *ratio, const int *picked, int count) {
    double sum = 0, weight = 0;

    for (int i = 0; i < count; i++) {
        sum += ratio->sum[picked[i]];
        weight += ratio->weight[picked[i]];
    }
    return weight > 0 ? sum / weight : NAN;
}

static double one_ratio(const void *data, const int *picked, int count) {
    return ratio_of(data, picked, count);
}

static double two_ratios(const void *data, const int *picked, int count) {
    const struct ratio *ratios = data;
    return ratio_of(&ratios[0], picked, count) - ratio_of(&ratios[1], picked, count);
}

int bootstrap_mean(struct bootstrapped *out, const double *sum, const double *weight, int clusters,
                   const struct bootstrap *how, struct error *err) {
    struct ratio ratio = {sum, weight};
    return bootstrap_run(out, one_ratio, &ratio, clusters, how, err);
}

int bootstrap_difference(struct bootstrapped *out, const double *sum_a, const double *weight_a,
                         const double *sum_b, const double *weight_b, int clusters,
                         const struct bootstrap *how, struct error *err) {
    struct ratio ratios[] = {{sum_a, weight_a}, {sum_b, weight_b}};
    return bootstrap_run(out, two_ratios, ratios, clusters, how, err);
}
