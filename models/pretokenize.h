/* GPT-2's pre-tokenizer, which cuts text into words, by hand:
 * 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
#ifndef MODELS_PRETOKENIZE_H
#define MODELS_PRETOKENIZE_H

#include <stddef.h>

/* Bytes of the first piece of text[length], at least 1 where length is. A byte that is not UTF-8 counts as a
   character that is neither letter nor number nor space. */
size_t pretoken_length(const char *text, size_t length);

#endif
