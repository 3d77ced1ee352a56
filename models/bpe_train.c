#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "models/bpe.h"
#include "models/pretokenize.h"

/* A distinct word of the corpus, in the tokens it is made of so far. */
struct word {
    int *ids;
    int count;
    int64_t times;
};

/* Two tokens side by side: how often in the corpus, and in which words they have been. */
struct pair {
    int left, right;
    int64_t times;
    int *words;
    int word_count, word_room;
    int queued; /* the merge after which it was last put on the heap */
};

/* An entry of the heap; stale when its pair has other times by now. */
struct candidate {
    int64_t times;
    int pair;
};

struct trainer {
    struct bpe *bpe;
    struct span_index known; /* over bpe->tokens */
    struct span *spans;      /* of the words, into the texts */
    struct word *words;
    int word_count, word_room;
    struct span_index seen; /* over spans */
    struct pair *pairs;
    int pair_count, pair_room;
    int *slots; /* pairs by key: open addressing, number + 1 */
    size_t slot_room;
    struct candidate *heap;
    size_t waiting, heap_room;
    int *fresh; /* pairs whose times grew in this merge */
    int fresh_count, fresh_room;
};

/* Room for one more: doubles an array. */
static void *one_more(void *items, int count, int *room, size_t size) {
    if (count < *room) return items;
    *room = 2 * count + 64;
    return xrealloc(items, (size_t)*room, size);
}

static void add_word(struct trainer *trainer, const char *bytes, size_t length) {
    int at = span_find(&trainer->seen, trainer->spans, bytes, length), room = trainer->word_room;

    if (at < 0) {
        at = trainer->word_count;
        trainer->spans = one_more(trainer->spans, at, &room, sizeof *trainer->spans);
        trainer->words = one_more(trainer->words, at, &trainer->word_room, sizeof *trainer->words);
        trainer->spans[at] = (struct span){bytes, length};
        trainer->words[at] = (struct word){xmalloc(length * sizeof(int)), (int)length, 0};
        for (size_t i = 0; i < length; i++)
            trainer->words[at].ids[i] = trainer->bpe->byte_id[(unsigned char)bytes[i]];
        span_add(&trainer->seen, trainer->spans, at);
        trainer->word_count++;
    }
    trainer->words[at].times++;
}

static void add_text(struct trainer *trainer, const char *text) {
    for (size_t left = strlen(text), step; left > 0; text += step, left -= step) {
        step = pretoken_length(PRETOKENS_GPT2, text, left);
        add_word(trainer, text, step);
    }
}

static size_t slot_of(const struct trainer *trainer, int left, int right) {
    uint64_t hash = ((uint64_t)left << 32 | (uint32_t)right) * 0x9e3779b97f4a7c15;

    for (size_t i = hash ^ hash >> 32;; i++) {
        size_t slot = i & (trainer->slot_room - 1);
        int pair = trainer->slots[slot] - 1;

        if (pair < 0 || (trainer->pairs[pair].left == left && trainer->pairs[pair].right == right))
            return slot;
    }
}

static void grow_slots(struct trainer *trainer) {
    trainer->slot_room = trainer->slot_room ? 2 * trainer->slot_room : 4096;
    free(trainer->slots);
    trainer->slots = xcalloc(trainer->slot_room, sizeof *trainer->slots);
    for (int i = 0; i < trainer->pair_count; i++)
        trainer->slots[slot_of(trainer, trainer->pairs[i].left, trainer->pairs[i].right)] = i + 1;
}

static int find_pair(struct trainer *trainer, int left, int right) {
    size_t slot;

    if (2 * (size_t)(trainer->pair_count + 1) > trainer->slot_room) grow_slots(trainer);
    slot = slot_of(trainer, left, right);
    if (!trainer->slots[slot]) {
        trainer->pairs =
            one_more(trainer->pairs, trainer->pair_count, &trainer->pair_room, sizeof *trainer->pairs);
        trainer->pairs[trainer->pair_count++] = (struct pair){.left = left, .right = right, .queued = -1};
        trainer->slots[slot] = trainer->pair_count;
    }
    return trainer->slots[slot] - 1;
}

static void note_word(struct pair *pair, int word) {
    if (pair->word_count > 0 && pair->words[pair->word_count - 1] == word) return;
    pair->words = one_more(pair->words, pair->word_count, &pair->word_room, sizeof *pair->words);
    pair->words[pair->word_count++] = word;
}

/* Adds the word's pairs `times` over; those with the token `made` (-1: any) are new to the word. */
static void count_pairs(struct trainer *trainer, int word, int64_t times, int made, int step) {
    const struct word *of = &trainer->words[word];

    for (int i = 0; i + 1 < of->count; i++) {
        int number = find_pair(trainer, of->ids[i], of->ids[i + 1]);
        struct pair *pair = &trainer->pairs[number];

        pair->times += times;
        if (times < 0 || (made >= 0 && pair->left != made && pair->right != made)) continue;
        note_word(pair, word);
        if (pair->queued == step) continue;
        pair->queued = step;
        trainer->fresh =
            one_more(trainer->fresh, trainer->fresh_count, &trainer->fresh_room, sizeof *trainer->fresh);
        trainer->fresh[trainer->fresh_count++] = number;
    }
}

/* The most frequent first, then the smaller ids. */
static int comes_before(const struct trainer *trainer, struct candidate a, struct candidate b) {
    const struct pair *x = &trainer->pairs[a.pair], *y = &trainer->pairs[b.pair];

    if (a.times != b.times) return a.times > b.times;
    return x->left != y->left ? x->left < y->left : x->right < y->right;
}

