/* The transformer, forward and backward, over a ragged batch. */
#ifndef MODELS_TRANSFORMER_H
#define MODELS_TRANSFORMER_H

#include "models/model.h"

/* Rows of tokens end to end; row r is tokens[start[r] … start[r+1]-1]. */
struct batch {
    int rows, total;
    int *tokens, *start;
    int room_rows, room_tokens;
};
void batch_clear(struct batch *batch);
void batch_add(struct batch *batch, const int *tokens, int count);    /* one more row */
void batch_extend(struct batch *batch, const int *tokens, int count); /* more tokens for the last row */
void batch_free(struct batch *batch);

/* The activations of one pass; buffers grow to what a batch needs and are used again. */
struct trunk;
int trunk_create(struct trunk **out, struct model *model, int recompute,
                 struct error *err); /* recompute: keep only each layer's input for backward */
void trunk_free(struct trunk *trunk);
/* Another model of the same kernels takes the trunk's memory over: models that are read in turn need it once.
 */
void trunk_use(struct trunk *trunk, struct model *model);
/* Whether passes go through the model's adapters, as they do unless told otherwise: 0 leaves them out, for
 * passes without backward. */
void trunk_adapters(struct trunk *trunk, int on);
/* From now on passes with keep drop out what adapters with dropout read, by this seed and the number of the
   update; -1: none, as at first. The mask of a token depends on these and on its row up to there, so that
   micro-batches add up to the bits of one batch. The modules of a joined tensor share one mask. */
void trunk_dropout(struct trunk *trunk, uint64_t seed, int update);
/* Adds to a memory plan a pass over so many tokens; adapters: of the model, or NULL. */
void trunk_hold(double held[HOLDINGS], const struct config *config, const struct kernels *kernels, int tokens,
                int training, int recompute, const struct adapter_options *adapters);
/* The sum of that. */
size_t trunk_bytes(const struct config *config, const struct kernels *kernels, int tokens, int training,
                   int recompute, const struct adapter_options *adapters);

/* Passes and the head functions below queue their work and do not wait for it: what they give the host is
   there, if nothing failed, after device_check() (models/device.h) of these kernels, the model's. */
const struct kernels *trunk_kernels(const struct trunk *trunk);

/* The hidden states that the head functions below read. keep: activations stay for trunk_backward(). */
int trunk_forward(struct trunk *trunk, const struct batch *batch, int keep, struct error *err);
/* The same where only the tokens at these flat indices, in ascending order, will be read: the last layer
   leaves out the others. The head functions still take flat indices. */
int trunk_forward_at(struct trunk *trunk, const struct batch *batch, const int *wanted, int count, int keep,
                     struct error *err);
/* These hidden states, after the last norm: [batch->total][width], kernel memory, valid until the next pass.
 */
const operand *trunk_hidden(const struct trunk *trunk);

/* Adds to the model's gradients, from what the head functions below left in the trunk's gradient of hidden.
 * After trunk_forward(keep=1). */
void trunk_backward(struct trunk *trunk);
/* The same where it is this rank's last before optimizer_update(): gradients leave for the other ranks while
 * the layers below are at work. Where one rank calls it, all do, or the next function: they must send alike.
 */
void trunk_backward_last(struct trunk *trunk);
/* In its place, of a rank that has no rows: what the others send meanwhile need not wait for it. */
void trunk_backward_none(struct trunk *trunk);

/* How logits become the distribution that is sampled, scored and trained: the same for all three. */
struct sampling {
    float temperature;  /* 0: greedy */
    int top_k;          /* 0: all */
    float top_p, min_p; /* 1 and 0: all */
};
#define SAMPLING_PLAIN ((struct sampling){1, 0, 1, 0})

/* For i in 0 … count-1: the hidden state at flat index `position[i]` predicts token `target[i]`. The head's
   logits exist for a chunk of positions at a time, never for all. Outputs may be NULL. */
void head_logprob(struct trunk *trunk, const int *position, const int *target, int count,
                  const struct sampling *sampling, float *logprob, float *entropy, int *best);

/* Forward and backward of the head in one pass over the chunks: adds to the gradients of the head and of
   hidden, given d loss / d logprob of each, slope[count]. logprob[count] is wanted. */
void head_learn(struct trunk *trunk, const int *position, const int *target, int count,
                const struct sampling *sampling, const float *slope, float *logprob);
/* Queues what makes d loss / d logprob (and / d entropy, both NULL unless wanted) of positions first …
 * first+count-1 from their log-probabilities, all of them where operations read and write. */
typedef void head_slope(void *context, int first, int count, const float *logprob, const float *entropy,
                        float *slope, float *entropy_slope);
/* The same where slopes depend on log-probabilities. */
void head_train(struct trunk *trunk, const int *position, const int *target, int count,
                const struct sampling *sampling, int with_entropy, head_slope *slope, void *context,
                float *logprob, float *entropy);

/* The score head at these positions: out[count][score_heads]. */
void head_score(struct trunk *trunk, const int *position, int count, float *out);
/* Queues what makes d loss / d score of positions first … first+count-1, [count][score_heads] like their
 * scores, all where operations read and write; first is even. */
typedef void score_slope(void *context, int first, int count, const float *score, float *slope);
/* Forward and backward of the score head: adds to its gradients and to hidden's. out: as above, or NULL. */
void head_score_train(struct trunk *trunk, const int *position, int count, score_slope *slope, void *context,
                      float *out);

#endif
