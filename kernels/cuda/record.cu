#include <stdio.h>
#include <stdlib.h>

#include "kernels/cuda/device.cuh"

/* Calls that were made once, and then recorded to be queued in one piece. */
struct recording {
    cudaGraphExec_t graph; /* NULL: made once only */
    unsigned frees;        /* of the process when it was made */
};

/* Running out of the host's memory ends the program, as everywhere. */
static struct recording *new_recording(void) {
    struct recording *recording = (struct recording *)calloc(1, sizeof *recording);

    if (recording) return recording;
    fprintf(stderr, "pyrite: out of memory (%zu bytes)\n", sizeof *recording);
    exit(1);
}

static void drop(struct recording *recording) {
    if (!recording->graph) return;
    queue_settle(); /* it may be under way */
    note_failure(cudaGraphExecDestroy(recording->graph), "recorded calls");
    recording->graph = NULL;
}

static void record(struct recording *recording, void (*calls)(void *context), void *context) {
    cudaGraph_t graph = NULL;

    note_failure(queue_record(), "calls that are recorded");
    calls(context);
    note_failure(queue_recorded(&graph), "calls that are recorded");
    if (!device_failed())
        note_failure(cudaGraphInstantiateWithFlags(&recording->graph, graph, 0), "recorded calls");
    if (graph) note_failure(cudaGraphDestroy(graph), "recorded calls");
    recording->frees = device_frees();
}

extern "C" void cuda_repeat(struct recording **recording, void (*calls)(void *context), void *context) {
    struct recording *of = *recording;

    if (!of || device_failed()) {
        calls(context); /* sizes of intermediate results are known then, and nothing is left to be set */
        if (!of) *recording = new_recording();
        return;
    }
    if (of->frees != device_frees()) drop(of);
    if (!of->graph) record(of, calls, context);
    if (of->graph) note_launch(cudaGraphLaunch(of->graph, device_stream()), "a recorded step");
}

extern "C" void cuda_forget(struct recording *recording) {
    if (!recording) return;
    drop(recording);
    free(recording);
}
