/* The runtime: memory, and streams whose work is done when the host waits for it. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "device.h"

#define MEMORY     ((size_t)8 << 30)
#define PROCESSORS 4
#define SHARED     ((size_t)227 << 10) /* bytes a block can have, when it asks */
#define UNASKED                                                                                              \
    ((size_t)44 << 10) /* otherwise 48 KiB, of which kernels declare 4 themselves, it is taken               \
                        */

struct emulated_event {
    unsigned wanted, done; /* records asked for and passed */
};

/* Work, or the wait for a record of an event. */
struct task {
    std::function<bool()> work; /* false: it has to wait for other processes */
    struct emulated_event *event;
    unsigned record;
};

struct emulated_graph {
    std::vector<struct task> tasks;
};

struct emulated_stream {
    int apart; /* the default stream does not wait for it */
    std::deque<struct task> tasks;
    struct emulated_graph *capture; /* NULL: work is queued */
    int spoilt;                     /* something was asked for that a capture does not allow */
};

static struct emulated_stream everyone; /* the default stream */
static std::vector<struct emulated_stream *> streams;
static std::map<void *, size_t> memory;
static std::vector<void *> released; /* and not free yet */
static std::map<const void *, size_t> shared_limits;
static std::map<std::string, size_t> calls;
static size_t used;
static unsigned launches;
static std::vector<const void *> kernels; /* that were started, the first first */
static cudaError_t failed, last;          /* failed: for good */

static cudaError_t note(cudaError_t error) {
    if (error) last = error;
    return error;
}

/* The runtime does not survive a fork: it serves the process that called it first. */
static cudaError_t of_process(void) {
    static pid_t first = getpid();

    return first == getpid() ? failed : cudaErrorInitializationError;
}

