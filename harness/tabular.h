/* A small table on its way out: as it is shown, in the terminal or as Markdown, or as a program reads it, in
   CSV or JSON. A cell holds both: its text and its fields, numbers as they are. */
#ifndef HARNESS_TABULAR_H
#define HARNESS_TABULAR_H

#include <stdio.h>

#include "harness/document.h"

enum tabular_format { TABULAR_TEXT, TABULAR_MARKDOWN, TABULAR_CSV, TABULAR_JSON };

struct tabular {
    const char *title;           /* or NULL */
    const char *const *headings; /* NULL-terminated */
    struct node *rows;           /* a list of lists of cells; made by tabular_add() */
    struct node *notes;          /* a list of sentences below it */
};

/* "text", "md", "csv" or "json". */
int tabular_format_read(enum tabular_format *out, const char *name, struct error *err);
struct node *tabular_add(struct tabular *table); /* a new row */

/* A cell, and what a program reads of it: maps to which node_add_number() and its kin add fields. A field's
   name is its key, but "value" is the heading ("p (Holm)": p_holm), and "low" and "high" follow it
   (win_rate_low; under the heading "value" they stand alone). A cell without fields gives its text. */
struct node *tabular_cell(struct node *row, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The field "value", shown in that format (of one double); a dash and null where it is not finite. */
struct node *tabular_number(struct node *row, const char *format, double value);
struct node *tabular_p(struct node *row, double p); /* the same of a p */
/* The fields "value", "low" and "high" beside a text. */
struct node *tabular_interval(struct node *row, const char *text, double value, double low, double high);
void tabular_note(struct tabular *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tabular_write(const struct tabular *table, enum tabular_format format, FILE *out);
/* Several in one document. JSON: {"tables": [{"table": title, "rows": [{field: value}], "notes": []}]}; CSV:
   one header, of all fields, after a column "table" where count > 1. Of the shown ones, those after the first
   that have no rows are left out. */
void tabular_write_all(const struct tabular *tables, int count, enum tabular_format format, FILE *out);
void tabular_free(struct tabular *table);

#endif
