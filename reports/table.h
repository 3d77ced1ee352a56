/* Metrics arranged for the eye: one table a suite and split, policies down, metrics across. */
#ifndef REPORTS_TABLE_H
#define REPORTS_TABLE_H

#include "reports/results.h"

/* Names are borrowed from the metrics. */
struct column {
    const char *name, *baseline, *unit; /* baseline and unit may be NULL */
    int lower_is_better;
};
struct table {
    const char *suite, *split; /* split may be NULL */
    struct column *columns;
    int column_count;
    const char **policies; /* sft first, content-blind baselines last */
    int policy_count;
    const struct metric **cells; /* [policy_count][column_count]; NULL where there is none */
};
struct tables {
    struct table *items;
    int count;
};

void tables_arrange(struct tables *out, const struct evaluation *evaluation);
void tables_free(struct tables *tables);
const struct metric *table_cell(const struct table *table, int policy, int column);

/* How many items stand behind a row's figures: "250", "117 to 250", "250, 3 missing". Caller frees. */
char *table_counts(const struct table *table, int policy);

/* The lines below a table: how intervals were made, what the stars mean and their correction, why cells are
   empty, what the seeds are. Each one sentence; caller frees with notes_free(). */
struct notes {
    char **items;
    int count;
};
void table_notes(struct notes *out, const struct table *table);
void notes_add(struct notes *notes, char *sentence); /* takes it; drops one that is there already */
void notes_free(struct notes *notes);

#endif
