/* A transformer's parameters: one buffer, a table of named tensors (Hugging Face's names), the tokenizer
 * beside them. */
#ifndef MODELS_MODEL_H
#define MODELS_MODEL_H

#include <stdint.h>

#include "harness/error.h"
#include "kernels/kernels.h"
#include "models/config.h"

struct tensor {
    char name[96];
    int rows, cols; /* cols 1 and rank 1 for vectors */
    int rank;
    float *data, *grad;    /* into the model's buffers, kernel memory; grad NULL when not training */
    int decays;            /* weight decay applies (matrices) */
    void *packed, *turned; /* data laid out for products and for those of gradients; NULL: they read data */
};

/* Where one layer's tensors are; NULL where the architecture has none. qkv is one matrix [(heads + 2
   kv_heads) head_size][width], gate_up one matrix [2 ffn][width]: split and joined when read and written. */
struct layer {
    struct tensor *norm1, *norm1_bias, *qkv, *qkv_bias, *proj, *proj_bias;
    struct tensor *norm2, *norm2_bias, *up, *up_bias, *down, *down_bias; /* up: [ffn or 2 ffn][width] */
    struct tensor *after_attention, *after_hidden; /* norms of what goes into the residual stream */
};

struct model {
    struct config config;
    const struct kernels *kernels;
    struct tensor *tensors;
    int count;
    size_t size;        /* floats in data */
    float *data, *grad; /* grad: NULL until model_train() */
    float *head_grad;   /* head->grad; or, tied, apart until model_join_grad() */
    struct tensor *embedding, *positions, *norm, *norm_bias, *head, *score; /* head == embedding when tied */
    struct layer *layers;
    float *cosine, *sine;  /* rotary tables [context][head_size / 2] */
    void *packed, *turned; /* memory of the tensors' layouts, NULL until model_ready() */
    int stale;             /* the layouts are not those of data */
};

int model_create(struct model **out, const struct config *config, const struct kernels *kernels,
                 struct error *err);
/* N(0, 1/sqrt(3 width)): the variance of PyTorch's linear layers, and at width 833 GPT-2's 0.02, with which
   narrow models take many times longer to learn to copy. Projections into the residual stream are scaled by
   1/sqrt(2 layers), the score head is N(0, 1/sqrt(width + 1)). */
void model_init(struct model *model, uint64_t seed);
void model_init_score(struct model *model, uint64_t seed); /* the score head alone, if there is one */
int model_train(struct model *model, struct error *err);   /* allocates zeroed gradients */
void model_zero_grad(struct model *model);
/* Adds a tied head's gradient to the embedding's. Until then they are apart, so that micro-batches add up to
 * the bits of one batch; optimizer_update() does it first. */
void model_join_grad(struct model *model);
/* Another model of `heads` score outputs with this one's parameters; the score head is new, N(0,
 * 1/sqrt(width+1)), or 0 if zero_score. */
int model_clone(struct model **out, const struct model *model, int heads, int zero_score, uint64_t seed,
                struct error *err);
void model_free(struct model *model);

/* The memory plan: of parameters and their layouts; training: of gradients, those of the layouts that they
 * need and an optimizer's moments too. */
size_t model_bytes(const struct config *config, const struct kernels *kernels, int training);

/* Makes the layouts that products read, unless they are there and data has not changed since; training: those
 * of gradients too. Every pass of a trunk begins with it. */
int model_ready(struct model *model, int training, struct error *err);
/* Data was written by other hands than optimizer_update(), which keeps the layouts up to date. */
void model_changed(struct model *model);

/* The table of tensors without their memory, for a model that is to be compared with files before it takes
 * any; and that memory, whose numbers are then undefined. */
struct model *model_outline(const struct config *config, const struct kernels *kernels);
int model_allocate(struct model *model, struct error *err);

/* A folder with model.safetensors and config.json. bits: 32, or 16 for bf16 storage (rounded to nearest
 * even). */
int model_save(const struct model *model, const char *folder, int bits, struct error *err);
/* A folder with config.json and safetensors, in one file or in shards with an index; or a GGUF file. */
int model_load(struct model **out, const char *path, const struct kernels *kernels, struct error *err);

#endif
