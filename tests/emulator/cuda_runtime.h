/* A device in software: as much of the CUDA runtime and of a device's language as kernels/cuda is written in,
 * so that a C++ compiler makes programs of it that run, and can be checked, without a device. A block's
 * threads take turns, each until it waits for others, in an order that changes from launch to launch; work
 * queued on a stream is done when the host waits for it, and not before; memory starts out as NaNs. What a
 * device would leave undefined (a barrier that not all threads reach, a shuffle with a thread that is gone,
 * an address off its alignment, an end without the wait that an early start asks for) ends the program with a
 * sentence. Sums of tensor cores are made in double and rounded once. environment: EMULATED_ORDER (forward,
 * backward or shuffled: all launches alike), EMULATED_MEMORY (bytes), EMULATED_FAILURE (the number of the
 * launch that fails, from 1), EMULATED_DEVICES (how many there are), EMULATED_PROCESSORS (multiprocessors of
 * one) */
#ifndef CUDA_RUNTIME_H
#define CUDA_RUNTIME_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <functional>
#include <tuple>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __shared__       static

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned across = 1, unsigned down = 1, unsigned deep = 1) : x(across), y(down), z(deep) {
    }
};

struct __align__(8) int2 {
    int x, y;
};
struct __align__(16) int4 {
    int x, y, z, w;
};
struct __align__(8) uint2 {
    unsigned x, y;
};
struct __align__(16) uint4 {
    unsigned x, y, z, w;
};
struct __align__(8) float2 {
    float x, y;
};
struct __align__(16) float4 {
    float x, y, z, w;
};
struct __align__(16) double2 {
    double x, y;
};

static inline int2 make_int2(int x, int y) {
    return {x, y};
}
static inline int4 make_int4(int x, int y, int z, int w) {
    return {x, y, z, w};
}
static inline uint2 make_uint2(unsigned x, unsigned y) {
    return {x, y};
}
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
    return {x, y, z, w};
}
static inline float2 make_float2(float x, float y) {
    return {x, y};
}
static inline float4 make_float4(float x, float y, float z, float w) {
    return {x, y, z, w};
}

/* --- threads --- */

struct emulated_thread {
    dim3 index;
    unsigned lane;
};
extern struct emulated_thread *emulated_thread;
extern dim3 emulated_block, emulated_threads, emulated_grid;
extern unsigned char *emulated_shared;

#define threadIdx (emulated_thread->index)
#define blockIdx  emulated_block
#define blockDim  emulated_threads
#define gridDim   emulated_grid
#define warpSize  32

/* A thread waits here for all others of its block; returns whether any, all, or how many of them said yes. */
struct emulated_votes {
    int any, all, count;
};
struct emulated_votes emulated_barrier(int line, int vote);
/* A warp's lanes of `mask` meet: the last to come calls meet(in, out) with what all gave (bytes each, by
 * lane), and each gets its part of out. */
#define EMULATED_BYTES 64
typedef void emulated_meeting(unsigned mask, unsigned char in[32][EMULATED_BYTES],
                              unsigned char out[32][EMULATED_BYTES]);
void emulated_meet(unsigned mask, emulated_meeting *meet, const void *in, size_t in_bytes, void *out,
                   size_t out_bytes);
[[noreturn]] void emulated_wrong(const char *what);

#define __syncthreads()           ((void)emulated_barrier(__LINE__, 0))
#define __syncthreads_or(vote)    (emulated_barrier(__LINE__, vote).any)
#define __syncthreads_and(vote)   (emulated_barrier(__LINE__, vote).all)
#define __syncthreads_count(vote) (emulated_barrier(__LINE__, vote).count)

struct emulated_shuffle {
    unsigned from;
    uint64_t value;
};

static inline void emulated_take(unsigned mask, unsigned char in[32][EMULATED_BYTES],
                                 unsigned char out[32][EMULATED_BYTES]) {
    for (int lane = 0; lane < 32; lane++) {
        struct emulated_shuffle ask, give;

        if (!(mask >> lane & 1)) continue;
        memcpy(&ask, in[lane], sizeof ask);
        if (!(mask >> ask.from & 1)) emulated_wrong("a shuffle takes from a lane that its mask leaves out");
        memcpy(&give, in[ask.from], sizeof give);
        memcpy(out[lane], &give.value, sizeof give.value);
    }
}

