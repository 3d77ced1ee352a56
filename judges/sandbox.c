#define _GNU_SOURCE /* memfd_create, pipe2 */
#include "judges/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/document.h"
#include "harness/worker.h"
#include "judges/sandbox_watch.h"

enum { FILES_MOST = 8, FIRST_FD = 10, NOBODY = 65534, STATUS_MOST = 4096, UNABLE = 125 };

/* Words that grow; owned. */
struct words {
    char **items;
    int count;
};

static void add_word(struct words *words, const char *word) {
    words->items = xrealloc(words->items, (size_t)words->count + 2, sizeof *words->items);
    words->items[words->count++] = xstrdup(word);
    words->items[words->count] = NULL;
}

static void add_words(struct words *words, const char *list) {
    char *copy = xstrdup(list), *rest = NULL;

    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        add_word(words, word);
    free(copy);
}

static void add_number(struct words *words, const char *format, double number) {
    char *word = xprintf(format, number);

    add_word(words, word);
    free(word);
}

static void words_free(struct words *words) {
    for (int i = 0; i < words->count; i++) free(words->items[i]);
    free(words->items);
}

/* A program on its way: what it inherits, and our ends of its pipes; -1 where there is none. */
struct running {
    struct sandbox_program *program;
    struct words command;
    int given[FILES_MOST], given_count; /* it finds them from FIRST_FD on */
    int in, out, errors, status;        /* its ends */
    int read_out, read_errors, read_status;
    struct text report; /* what bubblewrap says of it */
    pid_t pid;
    int ended;
};

static void close_end(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* A file without a name that nobody can change. */
static int sealed(const void *bytes, size_t length, struct error *err) {
    int fd = memfd_create("sandbox", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    const char *at = bytes;

    while (fd >= 0 && length) {
        ssize_t wrote = write(fd, at, length);

        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) break;
        at += wrote;
        length -= (size_t)wrote;
    }
    if (fd < 0 || length || lseek(fd, 0, SEEK_SET) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)) {
        fail(err, "cannot make a file in memory: %s", strerror(errno));
        if (fd >= 0) close(fd);
        return -1;
    }
    return fd;
}

static int give(struct running *running, const void *bytes, size_t length, struct error *err) {
    int fd = sealed(bytes, length, err);

    if (fd < 0) return -1;
    running->given[running->given_count++] = fd;
    add_number(&running->command, "%.0f", FIRST_FD + running->given_count - 1);
    return 0;
}

/* /usr, and what else of the system's folders is not a link into it. */
static void add_system(struct words *words) {
    static const char *const folders[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};

    add_words(words, "--ro-bind /usr /usr --ro-bind-try /etc/ld.so.cache /etc/ld.so.cache");
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char target[256];
        ssize_t length = readlink(folders[i], target, sizeof target - 1);
        struct stat facts;

        if (length > 0) {
            target[length] = 0;
            add_word(words, "--symlink");
            add_word(words, target);
        } else if (!stat(folders[i], &facts) && S_ISDIR(facts.st_mode)) {
            add_word(words, "--ro-bind");
            add_word(words, folders[i]);
        } else {
            continue;
        }
        add_word(words, folders[i]);
    }
}

static void add_visible(struct words *words, const char *visible) {
    if (!visible) return;
    add_word(words, "--ro-bind");
    add_word(words, visible);
    add_word(words, visible);
}

static int add_files(struct running *running, struct error *err) {
    for (const struct sandbox_file *file = running->program->files; file && file->path; file++) {
        add_word(&running->command, "--ro-bind-data");
        if (give(running, file->text, strlen(file->text), err)) return -1;
        add_word(&running->command, file->path);
    }
    return 0;
}

