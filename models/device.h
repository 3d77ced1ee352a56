/* What goes wrong on a device, said in one way: that it failed, or has not the memory. */
#ifndef MODELS_DEVICE_H
#define MODELS_DEVICE_H

#include "harness/error.h"
#include "kernels/kernels.h"

/* Waits for what is queued: 0, or -1 with what failed, and what the person can do. Every result that leaves a
 * device for a file or a log is asked for first. */
int device_check(const struct kernels *kernels, const char *what, struct error *err);
/* Of memory that alloc() would not give: for what ("the activations of 512 tokens"), how many bytes were
 * asked for, how many are free, and the remedy ("fewer micro_tokens"; NULL: none of its own). Returns -1. */
int device_full(const struct kernels *kernels, size_t bytes, const char *what, const char *remedy,
                struct error *err);

#endif
