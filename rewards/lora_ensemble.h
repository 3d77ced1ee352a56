/* The third architecture of arXiv 2401.16635: a trunk and a head a member learn together from one part of
 * the pairs; then each member's adapter and head learn from the rest. */
#ifndef REWARDS_LORA_ENSEMBLE_H
#define REWARDS_LORA_ENSEMBLE_H

#include "rewards/preference.h"

struct lora_ensemble {
    int members;
    double first; /* share of the pairs, by their prompts, that the trunk learns from */
    double l2;
    double lr;    /* of the adapters; 0: as the trunk's */
    int schedule; /* enum schedule + 1; 0: as the trunk's */
};

/* Writes the step's folders trunk and member-1, …, whose adapters stand on it. */
int lora_ensemble_fit(struct fitting *fitting, const struct lora_ensemble *how, struct error *err);

#endif
