/* A tokenizer as GGUF's keys. */
#ifndef MODELS_GGUF_TOKENIZER_H
#define MODELS_GGUF_TOKENIZER_H

#include "models/config.h"
#include "models/gguf.h"
#include "models/tokenizer.h"

/* The tokenizer of a folder: its tokenizer.json, with what its tokenizer_config.json says; ids of special
 * tokens from config, which is also the vocabulary's size. Byte-level BPE is written as "gpt2", BPE of
 * characters with byte fallback as "llama", whose scores follow the merges' order: refused where merging by
 * score would be another thing. folder NULL: keys that say that there is none. */
int gguf_tokenizer_write(struct gguf_out *out, const char *folder, const struct config *config,
                         struct error *err);
/* In how many ways a normal token (of type 1) is two of them. */
int gguf_tokenizer_pairs(const char **texts, const int *types, int count);
/* Another GGUF file's, as it is. */
void gguf_tokenizer_copy(struct gguf_out *out, const struct node *metadata);

/* The tokenizer in a GGUF file: byte-level BPE ("gpt2") with one of the pre-tokenizers of GPT-2, SmolLM,
 * Llama 3 and Qwen2, or SentencePiece's ("llama"), which merges by score. */
int gguf_tokenizer_read(struct tokenizer **out, const struct node *metadata, struct error *err);

#endif
