/* What the operations are written in, private to the CUDA backend. Sums have the CPU's structure (chains of
 * fused multiply-adds, 16 lanes added in pairs), so that both backends give the same bits. Compiled with
 * -fmad=false: only fmaf() is fused. */
#ifndef KERNELS_CUDA_DEVICE_CUH
#define KERNELS_CUDA_DEVICE_CUH

#include <cuda_runtime.h>

extern "C" {
#include "kernels/cuda/cuda.h"
}
#include "kernels/cuda/instructions.cuh"

#define WIDTH          16 /* lanes of a sum: half a warp */
#define WARP           32
#define EVERYONE       0xffffffffu
#define MOST_SHARED    ((size_t)32 << 10) /* dynamic bytes a block gets without asking, see launch() */
#define ROUND16(count) (((count) + 15) / 16 * 16)

/* Notes the first failure for sync(). */
void note_failure(cudaError_t error, const char *what);
void note_trouble(const char *what, const char *why);
/* The same of a kernel that was queued, and of a wait, at which one of those fails. */
void note_launch(cudaError_t error, const char *operation);
void note_wait(cudaError_t error);
int device_failed(void);
/* The one stream of all operations and copies, for something to be queued there: sync() waits only where it
 * was asked for. */
cudaStream_t device_stream(void);
/* The same for a kernel of a chain, see launch_chained(); *follows: whether one was queued just before. */
cudaStream_t chain_stream(int *follows);
/* The same for a library's product, which leaves a chain one. */
cudaStream_t product_stream(void);
/* What transfers and sync() are made of (kernels/cuda/queue.cu): copies through pinned memory, in the order
 * of the calls, so that neither waits for the device unless all of that memory is on its way. */
cudaError_t queue_open(void);
void queue_upload(void *memory, const void *array, size_t bytes);
/* Into the array by the next settling; after a failure, zeros. */
void queue_fetch(void *array, const void *memory, size_t bytes);
/* Waits for all that is queued, and hands over what it brought. */
void queue_settle(void);
/* Between these, what is asked of the stream goes into the graph instead; transfers and settling fail. */
cudaError_t queue_record(void);
cudaError_t queue_recorded(cudaGraph_t *graph);
/* How often memory was freed: what was recorded before may hold its address. */
unsigned device_frees(void);
/* Returns when what operations wait for of other processes' devices has come or never will. */
void collective_watch(void);
/* Device memory that stays, of at least so many bytes, for intermediate results; NULL (and a noted failure)
 * when there is none. */
void *device_scratch(size_t bytes);
/* Bytes of it that an operation can have which says nothing of its need beforehand. */
#define LEAST_SCRATCH ((size_t)1 << 19)
/* Bytes of it that so many sums over rows of bf16 take (kernels/cuda/norm_bf16.cu). */
size_t parts_size_bf16(int rows, int width, int sums);
int multiprocessors(void);
size_t most_shared(void);     /* bytes that a block may have */
int compute_capability(void); /* times 10 */
/* Whether kernels that use groups of warps (instructions.cuh) run here, and were built. */
static inline int have_groups(void) {
#ifdef HAVE_GROUPS
    return compute_capability() == 90;
#else
    return 0;
#endif
}
/* Dynamic shared memory beyond MOST_SHARED; 0 if this device has not so much. */
int allow_shared(const void *kernel, size_t bytes, const char *operation);

/* Starts a kernel; sync() gives what it fails with. Without asking a block gets 48 KiB, of which up to 16 are
 * left for what a kernel with dynamic shared memory declares beside it. */
template <class... TAKES, class... GIVEN>
static void launch(const char *operation, void (*kernel)(TAKES...), dim3 grid, dim3 threads, size_t shared,
                   GIVEN... given) {
    cudaLaunchConfig_t how = {};

    if (shared > MOST_SHARED && !allow_shared((const void *)kernel, shared, operation)) return;
    how.gridDim = grid;
    how.blockDim = threads;
    how.dynamicSmemBytes = shared;
    how.stream = device_stream();
    note_launch(cudaLaunchKernelEx(&how, kernel, given...), operation);
}

/* The same for one that calls start_successor(), and wait_for_predecessor() in every thread before this reads
 * what a kernel of its kind may have written, or writes anything. Those that are queued in a row are a chain:
 * a next one's blocks start beside the last one's, and what they read before they wait (weights, a cache) was
 * written before the chain began, as everything that is not such a kernel ends it, but for a library's
 * products: these start when all before them has ended, and write activations, scratch memory and gradients.
 */
