/* The program as one of several that take turns: what tools/peers.py is for the others. */
#ifndef MODELS_BENCH_SERVE_H
#define MODELS_BENCH_SERVE_H

#include <stdio.h>

#include "models/bench.h"

/* Answers requests, a line of JSON each (written down in tools/peers.py), until there are no more; a mode is
   the name of a device. */
void bench_serve(FILE *in, FILE *out, const struct stopwatch *watch);

#endif
