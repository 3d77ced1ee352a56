/* What a run would take on a card whose speed was measured. */
#ifndef HARNESS_ESTIMATE_H
#define HARNESS_ESTIMATE_H

#include <stdio.h>

/* Prints the time that so many operations take on one H100 at each of the rates of docs/gpu.md, and whether
   its memory holds so many bytes. Nothing for no operations, nor where the largest model has fewer than
   ESTIMATE_LEAST parameters: its products are too small for such rates. */
#define ESTIMATE_LEAST 30e6
void estimate_print(FILE *out, double flops, double bytes, double parameters);

#endif
