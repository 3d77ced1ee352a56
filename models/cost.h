/* What passes of text through a model cost, for plans: from shapes and options, before there is any text. */
#ifndef MODELS_COST_H
#define MODELS_COST_H

#include "models/config.h"

enum { COST_ROW = 256 }; /* tokens of a row where no option says how many */

/* So many tokens, in rows of `length` of them, of which the vocabulary's head reads `read`. */
struct passage {
    double tokens, read;
    int length;
};

/* Prompts with `responses` responses each, all of them as long as max_new lets a response be; the head reads
   responses alone. A prompt passes once; responses that are read again have one each. */
struct passage cost_answers(const struct config *config, double prompts, int responses, int max_new);
/* Updates of at most so many tokens; the head reads half of them. */
struct passage cost_updates(const struct config *config, double steps, double batch_tokens);

/* Rows of COST_ROW tokens that are scored, without the vocabulary's head. */
struct passage cost_rows(const struct config *config, double rows);

/* Tokens that are held at once of so many rows, where a budget bounds them. */
int cost_held(const struct config *config, int budget, double rows);
/* Tokens of a row that is answered: a prompt as long as the response may be, and that. */
int cost_answer(const struct config *config, int max_new);

/* Operations of a forward pass (multiply and add count as two): the products and the attention of all tokens,
   the head's products of those it reads. A training step has three times as many: a product's gradient is two
   products. */
double cost_forward(const struct config *config, const struct passage *passage);

#endif
