/* Answers joined by prompt id: policy by seed by prompt, and named columns of what is known of each. */
#ifndef SUITES_TABLE_H
#define SUITES_TABLE_H

#include "harness/record.h"

struct question {
    const char *id, *split, *prompt, *category; /* of the first answer to it; category may be NULL */
    int unscored; /* rewards were not to score its answers: it lies beyond the evaluation's reward_prompts */
};

struct column {
    char *what, *judge; /* judge: NULL for what the transcript itself tells */
    double *value;      /* [policies][seeds][questions]; NaN: not known */
    int *verdicts;      /* as value: how many verdicts it is the mean of; NULL: it comes from none */
    unsigned char
        *failure; /* as value: the outcome of a judgment that gave no verdict, 0 where there was none */
};

/* Borrows the transcripts, which must stay where they are. */
struct table {
    const char **policies;
    int policy_count, baseline; /* baseline: which policy others are compared with */
    int *seeds, seed_count;     /* ascending */
    const char *length_unit;    /* of the column "tokens": "tokens" or "words" */
    struct question *questions;
    int question_count;
    const struct transcript **answers; /* as a column's values; NULL: missing */
    struct column *columns;
    int column_count;
    char **places; /* transcripts' ids, sorted, with the cell of each */
    int *cells, place_count;
};

/* Policies and questions in the order of their first answer. An answer given twice is an error, as are a
   baseline that answered nothing and lengths in different units. */
int table_build(struct table *out, const struct transcripts *transcripts, const char *baseline,
                struct error *err);
void table_free(struct table *table);

int table_cells(const struct table *table);
int table_cell(const struct table *table, int policy, int seed, int question);

/* Adds the scores of verdicts, a column each for judge and what: several on one answer are averaged, failed
   ones leave NaN and their outcome, those of unknown answers are left out. A pair with the baseline's answer
   scores the other: in the column "preference_first" where that was shown first, "preference_second", or
   "preference" where no order was; other pairs are left out. */
void table_add_verdicts(struct table *table, const struct verdicts *verdicts);
/* The column that a value belongs to, or NULL. */
const struct column *table_column_of(const struct table *table, const double *value);
/* A column of NaN to fill, or the one that is there. */
double *table_add_column(struct table *table, const char *what, const char *judge);
/* The column, or NULL; judge NULL: the first of that name. */
const double *table_column(const struct table *table, const char *what, const char *judge);

/* Appends what content-blind policies would answer, seed by seed: the baseline's most frequent answer, the
   longest and the shortest of all answers to the prompt, the prompt itself. */
void nulls_add(struct transcripts *transcripts, const char *baseline);

#endif
