/* How far judges agree, with each other and with what happened: chance-corrected agreement, positional
   consistency, calibration. Labels are category numbers from 0; -1 is a missing one. */
#ifndef HARNESS_STATISTICS_AGREE_H
#define HARNESS_STATISTICS_AGREE_H

#include "harness/statistics.h"

/* Each measure answers -1 with its value set, and why in err, where resampling gave no interval. */
enum kappa_weights { KAPPA_NOMINAL, KAPPA_LINEAR, KAPPA_QUADRATIC };

struct agreement {
    double value;
    double low, high; /* percentile bootstrap over items; NaN where `how` was NULL */
    double raw;       /* share of (pairs of) labels that agree */
    int n;            /* items that counted */
};

/* Cohen's κ of two judges (1960; weighted 1968): 1 - Σ w·observed / Σ w·expected, w = 0 on the diagonal, else
   1, |i - j| or (i - j)². Items with a missing label are left out. how: of the interval, or NULL. */
int cohen_kappa(struct agreement *out, const int *a, const int *b, int items, int categories,
                enum kappa_weights weights, const struct bootstrap *how, struct error *err);
/* Fleiss' κ (1971) of `raters` labels an item, labels[item·raters + rater]; items with a missing label are
 * left out. */
int fleiss_kappa(struct agreement *out, const int *labels, int items, int raters, int categories,
                 const struct bootstrap *how, struct error *err);
/* Krippendorff's α for nominal data (2004): 1 - D_observed / D_expected over the coincidences of items with
   two or more labels; missing ones are allowed. */
int krippendorff_alpha(struct agreement *out, const int *labels, int items, int raters, int categories,
                       const struct bootstrap *how, struct error *err);

/* The same for ratings on an interval scale: disagreement is (x - y)². ratings[item·raters + rater], NaN:
   missing. cluster[item], from 0: what the interval resamples; NULL: items. */
int krippendorff_interval(struct agreement *out, const double *ratings, int items, int raters,
                          const int *cluster, const struct bootstrap *how, struct error *err);

/* A judge that saw each pair twice. Scores are of the same answer: 1 wins, ½ ties, 0 loses. */
struct positions {
    double consistency;             /* share of pairs with the same winner, or a tie, in both */
    struct interval consistency_at; /* Wilson's; with clusters Student's t, cut to [0, 1], NaN if all alike */
    double first_slot;              /* share of verdicts, ties out, for whichever was shown first */
    struct interval first_slot_at;  /* the same; no bias is ½ */
    double p;                       /* of first_slot against ½: exact sign test; with clusters Student's t */
    int pairs, decided;             /* decided: verdicts that are no tie */
};
/* shown_first, shown_second: the answer's score when it was shown first, and second; NaN where there was no
   verdict. cluster: of each pair, its prompt, where prompts have several pairs (mean_clustered()); NULL where
   each has one. */
int positions_measure(struct positions *out, const double *shown_first, const double *shown_second,
                      const int *cluster, int pairs, double level, struct error *err);

/* P(longer preferred): the share of pairs, ties and equal lengths out, whose longer answer won; Wilson's
   interval, the exact sign test against ½. score: of an answer; delta: its length less the other's, NaN where
   not known. freedom: the pairs that counted. */
int longer_preferred(struct estimate *out, const double *score, const double *delta, int pairs, double level,
                     struct error *err);

/* Probabilities against outcomes of 0 or 1. */
struct calibration {
    double brier, log_loss; /* mean (p - y)², mean -ln p(y) in nats, p clipped to [1e-15, 1 - 1e-15] */
    double auc;             /* P(p of a 1 > p of a 0), ties half; -1 with the rest set where all outcomes are
                               alike */
    double ece;             /* Σ share · |mean p - mean y| over `bins` equal bins of [0, 1] */
    int n;
};
int calibration_measure(struct calibration *out, const double *p, const int *y, int n, int bins,
                        struct error *err);

#endif
