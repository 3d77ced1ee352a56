/* The rows of a step's data file; those left out are listed in the step's dropped.jsonl. */
#ifndef WORLDS_ROWS_H
#define WORLDS_ROWS_H

#include <stdio.h>

#include "harness/document.h"
#include "harness/error.h"
#include "harness/run.h"

struct rows {
    FILE *dropped;
    int count; /* read so far, this one included */
    int left_out;
    void *context; /* the caller's */
};

/* One row, as document_each() hands it over; rows->count is its number. */
typedef int rows_take(struct rows *rows, const struct node *record, int line, struct error *err);

/* Reads the file; rows holds the caller's context and is counted. -1 with err set. */
int rows_read(struct rows *rows, const struct step *step, const char *file, rows_take *take,
              struct error *err);
/* Lists the row, and counts it. */
void rows_drop(struct rows *rows, int line, const char *reason);
/* Tells the person how many were left out, if any. */
void rows_notice(const struct rows *rows, const struct step *step);

#endif