template <class T> static inline T emulated_from(unsigned mask, T value, unsigned from) {
    struct emulated_shuffle ask = {from, 0};
    uint64_t got;
    T out;

    static_assert(sizeof(T) <= sizeof got, "shuffles are of 8 bytes at most");
    memcpy(&ask.value, &value, sizeof value);
    emulated_meet(mask, emulated_take, &ask, sizeof ask, &got, sizeof got);
    memcpy(&out, &got, sizeof out);
    return out;
}

template <class T> static inline T __shfl_sync(unsigned mask, T value, int from, int width = 32) {
    unsigned lane = emulated_thread->lane;

    return emulated_from(mask, value, lane / width * width + (unsigned)from % width);
}
template <class T> static inline T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32) {
    unsigned lane = emulated_thread->lane, from = lane ^ (unsigned)by;

    return emulated_from(mask, value, from / width > lane / width ? lane : from);
}
template <class T> static inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
    unsigned lane = emulated_thread->lane;

    return emulated_from(mask, value, lane % width + by < (unsigned)width ? lane + by : lane);
}
template <class T> static inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
    unsigned lane = emulated_thread->lane;

    return emulated_from(mask, value, lane % width >= by ? lane - by : lane);
}

static inline void emulated_ballot(unsigned mask, unsigned char in[32][EMULATED_BYTES],
                                   unsigned char out[32][EMULATED_BYTES]) {
    unsigned votes = 0;

    for (int lane = 0; lane < 32; lane++)
        if (mask >> lane & 1 && in[lane][0]) votes |= 1u << lane;
    for (int lane = 0; lane < 32; lane++) memcpy(out[lane], &votes, sizeof votes);
}
static inline unsigned __ballot_sync(unsigned mask, int vote) {
    unsigned char said = vote != 0;
    unsigned votes;

    emulated_meet(mask, emulated_ballot, &said, 1, &votes, sizeof votes);
    return votes;
}
static inline int __any_sync(unsigned mask, int vote) {
    return __ballot_sync(mask, vote) != 0;
}
static inline int __all_sync(unsigned mask, int vote) {
    return __ballot_sync(mask, vote) == mask;
}
static inline void __syncwarp(unsigned mask = 0xffffffffu) {
    __ballot_sync(mask, 0);
}
static inline void __threadfence(void) {
}
static inline void __threadfence_block(void) {
}

/* --- arithmetic --- */

template <class T> static inline T __ldg(const T *at) {
    return *at;
}
template <class T> static inline T __ldcs(const T *at) {
    return *at;
}
template <class T> static inline void __stcs(T *at, T value) {
    *at = value;
}
static inline int __popc(unsigned x) {
    return __builtin_popcount(x);
}
static inline int __clz(int x) {
    return x ? __builtin_clz((unsigned)x) : 32;
}
static inline int __ffs(int x) {
    return __builtin_ffs(x);
}
static inline unsigned __umulhi(unsigned a, unsigned b) {
    return (unsigned)((uint64_t)a * b >> 32);
}
template <class TO, class FROM> static inline TO emulated_bits(FROM x) {
    TO out;

    static_assert(sizeof out == sizeof x, "the same bits");
    memcpy(&out, &x, sizeof out);
    return out;
}
static inline int __float_as_int(float x) {
    return emulated_bits<int>(x);
}
static inline unsigned __float_as_uint(float x) {
    return emulated_bits<unsigned>(x);
}
static inline float __int_as_float(int x) {
    return emulated_bits<float>(x);
}
static inline float __uint_as_float(unsigned x) {
    return emulated_bits<float>(x);
}
template <class T> static inline T atomicMin(T *at, T value) {
    T before = *at;

    *at = value < before ? value : before;
    return before;
}
template <class T> static inline T atomicMax(T *at, T value) {
    T before = *at;

    *at = value > before ? value : before;
    return before;
}
template <class T> static inline T atomicAdd(T *at, T value) {
    T before = *at;

    *at = before + value;
    return before;
}
template <class T> static inline T atomicExch(T *at, T value) {
    T before = *at;

    *at = value;
    return before;
}
template <class T> static inline T min(T a, T b) {
    return b < a ? b : a;
}
template <class T> static inline T max(T a, T b) {
    return b > a ? b : a;
}

