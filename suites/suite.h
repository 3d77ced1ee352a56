/* A suite turns judged answers into metrics: one file, one const struct, listed in Makefile.am. */
#ifndef SUITES_SUITE_H
#define SUITES_SUITE_H

#include <stdint.h>

#include "harness/record.h"
#include "harness/registry.h"
#include "suites/table.h"

/* What a reward of one seed says of the preference pairs, in their order. */
struct pair_scores {
    char *reward; /* "rm-scalar" */
    int seed;
    double *chosen, *rejected; /* [pairs] */
};

/* Preference pairs that no reward was fitted on. */
struct pairs_judged {
    const struct example *const *items;
    int count;
    double *gold_chosen, *gold_rejected; /* NULL: no world */
    struct pair_scores *scores;
    int score_count;
};

/* The log of one policy's training. */
struct training {
    char *policy; /* as in the transcripts */
    int seed, count;
    double *proxy, *gold, *kl; /* [count] an iteration each; NaN: not logged */
};

/* All that suites look at; they change nothing. */
struct bench {
    const char *task; /* world or data set */
    const struct world *world;
    const struct table *table;
    const struct pairs_judged *pairs;
    struct examples
        *questions; /* prompts' truths and meta, where the answers came with them; looked up by id */
    const struct training *trainings;
    int training_count;
    const char *const *rewards;       /* names of those that scored answers */
    int reward_count, reward_prompts; /* reward_prompts: so many of each split did they score; 0: all */
    const char *const *judges;        /* names of those that the evaluation asked */
    int judge_count;
    uint64_t seed; /* of resampling */
    int resamples;
    double level; /* of intervals */
};

/* What a suite cannot do without: a column of the table, or, where that is NULL, anything else. */
struct need {
    const char *column, *what;
};

struct suite {
    const char *name, *summary;
    const struct definition *metrics; /* all that it gives; ends with {0} */
    const struct need *needs;         /* ends with {0}; NULL: only answers */
    /* Appends metrics; what cannot be estimated is a metric with a reason. A suite that has nothing to say of
       a task (sophistry where there is no right and wrong) appends none. */
    int (*measure)(const struct bench *bench, struct metrics *out, struct error *err);
};

const struct suite *suite_find(const char *name); /* NULL if there is none */

#endif
