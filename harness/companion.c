#define _GNU_SOURCE /* SOCK_CLOEXEC */
#include "harness/companion.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/worker.h"

int companion_open(struct companion *companion, const struct child *child, struct error *err) {
    struct child mine = *child;
    int ends[2], status;

    *companion = (struct companion){.name = child->words[0]};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return fail(err, "cannot make a socket for %s: %s", companion->name, strerror(errno));
    mine.in = mine.out = fdopen(ends[1], "r+");
    status = child_start(&mine, &companion->pid, err);
    fclose(mine.in);
    companion->socket = ends[0];
    if (!status) return 0;
    close(ends[0]);
    companion->pid = 0;
    return -1;
}

/* 1: it has ended, and was reaped. */
static int reaped(const struct companion *companion, int *status, int options) {
    pid_t got;

    do got = waitpid(companion->pid, status, options);
    while (got < 0 && errno == EINTR);
    return got != 0;
}

/* Its exit status; it is killed if it does not end by itself. */
static int end(struct companion *companion, double patience) {
    const struct timespec nap = {0, 5000000};
    double last = monotonic_seconds() + patience;
    int status = 0;

    shutdown(companion->socket, SHUT_WR);
    while (!reaped(companion, &status, WNOHANG)) {
        if (monotonic_seconds() > last) kill(-companion->pid, SIGKILL);
        nanosleep(&nap, NULL);
    }
    close(companion->socket);
    free(companion->pending.data);
    companion->pending = (struct text){0};
    companion->pid = 0;
    return status;
}

static int fail_ended(struct companion *companion, struct error *err) {
    int status = end(companion, 1);

    if (WIFSIGNALED(status)) return fail(err, "%s was ended by signal %d", companion->name, WTERMSIG(status));
    return fail(err, "%s ended with code %d instead of answering", companion->name, WEXITSTATUS(status));
}

static int send_line(struct companion *companion, const char *line) {
    char *whole = xprintf("%s\n", line);
    size_t length = strlen(whole), sent = 0;

    while (sent < length) {
        ssize_t wrote = send(companion->socket, whole + sent, length - sent, MSG_NOSIGNAL);

        if (wrote < 0 && errno != EINTR) break;
        if (wrote > 0) sent += (size_t)wrote;
    }
    free(whole);
    return sent < length ? -1 : 0;
}

/* The first line of what has come, or NULL. */
static char *take_line(struct companion *companion) {
    struct text *pending = &companion->pending;
    char *newline = pending->data ? memchr(pending->data, '\n', pending->length) : NULL, *line;
    size_t length;

    if (!newline) return NULL;
    length = (size_t)(newline - pending->data);
    line = xstrndup(pending->data, length);
    pending->length -= length + 1;
    memmove(pending->data, newline + 1, pending->length + 1);
    return line;
}

int companion_tell(struct companion *companion, const char *line, struct error *err) {
    if (!companion->pid) return fail(err, "it is not running");
    return send_line(companion, line) ? fail_ended(companion, err) : 0;
}

char *companion_hear(struct companion *companion, double seconds, struct error *err) {
    struct pollfd ready = {.fd = companion->socket, .events = POLLIN};
    double last = monotonic_seconds() + seconds;
    char bytes[4096], *answer;

    while (!(answer = take_line(companion))) {
        double left = last - monotonic_seconds();
        ssize_t got;

        if (left <= 0) {
            end(companion, 0);
            fail(err, "%s took more than %g seconds and was stopped", companion->name, seconds);
            return NULL;
        }
        if (poll(&ready, 1, (int)(1000 * left) + 1) <= 0) continue;
        got = read(companion->socket, bytes, sizeof bytes);
        if (got <= 0) {
            fail_ended(companion, err);
            return NULL;
        }
        text_add(&companion->pending, bytes, (size_t)got);
    }
    return answer;
}

char *companion_ask(struct companion *companion, const char *line, double seconds, struct error *err) {
    return companion_tell(companion, line, err) ? NULL : companion_hear(companion, seconds, err);
}

void companion_close(struct companion *companion) {
    if (companion->pid) end(companion, 5);
}
