#include "models/span.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    return hash ^ hash >> 32;
}

static uint64_t hash_of(const char *bytes, size_t length) {
    uint64_t hash = length, word;

    for (; length >= 8; bytes += 8, length -= 8) {
        memcpy(&word, bytes, 8);
        hash = mix(hash, word);
    }
    for (word = 0; length > 0; length--) word = word << 8 | (unsigned char)bytes[length - 1];
    return mix(hash, word);
}

int span_find(const struct span_index *index, const struct span *items, const char *bytes, size_t length) {
    if (index->room == 0) return -1;
    for (size_t i = hash_of(bytes, length);; i++) {
        int item = index->slots[i & (index->room - 1)] - 1;

        if (item < 0) return -1;
        if (items[item].length == length && memcmp(items[item].bytes, bytes, length) == 0) return item;
    }
}

static void place(struct span_index *index, const struct span *items, int item) {
    size_t i = hash_of(items[item].bytes, items[item].length);

    while (index->slots[i & (index->room - 1)]) i++;
    index->slots[i & (index->room - 1)] = item + 1;
}

static void grow(struct span_index *index, const struct span *items) {
    struct span_index old = *index;

    index->room = old.room ? 2 * old.room : 1024;
    index->slots = xcalloc(index->room, sizeof *index->slots);
    for (size_t i = 0; i < old.room; i++)
        if (old.slots[i]) place(index, items, old.slots[i] - 1);
    free(old.slots);
}

void span_add(struct span_index *index, const struct span *items, int item) {
    if (2 * (index->used + 1) > index->room) grow(index, items);
    place(index, items, item);
    index->used++;
}
