/* A small table on its way out: for the terminal, as Markdown, CSV or JSON. The same cells in each. */
#ifndef HARNESS_TABULAR_H
#define HARNESS_TABULAR_H

#include <stdio.h>

#include "harness/document.h"

enum tabular_format { TABULAR_TEXT, TABULAR_MARKDOWN, TABULAR_CSV, TABULAR_JSON };

struct tabular {
    const char *title;           /* or NULL */
    const char *const *headings; /* NULL-terminated */
    struct node *rows;           /* a list of lists of texts; made by tabular_add() */
    struct node *notes;          /* a list of sentences below it */
};

/* "text", "md", "csv" or "json". */
int tabular_format_read(enum tabular_format *out, const char *name, struct error *err);
struct node *tabular_add(struct tabular *table); /* a new row */
void tabular_cell(struct node *row, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tabular_note(struct tabular *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tabular_write(const struct tabular *table, enum tabular_format format, FILE *out);
void tabular_free(struct tabular *table);

#endif
