/* What an update reads of a rollout's tokens, where operations read it: kernel memory that stays from one
   iteration to the next. */
#ifndef TRAINERS_EXPERIENCE_H
#define TRAINERS_EXPERIENCE_H

#include "kernels/kernels.h"
#include "trainers/ppo_options.h"

struct rollout;

/* Start from zero. */
struct experience {
    const struct kernels *kernels;
    void *memory;
    /* [tokens of a rollout] */
    const float *logprob, *value;
    float *advantage, *returns;
    int *item;    /* room for a batch's tokens, as indices into these */
    double *sums; /* [EXPERIENCE_SUMS], of a minibatch */
};
enum { EXPERIENCE_SUMS = POLICY_SUMS + 1 };

/* Queues advantages and returns of a rollout whose rewards, values and log-probabilities are there, whitened
 * as the options say, and their way to the rollout's own arrays, where they are after the next wait for
 * these kernels. There must be no more responses and tokens than the options say. */
int experience_make(struct experience *experience, const struct kernels *kernels, struct rollout *rollout,
                    const struct ppo_options *options, struct error *err);
void experience_free(struct experience *experience);
/* Bytes of its memory. */
size_t experience_bytes(const struct ppo_options *options);

#endif
