/* A step of generation: many rows at a time, from tokens that are fed to tokens that are drawn, with one
   transfer in and one out. */
#ifndef MODELS_DECODING_H
#define MODELS_DECODING_H

#include "models/trunk.h"

#define RECORDINGS 64

/* What decides, beside the number of rows, which calls a step makes. */
struct step_kind {
    const struct model *model;
    struct sampling sampling;
    int values;        /* the one score head reads off each row's value too */
    int ranks[JOINED]; /* of adapters that passes go through */
};

struct decoding {
    const struct kernels *kernels;
    int slots;
    /* Of each row, [slots]: the token that is fed, where, into which slot of the trunk's decoder, and what
       the next token is drawn with. */
    int *token, *position, *slot;
    float *uniform;
    /* What comes of it: the token drawn, its log-probability, and the value of the state it was drawn from.
     */
    int *drawn;
    float *logprob, *value;

    int *given, *got;           /* all of the above, one behind the other */
    int *given_room, *got_room; /* the same in kernel memory */
    struct step_kind kind;      /* of the recordings */
    struct {
        int rows;
        struct recording *recording;
    } recorded[RECORDINGS]; /* of steps with so many rows, at rows % RECORDINGS */
};
int decoding_create(struct decoding **out, const struct kernels *kernels, int slots, struct error *err);
void decoding_free(struct decoding *decoding);

/* Feeds `rows` tokens to the trunk, a decoder, and draws the next ones. values: 0 or 1. */
int decoding_step(struct decoding *decoding, struct trunk *trunk, int rows, const struct sampling *sampling,
                  int values, struct error *err);
/* Draws from the hidden states of the trunk's last pass at these flat indices, [rows] of the host's. */
int decoding_draw(struct decoding *decoding, struct trunk *trunk, const int *index, int rows,
                  const struct sampling *sampling, int values, struct error *err);

#endif
