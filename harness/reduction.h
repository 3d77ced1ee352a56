/* Adds up an array over the ranks in buckets that leave as soon as they are ready, while the rest of it is
   still being computed. */
#ifndef HARNESS_REDUCTION_H
#define HARNESS_REDUCTION_H

#include <stddef.h>

#include "harness/error.h"

struct reduction;

/* What adds up arrays that are in devices' memory, one device a rank, in place of the wire. Rank r's piece of
   data is start[r] … start[r + 1] - 1; all ranks call the same in the same order. */
struct reducer {
    void (*reduce)(float *data, const size_t *start); /* rank r gets the sums of its piece */
    void (*gather)(float *data, const size_t *start); /* and gives it to all */
    void (*settle)(void);                             /* what is done to data from now on waits for those */
};

/* data[count] must stay where it is. bucket: numbers sent at a time. by: NULL for the host's memory. NULL
   where there is one rank, with which all below does nothing. Every rank opens the same ones in the same
   order. */
int reduction_open(struct reduction **out, float *data, size_t count, size_t bucket, const struct reducer *by,
                   struct error *err);
/* data[from] and all behind it have their last values until reduction_end(). Need not be called. */
void reduction_ready(struct reduction *reduction, size_t from);
/* All of it has: waits until this rank's slice, ranks_even(count), holds the sums; what the rest holds has no
   meaning then. A sum takes the ranks in an order that their number and its slice decide. */
void reduction_end(struct reduction *reduction);
/* Of an array of the same size and kind each rank has its slice; afterwards all have all. */
void reduction_gather(struct reduction *reduction, float *array);
void reduction_close(struct reduction *reduction);

#endif
