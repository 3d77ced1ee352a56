/* The splits of prompts: by their hash, or as a column says; no prompt in two of them. */
#ifndef HARNESS_SPLIT_H
#define HARNESS_SPLIT_H

#include "harness/record.h"

/* What becomes of nearly the same prompts in different splits. */
enum near_action {
    NEAR_REPORT, /* counted and listed */
    NEAR_MOVE,   /* all that resemble each other go to the most held-out split of them */
    NEAR_DROP,   /* of two, that of the less held-out split is left out */
    NEAR_IGNORE  /* not looked for */
};

struct split_report {
    int same_moved; /* examples that went to another split since their very prompt was there */
    int prompts;    /* whose words differ */
    int near_pairs, near_moved, near_dropped;
    long long passed_over; /* see harness/overlap.h */
    struct node *pairs; /* a list of {a, b, similarity, splits, prompts}: the 1,000 most alike, these first */
};

/* "train", "heldout" or "ood" for what files call them (test, validation, …), or what `names`, a map, says;
   NULL for others. Static, or of `names`. */
const char *split_named(const char *word, const struct node *names);

/* Mends the splits of all examples, of which each has one: the same prompt (by its normal form) is in one
   split alone, the most held out of those that its examples had (ood, heldout, train); nearly the same ones
   of different splits are treated as `action` says, `least` being the similarity from which they are so.
   dropped: [count], set to 1 for examples that are to be left out. */
void split_mend(struct split_report *out, struct examples *examples, enum near_action action, double least,
                char *dropped);
void split_report_free(struct split_report *report);

#endif