/* --- what kernels/cuda/instructions.cuh has for nvcc --- */

template <class T> static inline T *dynamic_shared(void) {
    return (T *)emulated_shared;
}

template <class T> static inline T *dynamic_matrices(void) {
    return (T *)emulated_shared;
}

static inline unsigned shared_address(const void *shared) {
    return (unsigned)((const unsigned char *)shared - emulated_shared);
}

static inline unsigned emulated_bf16(float x) {
    unsigned bits = emulated_bits<unsigned>(x);

    if (x != x) return 0x7fff;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
static inline float emulated_float(unsigned bf16) {
    return emulated_bits<float>(bf16 << 16);
}
static inline unsigned rounded(float low, float high) {
    return emulated_bf16(high) << 16 | emulated_bf16(low);
}

static inline float power_of_two(float x) {
    float power = (float)exp2((double)x);

    return power < 0x1p-126f ? 0 : power;
}
static inline float reciprocal(float x) {
    return (float)(1 / (double)x);
}

void load_matrices(unsigned out[4], const unsigned short *line);
void load_turned_matrices(unsigned out[4], const unsigned short *line);
void multiply(float sum[4], const unsigned left[4], const unsigned right[2]);
void copy_async(void *shared, const void *global, int bytes);
void end_copies(void);
void wait_for_predecessor(void);
static inline void start_successor(void) {
}
void emulated_wait_for_copies(int left);
template <int LEFT> static inline void wait_for_copies(void) {
    emulated_wait_for_copies(LEFT);
}

#define WITH_GROUPS
typedef unsigned long long gate;
void set_gate(gate *gate, unsigned count);
void arrive(gate *gate);
void arrive_with_copies(gate *gate);
void wait_at(gate *gate, unsigned parity);
void meet(int number, int threads);
void announce(int number, int threads);
template <int COUNT> static inline void give_registers(void) {
    static_assert(COUNT >= 24 && COUNT <= 256 && COUNT % 8 == 0, "as the instruction wants it");
}
template <int COUNT> static inline void take_registers(void) {
    give_registers<COUNT>();
}

typedef unsigned long long matrix;
static inline matrix matrix_at(const unsigned short *tile, unsigned apart = 16) {
    return (matrix)(shared_address(tile) >> 4) | (matrix)(apart >> 4) << 16 | (matrix)(1024 >> 4) << 32 |
           (matrix)1 << 62;
}
static inline void show_to_products(void) {
}
template <int COUNT> static inline void hold(float (&)[COUNT][4]) {
}
template <int COUNT> static inline void hold(unsigned (&)[COUNT][4]) {
}
void begin_products(void);
void end_products(void);
void emulated_wait_for_products(int left);
template <int LEFT> static inline void wait_for_products(void) {
    emulated_wait_for_products(LEFT);
}

/* What a thread gives to a group's product; left: NULL where it is a matrix. */
struct emulated_product {
    float *sum;
    const unsigned *left;
    matrix left_matrix, right;
    int columns, left_turned, right_turned, keep;
};
void emulated_multiply_async(const struct emulated_product &mine);
template <int COLUMNS, int LEFT_TURNED, int RIGHT_TURNED>
static inline void multiply_async(float (&sum)[COLUMNS / 8][4], matrix left, matrix right, int keep) {
    emulated_multiply_async({&sum[0][0], NULL, left, right, COLUMNS, LEFT_TURNED, RIGHT_TURNED, keep});
}
template <int COLUMNS, int RIGHT_TURNED>
static inline void multiply_async(float (&sum)[COLUMNS / 8][4], const unsigned (&left)[4], matrix right,
                                  int keep) {
    emulated_multiply_async({&sum[0][0], left, 0, right, COLUMNS, 0, RIGHT_TURNED, keep});
}

/* --- the runtime --- */

typedef enum cudaError {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInitializationError = 3,
    cudaErrorInsufficientDriver = 35,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorECCUncorrectable = 214,
    cudaErrorNotReady = 600,
    cudaErrorIllegalAddress = 700,
    cudaErrorLaunchOutOfResources = 701,
    cudaErrorStreamCaptureUnsupported = 900,
    cudaErrorStreamCaptureInvalidated = 901,
} cudaError_t;
enum cudaMemcpyKind {
    cudaMemcpyHostToHost,
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice,
    cudaMemcpyDefault,
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum cudaStreamCaptureMode {
    cudaStreamCaptureModeGlobal,
    cudaStreamCaptureModeThreadLocal,
    cudaStreamCaptureModeRelaxed,
};
enum { cudaStreamDefault = 0, cudaStreamNonBlocking = 1, cudaEventDefault = 0, cudaEventDisableTiming = 2 };

typedef struct emulated_stream *cudaStream_t;
typedef struct emulated_event *cudaEvent_t;
typedef struct emulated_graph *cudaGraph_t;
typedef struct emulated_graph *cudaGraphExec_t;

typedef struct {
    char bytes[16];
} cudaUUID_t;
struct cudaDeviceProp {
    char name[256];
    cudaUUID_t uuid;
    size_t totalGlobalMem;
    int major, minor, multiProcessorCount;
    size_t sharedMemPerBlockOptin;
    int l2CacheSize;
};

const char *cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError(void);
cudaError_t cudaPeekAtLastError(void);
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *out, int device);
cudaError_t cudaMemGetInfo(size_t *free, size_t *total);
cudaError_t cudaMalloc(void **memory, size_t bytes);
cudaError_t cudaFree(void *memory);
cudaError_t cudaMallocHost(void **memory, size_t bytes);
cudaError_t cudaFreeHost(void *memory);
cudaError_t cudaMemcpy(void *out, const void *in, size_t bytes, enum cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void *out, const void *in, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream = 0);
cudaError_t cudaMemset(void *out, int value, size_t bytes);
cudaError_t cudaMemsetAsync(void *out, int value, size_t bytes, cudaStream_t stream = 0);
cudaError_t cudaDeviceSynchronize(void);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = 0);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *out);
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *out, cudaGraph_t graph,
                                          unsigned long long flags = 0);
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaFuncSetAttribute(const void *kernel, enum cudaFuncAttribute attribute, int value);
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *out, const void *kernel, int threads,
                                                          size_t shared);

