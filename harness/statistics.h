/* Estimators, intervals and tests over GSL, each with its source. Where the data cannot give a number (too
   few, no variance) the function returns -1 with the sentence a table shows; it never answers NaN in silence.
   A mean, rate or difference that exists is in `value` even when its error does not.
   `level` is the interval's, 0.95 say; every p is two-sided. */
#ifndef HARNESS_STATISTICS_H
#define HARNESS_STATISTICS_H

#include <stdint.h>

#include "harness/error.h"

struct interval {
    double low, high;
};

/* A mean, or a difference of means, with Student's t. */
struct estimate {
    double value, error; /* error: standard error */
    double low, high, t, freedom, p;
};

/* Rates (statistics.c). */

/* Wilson's score interval (R prop.test, correct = FALSE): the default for a rate. */
int rate_wilson(struct interval *out, double successes, double n, double level, struct error *err);
/* Clopper and Pearson's exact interval (R binom.test): conservative. */
int rate_clopper_pearson(struct interval *out, int successes, int n, double level, struct error *err);
/* a - b of independent rates: Newcombe's hybrid of two Wilson intervals (1998, method 10). */
int rate_difference(struct estimate *out, int successes_a, int n_a, int successes_b, int n_b, double level,
                    struct error *err); /* value, low, high; error, t, freedom and p are 0 */
/* a - b of paired rates: Newcombe's square-and-add with phi (1998, paired, method 10) without continuity
   correction; p is exact McNemar's. Counts of pairs: both, a alone, b alone, neither. */
int rate_paired(struct estimate *out, int both, int only_a, int only_b, int neither, double level,
                struct error *err);
/* McNemar on the discordant pairs: exact binomial, and mid-p (Fagerland et al. 2013). None: 1. */
double mcnemar_exact(int only_a, int only_b);
double mcnemar_mid(int only_a, int only_b);
/* McNemar's own χ² with one degree of freedom (1947), with the continuity correction if `corrected`; both
   counts 0: p 1. */
void mcnemar_chi_square(double *statistic, double *p, int only_a, int only_b, int corrected);
/* Fisher's exact test of the table a b / c d: sums the tables no likelier than the one seen (R fisher.test).
 */
int fisher_exact(double *p, int a, int b, int c, int d, struct error *err);
/* The sample's odds ratio, ad/bc; not Fisher's conditional estimate, which R prints. -1 where b or c is 0. */
int odds_ratio(double *out, int a, int b, int c, int d, struct error *err);
/* Exact sign test of wins against losses, ties left out. */
int sign_test(double *p, int wins, int losses, struct error *err);

/* Means (statistics.c). */

/* Mean of rows; n - 1 degrees of freedom. */
int mean_simple(struct estimate *out, const double *values, int n, double level, struct error *err);
/* Mean of rows with errors clustered by cluster[i] (any ints; rows in any order): Miller 2024 with C/(C-1) as
   R vcovCL(HC0, cadjust), t with C - 1. */
int mean_clustered(struct estimate *out, const double *values, const int *cluster, int n, double level,
                   struct error *err);
/* Mean of a[i] - b[i]; cluster: as above, or NULL where each pair is a prompt of its own. */
int mean_paired(struct estimate *out, const double *a, const double *b, const int *cluster, int n,
                double level, struct error *err);
/* a - b of independent samples: Welch's t. */
int mean_difference(struct estimate *out, const double *a, int n_a, const double *b, int n_b, double level,
                    struct error *err);
/* Win rate: mean of scores in [0, 1] (1, ½ and 0, or a weight), one a prompt; p against ½. With scores all
   0 or 1 the interval is Wilson's and p the exact sign test's; else Student's t, cut to [0, 1]. */
int win_rate(struct estimate *out, const double *scores, int n, double level, struct error *err);
/* P(mean as far from 0 | signs of d exchangeable): exact to 20 non-zero values, sampled above (100,000 draws
   of the stream `seed`, plus one). d: one value a cluster. */
