#define _GNU_SOURCE /* affinity */
#include <mpi.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "harness/memory.h"
#include "harness/wire.h"

static struct {
    MPI_Request *sends, receives[SLOTS];
    int count, room; /* of sends */
} channels[CHANNELS];

/* How many ranks of this machine may run on a processor of this one's. */
static int count_neighbours(MPI_Comm machine) {
    int count, neighbours = 0;
    cpu_set_t mine, both, *all;

    if (sched_getaffinity(0, sizeof mine, &mine)) CPU_ZERO(&mine);
    MPI_Comm_size(machine, &count);
    all = xcalloc((size_t)count, sizeof *all);
    MPI_Allgather(&mine, sizeof mine, MPI_BYTE, all, sizeof *all, MPI_BYTE, machine);
    for (int i = 0; i < count; i++) {
        CPU_AND(&both, &mine, &all[i]);
        neighbours += CPU_COUNT(&both) > 0;
    }
    free(all);
    return neighbours > 0 ? neighbours : count;
}

static int join(struct place *place, struct error *err) {
    int thread_support;
    MPI_Comm machine;

    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &thread_support))
        return fail(err, "MPI did not start");
    MPI_Comm_rank(MPI_COMM_WORLD, &place->index);
    MPI_Comm_size(MPI_COMM_WORLD, &place->count);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine);
    MPI_Comm_rank(machine, &place->neighbour);
    place->here = count_neighbours(machine);
    MPI_Comm_free(&machine);
    return 0;
}

static void send(int channel, const void *data, size_t bytes, int to) {
    if (channels[channel].count == channels[channel].room) {
        channels[channel].room = 2 * channels[channel].room + 16;
        channels[channel].sends = xrealloc(channels[channel].sends, (size_t)channels[channel].room,
                                           sizeof *channels[channel].sends);
    }
    MPI_Isend(data, (int)bytes, MPI_BYTE, to, channel, MPI_COMM_WORLD,
              &channels[channel].sends[channels[channel].count++]);
}

static void sent(int channel) {
    MPI_Waitall(channels[channel].count, channels[channel].sends, MPI_STATUSES_IGNORE);
    channels[channel].count = 0;
}

static void receive(int channel, int slot, void *data, size_t bytes, int from) {
    MPI_Irecv(data, (int)bytes, MPI_BYTE, from, channel, MPI_COMM_WORLD, &channels[channel].receives[slot]);
}

static int arrived(int channel, int slot, int waiting) {
    MPI_Request *request = &channels[channel].receives[slot];
    int here = 1;

    if (waiting)
        MPI_Wait(request, MPI_STATUS_IGNORE);
    else
        MPI_Test(request, &here, MPI_STATUS_IGNORE);
    return here;
}

/* MPI_Barrier() would keep a processor busy for as long as the others work. */
static void wait_for_all(void) {
    static const struct timespec nap = {0, 1000000};
    MPI_Request request;
    int all_here = 0;

    MPI_Ibarrier(MPI_COMM_WORLD, &request);
    for (;;) {
        MPI_Test(&request, &all_here, MPI_STATUS_IGNORE);
        if (all_here) return;
        nanosleep(&nap, NULL);
    }
}

static void leave(int code) {
    for (int i = 0; i < CHANNELS; i++) free(channels[i].sends);
    if (code)
        MPI_Abort(MPI_COMM_WORLD, code);
    else
        MPI_Finalize();
}

const struct wire wire_mpi = {join, send, sent, receive, arrived, wait_for_all, leave};
