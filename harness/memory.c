#include "harness/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *sure(void *got, size_t bytes) {
    if (got || bytes == 0) return got;
    fprintf(stderr, "pyrite: out of memory (%zu bytes were asked for)\n", bytes);
    exit(70);
}

static size_t product(size_t count, size_t bytes) {
    size_t total;

    if (__builtin_mul_overflow(count, bytes, &total)) sure(NULL, SIZE_MAX);
    return total;
}

void *xmalloc(size_t bytes) {
    return sure(malloc(bytes ? bytes : 1), bytes);
}

void *xcalloc(size_t count, size_t bytes) {
    size_t total = product(count, bytes);

    return sure(calloc(total ? total : 1, 1), total);
}

void *xrealloc(void *old, size_t count, size_t bytes) {
    size_t total = product(count, bytes);

    return sure(realloc(old, total ? total : 1), total);
}

char *xstrdup(const char *text) {
    return text ? xstrndup(text, strlen(text)) : NULL;
}

char *xstrndup(const char *text, size_t length) {
    char *copy = xmalloc(length + 1);

    memcpy(copy, text, length);
    copy[length] = 0;
    return copy;
}

static char *format_any(const char *format, va_list args, size_t *length) {
    va_list again;
    char *out;
    int size;

    va_copy(again, args);
    size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    out = xmalloc((size_t)size + 1);
    vsnprintf(out, (size_t)size + 1, format, args);
    *length = (size_t)size;
    return out;
}

char *xprintf(const char *format, ...) {
    size_t length;
    va_list args;
    char *out;

    va_start(args, format);
    out = format_any(format, args, &length);
    va_end(args);
    return out;
}

void text_add(struct text *text, const char *bytes, size_t length) {
    if (text->length + length + 1 > text->room) {
        text->room = 2 * (text->length + length) + 64;
        text->data = xrealloc(text->data, text->room, 1);
    }
    if (length) memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = 0;
}

void text_printf(struct text *text, const char *format, ...) {
    size_t length;
    va_list args;
    char *piece;

    va_start(args, format);
    piece = format_any(format, args, &length);
    va_end(args);
    text_add(text, piece, length);
    free(piece);
}

int text_ends(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);

    return length >= tail && !strcmp(text + length - tail, end);
}

uint64_t text_hash(const char *bytes, size_t length) {
    uint64_t hash = 0xcbf29ce484222325;

    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3;
    return hash;
}
