/* PPO's updates: minibatches of a rollout through policy and value model. */
#ifndef TRAINERS_LEARNER_H
#define TRAINERS_LEARNER_H

#include "models/optimizer.h"
#include "models/supervised.h"
#include "trainers/ppo_options.h"
#include "trainers/rollout.h"

/* A model that learns, with its own optimizer and activations. */
struct pupil {
    struct model *model;
    struct optimizer optimizer;
    struct trunk *trunk;
};
int pupil_prepare(struct pupil *pupil, const struct ppo_options *options, struct error *err);
void pupil_free(struct pupil *pupil);

/* Means over an iteration's updates; entropy, gap and ratio are of the first epoch and the first minibatch.
 */
struct learned {
    double policy_loss, value_loss, entropy, clip_fraction, gradient;
    double gap;   /* largest |log p(trainer) - log p(sampler)| before any update */
    double ratio; /* mean ratio there */
    int updates, epochs;
    int finite; /* 0: a loss or gradient was not a number; training must stop */
};

struct learner {
    const struct ppo_options *options;
    struct pupil policy, value; /* value.model NULL: the policy's score head gives values */
    struct supervised *ptx;     /* NULL: none */
    struct batch batch;
    struct targets targets;
};
/* All epochs over one rollout that collector_shape() has made experience of. The host waits for the norms of
 * gradients, on which clipping depends, and once more before the first update. */
int learner_learn(struct learner *learner, const struct rollout *rollout, uint64_t seed, int iteration,
                  struct learned *out, struct error *err);
void learner_free(struct learner *learner);

#endif
