/* Bradley and Terry's model of contests (1952), over GSL: logit P(first wins) = β_first - β_second + order
   effect
   + Σ style·x. Ties are half a win each. Fitted by Newton's method on the log-likelihood. */
#ifndef HARNESS_STATISTICS_RANK_H
#define HARNESS_STATISTICS_RANK_H

#include <stdint.h>

#include "harness/error.h"

struct contest {
    int first, second; /* models, from 0 */
    double score;      /* of first: 1, ½, 0, or a weight between */
    double weight;     /* how many such contests, 1 mostly */
    int cluster;       /* the prompt, from 0; whole clusters are resampled */
};

struct ranking_form {
    int models;
    const char *const *names; /* for the sentences of errors; NULL: numbers */
    int baseline;             /* its ability is 0; -1: the mean is */
    int has_order;            /* a term for being first */
    const double *styles;     /* [contests][style_count]: first's less second's, as wanted (z-scored, say) */
    int style_count;
    double level; /* of intervals */
};

/* Of one term: an ability, the order effect, a style's weight. */
struct term {
    double value;
    double error;     /* standard error from the information matrix; 0 for the baseline */
    double robust;    /* from the sandwich H⁻¹GH⁻¹, G summed by cluster */
    double low, high; /* robust, normal; or of the cluster bootstrap once ranking_resample() has run */
};

struct ranking {
    int models, style_count, has_order;
    struct term *abilities; /* [models] */
    struct term order;
    struct term *styles;       /* [style_count] */
    int *rank_low, *rank_high; /* [models], 1 the best: from ranking_resample(), else NULL */
    double deviance; /* from the saturated model over (first, second) pairs; with styles over contests */
    int freedom;     /* of the deviance */
    int used;        /* resamples that had a fit */
};

/* -1 with a sentence where there is no finite maximum: contests that do not connect the models (the groups
   are named), a group that never lost to the rest or never won (separation), too few contests. */
int ranking_fit(struct ranking *out, const struct contest *contests, int count,
                const struct ranking_form *form, struct error *err);
/* Percentile intervals of abilities, order effect and styles, and of the ranks, from `resamples` fits to
   resampled clusters. -1 if more than a tenth of them have no fit. Depends on the seed alone. */
int ranking_resample(struct ranking *ranking, const struct contest *contests, int count,
                     const struct ranking_form *form, uint64_t seed, int resamples, struct error *err);
void ranking_free(struct ranking *ranking);

/* Group of each model: models that contests connect, directly or not, share a number from 0. Returns how many
   groups there are. group: [models]. */
int ranking_groups(int *group, int models, const struct contest *contests, int count);

double ranking_elo(double ability); /* 1000 + 400/ln 10 · β */
double ranking_chance(const struct ranking *ranking, int model,
                      int opponent); /* P(model wins), order aside */

#endif
