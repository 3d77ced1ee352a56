/* What a run's metrics are expected to be: intervals recorded from an earlier run, claims written by hand,
   and conditions of a command line (condition.h). */
#ifndef HARNESS_EXPECTATION_H
#define HARNESS_EXPECTATION_H

#include "harness/error.h"
#include "harness/record.h"

struct expectation {
    /* Only the names (task, suite, name, policy, baseline, judge, split), value, low, high and reason. A
       recorded value lies in [low, high], NaN if it could not be computed; a claimed one lies between low and
       high, and NaN leaves that side open. */
    struct metric metric;
    char *claim;     /* what is claimed, in words; NULL: recorded */
    int by_interval; /* fails only where the metric's whole interval lies outside */
};
struct expectations {
    struct expectation *items;
    int count;
};

int expectations_read(const char *path, struct expectations *out, struct error *err); /* appends */
int expectations_write(const char *path, const struct expectations *in, struct error *err);
void expectations_free(struct expectations *list);

/* One more of a metric's names, without bounds. */
struct expectation *expectations_add(struct expectations *list, const struct metric *names);
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
    STANDING_UNDECIDED,  /* expected by its interval, which it lacks */
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
    int count, passed, failed, undecided; /* the rest are new */
};

/* Every expectation in its order, then what is new. Free with free(findings.items). */
void findings_make(struct findings *out, const struct expectations *expectations,
                   const struct metrics *metrics);

/* One more: how a metric stands against what is expected of it by its interval. */
void findings_add(struct findings *findings, const struct expectation *expectation,
                  const struct metric *metric);

int finding_failed(const struct finding *finding);
const char *finding_word(const struct finding *finding); /* "FAIL", "pass", "undecided", "new:" */
char *finding_group(const struct finding *finding);      /* "safety/refusal"; caller frees, as below */
char *finding_title(const struct finding *finding);      /* "over_refusal, ppo-scalar against sft, heldout" */
char *finding_message(const struct finding *finding);    /* what was found, what was expected, how far off */

/* JUnit's XML: a testsuite for each group, a testcase for each expectation; undecided ones are skipped. */
int findings_write_junit(const char *path, const struct findings *findings, struct error *err);
/* Appends a heading and a table to a Markdown file: what failed, what is undecided, what passed. */
int findings_append_summary(const char *path, const char *title, const struct findings *findings,
                            struct error *err);

#endif
