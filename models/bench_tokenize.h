/* How fast a text is encoded to tokens and decoded again. */
#ifndef MODELS_BENCH_TOKENIZE_H
#define MODELS_BENCH_TOKENIZE_H

#include <stdio.h>

#include "harness/error.h"
#include "models/bench.h"

struct tokenize_options {
    const char *text;      /* a file */
    const char *tokenizer; /* a checkpoint; NULL: one of 8192 tokens that is learned from the text */
    int rounds, json;
};

/* One thread encodes the whole file, again and again for 0.2 seconds or more in each round. */
int bench_tokenize(const struct tokenize_options *options, const struct stopwatch *watch, FILE *out,
                   struct error *err);

#endif
