/* A condition on a run's metrics under which a command fails, as it stands on a command line:
   "refusal.over_refusal_benign[policy=ppo-scalar, split=heldout] > 0.10".
   SUITE.NAME; a NAME that no metric has stands for all whose names go on with "_" after it (refusal.over). In
   brackets what the metric's task, policy, split, judge or baseline must be. Without policy= those are meant
   that are no content-blind baselines; without baseline= levels where there are any, else comparisons. A
   share may be said in percent: "> 10 %". */
#ifndef HARNESS_CONDITION_H
#define HARNESS_CONDITION_H

#include "harness/expectation.h"

enum condition_part {
    CONDITION_TASK,
    CONDITION_POLICY,
    CONDITION_SPLIT,
    CONDITION_JUDGE,
    CONDITION_BASELINE
};
enum { CONDITION_PARTS = 5 };

struct condition {
    char *text; /* as given */
    char *suite, *name;
    char *parts[CONDITION_PARTS]; /* NULL: any */
    int above;                    /* it holds above the bound, else below it */
    double bound;
    int percent; /* the bound was given in percent */
};

int condition_read(struct condition *out, const char *text, struct error *err);
void condition_free(struct condition *condition);

/* The metrics that it names, each with what would be expected of it: not to lie beyond the bound with its
   whole interval. Adds to both, which go side by side; those of `metrics` are borrowed. Naming nothing is an
   error, as is a bound that no share reaches, and a condition all of whose metrics lack an interval. */
struct conditioned {
    struct expectations expectations;
    const struct metric **metrics;
};
int condition_match(const struct condition *condition, const struct metrics *metrics, struct conditioned *out,
                    struct error *err);
void conditioned_free(struct conditioned *conditioned);

#endif
