/* A program run to its end as a child process. */
#ifndef HARNESS_CHILD_H
#define HARNESS_CHILD_H

#include <stdio.h>
#include <sys/types.h>

#include "harness/error.h"

struct child {
    const char *const *words;       /* NULL-terminated; the first is looked up in PATH */
    const char *const *environment; /* "NAME=VALUE" beside what this process has, NULL-terminated; or NULL */
    const char *folder;             /* where it works; NULL: here */
    FILE *in, *out, *complaints;    /* its streams, from where they stand; NULL: none */
    double seconds;                 /* after which it and its children are killed; 0: never */
};

/* Sets the exit code. -1 with err set: it could not be started, was killed, or took too long. */
int child_run(const struct child *child, int *code, struct error *err);

/* Starts it, the leader of a process group of its own, and leaves it running; `seconds` is not looked at. */
int child_start(const struct child *child, pid_t *pid, struct error *err);

/* Whether a program of that name stands in PATH. */
int program_exists(const char *name);

#endif