/* bubblewrap, the limit that must be set inside, the program. */
static int make_command(struct running *running, const struct sandbox_limits *limits, struct error *err) {
    struct words *words = &running->command;
    size_t length;
    const void *filter = sandbox_filter(&length);

    add_words(words,
              "bwrap --unshare-user --unshare-pid --unshare-ipc --unshare-uts --unshare-net "
              "--unshare-cgroup-try --new-session --die-with-parent --cap-drop ALL --uid 65534 --gid 65534 "
              "--hostname sandbox");
    add_system(words);
    add_visible(words, limits->visible);
    add_words(words, "--dev /dev --remount-ro /dev --size");
    add_number(words, "%.0f", limits->space);
    add_words(words, "--tmpfs /tmp");
    if (add_files(running, err)) return -1;
    if (filter) {
        add_word(words, "--seccomp");
        if (give(running, filter, length, err)) return -1;
    }
    add_words(words,
              "--remount-ro / --chdir /tmp --setenv PATH /usr/bin:/bin --setenv HOME /tmp --setenv LANG "
              "C.UTF-8 --json-status-fd 3 -- /usr/bin/prlimit");
    add_number(words, "--nproc=%.0f", limits->processes + 1.0); /* bubblewrap's own counts */
    add_word(words, "--");
    for (int i = 0; running->program->command[i]; i++) add_word(words, running->program->command[i]);
    return 0;
}

static int make_pipe(int *read_end, int *write_end, struct error *err) {
    int ends[2];

    if (pipe2(ends, O_CLOEXEC)) return fail(err, "cannot make a pipe: %s", strerror(errno));
    *read_end = ends[0];
    *write_end = ends[1];
    return 0;
}

/* A pipe that we read without waiting. */
static int listen_to(int *read_end, int *write_end, struct error *err) {
    if (make_pipe(read_end, write_end, err)) return -1;
    fcntl(*read_end, F_SETFL, O_NONBLOCK);
    return 0;
}

static int prepare(struct running *running, struct sandbox_program *program,
                   const struct sandbox_limits *limits, struct error *err) {
    *running = (struct running){.program = program,
                                .in = -1,
                                .out = -1,
                                .errors = -1,
                                .status = -1,
                                .read_out = -1,
                                .read_errors = -1,
                                .read_status = -1};
    program->output.length = program->errors.length = 0;
    text_add(&program->output, "", 0);
    text_add(&program->errors, "", 0);
    if (make_command(running, limits, err)) return -1;
    if (listen_to(&running->read_errors, &running->errors, err)) return -1;
    return listen_to(&running->read_status, &running->status, err);
}

static void limit(int what, double most) {
    struct rlimit value = {(rlim_t)most, (rlim_t)most};

    setrlimit(what, &value);
}

static void set_limits(const struct sandbox_limits *limits) {
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_AS, limits->memory);
    limit(RLIMIT_FSIZE, limits->space);
    limit(RLIMIT_NOFILE,
          limits->open_files > FIRST_FD + FILES_MOST ? limits->open_files : FIRST_FD + FILES_MOST);
    limit(RLIMIT_CPU, (double)(long)limits->seconds + 1);
    limit(RLIMIT_MEMLOCK, 0);
    limit(RLIMIT_MSGQUEUE, 0);
}

/* Root would be no stranger to root's files, and has no limit of processes. Where nobody is unknown, in a
   namespace of a person's own, root is that person. */
static int become_nobody(void) {
    if (geteuid()) return 0;
    if (syscall(SYS_setgroups, 0, NULL) && errno != EPERM) return -1;
    if (syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY)) return errno == EINVAL ? 0 : -1;
    return (int)syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY);
}

/* Everything else that was left open, from `first` on. */
static void close_from(unsigned first, unsigned last) {
    if (!syscall(SYS_close_range, first, last, 0)) return;
    for (unsigned fd = first; fd <= last && fd < 65536; fd++) close((int)fd);
}

/* The child of a process that may have threads: system calls alone. */
static _Noreturn void be_program(const struct running *running, const struct sandbox_limits *limits) {
    static char *const environment[] = {NULL};
    int given[FILES_MOST], count = running->given_count,
                           kept[] = {running->in, running->out, running->errors, running->status};
    int bad = 0;

    setsid();
    signal(SIGPIPE, SIG_DFL);
    /* out of the way first: what is placed may stand where another has to go */
    for (int i = 0; i < 4; i++) kept[i] = fcntl(kept[i], F_DUPFD, FIRST_FD + FILES_MOST);
    for (int i = 0; i < count; i++) given[i] = fcntl(running->given[i], F_DUPFD, FIRST_FD + FILES_MOST);
    for (int i = 0; i < 4; i++) bad |= kept[i] < 0 || dup2(kept[i], i) < 0;
    for (int i = 0; i < count; i++) bad |= given[i] < 0 || dup2(given[i], FIRST_FD + i) < 0;
    close_from(4, FIRST_FD - 1);
    close_from((unsigned)(FIRST_FD + count), ~0U);
    set_limits(limits);
    if (bad || become_nobody()) _exit(UNABLE);
    execve("/usr/bin/bwrap", running->command.items, environment);
    _exit(UNABLE);
}

