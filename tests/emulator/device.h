/* What the emulator's two halves, threads and streams, know of each other. */
#ifndef EMULATOR_DEVICE_H
#define EMULATOR_DEVICE_H

#include "cuda_runtime.h"

struct emulated_kernel {
    dim3 grid, threads;
    size_t shared;
    std::function<void()> thread;
    unsigned number; /* of the launch: decides in which order threads take their turns */
};

/* Runs all blocks, one after the other. */
void emulated_run(const struct emulated_kernel &kernel);

#endif
