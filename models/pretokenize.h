/* Pre-tokenizers, which cut text into words, by hand: the regular expressions of the common families, and the
 * simple ones of Hugging Face's tokenizers. */
#ifndef MODELS_PRETOKENIZE_H
#define MODELS_PRETOKENIZE_H

#include <stddef.h>

enum pretokens {
    PRETOKENS_GPT2,
    PRETOKENS_LLAMA3,
    PRETOKENS_QWEN2,
    PRETOKENS_DIGIT,        /* every digit alone */
    PRETOKENS_DIGITS,       /* rows of digits */
    PRETOKENS_AFTER_SPACE,  /* a cut after every space */
    PRETOKENS_BEFORE_BLANK, /* a cut before every BLANK */
    PRETOKENS_BLANK_RUNS    /* a cut before every row of them */
};

/* U+2581, SentencePiece's space. */
#define BLANK      "\xe2\x96\x81"
#define BLANK_SIZE 3

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ and so on: which of the kinds
   above this expression is, by equal spelling; -1 if none. */
int pretokens_of_regex(const char *regex);
/* And back; NULL of a kind that has none. */
const char *pretokens_regex(enum pretokens kind);

/* Bytes of the first piece of text[length], at least 1 where length is. A byte that is not UTF-8 counts as a
   character that is neither letter nor number nor space. */
size_t pretoken_length(enum pretokens kind, const char *text, size_t length);

#endif
