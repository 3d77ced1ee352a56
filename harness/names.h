/* Lists of names, and the end of a sentence that says which one was probably meant. */
#ifndef HARNESS_NAMES_H
#define HARNESS_NAMES_H

#include "harness/document.h"

/* The names are borrowed. Start from zero; free with free(names.items). */
struct names {
    const char **items;
    int count, room;
};

/* Unless it is there already; its place either way. Takes as long for the last of many as for the first. */
int names_add(struct names *names, const char *name);
int names_place(const struct names *names, const char *name); /* -1: it is none of them */
void names_add_keys(struct names *names, const struct node *map);

/* "; did you mean 'seed'?", or "; there are seed, world". Caller frees. */
char *names_hint(const struct names *names, const char *word);

#endif
