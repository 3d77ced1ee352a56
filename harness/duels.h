/* Verdicts on pairs of answers, put together by judge, pair of policies and prompt. */
#ifndef HARNESS_DUELS_H
#define HARNESS_DUELS_H

#include "harness/outputs.h"

/* One prompt of one pair of policies before one judge. Scores are of the policy, NaN where there is no
 * verdict. */
struct duel {
    const char *judge;
    char *policy, *other, *prompt_id;
    double first, second; /* the policy was shown first, second */
    double plain;         /* an order nobody told */
    int counts[3];        /* verdicts behind first, second, plain, which are their means */
    double pooled, games; /* Σ weight·score and Σ weight of the verdicts, much better weighing 3 */
    int verdicts, ties, unparsed, refused, transport;
};

struct duels {
    struct duel *items; /* sorted by judge, policy, other, prompt */
    int count;
};

/* Pairs are turned so that `baseline` (may be NULL) is the other, else so that the policies' names ascend.
   Strings of the judge are borrowed from the verdicts. */
void duels_make(struct duels *out, const struct verdicts *verdicts, const char *baseline);
void duels_free(struct duels *duels);

/* How two orders become one score; named after those who score so (LLMBar averages). */
enum duel_rule {
    DUEL_AVERAGE,    /* mean of what there is */
    DUEL_MTBENCH,    /* two that disagree are a tie */
    DUEL_JUDGEBENCH, /* sum of +1, 0, -1 a game: won if above 0, lost if below, else a tie */
    DUEL_AUTOJ,      /* won only if both games are won; NaN unless there are two */
    DUEL_ARENAHARD   /* every game counts, one that is much better three times: pooled / games */
};
int duel_rule_read(enum duel_rule *out, const char *name, struct error *err);
const char *duel_rule_name(enum duel_rule rule);
double duel_score(const struct duel *duel, enum duel_rule rule); /* of the policy; NaN: not judged */

/* The part of a transcript's id that names the policy, by what both ids end in; its length. */
size_t duel_policy_length(const char *transcript, const char *other);

#endif
