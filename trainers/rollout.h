/* One iteration's responses and all that is known of their tokens. */
#ifndef TRAINERS_ROLLOUT_H
#define TRAINERS_ROLLOUT_H

#include "harness/registry.h"
#include "models/dataset.h"
#include "models/generator.h"
#include "rewards/reward.h"

/* The prompts of a split, as text and ids. */
struct prompts {
    struct examples text;
    struct tokens *ids;
    int *usable; /* indices of those that leave room for a response */
    int count;   /* of usable */
};
/* Keeps the prompts with room for so many tokens behind them in the context; the step's dropped.jsonl lists
   the others, and a notice counts them. */
int prompts_open(struct prompts *prompts, const struct node *data, const char *split,
                 const struct tokenizer *tokenizer, int response, int context, const struct step *step,
                 struct error *err);
void prompts_free(struct prompts *prompts);
/* Which prompt (an index into text) is the n-th of training: each once an epoch, in an order that seed and
   epoch alone decide. order: [count] scratch; *epoch: the one it holds, -1 at first. */
int prompts_pick(const struct prompts *prompts, uint64_t seed, long n, int *order, long *epoch);

struct rollout {
    int rows, total; /* responses, and their tokens together */
    struct exchange *exchanges;
    struct response *responses;
    char **texts;
    int *start; /* [rows + 1] */
    int *sizes; /* tokens of each row that a model reads: all but the last, which is only predicted */
    /* [total] */
    float *logprob, *reference, *value, *score, *reward, *advantage, *returns;
    const struct experience *experience; /* of these tokens, once collector_shape() has made it */
};
/* Samples a response to each of the prompts picked; fills value if options ask for values. */
int rollout_sample(struct rollout *rollout, const struct model *policy, const struct tokenizer *tokenizer,
                   const struct prompts *prompts, const int *picked, int rows,
                   const struct generator_options *options, uint64_t iteration, struct error *err);
void rollout_free(struct rollout *rollout);

/* Makes these rows the batch, each without its last token; targets' items are indices into the token arrays.
 */
void rollout_gather(const struct rollout *rollout, const int *rows, int count, struct batch *batch,
                    struct targets *targets);

/* Each rank (harness/ranks.h) has filled the tokens of its rows, which begin at rows[index]: now all have
 * all.
 */
void rollout_exchange(float *out, const struct rollout *rollout, const size_t *rows);

/* Log-probabilities of the responses' tokens; values of the states before them. budget: tokens read at once.
 */
int rollout_logprob(float *out, const struct rollout *rollout, struct trunk *trunk,
                    const struct sampling *sampling, int budget, struct error *err);
int rollout_values(float *out, const struct rollout *rollout, struct trunk *trunk, int budget,
                   struct error *err);

/* Means over the responses. */
struct rollout_facts {
    double score;         /* sum of token scores */
    double gold, refused; /* NaN without a world; refused is a share */
    double kl, kl3, length, ended, repetition;
};
/* with_reference: reference is filled. */
void rollout_measure(struct rollout_facts *out, const struct rollout *rollout, const struct world *world,
                     int with_reference);

#endif
