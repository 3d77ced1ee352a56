#define _GNU_SOURCE
#include "models/bench.h"

#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double stopwatch_seconds(const struct stopwatch *watch) {
    struct timespec time;

    clock_gettime(watch->cpu_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
    return ((double)time.tv_sec + 1e-9 * (double)time.tv_nsec) / (watch->cpu_time ? watch->threads : 1);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct rate rate_of(double *samples, int count) {
    if (count < 1) return (struct rate){NAN, NAN, NAN};
    qsort(samples, (size_t)count, sizeof *samples, by_size);
    return (struct rate){count % 2 ? samples[count / 2] : (samples[count / 2 - 1] + samples[count / 2]) / 2,
                         samples[0], samples[count - 1]};
}

int is_device(const struct kernels *kernels) {
    return strncmp(kernels->name, "cpu", 3) != 0;
}

double probe_peak(const struct kernels *kernels, const struct stopwatch *watch, int rounds) {
    double from = stopwatch_seconds(watch), operations = 0;

#pragma omp parallel num_threads(is_device(kernels) ? 1 : watch->threads) reduction(+ : operations)
    {
        float out;

        operations += (double)kernels->peak(&out, rounds);
    }
    return operations / (stopwatch_seconds(watch) - from) / 1e9;
}

static double read_memory(const struct stopwatch *watch, size_t bytes) {
    size_t count = bytes / sizeof(uint64_t);
    uint64_t *words = kernels_find("cpu")->alloc(bytes), sum = 0;
    double from;

    if (!words) return 0;
#pragma omp parallel for num_threads(watch->threads)
    for (size_t i = 0; i < count; i++) words[i] = i;
    from = stopwatch_seconds(watch);
#pragma omp parallel for num_threads(watch->threads) reduction(+ : sum)
    for (size_t i = 0; i < count; i++) sum += words[i];
    from = stopwatch_seconds(watch) - from;
    kernels_find("cpu")->free(words);
    return sum ? (double)bytes / from : 0;
}

/* Two arrays are read and one is written. */
static double add_arrays(const struct kernels *kernels, const struct stopwatch *watch, size_t bytes) {
    float *to = kernels->alloc(bytes), *of = kernels->alloc(bytes);
    double rate = 0, from;
    int times = 10;

    if (to && of) {
        kernels->add(to, of, bytes / sizeof *to);
        kernels->sync();
        from = stopwatch_seconds(watch);
        for (int i = 0; i < times; i++) kernels->add(to, of, bytes / sizeof *to);
        kernels->sync();
        rate = 3.0 * times * (double)bytes / (stopwatch_seconds(watch) - from);
    }
    if (to) kernels->free(to);
    if (of) kernels->free(of);
    return rate;
}

double probe_bandwidth(const struct kernels *kernels, const struct stopwatch *watch, size_t bytes) {
    return is_device(kernels) ? add_arrays(kernels, watch, bytes) : read_memory(watch, bytes);
}

/* The kernel's mark, and not getrusage()'s, which knows the memory of the process that started this one. */
double peak_memory(void) {
    FILE *in = fopen("/proc/self/status", "r");
    char line[256];
    double kib = 0;

    while (in && fgets(line, sizeof line, in))
        if (!strncmp(line, "VmHWM:", 6)) kib = strtod(line + 6, NULL);
    if (in) fclose(in);
    return 1024 * kib;
}
