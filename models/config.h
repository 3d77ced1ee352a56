/* The one description of a transformer: every family of models is a setting of it. */
#ifndef MODELS_CONFIG_H
#define MODELS_CONFIG_H

#include "harness/document.h"
#include "harness/error.h"

/* Whose names and layouts a model's files have. */
enum family { FAMILY_GPT2, FAMILY_LLAMA, FAMILY_MISTRAL, FAMILY_QWEN2, FAMILY_GEMMA, FAMILY_GEMMA2 };

/* What the frequencies of rotary positions are divided by: 1; rope_factor; or that for wavelengths above
 * rope_original / rope_low, 1 below rope_original / rope_high, and a blend in between (Llama 3.1). */
enum rope_scaling { ROPE_PLAIN, ROPE_LINEAR, ROPE_LLAMA3 };

struct config {
    int vocab, context, layers, width, heads, kv_heads, head_size, ffn;
    int rms_norm;    /* 1: RMSNorm, 0: LayerNorm with bias */
    int rotary;      /* 1: RoPE, 0: learned positions */
    int gated;       /* 1: SwiGLU, 0: GELU (tanh) */
    int biases;      /* of the linear layers */
    int tied;        /* the head is the embedding */
    int score_heads; /* outputs of a reward or value head on the last hidden state; 0: none */
    float norm_eps, rope_theta;
    enum family family;
    int qkv_biases;                        /* of queries, keys and values alone */
    int begin_token, end_token, pad_token; /* ids that the files name; -1: none */
    int window; /* tokens that sliding attention sees, of some layers at least; 0: all. The context is no
                   longer. */
    enum rope_scaling rope_scaling;
    float rope_factor, rope_low, rope_high;
    int rope_original;
    /* Gemma's: embeddings times sqrt(width), GELU (tanh) in the gate; Gemma 2's: norms after attention and
     * feed-forward, tanh caps of attention's and the head's logits, and 1/sqrt(query_scalar) in place of
     * 1/sqrt(head_size). 0: none. */
    int scaled_embeddings, gelu_gate, post_norms;
    float attention_cap, final_cap, query_scalar;
};

/* Defaults of a family, under the name that config.json's "model_type" has; sizes are left 0. */
int config_family(struct config *config, const char *family, struct error *err);
/* That name. */
const char *config_family_name(enum family family);
/* Checks that sizes fit together; the sentence says which do not. */
int config_check(const struct config *config, struct error *err);
/* Hugging Face's config.json of the families above, of both generations of its fields ("score_heads" as
 * "num_labels" of a …ForSequenceClassification). A setting that is not supported is refused by name. */
int config_read(struct config *config, const char *path, struct error *err);
int config_write(const struct config *config, const char *path, struct error *err);
/* What the frequency of pair `pair` is divided by. */
double config_rope_divisor(const struct config *config, int pair);
double config_rope_frequency(const struct config *config, int pair); /* radians a position */
double config_parameters(const struct config *config);
/* Floating-point operations per token of a forward pass at this context (multiply and add count as two). */
double config_flops(const struct config *config, int context);

#endif
