/* Collects what a PPO iteration learns from: samples responses, reads them with the models, shapes rewards
   into advantages. */
#ifndef TRAINERS_COLLECTOR_H
#define TRAINERS_COLLECTOR_H

#include "trainers/experience.h"
#include "trainers/ppo_options.h"
#include "trainers/rollout.h"

/* What goes on from one iteration to the next. */
struct ppo_state {
    double beta;                              /* of the KL term */
    double scores, score_mean, score_squares; /* running moments of the responses' scores */
};

struct collector {
    const struct ppo_options *options;
    uint64_t seed;
    const struct tokenizer *tokenizer; /* NULL: no reward reads text */
    int end_token;                     /* -1: responses end at max_new */
    const struct model *policy;        /* with a score head if the policy gives values */
    struct trunk *value;               /* of a value model of its own; or NULL */
    struct trunk *reference;           /* NULL: nobody asks for it */
    const struct reward *reward;
    struct scorer *scorer;
    struct prompts prompts;
    int *order; /* of prompts, in the epoch it holds: [prompts.count] */
    long epoch; /* -1 at first */
    struct ppo_state state;
    struct generator_memory memory;
    struct experience experience;
};

/* The three phases of an iteration, in this order. */
int collector_sample(struct collector *collector, struct rollout *rollout, int iteration, struct error *err);
/* One pass each of the reference, a value model of its own and the reward. */
int collector_read(struct collector *collector, struct rollout *rollout, struct error *err);
/* Scores, scaled and clipped, with what a missing end costs, less the KL term; then advantages and returns,
 * which are the rollout's once someone has waited for the kernels. */
int collector_shape(struct collector *collector, struct rollout *rollout, struct error *err);
/* Prompts, their order, the sampler's memory and the experience; before the models, which are the caller's.
 */
void collector_free(struct collector *collector);

#endif
