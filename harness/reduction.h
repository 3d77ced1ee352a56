/* Adds up an array over the ranks in buckets that leave as soon as they are ready, while the rest of it is
   still being computed. */
#ifndef HARNESS_REDUCTION_H
#define HARNESS_REDUCTION_H

#include <stddef.h>

#include "harness/error.h"

struct reduction;

/* data[count] must stay where it is. bucket: numbers sent at a time. NULL where there is one rank, with which
   all below does nothing. Every rank opens the same ones in the same order. */
int reduction_open(struct reduction **out, float *data, size_t count, size_t bucket, struct error *err);
/* data[from] and all behind it have their last values until reduction_end(). Need not be called. */
void reduction_ready(struct reduction *reduction, size_t from);
/* All of it has: waits until this rank's slice, ranks_even(count), holds the sums; what the rest holds has no
   meaning then. A sum takes the ranks in an order that their number and its slice decide. */
void reduction_end(struct reduction *reduction);
void reduction_close(struct reduction *reduction);

#endif
