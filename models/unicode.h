/* The four kinds of characters that GPT-2's pre-tokenizer tells apart: \p{L}, \p{N}, \s and the rest. */
#ifndef MODELS_UNICODE_H
#define MODELS_UNICODE_H

enum unicode_class { UNICODE_OTHER, UNICODE_LETTER, UNICODE_NUMBER, UNICODE_SPACE };

enum unicode_class unicode_class(int code);

#endif
