/* Decoding with int8 weights beside decoding with full ones, in turns. */
#ifndef MODELS_BENCH_WEIGHTS_H
#define MODELS_BENCH_WEIGHTS_H

#include <stdio.h>

#include "harness/error.h"
#include "models/bench.h"

/* Prints tokens a second of 1 and of 16 sequences and the bytes of each form. model: a folder or .gguf file;
 * NULL: GPT-2's shape with random weights. */
int bench_weights(const char *model, const struct kernels *kernels, const struct stopwatch *watch, int rounds,
                  FILE *out, struct error *err);

#endif
