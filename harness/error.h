/* An error is one clear sentence: the file, the line, what was expected, the remedy. */
#ifndef HARNESS_ERROR_H
#define HARNESS_ERROR_H

struct error {
    char message[1024];
};

/* Writes the sentence and returns -1, so that `return fail(err, "...")` is a whole error path. */
int fail(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same with the place before the sentence, "FILE:LINE: …"; line 0, of what no file holds: "FILE: …". */
int fail_at(struct error *err, const char *where, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts words in front of a message that is already there ("reading x: ..."); returns -1. */
int fail_within(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
