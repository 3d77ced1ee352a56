/* What every bench stands on: a clock, rates over rounds, and the machine's ceilings. */
#ifndef MODELS_BENCH_H
#define MODELS_BENCH_H

#include "kernels/kernels.h"

/* A figure over the rounds of a measurement. */
struct rate {
    double median, low, high;
};
/* Sorts the samples; all NaN of none. */
struct rate rate_of(double *samples, int count);

struct stopwatch {
    int cpu_time; /* this process's processor seconds per thread, which other programs disturb less */
    int threads;
};
double stopwatch_seconds(const struct stopwatch *watch);

/* Whether the kernels' memory is not the host's. */
int is_device(const struct kernels *kernels);

enum { DEVICE_PROBE_ROUNDS = 4000 }; /* so many that starting them weighs nothing */

/* GFLOP/s of all threads, or the device, doing nothing but multiply-adds in registers for so many rounds. */
double probe_peak(const struct kernels *kernels, const struct stopwatch *watch, int rounds);
/* Bytes a second that all threads together read from memory, once through so many bytes; on a device those
 * that adding one array of so many bytes to another moves. 0 without memory. */
double probe_bandwidth(const struct kernels *kernels, const struct stopwatch *watch, size_t bytes);
/* Bytes of memory that this program has had at most at a time; 0 if unknown. */
double peak_memory(void);

#endif
