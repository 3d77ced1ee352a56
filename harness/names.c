#include "harness/names.h"

#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/option.h"

enum { LISTED = 24 }; /* a sentence holds no more */

void names_add(struct names *names, const char *name) {
    for (int i = 0; i < names->count; i++)
        if (!strcmp(names->items[i], name)) return;
    if (names->count == names->room) {
        names->room = 2 * names->room + 16;
        names->items = xrealloc(names->items, (size_t)names->room, sizeof *names->items);
    }
    names->items[names->count++] = name;
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
