/* What a run would take on a card whose speed was measured. */
#ifndef HARNESS_ESTIMATE_H
#define HARNESS_ESTIMATE_H

#include <stdio.h>

/* Prints the time that so many operations take on one H100 at each of the rates of docs/gpu.md, and whether
   its memory holds so many bytes. Nothing for no operations. */
void estimate_print(FILE *out, double flops, double bytes);

#endif
