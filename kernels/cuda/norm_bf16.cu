#include "kernels/cuda/element.cuh"

/* Backward passes of norms and biases where the CPU's bits are not asked for: a column's sum over rows is
 * made in parts, which are added up in their order. It depends on nothing but the rows and their number. */

#define PART    32 /* rows of a norm that are added up on their own, by a block */
#define NEAR    4  /* columns a thread, neighbours; of several groups, a block's threads apart */
#define MOST    1024
#define GROUPED 8 /* groups that a thread has at most */

struct norm {
    float *dx;
    bf16 *rounded;
    const float *dy, *x, *weight, *mean, *rstd; /* mean: NULL for RMSNorm */
    int rows, width;
    bool wide;
};

/* What a thread has of some rows on their way; zeros beyond the last row and column. */
template <int ROWS, int GROUPS> struct lines {
    float dy[ROWS][GROUPS][NEAR], x[ROWS][GROUPS][NEAR], dx[ROWS][GROUPS][NEAR];
    float centre[ROWS], scale[ROWS];
};

static __device__ __forceinline__ int column_of(int group) {
    return (group * blockDim.x + threadIdx.x) * NEAR;
}

/* How many of the group's columns there are, none at all beyond `end`. WHOLE: the block's threads have all of
 * them, on their alignment, and parts all of their rows. */
template <bool WHOLE>
static __device__ __forceinline__ int columns_at(const struct norm &norm, int row, int end, int c) {
    int left = WHOLE ? NEAR : row < end ? norm.width - c : 0;

    return left < NEAR ? left : NEAR;
}

template <bool WHOLE, int ROWS, int GROUPS>
static __device__ __forceinline__ void take_lines(lines<ROWS, GROUPS> &out, const struct norm &norm, int row,
                                                  int end) {
    if (WHOLE && row >= end) return;
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
#pragma unroll
        for (int g = 0; g < GROUPS; g++) {
            int c = column_of(g), count = columns_at<WHOLE>(norm, row + r, end, c);
            size_t at = (size_t)(row + r) * norm.width + c;

            take<NEAR>(out.dy[r][g], norm.dy + at, count, WHOLE || norm.wide);
            take<NEAR>(out.x[r][g], norm.x + at, count, WHOLE || norm.wide);
            take<NEAR>(out.dx[r][g], norm.dx + at, count, WHOLE || norm.wide);
        }
        out.centre[r] = norm.mean && (WHOLE || row + r < end) ? norm.mean[row + r] : 0;
        out.scale[r] = WHOLE || row + r < end ? norm.rstd[row + r] : 0;
    }
}

/* COUNT numbers of every lane's, a power of 2, added up over the warp: lane l gets the sum of number
 * l * COUNT / 32. */
template <int COUNT> static __device__ __forceinline__ float warp_sums(float x[COUNT]) {
    int lane = threadIdx.x % WARP, half = WARP / 2;

#pragma unroll
    for (int left = COUNT / 2; left; left /= 2, half /= 2) {
        bool upper = lane & half;

#pragma unroll
        for (int i = 0; i < left; i++) {
            float given = upper ? x[i] : x[i + left], kept = upper ? x[i + left] : x[i];

            x[i] = kept + __shfl_xor_sync(EVERYONE, given, half);
        }
    }
#pragma unroll
    for (; half; half /= 2) x[0] += __shfl_xor_sync(EVERYONE, x[0], half);
    return x[0];
}

/* The same over the block, whose warps are added up in their order: all sums for every thread. */
template <int COUNT>
static __device__ __forceinline__ void block_sums(float x[COUNT], float warps[MOST / WARP][COUNT]) {
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    float sum = warp_sums<COUNT>(x);

    if (lane % (WARP / COUNT) == 0) warps[warp][lane / (WARP / COUNT)] = sum;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < COUNT; i++) x[i] = 0;
    for (int w = 0; w < (int)blockDim.x / WARP; w++)
#pragma unroll
        for (int i = 0; i < COUNT; i++) x[i] += warps[w][i];
}

/* With n the normalised x and g = dy weight: mean(g), for RMSNorm 0, and mean(g n) of each row. */
template <bool WHOLE, int ROWS, int GROUPS>
static __device__ __forceinline__ void means_of(float means[2 * ROWS], const lines<ROWS, GROUPS> &now,
                                                const struct norm &norm, float warps[MOST / WARP][2 * ROWS]) {
    float by[NEAR];

#pragma unroll
    for (int i = 0; i < 2 * ROWS; i++) means[i] = 0;
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
        take<NEAR>(by, norm.weight + column_of(g), columns_at<WHOLE>(norm, 0, 1, column_of(g)),
                   WHOLE || norm.wide);
#pragma unroll
        for (int r = 0; r < ROWS; r++)
#pragma unroll
            for (int i = 0; i < NEAR; i++) {
                float slope = now.dy[r][g][i] * by[i];

                means[2 * r] += slope;
                means[2 * r + 1] =
                    fmaf(slope, (now.x[r][g][i] - now.centre[r]) * now.scale[r], means[2 * r + 1]);
            }
    }
    block_sums<2 * ROWS>(means, warps);
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        means[2 * r] = norm.mean ? means[2 * r] / (float)norm.width : 0;
        means[2 * r + 1] = means[2 * r + 1] / (float)norm.width;
    }
}

