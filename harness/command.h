/* A command of the program: one file, one const struct; --help and the man page are made from it. */
#ifndef HARNESS_COMMAND_H
#define HARNESS_COMMAND_H

#include <stdio.h>

#include "harness/error.h"

struct flag {
    const char *name;  /* "threads" for --threads */
    char letter;       /* 'j' for -j; 0: none */
    const char *value; /* what follows: "N"; NULL: a switch */
    const char *help;
};

/* What was given; owned by main. */
struct arguments {
    const struct command *command;
    int count; /* of words that are no flags */
    const char *const *words;
    int flag_count;
    const struct flag *const *flags; /* those given, in order, with their values */
    const char *const *values;
    FILE *out; /* where results go: stdout */
};

struct command {
    const char *name, *summary;
    const char *usage;           /* "RECIPE [--set key=value]..." */
    const char *description;     /* paragraphs */
    const struct flag *flags;    /* ends with {0} */
    int least_words, most_words; /* most_words -1: any */
    /* The exit code: 0 done; 1 a check failed; 2 usage or bad input (err set); 3 done, but too many judgments
     * failed (err set). -1 with err set is exit code 2. */
    int (*run)(const struct arguments *arguments, struct error *err);
};

extern const struct command *const commands[]; /* NULL-terminated */

const char *argument_value(const struct arguments *arguments, const char *flag,
                           const char *fallback); /* the last one given */
int argument_given(const struct arguments *arguments, const char *flag);
/* A whole number in [low, high]. */
int argument_int(const struct arguments *arguments, const char *flag, int fallback, int low, int high,
                 int *out, struct error *err);
/* A number in [low, high]. */
int argument_number(const struct arguments *arguments, const char *flag, double fallback, double low,
                    double high, double *out, struct error *err);

#endif
