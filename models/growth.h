/* How cost grows, for `pyrite bench growth`: time and memory of a training step as its batch, model and
   context grow, of decoding as its rows do, and of a step on more threads; beside linear growth. */
#ifndef MODELS_GROWTH_H
#define MODELS_GROWTH_H

#include <stdio.h>

#include "harness/document.h"
#include "models/bench.h"

struct growth_options {
    const char *device, *folder, *command; /* folder: where weights go; NULL: a temporary one */
    const char *only;                      /* axes whose name has this in it; NULL: all */
    const char *out_path, *document; /* the results as JSON; a file with a section "growth"; NULL: none */
    struct stopwatch watch;
    int rounds;
};

/* The results as a map. */
int growth_run(const struct growth_options *options, struct node *results, struct error *err);
/* The table, in Markdown. */
void growth_markdown(const struct node *results, FILE *out);

#endif
