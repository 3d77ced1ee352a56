#include "kernels/cpu/memory.h"

#include <stdio.h>
#include <string.h>

#define KNOWN "/sys/fs/cgroup"

/* The number that stands in a file behind a word ("" for a file of one number); -1: there is none. */
static double number_in(const char *path, const char *word) {
    FILE *file = fopen(path, "r");
    char line[256];
    double number = -1;

    while (file && number < 0 && fgets(line, sizeof line, file))
        if (!strncmp(line, word, strlen(word)) && sscanf(line + strlen(word), " %lf", &number) != 1)
            number = -1;
    if (file) fclose(file);
    return number;
}

/* A file of this process's control group (version 2). */
static double of_group(const char *name, const char *word) {
    FILE *file = fopen("/proc/self/cgroup", "r");
    char line[512], path[sizeof line + 64];
    double number = -1;

    while (file && number < 0 && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "0::", 3)) continue;
        snprintf(path, sizeof path, KNOWN "%s/%s", line + 3, name);
        number = number_in(path, word);
    }
    if (file) fclose(file);
    return number;
}

void host_memory(size_t *free, size_t *total) {
    double available = 1024 * number_in("/proc/meminfo", "MemAvailable:");
    double all = 1024 * number_in("/proc/meminfo", "MemTotal:");
    double most = of_group("memory.max", ""), used = of_group("memory.current", "");
    double cached = of_group("memory.stat", "inactive_file "); /* is given back when it is wanted */

    if (most >= 0 && used >= 0 && most < all) {
        double left = most - used + (cached > 0 ? cached : 0);

        all = most;
        if (left < available) available = left > 0 ? left : 0;
    }
    *total = available < 0 || all < 0 ? 0 : (size_t)all;
    *free = *total ? (size_t)available : 0;
}
