/* What a run's metrics are expected to be: intervals recorded from an earlier run, and claims written by
 * hand. */
#ifndef HARNESS_EXPECTATION_H
#define HARNESS_EXPECTATION_H

#include "harness/error.h"
#include "harness/record.h"

struct expectation {
    /* Only the names (task, suite, name, policy, baseline, judge, split), value, low, high and reason. A
       recorded value lies in [low, high], NaN if it could not be computed; a claimed one lies between low and
       high, and NaN leaves that side open. */
    struct metric metric;
    char *claim; /* what is claimed, in words; NULL: recorded */
};
struct expectations {
    struct expectation *items;
    int count;
};

int expectations_read(const char *path, struct expectations *out, struct error *err); /* appends */
int expectations_write(const char *path, const struct expectations *in, struct error *err);
void expectations_free(struct expectations *list);

/* Puts the metrics in the place of everything recorded; claims stay. */
void expectations_record(struct expectations *list, const struct metrics *metrics);

/* Fails if two have the same names, since nothing could be expected of either. */
int metrics_distinct(const struct metrics *metrics, struct error *err);

enum standing {
    STANDING_PASSED,
    STANDING_OUTSIDE,
    STANDING_MISSING,    /* the run has no such metric */
    STANDING_UNCOMPUTED, /* it has, but without a value */
    STANDING_COMPUTED,   /* it has a value where none could be computed */
    STANDING_NEW         /* nothing is expected of it */
};

/* How one metric stands; both are borrowed. */
struct finding {
    enum standing standing;
    const struct expectation *expectation; /* NULL: new */
    const struct metric *metric;           /* NULL: missing */
    double outside;                        /* how far, in the metric's unit; negative: below */
    double half_widths; /* the same in halves of the interval, >= 0; NaN if it has no width */
};
struct findings {
    struct finding *items;
    int count, passed, failed; /* the rest are new */
};

/* Every expectation in its order, then what is new. Free with free(findings.items). */
void findings_make(struct findings *out, const struct expectations *expectations,
                   const struct metrics *metrics);

int finding_failed(const struct finding *finding);
char *finding_group(const struct finding *finding);   /* "safety/refusal"; caller frees, as below */
char *finding_title(const struct finding *finding);   /* "over_refusal, ppo-scalar against sft, heldout" */
char *finding_message(const struct finding *finding); /* what was found, what was expected, how far off */

/* JUnit's XML: a testsuite for each group, a testcase for each expectation. */
int findings_write_junit(const char *path, const struct findings *findings, struct error *err);

#endif
