/* A transformer's parameters: one buffer, a table of named tensors (Hugging Face's names), the tokenizer
 * beside them. */
#ifndef MODELS_MODEL_H
#define MODELS_MODEL_H

#include <stdint.h>

#include "harness/error.h"
#include "harness/plan.h"
#include "kernels/kernels.h"
#include "models/adapter.h"
#include "models/config.h"

/* How a model holds the matrices of its products: as floats, or as 8 bits a number with a scale for every 32
   (kernels->pack_int8), which are never changed. */
enum weight_form { WEIGHTS_FULL, WEIGHTS_INT8 };
#define WEIGHT_FORMS "full|int8"
/* "full" or "int8". */
int weight_form_read(enum weight_form *out, const char *text, struct error *err);
/* Whether a backend has products with such weights: 0, or -1 with err set. */
int weight_form_check(enum weight_form form, const struct kernels *kernels, struct error *err);

struct tensor {
    char name[96];
    int rows, cols; /* cols 1 and rank 1 for vectors */
    int rank;
    float *data, *grad;      /* into the model's buffers, kernel memory; grad NULL when it is not trained */
    int decays;              /* weight decay applies (matrices) */
    void *packed, *turned;   /* data laid out for products and for those of gradients; NULL: they read data */
    int frozen;              /* training leaves it as it is: of a model with adapters */
    struct adapter *adapter; /* what products add to it; NULL: nothing */
    int coded; /* packed and turned are its int8 numbers, and data NULL but of a tied embedding, whose rows
                  are looked up */
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
    enum weight_form form;
    struct tensor *tensors;
    int count, added;            /* tensors; those of adapters, behind them */
    size_t size;                 /* floats in data */
    float *data;                 /* of the tensors */
    float *learned;              /* data of what training changes: all, or the adapters and the score head */
    size_t learned_size;         /* floats in it, in grad, and in each of an optimizer's moments */
    float *grad;                 /* in the order of learned; NULL until model_train() */
    struct reduction *reduction; /* of grad, over the ranks (harness/reduction.h); NULL: one rank */
    float *head_grad; /* [head_line()][width]: head->grad; or, tied, maybe apart until model_join_grad();
                         NULL: frozen */
    struct tensor *embedding, *positions, *norm, *norm_bias, *head, *score; /* head == embedding when tied */
    struct layer *layers;
    float *cosine, *sine;              /* rotary tables [context][head_size / 2] */
    void *packed, *turned;             /* memory of the tensors' layouts, NULL until model_ready() */
    void *packed_added, *turned_added; /* the same of the adapters' */
    enum stale { FRESH, STALE_LEARNED, STALE } stale; /* whose layouts are not those of data */
    struct {
        uint64_t seed;
        int update;
    } rounding;               /* of layouts, by model_round() */
    struct adapter *adapters; /* in the order of layers */
    int adapter_count;
    int adapters_done; /* of them, from the last: their gradients are whole */
};

int model_create(struct model **out, const struct config *config, const struct kernels *kernels,
                 struct error *err);
/* N(0, 1/sqrt(3 width)): the variance of PyTorch's linear layers, and at width 833 GPT-2's 0.02, with which
   narrow models take many times longer to learn to copy. Projections into the residual stream are scaled by
   1/sqrt(2 layers), the score head is N(0, 1/sqrt(width + 1)). */
void model_init(struct model *model, uint64_t seed);
void model_init_score(struct model *model, uint64_t seed); /* the score head alone, if there is one */
int model_train(struct model *model, struct error *err);   /* allocates zeroed gradients of what learns */
void model_zero_grad(struct model *model);
/* Adds a tied head's gradient to the embedding's. Until then they are apart, so that micro-batches add up to
 * the bits of one batch; optimizer_update() does it first. What adapters' b has outside its blocks becomes 0.
 */
void model_join_grad(struct model *model);
/* Another model of `heads` score outputs with this one's parameters, without its adapters; the score head is
 * new, N(0, 1/sqrt(width+1)), or 0 if zero_score. */
int model_clone(struct model **out, const struct model *model, int heads, int zero_score, uint64_t seed,
                struct error *err);
