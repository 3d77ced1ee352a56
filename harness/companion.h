/* A child process that stays, and is spoken to line by line: a request, its answer, the next request. */
#ifndef HARNESS_COMPANION_H
#define HARNESS_COMPANION_H

#include "harness/child.h"
#include "harness/memory.h"

/* Start from zero. */
struct companion {
    pid_t pid; /* 0: none */
    int socket;
    const char *name;    /* of the program, for errors */
    struct text pending; /* bytes of an answer that has not ended */
};

/* Starts the child; its `in` and `out` are the companion's, the rest is as child_run() takes it. */
int companion_open(struct companion *companion, const struct child *child, struct error *err);
/* Sends a line (without its newline); -1 with err set: it ended, and is gone. */
int companion_tell(struct companion *companion, const char *line, struct error *err);
/* Waits for a line, at most so many seconds. Without its newline, caller frees; NULL with err set: it ended,
   or was too slow, and is gone. */
char *companion_hear(struct companion *companion, double seconds, struct error *err);
/* Both. */
char *companion_ask(struct companion *companion, const char *line, double seconds, struct error *err);
/* Ends the child, by the end of its input or, where that does not help within 5 seconds, by a signal;
   harmless on none. */
void companion_close(struct companion *companion);

#endif
