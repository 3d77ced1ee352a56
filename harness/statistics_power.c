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
        return fail(err,
                    "rates of %g and %g, expected shares from 0 to 1: an effect is added to the rate that it "
                    "starts from",
                    a, b);
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

int rate_power(double *power, double n, double null_rate, double rate, double alpha, struct error *err) {
    if (check(n, null_rate, rate, alpha, 0.5, err)) return -1;
    if (spread(rate) == 0) return fail(err, "a rate of %g has no variance", rate);
    *power = gsl_cdf_ugaussian_P(
        (sqrt(n) * fabs(rate - null_rate) - upper_quantile(alpha / 2) * spread(null_rate)) / spread(rate));
    return 0;
}

/* The exact test of b of m at ½ rejects b up to this, and m - b up to this; -1: none. */
static int critical(int m, double alpha) {
    int low = -1, high = m / 2 + 1; /* rejected, and not */

    while (high - low > 1) {
        int middle = low + (high - low) / 2;

        *(mcnemar_exact(middle, m - middle) <= alpha ? &low : &high) = middle;
    }
    return low;
}

/* P(the exact test of b of m at ½ rejects), b ~ Bin(m, rate). */
static double rejected(int m, double rate, double alpha) {
    int reach = critical(m, alpha);

    if (reach < 0) return 0;
    return gsl_cdf_binomial_P((unsigned)reach, rate, (unsigned)m) +
           gsl_cdf_binomial_Q((unsigned)(m - reach - 1), rate, (unsigned)m);
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

typedef int powerful(double *power, double n, double a, double b, double alpha, struct error *err);

/* The smallest rise above rate a that has the power. */
static int detectable_rise(double *difference, powerful *power_of, double n, double a, double alpha,
                           double power, struct error *err) {
    double low = a, high = 1 - 1e-12, got;

    if (power_of(&got, n, a, high, alpha, err)) return -1;
    if (got < power)
        return fail(err, "%g observations show no rise above %g with a power of %g", n, a, power);
    while (high - low > 1e-12) {
        double middle = (low + high) / 2;

        if (power_of(&got, n, a, middle, alpha, err)) return -1;
        *(got < power ? &low : &high) = middle;
    }
    *difference = high - a;
    return 0;
}

int two_rates_detectable(double *difference, double n, double a, double alpha, double power,
                         struct error *err) {
    return detectable_rise(difference, two_rates_power, n, a, alpha, power, err);
}

int rate_detectable(double *difference, double n, double null_rate, double alpha, double power,
                    struct error *err) {
    return detectable_rise(difference, rate_power, n, null_rate, alpha, power, err);
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

int mcnemar_sample_size(double *n, double discordant, double split, double alpha, double power,
                        struct error *err) {
    int low = 0, high = 1; /* not enough, and enough */
    double got = 0;

    if (split == 0.5) return fail(err, "no number of pairs tells equal shares apart");
    for (;; high *= 2) {
        if (mcnemar_power(&got, high, discordant, split, alpha, err)) return -1;
        if (got >= power) break;
        if (high > 10000000 / 2) return fail(err, "more than 10,000,000 pairs");
        low = high;
    }
    while (high - low > 1) {
        int middle = low + (high - low) / 2;

        if (mcnemar_power(&got, middle, discordant, split, alpha, err)) return -1;
        *(got < power ? &low : &high) = middle;
    }
    *n = high;
    return 0;
}

int mcnemar_detectable(double *difference, int n, double discordant, double alpha, double power,
                       struct error *err) {
    double low = 0.5, high = 1, got;

    if (mcnemar_power(&got, n, discordant, 1, alpha, err)) return -1;
    if (got < power)
        return fail(err, "%d pairs, of which %g differ, show no difference with a power of %g", n, discordant,
                    power);
    while (high - low > 1e-9) {
        double middle = (low + high) / 2;

        if (mcnemar_power(&got, n, discordant, middle, alpha, err)) return -1;
        *(got < power ? &low : &high) = middle;
    }
    *difference = discordant * (2 * high - 1);
    return 0;
}

int wilson_half_width(double *out, double p, double n, struct error *err) {
    struct interval interval;

    if (rate_wilson(&interval, p * n, n, 0.95, err)) return -1;
    *out = (interval.high - interval.low) / 2;
    return 0;
}

int wilson_sample_size(double *n, double p, double half_width, struct error *err) {
    double low = 0, high = 1, got;

    if (!(half_width > 0)) return fail(err, "a half width of %g, expected more than 0", half_width);
    for (;; high *= 2) {
        if (wilson_half_width(&got, p, high, err)) return -1;
        if (got <= half_width) break;
        low = high;
    }
    while (high - low > 1) {
        double middle = floor((low + high) / 2);

        if (wilson_half_width(&got, p, middle, err)) return -1;
        *(got > half_width ? &low : &high) = middle;
    }
    *n = high;
    return 0;
}
