/* Whether bytes are UTF-8. */
#ifndef HARNESS_UTF8_H
#define HARNESS_UTF8_H

#include <stddef.h>

#include "harness/error.h"

/* Bytes of the UTF-8 sequence at `at`, of `room` bytes (one or more); 0 if it is none: overlong, a surrogate,
   beyond U+10FFFF or cut off. */
size_t utf8_length(const unsigned char *at, size_t room);
/* Fails where the text, which begins in that line of `name`, is not UTF-8 or holds a NUL. */
int utf8_check(const char *text, size_t length, const char *name, int line, struct error *err);

#endif
