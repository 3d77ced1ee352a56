/* The tables that papers print, made of the metrics that a run has: win rates, refusal, length, accuracy of
   rewards, sophistry, reward beside what it should mean, over-optimisation, methods across, and differences
   by size. A form whose metrics do not exist is left out. */
#ifndef REPORTS_FORMS_H
#define REPORTS_FORMS_H

#include "reports/sheet.h"

/* Rows are of all evaluations, "safety, ppo-scalar" where there are several; one sheet a form and split. */
void forms_arrange(struct sheets *out, const struct results *results);

#endif
