/* A training step to be timed: forward, backward and AdamW on random tokens. */
#ifndef MODELS_TRAINING_H
#define MODELS_TRAINING_H

#include "models/optimizer.h"
#include "models/transformer.h"

struct training {
    struct model *model;
    struct optimizer optimizer;
    struct trunk *trunk;
    struct batch batch;
    int *position, *target, tokens;
    float *slope, *logprob; /* [tokens] */
    double loss;            /* of the last step, before its update; a mean in nats */
};

/* Takes the model, also when it fails; rows of `length` tokens. */
int training_create(struct training *training, struct model *model, int rows, int length, struct error *err);
int training_step(struct training *training, struct error *err);
void training_free(struct training *training);

/* Operations of a training step on so many tokens, forward and backward of the products and of causal
   attention over rows of `length`, as the literature counts them. */
double training_operations(const struct config *config, double tokens, int length);
/* The same where only so many numbers of adapters learn: the products have no gradients of their weights. */
double training_operations_adapted(const struct config *config, double tokens, int length, double adapters);

#endif
