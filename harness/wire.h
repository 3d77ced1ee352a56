/* How processes that were started together reach each other; one const struct for each library that does. */
#ifndef HARNESS_WIRE_H
#define HARNESS_WIRE_H

#include <stddef.h>

#include "harness/error.h"

enum { SLOTS = 2 }; /* transfers under way at a time */

struct wire {
    /* here: processes of this machine, this one among them. */
    int (*join)(int *index, int *count, int *here, struct error *err);
    /* Bytes to one process and from one, 0 of either for none, at most INT_MAX; then waits for them. */
    void (*begin)(int slot, const void *out, size_t out_bytes, int to, void *in, size_t in_bytes, int from);
    void (*end)(int slot);
    void (*wait)(void); /* until all are here, asleep */
    /* The last call. 0 when all come here; any other code ends all of them now. */
    void (*leave)(int code);
};

#ifdef HAVE_MPI
extern const struct wire wire_mpi;
#endif

#endif
