/* Approval and error where only some prompts were judged: drawn by whether the policy and the baseline are
 * right. */
#ifndef SUITES_REWEIGHTED_H
#define SUITES_REWEIGHTED_H

#include "suites/measure.h"

/* Of what->policy against the baseline on what->split, by the approval column what->value. Adds nothing where
   every prompt with known truths was judged and no weights are given, or where there are several seeds. The
   shares of the four cells (baseline right or wrong, policy right or wrong) are those of all prompts with
   known truths; or, where labels give each prompt a "weight" (share of its cell over prompts drawn from it),
   the weights' sums. */
void measure_reweighted(const struct bench *bench, struct measure *what, const double *correct,
                        struct metrics *out);

#endif
