/* Byte-pair tokenizers: trained on a corpus, read and written as Hugging Face's tokenizer.json. Byte-level
 * ones (GPT-2, Llama 3, Qwen2, SmolLM) and those of characters with byte fallback (Llama 2, Gemma). */
#ifndef MODELS_TOKENIZER_H
#define MODELS_TOKENIZER_H

#include <stddef.h>

#include "harness/error.h"
#include "harness/memory.h"

struct tokenizer;
struct chat;

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

/* The tokenizer of a checkpoint, a folder or a .gguf file, with how it writes conversations: by chat.yaml in
   the folder (FILE.gguf.chat.yaml beside the file), which is a format's name or describes one
   (models/chat.h); else by its chat template; else one of ours, or plain. */
int tokenizer_open(struct tokenizer **out, const char *path, struct error *err);
/* tokenizer.json and what belongs beside it, in a folder that exists. */
int tokenizer_store(const struct tokenizer *tokenizer, const char *folder, struct error *err);
/* Ids that begin and end texts, as the model's files name them: where the tokenizer's own name none. */
void tokenizer_set_roles(struct tokenizer *tokenizer, int begin, int end);
/* How it writes conversations. NULL with err set: by a template that is not known. */
const struct chat *tokenizer_chat(const struct tokenizer *tokenizer, struct error *err);
/* The id that ends a response, or -1. */
int tokenizer_end(const struct tokenizer *tokenizer);
/* The id between a draft and its better version: TOKEN_BETTER, or where there is none that which ends a
 * draft. */
int tokenizer_better(const struct tokenizer *tokenizer);

/* "byte-level BPE", "BPE with byte fallback" or "BPE". */
const char *tokenizer_kind(const struct tokenizer *tokenizer);
int tokenizer_vocab(const struct tokenizer *tokenizer);
int tokenizer_special(const struct tokenizer *tokenizer,
                      const char *content); /* an added token's id, or -1 */
/* Any token's name as tokenizer.json spells it; NULL if there is no such id. */
const char *tokenizer_name(const struct tokenizer *tokenizer, int id);

/* Appends the ids of any bytes. Special tokens spelt in the text are ordinary characters. Thread-safe. */
void tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length, struct tokens *out);
/* The same, but added tokens in the text become their ids (as Hugging Face encodes without
   add_special_tokens). */
void tokenizer_encode_added(const struct tokenizer *tokenizer, const char *text, size_t length,
                            struct tokens *out);
/* The same between the tokens that the post-processor puts around a text (as with add_special_tokens). */
void tokenizer_encode_framed(const struct tokenizer *tokenizer, const char *text, size_t length,
                             struct tokens *out);

/* Bytes begin to end - 1 of a text. */
struct stretch {
    size_t begin, end;
};
/* As tokenizer_encode_added(), but special tokens that begin in one of the `plain` stretches, which ascend,
   are ordinary characters. ends[i], of as many as ids are appended: where the token ends in the text. */
void tokenizer_encode_mixed(const struct tokenizer *tokenizer, const char *text, size_t length,
                            const struct stretch *plain, int plain_count, struct tokens *out,
                            struct tokens *ends);

/* The bytes of the ids, special tokens left out; NUL-terminated, caller frees. length may be NULL. */
char *tokenizer_decode(const struct tokenizer *tokenizer, const int *ids, int count, size_t *length);

/* The same as ids come one by one: a character is held back until all of its bytes are there. Start from zero
   but for the tokenizer. */
struct decoding {
    const struct tokenizer *tokenizer;
    int stripped; /* spaces taken off the beginning; -1: no more */
    char held[4];
    int held_count;
};
void decoding_add(struct decoding *decoding, int id, struct text *out);
void decoding_end(struct decoding *decoding, struct text *out); /* what was held back, whatever it is */

#endif
