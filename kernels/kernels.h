/* Arithmetic on arrays: one table of operations per backend, filled from ops.def, so that a missing one is a
 * link error. */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include <stddef.h>

struct kernels {
    const char *name;
    /* Zeroed memory on 64-byte boundaries, in huge pages where they help; NULL when there is none. */
    void *(*alloc)(size_t bytes);
    void (*free)(void *memory);
    /* Floats that pack() and cache_write() need. */
    size_t (*pack_size)(int outs, int ins);
    size_t (*cache_size)(int slots, int context, int kv_heads, int head_size);
    /* Nothing but multiply-adds in registers, in the calling thread: what the bench measures a machine's
       ceiling with. Returns the floating-point operations done; out: anything, so that they are done. */
    size_t (*peak)(float *out, int rounds);
    /* Waits for queued calls; the first failure's sentence, or NULL. */
    const char *(*sync)(void);
#define OP(name, arguments) void(*name) arguments;
#include "kernels/ops.def"
#undef OP
};

/* "cpu", or with a suffix that pins the instruction set: "cpu-avx512", "cpu-avx2", "cpu-portable".
   NULL if this machine cannot run it. */
const struct kernels *kernels_find(const char *name);

/* How many threads operations may use, from now on, in this process. */
void kernels_threads(int count);

#define OP(name, arguments) void name##_cpu arguments;
#include "kernels/ops.def"
#undef OP

#endif
