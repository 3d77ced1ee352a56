/* What a run's steps warn of, read from what they left: rewards that follow length, training that broke its
   limits, rows that were left out, what an evaluation says of its policies and suites. */
#ifndef REPORTS_WARNINGS_H
#define REPORTS_WARNINGS_H

#include "harness/error.h"

struct warning {
    char *step, *sentence; /* "safety/1/rm/scalar" */
};
struct warnings {
    struct warning *items;
    int count;
};

/* Appends those of one step's folder, whose name is given. */
int warnings_read(struct warnings *out, const char *folder, const char *step, struct error *err);
void warnings_free(struct warnings *warnings);

/* "safety/1/rm/scalar: length_correlation: …". Caller frees. */
char *warning_line(const struct warning *warning);

#endif
