/* Verdicts on pairs of answers, put together by judge, pair of policies and prompt. */
#ifndef HARNESS_DUELS_H
#define HARNESS_DUELS_H

#include "harness/outputs.h"

/* One prompt of one pair of policies before one judge. Scores are of the policy, NaN where there is no
 * verdict. */
struct duel {
    const char *judge, *answer, *other_answer; /* ids of answers; borrowed from a verdict */
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
   Whose answers a verdict compares it says itself, or the answers do that were read with it, or their ids,
   which are POLICY/PROMPT, where only one end of theirs is the same. -1 with err set where none of these
   tells, or an id does not begin with its policy's name. */
int duels_make(struct duels *out, struct outputs *outputs, const char *baseline, struct error *err);
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

#endif
