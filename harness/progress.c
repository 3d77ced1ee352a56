#include "harness/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness/memory.h"

/* What this process is doing; one thing at a time. */
static struct {
    progress_sink *sink;
    void *context;
    char *what, *unit;
    double done, total;
} now;

static void tell(const char *note, int over) {
    struct progress_event event = {now.what, now.unit, note, now.done, now.total, over};

    if (now.sink && now.what) now.sink(now.context, &event);
}

static void forget(void) {
    free(now.what);
    free(now.unit);
    now.what = now.unit = NULL;
}

void progress_to(progress_sink *sink, void *context) {
    forget();
    now.sink = sink;
    now.context = context;
}

void progress_begin(const char *what, double total, const char *unit) {
    forget();
    now.what = xstrdup(what);
    now.unit = xstrdup(unit);
    now.done = 0;
    now.total = total;
    tell("", 0);
}

void progress_update(double done, const char *note_format, ...) {
    char note[256];
    va_list args;

    va_start(args, note_format);
    vsnprintf(note, sizeof note, note_format, args);
    va_end(args);
    now.done = done;
    tell(note, 0);
}

void progress_end(void) {
    now.done = now.total;
    tell("", 1);
    forget();
}

void progress_notice(const char *format, ...) {
    char note[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(note, sizeof note, format, args);
    va_end(args);
    if (now.sink) now.sink(now.context, &(struct progress_event){.what = NULL, .unit = "", .note = note});
}
