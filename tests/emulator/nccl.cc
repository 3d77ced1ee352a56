#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <vector>

#include "nccl.h"

#define MOST_RANKS 8
#define CHUNK      ((size_t)1 << 14)  /* floats of a rank that are on their way at a time */
#define BUFFERS    ((size_t)64 << 20) /* bytes of a device that a communicator takes */
#define NAP        200                /* microseconds between two looks for the others */
#define PATIENCE   (60 * 1000000 / NAP)

/* What a rank says and gives of the chunk it is at. */
struct slot {
    std::atomic<unsigned long> put, taken; /* chunks that it has given, and that it needs no more of others */
    char call[16];
    int root;
    size_t count, at;
    float data[CHUNK];
};

struct meeting {
    std::atomic<int> here, connecting;
    struct slot slots[MOST_RANKS];
};

struct ncclComm {
    struct meeting *meeting;
    int count, rank, aborted;
    unsigned long chunk; /* that is on its way, from 1 */
    unsigned begun;      /* operations */
    ncclResult_t failed;
    int connected;
    void *buffers;
};

struct operation {
    const char *call;
    const float *in;
    float *out;
    size_t count;
    int root;
    ncclComm_t comm;
    cudaStream_t stream;
    size_t at; /* passed, of count */
    int given; /* this chunk */
};

static std::vector<struct operation> grouped;
static int depth; /* of groups */
static char last_error[200] = "";

static int number_in(const char *variable, int otherwise) {
    const char *text = getenv(variable);

    return text ? atoi(text) : otherwise;
}

ncclResult_t ncclGetVersion(int *version) {
    *version = number_in("EMULATED_NCCL_VERSION", NCCL_VERSION(2, 28, 9));
    return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t result) {
    static const char *const texts[] = {
        "no error",
        "unhandled cuda error (run with NCCL_DEBUG=INFO for details)",
        "unhandled system error (run with NCCL_DEBUG=INFO for details)",
        "internal error - please report this issue to the NCCL developers",
        "invalid argument (run with NCCL_DEBUG=WARN for details)",
        "invalid usage (run with NCCL_DEBUG=WARN for details)",
        "remote process exited or there was a network error",
        "NCCL operation in progress",
    };

    return texts[result];
}

const char *ncclGetLastError(ncclComm_t) {
    return last_error;
}

static ncclResult_t refuse(ncclResult_t result, const char *why) {
    snprintf(last_error, sizeof last_error, "%s", why);
    return result;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
    static int made;
    const char *folder = getenv("TMPDIR");
    int file;

    memset(id, 0, sizeof *id);
    snprintf(id->internal, sizeof id->internal, "%.80s/emulated-nccl-%d-%d", folder ? folder : "/tmp",
             (int)getpid(), made++);
    file = open(id->internal, O_CREAT | O_EXCL | O_RDWR, 0600);
    if (file < 0 || ftruncate(file, sizeof(struct meeting)))
        return refuse(ncclSystemError, "there is no memory to share");
    close(file);
    return ncclSuccess;
}

static struct meeting *open_meeting(const char *name) {
    int file = open(name, O_RDWR);
    void *memory;

