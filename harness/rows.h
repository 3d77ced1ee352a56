/* The rows of a step's data file; those left out are listed in the step's dropped.jsonl. */
#ifndef HARNESS_ROWS_H
#define HARNESS_ROWS_H

#include "harness/document.h"
#include "harness/error.h"
#include "harness/file.h"
#include "harness/run.h"

struct rows {
    struct output dropped;
    int count; /* read so far, this one included */
    int left_out, cut;
    int listed;           /* the row that was listed last */
    struct node *reasons; /* a map: how many were left out for each */
    void *context;        /* the caller's */
};

/* One row, as document_each() hands it over; rows->count is its number. */
typedef int rows_take(struct rows *rows, const struct node *record, int line, struct error *err);

/* Reads the file; rows holds the caller's context and is counted. -1 with err set. */
int rows_read(struct rows *rows, const struct step *step, const char *file, rows_take *take,
              struct error *err);
/* Lists a row that is left out, and counts it once; line 0: no longer known. */
void rows_drop(struct rows *rows, int row, int line, const char *reason);
/* Lists a row that stays, but not as it was. */
void rows_cut(struct rows *rows, int row, int line, const char *reason);
/* Finishes dropped.jsonl; nothing is listed from then on. */
int rows_close(struct rows *rows, struct error *err);
void rows_free(struct rows *rows); /* a list that was not closed does not appear */
/* Tells the person how many were left out or cut, if any. */
void rows_notice(const struct rows *rows, const struct step *step);

#endif
