/* Byte-level BPE with GPT-2's pre-tokenizer: trained on a corpus, read and written as Hugging Face's
 * tokenizer.json. */
#ifndef MODELS_TOKENIZER_H
#define MODELS_TOKENIZER_H

#include <stddef.h>

#include "harness/error.h"

struct tokenizer;

/* Ids that every tokenizer of ours has, as special added tokens that no user text can spell. */
#define TOKEN_END      "<|end|>"      /* ends a response; also the document separator */
#define TOKEN_RESPONSE "<|response|>" /* between prompt and response */
#define TOKEN_BETTER   "<|better|>"   /* between a draft and its better version (seq2seq reward model) */

struct tokens {
    int *ids;
    int count, room;
};
void tokens_add(struct tokens *tokens, int id);

/* The most frequent pair first, ties by the smaller pair of ids: the same corpus gives the same file. vocab
   counts the 256 bytes, the merges and the three special tokens. */
int tokenizer_train(struct tokenizer **out, const char *const *texts, int count, int vocab,
                    struct error *err);
int tokenizer_load(struct tokenizer **out, const char *path, struct error *err);
int tokenizer_save(const struct tokenizer *tokenizer, const char *path, struct error *err);
void tokenizer_free(struct tokenizer *tokenizer);

int tokenizer_vocab(const struct tokenizer *tokenizer);
int tokenizer_special(const struct tokenizer *tokenizer, const char *content); /* id, or -1 */

/* Appends the ids of any bytes. Special tokens spelt in the text are ordinary characters. Thread-safe. */
void tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length, struct tokens *out);
/* The same, but added tokens in the text become their ids (as Hugging Face encodes). */
void tokenizer_encode_added(const struct tokenizer *tokenizer, const char *text, size_t length,
                            struct tokens *out);
/* The bytes of the ids, special tokens left out; NUL-terminated, caller frees. length may be NULL. */
char *tokenizer_decode(const struct tokenizer *tokenizer, const int *ids, int count, size_t *length);

#endif
