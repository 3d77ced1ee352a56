#include "harness/ranks.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/memory.h"
#include "harness/wire.h"

enum { CHUNK = 1 << 26 }; /* bytes sent at a time */

static struct {
    const struct wire *wire; /* NULL: nobody else */
    struct place place;
    int alone;
    unsigned channels; /* bits of those that are taken */
} ranks = {.place = {.count = 1, .here = 1}};

#ifdef HAVE_MPI
static const struct wire *const wire = &wire_mpi;
#else
static const struct wire *const wire = NULL;
#endif

/* Whether mpirun or srun started this process, by what Open MPI, MPICH and Slurm tell those that they start.
 */
static int is_started_with_others(void) {
    static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};
    const char *size = NULL;

    for (int i = 0; i < 2 && !size; i++) size = getenv(sizes[i]);
    if (!size && !getenv("PMIX_RANK")) return 0;
    if (!size) size = getenv("SLURM_STEP_NUM_TASKS");
    return !size || atoi(size) > 1;
}

int ranks_join(struct error *err) {
    if (!is_started_with_others()) return 0;
    if (!wire)
        return fail(err, "this pyrite was built without MPI and cannot share work with the others that were "
                         "started; install libopenmpi-dev, run configure and make again, or start one alone");
    if (wire->join(&ranks.place, err)) return -1;
    if (ranks.place.count > 1)
        ranks.wire = wire;
    else
        wire->leave(0);
    return 0;
}

void ranks_leave(int code) {
    if (ranks.wire) ranks.wire->leave(code);
}

int ranks_first(void) {
    return ranks.place.index == 0;
}

int ranks_here(void) {
    return ranks.place.here;
}

int ranks_neighbour(void) {
    return ranks.place.neighbour;
}

int ranks_let_first_speak(void) {
    struct timespec pause = {1 + ranks.place.index / 20, ranks.place.index % 20 * 50000000L};

    if (ranks.place.index) nanosleep(&pause, NULL);
    return ranks.place.index;
}

void ranks_alone(int alone) {
    ranks.alone = alone;
}

int ranks_count(void) {
    return ranks.alone ? 1 : ranks.place.count;
}

int ranks_index(void) {
    return ranks.alone ? 0 : ranks.place.index;
}

void ranks_wait(void) {
    if (ranks_count() > 1) ranks.wire->wait();
}

size_t *ranks_even(size_t count) {
    size_t shares = (size_t)ranks_count(), *start = xcalloc(shares + 1, sizeof *start);

    for (size_t r = 0; r <= shares; r++) start[r] = count / shares * r + count % shares * r / shares;
    return start;
}

size_t *ranks_cut(const int *sizes, const int *items, int count) {
    size_t shares = (size_t)ranks_count(), *start = xcalloc(shares + 1, sizeof *start), total = 0, passed = 0;
    size_t next = 1;

    for (int i = 0; i < count; i++) total += (size_t)sizes[items ? items[i] : i];
    for (int i = 0; i < count; i++) {
        for (; next < shares && passed * shares >= next * total; next++) start[next] = (size_t)i;
        passed += (size_t)sizes[items ? items[i] : i];
    }
    for (; next <= shares; next++) start[next] = (size_t)count;
    return start;
}

const struct wire *ranks_wire(void) {
    return ranks.wire;
}

int ranks_partner(int round) {
    return (ranks.place.index + ranks.place.count + round) % ranks.place.count;
}

int ranks_take_channel(void) {
    for (int i = 1; i < CHANNELS; i++)
        if (!(ranks.channels & 1u << i)) {
            ranks.channels |= 1u << i;
            return i;
        }
    return -1;
}

void ranks_give_channel(int channel) {
    ranks.channels &= ~(1u << channel);
}

static size_t chunk(size_t bytes, size_t at) {
    return at >= bytes ? 0 : bytes - at < CHUNK ? bytes - at : CHUNK;
}

/* In channel 0. */
static void transfer(const char *out, size_t out_bytes, int to, char *in, size_t in_bytes, int from) {
    for (size_t at = 0; at < out_bytes || at < in_bytes; at += CHUNK) {
        size_t leaves = chunk(out_bytes, at), comes = chunk(in_bytes, at);

        if (comes) ranks.wire->receive(0, 0, in + at, comes, from);
        if (leaves) ranks.wire->send(0, out + at, leaves, to);
        if (comes) ranks.wire->arrived(0, 0, 1);
        ranks.wire->sent(0);
    }
}

void ranks_exchange(void *data, const size_t *start, size_t element) {
    const size_t *own = start + ranks_index();
    char *bytes = data;

    for (int round = 1; round < ranks_count(); round++) {
        int to = ranks_partner(round), from = ranks_partner(-round);

        transfer(bytes + own[0] * element, (own[1] - own[0]) * element, to, bytes + start[from] * element,
                 (start[from + 1] - start[from]) * element, from);
    }
}

void ranks_share(void *data, size_t bytes) {
    size_t *start = xcalloc((size_t)ranks_count() + 1, sizeof *start);

    for (int i = 1; i <= ranks_count(); i++) start[i] = bytes;
    ranks_exchange(data, start, 1);
    free(start);
}

void ranks_collect(float *all, const float *mine, const size_t *start) {
    const size_t *own = start + ranks_index();
    size_t bytes = (own[1] - own[0]) * sizeof *mine;

    for (int from = 1; from < ranks_count() && ranks_first(); from++)
        transfer((const char *)mine, 0, 0, (char *)(all + start[from]),
                 (start[from + 1] - start[from]) * sizeof *all, from);
    if (ranks_first())
        memcpy(all + own[0], mine, bytes);
    else
        transfer((const char *)mine, bytes, 0, (char *)all, 0, 0);
}

/* Every rank's values, one behind the other; caller frees. */
static double *values_of_all(const double *values, int count) {
    size_t *start = xcalloc((size_t)ranks_count() + 1, sizeof *start);
    double *all = xcalloc((size_t)ranks_count() * (size_t)count, sizeof *all);

    for (int r = 0; r <= ranks_count(); r++) start[r] = (size_t)r * (size_t)count;
    memcpy(all + start[ranks_index()], values, (size_t)count * sizeof *all);
    ranks_exchange(all, start, sizeof *all);
    free(start);
    return all;
}

static void combine(double *values, int count, double (*of)(double a, double b)) {
    double *all;

    if (ranks_count() == 1) return;
    all = values_of_all(values, count);
    for (int i = 0; i < count; i++) {
        values[i] = all[i];
        for (int r = 1; r < ranks_count(); r++) values[i] = of(values[i], all[r * count + i]);
    }
    free(all);
}

static double sum_of(double a, double b) {
    return a + b;
}

/* Not a number where either is not. */
static double larger_of(double a, double b) {
    return a > b || a != a ? a : b;
}

void ranks_sum(double *values, int count) {
    combine(values, count, sum_of);
}

void ranks_max(double *values, int count) {
    combine(values, count, larger_of);
}
