/* Metrics arranged for the eye: rows and columns that every format shows alike. Here one table a suite and
   split, policies down and metrics across; forms.h arranges them as the literature does. */
#ifndef REPORTS_SHEET_H
#define REPORTS_SHEET_H

#include "reports/results.h"

enum shown { SHOWN_ESTIMATE, SHOWN_P, SHOWN_DETECTABLE }; /* of a column's metrics */

/* Texts are "" where there is nothing to say. */
struct heading {
    char *name;          /* "false positive rate" */
    char *judge;         /* "rm-scalar" */
    char *relation;      /* "change against sft", "before" */
    char *unit;          /* "tokens" */
    const char *scope;   /* of which judgments the figures are, where some are missing; or NULL */
    int lower_is_better; /* as a metric's */
    enum shown shown;
    const struct metric *measure; /* the first of its metrics */
};

struct row {
    char *name;
    int standing; /* as policy_standing(): content-blind policies are set apart */
};

struct sheet {
    char *name;       /* of its files: "safety-refusal-heldout" */
    char *title;      /* "refusal, heldout" */
    const char *gaps; /* as the evaluation's; borrowed */
    int is_trained;   /* the same */
    char *about;      /* what kind of row and figure this is, for the foot; NULL: nothing to add */
    int by_row;       /* rows differ in what they measure, columns do not */
    struct heading *headings;
    int heading_count;
    struct row *rows;
    int row_count;
    const struct metric **cells; /* [row_count][heading_count]; NULL where there is none; borrowed */
    struct metric **own;         /* cells that the table itself made */
    int own_count;
};
struct sheets {
    struct sheet *items;
    int count;
};

/* One sheet for each suite and split of the evaluation. */
void sheets_arrange(struct sheets *out, const struct evaluation *evaluation);
void sheets_free(struct sheets *sheets);

/* Building. Headings and rows first, then the cells; texts are copied. */
struct sheet *sheets_add(struct sheets *sheets, const char *name, const char *title);
struct heading *sheet_add_heading(struct sheet *sheet, const char *name, const struct metric *measure);
void sheet_add_row(struct sheet *sheet, const char *name, int standing);
void sheet_open(struct sheet *sheet); /* makes room for the cells */
void sheet_set(struct sheet *sheet, int row, int column, const struct metric *metric);
/* A name for a file, without its ending: letters and digits; the rest becomes a dash. Caller frees. */
char *file_stem(const char *name);

const struct metric *sheet_cell(const struct sheet *sheet, int row, int column);
/* What a cell says, as every format shows it: "15.3 % [10.2, 21.5] ⟨9.0, 41.0⟩", "2.1e−5"; "" where there is
   none. Caller frees. */
char *sheet_text(const struct sheet *sheet, int row, int column);

/* How many items (prompts, pairs; seeds where each gave one value) stand behind a row's figures, and how many
   are missing; then judgments that gave none, by outcome, and ties: "250", "117 to 250, 2 missing, 1
   unparsed, 1 error, 7 ties", "200 or 3 seeds, 7 ties of 600 judgments" where a prompt has several. Caller
   frees. */
char *sheet_counts(const struct sheet *sheet, int row);

/* The standard error, by half the metric's interval; NaN where there is none. */
double metric_error(const struct metric *metric);

/* The smallest change that power 0.8 would have seen, by the metric's interval, two-sided at 0.05; NaN where
   there is no interval. */
double metric_detectable(const struct metric *metric);
/* The same in words, "14.3 pp"; "beyond 100 pp" where no rate can change by so much. Caller frees. */
char *detectable_text(const struct metric *metric);

#endif
