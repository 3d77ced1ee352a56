#define _GNU_SOURCE /* posix_spawn_file_actions_addchdir_np */
#include "harness/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/file.h"
#include "harness/memory.h"

extern char **environ;

static int is_named_in(const char *const *list, const char *variable) {
    size_t length = strcspn(variable, "=") + 1;

    for (int i = 0; list && list[i]; i++)
        if (!strncmp(list[i], variable, length)) return 1;
    return 0;
}

static char **join_environment(const char *const *added) {
    size_t room = 1, count = 0;
    char **joined;

    for (int i = 0; environ[i]; i++) room++;
    for (int i = 0; added && added[i]; i++) room++;
    joined = xcalloc(room, sizeof *joined);
    for (int i = 0; added && added[i]; i++) joined[count++] = (char *)added[i];
    for (int i = 0; environ[i]; i++)
        if (!is_named_in(added, environ[i])) joined[count++] = environ[i];
    return joined;
}

static void add_stream(posix_spawn_file_actions_t *files, FILE *stream, int number) {
    if (stream)
        posix_spawn_file_actions_adddup2(files, fileno(stream), number);
    else
        posix_spawn_file_actions_addopen(files, number, "/dev/null", number ? O_WRONLY : O_RDONLY, 0);
}

int child_start(const struct child *child, pid_t *pid, struct error *err) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    char **environment = join_environment(child->environment);
    int code;

    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    add_stream(&files, child->in, 0);
    add_stream(&files, child->out, 1);
    add_stream(&files, child->complaints, 2);
    if (child->folder) posix_spawn_file_actions_addchdir_np(&files, child->folder);
    code = posix_spawnp(pid, child->words[0], &files, &attributes, (char *const *)child->words, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    free(environment);
    return code ? fail(err, "cannot start %s (%s)", child->words[0], strerror(code)) : 0;
}

static double now(void) {
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* 1: it has ended; 0: the time is up; -1: lost. */
static int await(pid_t pid, double seconds, int *status) {
    double end = now() + seconds;
    const struct timespec nap = {0, 5000000};

    for (;;) {
        pid_t got = waitpid(pid, status, seconds > 0 ? WNOHANG : 0);

        if (got == pid) return 1;
        if (got < 0 && errno != EINTR) return -1;
        if (seconds > 0 && now() > end) return 0;
        if (got == 0) nanosleep(&nap, NULL);
    }
}

int child_run(const struct child *child, int *code, struct error *err) {
    const char *name = child->words[0];
    int status = 0, ended;
    pid_t pid;

    if (child_start(child, &pid, err)) return -1;
    ended = await(pid, child->seconds, &status);
    if (ended < 0) return fail(err, "lost %s: %s", name, strerror(errno));
    if (!ended) {
        kill(-pid, SIGKILL);
        await(pid, 0, &status);
        return fail(err, "%s took more than %g seconds and was stopped", name, child->seconds);
    }
    if (!WIFEXITED(status)) return fail(err, "%s was ended by signal %d", name, WTERMSIG(status));
    *code = WEXITSTATUS(status);
    return 0;
}

int program_exists(const char *name) {
    const char *at = getenv("PATH");
    int found = 0;

    while (at && *at && !found) {
        size_t length = strcspn(at, ":");
        char *folder = xstrndup(at, length), *path = path_join(*folder ? folder : ".", name);

        found = !access(path, X_OK);
        free(folder);
        free(path);
        at += length + (at[length] == ':');
    }
    return found;
}
