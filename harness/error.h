/* An error is one clear sentence: the file, the line, what was expected, the remedy. */
#ifndef HARNESS_ERROR_H
#define HARNESS_ERROR_H

struct error {
    char message[1024];
};

/* Writes the sentence and returns -1, so that `return fail(err, "...")` is a whole error path. */
int fail(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts words in front of a message that is already there ("reading x: ..."); returns -1. */
int fail_within(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
