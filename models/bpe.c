#include "models/bpe.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"

#define NO_RANK INT_MAX

/* A part of the word; rank is that of the pair it makes with the next one, NO_RANK where there is none. */
struct symbol {
    int id, rank, previous, next; /* -1: none */
};

static uint64_t pair_key(int left, int right) {
    return ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) + 1;
}

static struct pair_slot *pair_slot(const struct bpe *bpe, uint64_t key) {
    uint64_t hash = key * 0x9e3779b97f4a7c15;
    struct pair_slot *slot;

    for (size_t i = hash ^ hash >> 32;; i++) {
        slot = &bpe->pairs[i & (bpe->pair_room - 1)];
        if (slot->key == key || slot->key == 0) return slot;
    }
}

static int pair_rank(const struct bpe *bpe, int left, int right) {
    const struct pair_slot *slot = pair_slot(bpe, pair_key(left, right));

    return slot->key ? slot->rank : NO_RANK;
}

static void make_room(struct bpe_work *work, size_t length) {
    if (work->room >= length) return;
    work->room = 2 * length + 64;
    work->symbols = xrealloc(work->symbols, work->room, sizeof *work->symbols);
    work->heap = xrealloc(work->heap, 3 * work->room, sizeof *work->heap);
}

void bpe_work_free(struct bpe_work *work) {
    free(work->symbols);
    free(work->heap);
    *work = (struct bpe_work){0};
}

/* A heap of rank << 32 | position: the lowest rank first, leftmost of equals. */
static void heap_push(uint64_t *heap, size_t *count, uint64_t entry) {
    size_t at = (*count)++;

    for (; at > 0 && heap[(at - 1) / 2] > entry; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = entry;
}

static uint64_t heap_pop(uint64_t *heap, size_t *count) {
    uint64_t top = heap[0], last = heap[--*count];
    size_t at = 0, child;

    while ((child = 2 * at + 1) < *count) {
        if (child + 1 < *count && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= last) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

/* Ranks anew the pair that begins at this symbol. */
static void rank_pair(const struct bpe *bpe, struct bpe_work *work, size_t *waiting, int at) {
    struct symbol *symbol = &work->symbols[at];

    symbol->rank = NO_RANK;
    if (symbol->next >= 0) symbol->rank = pair_rank(bpe, symbol->id, work->symbols[symbol->next].id);
    if (symbol->rank != NO_RANK) heap_push(work->heap, waiting, (uint64_t)symbol->rank << 32 | (uint32_t)at);
}

static void merge_pair(const struct bpe *bpe, struct bpe_work *work, size_t *waiting, int at) {
    struct symbol *symbol = &work->symbols[at], *gone = &work->symbols[symbol->next];

    symbol->id = bpe->merges[symbol->rank].id;
    symbol->next = gone->next;
    gone->rank = NO_RANK;
    if (symbol->next >= 0) work->symbols[symbol->next].previous = at;
    rank_pair(bpe, work, waiting, at);
    if (symbol->previous >= 0) rank_pair(bpe, work, waiting, symbol->previous);
}

static void merge_all(const struct bpe *bpe, const char *word, size_t length, struct bpe_work *work,
                      struct tokens *out) {
    int count = (int)length;
    size_t waiting = 0;

    make_room(work, length);
    for (int i = 0; i < count; i++)
        work->symbols[i] =
            (struct symbol){bpe->byte_id[(unsigned char)word[i]], NO_RANK, i - 1, i + 1 < count ? i + 1 : -1};
    for (int i = 0; i < count; i++) rank_pair(bpe, work, &waiting, i);
    while (waiting > 0) {
        uint64_t top = heap_pop(work->heap, &waiting);
        int at = (int)(uint32_t)top;

        if (work->symbols[at].rank == (int)(top >> 32)) merge_pair(bpe, work, &waiting, at);
    }
    for (int i = 0; i >= 0; i = work->symbols[i].next) tokens_add(out, work->symbols[i].id);
}

void bpe_encode(const struct bpe *bpe, const char *word, size_t length, struct bpe_work *work,
                struct tokens *out) {
    int whole = length <= bpe->longest ? span_find(&bpe->wholes, bpe->tokens, word, length) : -1;

    if (whole >= 0)
        tokens_add(out, whole);
    else
        merge_all(bpe, word, length, work, out);
}

static int index_pairs(struct bpe *bpe, struct error *err) {
    for (bpe->pair_room = 64; bpe->pair_room < 2 * (size_t)bpe->merge_count;) bpe->pair_room *= 2;
    bpe->pairs = xcalloc(bpe->pair_room, sizeof *bpe->pairs);
    for (int rank = 0; rank < bpe->merge_count; rank++) {
        const struct merge *merge = &bpe->merges[rank];
        uint64_t key = pair_key(merge->left, merge->right);
        struct pair_slot *slot = pair_slot(bpe, key);

        if (slot->key) return fail(err, "merge %d is there twice, first as merge %d", rank, slot->rank);
        *slot = (struct pair_slot){key, rank};
    }
    return 0;
}

static void index_wholes(struct bpe *bpe) {
    struct bpe_work work = {0};
    struct tokens made = {0};

    for (int id = 0; id < bpe->count; id++) {
        const struct span *token = &bpe->tokens[id];

        if (!token->bytes) continue;
        made.count = 0;
        merge_all(bpe, token->bytes, token->length, &work, &made);
        if (made.count != 1 || made.ids[0] != id) continue;
        span_add(&bpe->wholes, bpe->tokens, id);
        if (token->length > bpe->longest) bpe->longest = token->length;
    }
    free(made.ids);
    bpe_work_free(&work);
}

int bpe_index(struct bpe *bpe, struct error *err) {
    if (index_pairs(bpe, err)) return -1;
    index_wholes(bpe);
    return 0;
}

void bpe_free(struct bpe *bpe) {
    for (int id = 0; id < bpe->count; id++) free((char *)bpe->tokens[id].bytes);
    free(bpe->tokens);
    free(bpe->merges);
    free(bpe->pairs);
    free(bpe->wholes.slots);
    *bpe = (struct bpe){0};
}
