/* Reads what a judging model said: the completion that its server sent, and the verdict in it. */
#ifndef JUDGES_READING_H
#define JUDGES_READING_H

#include <stddef.h>

#include "harness/record.h"
#include "judges/rubric.h"

enum completion_kind {
    COMPLETION_BROKEN,  /* no completion at all: not JSON, not UTF-8, an error */
    COMPLETION_EMPTY,   /* one without words */
    COMPLETION_REFUSED, /* the server or the model declined in so many fields */
    COMPLETION_TEXT
};

/* The body of a reply of /chat/completions. */
struct completion {
    enum completion_kind kind;
    struct node *tree;               /* owns the rest */
    const char *content;             /* NULL where there is none */
    const struct node *top_logprobs; /* a list of the first token's alternatives {token, logprob}, or NULL */
    double input_tokens, output_tokens; /* NaN: not told */
    int cut;                            /* it ended at max_tokens */
    char reason[256];                   /* why it is not COMPLETION_TEXT */
};
void completion_read(struct completion *out, const char *body, size_t length);
void completion_free(struct completion *completion);

/* What a completion comes to. */
struct reading {
    enum outcome outcome;
    double score; /* NaN unless verdict or tie */
    char reason[256];
};

/* The last thing said in the form "MARKER: choice" that is one of the choices; or all that was said, if it is
   a choice and nothing else. Case, invisible characters, emphasis and brackets around are passed over; the
   marker must be a word of its own, the choice too, and two choices in one breath are none. What stands
   before the end of a <think> block is no reply, nor is one that was cut off. */
struct reading reading_of_text(const struct completion *completion, const char *marker,
                               const struct choices *choices);

/* Σ p·score / Σ p over the choices among the first token's alternatives, one that is missing having p = 0:
   with two, alpaca_eval's P(m) / (P(m) + P(M)). Blanks around a token are passed over, its case is not. */
struct reading reading_of_logprobs(const struct completion *completion, const struct choices *choices);

#endif
