/* The report's pictures, made once for all formats: training curves, gold and proxy against √KL, lengths,
   dose and response. */
#ifndef REPORTS_FIGURES_H
#define REPORTS_FIGURES_H

#include "reports/results.h"

/* Fills results->figures, section by section; where gnuplot is missing leaves their svg NULL and says so in
   figure_note. */
void figures_draw(struct results *results);

#endif