/* dx += rstd (g - mean(g) - n mean(g n)); sums += dy n and dy, a row after the other. */
template <bool WHOLE, int ROWS, int GROUPS>
static __device__ __forceinline__ void give_lines(float sums[2][GROUPS][NEAR], lines<ROWS, GROUPS> &now,
                                                  const float means[2 * ROWS], const struct norm &norm,
                                                  int row, int end) {
    float by[NEAR];

#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
        int c = column_of(g);

        take<NEAR>(by, norm.weight + c, columns_at<WHOLE>(norm, 0, 1, c), WHOLE || norm.wide);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            int count = columns_at<WHOLE>(norm, row + r, end, c);
            size_t at = (size_t)(row + r) * norm.width + c;
            float *dx = now.dx[r][g];

#pragma unroll
            for (int i = 0; i < NEAR; i++) {
                float dy = now.dy[r][g][i], n = (now.x[r][g][i] - now.centre[r]) * now.scale[r];

                dx[i] += (dy * by[i] - means[2 * r] - n * means[2 * r + 1]) * now.scale[r];
                sums[0][g][i] += dy * n;
                sums[1][g][i] += dy;
            }
            give<NEAR>(norm.dx + at, dx, count, WHOLE || norm.wide);
            if (norm.rounded) give<NEAR>(norm.rounded + at, dx, count, WHOLE || norm.wide);
        }
    }
}

/* dx of a part's rows, ROWS at a time, while the next are on their way; parts[part][2][width] (NULL: not
 * wanted): their sums. */
template <bool WHOLE, int THREADS, int BLOCKS, int ROWS, int GROUPS>
static __global__ void __launch_bounds__(THREADS, BLOCKS) norm_kernel(float *parts, struct norm norm) {
    __shared__ __align__(16) float warps[2][MOST / WARP][2 * ROWS];
    int from = blockIdx.x * PART, end = norm.rows - from < PART ? norm.rows : from + PART;
    float sums[2][GROUPS][NEAR] = {}, means[2 * ROWS];
    lines<ROWS, GROUPS> turns[2];

    take_lines<WHOLE>(turns[0], norm, from, end);
    for (int row = from; row < end; row += 2 * ROWS)
#pragma unroll
        for (int turn = 0; turn < 2; turn++) {
            int at = row + turn * ROWS;

            take_lines<WHOLE>(turns[!turn], norm, at + ROWS, end);
            means_of<WHOLE>(means, turns[turn], norm, warps[turn]);
            give_lines<WHOLE>(sums, turns[turn], means, norm, at, end);
        }
#pragma unroll
    for (int s = 0; parts && s < 2; s++)
#pragma unroll
        for (int g = 0; g < GROUPS; g++)
            give<NEAR>(parts + ((size_t)blockIdx.x * 2 + s) * norm.width + column_of(g), sums[s][g],
                       columns_at<WHOLE>(norm, 0, 1, column_of(g)), WHOLE || norm.wide);
}

#define BIAS_PART  64 /* rows of a bias's gradient that are added up on their own */
#define BIAS_WARPS 8  /* of a block, which has a part of so many rows at a time */
#define BIAS_NEAR  8  /* columns a thread */
#define ACROSS     (WARP * BIAS_NEAR)

/* parts[part][width]: rows r, r + 8, … of a part by each of 8 warps, then the warps in their order. */
static __global__ void __launch_bounds__(BIAS_WARPS *WARP)
    bias_kernel(float *parts, const bf16 *dy, int rows, int width, bool wide) {
    __shared__ __align__(16) float warps[BIAS_WARPS][ACROSS];
    int c = blockIdx.x * ACROSS + threadIdx.x * BIAS_NEAR;
    int count = width - c < BIAS_NEAR ? width - c : BIAS_NEAR;
    int from = blockIdx.y * BIAS_PART, end = rows - from < BIAS_PART ? rows : from + BIAS_PART;
    int column = threadIdx.y * WARP + threadIdx.x, all = blockIdx.x * ACROSS + column;
    float slopes[BIAS_NEAR], sums[BIAS_NEAR] = {}, sum = 0;

#pragma unroll
    for (int r = 0; r < BIAS_PART; r += BIAS_WARPS) {
        int row = from + r + threadIdx.y;

        take<BIAS_NEAR>(slopes, dy + (size_t)row * width + c, row < end ? count : 0, wide);
#pragma unroll
        for (int i = 0; i < BIAS_NEAR; i++) sums[i] += slopes[i];
    }
    store_group<BIAS_NEAR>(warps[threadIdx.y] + threadIdx.x * BIAS_NEAR, sums);
    __syncthreads();
#pragma unroll
    for (int w = 0; w < BIAS_WARPS; w++) sum += warps[w][column];
    if (all < width) parts[(size_t)blockIdx.y * width + all] = sum;
}

