#include <limits.h>

#include "kernels/cuda/element.cuh"

#define THREADS 256
#define EACH    4 /* neighbours of a token's channels a thread */

/* Of a block's threads so many have a token's channels, others the next tokens'. */
static dim3 threads_of(int across) {
    int x = across < THREADS ? across : THREADS;

    return dim3(x, THREADS / x);
}

static __global__ void __launch_bounds__(THREADS)
    embed_kernel(float *out, const float *table, const float *positions, const int *token,
                 const int *position, int count, int width, float scale, bool wide) {
    int t = blockIdx.x * blockDim.y + threadIdx.y;

    start_successor();
    wait_for_predecessor();
    if (t >= count) return;
    const float *from = table + (size_t)token[t] * width;
    const float *place = positions ? positions + (size_t)position[t] * width : NULL;

    for (int c = threadIdx.x * EACH; c < width; c += blockDim.x * EACH) {
        int here = min(width - c, EACH);
        float x[EACH], more[EACH];

        take<EACH>(x, from + c, here, wide);
        if (place) take<EACH>(more, place + c, here, wide);
#pragma unroll
        for (int i = 0; i < EACH; i++) x[i] = place ? scale * x[i] + more[i] : scale * x[i];
        give<EACH>(out + (size_t)t * width + c, x, here, wide);
    }
}

void embed_cuda(float *out, const float *table, const float *positions, const int *token, const int *position,
                int count, int width, float scale) {
    if (count == 0 || width == 0) return;
    dim3 threads = threads_of(blocks_for(width, EACH));

    launch_chained("embed", embed_kernel, blocks_for(count, threads.y), threads, 0, out, table, positions,
                   token, position, count, width, scale,
                   width % EACH == 0 && on_16_bytes(out, table, positions));
}

#define ENTRIES 16384 /* that are sorted at a time; sums go on from one such part to the next */
#define TILE    256   /* entries that a block compares its own with, a thread each */

/* rank[i] += how many of the entries of tile blockIdx.y come before entry i, in the order of (index, i): of
 * the same index, those of earlier tiles do, and of the entry's own the earlier ones. */
static __global__ void __launch_bounds__(TILE) rank_kernel(int *rank, const int *index, int count) {
    __shared__ int near[TILE];
    int i = blockIdx.x * TILE + threadIdx.x, from = blockIdx.y * TILE + threadIdx.x, before = 0;
    int own = index[i < count ? i : count - 1];
    /* the least index that does not come before, but for the own tile's */
    int least = own + (blockIdx.y < blockIdx.x);

    near[threadIdx.x] = from < count ? index[from] : INT_MAX;
    __syncthreads();
    if (i >= count) return;
    if (blockIdx.x == blockIdx.y)
        for (int j = 0; j < (int)threadIdx.x; j++) before += near[j] == own;
#pragma unroll 16
    for (int j = 0; j < TILE; j++) before += near[j] < least;
    atomicAdd(rank + i, before);
}

static __global__ void sort_kernel(int *sorted, const int *rank, int count) {
    int i = blockIdx.x * THREADS + threadIdx.x;

    if (i < count) sorted[rank[i]] = i;
}

/* The block of an index's first entry adds up all its entries, in their order; the others have nothing to do.
 */
static __global__ void scatter_kernel(float *out, const float *x, const int *index, const int *sorted,
                                      int count, int width, float scale) {
    int at = blockIdx.x, row = index[sorted[at]], c = blockIdx.y * THREADS + threadIdx.x;

    if (c >= width || (at > 0 && index[sorted[at - 1]] == row)) return;
    float *target = out + (size_t)row * width + c, sum = *target;

#pragma unroll 4
    for (int e = at; e < count && index[sorted[e]] == row; e++)
        sum += scale * x[(size_t)sorted[e] * width + c];
    *target = sum;
}

#define SORTING (2 * ENTRIES * sizeof(int)) /* bytes of ranks and of what is sorted */
static_assert(SORTING <= LEAST_SCRATCH, "what is there without asking");

static void scatter(float *out, const float *x, const int *index, int count, int width, float scale) {
    int *rank = width ? (int *)device_scratch(SORTING) : NULL, *sorted = rank + ENTRIES;

    for (int from = 0; rank && from < count; from += ENTRIES) {
        int part = count - from < ENTRIES ? count - from : ENTRIES, blocks = blocks_for(part, THREADS);

        cuda_zero(rank, (size_t)part * sizeof *rank);
        launch("scatter_add", rank_kernel, dim3(blocks_for(part, TILE), blocks_for(part, TILE)), TILE, 0,
               rank, index + from, part);
        launch("scatter_add", sort_kernel, blocks, THREADS, 0, sorted, rank, part);
        launch("scatter_add", scatter_kernel, dim3(part, blocks_for(width, THREADS)), THREADS, 0, out,
               x + (size_t)from * width, index + from, sorted, part, width, scale);
    }
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
