/* Metrics arranged for the eye: one table a suite and split, policies down, metrics across. */
#ifndef REPORTS_SHEET_H
#define REPORTS_SHEET_H

#include "reports/results.h"

/* Names are borrowed from the metrics. */
struct sheet {
    const char *suite, *split;      /* split may be NULL */
    const struct metric **headings; /* a column is what its first metric measures: name, baseline, unit */
    int heading_count;
    const char **policies; /* sft first, content-blind baselines last */
    int policy_count;
    const struct metric **cells; /* [policy_count][heading_count]; NULL where there is none */
};
struct sheets {
    struct sheet *items;
    int count;
};

void sheets_arrange(struct sheets *out, const struct evaluation *evaluation);
void sheets_free(struct sheets *sheets);
const struct metric *sheet_cell(const struct sheet *sheet, int policy, int column);

/* How many items stand behind a row's figures: "250", "117 to 250", "250, 3 missing". Caller frees. */
char *sheet_counts(const struct sheet *sheet, int policy);

/* The lines below a table: how intervals were made, what the stars mean and their correction, why cells are
   empty, what the seeds are. Each one sentence; caller frees with notes_free(). */
struct notes {
    char **items;
    int count;
};
void sheet_notes(struct notes *out, const struct sheet *sheet);
void notes_add(struct notes *notes, char *sentence); /* takes it; drops one that is there already */
void notes_free(struct notes *notes);

#endif