template <class... TAKES, class... GIVEN>
static void launch_chained(const char *operation, void (*kernel)(TAKES...), dim3 grid, dim3 threads,
                           size_t shared, GIVEN... given) {
    cudaLaunchAttribute early = {};
    cudaLaunchConfig_t how = {};
    int follows;

    if (shared > MOST_SHARED && !allow_shared((const void *)kernel, shared, operation)) return;
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    how.gridDim = grid;
    how.blockDim = threads;
    how.dynamicSmemBytes = shared;
    how.stream = chain_stream(&follows);
    how.attrs = &early;
    how.numAttrs = follows && compute_capability() >= 90;
    note_launch(cudaLaunchKernelEx(&how, kernel, given...), operation);
}

/* As many blocks as run at a time, which take tasks in turns; 0 if the device cannot run one. Asked once. */
static inline int resident_blocks(int *known, const void *kernel, int threads, size_t bytes,
                                  const char *operation) {
    if (*known) return *known;
    if (!allow_shared(kernel, bytes, operation)) return 0;
    note_failure(cudaOccupancyMaxActiveBlocksPerMultiprocessor(known, kernel, threads, bytes), operation);
    if (!*known) note_failure(cudaErrorLaunchOutOfResources, operation);
    return *known *= multiprocessors();
}

static inline int blocks_for(size_t count, int each) {
    return (int)((count + each - 1) / each);
}

/* As exp_of() on the CPU, to the bit. */
static __device__ __forceinline__ float exp_of(float x) {
    const float shifter = 0x1.8p23f;
    float low = x < -104.0f ? -104.0f : x, y = low > 89.0f ? 89.0f : low;
    float shifted = y * 0x1.715476p0f + shifter, n = shifted - shifter;
    float r = y - n * 0.693359375f, p = 1.9875691500e-4f;
    int exponent = __float_as_int(shifted) - 0x4b400000, half = exponent >> 1;

    r = r - n * -2.12194440e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return p * __int_as_float((half + 127) << 23) * __int_as_float((exponent - half + 127) << 23);
}

/* What a product of query and key scores, as on the CPU. */
static __device__ __forceinline__ float score_of(float product, float scale, float cap) {
    return cap > 0 ? (2 / (1 + exp_of(product * (-2 * scale / cap))) - 1) * cap : product * scale;
}

/* Whether the block is the last to come here of so many that share a counter: then it sees what all of them
 * wrote before, and the counter, 0 at first, is 0 again. */
static __device__ __forceinline__ bool comes_last(unsigned *counter, unsigned blocks) {
    __shared__ bool last;

    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomicAdd(counter, 1u) + 1 == blocks;
        if (last) *counter = 0;
    }
    __syncthreads();
    if (last) __threadfence();
    return last;
}

/* N neighbouring floats of shared memory, aligned to as many. */
template <int N> static __device__ __forceinline__ void load(float *out, const float *in) {
    if (N == 4) {
        float4 four = *(const float4 *)in;

        out[0] = four.x, out[1] = four.y, out[2] = four.z, out[3] = four.w;
    } else if (N == 2) {
        float2 two = *(const float2 *)in;

        out[0] = two.x, out[1] = two.y;
    } else {
        for (int i = 0; i < N; i++) out[i] = in[i];
    }
}

template <int N> static __device__ __forceinline__ void store(float *out, const float *in) {
    if (N == 4)
        *(float4 *)out = make_float4(in[0], in[1], in[2], in[3]);
    else if (N == 2)
        *(float2 *)out = make_float2(in[0], in[1]);
    else
        for (int i = 0; i < N; i++) out[i] = in[i];
}

/* The lanes of a half-warp added in pairs: l with l + 8, then + 4, + 2, + 1. Lane 0's result, given to all.
 */
static __device__ __forceinline__ float lanes_sum(float lane) {
    for (int half = WIDTH / 2; half; half /= 2) lane += __shfl_down_sync(EVERYONE, lane, half, WIDTH);
    return __shfl_sync(EVERYONE, lane, 0, WIDTH);
}

static __device__ __forceinline__ float lanes_max(float lane) {
    for (int half = WIDTH / 2; half; half /= 2) {
        float other = __shfl_xor_sync(EVERYONE, lane, half, WIDTH);

        lane = other > lane ? other : lane;
    }
    return lane;
}

#endif
