#include <string.h>

#include "kernels/cuda/device.cuh"

#define SECTION    ((size_t)1 << 20) /* bytes of pinned memory */
#define SECTIONS   4
#define LINE       64
#define DELIVERIES 1024 /* of a section */

/* A result on its way: staged in pinned memory, given to the host's array when the device has come so far. */
struct delivery {
    void *array;
    const void *staged;
    size_t bytes;
};

/* A part of the pinned memory that transfers go through, used again when the device has left it behind. */
struct section {
    char *memory;
    size_t used;
    cudaEvent_t left; /* behind the last copy to or from it, once another section is in use */
    struct delivery deliveries[DELIVERIES];
    int count;
};

static struct {
    cudaStream_t stream;
    struct section sections[SECTIONS];
    int now;  /* the section in use; the next is the oldest */
    int busy; /* work was queued that nobody has waited for */
    int recording;
    int chain; /* the last that was queued is a kernel of a chain, or a product behind one */
} queue;

cudaStream_t device_stream(void) {
    queue.busy = 1;
    queue.chain = 0;
    return queue.stream;
}

/* Whether the code that runs on this device has wait_for_predecessor(). nvcc names what it compiles for. */
static int has_chains(void) {
#ifdef __CUDA_ARCH_LIST__
    static const int built_for[] = {__CUDA_ARCH_LIST__};

    for (size_t i = 0; i < sizeof built_for / sizeof *built_for; i++)
        if (built_for[i] >= 900 && built_for[i] <= 10 * compute_capability()) return 1;
    return 0;
#else
    return 1;
#endif
}

cudaStream_t chain_stream(int *follows) {
    *follows = queue.chain && has_chains();
    queue.chain = queue.busy = 1;
    return queue.stream;
}

cudaStream_t product_stream(void) {
    queue.busy = 1;
    return queue.stream;
}

cudaError_t queue_open(void) {
    cudaError_t error = cudaStreamCreateWithFlags(&queue.stream, cudaStreamNonBlocking);

    for (int s = 0; s < SECTIONS && error == cudaSuccess; s++) {
        error = cudaMallocHost((void **)&queue.sections[s].memory, SECTION);
        if (error == cudaSuccess)
            error = cudaEventCreateWithFlags(&queue.sections[s].left, cudaEventDisableTiming);
    }
    return error;
}

/* Gives the host what the device has staged in a section, after a failure zeros, and empties it. */
static void hand_over(struct section *section) {
    for (int i = 0; i < section->count; i++) {
        const struct delivery *delivery = &section->deliveries[i];

        if (device_failed())
            memset(delivery->array, 0, delivery->bytes);
        else
            memcpy(delivery->array, delivery->staged, delivery->bytes);
    }
    section->count = 0;
    section->used = 0;
}

cudaError_t queue_record(void) {
    cudaError_t error = cudaStreamBeginCapture(device_stream(), cudaStreamCaptureModeThreadLocal);

    queue.recording = error == cudaSuccess;
    return error;
}

cudaError_t queue_recorded(cudaGraph_t *graph) {
    if (!queue.recording) return cudaSuccess;
    queue.recording = 0;
    return cudaStreamEndCapture(queue.stream, graph);
}

/* Whether it may be done now, as a failure if not. */
static int allowed(void) {
    if (queue.recording)
        note_failure(cudaErrorStreamCaptureUnsupported, "a transfer or a wait while calls are recorded");
    return !queue.recording;
}

void queue_settle(void) {
    if (!allowed() || !queue.busy) return;
    collective_watch();
    note_wait(cudaStreamSynchronize(queue.stream));
    for (int s = 1; s <= SECTIONS; s++) hand_over(&queue.sections[(queue.now + s) % SECTIONS]);
    queue.busy = 0;
}

/* Goes on to the next section; waits only for the copies of the turn before to have left that. */
static struct section *turn(void) {
    struct section *section = &queue.sections[queue.now];

    note_failure(cudaEventRecord(section->left, device_stream()), "an event");
    queue.now = (queue.now + 1) % SECTIONS;
    section = &queue.sections[queue.now];
    if (section->used) note_wait(cudaEventSynchronize(section->left));
    hand_over(section);
    return section;
}

/* The section in use, with room for so many bytes and a delivery. */
static struct section *section_for(size_t bytes) {
    struct section *section = &queue.sections[queue.now];

    return section->used + bytes > SECTION || section->count == DELIVERIES ? turn() : section;
}

static void *stage(struct section *section, size_t bytes) {
    void *at = section->memory + section->used;

    section->used += (bytes + LINE - 1) / LINE * LINE;
    return at;
}

static size_t piece_of(size_t bytes) {
    return bytes < SECTION ? bytes : SECTION;
}

void queue_upload(void *memory, const void *array, size_t bytes) {
    for (size_t done = 0, piece; allowed() && done < bytes; done += piece) {
        void *staged;

        piece = piece_of(bytes - done);
        staged = memcpy(stage(section_for(piece), piece), (const char *)array + done, piece);
        note_failure(
            cudaMemcpyAsync((char *)memory + done, staged, piece, cudaMemcpyHostToDevice, device_stream()),
            "copy to the device");
    }
}

void queue_fetch(void *array, const void *memory, size_t bytes) {
    for (size_t done = 0, piece; allowed() && done < bytes; done += piece) {
        struct section *section;
        void *staged;

        piece = piece_of(bytes - done);
        section = section_for(piece);
        staged = stage(section, piece);
        note_failure(cudaMemcpyAsync(staged, (const char *)memory + done, piece, cudaMemcpyDeviceToHost,
                                     device_stream()),
                     "copy from the device");
        section->deliveries[section->count++] = (struct delivery){(char *)array + done, staged, piece};
    }
}
