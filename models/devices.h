/* The devices of several ranks, one each, which add up their gradients together. */
#ifndef MODELS_DEVICES_H
#define MODELS_DEVICES_H

#include "harness/error.h"
#include "harness/reduction.h"
#include "kernels/kernels.h"

/* kernels_find(), of a machine's several devices the one that is this rank's. */
const struct kernels *devices_find(const char *name);

/* Brings this rank's device together with those of the others, once, unless it is the host. Each must have
 * its own. */
int devices_join(const struct kernels *kernels, struct error *err);

/* What adds up kernel memory over the ranks; NULL: it is the host's. */
const struct reducer *devices_reducer(const struct kernels *kernels);

#endif
