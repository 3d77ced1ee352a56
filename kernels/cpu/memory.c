#define _GNU_SOURCE
#include "kernels/cpu/memory.h"

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

float *scratch_floats(enum scratch kind, size_t count) {
    static _Thread_local struct {
        float *data;
        size_t room;
    } buffers[SCRATCHES];

    if (count > buffers[kind].room) {
        free(buffers[kind].data);
        buffers[kind].data = count > SIZE_MAX / sizeof(float) ? NULL : huge_alloc(count * sizeof(float));
        if (!buffers[kind].data) {
            fprintf(stderr, "pyrite: out of memory (%zu floats of scratch)\n", count);
            exit(1);
        }
        buffers[kind].room = count;
    }
    return buffers[kind].data;
}

int worth_threads(size_t work) {
    return work >= (size_t)1 << 15;
}
