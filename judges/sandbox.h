/* Runs programs that nobody trusts, in bubblewrap: no network, no file of this machine but /usr (read-only),
   no process but their own, and limits on all they can use up. docs/sandbox.md */
#ifndef JUDGES_SANDBOX_H
#define JUDGES_SANDBOX_H

#include "harness/error.h"
#include "harness/memory.h"

struct sandbox_limits {
    double seconds;      /* by the clock, and of processor time for each process */
    double memory;       /* bytes: of a process's address space, and of what all hold together */
    double space;        /* bytes in /tmp, and of one file */
    double output;       /* bytes of standard output, and of standard error */
    int processes;       /* and threads */
    int open_files;      /* of a process */
    int files;           /* in /tmp */
    const char *visible; /* a folder that is seen too, at its own path, or NULL */
};

/* How a program ended. */
enum sandbox_end {
    SANDBOX_EXIT,   /* by itself: code */
    SANDBOX_SIGNAL, /* code: the signal */
    SANDBOX_TIME,
    SANDBOX_MEMORY,
    SANDBOX_OUTPUT,
    SANDBOX_FILES,
    SANDBOX_PROCESSES,
    SANDBOX_STOPPED /* it was no longer needed */
};

struct sandbox_file {
    const char *path, *text; /* as the program sees it, read-only */
};

struct sandbox_program {
    const char *const *command;       /* NULL-terminated, as seen inside */
    const struct sandbox_file *files; /* ends with {0} */
    const char *input;                /* on standard input; NULL: empty */
    /* What came of it. */
    enum sandbox_end end;
    int code;
    struct text output, errors; /* as far as the limit; may hold any bytes */
};

/* That bubblewrap is there and can do all this here, by running `interpreter` once; the error names the
   package, or the setting that stands in the way. */
int sandbox_check(const struct sandbox_limits *limits, const char *interpreter, struct error *err);

/* Runs one program to its end. -1: the sandbox failed, not the program. */
int sandbox_run(const struct sandbox_limits *limits, struct sandbox_program *program, struct error *err);

/* Two sandboxes at once: what the one writes to standard output the other reads from standard input. Ends
   with `first`; `second` is then stopped. Both `input`s are unused. */
int sandbox_run_pair(const struct sandbox_limits *limits, struct sandbox_program *first,
                     struct sandbox_program *second, struct error *err);
void sandbox_program_free(struct sandbox_program *program);

/* The seccomp filter as bytes for bubblewrap: EPERM to what no such program needs and what could reach around
   the limits (sockets, other namespaces, keyrings, tracing, memory that no process holds, io_uring, …). */
const void *sandbox_filter(size_t *length);

#endif
