#include "harness/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int fail(struct error *err, const char *format, ...) {
    va_list args;

    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return -1;
}

int fail_at(struct error *err, const char *where, int line, const char *format, ...) {
    char place[256];
    va_list args;

    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (line)
        snprintf(place, sizeof place, "%s:%d", where, line);
    else
        snprintf(place, sizeof place, "%s", where);
    return fail_within(err, "%s", place);
}

int fail_within(struct error *err, const char *format, ...) {
    char inner[sizeof err->message];
    size_t used;
    va_list args;

    memcpy(inner, err->message, sizeof inner);
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used, ": %s", inner);
    return -1;
}
