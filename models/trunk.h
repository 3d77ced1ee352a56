/* The inside of a trunk, shared by the transformer, its heads and the generator. */
#ifndef MODELS_TRUNK_H
#define MODELS_TRUNK_H

#include "models/transformer.h"

#define HEAD_CHUNK 4096 /* positions whose logits exist at a time, at most; even, for scores in pairs */

/* What one layer leaves for its backward; T = tokens. */
struct activations {
    float *x; /* what comes in, [T][width] */
    operand *norm1;
    float *mean1, *rstd1; /* mean: LayerNorm only */
    operand *qkv, *attention;
    float *logsum;
    float *middle; /* x plus attention */
    operand *norm2;
    float *mean2, *rstd2;
    operand *up, *act;                     /* before and after the activation function */
    float *attended, *fed, *rstd3, *rstd4; /* before the norms of after_attention and after_hidden */
    operand *low[JOINED];                  /* adapters' scale A x, [T][ranks] */
};

/* What makes a trunk a decoder: a cache. */
struct decoder {
    void **cache;       /* [layers] */
    int slots, context; /* of the cache */
    /* Of a prompt pass: the rows whose keys and values go to slots, [fills], where operations read them; and
       the tokens of the longest. */
    const int *row, *slot;
    int fills, longest;
};

/* Where a pass's hidden states are wanted: behind its attention the last layer goes on with these tokens
   alone, which changes no bit of their results, nor of gradients, to which the others would add zeros. */
struct selection {
    int count;         /* of these tokens; 0: all are wanted */
    const int *wanted; /* the caller's, ascending; during a pass */
    int *row;          /* of a wanted token, its row of the hidden states: [room], the host's */
    int room;
    int *chosen, *spread;            /* wanted; and each token's row, or that of zeros behind them */
    float *x;                        /* what the last layer adds to: [count][width] */
    operand *attention, *dattention; /* the last layer's: [count][…]; its gradient, of all tokens */
};

/* Room for a chunk's arrays on the way from or to the host, [trunk->chunk]. */
struct head_room {
    int *position, *target, *best, *token;
    float *logprob, *entropy, *slope, *entropy_slope, *uniform;
    float *score, *score_slope; /* [trunk->chunk][score_heads] */
};

/* What passes through adapters take beside the layers' activations. */
struct adapting {
    int plain; /* passes leave the adapters out */
    uint64_t seed;
    int update;            /* that dropout is drawn for; -1: there is none */
    int ranks[JOINED];     /* of this pass: rows of a; 0: no adapter */
    int drops;             /* this pass drops numbers out */
    int *key, *chosen_key; /* for the mask: [T][2], and those of selection.chosen */
    float *ranked;         /* A x, or the gradient of scale A x: [T][most ranks] */
    operand *slope;        /* the gradient of A x */
    float *base;           /* B's share of sums that become operands smaller than floats */
    operand *dropped;      /* what A reads */
};

struct trunk {
    struct model *model;
    struct decoder *decoder; /* NULL: training and scoring */
    int recompute;
    const struct kernels *kernels; /* the model's */
    size_t operand_bytes;          /* theirs */

    float *memory;   /* of all arrays below, kernel memory */
    size_t size;     /* of memory, in floats */
    int rows, total; /* total: tokens that the arrays under way hold, `all` or selection.count */
    int all;
    struct selection selection;
    const int *tokens, *position;           /* of the last pass, where operations read them */
    const int *slot;                        /* the same of a step of decoding; NULL: a pass over rows */
    int *own_tokens, *own_position, *start; /* of a pass over rows */
    struct activations *layers;             /* [layers]; they share what need not be kept */
    float *x, *mean, *rstd;                 /* around the last norm */
    operand *hidden;
    float *dhidden, *dx; /* gradients: of hidden, from the heads; of the residual stream, from the top down */
    operand *rounded;    /* dx, or dafter if there is one, where operands are no floats */
    operand *wide;       /* gradients of qkv and up */
    void *narrow;        /* of attention, an operand, and of a gated layer's act, float */
    float *dnorm, *dafter; /* dafter: of attended and fed */
    int line;              /* head_line() */
    int chunk;             /* positions whose logits there is room for */
    operand *head_x,
        *dlogits; /* [chunk][…]; dlogits, if that has a place of its own: of a pass that is kept */
    float *head_dx, *logits;
    float *norm; /* of logprob() */
    struct adapting adapting;
    struct head_room room;
    int row[HEAD_CHUNK]; /* of hidden */
};

/* What goes through a trunk: rows of tokens. */
struct pass {
    int rows, total;
    const int *tokens, *start;
    const int *wanted; /* tokens whose hidden states will be read, ascending; wanted_count 0: all */
    int wanted_count, keep;
};
int trunk_run(struct trunk *trunk, const struct pass *pass, struct error *err);
/* Makes a decoder ready for a step: single tokens, the host's, for many slots. Then, once tokens, position
   and slot say where operations read them, trunk_layers() queues the step as far as the hidden states,
   [count][width]. */
int trunk_prepare_step(struct trunk *trunk, const int *tokens, int count, struct error *err);
void trunk_layers(struct trunk *trunk);

/* A pass's beginning: which adapters it goes through and whether these drop out; then the keys for that. */
void adapting_prepare(struct trunk *trunk, int keep);
void adapting_place_keys(struct trunk *trunk, const struct pass *pass);
/* low = scale A x, if w has an adapter. */
void adapter_lower(struct trunk *trunk, operand *low, const operand *x, const struct tensor *w);
/* What the product of x and w begins with: base, or in sum, which may be base, base + scale B A x. low keeps
   scale A x. */
const float *adapter_forward(struct trunk *trunk, float *sum, const float *base, const operand *x,
                             const struct tensor *w, operand *low);
/* Adds the gradients of A and B; what the gradient of x begins with: NULL, or in dx, A's and B's share. */
const float *adapter_backward(struct trunk *trunk, float *dx, const operand *dy, const operand *x,
                              const struct tensor *w, const operand *low);

/* head_x = count <= trunk->chunk hidden states; returns where operations read their rows. */
const int *head_gather(struct trunk *trunk, const int *position, int count);
/* Logits of count <= trunk->chunk hidden states x, [count][width], and what sampling leaves of them; keep:
   targets, where operations read them, or NULL. */
void head_logits_of(struct trunk *trunk, const operand *x, int count);
void head_truncate(struct trunk *trunk, const int *keep, int count, const struct sampling *sampling);
/* The score head at hidden states x: out[count][score_heads], where operations write. */
void head_scores_of(struct trunk *trunk, const operand *x, int count, float *out);

#endif