static int start(struct running *running, const struct sandbox_limits *limits, struct error *err) {
    running->pid = fork();
    if (running->pid == 0) be_program(running, limits);
    for (int i = 0; i < running->given_count; i++) close(running->given[i]);
    running->given_count = 0;
    close_end(&running->in);
    close_end(&running->out);
    close_end(&running->errors);
    close_end(&running->status);
    if (running->pid > 0) return 0;
    running->pid = 0;
    return fail(err, "cannot start a process: %s", strerror(errno));
}

/* What is there to read now, as far as `most`; 1 if there was more than that. */
static int take(int *fd, struct text *out, double most) {
    char bytes[4096];
    ssize_t got;

    while (*fd >= 0 && (got = read(*fd, bytes, sizeof bytes)) != 0) {
        size_t room = (double)out->length < most ? (size_t)(most - (double)out->length) : 0;

        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return 0;
        text_add(out, bytes, (size_t)got < room ? (size_t)got : room);
        if ((size_t)got > room) return 1;
    }
    close_end(fd);
    return 0;
}

static void end(struct running *running, enum sandbox_end how) {
    running->ended = 1;
    running->program->end = how;
    if (running->pid > 0) sandbox_kill(running->pid);
}

static void collect(struct running *running, const struct sandbox_limits *limits) {
    int more = take(&running->read_out, &running->program->output, limits->output);

    more |= take(&running->read_errors, &running->program->errors, limits->output);
    take(&running->read_status, &running->report, STATUS_MOST);
    if (more && !running->ended) end(running, SANDBOX_OUTPUT);
}

/* Whether bubblewrap is gone; how the program ended stands in its status. */
static int is_over(struct running *running, const struct sandbox_limits *limits) {
    int status;

    if (!running->pid) return 1;
    if (waitpid(running->pid, &status, WNOHANG) != running->pid) return 0;
    running->pid = 0;
    collect(running, limits);
    if (running->ended) return 1;
    running->ended = 1;
    running->program->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    running->program->end = running->program->code > 128 ? SANDBOX_SIGNAL : SANDBOX_EXIT;
    if (running->program->end == SANDBOX_SIGNAL) running->program->code -= 128;
    return 1;
}

static void watch(struct running *running, const struct sandbox_limits *limits) {
    enum sandbox_end over;

    if (!running->ended && running->pid && sandbox_over_limit(running->pid, limits, &over))
        end(running, over);
}

static void wait_a_moment(struct running *all, int count) {
    struct pollfd pipes[4];
    int n = 0;

    for (int i = 0; i < count; i++) {
        pipes[n++] = (struct pollfd){all[i].read_out, POLLIN, 0};
        pipes[n++] = (struct pollfd){all[i].read_errors, POLLIN, 0};
    }
    poll(pipes, (nfds_t)n, 5);
}

/* Until the first is over; then the others are stopped. */
static void attend(struct running *all, int count, const struct sandbox_limits *limits) {
    double begun = monotonic_seconds(), watched = begun;

    while (!is_over(&all[0], limits)) {
        double now = monotonic_seconds();

        if (all[0].ended) sandbox_kill(all[0].pid);
        wait_a_moment(all, count);
        for (int i = 0; i < count; i++) collect(&all[i], limits);
        for (int i = 1; i < count; i++) is_over(&all[i], limits);
        if (now - watched > 0.02) {
            for (int i = 0; i < count; i++) watch(&all[i], limits);
            watched = now;
        }
        if (now - begun > limits->seconds)
            for (int i = 0; i < count; i++)
                if (!all[i].ended) end(&all[i], SANDBOX_TIME);
        /* what ends a second program by force ends the first */
        for (int i = 1; i < count; i++)
            if (all[i].ended && all[i].program->end > SANDBOX_SIGNAL && !all[0].ended)
                end(&all[0], SANDBOX_STOPPED);
    }
    for (int i = 1; i < count; i++) {
        struct timespec moment = {.tv_nsec = 2000000};

        for (int k = 0; k < 10 && !is_over(&all[i], limits); k++) nanosleep(&moment, NULL);
        if (!all[i].ended) end(&all[i], SANDBOX_STOPPED);
        while (!is_over(&all[i], limits)) {
            sandbox_kill(all[i].pid);
            nanosleep(&moment, NULL);
        }
    }
}

