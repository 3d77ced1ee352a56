/* Lists of names, and the end of a sentence that says which one was probably meant. */
#ifndef HARNESS_NAMES_H
#define HARNESS_NAMES_H

#include "harness/document.h"

/* The names are borrowed. Start from zero; free with free(names.items). */
struct names {
    const char **items;
    int count, room;
};

void names_add(struct names *names, const char *name); /* unless it is there already */
void names_add_keys(struct names *names, const struct node *map);

/* "; did you mean 'seed'?", or "; there are seed, world". Caller frees. */
char *names_hint(const struct names *names, const char *word);

#endif
