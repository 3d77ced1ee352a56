#include "harness/names.h"

#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/option.h"

enum { LISTED = 24 }; /* a sentence holds no more */

/* A hash table lies behind the names, in the same block: 2·room slots, a power of two, each a name's place
   + 1, or 0. */
static int *slots_of(const struct names *names) {
    return (int *)(names->items + names->room);
}

/* The slot that holds the name, or the free one where it belongs. */
static int *slot_of(const struct names *names, const char *name) {
    uint64_t at = text_hash(name, strlen(name));

    for (;; at++) {
        int *slot = &slots_of(names)[at & (uint64_t)(2 * names->room - 1)];

        if (!*slot || !strcmp(names->items[*slot - 1], name)) return slot;
    }
}

static void grow(struct names *names) {
    names->room = names->room ? 2 * names->room : 16;
    names->items =
        xrealloc(names->items, (size_t)names->room, sizeof *names->items + 2 * sizeof *slots_of(names));
    memset(slots_of(names), 0, 2 * (size_t)names->room * sizeof *slots_of(names));
    for (int i = 0; i < names->count; i++) *slot_of(names, names->items[i]) = i + 1;
}

int names_place(const struct names *names, const char *name) {
    return names->room ? *slot_of(names, name) - 1 : -1;
}

int names_add(struct names *names, const char *name) {
    int *slot;

    if (names->count == names->room) grow(names);
    slot = slot_of(names, name);
    if (!*slot) {
        names->items[names->count++] = name;
        *slot = names->count;
    }
    return *slot - 1;
}

void names_add_keys(struct names *names, const struct node *map) {
    if (!map || map->kind != NODE_MAP) return;
    for (const struct node *child = map->first; child; child = child->next) names_add(names, child->key);
}

char *names_hint(const struct names *names, const char *word) {
    const char *nearest = nearest_name(word, names->items, names->count);
    struct text list = {0};

    if (nearest) return xprintf("; did you mean '%s'?", nearest);
    if (!names->count) return xstrdup("; there are none");
    text_printf(&list, "; there %s ", names->count == 1 ? "is" : "are");
    for (int i = 0; i < names->count && i < LISTED; i++)
        text_printf(&list, "%s%s", i ? ", " : "", names->items[i]);
    if (names->count > LISTED) text_printf(&list, " and %d more", names->count - LISTED);
    return list.data;
}
