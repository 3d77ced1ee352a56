#include "judges/sandbox_watch.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

/* What was seen on the way through the processes. */
struct sight {
    double memory;
    pid_t inside; /* one that has the sandbox's root */
    int count;    /* of the program's processes */
    int left;     /* processes to look at yet: a bound on the work */
};

static double held(pid_t pid) {
    static const char *const fields[] = {"RssAnon:", "RssShmem:", "VmSwap:"};
    char path[48], line[256];
    double sum = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        for (int i = 0; i < 3; i++)
            if (!strncmp(line, fields[i], strlen(fields[i])))
                sum += 1024 * strtod(line + strlen(fields[i]), NULL);
    if (file) fclose(file);
    return sum;
}

static void look(pid_t pid, int depth, struct sight *sight);

static void look_at_children(pid_t pid, const char *thread, int depth, struct sight *sight) {
    char path[320];
    FILE *file;
    int child;

    snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)pid, thread);
    file = fopen(path, "re");
    while (file && fscanf(file, "%d", &child) == 1) look(child, depth + 1, sight);
    if (file) fclose(file);
}

/* Depth 0 is bubblewrap outside, depth 1 its part inside. */
static void look(pid_t pid, int depth, struct sight *sight) {
    char path[48];
    const struct dirent *entry;
    DIR *threads;

    if (sight->left-- <= 0) return;
    if (depth > 0) sight->memory += held(pid);
    if (depth == 1) sight->inside = pid;
    sight->count += depth > 1;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    threads = opendir(path);
    while (threads && (entry = readdir(threads)))
        if (entry->d_name[0] != '.') look_at_children(pid, entry->d_name, depth, sight);
    if (threads) closedir(threads);
}

/* Of the file system that bubblewrap made; 0 as long as it has not changed the root yet, and sees this
 * machine's. */
static double files_in(pid_t inside, double space) {
    char path[48];
    struct statvfs facts;

    snprintf(path, sizeof path, "/proc/%d/root/tmp", (int)inside);
    if (statvfs(path, &facts)) return 0;
    if (fabs((double)facts.f_blocks * (double)facts.f_frsize - space) >= (double)facts.f_frsize) return 0;
    return (double)(facts.f_files - facts.f_ffree);
}

int sandbox_over_limit(pid_t root, const struct sandbox_limits *limits, enum sandbox_end *what) {
    struct sight sight = {.left = 4 * limits->processes + 16};

    look(root, 0, &sight);
    *what = SANDBOX_MEMORY;
    if (sight.memory > limits->memory) return 1;
    *what = SANDBOX_PROCESSES;
    if (sight.count > limits->processes + 1) return 1;
    *what = SANDBOX_FILES;
    return sight.inside && files_in(sight.inside, limits->space) > limits->files;
}

void sandbox_kill(pid_t root) {
    char path[64];
    int child, children = 0;
    FILE *file;

    if (root <= 0) return; /* 0 would be our own group */
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)root, (int)root);
    file = fopen(path, "re");
    /* the first process of the namespace: with it all others end */
    while (file && fscanf(file, "%d", &child) == 1) children += !kill(child, SIGKILL);
    if (file) fclose(file);
    if (!children) kill(root, SIGKILL);
}