/* How often a function of the runtime was called so far; emulated_launch: kernels, early: those
 * of them that may start beside those before. */
extern "C" size_t emulated_calls(const char *function);
/* How many different kernels were started so far; prints how to find the names of those from the one of that
 * number on, in the order in which they were first started. */
extern "C" size_t emulated_kernels(void);
extern "C" void emulated_name_kernels(size_t from);
extern "C" void emulated_watch(int on);
/* Queues what a library's call or a kernel does on a device; for a kernel, each thread of each block calls
 * it. */
cudaError_t emulated_queue(cudaStream_t stream, std::function<void()> work);
/* The same for what may have to wait for other processes: called until it says that it is done. */
cudaError_t emulated_queue_until(cudaStream_t stream, std::function<bool()> work);
cudaError_t emulated_launch(const void *kernel, dim3 grid, dim3 threads, size_t shared, cudaStream_t stream,
                            int early, std::function<void()> thread);

typedef enum { cudaLaunchAttributeProgrammaticStreamSerialization = 6 } cudaLaunchAttributeID;
typedef struct {
    cudaLaunchAttributeID id;
    union {
        int programmaticStreamSerializationAllowed;
    } val;
} cudaLaunchAttribute;
typedef struct cudaLaunchConfig_st {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
    cudaLaunchAttribute *attrs;
    unsigned numAttrs;
} cudaLaunchConfig_t;

template <class... TAKES, class... GIVEN>
static inline cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *how, void (*kernel)(TAKES...),
                                             GIVEN... given) {
    std::tuple<TAKES...> arguments(given...);
    int early = how->numAttrs && how->attrs->val.programmaticStreamSerializationAllowed;

    return emulated_launch((const void *)kernel, how->gridDim, how->blockDim, how->dynamicSmemBytes,
                           how->stream, early, [kernel, arguments] { std::apply(kernel, arguments); });
}

#endif
