/* AdamW over what a model learns, global-norm clipping, learning-rate schedules. */
#ifndef MODELS_OPTIMIZER_H
#define MODELS_OPTIMIZER_H

#include "models/model.h"

struct optimizer {
    float *m, *v;   /* in the order of the model's `learned`, of this rank's slice (ZeRO-1; Rajbhandari et al.
                       2020) */
    size_t *slices; /* of learned, which each rank updates: harness/ranks.h */
    double *squares; /* room for a sum, kernel memory */
    int step;        /* updates done */
    float beta1, beta2, eps, decay;
    float clip;     /* global norm; 0: none */
    int stochastic; /* optimizer_round() was called; its seed */
    uint64_t seed;
};

int optimizer_create(struct optimizer *optimizer, const struct model *model,
                     struct error *err); /* 0.9, 0.999, 1e-8, 0, 1 */
void optimizer_free(struct optimizer *optimizer, const struct model *model);
void optimizer_reset(struct optimizer *optimizer, const struct model *model); /* as if no update was done */
/* From now on, and as after the updates that were done, products read weights that are rounded stochastically
 * (Gupta et al. 2015): by this seed and the number of updates, so that a run which goes on from stored
 * numbers rounds them as before. Before the first update they are rounded to the nearest. -1 where weights
 * are not rounded. */
int optimizer_round(struct optimizer *optimizer, struct model *model, uint64_t seed, struct error *err);
/* One update from the model's gradients, added up over the ranks, which become 0; returns their norm before
 * clipping. A norm that is
 * not finite leaves the parameters as they are; so does a device that fails, which is NAN. */
double optimizer_update(struct optimizer *optimizer, struct model *model, float lr);

enum schedule { SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_COSINE };
#define SCHEDULES "constant|linear|cosine"
/* lr at step 0 … total-1: linear warm-up over the first `warmup` steps, then constant, or down to floor*lr at
 * the end. */
double schedule_lr(enum schedule schedule, double lr, int step, int total, int warmup, double floor);

#endif