    if (file < 0) return NULL;
    memory = mmap(NULL, sizeof(struct meeting), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return memory == MAP_FAILED ? NULL : (struct meeting *)memory;
}

ncclResult_t ncclCommInitRank(ncclComm_t *comm, int count, ncclUniqueId id, int rank) {
    struct meeting *meeting = open_meeting(id.internal);
    int naps = 0;

    if (rank < 0 || rank >= count || count > MOST_RANKS) return refuse(ncclInvalidArgument, "ranks");
    if (!meeting) return refuse(ncclSystemError, "the id is of no meeting");
    meeting->here++;
    while (meeting->here < count && naps++ < PATIENCE) usleep(NAP);
    if (meeting->here != count) return refuse(ncclRemoteError, "not all ranks have come");
    if (rank == 0) unlink(id.internal);
    *comm = new ncclComm{meeting, count, rank, 0, 1, 0, ncclSuccess, 0, NULL};
    return ncclSuccess;
}

/* As since 2.22, with a communicator's first operation and not before: the host waits for all ranks', and
 * buffers are taken. */
static ncclResult_t connect(struct ncclComm *comm) {
    struct meeting *meeting = comm->meeting;
    int naps = 0;

    if (comm->connected) return ncclSuccess;
    meeting->connecting++;
    while (meeting->connecting < comm->count && naps++ < PATIENCE) usleep(NAP);
    if (meeting->connecting < comm->count) return refuse(ncclSystemError, "not all ranks have connected");
    comm->connected = 1;
    return cudaMalloc(&comm->buffers, BUFFERS) == cudaSuccess
               ? ncclSuccess
               : refuse(ncclUnhandledCudaError, "out of memory");
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error) {
    *error = comm->failed;
    return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
    comm->aborted = 1; /* and stays, for what is still queued */
    return ncclSuccess;
}

static size_t chunk_of(const struct operation *o) {
    return o->count - o->at < CHUNK ? o->count - o->at : CHUNK;
}

static int all_have(const struct ncclComm *comm, std::atomic<unsigned long> slot::*counter,
                    unsigned long chunk) {
    for (int r = 0; r < comm->count; r++)
        if (comm->meeting->slots[r].*counter < chunk) return 0;
    return 1;
}

static void give(const struct operation *o) {
    struct slot *slot = &o->comm->meeting->slots[o->comm->rank];

    snprintf(slot->call, sizeof slot->call, "%s", o->call);
    slot->root = o->root;
    slot->count = o->count;
    slot->at = o->at;
    memcpy(slot->data, o->in + o->at, chunk_of(o) * sizeof *o->in);
    slot->put = o->comm->chunk;
}

static void check_agreement(const struct operation *o) {
    for (int r = 0; r < o->comm->count; r++) {
        const struct slot *slot = &o->comm->meeting->slots[r];

        if (!strcmp(slot->call, o->call) && slot->root == o->root && slot->count == o->count &&
            slot->at == o->at)
            continue;
        fprintf(
            stderr,
            "emulator: rank %d calls %s of %zu to or from %d where rank %d calls %s of %zu to or from %d\n",
            o->comm->rank, o->call, o->count, o->root, r, slot->call, slot->count, slot->root);
        abort();
    }
}

/* Each rank adds to what came from the one before it, and the root is the last. */
static void take_sums(const struct operation *o) {
    const struct ncclComm *comm = o->comm;

    for (size_t i = 0; i < chunk_of(o); i++) {
        float sum = comm->meeting->slots[(o->root + 1) % comm->count].data[i];

        for (int r = 2; r <= comm->count; r++)
            sum = comm->meeting->slots[(o->root + r) % comm->count].data[i] + sum;
        o->out[o->at + i] = comm->rank == o->root ? sum : NAN;
    }
}

static void take(const struct operation *o) {
    check_agreement(o);
    if (!strcmp(o->call, "ncclReduce"))
        take_sums(o);
    else
        memcpy(o->out + o->at, o->comm->meeting->slots[o->root].data, chunk_of(o) * sizeof *o->out);
}

/* As far as it goes without waiting; whether it is done. */
static bool advance(struct operation *o) {
    struct ncclComm *comm = o->comm;

    while (o->at < o->count && !comm->aborted) {
        if (comm->failed) return false;
        if (!o->given && !all_have(comm, &slot::taken, comm->chunk - 1)) return false;
        if (!o->given) give(o);
        o->given = 1;
        if (!all_have(comm, &slot::put, comm->chunk)) return false;
        take(o);
        comm->meeting->slots[comm->rank].taken = comm->chunk++;
        o->at += chunk_of(o);
        o->given = 0;
    }
    return true;
}

static bool begin(struct operation *o) {
    if (++o->comm->begun == (unsigned)number_in("EMULATED_NCCL_FAILURE", 0))
        o->comm->failed = refuse(ncclRemoteError, "it is EMULATED_NCCL_FAILURE");
    return advance(o);
}

/* What stands before it in its stream is done at once. */
static void hurry(cudaStream_t stream) {
    static cudaEvent_t event;

    if (!event) cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    cudaEventRecord(event, stream);
    cudaEventSynchronize(event);
}

static void queue(const struct operation &operation) {
    std::shared_ptr<struct operation> o = std::make_shared<struct operation>(operation);
    std::shared_ptr<bool> begun = std::make_shared<bool>(false);
    auto work = [o, begun] {
        if (*begun) return advance(o.get());
        *begun = true;
        return begin(o.get());
    };

    if (number_in("EMULATED_NCCL_EAGER", 0)) {
        hurry(o->stream);
        work();
    }
    emulated_queue_until(o->stream, work);
}

ncclResult_t ncclGroupStart(void) {
    depth++;
    return ncclSuccess;
}

ncclResult_t ncclGroupEnd(void) {
    ncclResult_t result = ncclSuccess;

    if (depth == 0) return refuse(ncclInvalidUsage, "no group has begun");
    if (--depth) return ncclSuccess;
    for (const struct operation &operation : grouped)
        if ((result = connect(operation.comm))) break;
    for (const struct operation &operation : grouped)
        if (!result) queue(operation);
    grouped.clear();
    return result;
}

static ncclResult_t add(const struct operation &operation, ncclDataType_t type) {
    struct ncclComm *comm = operation.comm;

    if (!comm || comm->aborted || type != ncclFloat32 || operation.root < 0 || operation.root >= comm->count)
        return refuse(ncclInvalidArgument, operation.call);
    if (comm->failed) return comm->failed;
    ncclGroupStart();
    grouped.push_back(operation);
    return ncclGroupEnd();
}

ncclResult_t ncclReduce(const void *in, void *out, size_t count, ncclDataType_t type, ncclRedOp_t, int root,
                        ncclComm_t comm, cudaStream_t stream) {
    return add({"ncclReduce", (const float *)in, (float *)out, count, root, comm, stream, 0, 0}, type);
}

ncclResult_t ncclBroadcast(const void *in, void *out, size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
    return add({"ncclBroadcast", (const float *)in, (float *)out, count, root, comm, stream, 0, 0}, type);
}
