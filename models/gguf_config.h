/* A model's description as GGUF's keys. */
#ifndef MODELS_GGUF_CONFIG_H
#define MODELS_GGUF_CONFIG_H

#include "models/config.h"
#include "models/gguf.h"

/* Keys, and what only the tensors tell: the vocabulary, biases, a tied head, Llama 3's rope factors. */
int gguf_config_read(struct config *out, const struct gguf *file, struct error *err);
/* type: of the matrices. */
void gguf_config_write(struct gguf_out *out, const struct config *config, const struct number_type *type);

#endif
