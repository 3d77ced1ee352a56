/* A child process that does one piece of work, and tells of progress and failure through a pipe. */
#ifndef HARNESS_WORKER_H
#define HARNESS_WORKER_H

#include <sys/types.h>

#include "harness/error.h"
#include "harness/memory.h"
#include "harness/progress.h"

struct worker {
    pid_t pid; /* 0: none */
    int pipe;
    struct text pending; /* bytes of a message that has not ended */
    struct error failure;
    double seconds, cpu_seconds, peak_bytes; /* known once it has ended */
    double started;
};

/* Forks; the child runs work(), dies when its parent dies, and leaves Ctrl-C to it. */
int worker_start(struct worker *worker, int (*work)(void *context, struct error *err), void *context,
                 struct error *err);
/* Reads what has come, without waiting once `pipe` is ready; 1 while the child lives, else 0. */
int worker_listen(struct worker *worker, progress_sink *sink, void *context);
/* Reaps it: 0 if its work succeeded, else -1 with its sentence, or one that names the signal. */
int worker_finish(struct worker *worker, struct error *err);
void worker_kill(struct worker *worker); /* at once; harmless on none */

double monotonic_seconds(void);

#endif