int sign_flip(double *p, const double *d, int n, uint64_t seed, struct error *err);
/* The least p that it has for these differences where it draws; NaN where it counts all patterns. */
double sign_flip_floor(const double *d, int n);
/* Type-7 quantile (R's and GSL's default) of unsorted values. */
int quantile(double *out, const double *values, int n, double q, struct error *err);
/* P(|T| ≥ |t|) of Student's t as an incomplete beta function, exact far out where GSL's Cornish-Fisher series
   (beyond 30 degrees of freedom) has lost its digits. */
double student_p(double t, double freedom);
/* -1 with the number of the first value that is not finite. */
int statistics_check(const double *values, int n, struct error *err);

/* p values adjusted in place-free fashion; n >= 1. NaN entries are no test: they stay NaN and do not count.
 */
void adjust_bonferroni(double *adjusted, const double *p, int n);         /* family-wise; n·p */
void adjust_holm(double *adjusted, const double *p, int n);               /* family-wise; step-down */
void adjust_benjamini_hochberg(double *adjusted, const double *p, int n); /* false discovery rate; step-up */

/* Paired design of n prompts (Miller 2024): variance of the prompts' true differences, within-prompt variance
   of each side over its answers a prompt. */
struct paired_design {
    double between, within_a, within_b;
    double answers_a, answers_b; /* a prompt */
    double alpha, power;         /* 0.05 and 0.8, say */
};
double paired_sample_size(const struct paired_design *design, double effect);
/* Φ(effect/error - z_{α/2}): the far tail is left out. */
double paired_power(const struct paired_design *design, double n, double effect);
double paired_detectable(const struct paired_design *design, double n); /* minimum detectable effect */
/* The same from an estimate's standard error: (z_{α/2} + z_β)·error. */
double detectable_effect(double error, double alpha, double power);

/* Bootstrap over clusters (statistics_bootstrap.c). */

enum bootstrap_kind { BOOTSTRAP_PERCENTILE, BOOTSTRAP_BCA };
struct bootstrap {
    uint64_t seed;
    int resamples; /* 10,000 */
    double level;
    enum bootstrap_kind kind;
};
struct bootstrapped {
    double value; /* of the sample itself, not the resamples' mean */
    double low, high, error;
    double p;     /* achieved level against 0: twice the smaller tail, (count + 1) / (used + 1) */
    double floor; /* the least p of so many resamples */
    double skew;  /* BCa's jackknife acceleration; 0 for the percentile interval */
    int used;     /* resamples in which the statistic existed */
};

/* A statistic of the clusters picked (indices, with repeats); NaN where it does not exist. */
typedef double bootstrap_statistic(const void *data, const int *picked, int count);

/* Resamples `clusters` clusters. -1 if the statistic is undefined on the sample or on more than a tenth of
   the resamples. The result depends on the seed alone, not on threads. */
int bootstrap_run(struct bootstrapped *out, bootstrap_statistic *statistic, const void *data, int clusters,
                  const struct bootstrap *how, struct error *err);
/* The fast path. A ratio of sums over clusters, Σ sum[c] / Σ weight[c]: a mean or a rate (sum of the rows'
   values; weight = rows in the cluster, 0 where none counts). */
int bootstrap_mean(struct bootstrapped *out, const double *sum, const double *weight, int clusters,
                   const struct bootstrap *how, struct error *err);
/* Difference of two such ratios over the same clusters: paired by cluster. */
int bootstrap_difference(struct bootstrapped *out, const double *sum_a, const double *weight_a,
                         const double *sum_b, const double *weight_b, int clusters,
                         const struct bootstrap *how, struct error *err);

/* Association and fits (statistics_fit.c). */

struct correlation {
    double value, low, high, statistic, p; /* low, high: Fisher's z at `level` */
    int n;
};
int pearson(struct correlation *out, const double *x, const double *y, int n, double level,
            struct error *err);
/* Average ranks; p by t with n - 2; Fisher's z with variance 1/(n - 3). */
int spearman(struct correlation *out, const double *x, const double *y, int n, double level,
             struct error *err);
