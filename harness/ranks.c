#include "harness/ranks.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/memory.h"
#include "harness/wire.h"

enum { BUCKET = 1 << 20, CHUNK = 1 << 26 }; /* floats added at a time, bytes sent at a time */

static struct {
    const struct wire *wire; /* NULL: nobody else */
    int index, count, here;
    int alone;
} ranks = {.count = 1, .here = 1};

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
    return size ? atoi(size) > 1 : getenv("PMIX_RANK") != NULL;
}

int ranks_join(struct error *err) {
    if (!is_started_with_others()) return 0;
    if (!wire)
        return fail(err, "this pyrite was built without MPI and cannot share work with the others that were "
                         "started; install libopenmpi-dev, run configure and make again, or start one alone");
    if (wire->join(&ranks.index, &ranks.count, &ranks.here, err)) return -1;
    if (ranks.count > 1)
        ranks.wire = wire;
    else
        wire->leave(0);
    return 0;
}

void ranks_leave(int code) {
    if (ranks.wire) ranks.wire->leave(code);
}

int ranks_first(void) {
    return ranks.index == 0;
}

int ranks_here(void) {
    return ranks.here;
}

int ranks_let_first_speak(void) {
    struct timespec pause = {1 + ranks.index / 20, ranks.index % 20 * 50000000L};

    if (ranks.index) nanosleep(&pause, NULL);
    return ranks.index;
}

void ranks_alone(int alone) {
    ranks.alone = alone;
}

int ranks_count(void) {
    return ranks.alone ? 1 : ranks.count;
}

int ranks_index(void) {
    return ranks.alone ? 0 : ranks.index;
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

static size_t piece(size_t bytes, size_t at, size_t most) {
    return at >= bytes ? 0 : bytes - at < most ? bytes - at : most;
}

static void transfer(const char *out, size_t out_bytes, int to, char *in, size_t in_bytes, int from) {
    for (size_t at = 0; at < out_bytes || at < in_bytes; at += CHUNK) {
        ranks.wire->begin(0, out + at, piece(out_bytes, at, CHUNK), to, in + at, piece(in_bytes, at, CHUNK),
                          from);
        ranks.wire->end(0);
    }
}

/* Partners of a round: in rounds 1 … count - 1 every rank meets every other once in each direction. */
static int partner(int round) {
    return (ranks.index + ranks.count + round) % ranks.count;
}

void ranks_exchange(void *data, const size_t *start, size_t element) {
    const size_t *own = start + ranks_index();
    char *bytes = data;

    for (int round = 1; round < ranks_count(); round++) {
        int to = partner(round), from = partner(-round);

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

/* A bucket on its way: what comes in is added to `into`. */
struct bucket {
    float *into, *came;
    size_t count;
};

static void add_bucket(const struct bucket *bucket, int slot) {
    ranks.wire->end(slot);
    for (size_t i = 0; i < bucket->count; i++) bucket->into[i] += bucket->came[i];
}

/* A rank's own elements take the others' in the order index - 1, index - 2, …; while a bucket is added the
   next is under way. */
void ranks_reduce(float *data, const size_t *start) {
    const size_t own = start[ranks_index()], mine = start[ranks_index() + 1] - own;
    struct bucket buckets[SLOTS] = {0};
    int slot = 0, under_way = 0;

    for (int i = 0; i < SLOTS && ranks_count() > 1; i++) buckets[i].came = xcalloc(BUCKET, sizeof(float));
    for (int round = 1; round < ranks_count(); round++) {
        int to = partner(round), from = partner(-round);
        size_t theirs = start[to + 1] - start[to];

        for (size_t at = 0; at < mine || at < theirs; at += BUCKET) {
            struct bucket *bucket = &buckets[slot];

            bucket->count = piece(mine, at, BUCKET);
            bucket->into = data + own + at;
            ranks.wire->begin(slot, data + start[to] + at, piece(theirs, at, BUCKET) * sizeof(float), to,
                              bucket->came, bucket->count * sizeof(float), from);
            if (under_way) add_bucket(&buckets[!slot], !slot);
            under_way = 1;
            slot = !slot;
        }
    }
    if (under_way) add_bucket(&buckets[!slot], !slot);
    for (int i = 0; i < SLOTS; i++) free(buckets[i].came);
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
