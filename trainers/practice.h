/* PPO iterations on random prompts, to be timed: a policy, a frozen reference and a scalar reward of its
 * size. */
#ifndef TRAINERS_PRACTICE_H
#define TRAINERS_PRACTICE_H

#include "models/bench.h"
#include "trainers/collector.h"
#include "trainers/learner.h"

struct practice_shape {
    int rows, prompt, fresh; /* responses an iteration; tokens of each one's prompt, and of it */
    int epochs, minibatch;   /* minibatch: rows of an update */
    enum value_model value;
};

/* Seconds of an iteration's phases. */
struct phases {
    double rollout, scoring, update;
};

struct practice {
    struct practice_shape shape;
    struct node *given; /* what options point into */
    struct ppo_options options;
    struct collector collector;
    struct learner learner;
    struct model *reference;
    int iteration; /* done */
};

/* Takes the policy, also when it fails; its context must hold prompt and response. */
int practice_create(struct practice *practice, struct model *policy, const struct practice_shape *shape,
                    struct error *err);
/* One iteration more; adds to `spent`. */
int practice_iterate(struct practice *practice, const struct stopwatch *watch, struct phases *spent,
                     struct error *err);
void practice_free(struct practice *practice);

/* Operations of such an iteration as the literature counts them: a forward pass for the rollout, for policy
   and values, for the reference and for the reward, and for each epoch one forward and a backward of twice
   that; logits of responses only. */
double practice_operations(const struct config *config, const struct practice_shape *shape);

#endif
