/* The words of a text, and the little arithmetic that all worlds share. */
#ifndef WORLDS_WORDS_H
#define WORLDS_WORDS_H

#include "harness/memory.h"
#include "harness/rng.h"

struct words {
    char *text; /* the copy that the words point into */
    char **items;
    int count;
};

/* Cuts any text at its white space. */
struct words words_split(const char *text);
void words_free(struct words *words);
const char *words_at(const struct words *words, int index); /* "" outside */

/* The next sentence from *at on: its first word, its length without the closing "."; 0 at the end. */
int words_sentence(const struct words *words, int *at, int *first, int *length);

int word_is(const char *word, const char *other);
int word_find(const char *const *list, const char *word); /* index in a NULL-terminated list, or -1 */
int word_count(const char *const *list);
void text_word(struct text *text,
               const char *word); /* or a phrase; one space in front unless it is the first */

/* Whether a prompt with this key is kept for the held-out split: the same in every run. */
int held_out(const char *key, int one_in);

double logistic(double x);
int pick_weighted(const double *weights, int count, struct rng *rng); /* weights need not sum to 1 */

/* Names of people, NULL-terminated. */
extern const char *const people[];

#endif
