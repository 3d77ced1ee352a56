/* The one description of a transformer: GPT-2-like and Llama-like are two settings of it. */
#ifndef MODELS_CONFIG_H
#define MODELS_CONFIG_H

#include "harness/document.h"
#include "harness/error.h"

struct config {
    int vocab, context, layers, width, heads, kv_heads, head_size, ffn;
    int rms_norm;    /* 1: RMSNorm, 0: LayerNorm with bias */
    int rotary;      /* 1: RoPE, 0: learned positions */
    int gated;       /* 1: SwiGLU, 0: GELU (tanh) */
    int biases;      /* of the linear layers */
    int tied;        /* the head is the embedding */
    int score_heads; /* outputs of a reward or value head on the last hidden state; 0: none */
    float norm_eps, rope_theta;
};

/* Defaults of a family: "gpt2" or "llama"; sizes are left 0. */
int config_family(struct config *config, const char *family, struct error *err);
/* Checks that sizes fit together; the sentence says which do not. */
int config_check(const struct config *config, struct error *err);
/* Hugging Face's config.json (GPT2LMHeadModel or LlamaForCausalLM names; score_heads as "num_labels"). */
int config_read(struct config *config, const char *path, struct error *err);
int config_write(const struct config *config, const char *path, struct error *err);
double config_parameters(const struct config *config);
/* Floating-point operations per token of a forward pass at this context (multiply and add count as two). */
double config_flops(const struct config *config, int context);

#endif
