/* Host memory that is always there: running out ends the program with a message. */
#ifndef HARNESS_MEMORY_H
#define HARNESS_MEMORY_H

#include <stddef.h>
#include <stdint.h>

void *xmalloc(size_t bytes);
void *xcalloc(size_t count, size_t bytes); /* zeroed; the product is checked */
void *xrealloc(void *old, size_t count, size_t bytes);
char *xstrdup(const char *text); /* NULL stays NULL */
char *xstrndup(const char *text, size_t length);
char *xprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A text or list that grows. Start from zero; free with free(text.data). */
struct text {
    char *data; /* always ends in NUL once something was added */
    size_t length, room;
};
void text_add(struct text *text, const char *bytes, size_t length);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether a text ends in that. */
int text_ends(const char *text, const char *end);
/* FNV-1a of so many bytes. */
uint64_t text_hash(const char *bytes, size_t length);

#endif
