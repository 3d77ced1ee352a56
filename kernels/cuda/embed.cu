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
#define TABLES  2     /* that entries may go to at once, each by indices of its own: the layers of a grid */

/* out[index[i]] += scale x[i] */
struct table {
    float *out;
    const int *index;
    float scale;
};

struct scattering {
    struct table tables[TABLES];
    const float *x;
};

/* Not by an index: arguments have no place that could be indexed. */
static __device__ __forceinline__ struct table table_of(const struct scattering &of, int number) {
    return number ? of.tables[1] : of.tables[0];
}

/* For each table the entries' ranks, and by rank the entries and their indices. */
struct sorting {
    int rank[TABLES][ENTRIES], entry[TABLES][ENTRIES], index[TABLES][ENTRIES];
};
static_assert(sizeof(struct sorting) <= LEAST_SCRATCH, "what is there without asking");

/* rank[i] += how many of the entries of tile blockIdx.y come before entry i, in the order of (index, i): of
 * the same index, those of earlier tiles do, and of the entry's own the earlier ones. */
static __global__ void __launch_bounds__(TILE)
    rank_kernel(struct sorting *by, struct scattering to, int count) {
    __shared__ int near[TILE];
    const int *index = table_of(to, blockIdx.z).index;
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
    atomicAdd(by->rank[blockIdx.z] + i, before);
}

static __global__ void sort_kernel(struct sorting *by, struct scattering to, int count) {
    int i = blockIdx.x * THREADS + threadIdx.x, table = blockIdx.y;

    if (i >= count) return;
    int rank = by->rank[table][i];

    by->entry[table][rank] = i;
    by->index[table][rank] = table_of(to, table).index[i];
}

#define TOGETHER 8 /* entries on their way to a thread */

/* sum += scale times the entries' groups. */
template <bool WIDE>
static __device__ __forceinline__ void add_entries(float sum[EACH], const float *x, const int *entries,
                                                   int count, int width, int here, float scale) {
    for (int from = 0; from < count; from += TOGETHER) {
        float more[TOGETHER][EACH];

#pragma unroll
        for (int i = 0; i < TOGETHER; i++)
            if (from + i < count)
                take<EACH>(more[i], x + (size_t)entries[from + i] * width, WIDE ? EACH : here, WIDE);
#pragma unroll
        for (int i = 0; i < TOGETHER; i++)
#pragma unroll
            for (int e = 0; e < EACH; e++)
                if (from + i < count) sum[e] += scale * more[i][e];
    }
}

/* The block of an index's first entry adds up all its entries, in their order; the others have nothing to do.
 */
template <bool WIDE>
static __global__ void __launch_bounds__(THREADS)
    scatter_kernel(const struct sorting *by, struct scattering to, int count, int width) {
    __shared__ int entries[THREADS];
    struct table table = table_of(to, blockIdx.z);
    const int *index = by->index[blockIdx.z], *entry = by->entry[blockIdx.z];
    int at = blockIdx.x, row = index[at], c = (blockIdx.y * blockDim.x + threadIdx.x) * EACH, found;
    int here = min(width - c, EACH);
    float *out = table.out + (size_t)row * width + c, sum[EACH];

    if (at > 0 && index[at - 1] == row) return;
    if (here > 0) take<EACH>(sum, out, here, WIDE);
    for (int e = at + threadIdx.x;; e += blockDim.x) {
        bool own = e < count && index[e] == row;

        if (e < count) entries[threadIdx.x] = entry[e];
        found = __syncthreads_count(own);
        if (here > 0) add_entries<WIDE>(sum, to.x + c, entries, found, width, here, table.scale);
        if (found < (int)blockDim.x) break;
        __syncthreads();
    }
    if (here > 0) give<EACH>(out, sum, here, WIDE);
}

static void scatter_part(struct sorting *by, const struct scattering &to, int tables, int count, int width) {
    int threads = min(blocks_for(width, EACH * WARP) * WARP, THREADS), tiles = blocks_for(count, TILE);
    dim3 blocks(count, blocks_for(width, EACH * threads), tables);

    cuda_zero(by->rank, tables * sizeof by->rank[0]);
    launch("scatter_add", rank_kernel, dim3(tiles, tiles, tables), TILE, 0, by, to, count);
    launch("scatter_add", sort_kernel, dim3(blocks_for(count, THREADS), tables), THREADS, 0, by, to, count);
    if (width % EACH == 0 && on_16_bytes(to.x, to.tables[0].out, to.tables[1].out))
        launch("scatter_add", scatter_kernel<true>, blocks, threads, 0, by, to, count, width);
    else
        launch("scatter_add", scatter_kernel<false>, blocks, threads, 0, by, to, count, width);
}

static void scatter(struct scattering to, int tables, int count, int width) {
    struct sorting *by = width ? (struct sorting *)device_scratch(sizeof *by) : NULL;

    for (int left = count, part; by && left > 0; left -= part) {
        part = left < ENTRIES ? left : ENTRIES;
        scatter_part(by, to, tables, part, width);
        to.x += (size_t)part * width;
        for (int t = 0; t < tables; t++) to.tables[t].index += part;
    }
}

void scatter_add_cuda(float *out, const float *x, const int *index, int count, int width) {
    scatter({{{out, index, 1}}, x}, 1, count, width);
}

void embed_backward_cuda(float *dtable, float *dpositions, const float *dout, const int *token,
                         const int *position, int count, int width, float scale) {
    scatter({{{dtable, token, scale}, {dpositions, position, 1}}, dout}, dpositions ? 2 : 1, count, width);
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