static void push(struct trainer *trainer, int pair) {
    struct candidate new = {trainer->pairs[pair].times, pair};
    struct candidate *heap;
    size_t at = trainer->waiting++;

    if (trainer->waiting > trainer->heap_room) {
        trainer->heap_room = 2 * trainer->waiting + 64;
        trainer->heap = xrealloc(trainer->heap, trainer->heap_room, sizeof *trainer->heap);
    }
    heap = trainer->heap;
    for (; at > 0 && comes_before(trainer, new, heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = new;
}

static struct candidate pop(struct trainer *trainer) {
    struct candidate *heap = trainer->heap, top = heap[0], last = heap[--trainer->waiting];
    size_t at = 0, child;

    while ((child = 2 * at + 1) < trainer->waiting) {
        if (child + 1 < trainer->waiting && comes_before(trainer, heap[child + 1], heap[child])) child++;
        if (!comes_before(trainer, heap[child], last)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

static void queue_fresh(struct trainer *trainer) {
    for (int i = 0; i < trainer->fresh_count; i++) push(trainer, trainer->fresh[i]);
    trainer->fresh_count = 0;
}

/* The most frequent pair, or -1 when none is there twice. */
static int best_pair(struct trainer *trainer) {
    while (trainer->waiting > 0) {
        struct candidate top = pop(trainer);
        int64_t times = trainer->pairs[top.pair].times;

        if (times == top.times && times > 1) return top.pair;
        if (times < top.times && times > 1) push(trainer, top.pair);
    }
    return -1;
}

/* The token of both sides' bytes; the same bytes may come of two different merges. */
static int join(struct trainer *trainer, int left, int right) {
    struct bpe *bpe = trainer->bpe;
    struct span a = bpe->tokens[left], b = bpe->tokens[right];
    char *bytes = xmalloc(a.length + b.length);
    int id;

    memcpy(bytes, a.bytes, a.length);
    memcpy(bytes + a.length, b.bytes, b.length);
    id = span_find(&trainer->known, bpe->tokens, bytes, a.length + b.length);
    if (id >= 0) {
        free(bytes);
        return id;
    }
    bpe->tokens[bpe->count] = (struct span){bytes, a.length + b.length};
    span_add(&trainer->known, bpe->tokens, bpe->count);
    return bpe->count++;
}

static int holds_pair(const struct word *word, int left, int right) {
    for (int i = 0; i + 1 < word->count; i++)
        if (word->ids[i] == left && word->ids[i + 1] == right) return 1;
    return 0;
}

static void replace_pair(struct word *word, int left, int right, int id) {
    int kept = 0;

    for (int i = 0; i < word->count; i++) {
        int here = i + 1 < word->count && word->ids[i] == left && word->ids[i + 1] == right;

        word->ids[kept++] = here ? id : word->ids[i];
        i += here;
    }
    word->count = kept;
}

static void apply_merge(struct trainer *trainer, int number, int step) {
    int left = trainer->pairs[number].left, right = trainer->pairs[number].right;
    int id = join(trainer, left, right), count = trainer->pairs[number].word_count;
    int *words = trainer->pairs[number].words;

    trainer->bpe->merges[trainer->bpe->merge_count] =
        (struct merge){left, right, id, trainer->bpe->merge_count};
    trainer->bpe->merge_count++;
    trainer->pairs[number].words = NULL;
    trainer->pairs[number].word_count = trainer->pairs[number].word_room = 0;
    for (int i = 0; i < count; i++) {
        struct word *word = &trainer->words[words[i]];

        if (!holds_pair(word, left, right)) continue;
        count_pairs(trainer, words[i], -word->times, id, step);
        replace_pair(word, left, right, id);
        count_pairs(trainer, words[i], word->times, id, step);
    }
    free(words);
    queue_fresh(trainer);
}

static void begin_tokens(struct trainer *trainer, int count) {
    struct bpe *bpe = trainer->bpe;

    *bpe = (struct bpe){.tokens = xcalloc((size_t)count, sizeof *bpe->tokens),
                        .merges = xcalloc(2 * (size_t)count, sizeof *bpe->merges)};
    for (int byte = 0; byte < 256; byte++) {
        char letter = (char)byte;

        bpe->tokens[byte] = (struct span){xstrndup(&letter, 1), 1};
        bpe->byte_id[byte] = byte;
        span_add(&trainer->known, bpe->tokens, byte);
    }
    bpe->count = 256;
}

static void end_training(struct trainer *trainer) {
    for (int i = 0; i < trainer->word_count; i++) free(trainer->words[i].ids);
    for (int i = 0; i < trainer->pair_count; i++) free(trainer->pairs[i].words);
    free(trainer->known.slots);
    free(trainer->seen.slots);
    free(trainer->spans);
    free(trainer->words);
    free(trainer->pairs);
    free(trainer->slots);
    free(trainer->heap);
    free(trainer->fresh);
}

void bpe_train(struct bpe *bpe, const char *const *texts, int text_count, int count) {
    struct trainer trainer = {.bpe = bpe};
    int pair;

    begin_tokens(&trainer, count);
    for (int i = 0; i < text_count; i++) add_text(&trainer, texts[i]);
    for (int i = 0; i < trainer.word_count; i++) count_pairs(&trainer, i, trainer.words[i].times, -1, 0);
    queue_fresh(&trainer);
    for (int step = 1; bpe->count < count && bpe->merge_count < 2 * count; step++) {
        pair = best_pair(&trainer);
        if (pair < 0) break;
        apply_merge(&trainer, pair, step);
    }
    end_training(&trainer);
}
