/* A tokenizer as GGUF's keys, from and to Hugging Face's tokenizer.json: byte-level BPE. */
#ifndef MODELS_GGUF_TOKENIZER_H
#define MODELS_GGUF_TOKENIZER_H

#include "models/config.h"
#include "models/gguf.h"

/* The tokenizer of a folder: its tokenizer.json, with what its tokenizer_config.json says; ids of special
 * tokens from config, which is also the vocabulary's size. folder NULL: keys that say that there is none. */
int gguf_tokenizer_write(struct gguf_out *out, const char *folder, const struct config *config,
                         struct error *err);
/* Another GGUF file's, as it is. */
void gguf_tokenizer_copy(struct gguf_out *out, const struct node *metadata);

#endif
