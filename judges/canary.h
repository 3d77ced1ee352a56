/* Judgments whose right answer is known, made with every batch: they say whether the judge can be believed.
   One answer beside itself (or judged twice) must come out even; an answer without content must not win; of a
   pair with a known better answer that one must win, in both orders. */
#ifndef JUDGES_CANARY_H
#define JUDGES_CANARY_H

#include "harness/document.h"
#include "judges/rubric.h"

enum canary_kind { CANARY_IDENTICAL, CANARY_NULL, CANARY_GOLD, CANARY_KINDS };

/* Two judgments (of a single null answer one): what is shown, and what came of it. */
struct canary {
    enum canary_kind kind;
    struct exhibit shown[2];
    int salt[2], turned[2]; /* turned: the score is of what is shown second */
    int count;
    double score[2]; /* NaN: no verdict */
};

enum { MOST_CANARIES = 32 };

/* Writes the canaries of a batch into list and returns their number: `first` is a real exhibit of it. */
int canaries_make(struct canary list[MOST_CANARIES], const struct rubric *rubric,
                  const struct exhibit *first);

/* 1 passed, 0 failed, -1 not judged. fine_scores: they are expectations, never quite the same twice. */
int canary_passed(const struct canary *canary, const struct rubric *rubric, int fine_scores);

/* How many were tried, passed, and got no judgment. */
struct canary_counts {
    int tried[CANARY_KINDS], passed[CANARY_KINDS], unjudged[CANARY_KINDS];
};
void canaries_count(struct canary_counts *counts, const struct canary *list, int count,
                    const struct rubric *rubric, int fine_scores);
const char *canary_name(enum canary_kind kind);
void canaries_describe(const struct canary_counts *counts, struct node *out);

#endif