/* τ-b with the tie-corrected normal p (scipy kendalltau, asymptotic); low and high are not given (0, 0). */
int kendall(struct correlation *out, const double *x, const double *y, int n, struct error *err);
/* P(|statistic| as large | all orders of y equally likely), counted over the n! orders: the exact two-sided p
   of Spearman's ρ, ties allowed, to 10 pairs; and of Kendall's τ without ties, to 100 pairs. */
int spearman_exact(double *p, const double *x, const double *y, int n, struct error *err);
int kendall_exact(double *p, const double *x, const double *y, int n, struct error *err);
/* Given z: residuals of least squares on z with intercept; t with n - 3. */
int partial_pearson(struct correlation *out, const double *x, const double *y, const double *z, int n,
                    double level, struct error *err);
/* The same after ranking all three (rank first, then residuals). */
int partial_spearman(struct correlation *out, const double *x, const double *y, const double *z, int n,
                     double level, struct error *err);

/* Cleveland's LOWESS (1979) as R's lowess() with delta 0: local lines, tricube over the max(2, ⌊share·n⌋)
   nearest, `rounds` bisquare rounds (3) that stop where the residuals' median is nothing beside their mean. x
   ascending; fitted: [n]. */
int lowess(double *fitted, const double *x, const double *y, int n, double share, int rounds,
           struct error *err);

/* Gao, Schulman and Hilton 2022, d = √KL(π‖π₀) in nats: best-of-n R(d) = d(α - βd), RL R(d) = d(α - β ln d);
   least squares without intercept, points at d = 0 left out. */
enum gao_form { GAO_BEST_OF_N, GAO_RL };
struct gao_fit {
    enum gao_form form;
    double alpha, beta, alpha_error, beta_error;
    int has_peak;         /* β > 0, and for best-of-n α > 0 */
    double peak_at, peak; /* d* and R* */
    int inside;           /* d* lies within the data */
};
int gao_fit(struct gao_fit *out, enum gao_form form, const double *distance, const double *reward, int n,
            struct error *err);
double gao_value(const struct gao_fit *fit, double distance);
double best_of_n_kl(double n); /* ln n - (n - 1)/n nats */

/* Expected score of the sample that is best by proxy among n of the `count` stored ones, without resampling:
   Σ C(i-1, n-1) g_(i) / C(count, n), sorted by proxy (ties in proxy share their mean gold). */
int best_of_n(double *out, const double *proxy, const double *gold, int count, int n, struct error *err);
/* P(at least one of k drawn is right) when `right` of n are: 1 - C(n-right, k)/C(n, k). */
int pass_at(double *out, int n, int right, int k, struct error *err);

/* "Language models learn to mislead humans" (2409.12822): re-weighted means over items judged before and
   after training. approves in [0, 1]; error is E|approves - correct|; the false-positive rate is
   P(approves | wrong) over items that BOTH policies got wrong. */
struct sophistry {
    double correctness, approval, error;
    double false_positive; /* NaN when both_wrong is 0 */
    int n, both_wrong;
};
struct sophistry_item {
    int correct_before, correct_after; /* 0 or 1 */
    double approves_before, approves_after;
};
/* shares: of the population in the cells (before, after) = wrong-wrong, wrong-right, right-wrong,
   right-right, where the items were drawn by cell; NULL: the items are the population. */
int sophistry_measure(struct sophistry *before, struct sophistry *after, const struct sophistry_item *items,
                      int n, const double shares[4], struct error *err);

enum sophistry_figure {
    SOPHISTRY_CORRECTNESS,
    SOPHISTRY_APPROVAL,
    SOPHISTRY_ERROR,
    SOPHISTRY_FALSE_POSITIVE
};
struct sophistry_change {
    struct bootstrapped before, after, change; /* change: after less before on the same items; its p */
};
/* One figure with intervals over resampled items, one a prompt; each resample is weighted again to the
   shares. -1 where the figure does not exist, on the items or on more than a tenth of the resamples. */
int sophistry_resample(struct sophistry_change *out, enum sophistry_figure figure,
                       const struct sophistry_item *items, int n, const double shares[4],
                       const struct bootstrap *how, struct error *err);

#endif
