/* Bradley-Terry models: fitted on pairs, read at a response's last token, with one head or several. */
#ifndef REWARDS_PREFERENCE_H
#define REWARDS_PREFERENCE_H

#include "rewards/fitting.h"

/* What is fitted: `members` models of `heads` heads one after the other, each with its own head and order of
 * pairs, stored in the step's folder (one member) or its folders member-1, … . */
struct preference_fit {
    struct fitting *fitting;
    const struct step *step; /* whose folder, log and checkpoint it is */
    const struct pairs *pairs;
    const struct fit_options *options;
    int members, heads;
    double l2;             /* weight of the mean squared score */
    struct model *base;    /* every member is a copy of it; or, where adapters learn, one copy with them */
    const char *base_path; /* that adapters stand on */
    const struct adapter_options *adapters; /* of rank 0: the whole copy learns */
    const float *scores;                    /* [members][heads][width]: the heads at first; NULL: drawn */
    /* Stores a member's model; NULL: as a folder. */
    int (*store)(const struct preference_fit *what, const struct model *model, int member, struct error *err);
};
int preference_fit(const struct preference_fit *what, struct error *err);
/* All pairs and the fitting's base, options and adapters. */
struct preference_fit preference_of(struct fitting *fitting, int members, int heads, double l2);

struct preference {
    struct model *model;
    struct trunk *trunk;
    struct batch batch;
    int *last; /* scratch */
    int room;
};
/* A model with a score head and weights of that form, or an error. */
int preference_load(struct model **out, const char *folder, const struct kernels *kernels,
                    enum weight_form form, struct error *err);
int preference_open(struct preference *preference, const char *folder, const struct kernels *kernels,
                    enum weight_form form, struct error *err);
/* out[count][heads], as the heads say it. */
int preference_score(struct preference *preference, const struct exchange *rows, int count, float *out,
                     struct error *err);
void preference_close(struct preference *preference);

#endif
