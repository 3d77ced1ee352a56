#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/device.cuh"

#define RING       ((size_t)4 << 20) /* bytes of pinned memory that transfers go through */
#define LINE       64
#define DELIVERIES 4096
#define LEAST      80 /* compute capability, times 10 */

/* A result on its way: staged in the ring, given to the host's array by the next sync. */
struct delivery {
    void *array;
    const void *staged;
    size_t bytes;
};

/* The process's one device and what is under way on it; used by one thread. */
static struct {
    int ready, processors;
    char *ring;
    size_t used;
    struct delivery deliveries[DELIVERIES];
    int count;
    void *scratch;
    size_t scratch_bytes;
    char failure[256];
} device;

void note_failure(cudaError_t error, const char *what) {
    if (error == cudaSuccess || device.failure[0]) return;
    snprintf(device.failure, sizeof device.failure, "CUDA device: %s: %s", what, cudaGetErrorString(error));
}

int multiprocessors(void) {
    return device.processors;
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
    cudaError_t error = cudaGetDeviceProperties(&properties, 0);

    if (error != cudaSuccess) return refuse(cudaGetErrorString(error));
    device.processors = properties.multiProcessorCount;
    if (10 * properties.major + properties.minor >= LEAST) return NULL;
    snprintf(reason, sizeof reason, "%s has compute capability %d.%d: %d.%d or later is needed",
             properties.name, properties.major, properties.minor, LEAST / 10, LEAST % 10);
    return refuse(reason);
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
    if (error != cudaSuccess) return refuse(cudaGetErrorString(error));
    if ((reason = check_device())) return reason;
    error = cudaMallocHost((void **)&device.ring, RING);
    if (error != cudaSuccess) return refuse(cudaGetErrorString(error));
    device.ready = 1;
    return NULL;
}

/* Waits for all queued calls and hands over what they brought; after a failure, zeros. */
static void settle(void) {
    note_failure(cudaStreamSynchronize(0), "queued operations");
    for (int i = 0; i < device.count; i++) {
        const struct delivery *delivery = &device.deliveries[i];

        if (device.failure[0])
            memset(delivery->array, 0, delivery->bytes);
        else
            memcpy(delivery->array, delivery->staged, delivery->bytes);
    }
    device.count = 0;
    device.used = 0;
}

extern "C" const char *cuda_sync(void) {
    settle();
    return device.failure[0] ? device.failure : NULL;
}

/* Pinned memory that stays until the next settle(). */
static void *stage(size_t bytes) {
    size_t room = (bytes + LINE - 1) / LINE * LINE;
    void *at;

    if (device.used + room > RING) settle();
    at = device.ring + device.used;
    device.used += room;
    return at;
}

static void upload(void *memory, const void *array, size_t bytes) {
    void *staged;

    if (bytes > RING / 4) {
        note_failure(cudaMemcpy(memory, array, bytes, cudaMemcpyHostToDevice), "copy to the device");
        return;
    }
    staged = memcpy(stage(bytes), array, bytes);
    note_failure(cudaMemcpyAsync(memory, staged, bytes, cudaMemcpyHostToDevice, 0), "copy to the device");
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
        settle();
        note_failure(cudaMemcpy(view, memory, bytes, cudaMemcpyDeviceToHost), "copy from the device");
        if (device.failure[0]) memset(view, 0, bytes);
    }
    return view;
}

extern "C" void cuda_unmap(void *memory, void *view, size_t bytes, int writing) {
    if (writing) upload(memory, view, bytes);
    free(view);
}

extern "C" const void *cuda_send(void *room, const void *array, size_t bytes) {
    upload(room, array, bytes);
    return room;
}

extern "C" void *cuda_place(void *room, void *array) {
    (void)array;
    return room;
}

extern "C" void cuda_fetch(void *array, const void *place, size_t bytes) {
    void *staged;

    if (bytes > RING / 4) {
        settle();
        note_failure(cudaMemcpy(array, place, bytes, cudaMemcpyDeviceToHost), "copy from the device");
        return;
    }
    if (device.count == DELIVERIES) settle();
    staged = stage(bytes);
    note_failure(cudaMemcpyAsync(staged, place, bytes, cudaMemcpyDeviceToHost, 0), "copy from the device");
    device.deliveries[device.count++] = (struct delivery){array, staged, bytes};
}

extern "C" void cuda_zero(void *memory, size_t bytes) {
    note_failure(cudaMemsetAsync(memory, 0, bytes, 0), "zero");
}

extern "C" void cuda_copy(void *out, const void *memory, size_t bytes) {
    note_failure(cudaMemcpyAsync(out, memory, bytes, cudaMemcpyDeviceToDevice, 0), "copy");
}

void *device_scratch(size_t bytes) {
    if (bytes <= device.scratch_bytes) return device.scratch;
    if (device.scratch) cuda_release(device.scratch);
    device.scratch = cuda_alloc(bytes);
    device.scratch_bytes = device.scratch ? bytes : 0;
    if (!device.scratch) note_failure(cudaErrorMemoryAllocation, "intermediate results");
    return device.scratch;
}
