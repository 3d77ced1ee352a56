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

/* Which of its block's threads this is; it sleeps until another wakes it. */
unsigned emulated_number(void);
void emulated_sleep(void);
void emulated_wake(unsigned number);
/* At the start of a block: no group has products under way. */
void emulated_begin_groups(void);

#endif
