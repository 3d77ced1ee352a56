/* How many prompts a claim needs, and what a number of prompts can show: designs other than the paired mean,
   whose functions stand in statistics.h. alpha: two-sided level; rates in (0, 1). -1 with a sentence for
   impossible designs. */
#ifndef HARNESS_STATISTICS_POWER_H
#define HARNESS_STATISTICS_POWER_H

#include "harness/error.h"

/* One rate against a known one, a win rate against ½, say: normal approximation
   n = (z_{α/2}√(p₀q₀) + z_β√(p₁q₁))² / (p₁ - p₀)². */
int rate_sample_size(double *n, double null_rate, double rate, double alpha, double power, struct error *err);
/* The same formula for the power, and for the smallest rise above null_rate (bisection). */
int rate_power(double *power, double n, double null_rate, double rate, double alpha, struct error *err);
int rate_detectable(double *difference, double n, double null_rate, double alpha, double power,
                    struct error *err);
/* Power of the exact binomial test of ½ when the rate is `rate`. */
int sign_test_power(double *power, int n, double rate, double alpha, struct error *err);

/* Two independent rates, n of each (R power.prop.test). */
int two_rates_sample_size(double *n, double a, double b, double alpha, double power, struct error *err);
int two_rates_power(double *power, double n, double a, double b, double alpha, struct error *err);
/* The smallest rise above rate a that n of each show with that power; by bisection on two_rates_power(). */
int two_rates_detectable(double *difference, double n, double a, double alpha, double power,
                         struct error *err);
double cohens_h(double a, double b); /* 2 asin √a - 2 asin √b */

/* Exact McNemar: n pairs, of which a share `discordant` differ, and of those a share `split` one way: the
   power summed over all outcomes. */
int mcnemar_power(double *power, int n, double discordant, double split, double alpha, struct error *err);

/* The least n whose power is enough where that of n - 1 is not (the exact power rises in steps), below 10^7.
 */
int mcnemar_sample_size(double *n, double discordant, double split, double alpha, double power,
                        struct error *err);
/* The smallest difference of the two shares, discordant·(2 split - 1), by bisection to 1e-9. */
int mcnemar_detectable(double *difference, int n, double discordant, double alpha, double power,
                       struct error *err);

/* Half the width of Wilson's 95 % interval at rate p of n. */
int wilson_half_width(double *out, double p, double n, struct error *err);
/* The least n whose interval is no wider. */
int wilson_sample_size(double *n, double p, double half_width, struct error *err);

#endif
