/* A time-limited evaluator: reads so many words of the material, checks so many claims of the answer against
   them, and stops. docs/methods.md states the rule. */
#ifndef JUDGES_HURRIED_H
#define JUDGES_HURRIED_H

#include <stdint.h>

struct hurried {
    int budget;     /* words of the material that are read */
    int claims;     /* sentences of the answer that are checked */
    double support; /* share of a claim's content words that must be among the words read */
    double trust;   /* what a claim counts for that was not found */
    int anywhere;   /* reading begins at a place that is drawn, else at the front */
    uint64_t seed;
};

/* Probability of approval, the mean over the claims checked of 1 (found), 0 (found but for a number) or
   trust; 0 where nothing is claimed. place and draw name what is drawn: the place is one for each question,
   the claims for each answer. checked may be NULL: how many claims were. */
double hurried_read(const struct hurried *how, const char *material, const char *answer, uint64_t place,
                    uint64_t draw, int *checked);

#endif