/* This one's parameters, but not a score head's, become those of `from`: of the same config, heads aside, and
 * the same form. */
void model_copy(struct model *model, const struct model *from);
/* Layer `layer` and those above it have had their last backward pass before optimizer_update(): their
 * gradients may leave for other ranks. */
void model_layer_done(struct model *model, int layer);
void model_free(struct model *model);

/* The numbers that training changes, in the order of `learned`: a copy on the host, learned_size floats, the
 * caller's; and back, which lays out no frozen tensor again. One frozen base so serves many adapters. */
float *model_learned_copy(const struct model *model);
void model_learned_set(struct model *model, const float *numbers);

/* Adds to a memory plan parameters and their layouts; training: gradients, those of the layouts that they
 * need and an optimizer's moments too. adapters: what is put on the model; NULL: nothing, all learns. */
void model_hold(double held[HOLDINGS], const struct config *config, const struct kernels *kernels,
                enum weight_form form, int training, const struct adapter_options *adapters);
/* The sum of that. */
size_t model_bytes(const struct config *config, const struct kernels *kernels, int training,
                   const struct adapter_options *adapters);
size_t model_bytes_as(const struct config *config, const struct kernels *kernels, enum weight_form form,
                      int training, const struct adapter_options *adapters);

/* Makes the layouts that products read, unless they are there and data has not changed since; training: those
 * of gradients too. Every pass of a trunk begins with it. */
int model_ready(struct model *model, int training, struct error *err);
/* Columns of logits, and rows of the head as its products see them: the vocabulary, and where the head is
   tied rounded up to the kernels' line; logits behind the vocabulary are 0. */
int head_line(const struct config *config, const struct kernels *kernels);
/* What products are to multiply by where no layout is read: NULL if they read int8 numbers. */
const float *tensor_factors(const struct tensor *tensor);
/* Data was written by other hands than optimizer_update(), which keeps the layouts up to date. */
void model_changed(struct model *model);
void model_learned_changed(struct model *model); /* the same of what is not frozen */
/* From now on layouts of what learns are rounded stochastically, where operands are bf16, with random numbers
 * of this seed and this update's: the same ones give the same layouts. update 0: to the nearest. */
void model_round(struct model *model, uint64_t seed, int update);
/* Whether a backend has weights to round so: 0, or -1 with err set. */
int rounding_check(int stochastic, const struct kernels *kernels, struct error *err);

/* The table of tensors without their memory, for a model that is to be compared with files before it takes
 * any; and that memory, whose numbers are then undefined. */
struct model *model_outline(const struct config *config, const struct kernels *kernels);
int model_allocate(struct model *model, struct error *err);

/* Between those two: the form of its weights, which a backend may not have. */
int model_set_form(struct model *model, enum weight_form form, struct error *err);
/* Floats for a tensor to be read into; and the end of that, which makes int8 numbers of them where the tensor
   is to be of such. Its floats exist in between alone; is_read 0: they never came, and it fails. */
int model_open_tensor(struct model *model, struct tensor *tensor, struct error *err);
int model_close_tensor(struct model *model, struct tensor *tensor, int is_read, struct error *err);
/* A sentence that says that this cannot be done ("be trained") with int8 weights, if the model's are. */
int model_check_full(const struct model *model, const char *what, struct error *err);

/* model_adapt()'s and model_merge()'s: memory for what learns, where the score head moves; and back to a
 * model without adapters. */
int model_place_learned(struct model *model, struct error *err);
void model_drop_adapters(struct model *model);

/* A folder with model.safetensors and config.json. bits: 32, or 16 for bf16 storage (rounded to nearest
 * even). */
int model_save(const struct model *model, const char *folder, int bits, struct error *err);
/* A folder with config.json and safetensors, in one file or in shards with an index; a GGUF file; or an
 * adapter's folder (models/adapter_file.h), which is merged into its base. */
int model_load(struct model **out, const char *path, const struct kernels *kernels, struct error *err);
/* The same with weights of that form: of int8 ones no more than one tensor is in memory as floats. An adapter
   is not merged into them. */
int model_load_as(struct model **out, const char *path, const struct kernels *kernels, enum weight_form form,
                  struct error *err);

#endif
