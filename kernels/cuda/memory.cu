#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/device.cuh"

#define LEAST 80 /* compute capability, times 10 */

/* The process's one device; used by one thread. */
static struct {
    int ready, number, processors, capability;
    size_t shared;
    unsigned frees;
    void *scratch;
    size_t scratch_bytes;
    const char *latest; /* kernel that was queued */
    char failure[256];
} device;

void note_trouble(const char *what, const char *why) {
    if (device_failed()) return;
    snprintf(device.failure, sizeof device.failure, "CUDA device: %s: %s", what, why);
}

void note_failure(cudaError_t error, const char *what) {
    if (error != cudaSuccess) note_trouble(what, cudaGetErrorString(error));
}

void note_launch(cudaError_t error, const char *operation) {
    note_failure(error, operation);
    device.latest = operation;
}

void note_wait(cudaError_t error) {
    char what[128];

    snprintf(what, sizeof what, "%s, or what was queued before it", device.latest ? device.latest : "a copy");
    note_failure(error, what);
}

int device_failed(void) {
    return device.failure[0] != 0;
}

unsigned device_frees(void) {
    return device.frees;
}

int multiprocessors(void) {
    return device.processors;
}

size_t most_shared(void) {
    return device.shared;
}

int compute_capability(void) {
    return device.capability;
}

int allow_shared(const void *kernel, size_t bytes, const char *operation) {
    cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);

    if (error == cudaSuccess) return 1;
    cudaGetLastError();
    if (!device.failure[0])
        snprintf(device.failure, sizeof device.failure,
                 "CUDA device: %s needs %zu KiB of shared memory a block, more than the device has",
                 operation, bytes >> 10);
    return 0;
}

static const char *refuse(const char *reason) {
    cudaGetLastError();
    snprintf(device.failure, sizeof device.failure, "%.*s", (int)sizeof device.failure - 1, reason);
    return device.failure;
}

static const char *check_device(void) {
    struct cudaDeviceProp properties;
    char reason[sizeof device.failure + sizeof properties.name];
    cudaError_t error = cudaGetDeviceProperties(&properties, device.number);

    if (error != cudaSuccess) return refuse(cudaGetErrorString(error));
    device.processors = properties.multiProcessorCount;
    device.shared = properties.sharedMemPerBlockOptin;
    device.capability = 10 * properties.major + properties.minor;
    if (device.capability >= LEAST) return NULL;
    snprintf(reason, sizeof reason, "%s has compute capability %d.%d: %d.%d or later is needed",
             properties.name, properties.major, properties.minor, LEAST / 10, LEAST % 10);
    return refuse(reason);
}

extern "C" void cuda_choose(int number) {
    if (!device.ready) device.number = number;
}

extern "C" void cuda_identify(void *identity) {
    struct cudaDeviceProp properties;

    static_assert(sizeof properties.uuid == IDENTITY_BYTES, "a device's identity");
    note_failure(cudaGetDeviceProperties(&properties, device.number), "its identity");
    memcpy(identity, &properties.uuid, sizeof properties.uuid);
}

extern "C" const char *cuda_open(void) {
    const char *reason;
    cudaError_t error;
    int count = 0;

    if (device.ready) return NULL;
    device.failure[0] = 0;
    error = cudaGetDeviceCount(&count);
    if (error == cudaErrorInsufficientDriver)
        return refuse("there is no NVIDIA driver, or it is older than this build's CUDA runtime");
    if (error == cudaSuccess && count > 0) error = cudaSetDevice(device.number %= count);
    if (error != cudaSuccess) return refuse(cudaGetErrorString(error));
    if ((reason = check_device())) return reason;
    error = queue_open();
    if (error != cudaSuccess) return refuse(cudaGetErrorString(error));
    device.ready = 1;
    return NULL;
}

extern "C" const char *cuda_sync(void) {
    queue_settle();
    return device_failed() ? device.failure : NULL;
}

extern "C" void cuda_memory(size_t *free, size_t *total) {
    if (cudaMemGetInfo(free, total) == cudaSuccess) return;
    cudaGetLastError();
    *free = *total = 0;
}

/* Of a device that has failed nothing can be had, which is not for want of memory. */
extern "C" void *cuda_alloc(size_t bytes) {
    void *memory = NULL;
    cudaError_t error = cudaMalloc(&memory, bytes ? bytes : 1);

    if (error != cudaSuccess) {
        cudaGetLastError();
        if (error != cudaErrorMemoryAllocation) note_failure(error, "allocation");
        return NULL;
    }
    cuda_zero(memory, bytes);
    return memory;
}

extern "C" void cuda_release(void *memory) {
    queue_settle();
    device.frees++;
    note_failure(cudaFree(memory), "free");
}

/* Running out of the host's memory ends the program, as everywhere. */
extern "C" void *cuda_map(void *memory, size_t bytes, int reading) {
    void *view = malloc(bytes ? bytes : 1);

    if (!view) {
        fprintf(stderr, "pyrite: out of memory (%zu bytes)\n", bytes);
        exit(1);
    }
    if (reading) {
        queue_fetch(view, memory, bytes);
        queue_settle();
    }
    return view;
}

extern "C" void cuda_unmap(void *memory, void *view, size_t bytes, int writing) {
    if (writing) queue_upload(memory, view, bytes);
    free(view);
}

extern "C" const void *cuda_send(void *room, const void *array, size_t bytes) {
    queue_upload(room, array, bytes);
    return room;
}

extern "C" void *cuda_place(void *room, void *array) {
    (void)array;
    return room;
}

extern "C" void cuda_fetch(void *array, const void *place, size_t bytes) {
    queue_fetch(array, place, bytes);
}

extern "C" void cuda_zero(void *memory, size_t bytes) {
    note_failure(cudaMemsetAsync(memory, 0, bytes, device_stream()), "zero");
}

extern "C" void cuda_copy(void *out, const void *memory, size_t bytes) {
    note_failure(cudaMemcpyAsync(out, memory, bytes, cudaMemcpyDeviceToDevice, device_stream()), "copy");
}

/* Products in single precision need nothing. */
extern "C" size_t cuda_scratch_size(int, int, int, int) {
    return LEAST_SCRATCH;
}

void *device_scratch(size_t bytes) {
    if (bytes <= device.scratch_bytes) return device.scratch;
    if (device.scratch) cuda_release(device.scratch);
    device.scratch = cuda_alloc(bytes);
    device.scratch_bytes = device.scratch ? bytes : 0;
    if (!device.scratch) note_failure(cudaErrorMemoryAllocation, "intermediate results");
    return device.scratch;
}
