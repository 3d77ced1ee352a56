#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "kernels/cuda/device.cuh"

#if __has_include(<nccl.h>)
#include <nccl.h>

#define LIBRARY "libnccl.so.2"
#define OLDEST  NCCL_VERSION(2, 13, 4) /* has ncclGetLastError() */

/* What is called of the library, which is loaded when processes join and not before. */
#define FUNCTIONS(f)                                                                                         \
    f(GetVersion) f(GetErrorString) f(GetLastError) f(GetUniqueId) f(CommInitRank) f(CommGetAsyncError)      \
        f(CommAbort) f(GroupStart) f(GroupEnd) f(Reduce) f(Broadcast)

static struct {
    void *library;
#define MEMBER(name) decltype(&nccl##name) name;
    FUNCTIONS(MEMBER)
} nccl;

#ifndef DEVICE_BUCKET /* the emulator wants smaller ones, which small models have several of */
#define DEVICE_BUCKET ((size_t)1 << 22) /* each start costs more than on the host */
#endif

/* The processes that joined; what they exchange has a stream of its own. */
static struct {
    ncclComm_t communicator; /* NULL: none, or it failed */
    int count;
    cudaStream_t stream;
    cudaEvent_t queued, done; /* on the operations' stream and on this one */
    int awaited;              /* operations wait for done */
    char trouble[400];
} group;

static const char *refuse(const char *what, const char *why) {
    snprintf(group.trouble, sizeof group.trouble, "%s: %.300s", what, why);
    return group.trouble;
}

static const char *check_version(void) {
    int version = 0;
    char text[100];

    if (nccl.GetVersion(&version) == ncclSuccess && version >= OLDEST) return NULL;
    snprintf(text, sizeof text, "its version has the code %d, and %d or later is needed", version, OLDEST);
    return refuse(LIBRARY, text);
}

static const char *load(void) {
    if (nccl.library) return NULL;
    nccl.library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!nccl.library)
        return refuse("several devices need NCCL (install libnccl2, or name its folder in LD_LIBRARY_PATH)",
                      dlerror());
#define FIND(name)                                                                                           \
    nccl.name = (decltype(nccl.name))dlsym(nccl.library, "nccl" #name);                                      \
    if (!nccl.name) return refuse(LIBRARY " is too old", dlerror());
    FUNCTIONS(FIND)
    return check_version();
}

static const char *invite(void *invitation) {
    const char *trouble = load();
    ncclResult_t result;
    ncclUniqueId id;

    static_assert(sizeof id == INVITATION_BYTES, "an invitation is an id of NCCL's");
    if (trouble) return trouble;
    result = nccl.GetUniqueId(&id);
    if (result != ncclSuccess) return refuse("NCCL makes no id", nccl.GetErrorString(result));
    memcpy(invitation, &id, sizeof id);
    return NULL;
}

static cudaError_t open_stream(void) {
    cudaError_t error = cudaStreamCreateWithFlags(&group.stream, cudaStreamNonBlocking);

    if (error == cudaSuccess) error = cudaEventCreateWithFlags(&group.queued, cudaEventDisableTiming);
    if (error == cudaSuccess) error = cudaEventCreateWithFlags(&group.done, cudaEventDisableTiming);
    return error;
}

static const char *join(const void *invitation, int index, int count) {
    const char *trouble = load();
    ncclResult_t result;
    cudaError_t error;
    ncclUniqueId id;

    if (trouble) return trouble;
    error = open_stream();
    if (error != cudaSuccess) return refuse("CUDA device: a stream for NCCL", cudaGetErrorString(error));
    memcpy(&id, invitation, sizeof id);
    result = nccl.CommInitRank(&group.communicator, count, id, index);
    if (result != ncclSuccess)
        return refuse("NCCL does not bring the devices together", nccl.GetLastError(NULL));
    group.count = count;
    return NULL;
}

/* What is under way ends, with results of no meaning, and nothing is begun any more. */
static void give_up(ncclResult_t result) {
    const char *last = nccl.GetLastError(NULL);
    char why[400];

    snprintf(why, sizeof why, "%s%s%s", nccl.GetErrorString(result), *last ? ": " : "", last);
    note_trouble("NCCL", why);
    if (group.communicator) nccl.CommAbort(group.communicator);
    group.communicator = NULL;
}

static void check(ncclResult_t result) {
    if (result != ncclSuccess && result != ncclInProgress && group.communicator) give_up(result);
}

/* Behind the operations that are queued by now. */
static void begin(void) {
    note_failure(cudaEventRecord(group.queued, device_stream()), "gradients");
    note_failure(cudaStreamWaitEvent(group.stream, group.queued, 0), "gradients");
    check(nccl.GroupStart());
}

static void reduce(float *data, const size_t *start) {
    if (!group.communicator) return;
    begin();
    for (int r = 0; r < group.count && group.communicator; r++)
        if (start[r + 1] > start[r])
            check(nccl.Reduce(data + start[r], data + start[r], start[r + 1] - start[r], ncclFloat32, ncclSum,
                              r, group.communicator, group.stream));
    check(nccl.GroupEnd());
}

static void gather(float *data, const size_t *start) {
    if (!group.communicator) return;
    begin();
    for (int r = 0; r < group.count && group.communicator; r++)
        if (start[r + 1] > start[r])
            check(nccl.Broadcast(data + start[r], data + start[r], start[r + 1] - start[r], ncclFloat32, r,
                                 group.communicator, group.stream));
    check(nccl.GroupEnd());
}

static void settle(void) {
    note_failure(cudaEventRecord(group.done, group.stream), "gradients");
    note_failure(cudaStreamWaitEvent(device_stream(), group.done, 0), "gradients");
    group.awaited = 1;
}

void collective_watch(void) {
    static const struct timespec pause = {0, 20000};

    while (group.awaited && group.communicator) {
        ncclResult_t met = ncclSuccess, asked;

        group.awaited = cudaEventQuery(group.done) == cudaErrorNotReady;
        asked = nccl.CommGetAsyncError(group.communicator, &met);
        check(asked != ncclSuccess ? asked : met);
        if (group.awaited) nanosleep(&pause, NULL);
    }
}

const struct collective cuda_collective = {cuda_identify, invite, join,         reduce,
                                           gather,        settle, DEVICE_BUCKET};
#else
static const char missing[] = "this pyrite was built without NCCL, which several devices need; install "
                              "libnccl-dev, run configure and make again, or start one process";

static const char *invite(void *) {
    return missing;
}

static const char *join(const void *, int, int) {
    return missing;
}

void collective_watch(void) {
}

const struct collective cuda_collective = {cuda_identify, invite, join, NULL, NULL, NULL, 0};
#endif
