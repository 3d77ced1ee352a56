#include "harness/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Messages are lines: a letter, then fields between tabs.
   P what unit note done total; N notice; E error. */

enum { FIELDS = 6 };
static const double least_pause = 0.1; /* seconds between two updates of one piece of work */

double monotonic_seconds(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The child's end of the pipe. */
struct sender {
    int pipe;
    double last;
    char what[128];
};

static void send_line(int pipe, const struct text *line) {
    for (size_t sent = 0; sent < line->length;) {
        ssize_t wrote = write(pipe, line->data + sent, line->length - sent);

        if (wrote < 0 && errno != EINTR) return;
        if (wrote > 0) sent += (size_t)wrote;
    }
}

static void add_field(struct text *line, const char *field) {
    text_add(line, "\t", 1);
    for (; *field; field++) text_add(line, *field == '\t' || *field == '\n' ? " " : field, 1);
}

static void send_words(int pipe, const char *letter, const char *words) {
    struct text line = {0};

    text_add(&line, letter, 1);
    add_field(&line, words);
    text_add(&line, "\n", 1);
    send_line(pipe, &line);
    free(line.data);
}

static void send_event(void *context, const struct progress_event *event) {
    struct sender *sender = context;
    struct text line = {0};
    double now = monotonic_seconds();

    if (!event->what) {
        send_words(sender->pipe, "N", event->note);
        return;
    }
    if (now - sender->last < least_pause && event->done < event->total && !strcmp(sender->what, event->what))
        return;
    sender->last = now;
    snprintf(sender->what, sizeof sender->what, "%s", event->what);
    text_add(&line, "P", 1);
    add_field(&line, event->what);
    add_field(&line, event->unit ? event->unit : "");
    add_field(&line, event->note);
    text_printf(&line, "\t%.17g\t%.17g\n", event->done, event->total);
    send_line(sender->pipe, &line);
    free(line.data);
}

static _Noreturn void be_child(int pipe, pid_t parent, int (*work)(void *context, struct error *err),
                               void *context) {
    struct sender sender = {.pipe = pipe};
    struct error err = {0};
    int status;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    progress_to(send_event, &sender);
    status = work(context, &err);
    if (status) send_words(pipe, "E", err.message);
    _exit(status ? 1 : 0);
}

int worker_start(struct worker *worker, int (*work)(void *context, struct error *err), void *context,
                 struct error *err) {
    pid_t parent = getpid();
    int ends[2];

    if (pipe(ends)) return fail(err, "cannot make a pipe: %s", strerror(errno));
    for (int i = 0; i < 2; i++) fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    fflush(NULL);
    *worker = (struct worker){.pipe = ends[0], .started = monotonic_seconds(), .pid = fork()};
    if (worker->pid == 0) {
        close(ends[0]);
        be_child(ends[1], parent, work, context);
    }
    close(ends[1]);
    if (worker->pid > 0) return 0;
    close(ends[0]);
    worker->pid = 0;
    return fail(err, "cannot start a process: %s", strerror(errno));
}

static void read_message(struct worker *worker, char *line, progress_sink *sink, void *context) {
    char *fields[FIELDS] = {line};
    int count = 1;

    for (char *at = line; *at && count < FIELDS; at++)
        if (*at == '\t') {
            *at = 0;
            fields[count++] = at + 1;
        }
    if (line[0] == 'E' && count > 1) fail(&worker->failure, "%s", fields[1]);
    if (line[0] == 'N' && count > 1)
        sink(context, &(struct progress_event){.what = NULL, .unit = "", .note = fields[1]});
    if (line[0] == 'P' && count == FIELDS)
        sink(context,
             &(struct progress_event){fields[1], fields[2], fields[3], atof(fields[4]), atof(fields[5]), 0});
}

static void read_messages(struct worker *worker, progress_sink *sink, void *context) {
    char *start = worker->pending.data, *end;

    while (start && (end = strchr(start, '\n'))) {
        *end = 0;
        read_message(worker, start, sink, context);
        start = end + 1;
    }
    if (!start) return;
    worker->pending.length -= (size_t)(start - worker->pending.data);
    memmove(worker->pending.data, start, worker->pending.length + 1);
}

int worker_listen(struct worker *worker, progress_sink *sink, void *context) {
    char bytes[8192];
    ssize_t got = read(worker->pipe, bytes, sizeof bytes);

    if (got < 0 && errno == EINTR) return 1;
    if (got <= 0) return 0;
    for (ssize_t i = 0; i < got; i++)
        if (!bytes[i]) bytes[i] = ' ';
    text_add(&worker->pending, bytes, (size_t)got);
    read_messages(worker, sink, context);
    return 1;
}

static int describe_end(const struct worker *worker, int status, struct error *err) {
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return fail(err, "its process was killed (SIGKILL); when nobody did that, memory ran out");
    if (WIFSIGNALED(status))
        return fail(err, "its process crashed: %s (signal %d)", strsignal(WTERMSIG(status)),
                    WTERMSIG(status));
    if (worker->failure.message[0]) return fail(err, "%s", worker->failure.message);
    if (WEXITSTATUS(status)) return fail(err, "its process ended with code %d", WEXITSTATUS(status));
    return 0;
}

static double timeval_seconds(struct timeval time) {
    return (double)time.tv_sec + 1e-6 * (double)time.tv_usec;
}

int worker_finish(struct worker *worker, struct error *err) {
    struct rusage usage = {0};
    int status = 0, result;

    while (wait4(worker->pid, &status, 0, &usage) < 0 && errno == EINTR) continue;
    result = describe_end(worker, status, err);
    worker->seconds = monotonic_seconds() - worker->started;
    worker->cpu_seconds = timeval_seconds(usage.ru_utime) + timeval_seconds(usage.ru_stime);
    worker->peak_bytes = 1024.0 * (double)usage.ru_maxrss;
    close(worker->pipe);
    free(worker->pending.data);
    worker->pending = (struct text){0};
    worker->pid = 0;
    return result;
}

void worker_kill(struct worker *worker) {
    struct error ignored;

    if (!worker->pid) return;
    kill(worker->pid, SIGKILL);
    worker_finish(worker, &ignored);
}
