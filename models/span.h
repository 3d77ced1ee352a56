/* Byte strings and a hash index over an array of them. */
#ifndef MODELS_SPAN_H
#define MODELS_SPAN_H

#include <stddef.h>

struct span {
    const char *bytes;
    size_t length;
};

/* Open addressing: slots hold an item's number + 1, or 0. Start from zero; free with free(index.slots). */
struct span_index {
    int *slots;
    size_t room, used; /* room: a power of two */
};

/* The item equal to these bytes, or -1. */
int span_find(const struct span_index *index, const struct span *items, const char *bytes, size_t length);
/* Item number `item`, whose bytes are not in it yet. */
void span_add(struct span_index *index, const struct span *items, int item);

#endif
