#include "models/bpe.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "models/unicode.h"

#define NO_RANK INT_MAX

/* A part of the word; rank is that of the pair it makes with the next one, NO_RANK where there is none. */
struct symbol {
    int id, end;        /* end: in bytes of the word */
    int rank, made;     /* made: what the pair becomes */
    int previous, next; /* -1: none */
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
    const struct pair_slot *slot;
    const struct merge *merge;

    symbol->rank = NO_RANK;
    if (symbol->next < 0) return;
    slot = pair_slot(bpe, pair_key(symbol->id, work->symbols[symbol->next].id));
    if (!slot->key) return;
    merge = &bpe->merges[slot->merge];
    symbol->rank = merge->rank;
    symbol->made = merge->id;
    heap_push(work->heap, waiting, (uint64_t)merge->rank << 32 | (uint32_t)at);
}

static void merge_pair(const struct bpe *bpe, struct bpe_work *work, size_t *waiting, int at) {
    struct symbol *symbol = &work->symbols[at], *gone = &work->symbols[symbol->next];

    symbol->id = symbol->made;
    symbol->end = gone->end;
    symbol->next = gone->next;
    gone->rank = NO_RANK;
    if (symbol->next >= 0) work->symbols[symbol->next].previous = at;
    rank_pair(bpe, work, waiting, at);
    if (symbol->previous >= 0) rank_pair(bpe, work, waiting, symbol->previous);
}

static void add_symbol(struct symbol *symbols, int *count, int id, int end) {
    symbols[*count] = (struct symbol){id, end, NO_RANK, -1, *count - 1, *count + 1};
    ++*count;
}

static size_t character_length(const char *at, size_t room) {
    int size;

    unicode_decode((const unsigned char *)at, (const unsigned char *)at + room, &size);
    return (size_t)size;
}

static int all_bytes_known(const struct bpe *bpe, const char *at, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (bpe->byte_id[(unsigned char)at[i]] < 0) return 0;
    return 1;
}

/* The token of the character or byte at `at`, and its bytes; -1: unknown. */
static int first_token(const struct bpe *bpe, const char *at, size_t room, size_t *step) {
    *step = 1;
    if (!bpe->characters) return bpe->byte_id[(unsigned char)*at];
    *step = character_length(at, room);
    return span_find(&bpe->known, bpe->tokens, at, *step);
}

/* The first symbols of a word. An unknown character waits for what comes next, which may be one that it
   becomes one token with; bytes of others overtake it, as in Hugging Face's tokenizers. */
static int split(const struct bpe *bpe, const char *word, size_t length, struct symbol *symbols) {
    int count = 0, waits = 0;
    size_t end = 0;

    for (size_t at = 0, step; at < length; at += step) {
        int id = first_token(bpe, word + at, length - at, &step);

        if (id < 0 && bpe->characters && all_bytes_known(bpe, word + at, step)) {
            for (size_t i = 0; i < step; i++)
                add_symbol(symbols, &count, bpe->byte_id[(unsigned char)word[at + i]], (int)(at + i + 1));
            continue;
        }
        if (waits && (id >= 0 || !bpe->fuse_unknown)) add_symbol(symbols, &count, bpe->unknown, (int)end);
        waits = id < 0 && bpe->unknown >= 0;
        end = at + step;
        if (id >= 0) add_symbol(symbols, &count, id, (int)end);
    }
    if (waits) add_symbol(symbols, &count, bpe->unknown, (int)end);
    if (count > 0) symbols[count - 1].next = -1;
    return count;
}

static void merge_all(const struct bpe *bpe, const char *word, size_t length, struct bpe_work *work,
                      struct tokens *out, struct tokens *ends) {
    size_t waiting = 0;
    int count;

    make_room(work, length);
    count = split(bpe, word, length, work->symbols);
    for (int i = 0; i < count; i++) rank_pair(bpe, work, &waiting, i);
    while (waiting > 0) {
        uint64_t top = heap_pop(work->heap, &waiting);
        int at = (int)(uint32_t)top;

        if (work->symbols[at].rank == (int)(top >> 32)) merge_pair(bpe, work, &waiting, at);
    }
    for (int i = count > 0 ? 0 : -1; i >= 0; i = work->symbols[i].next) {
        tokens_add(out, work->symbols[i].id);
        if (ends) tokens_add(ends, work->symbols[i].end);
    }
}

void bpe_encode(const struct bpe *bpe, const char *word, size_t length, struct bpe_work *work,
                struct tokens *out, struct tokens *ends) {
    int whole = length <= bpe->longest ? span_find(&bpe->wholes, bpe->tokens, word, length) : -1;

    if (whole < 0) {
        merge_all(bpe, word, length, work, out, ends);
        return;
    }
    tokens_add(out, whole);
    if (ends) tokens_add(ends, (int)length);
}

static int index_pairs(struct bpe *bpe, struct error *err) {
    for (bpe->pair_room = 64; bpe->pair_room < 2 * (size_t)bpe->merge_count;) bpe->pair_room *= 2;
    bpe->pairs = xcalloc(bpe->pair_room, sizeof *bpe->pairs);
    for (int i = 0; i < bpe->merge_count; i++) {
        const struct merge *merge = &bpe->merges[i];
        uint64_t key = pair_key(merge->left, merge->right);
        struct pair_slot *slot = pair_slot(bpe, key);

        if (slot->key) return fail(err, "merge %d is there twice, first as merge %d", i, slot->merge);
        *slot = (struct pair_slot){key, i};
    }
    return 0;
}

/* Whether the token's own bytes are encoded to it. */
static int is_whole(const struct bpe *bpe, int id, struct bpe_work *work, struct tokens *made) {
    const struct span *token = &bpe->tokens[id];

    if (bpe->whole_first) return 1;
    made->count = 0;
    merge_all(bpe, token->bytes, token->length, work, made, NULL);
    return made->count == 1 && made->ids[0] == id;
}

static void index_tokens(struct bpe *bpe) {
    struct bpe_work work = {0};
    struct tokens made = {0};

    for (int id = 0; id < bpe->count; id++)
        if (bpe->tokens[id].bytes) span_add(&bpe->known, bpe->tokens, id);
    for (int id = 0; id < bpe->count; id++) {
        if (!bpe->tokens[id].bytes || !is_whole(bpe, id, &work, &made)) continue;
        span_add(&bpe->wholes, bpe->tokens, id);
        if (bpe->tokens[id].length > bpe->longest) bpe->longest = bpe->tokens[id].length;
    }
    free(made.ids);
    bpe_work_free(&work);
}

int bpe_index(struct bpe *bpe, struct error *err) {
    if (index_pairs(bpe, err)) return -1;
    index_tokens(bpe);
    return 0;
}

void bpe_free(struct bpe *bpe) {
    for (int id = 0; id < bpe->count; id++) free((char *)bpe->tokens[id].bytes);
    free(bpe->tokens);
    free(bpe->merges);
    free(bpe->pairs);
    free(bpe->known.slots);
    free(bpe->wholes.slots);
    *bpe = (struct bpe){0};
}
