#include "kernels/cuda/device.cuh"

#define THREADS 256

static __global__ void embed_kernel(float *out, const float *table, const float *positions, const int *token,
                                    const int *position, size_t count, int width, float scale) {
    size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;

    if (i >= count) return;
    size_t t = i / width, c = i % width;
    float value = scale * table[(size_t)token[t] * width + c];

    out[i] = positions ? value + positions[(size_t)position[t] * width + c] : value;
}

void embed_cuda(float *out, const float *table, const float *positions, const int *token, const int *position,
                int count, int width, float scale) {
    size_t size = (size_t)count * width;

    if (size == 0) return;
    launch("embed", embed_kernel, blocks_for(size, THREADS), THREADS, 0, out, table, positions, token,
           position, size, width, scale);
}

/* Numbers the threads that say yes, in their order; returns how many do. */
static __device__ int number_matches(int matches, int *number) {
    __shared__ int before[THREADS / WARP + 1];
    int warp = threadIdx.x / WARP;
    unsigned votes = __ballot_sync(EVERYONE, matches);

    __syncthreads();
    if (threadIdx.x % WARP == 0) before[warp + 1] = __popc(votes);
    __syncthreads();
    if (threadIdx.x == 0) {
        before[0] = 0;
        for (int w = 0; w < THREADS / WARP; w++) before[w + 1] += before[w];
    }
    __syncthreads();
    *number = before[warp] + __popc(votes & ((1u << threadIdx.x % WARP) - 1));
    return before[THREADS / WARP];
}

/* The block of an index's first entry adds up all its entries, in their order; the others have nothing to do.
 */
static __global__ void scatter_kernel(float *out, const float *x, const int *index, int count, int width,
                                      float scale) {
    __shared__ int entries[THREADS];
    int first = blockIdx.x, row = index[first], c = blockIdx.y * THREADS + threadIdx.x;
    float *target = out + (size_t)row * width + c;
    float sum = c < width ? *target : 0;

    for (int from = 0; from < count; from += THREADS) {
        int i = from + threadIdx.x, matches = i < count && index[i] == row, number, found;

        if (__syncthreads_or(matches && i < first)) return;
        found = number_matches(matches, &number);
        if (matches) entries[number] = i;
        __syncthreads();
        for (int e = 0; e < found && c < width; e++) sum += scale * x[(size_t)entries[e] * width + c];
    }
    if (c < width) *target = sum;
}

static void scatter(float *out, const float *x, const int *index, int count, int width, float scale) {
    if (count == 0 || width == 0) return;
    launch("scatter_add", scatter_kernel, dim3(count, blocks_for(width, THREADS)), THREADS, 0, out, x, index,
           count, width, scale);
}

void scatter_add_cuda(float *out, const float *x, const int *index, int count, int width) {
    scatter(out, x, index, count, width, 1);
}

void embed_backward_cuda(float *dtable, float *dpositions, const float *dout, const int *token,
                         const int *position, int count, int width, float scale) {
    scatter(dtable, dout, token, count, width, scale);
    if (dpositions) scatter(dpositions, dout, position, count, width, 1);
}

template <class WORD>
static __global__ void gather_kernel(WORD *out, const WORD *x, const int *index, size_t count, size_t words) {
    size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;

    if (i < count) out[i] = x[index[i / words] * words + i % words];
}

template <class WORD>
static void gather(void *out, const void *x, const int *index, int count, size_t bytes) {
    size_t words = bytes / sizeof(WORD), size = count * words;

    if (size == 0) return;
    launch("gather", gather_kernel<WORD>, blocks_for(size, THREADS), THREADS, 0, (WORD *)out, (const WORD *)x,
           index, size, words);
}

void gather_cuda(void *out, const void *x, const int *index, int count, size_t bytes) {
    size_t all = (size_t)out | (size_t)x | bytes;

    if (all % sizeof(uint4) == 0)
        gather<uint4>(out, x, index, count, bytes);
    else if (all % sizeof(unsigned) == 0)
        gather<unsigned>(out, x, index, count, bytes);
    else
        gather<unsigned char>(out, x, index, count, bytes);
}
