/* A sheet as LaTeX: booktabs' tabular with its notes, to be \input by a report or by a paper. */
#ifndef REPORTS_LATEX_TABLE_H
#define REPORTS_LATEX_TABLE_H

#include "harness/memory.h"
#include "reports/sheet.h"

/* A table that is too wide or too long for a page of A4 becomes several, one below the other. Needs the
   packages array, booktabs and textcomp, and no commands of this program's. */
void latex_add_table(struct text *out, const struct sheet *sheet, const struct effect *effect);

#endif
