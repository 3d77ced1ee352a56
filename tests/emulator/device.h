/* What the emulator's two halves, threads and streams, know of each other. */
#ifndef EMULATOR_DEVICE_H
#define EMULATOR_DEVICE_H

#include "cuda_runtime.h"

struct emulated_kernel {
    dim3 grid, threads;
    size_t shared;
    std::function<void()> thread;
    int early;       /* started beside what was before: each thread must wait for that */
    unsigned number; /* of the launch: decides in which order threads take their turns */
};

/* Runs all blocks, one after the other. */
void emulated_run(const struct emulated_kernel &kernel);
/* What a block that may start early cannot count on until its threads have waited, all that was written since
 * the last work began which was not such a kernel, holds NaNs between these. On for emulated_watch(). */
void emulated_hide(void);
void emulated_show(void);

/* Which of its block's threads this is; it sleeps until another wakes it. */
unsigned emulated_number(void);
void emulated_sleep(void);
void emulated_wake(unsigned number);
/* At the start of a block: no group has products under way. */
void emulated_begin_groups(void);

#endif
