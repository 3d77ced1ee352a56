/* People's labels and ratings as rows: files that nest them, and tables with a row a label. */
#ifndef HARNESS_RATINGS_H
#define HARNESS_RATINGS_H

#include "harness/document.h"

/* document_each(), but of SQuALITY's human evaluation (passages of questions of systems of reviews) every
   review is a row: passage, question ("50827/0"), system, worker, and correctness, coverage and overall from
   0 to 100. */
int ratings_each(const char *path,
                 int (*each)(void *context, const struct node *record, int line, struct error *err),
                 void *context, struct error *err);

/* How a table with a row a label becomes one with a column a rater. */
struct ratings_how {
    const char *rows;  /* columns, with commas, that name what was labelled */
    const char *rater; /* column whose texts become columns */
    const char *value; /* column of the label */
};

/* Adds a map for each thing labelled to `rows` (a list): the columns of how->rows, then a field for each
   rater, named by its text; and the raters' names to `raters` (a list of texts), in the order of their first
   row. Numbers that one rater gives one thing several times become their mean; texts that differ are an
   error. */
int ratings_widen(struct node *rows, struct node *raters, const char *path, const struct ratings_how *how,
                  struct error *err);

#endif
