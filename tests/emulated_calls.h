/* What a program asks of the CUDA runtime, counted where that is the emulator's. */
#ifndef TESTS_EMULATED_CALLS_H
#define TESTS_EMULATED_CALLS_H

#include <stddef.h>

size_t emulated_calls(const char *function);
/* While on, a kernel that may start beside those before it finds NaNs where these have written, until it has
   waited for them. */
void emulated_watch(int on);

/* How often the host asked the device for something since the last time. */
struct asked {
    size_t waits, launches, early, replays, copies, allocations; /* early: launches beside what is before */
};

static inline struct asked asked(struct asked *before) {
    struct asked all = {emulated_calls("cudaStreamSynchronize") + emulated_calls("cudaEventSynchronize") +
                            emulated_calls("cudaDeviceSynchronize") + emulated_calls("cudaMemcpy"),
                        emulated_calls("emulated_launch"),
                        emulated_calls("early"),
                        emulated_calls("cudaGraphLaunch"),
                        emulated_calls("cudaMemcpyAsync"),
                        emulated_calls("cudaMalloc") + emulated_calls("cudaFree") +
                            emulated_calls("cudaMallocHost")};
    struct asked since = {all.waits - before->waits,   all.launches - before->launches,
                          all.early - before->early,   all.replays - before->replays,
                          all.copies - before->copies, all.allocations - before->allocations};

    *before = all;
    return since;
}

#endif
