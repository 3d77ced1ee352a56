#include "models/devices.h"

#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/ranks.h"
#include "models/device.h"

const struct kernels *devices_find(const char *name) {
    kernels_device(ranks_neighbour());
    return kernels_find(name);
}

/* identities: of each rank's device. */
static int check_apart(const char *identities, struct error *err) {
    for (int a = 0; a < ranks_count(); a++)
        for (int b = a + 1; b < ranks_count(); b++)
            if (!memcmp(identities + a * IDENTITY_BYTES, identities + b * IDENTITY_BYTES, IDENTITY_BYTES))
                return fail(err,
                            "ranks %d and %d have the same GPU, and each needs its own: start no more ranks "
                            "on a machine than it has GPUs",
                            a, b);
    return 0;
}

static int compare_devices(const struct collective *collective, struct error *err) {
    size_t *start = xcalloc((size_t)ranks_count() + 1, sizeof *start);
    char *identities = xcalloc((size_t)ranks_count(), IDENTITY_BYTES);
    int status;

    for (int r = 0; r <= ranks_count(); r++) start[r] = (size_t)r;
    collective->identify(identities + ranks_index() * IDENTITY_BYTES);
    ranks_exchange(identities, start, IDENTITY_BYTES);
    status = check_apart(identities, err);
    free(identities);
    free(start);
    return status;
}

/* The first exchange waits for all ranks and takes memory of each device: here, where all are, and not in the
 * midst of a step. */
static int exchange_once(const struct kernels *kernels, struct error *err) {
    size_t bytes = (size_t)ranks_count() * sizeof(float), *start;
    float *data = kernels->alloc(bytes);
    int status;

    if (!data) return device_full(kernels, bytes, "what devices exchange", NULL, err);
    start = ranks_even((size_t)ranks_count());
    kernels->collective->reduce(data, start);
    kernels->collective->gather(data, start);
    kernels->collective->settle();
    status = device_check(kernels, "the devices' first exchange", err);
    kernels->free(data);
    free(start);
    return status;
}

int devices_join(const struct kernels *kernels, struct error *err) {
    static int joined;
    const struct collective *collective = kernels->collective;
    char invitation[INVITATION_BYTES] = {0};
    const char *trouble = NULL;

    if (joined || ranks_count() == 1 || !collective) return 0;
    if (compare_devices(collective, err)) return -1;
    if (ranks_first()) trouble = collective->invite(invitation);
    if (trouble) return fail(err, "%s", trouble);
    ranks_share(invitation, sizeof invitation);
    trouble = collective->join(invitation, ranks_index(), ranks_count());
    if (trouble) return fail(err, "%s", trouble);
    joined = 1;
    return exchange_once(kernels, err);
}

const struct reducer *devices_reducer(const struct kernels *kernels) {
    static struct reducer reducer;
    const struct collective *collective = kernels->collective;

    if (!collective) return NULL;
    reducer = (struct reducer){collective->reduce, collective->gather, collective->settle};
    return &reducer;
}
