/* Bradley-Terry models: fitted on pairs, read at a response's last token, with one head or several. */
#ifndef REWARDS_PREFERENCE_H
#define REWARDS_PREFERENCE_H

#include "rewards/fitting.h"

/* -log sigmoid(margin) as softplus(-margin), which no margin overflows; slope = d loss / d margin. */
double preference_loss(double margin, double *slope);

/* Fits `members` models of `heads` heads one after the other, each with its own head and order of pairs, into
   the step's folder (one member) or its folders member-1, … . l2: weight of the mean squared score. */
int preference_fit(struct fitting *fitting, int members, int heads, double l2, struct error *err);

struct preference {
    struct model *model;
    struct trunk *trunk;
    struct batch batch;
    int *last; /* scratch */
    int room;
};
/* A model with a score head, or an error. */
int preference_load(struct model **out, const char *folder, const struct kernels *kernels, struct error *err);
int preference_open(struct preference *preference, const char *folder, const struct kernels *kernels,
                    struct error *err);
/* out[count][heads], as the heads say it. */
int preference_score(struct preference *preference, const struct exchange *rows, int count, float *out,
                     struct error *err);
void preference_close(struct preference *preference);

#endif
