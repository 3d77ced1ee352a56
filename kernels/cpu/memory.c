#define _GNU_SOURCE
#include "kernels/cpu/memory.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE  ((size_t)2 << 20)
#define CACHE_LINE 64

void *huge_alloc(size_t bytes) {
    size_t unit = bytes >= HUGE_PAGE ? HUGE_PAGE : CACHE_LINE;
    size_t room = (bytes + unit - 1) / unit * unit;
    void *memory;

    if (room < bytes) return NULL;
    memory = aligned_alloc(unit, room ? room : unit);
    if (!memory) return NULL;
#ifdef MADV_HUGEPAGE
    if (unit == HUGE_PAGE) madvise(memory, room, MADV_HUGEPAGE);
#endif
    return memset(memory, 0, room ? room : unit);
}

void *host_map(void *memory, size_t bytes, int reading) {
    (void)bytes;
    (void)reading;
    return memory;
}

void host_unmap(void *memory, void *view, size_t bytes, int writing) {
    (void)memory;
    (void)view;
    (void)bytes;
    (void)writing;
}

const void *host_send(void *room, const void *array, size_t bytes) {
    (void)room;
    (void)bytes;
    return array;
}

void *host_place(void *room, void *array) {
    (void)room;
    return array;
}

void host_fetch(void *array, const void *place, size_t bytes) {
    (void)array;
    (void)place;
    (void)bytes;
}

void host_zero(void *memory, size_t bytes) {
    memset(memory, 0, bytes);
}

void host_copy(void *out, const void *memory, size_t bytes) {
    memcpy(out, memory, bytes);
}

void host_repeat(struct recording **recording, void (*calls)(void *context), void *context) {
    (void)recording;
    calls(context);
}

void host_forget(struct recording *recording) {
    (void)recording;
}

size_t host_scratch_size(int rows, int outs, int ins, int results) {
    (void)rows, (void)outs, (void)ins, (void)results;
    return 0;
}

/* A thread's scratch, freed when the thread ends. */
struct buffers {
    float *data[SCRATCHES];
    size_t room[SCRATCHES];
};

static pthread_key_t scratch_key;

static void free_buffers(void *memory) {
    struct buffers *buffers = memory;

    for (int kind = 0; kind < SCRATCHES; kind++) free(buffers->data[kind]);
    free(buffers);
}

static void create_key(void) {
    pthread_key_create(&scratch_key, free_buffers);
}

static void out_of_memory(size_t count) {
    fprintf(stderr, "pyrite: out of memory (%zu floats of scratch)\n", count);
    exit(1);
}

static struct buffers *thread_buffers(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static _Thread_local struct buffers *buffers;

    if (buffers) return buffers;
    pthread_once(&once, create_key);
    buffers = calloc(1, sizeof *buffers);
    if (!buffers || pthread_setspecific(scratch_key, buffers)) out_of_memory(0);
    return buffers;
}

float *scratch_floats(enum scratch kind, size_t count) {
    struct buffers *buffers = thread_buffers();

    if (count > buffers->room[kind]) {
        free(buffers->data[kind]);
        buffers->data[kind] = count > SIZE_MAX / sizeof(float) ? NULL : huge_alloc(count * sizeof(float));
        if (!buffers->data[kind]) out_of_memory(count);
        buffers->room[kind] = count;
    }
    return buffers->data[kind];
}

int worth_threads(size_t work) {
    return work >= (size_t)1 << 15;
}
