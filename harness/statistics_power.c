#include "harness/statistics_power.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <math.h>

#include "harness/statistics.h"

static double upper_quantile(double tail) {
    return gsl_cdf_ugaussian_Qinv(tail);
}

static double spread(double p) {
    return sqrt(p * (1 - p));
}

static int check(double n, double a, double b, double alpha, double power, struct error *err) {
    if (!(a >= 0 && a <= 1 && b >= 0 && b <= 1))
        return fail(err, "rates of %g and %g, expected shares", a, b);
    if (!(alpha > 0 && alpha < 1)) return fail(err, "a level of %g, expected one between 0 and 1", alpha);
    if (!(power > 0 && power < 1)) return fail(err, "a power of %g, expected one between 0 and 1", power);
    if (!(n >= 1)) return fail(err, "%g observations, expected one or more", n);
    return 0;
}

int rate_sample_size(double *n, double null_rate, double rate, double alpha, double power,
                     struct error *err) {
    double sum;

    if (check(1, null_rate, rate, alpha, power, err)) return -1;
    if (null_rate == rate) return fail(err, "no number of observations tells equal rates apart");
    sum = upper_quantile(alpha / 2) * spread(null_rate) + upper_quantile(1 - power) * spread(rate);
    *n = sum * sum / ((rate - null_rate) * (rate - null_rate));
    return 0;
}

/* P(the exact test of b of m at ½ rejects), b ~ Bin(m, rate). */
static double rejected(int m, double rate, double alpha) {
    double sum = 0;

    for (int b = 0; b <= m; b++)
        if (mcnemar_exact(b, m - b) <= alpha) sum += gsl_ran_binomial_pdf((unsigned)b, rate, (unsigned)m);
    return sum;
}

int sign_test_power(double *power, int n, double rate, double alpha, struct error *err) {
    if (check(n, rate, rate, alpha, 0.5, err)) return -1;
    *power = rejected(n, rate, alpha);
    return 0;
}

int two_rates_sample_size(double *n, double a, double b, double alpha, double power, struct error *err) {
    double pooled = (a + b) / 2, sum;

    if (check(1, a, b, alpha, power, err)) return -1;
    if (a == b) return fail(err, "no number of observations tells equal rates apart");
    sum = upper_quantile(alpha / 2) * M_SQRT2 * spread(pooled) +
          upper_quantile(1 - power) * sqrt(a * (1 - a) + b * (1 - b));
    *n = sum * sum / ((a - b) * (a - b));
    return 0;
}

int two_rates_power(double *power, double n, double a, double b, double alpha, struct error *err) {
    double noise = sqrt(a * (1 - a) + b * (1 - b));

    if (check(n, a, b, alpha, 0.5, err)) return -1;
    if (noise == 0) return fail(err, "rates of %g and %g have no variance", a, b);
    *power = gsl_cdf_ugaussian_P(
        (sqrt(n) * fabs(a - b) - upper_quantile(alpha / 2) * M_SQRT2 * spread((a + b) / 2)) / noise);
    return 0;
}

int two_rates_detectable(double *difference, double n, double a, double alpha, double power,
                         struct error *err) {
    double low = a, high = 1 - 1e-12, got;

    if (two_rates_power(&got, n, a, high, alpha, err)) return -1;
    if (got < power) return fail(err, "%g of each show no rise above %g with a power of %g", n, a, power);
    while (high - low > 1e-12) {
        double middle = (low + high) / 2;

        if (two_rates_power(&got, n, a, middle, alpha, err)) return -1;
        *(got < power ? &low : &high) = middle;
    }
    *difference = high - a;
    return 0;
}

double cohens_h(double a, double b) {
    return 2 * asin(sqrt(a)) - 2 * asin(sqrt(b));
}

int mcnemar_power(double *power, int n, double discordant, double split, double alpha, struct error *err) {
    if (check(n, discordant, split, alpha, 0.5, err)) return -1;
    *power = 0;
    for (int m = 0; m <= n; m++) {
        double chance = gsl_ran_binomial_pdf((unsigned)m, discordant, (unsigned)n);

        if (chance > 1e-16) *power += chance * rejected(m, split, alpha);
    }
    return 0;
}

int wilson_half_width(double *out, double p, double n, struct error *err) {
    struct interval interval;

    if (rate_wilson(&interval, p * n, n, 0.95, err)) return -1;
    *out = (interval.high - interval.low) / 2;
    return 0;
}
