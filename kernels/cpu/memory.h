/* Memory of the CPU backend: blocks on huge pages, and scratch that each thread keeps. */
#ifndef KERNELS_CPU_MEMORY_H
#define KERNELS_CPU_MEMORY_H

#include <stddef.h>

enum scratch {
    SCRATCH_LEFT,
    SCRATCH_RIGHT,
    SCRATCH_KEYS,
    SCRATCH_VALUES,
    SCRATCH_QUERIES,
    SCRATCH_SCORES,
    SCRATCH_SLOPES,
    SCRATCH_ROW,
    SCRATCH_ROUNDED,
    SCRATCH_SUMS,
    SCRATCH_TURNS,
    SCRATCHES
};

struct recording;

/* Zeroed, on 64-byte boundaries; NULL when there is none. Freed with free(). */
void *huge_alloc(size_t bytes);

/* This thread's buffer of that kind with room for so many floats, valid until it is asked for more; its
 * content is whatever it was. Running out ends the program with a message. */
float *scratch_floats(enum scratch kind, size_t count);

/* kernels->sync: calls here are done when they return. */
const char *nothing_queued(void);

/* kernels->map … forget: the memory is the host's, so that views and places are the arrays themselves. */
void *host_map(void *memory, size_t bytes, int reading);
void host_unmap(void *memory, void *view, size_t bytes, int writing);
const void *host_send(void *room, const void *array, size_t bytes);
void *host_place(void *room, void *array);
void host_fetch(void *array, const void *place, size_t bytes);
void host_zero(void *memory, size_t bytes);
void host_copy(void *out, const void *memory, size_t bytes);
/* kernels->memory: the machine's, or what this process's control group leaves of it. */
void host_memory(size_t *free, size_t *total);
void host_repeat(struct recording **recording, void (*calls)(void *context), void *context);
void host_forget(struct recording *recording);
/* Operations find what they need on their stack. */
size_t host_scratch_size(int rows, int outs, int ins, int results);

/* Whether so many elementary operations are worth waking the other threads. */
int worth_threads(size_t work);

#endif