static_assert(BIAS_WARPS * WARP == ACROSS, "a thread adds up a column");

/* out[s][c] += the parts' sums: parts p, p + 32, … by each of 32 warps, then the warps in their order. */
static __global__ void __launch_bounds__(MOST)
    add_parts(float *first, float *second, const float *parts, int count, int sums, int width) {
    __shared__ float warps[MOST / WARP][WARP];
    int c = blockIdx.x * WARP + threadIdx.x, s = blockIdx.y;
    float *out = s ? second : first, sum = 0;

#pragma unroll 4
    for (int p = threadIdx.y; p < count; p += MOST / WARP)
        if (c < width) sum += parts[((size_t)p * sums + s) * width + c];
    warps[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y || c >= width || !out) return;
    sum = out[c];
#pragma unroll
    for (int w = 0; w < MOST / WARP; w++) sum += warps[w][threadIdx.x];
    out[c] = sum;
}

/* For norms; biases have fewer parts. */
size_t parts_size_bf16(int rows, int width, int sums) {
    return (size_t)blocks_for(rows, PART) * sums * width * sizeof(float);
}

/* first and second, if not NULL, get the sums over the rows. */
static void join_parts(const char *operation, float *first, float *second, const float *parts, int count,
                       int sums, int width) {
    launch(operation, add_parts, dim3(blocks_for(width, WARP), sums), dim3(WARP, MOST / WARP), 0, first,
           second, parts, count, sums, width);
}

template <int THREADS, int BLOCKS, int ROWS, int GROUPS>
static void run_lines(const char *operation, float *parts, const struct norm &norm) {
    int threads = blocks_for(norm.width, NEAR * GROUPS * WARP) * WARP;
    int whole = norm.wide && norm.width == threads * NEAR * GROUPS && norm.rows % PART == 0;

    launch(operation,
           whole ? norm_kernel<true, THREADS, BLOCKS, ROWS, GROUPS>
                 : norm_kernel<false, THREADS, BLOCKS, ROWS, GROUPS>,
           blocks_for(norm.rows, PART), threads, 0, parts, norm);
}

/* A thread has so much on its way that its registers hold it; of the widest rows, what they do not. */
static void run_norm(const char *operation, float *parts, const struct norm &norm) {
    int groups = blocks_for(norm.width, NEAR * 256);

    if (groups <= 1)
        run_lines<256, 2, 4, 1>(operation, parts, norm);
    else if (groups <= 2)
        run_lines<256, 1, 2, 2>(operation, parts, norm);
    else if (groups <= 4)
        run_lines<256, 1, 1, 4>(operation, parts, norm);
    else if (groups <= 8)
        run_lines<512, 1, 1, 4>(operation, parts, norm);
    else if (norm.width <= MOST * GROUPED * NEAR)
        run_lines<MOST, 1, 1, GROUPED>(operation, parts, norm);
    else
        note_trouble(operation, "rows of more than 32768 columns");
}

static void run_backward(const char *operation, float *dweight, float *dbias, struct norm norm) {
    size_t bytes = parts_size_bf16(norm.rows, norm.width, 2);
    float *parts = dweight ? (float *)device_scratch(bytes) : NULL;

    if (norm.rows == 0 || (dweight && !parts)) return;
    norm.wide = norm.width % NEAR == 0 && on_16_bytes(norm.dx, norm.dy, norm.x, norm.weight) &&
                on_16_bytes(norm.rounded);
    run_norm(operation, parts, norm);
    if (dweight) join_parts(operation, dweight, dbias, parts, blocks_for(norm.rows, PART), 2, norm.width);
}

void layernorm_backward_bf16_cuda(float *dx, operand *rounded, float *dweight, float *dbias, const float *dy,
                                  const float *x, const float *weight, const float *mean, const float *rstd,
                                  int rows, int width) {
    run_backward("layernorm_backward", dweight, dbias,
                 {dx, (bf16 *)rounded, dy, x, weight, mean, rstd, rows, width, false});
}

void rmsnorm_backward_bf16_cuda(float *dx, operand *rounded, float *dweight, const float *dy, const float *x,
                                const float *weight, const float *rstd, int rows, int width) {
    run_backward("rmsnorm_backward", dweight, NULL,
                 {dx, (bf16 *)rounded, dy, x, weight, NULL, rstd, rows, width, false});
}

void bias_backward_bf16_cuda(float *dbias, const operand *dy, int rows, int outs) {
    float *parts = (float *)device_scratch(parts_size_bf16(rows, outs, 1));

    if (!parts || rows == 0 || outs == 0) return;
    launch("bias_backward", bias_kernel, dim3(blocks_for(outs, ACROSS), blocks_for(rows, BIAS_PART)),
           dim3(WARP, BIAS_WARPS), 0, parts, (const bf16 *)dy, rows, outs,
           outs % BIAS_NEAR == 0 && on_16_bytes(dy));
    join_parts("bias_backward", dbias, NULL, parts, blocks_for(rows, BIAS_PART), 1, outs);
}
