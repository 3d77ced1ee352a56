/* How well a score orders preference pairs: by the annotator's label, or by the gold score. */
#ifndef SUITES_PAIR_ACCURACY_H
#define SUITES_PAIR_ACCURACY_H

#include "suites/measure.h"

/* A way to score both sides of every pair: a reward (all its seeds), or a rule. */
struct contestant {
    const char *name;
    const struct pair_scores *const *scores; /* [count], a seed each */
    int count;
};

/* By the label: chosen higher 1, tie 1/2. By gold, only of pairs whose gold scores differ. Matched: by the
   label, only of pairs whose lengths in characters differ by at most a tenth of their
   mean. */
enum standard { BY_LABEL, BY_GOLD, MATCHED };

/* Sums over the pairs of a prompt of the mean over seeds, and the pairs that count; [prompts]. */
struct accuracy {
    double *sum, *weight;
    int prompts;
    double *per_seed; /* [count]: NaN where no pair counts */
};

/* All contestants see the same prompts in the same order. */
void accuracy_measure(struct accuracy *out, const struct pairs_judged *pairs, const char *split,
                      const struct contestant *contestant, enum standard standard);
void accuracy_free(struct accuracy *accuracy);

/* The rewards of the bench, one contestant a name; the caller frees with contestants_free(). */
struct contestant *contestants_of(const struct bench *bench, int *count);
void contestants_free(struct contestant *contestants, int count);

/* The splits of the pairs, NULL-terminated; the caller frees the list. */
const char **pair_splits(const struct pairs_judged *pairs);

/* Mean with its bootstrap interval, and what every metric of a contestant has. */
struct metric *accuracy_metric(const struct bench *bench, const char *suite, const char *name,
                               const char *split, const struct contestant *contestant, struct metrics *out);

#endif
