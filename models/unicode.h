/* Characters as the pre-tokenizers and normalizers of Hugging Face's tokenizers see them. */
#ifndef MODELS_UNICODE_H
#define MODELS_UNICODE_H

/* \p{L}, \p{N}, \s and the rest. */
enum unicode_class { UNICODE_OTHER, UNICODE_LETTER, UNICODE_NUMBER, UNICODE_SPACE };

enum unicode_class unicode_class(int code);
int unicode_digit(int code); /* what the pre-tokenizer Digits cuts out */
int unicode_word(int code);  /* \w */

/* The canonical combining class; 0 of a character that begins a new one. */
int unicode_mark(int code);
/* 1, with the code's canonical decomposition (second 0: into one), or 0. Not of Hangul syllables. */
int unicode_decompose(int code, int *first, int *second);
/* What the two compose to, or 0. Not of Hangul. */
int unicode_compose(int first, int second);

/* The code point of the UTF-8 at `at`, before `end`, and its bytes; -1 and 1 byte where it is none. */
int unicode_decode(const unsigned char *at, const unsigned char *end, int *size);
/* Writes up to 4 bytes; how many. */
int unicode_encode(char *out, int code);

#endif
