#include "kernels/cuda/element.cuh"

/* Backward passes of norms and biases where the CPU's bits are not asked for: a warp has a row, and a
 * column's sum over rows is made in parts, which are added up in their order. It depends on nothing but the
 * rows and their number. */

#define ROWS   8  /* a block: a warp each */
#define PART   64 /* rows that are added up on their own */
#define NEAR   4  /* columns a thread, neighbours */
#define ACROSS (WARP * NEAR)

static __device__ __forceinline__ float warp_sum(float x) {
    for (int half = WARP / 2; half; half /= 2) x += __shfl_xor_sync(EVERYONE, x, half);
    return x;
}

struct norm {
    const float *dy, *x, *weight, *mean, *rstd; /* mean: NULL for RMSNorm */
    int rows, width;
    bool wide;
};

/* Of a row's columns from c on: g = dy weight and n, the normalised x. */
static __device__ __forceinline__ void slopes_at(float g[NEAR], float n[NEAR], const struct norm &norm,
                                                 int row, int c, float centre, float scale) {
    size_t at = (size_t)row * norm.width + c;
    int count = norm.width - c < NEAR ? norm.width - c : NEAR;
    float by[NEAR];

    take<NEAR>(g, norm.dy + at, count, norm.wide);
    take<NEAR>(n, norm.x + at, count, norm.wide);
    take<NEAR>(by, norm.weight + c, count, norm.wide);
#pragma unroll
    for (int i = 0; i < NEAR; i++) g[i] *= by[i], n[i] = i < count ? (n[i] - centre) * scale : 0;
}

/* dx += rstd (g - mean(g) - n mean(g n)); for RMSNorm without mean(g). */
static __global__ void __launch_bounds__(ROWS *WARP) inputs_kernel(float *dx, struct norm norm) {
    int row = blockIdx.x * ROWS + threadIdx.y;

    if (row >= norm.rows) return; /* a whole warp */
    float centre = norm.mean ? norm.mean[row] : 0, scale = norm.rstd[row], of_g = 0, of_gn = 0;
    float g[NEAR], n[NEAR], sum[NEAR];

    for (int c = threadIdx.x * NEAR; c < norm.width; c += ACROSS) {
        slopes_at(g, n, norm, row, c, centre, scale);
#pragma unroll
        for (int i = 0; i < NEAR; i++) of_g += g[i], of_gn = fmaf(g[i], n[i], of_gn);
    }
    of_g = norm.mean ? warp_sum(of_g) / (float)norm.width : 0;
    of_gn = warp_sum(of_gn) / (float)norm.width;
    for (int c = threadIdx.x * NEAR; c < norm.width; c += ACROSS) {
        float *out = dx + (size_t)row * norm.width + c;
        int count = norm.width - c < NEAR ? norm.width - c : NEAR;

        slopes_at(g, n, norm, row, c, centre, scale);
        take<NEAR>(sum, out, count, norm.wide);
#pragma unroll
        for (int i = 0; i < NEAR; i++) sum[i] += (g[i] - of_g - n[i] * of_gn) * scale;
        give<NEAR>(out, sum, count, norm.wide);
    }
}

/* What is added up over rows: of a norm's weight dy n, and of its bias dy; */
struct norm_sums {
    static const int SUMS = 2;
    struct norm norm;

    __device__ __forceinline__ void take_row(float sums[SUMS][NEAR], int row, int c, int count) const {
        size_t at = (size_t)row * norm.width + c;
        float centre = norm.mean ? __ldg(norm.mean + row) : 0, scale = __ldg(norm.rstd + row);
        float dy[NEAR], x[NEAR];

        take<NEAR>(dy, norm.dy + at, count, norm.wide);
        take<NEAR>(x, norm.x + at, count, norm.wide);
#pragma unroll
        for (int i = 0; i < NEAR; i++) sums[0][i] += dy[i] * ((x[i] - centre) * scale), sums[1][i] += dy[i];
    }
};

/* of a matrix product's bias dy. */
struct bias_sums {
    static const int SUMS = 1;
    const bf16 *dy;
    int width;
    bool wide;

    __device__ __forceinline__ void take_row(float sums[SUMS][NEAR], int row, int c, int count) const {
        float slopes[NEAR];

        take<NEAR>(slopes, dy + (size_t)row * width + c, count, wide);
#pragma unroll
        for (int i = 0; i < NEAR; i++) sums[0][i] += slopes[i];
    }
};

