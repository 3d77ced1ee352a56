/* The race's own work without the other programs: rollouts and PPO from end to end, beside their floors. */
#ifndef MODELS_BENCH_WORK_H
#define MODELS_BENCH_WORK_H

#include <stdio.h>

#include "harness/document.h"
#include "models/bench.h"

/* One heat: tokens a second (decoded ones, of generation) over the turns, and what is known of the last. */
struct whole {
    const char *name;
    struct rate rate;
    double operations, numbers; /* of a token; read by a step of decoding, 0: it is no rollout */
    double rows;
    struct node *parts; /* seconds of PPO's phases; NULL: none */
};

/* Start from zero. */
struct wholes {
    struct whole *items;
    int count;
    double bandwidth; /* bytes a second that the machine or device moves, probed here */
};

/* Adds the heats of that work which the race has for a device, or for a processor, with `only` in their names
   (NULL: all); at most so many turns of each. */
int wholes_measure(struct wholes *out, const char *work, const char *only, const struct kernels *kernels,
                   const struct stopwatch *watch, int rounds, struct error *err);
/* A line for each; peak: GFLOP/s. */
void wholes_print(const struct wholes *wholes, const struct kernels *kernels, double peak, FILE *out);
void wholes_json(const struct wholes *wholes, const struct kernels *kernels, double peak, struct node *list);
void wholes_free(struct wholes *wholes);

#endif
