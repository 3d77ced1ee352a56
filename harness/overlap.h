/* Texts that say nearly the same: near-duplicates within a set of texts, and items of one set found in
 * another. */
#ifndef HARNESS_OVERLAP_H
#define HARNESS_OVERLAP_H

#include <stddef.h>

/* Words of a shingle. A text of fewer is one shingle. */
enum { SHINGLE_WORDS = 3 };

/* |A ∩ B| / |A ∪ B| of the shingles of two texts, which are normal (harness/dialogue.h). */
double shingle_similarity(const char *a, const char *b);

/* Texts number a < b. */
struct near_pair {
    int a, b;
    double similarity;
};
struct near_pairs {
    struct near_pair *items; /* by a, then b */
    int count;
    long long passed_over; /* pairs of large buckets that were not compared, for want of time */
};

/* The pairs of normal texts whose similarity is at least `least`, of different groups where groups are given.
   Candidates agree in one of 32 bands of 4 MinHash values (Broder 1997; Leskovec, Rajaraman and Ullman,
   Mining of Massive Datasets, 3.4): a pair of similarity s is one with probability 1 - (1 - s^4)^32, 0.99 at
   0.6; each is then compared exactly. Time grows with the length of all texts, memory with their number: 256
   bytes each. */
void near_find(struct near_pairs *out, const char *const *texts, const int *groups, int count, double least);
void near_free(struct near_pairs *pairs);

/* Items looked for in other texts, all normal. */
struct search_items;
/* Of each item its runs of `words` words are looked for, of a shorter one the whole. */
struct search_items *search_new(const char *const *items, int count, int words);
void search_in(struct search_items *search, const char *text);
/* Of item i: whether a text was the same, and the share of its runs that stood in some text. */
int search_same(const struct search_items *search, int i);
double search_share(const struct search_items *search, int i);
void search_free(struct search_items *search);

#endif
