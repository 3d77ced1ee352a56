/* Low-rank adapters (LoRA; Hu et al. 2021): y = W x + scale B A x with W frozen, as PEFT trains them. */
#ifndef MODELS_ADAPTER_H
#define MODELS_ADAPTER_H

#include <stdint.h>

#include "harness/error.h"

struct config;
struct layer;
struct model;
struct tensor;

/* The tensors of a layer that adapters can be put on; each joins some of the files' modules. */
enum joined { JOINED_QKV, JOINED_PROJ, JOINED_UP, JOINED_DOWN, JOINED };

struct adapter_options {
    int rank;         /* of every module */
    double alpha;     /* scale is alpha / rank, */
    int rslora;       /* or alpha / sqrt(rank) */
    double dropout;   /* of what A reads, while training */
    unsigned targets; /* bits of the modules, see adapter_module() */
};

/* A module of the files within the joined tensor that holds it. */
struct adapter_part {
    char name[96]; /* "model.layers.0.self_attn.q_proj" */
    int row, rows; /* of the joined tensor, and of b */
    int rank_from; /* of a's rows, of b's columns */
};

/* What is added to one joined tensor [outs][ins]. Each of its modules has rows of a and columns of b of its
 * own: b is 0 outside these blocks, and stays so. */
struct adapter {
    struct tensor *a; /* [rank parts][ins] */
    struct tensor *b; /* [outs][rank parts] */
    float scale, dropout;
    struct adapter_part parts[3];
    int part_count, rank; /* rank: of each part */
};

/* The modules that adapters can be put on, by their bits: paths within a layer, "self_attn.q_proj". NULL
 * behind the last. */
const char *adapter_module(const struct config *config, int index);
/* Adds the modules that PEFT's target_modules mean by this name, "q_proj" or "c_proj", or "all-linear". */
int adapter_target(unsigned *targets, const char *name, const struct config *config, struct error *err);

/* Puts adapters on a model that has none and is not being trained yet: a is U(-1/sqrt(ins), 1/sqrt(ins)), b
 * is 0. From now on these learn and the score head, if there is one; all else is frozen. After a failure the
 * model can only be freed. */
int model_adapt(struct model *model, const struct adapter_options *options, uint64_t seed, struct error *err);
/* The same numbers again: a drawn by the seed, b 0. */
void model_init_adapters(struct model *model, uint64_t seed);
/* Adds scale B A to each adapted tensor, in single precision, and takes the adapters away: no tensor is
 * frozen any more. Not while training. */
int model_merge(struct model *model, struct error *err);
struct tensor *joined_tensor(const struct layer *layer, enum joined joined);
/* Rows of a that the adapter of such a tensor would have; 0: none of its modules is a target. */
int adapter_ranks(const struct adapter_options *options, const struct config *config, enum joined joined);
/* The tables of the adapters without their memory, for plans. */
void model_outline_adapters(struct model *model, const struct adapter_options *options);

#endif