/* parts[part][sum][width]: rows r, r + 8, … of a part by each of 8 warps, then the warps in their order. */
template <class S>
static __global__ void __launch_bounds__(ROWS *WARP) parts_kernel(float *parts, S of, int rows, int width) {
    __shared__ __align__(16) float warps[ROWS][S::SUMS][ACROSS];
    int c = blockIdx.x * ACROSS + threadIdx.x * NEAR, count = width - c < NEAR ? width - c : NEAR;
    int from = blockIdx.y * PART, end = rows - from < PART ? rows : from + PART;
    int thread = threadIdx.y * WARP + threadIdx.x;
    float sums[S::SUMS][NEAR] = {};

#pragma unroll 4
    for (int row = from + threadIdx.y; row < end; row += ROWS)
        if (c < width) of.take_row(sums, row, c, count);
#pragma unroll
    for (int s = 0; s < S::SUMS; s++) store<NEAR>(warps[threadIdx.y][s] + threadIdx.x * NEAR, sums[s]);
    __syncthreads();
    for (int at = thread; at < S::SUMS * ACROSS; at += ROWS * WARP) {
        int s = at / ACROSS, column = blockIdx.x * ACROSS + at % ACROSS;
        float sum = 0;

        for (int w = 0; w < ROWS; w++) sum += warps[w][s][at % ACROSS];
        if (column < width) parts[((size_t)blockIdx.y * S::SUMS + s) * width + column] = sum;
    }
}

/* out[s][c] += the parts' sums: parts p, p + 8, … by each of 8 warps, then the warps in their order. */
static __global__ void __launch_bounds__(ROWS *WARP)
    add_parts(float *first, float *second, const float *parts, int count, int sums, int width) {
    __shared__ float warps[ROWS][WARP];
    int c = blockIdx.x * WARP + threadIdx.x, s = blockIdx.y;
    float *out = s ? second : first, sum = 0;

#pragma unroll 8
    for (int p = threadIdx.y; p < count; p += ROWS)
        if (c < width) sum += parts[((size_t)p * sums + s) * width + c];
    warps[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y || c >= width || !out) return;
    sum = out[c];
    for (int w = 0; w < ROWS; w++) sum += warps[w][threadIdx.x];
    out[c] = sum;
}

size_t parts_size_bf16(int rows, int width, int sums) {
    return (size_t)blocks_for(rows, PART) * sums * width * sizeof(float);
}

/* first and second, if not NULL, get the sums over the rows. */
template <class S>
static void add_rows(const char *operation, float *first, float *second, S of, int rows, int width) {
    int count = blocks_for(rows, PART);
    float *parts = (float *)device_scratch(parts_size_bf16(rows, width, S::SUMS));

    if (!parts || rows == 0 || width == 0) return;
    launch(operation, parts_kernel<S>, dim3(blocks_for(width, ACROSS), count), dim3(WARP, ROWS), 0, parts, of,
           rows, width);
    launch(operation, add_parts, dim3(blocks_for(width, WARP), S::SUMS), dim3(WARP, ROWS), 0, first, second,
           parts, count, S::SUMS, width);
}

static void run_backward(const char *operation, float *dx, float *dweight, float *dbias, struct norm norm) {
    if (norm.rows == 0) return;
    norm.wide = norm.width % NEAR == 0 && on_16_bytes(dx, norm.dy, norm.x, norm.weight);
    launch(operation, inputs_kernel, blocks_for(norm.rows, ROWS), dim3(WARP, ROWS), 0, dx, norm);
    if (dweight) add_rows(operation, dweight, dbias, norm_sums{norm}, norm.rows, norm.width);
}

void layernorm_backward_bf16_cuda(float *dx, float *dweight, float *dbias, const float *dy, const float *x,
                                  const float *weight, const float *mean, const float *rstd, int rows,
                                  int width) {
    run_backward("layernorm_backward", dx, dweight, dbias, {dy, x, weight, mean, rstd, rows, width, false});
}

void rmsnorm_backward_bf16_cuda(float *dx, float *dweight, const float *dy, const float *x,
                                const float *weight, const float *rstd, int rows, int width) {
    run_backward("rmsnorm_backward", dx, dweight, NULL, {dy, x, weight, NULL, rstd, rows, width, false});
}

void bias_backward_bf16_cuda(float *dbias, const operand *dy, int rows, int outs) {
    bool wide = outs % NEAR == 0 && on_16_bytes(dy);

    add_rows("bias_backward", dbias, nullptr, bias_sums{(const bf16 *)dy, outs, wide}, rows, outs);
}
