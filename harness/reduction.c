#include "harness/reduction.h"

#include <stdlib.h>

#include "harness/memory.h"
#include "harness/ranks.h"
#include "harness/wire.h"

/* Buckets are cut from the array's end, where backward passes begin, and numbered from there. What one of
   them has of a rank's slice is a piece. */
struct reduction {
    const struct reducer *by; /* NULL: the wire */
    float *data;
    size_t count, bucket, *slices;
    int channel, others; /* others: ranks beside this one */
    size_t ready;        /* data behind this is final */
    size_t sent;         /* buckets that have left */
    size_t first, last;  /* buckets that hold this rank's slice; last is not among them */
    size_t asked, added; /* of the pieces that come in: one of each bucket from each other rank */
    float *came[SLOTS];
};

static size_t begin_of(const struct reduction *r, size_t number) {
    size_t end = r->count - number * r->bucket;

    return end > r->bucket ? end - r->bucket : 0;
}

/* What bucket `number` has of a rank's slice: where it begins, and its size. */
static size_t find_piece(const struct reduction *r, size_t number, int rank, size_t *begin) {
    size_t end = r->count - number * r->bucket;

    *begin = begin_of(r, number);
    if (*begin < r->slices[rank]) *begin = r->slices[rank];
    if (end > r->slices[rank + 1]) end = r->slices[rank + 1];
    return end > *begin ? end - *begin : 0;
}

static void start_anew(struct reduction *r) {
    r->ready = r->count;
    r->sent = r->asked = r->added = 0;
}

static void find_own_buckets(struct reduction *r) {
    size_t begin = r->slices[ranks_index()], end = r->slices[ranks_index() + 1];

    if (begin == end) return;
    r->first = (r->count - end) / r->bucket;
    r->last = (r->count - begin - 1) / r->bucket + 1;
}

int reduction_open(struct reduction **out, float *data, size_t count, size_t bucket, const struct reducer *by,
                   struct error *err) {
    struct reduction *r;
    int channel;

    *out = NULL;
    if (ranks_count() == 1) return 0;
    channel = ranks_take_channel();
    if (channel < 0) return fail(err, "ranks can train at most %d models at a time", CHANNELS - 1);
    r = xcalloc(1, sizeof *r);
    r->by = by;
    r->data = data;
    r->count = count;
    r->bucket = bucket;
    r->slices = ranks_even(count);
    r->channel = channel;
    r->others = ranks_count() - 1;
    for (int i = 0; i < SLOTS && !by; i++) r->came[i] = xcalloc(bucket, sizeof *r->came[i]);
    find_own_buckets(r);
    start_anew(r);
    *out = r;
    return 0;
}

/* What each rank has of a bucket, in one call. */
static void reduce_bucket(const struct reduction *r, size_t number) {
    size_t begin = begin_of(r, number), end = r->count - number * r->bucket;
    size_t *start = xcalloc((size_t)r->others + 2, sizeof *start);

    for (int rank = 0; rank <= r->others + 1; rank++) {
        start[rank] = r->slices[rank] < begin ? begin : r->slices[rank];
        if (start[rank] > end) start[rank] = end;
    }
    r->by->reduce(r->data, start);
    free(start);
}

static void send_bucket(const struct reduction *r, size_t number) {
    if (r->by) {
        reduce_bucket(r, number);
        return;
    }
    for (int round = 1; round <= r->others; round++) {
        int to = ranks_partner(round);
        size_t begin, size = find_piece(r, number, to, &begin);

        if (size) ranks_wire()->send(r->channel, r->data + begin, size * sizeof *r->data, to);
    }
}

/* The bucket of the n-th piece that comes in. */
static size_t bucket_of(const struct reduction *r, size_t n) {
    return r->first + n / (size_t)r->others;
}

static void ask(struct reduction *r) {
    int slot = (int)(r->asked % SLOTS), from = ranks_partner(-1 - (int)(r->asked % (size_t)r->others));
    size_t begin, size = find_piece(r, bucket_of(r, r->asked), ranks_index(), &begin);

    ranks_wire()->receive(r->channel, slot, r->came[slot], size * sizeof *r->data, from);
    r->asked++;
}

/* Adds the next piece if it has come and this rank's own part of it is final; 0 if not. */
static int add(struct reduction *r, int waiting) {
    int slot = (int)(r->added % SLOTS);
    size_t begin, size = find_piece(r, bucket_of(r, r->added), ranks_index(), &begin);

    if (begin < r->ready || !ranks_wire()->arrived(r->channel, slot, waiting)) return 0;
    for (size_t i = 0; i < size; i++) r->data[begin + i] += r->came[slot][i];
    r->added++;
    return 1;
}

static void advance(struct reduction *r, int waiting) {
    size_t all = (r->last - r->first) * (size_t)r->others;

    do {
        while (r->asked < all && r->asked < r->added + SLOTS) ask(r);
    } while (r->added < all && add(r, waiting));
}

void reduction_ready(struct reduction *r, size_t from) {
    if (!r) return;
    r->ready = from;
    for (; r->sent * r->bucket < r->count && begin_of(r, r->sent) >= from; r->sent++) send_bucket(r, r->sent);
    if (!r->by) advance(r, 0);
}

void reduction_end(struct reduction *r) {
    if (!r) return;
    reduction_ready(r, 0);
    if (r->by) {
        r->by->settle();
    } else {
        advance(r, 1);
        ranks_wire()->sent(r->channel);
    }
    start_anew(r);
}

void reduction_gather(struct reduction *r, float *array) {
    if (!r) return;
    if (!r->by) {
        ranks_exchange(array, r->slices, sizeof *array);
        return;
    }
    r->by->gather(array, r->slices);
    r->by->settle();
}

void reduction_close(struct reduction *r) {
    if (!r) return;
    ranks_give_channel(r->channel);
    for (int i = 0; i < SLOTS; i++) free(r->came[i]);
    free(r->slices);
    free(r);
}