/* bubblewrap tells an exit code where the program ran; without one it could not be started. */
static int check_started(const struct running *running, struct error *err) {
    const struct sandbox_program *program = running->program;
    size_t length = strcspn(program->errors.data, "\n");

    if (program->end > SANDBOX_SIGNAL) return 0;
    if (running->report.data && strstr(running->report.data, "\"exit-code\"")) return 0;
    if (program->code == UNABLE && !program->errors.length)
        return fail(err, "cannot run /usr/bin/bwrap; the package bubblewrap brings it");
    return fail(err, "bubblewrap failed: %.*s", (int)(length < 300 ? length : 300), program->errors.data);
}

static void release(struct running *running) {
    for (int i = 0; i < running->given_count; i++) close(running->given[i]);
    close_end(&running->in);
    close_end(&running->out);
    close_end(&running->errors);
    close_end(&running->status);
    close_end(&running->read_out);
    close_end(&running->read_errors);
    close_end(&running->read_status);
    words_free(&running->command);
    free(running->report.data);
}

int sandbox_run(const struct sandbox_limits *limits, struct sandbox_program *program, struct error *err) {
    const char *input = program->input ? program->input : "";
    struct running running;
    int status = -1;

    if (prepare(&running, program, limits, err)) goto out;
    running.in = sealed(input, strlen(input), err);
    if (running.in < 0 || listen_to(&running.read_out, &running.out, err)) goto out;
    if (start(&running, limits, err)) goto out;
    attend(&running, 1, limits);
    status = check_started(&running, err);
out:
    release(&running);
    return status;
}

int sandbox_run_pair(const struct sandbox_limits *limits, struct sandbox_program *first,
                     struct sandbox_program *second, struct error *err) {
    struct running all[2];
    int status = prepare(&all[0], first, limits, err), other = prepare(&all[1], second, limits, err);

    if (status || other) goto out;
    if (make_pipe(&all[1].in, &all[0].out, err) || make_pipe(&all[0].in, &all[1].out, err)) goto fail;
    if (start(&all[0], limits, err)) goto fail;
    if (start(&all[1], limits, err)) {
        end(&all[0], SANDBOX_STOPPED);
        attend(all, 1, limits);
        goto fail;
    }
    attend(all, 2, limits);
    status = check_started(&all[0], err) || check_started(&all[1], err) ? -1 : 0;
    goto out;
fail:
    status = -1;
out:
    release(&all[0]);
    release(&all[1]);
    return status || other ? -1 : 0;
}

void sandbox_program_free(struct sandbox_program *program) {
    free(program->output.data);
    free(program->errors.data);
    program->output = program->errors = (struct text){0};
}

static int fail_check(struct error *err) {
    if (strstr(err->message, "namespace") || strstr(err->message, "uid map"))
        return fail_within(
            err, "this system gives ordinary users no namespaces of their own (as root: sysctl "
                 "kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0)");
    return -1;
}

int sandbox_check(const struct sandbox_limits *limits, const char *interpreter, struct error *err) {
    const char *const command[] = {interpreter, "-c", "raise SystemExit(7)", NULL};
    struct sandbox_program program = {.command = command};
    int status;

    if (access("/usr/bin/bwrap", X_OK))
        return fail(
            err, "programs are run in bubblewrap alone, and /usr/bin/bwrap is not there; install the package "
                 "bubblewrap");
    if (access("/usr/bin/prlimit", X_OK))
        return fail(err, "/usr/bin/prlimit is not there; install the package util-linux");
    status = sandbox_run(limits, &program, err);
    if (status)
        fail_check(err);
    else if (program.end != SANDBOX_EXIT || program.code != 7)
        status = fail(err, "%s does not run in the sandbox: %.200s", interpreter, program.errors.data);
    sandbox_program_free(&program);
    return status;
}
