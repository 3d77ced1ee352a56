/* What the suites share: means over prompts and their differences from the baseline, with intervals and
   tests. A prompt counts once: its seeds' values are averaged first. Intervals resample prompts. With one
   seed and values 0 or 1 they are Wilson's and Newcombe's, and the test is McNemar's. So intervals and p hold
   over prompts, for these very models; with several seeds a comparison also has them over training runs. */
#ifndef SUITES_MEASURE_H
#define SUITES_MEASURE_H

#include "suites/suite.h"

/* What to measure of a column, of one policy, on the prompts of one split. */
struct measure {
    const char *suite, *name, *split, *judge, *unit;
    const double *value;           /* a table's column */
    const char *const *categories; /* NULL-terminated; NULL: all */
    int policy, lower_is_better;
    int are_wins; /* the values are scores of pairs with the baseline: 1 wins, 1/2 ties, 0 loses */
};

/* A metric with its names set, to be filled. */
struct metric *measure_metric(const struct bench *bench, const struct measure *what, const char *baseline,
                              struct metrics *out);
/* Owned by the metric from then on. Why it has no value, or no interval. */
void metric_reason(struct metric *metric, const char *reason);
void metric_method(struct metric *metric, const char *method);

/* The splits that the table's questions have, in order; NULL-terminated, caller frees the list. */
const char **table_splits(const struct table *table);
/* Whether a question belongs to what is measured: its split and category do, and where the values are a
   reward's it was to be scored. */
int measure_takes(const struct bench *bench, const struct measure *what, int question);
/* Mean over seeds of a policy's values, NaN if it has none. */
double prompt_mean(const struct table *table, const double *value, int policy, int question);

/* One value a prompt, NaN where there is none: its mean with a bootstrap interval, Wilson's where all are 0
   or
   1. Caller keeps values. */
void metric_of_values(const struct bench *bench, struct metric *metric, const double *values, int count);
/* Paired: mean of a - b over prompts that have both; the test. */
void metric_of_difference(const struct bench *bench, struct metric *metric, const double *a, const double *b,
                          int count);
/* Unpaired: mean of a less mean of b, over different prompts; Welch's t. */
void metric_of_gap(const struct bench *bench, struct metric *metric, const double *a, int a_count,
                   const double *b, int b_count);
/* How often the policy's answer has the higher value than the other policy's, ties half, against a half; the
   mean of the values themselves where they are wins. With
   tokens (a column): only where the two are of nearly one length, within a tenth or a token. Null policies
   have no p. */
void measure_wins(const struct bench *bench, const struct measure *what, int other, const double *tokens,
                  struct metrics *out);
/* What one value a seed is: FROM_ZERO is never below 0 and may be many times as large in one run as in
   another, so that the mean's error says nothing: no interval, each seed's value stands for itself. TESTED:
   against 0. */
enum of_seeds { ANY, TESTED, FROM_ZERO };
/* Mean over the seeds of per_seed, which is set already, with Student's t over seeds; of a share the interval
   is cut to [0, 1], of a difference of shares to [-1, 1]. */
void metric_of_seeds(const struct bench *bench, struct metric *metric, enum of_seeds kind);

/* The column's mean seed by seed, less `other`'s on the prompts that both have (other < 0: of the policy
   alone); out[seed_count], NaN where nothing was judged. */
void measure_seeds(const struct bench *bench, const struct measure *what, int other, double *out);

/* Counts the failed judgments of a column's policy on what is measured into the metric, by outcome. */
void measure_failures(const struct bench *bench, const struct measure *what, const double *column,
                      struct metric *metric);

/* The policy's level. */
void measure_level(const struct bench *bench, const struct measure *what, struct metrics *out);
/* That, and its paired difference from the baseline unless it is the baseline or a null policy. */
void measure_column(const struct bench *bench, const struct measure *what, struct metrics *out);
/* Both, for every policy, and every split that has such prompts. */
void measure_everywhere(const struct bench *bench, const struct measure *what, struct metrics *out);
void measure_levels_everywhere(const struct bench *bench, const struct measure *what,
                               struct metrics *out); /* alone */

/* Of each comparison of a policy that reads its prompts with a value of several seeds: Student's t over them,
   against no difference, as interval and p. What is over seeds already is left alone. */
void metrics_over_seeds(struct metrics *metrics);
/* Says in the method of what rewards measured that they scored only the first prompts of its split. */
void metrics_note_sample(const struct bench *bench, struct metrics *metrics);

/* Adjusts the p values within their families (Holm). */
void metrics_adjust(struct metrics *metrics);

#endif
