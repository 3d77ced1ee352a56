/* What PyTorch takes for operations, on the same device and at the same sizes: tools/peers.py is asked. */
#ifndef MODELS_BENCH_RIVAL_H
#define MODELS_BENCH_RIVAL_H

#include "harness/companion.h"
#include "models/bench.h"
#include "models/bench_operations.h"

/* A process of PyTorch's. Start from zero. */
struct rival {
    struct companion companion;
    const char *mode; /* "f32" or "bf16", as the kernels' operands are */
    char *folder, *script, *log, *about;
};

/* Starts it with that interpreter, for the kernels' device. -1 with err set, also where it has no PyTorch. */
int rival_start(struct rival *rival, const char *python, const struct kernels *kernels,
                const struct stopwatch *watch, struct error *err);
/* Times what it has of the operations, the median of `rounds`; one that fails stays NAN, and a notice says
 * why. */
void rival_measure(struct rival *rival, struct operations *operations, int rounds);
void rival_free(struct rival *rival); /* harmless on none */

#endif
