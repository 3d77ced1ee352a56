/* Batched generation with a KV cache: a finished row's place is taken by the next request. */
#ifndef MODELS_GENERATOR_H
#define MODELS_GENERATOR_H

#include <stdint.h>

#include "models/transformer.h"

struct request {
    const int *prompt; /* ids, ending in the response token */
    int length;
    uint64_t a, b; /* indices of the random stream: the same (seed, name, a, b) draws the same response in any
                      batch */
    int max_new;   /* tokens of this response at most; 0: the options' */
};

struct response {
    int *tokens;    /* what was sampled, the end token included if it came */
    float *logprob; /* of each, under the distribution it was drawn from */
    int length;
    int ended;    /* 1: the end token was sampled; 0: cut at max_new or the context's end */
    float *value; /* of the state that each token was drawn from, where values were asked for; else NULL */
};

/* What calls of generate() with one model leave to the next, so that memory is taken once. Start from zero,
   free before the model. */
struct generator_memory {
    struct trunk *trunk;
    void **cache;       /* of keys and values: [layers] */
    int *fills;         /* which rows of a prompt pass go to which slots: [2][slots], kernel memory */
    int slots, context; /* the cache's size */
    struct decoding *decoding;
};
void generator_memory_free(struct generator_memory *memory);
/* Adds to a memory plan what that is for rows of so many tokens with their prompts; adapters: the model's, or
   NULL. */
void generator_hold(double held[HOLDINGS], const struct config *config, const struct kernels *kernels,
                    int slots, int length, const struct adapter_options *adapters);

struct generator_options {
    struct sampling sampling;
    int max_new, end_token, slots; /* slots: rows decoded together */
    uint64_t seed;
    const char *stream; /* name of the random stream */
    int values;         /* 1: the responses' values too, which the model's one score head reads off */
    struct generator_memory *memory; /* NULL: none is kept */
};

/* Fills responses[count]; a prompt that several requests share is computed once. Each is freed with
   response_free(). The same weights give log-probabilities that equal head_logprob(), and values that equal
   head_score(), to the bit. With temperature 0, logprob is that of temperature 1. done (may be NULL) is
   called as responses finish. */
int generate(const struct model *model, const struct request *requests, int count,
             const struct generator_options *options, struct response *responses,
             void (*done)(void *context, int finished), void *context, struct error *err);
void response_free(struct response *response);
/* The same, where each rank (harness/ranks.h) draws its share; afterwards all have all. */
int generate_shared(const struct model *model, const struct request *requests, int count,
                    const struct generator_options *options, struct response *responses, struct error *err);

#endif