static size_t number_in(const char *variable, size_t otherwise) {
    const char *text = getenv(variable);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

size_t emulated_calls(const char *function) {
    return calls[function];
}

size_t emulated_kernels(void) {
    return kernels.size();
}

void emulated_name_kernels(size_t from) {
    for (size_t i = from; i < kernels.size(); i++) {
        Dl_info info;

        dladdr(kernels[i], &info);
        printf("not started at small sizes: addr2line -fCe %s %#zx\n", info.dli_fname,
               (size_t)kernels[i] - (size_t)info.dli_fbase);
    }
}

#define CALLED() calls[__func__]++

/* Whether a stream is captured, which then comes to nothing. */
static int spoils_capture(void) {
    int captured = 0;

    for (struct emulated_stream *stream : streams) {
        if (!stream->capture) continue;
        stream->spoilt = 1;
        captured = 1;
    }
    return captured;
}

/* What is not allowed while a stream is captured. */
#define NOT_CAPTURED()                                                                                       \
    if (spoils_capture()) return note(cudaErrorStreamCaptureUnsupported)

/* Two bytes of memory that are hidden, and what they hold. */
struct hidden {
    uint16_t *at, holds;
};

static int watching;
static std::map<void *, std::vector<uint16_t>> before; /* memory as it was when the last chain began */
static std::vector<uint16_t *> written;                /* since then */
static std::vector<struct hidden> hidden;

void emulated_watch(int on) {
    watching = on;
    before.clear();
}

static void remember(void) {
    if (!watching) return;
    for (const auto &block : memory) {
        const uint16_t *at = (const uint16_t *)block.first;

        before[block.first].assign(at, at + block.second / sizeof *at);
    }
}

static void find_written(void) {
    const size_t PAGE = 2048;

    written.clear();
    for (const auto &block : before) {
        uint16_t *now = (uint16_t *)block.first;
        size_t count = block.second.size();

        if (!memory.count(block.first) || memory[block.first] / sizeof *now != count) continue;
        for (size_t from = 0, to; from < count; from = to) {
            to = std::min(from + PAGE, count);
            if (!memcmp(now + from, &block.second[from], (to - from) * sizeof *now)) continue;
            for (size_t i = from; i < to; i++)
                if (now[i] != block.second[i]) written.push_back(now + i);
        }
    }
}

void emulated_hide(void) {
    for (uint16_t *at : written) {
        hidden.push_back({at, *at});
        *at = 0xffff;
    }
}

void emulated_show(void) {
    for (const struct hidden &part : hidden) {
        if (*part.at != 0xffff) emulated_wrong("a thread writes before it has waited for what was before");
        *part.at = part.holds;
    }
    hidden.clear();
}

static struct emulated_stream *of(cudaStream_t stream) {
    return stream ? stream : &everyone;
}

static int step(struct emulated_stream *stream);

/* Each stream's first task; 0 when nothing moves. */
static int step_all(void) {
    int moved = step(&everyone);

    for (struct emulated_stream *stream : streams) moved |= step(stream);
    return moved;
}

/* Whether a stream's first task waits for other processes. */
static int is_waiting(const struct emulated_stream *stream) {
    return !stream->tasks.empty() && stream->tasks.front().work;
}

static int nap_for_others(void) {
    int waiting = is_waiting(&everyone);

    for (struct emulated_stream *stream : streams) waiting |= is_waiting(stream);
    if (waiting) usleep(100);
    return waiting;
}

/* Takes turns with the streams that others wait for; 0 when nothing will move. */
static int run_until(struct emulated_event *event, unsigned record) {
    while ((int)(event->done - record) < 0)
        if (!step_all() && !nap_for_others()) return 0;
    return 1;
}

/* The first task of a stream, unless it waits. */
static int step(struct emulated_stream *stream) {
    struct task task;

    if (stream->tasks.empty()) return 0;
    task = stream->tasks.front();
    if (task.event && !task.work && (int)(task.event->done - task.record) < 0) return 0;
    if (task.work && !failed && !task.work()) return 0;
    stream->tasks.pop_front();
    if (task.work && task.event) task.event->done = task.record;
    return 1;
}

static void drain(struct emulated_stream *stream) {
    while (!stream->tasks.empty()) {
        struct task task = stream->tasks.front();

        if (step(stream)) continue;
        if (task.work) {
            usleep(100);
        } else if (!run_until(task.event, task.record)) {
            fprintf(stderr, "emulator: a stream waits for an event that nobody records\n");
            abort();
        }
    }
}

static void drain_all(void) {
    drain(&everyone);
    for (struct emulated_stream *stream : streams) drain(stream);
}

static cudaError_t add(cudaStream_t stream, struct task task) {
    struct emulated_stream *to = of(stream);

    if (of_process()) return note(of_process());
    if (to->capture)
        to->capture->tasks.push_back(task);
    else
        to->tasks.push_back(task);
    return cudaSuccess;
}

cudaError_t emulated_queue(cudaStream_t stream, std::function<void()> work) {
    return add(stream, {[work] {
                            remember();
                            work();
                            return true;
                        },
                        NULL, 0});
}

cudaError_t emulated_queue_until(cudaStream_t stream, std::function<bool()> work) {
    return add(stream, {work, NULL, 0});
}

static unsigned product(dim3 size) {
    return size.x * size.y * size.z;
}

/* A launch of number EMULATED_FAILURE fails when its turn comes, and all after it. */
static void run_kernel(const struct emulated_kernel &kernel) {
    static const size_t fails = number_in("EMULATED_FAILURE", 0);

    if (fails && kernel.number == fails)
        failed = cudaErrorECCUncorrectable;
    else
        emulated_run(kernel);
}

cudaError_t emulated_launch(const void *function, dim3 grid, dim3 threads, size_t shared, cudaStream_t stream,
                            int early, std::function<void()> thread) {
    size_t limit = shared_limits.count(function) ? shared_limits[function] : UNASKED;

    CALLED();
    if (std::find(kernels.begin(), kernels.end(), function) == kernels.end()) kernels.push_back(function);
    if (product(threads) < 1 || product(threads) > 1024 || !grid.x || !grid.y || !grid.z || grid.y > 65535 ||
        grid.z > 65535 || shared > limit)
        return note(cudaErrorInvalidValue);
    calls["early"] += early != 0;
    struct emulated_kernel kernel = {grid, threads, shared, thread, early, 0};
    return add(stream, {[kernel]() mutable {
                            if (kernel.early)
                                find_written();
                            else
                                remember();
                            kernel.number = ++launches;
                            run_kernel(kernel);
                            return true;
                        },
                        NULL, 0});
}

/* --- what cuda_runtime.h declares of the runtime --- */

const char *cudaGetErrorString(cudaError_t error) {
    switch (error) {
    case cudaSuccess:
        return "no error";
    case cudaErrorInvalidValue:
        return "invalid argument";
    case cudaErrorMemoryAllocation:
        return "out of memory";
    case cudaErrorInitializationError:
        return "initialization error";
    case cudaErrorInsufficientDriver:
        return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorInvalidDevice:
        return "invalid device ordinal";
    case cudaErrorNoDevice:
        return "no CUDA-capable device is detected";
    case cudaErrorECCUncorrectable:
        return "uncorrectable ECC error encountered";
    case cudaErrorNotReady:
        return "device not ready";
    case cudaErrorIllegalAddress:
        return "an illegal memory access was encountered";
    case cudaErrorLaunchOutOfResources:
        return "too many resources requested for launch";
    case cudaErrorStreamCaptureUnsupported:
        return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
        return "operation failed due to a previous error during capture";
    }
    return "unrecognized error code";
}

cudaError_t cudaPeekAtLastError(void) {
    return failed ? failed : last;
}

cudaError_t cudaGetLastError(void) {
    cudaError_t error = cudaPeekAtLastError();

    last = cudaSuccess;
    return error;
}

cudaError_t cudaGetDeviceCount(int *count) {
    if (of_process() == cudaErrorInitializationError) return note(cudaErrorInitializationError);
    *count = (int)number_in("EMULATED_DEVICES", 1);
    return *count ? cudaSuccess : note(cudaErrorNoDevice);
}

static int chosen;

static int is_there(int device) {
    return device >= 0 && device < (int)number_in("EMULATED_DEVICES", 1);
}

cudaError_t cudaSetDevice(int device) {
    if (!is_there(device)) return note(cudaErrorInvalidDevice);
    chosen = device;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
    *device = chosen;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *out, int device) {
    if (!is_there(device)) return note(cudaErrorInvalidDevice);
    memset(out, 0, sizeof *out);
    memcpy(out->uuid.bytes, &device, sizeof device);
    snprintf(out->name, sizeof out->name, "emulated device");
    out->totalGlobalMem = number_in("EMULATED_MEMORY", MEMORY);
    out->major = 9;
    out->multiProcessorCount = (int)number_in("EMULATED_PROCESSORS", PROCESSORS);
    out->sharedMemPerBlockOptin = SHARED;
    out->l2CacheSize = 50 << 20;
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *left, size_t *total) {
    *total = number_in("EMULATED_MEMORY", MEMORY);
    *left = *total - used;
    return note(of_process());
}

cudaError_t cudaMalloc(void **out, size_t bytes) {
    CALLED();
    NOT_CAPTURED();
    if (of_process()) return note(of_process());
    if (!bytes) {
        *out = NULL;
        return cudaSuccess;
    }
    if (bytes > number_in("EMULATED_MEMORY", MEMORY) - used) return note(cudaErrorMemoryAllocation);
    if (posix_memalign(out, 256, bytes)) return note(cudaErrorMemoryAllocation);
    memset(*out, 0xff, bytes); /* NaNs */
    memory[*out] = bytes;
    used += bytes;
    return cudaSuccess;
}

/* A device waits for all its work first. Here work may need other processes, whose devices do nothing while
 * their hosts wait for this one: memory stays until that is done. */
static void release(void) {
    drain(&everyone);
    while (step_all()) continue;
    for (struct emulated_stream *stream : streams)
        if (!stream->tasks.empty()) return;
    for (void *at : released) free(at);
    released.clear();
}

cudaError_t cudaFree(void *at) {
    CALLED();
    if (!at) return cudaSuccess;
    NOT_CAPTURED();
    if (!memory.count(at)) return note(cudaErrorInvalidValue);
    used -= memory[at];
    memory.erase(at);
    released.push_back(at);
    release();
    return note(failed);
}

cudaError_t cudaMallocHost(void **out, size_t bytes) {
    CALLED();
    NOT_CAPTURED();
    if (failed) return note(failed);
    *out = malloc(bytes ? bytes : 1);
    return *out ? cudaSuccess : note(cudaErrorMemoryAllocation);
}

cudaError_t cudaFreeHost(void *at) {
    NOT_CAPTURED();
    drain_all();
    free(at);
    return note(failed);
}

cudaError_t cudaMemcpyAsync(void *out, const void *in, size_t bytes, enum cudaMemcpyKind,
                            cudaStream_t stream) {
    CALLED();
    return emulated_queue(stream, [=] { memmove(out, in, bytes); });
}

/* As the default stream is: behind all that was queued, but for streams that stand apart. */
cudaError_t cudaMemcpy(void *out, const void *in, size_t bytes, enum cudaMemcpyKind) {
    CALLED();
    NOT_CAPTURED();
    drain(&everyone);
    for (struct emulated_stream *stream : streams)
        if (!stream->apart) drain(stream);
    if (failed) return note(failed);
    memmove(out, in, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *out, int value, size_t bytes, cudaStream_t stream) {
    CALLED();
    return emulated_queue(stream, [=] { memset(out, value, bytes); });
}

cudaError_t cudaMemset(void *out, int value, size_t bytes) {
    return cudaMemsetAsync(out, value, bytes, 0);
}

cudaError_t cudaDeviceSynchronize(void) {
    CALLED();
    NOT_CAPTURED();
    drain_all();
    return note(failed);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags) {
    *out = new emulated_stream();
    (*out)->apart = flags == cudaStreamNonBlocking;
    streams.push_back(*out);
    return note(failed);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    drain(stream);
    for (size_t i = 0; i < streams.size(); i++)
        if (streams[i] == stream) streams.erase(streams.begin() + (ptrdiff_t)i);
    delete stream;
    return note(failed);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    CALLED();
    NOT_CAPTURED();
    drain(of(stream));
    return note(failed);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned) {
    *out = new emulated_event();
    return note(failed);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    drain_all();
    delete event;
    return note(failed);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    return add(stream, {[] { return true; }, event, ++event->wanted});
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    return add(stream, {nullptr, event, event->wanted});
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    CALLED();
    NOT_CAPTURED();
    if (failed) return note(failed);
    if (!run_until(event, event->wanted)) abort();
    return note(failed);
}

/* A device goes on by itself while somebody looks. */
cudaError_t cudaEventQuery(cudaEvent_t event) {
    if (failed) return note(failed);
    step_all();
    return event->done == event->wanted ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode) {
    if (failed) return note(failed);
    if (!stream || stream->capture) return note(cudaErrorInvalidValue);
    stream->capture = new emulated_graph();
    stream->spoilt = 0;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *out) {
    if (!stream || !stream->capture) return note(cudaErrorInvalidValue);
    *out = stream->spoilt ? NULL : stream->capture;
    if (stream->spoilt) delete stream->capture;
    stream->capture = NULL;
    return note(stream->spoilt ? cudaErrorStreamCaptureInvalidated : failed);
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long) {
    *out = new emulated_graph(*graph);
    return note(failed);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
    CALLED();
    for (const struct task &task : graph->tasks)
        if (add(stream, task)) return failed;
    return note(failed);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
    drain_all();
    delete graph;
    return note(failed);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return note(failed);
}

cudaError_t cudaFuncSetAttribute(const void *kernel, enum cudaFuncAttribute, int value) {
    if (value < 0 || (size_t)value > SHARED) return note(cudaErrorInvalidValue);
    shared_limits[kernel] = (size_t)value;
    return note(failed);
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *out, const void *, int threads,
                                                          size_t shared) {
    int by_shared = shared ? (int)(SHARED / (shared + 1024)) : 32, by_threads = 2048 / threads;

    *out = by_shared < by_threads ? by_shared : by_threads;
    return note(failed);
}
