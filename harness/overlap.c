#include "harness/overlap.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"

enum { BANDS = 32, ROWS = 4, HASHES = BANDS * ROWS, BUCKET_MOST = 64 };

static uint64_t mixed(uint64_t x) { /* splitmix64's finaliser (Steele, Lea and Flood 2014) */
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

/* 64-bit numbers that grow. */
struct numbers {
    uint64_t *items;
    int count, room;
};

static void numbers_add(struct numbers *numbers, uint64_t number) {
    if (numbers->count == numbers->room) {
        numbers->room = 2 * numbers->room + 64;
        numbers->items = xrealloc(numbers->items, (size_t)numbers->room, sizeof *numbers->items);
    }
    numbers->items[numbers->count++] = number;
}

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void numbers_sort(struct numbers *numbers) {
    int kept = 0;

    if (!numbers->count) return;
    qsort(numbers->items, (size_t)numbers->count, sizeof *numbers->items, by_number);
    for (int i = 0; i < numbers->count; i++)
        if (!i || numbers->items[i] != numbers->items[i - 1]) numbers->items[kept++] = numbers->items[i];
    numbers->count = kept;
}

/* A hash of each word, FNV-1a mixed. */
static void read_words(struct numbers *words, const char *text) {
    words->count = 0;
    while (*text) {
        size_t length = strcspn(text, " ");

        numbers_add(words, mixed(text_hash(text, length)));
        text += length;
        text += *text == ' ';
    }
}

/* The hash of `length` words, a polynomial in them: that of the next run follows from it. */
static const uint64_t base = 0x9e3779b97f4a7c15;

static uint64_t power(int exponent) {
    uint64_t result = 1;

    while (exponent-- > 0) result *= base;
    return result;
}

/* Calls each(context, hash) for every run of so many words. */
static void each_run(const struct numbers *words, int length, void (*each)(void *context, uint64_t hash),
                     void *context) {
    uint64_t hash = 0, top = power(length - 1);

    for (int i = 0; i < words->count; i++) {
        if (i >= length) hash -= top * words->items[i - length];
        hash = hash * base + words->items[i];
        if (i >= length - 1) each(context, mixed(hash + (uint64_t)length));
    }
}

static void add_run(void *context, uint64_t hash) {
    numbers_add(context, hash);
}

/* The runs of one length; of a shorter text the whole. */
static void read_runs(struct numbers *runs, struct numbers *words, const char *text, int length) {
    runs->count = 0;
    read_words(words, text);
    each_run(words, words->count < length ? words->count : length, add_run, runs);
    numbers_sort(runs);
}

static double jaccard(const struct numbers *a, const struct numbers *b) {
    int both = 0, i = 0, j = 0;

    while (i < a->count && j < b->count) {
        uint64_t x = a->items[i], y = b->items[j];

        both += x == y;
        i += x <= y;
        j += y <= x;
    }
    return a->count + b->count ? (double)both / (a->count + b->count - both) : 1;
}

/* Room that comparisons use again. */
struct scratch {
    struct numbers words, a, b;
};

static void scratch_free(struct scratch *scratch) {
    free(scratch->words.items);
    free(scratch->a.items);
    free(scratch->b.items);
}

static double similarity(struct scratch *scratch, const char *a, const char *b) {
    read_runs(&scratch->a, &scratch->words, a, SHINGLE_WORDS);
    read_runs(&scratch->b, &scratch->words, b, SHINGLE_WORDS);
    return jaccard(&scratch->a, &scratch->b);
}

double shingle_similarity(const char *a, const char *b) {
    struct scratch scratch = {0};
    double result = similarity(&scratch, a, b);

    scratch_free(&scratch);
    return result;
}

/* A text's key in every band: of the least of its shingles under each of the band's hash functions. */
static void read_keys(uint64_t keys[BANDS], const struct numbers *shingles, const uint64_t seeds[HASHES]) {
    for (int band = 0; band < BANDS; band++) {
        uint64_t key = (uint64_t)band;

        for (int row = 0; row < ROWS; row++) {
            uint64_t least = UINT64_MAX, seed = seeds[band * ROWS + row];

            for (int i = 0; i < shingles->count; i++) {
                uint64_t hash = (shingles->items[i] ^ seed) * 0x9fb21c651e98df25;

                hash ^= hash >> 35;
                if (hash < least) least = hash;
            }
            key = mixed(key ^ least) + base;
        }
        keys[band] = key;
    }
}

struct slot {
    uint64_t key;
    int text;
};

static int by_slot(const void *a, const void *b) {
    const struct slot *x = a, *y = b;

    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->text - y->text;
}

/* One search for pairs. */
struct pairing {
    struct near_pairs *out;
    const char *const *texts;
    const int *groups;
    double least;
    uint64_t (*keys)[BANDS];
    struct scratch scratch;
};

/* A pair that agrees in an earlier band was compared there. */
static int met_before(const struct pairing *in, int a, int b, int band) {
    for (int i = 0; i < band; i++)
        if (in->keys[a][i] == in->keys[b][i]) return 1;
    return 0;
}

static void compare(struct pairing *in, int a, int b, int band) {
    struct near_pairs *out = in->out;
    double found;

    if ((in->groups && in->groups[a] == in->groups[b]) || met_before(in, a, b, band)) return;
    found = similarity(&in->scratch, in->texts[a], in->texts[b]);
    if (found < in->least) return;
    if ((out->count & (out->count - 1)) == 0)
        out->items = xrealloc(out->items, out->count ? (size_t)out->count * 2 : 1, sizeof *out->items);
    out->items[out->count++] = (struct near_pair){a, b, found};
}

/* Texts of one key: each with the BUCKET_MOST that follow it, so that time stays linear. */
static void compare_bucket(struct pairing *in, const struct slot *slots, int count, int band) {
    for (int i = 0; i < count; i++) {
        int end = count - i > BUCKET_MOST ? i + BUCKET_MOST : count;

        for (int j = i + 1; j < end; j++) compare(in, slots[i].text, slots[j].text, band);
        in->out->passed_over += count - end;
    }
}

static int by_pair(const void *a, const void *b) {
    const struct near_pair *x = a, *y = b;

    return x->a != y->a ? x->a - y->a : x->b - y->b;
}

void near_find(struct near_pairs *out, const char *const *texts, const int *groups, int count, double least) {
    struct pairing in = {.out = out, .texts = texts, .groups = groups, .least = least};
    struct slot *slots = xmalloc((size_t)count * sizeof *slots + 1);
    uint64_t seeds[HASHES];

    *out = (struct near_pairs){0};
    in.keys = xcalloc((size_t)count, sizeof *in.keys);
    for (int i = 0; i < HASHES; i++) seeds[i] = mixed((uint64_t)i + 1);
    for (int i = 0; i < count; i++) {
        read_runs(&in.scratch.a, &in.scratch.words, texts[i], SHINGLE_WORDS);
        read_keys(in.keys[i], &in.scratch.a, seeds);
    }
    for (int band = 0; band < BANDS; band++) {
        for (int i = 0; i < count; i++) slots[i] = (struct slot){in.keys[i][band], i};
        qsort(slots, (size_t)count, sizeof *slots, by_slot);
        for (int first = 0, end; first < count; first = end) {
            for (end = first + 1; end < count && slots[end].key == slots[first].key; end++) continue;
            compare_bucket(&in, slots + first, end - first, band);
        }
    }
    if (out->count) qsort(out->items, (size_t)out->count, sizeof *out->items, by_pair);
    scratch_free(&in.scratch);
    free(in.keys);
    free(slots);
}

void near_free(struct near_pairs *pairs) {
    free(pairs->items);
    *pairs = (struct near_pairs){0};
}

/* A run of an item, or a whole item. */
struct wanted {
    uint64_t hash;
    int item, found;
};

struct search_items {
    int count, words;
    struct wanted *runs, *whole; /* sorted by hash */
    int run_count, *lengths;     /* lengths: [words + 1], whether items look for runs of that length */
    int *same, *found, *of;      /* of each item */
    struct numbers scratch;
};

static int by_hash(const void *a, const void *b) {
    const struct wanted *x = a, *y = b;

    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return x->item - y->item;
}

static uint64_t hash_whole(const char *text) {
    return mixed(text_hash(text, strlen(text)));
}

static void add_item(struct search_items *search, const char *text, int item) {
    struct numbers runs = {0};
    int length;

    read_runs(&runs, &search->scratch, text, search->words);
    length = search->scratch.count < search->words ? search->scratch.count : search->words;
    if (length > 0) search->lengths[length] = 1;
    search->whole[item] = (struct wanted){hash_whole(text), item, 0};
    search->of[item] = length > 0 ? runs.count : 0;
    search->runs = xrealloc(search->runs, (size_t)(search->run_count + runs.count) + 1, sizeof *search->runs);
    for (int i = 0; i < search->of[item]; i++)
        search->runs[search->run_count++] = (struct wanted){runs.items[i], item, 0};
    free(runs.items);
}

struct search_items *search_new(const char *const *items, int count, int words) {
    struct search_items *search = xcalloc(1, sizeof *search);

    search->count = count;
    search->words = words;
    search->lengths = xcalloc((size_t)words + 1, sizeof *search->lengths);
    search->whole = xcalloc((size_t)count + 1, sizeof *search->whole);
    search->same = xcalloc((size_t)count + 1, sizeof *search->same);
    search->found = xcalloc((size_t)count + 1, sizeof *search->found);
    search->of = xcalloc((size_t)count + 1, sizeof *search->of);
    for (int i = 0; i < count; i++) add_item(search, items[i], i);
    if (search->run_count) qsort(search->runs, (size_t)search->run_count, sizeof *search->runs, by_hash);
    qsort(search->whole, (size_t)count, sizeof *search->whole, by_hash);
    return search;
}

/* The first of that hash, or NULL. */
static struct wanted *look_up(struct wanted *sorted, int count, uint64_t hash) {
    int low = 0, high = count;

    while (low < high) {
        int middle = low + (high - low) / 2;

        if (sorted[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && sorted[low].hash == hash ? &sorted[low] : NULL;
}

static void find_run(void *context, uint64_t hash) {
    struct search_items *search = context;
    struct wanted *run = look_up(search->runs, search->run_count, hash),
                  *end = search->runs + search->run_count;

    for (; run && run < end && run->hash == hash && !run->found; run++) {
        run->found = 1;
        search->found[run->item]++;
    }
}

void search_in(struct search_items *search, const char *text) {
    struct wanted *whole = look_up(search->whole, search->count, hash_whole(text));

    for (; whole && whole < search->whole + search->count && whole->hash == hash_whole(text); whole++)
        search->same[whole->item] = 1;
    read_words(&search->scratch, text);
    for (int length = 1; length <= search->words; length++)
        if (search->lengths[length] && search->scratch.count >= length)
            each_run(&search->scratch, length, find_run, search);
}

int search_same(const struct search_items *search, int i) {
    return search->same[i];
}

double search_share(const struct search_items *search, int i) {
    return search->of[i] ? (double)search->found[i] / search->of[i] : 0;
}

void search_free(struct search_items *search) {
    if (!search) return;
    free(search->runs);
    free(search->whole);
    free(search->lengths);
    free(search->same);
    free(search->found);
    free(search->of);
    free(search->scratch.items);
    free(search);
}
