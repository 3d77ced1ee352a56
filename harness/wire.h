/* How processes that were started together reach each other; one const struct for each library that does. */
#ifndef HARNESS_WIRE_H
#define HARNESS_WIRE_H

#include <stddef.h>

#include "harness/error.h"

/* What two processes send each other arrives in order within a channel; slots: receives under way in one. */
enum { CHANNELS = 16, SLOTS = 2 };

/* Where a process stands. */
struct place {
    int index, count;
    int neighbour; /* its number among those of its machine */
    int here;      /* of those, how many may run on a processor of this one's, itself among them */
};

struct wire {
    int (*join)(struct place *place, struct error *err);
    /* At most INT_MAX bytes, which must stay as they are until sent(). */
    void (*send)(int channel, const void *data, size_t bytes, int to);
    void (*sent)(int channel); /* waits until all has left */
    void (*receive)(int channel, int slot, void *data, size_t bytes, int from);
    int (*arrived)(int channel, int slot, int waiting); /* 0: not yet, only unless waiting */
    void (*wait)(void);                                 /* until all are here, asleep */
    /* The last call. 0 when all come here; any other code ends all of them now. */
    void (*leave)(int code);
};

#ifdef HAVE_MPI
extern const struct wire wire_mpi;
#endif

/* In ranks.c, for what is built on it: the wire, NULL where there is one rank; a channel of its own, -1 where
   all are taken, which are the same in all ranks that take them in the same order. */
const struct wire *ranks_wire(void);
int ranks_take_channel(void);
void ranks_give_channel(int channel);
/* Of a round: in rounds 1 … count - 1 each rank sends to every other once, to partner(round), and receives
   from partner(-round). */
int ranks_partner(int round);

#endif
