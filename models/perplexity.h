/* How well a model predicts a text: the text is cut into windows that are read apart from each other. */
#ifndef MODELS_PERPLEXITY_H
#define MODELS_PERPLEXITY_H

#include <stdio.h>

#include "models/tokenizer.h"
#include "models/transformer.h"

struct perplexity {
    int windows; /* that were read */
    int scored;  /* tokens that were predicted */
    double nats; /* their negative log-likelihoods, together */
};

/* Windows of at most `window` tokens, what the tokenizer puts before every text among them: it is in front of
 * each and is not predicted, nor is, where there is none of it, the first token of a window. A last window
 * without a token to predict is left out. list: a line of JSON for every window, its "ids", and from the
 * first that is predicted on their "logprob"s, and the likeliest ids in their places, "best"; NULL: none. */
int perplexity_measure(struct perplexity *out, struct model *model, const struct tokens *begin,
                       const struct tokens *text, int window, FILE *list, struct error *err);

#endif
