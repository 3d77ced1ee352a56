#include "kernels/cuda/ending.cuh"
#include "kernels/cuda/few.cuh"

/* Products x w' of few rows, as decoding makes them. They take the time in which their weights come, so that
 * all that counts is that many of these are on their way at a time, from the start: a block has few columns,
 * its warps share out k, and each asks for its weights before it waits for x. Nothing passes through shared
 * memory: lanes load 16 bytes of a line of w or x into registers, eight neighbours in k, and multiply() may
 * take these in any order that both sides have. The warps' sums are added in their order; where columns alone
 * would fill too few multiprocessors, k is shared out among blocks too, of which the last to end adds up what
 * all have left, in their order. */

#define STEP       32 /* of k: four lanes' loads */
#define EACH       4  /* neighbours of out a thread */
#define MOST_TILES 512

/* 16 TALL rows and 8 BROAD columns of out a block of so many WARPS; weights of so many steps AHEAD. */
template <int TALL_, int BROAD_, int WARPS_, int AHEAD_> struct strip {
    static const int TALL = TALL_, BROAD = BROAD_, WARPS = WARPS_, AHEAD = AHEAD_;
    static const int ROWS = 16 * TALL, COLS = 8 * BROAD, THREADS = WARPS * WARP;
    static const int PITCH = BROAD == 1 ? COLS : COLS + 8; /* four lines' pairs are on different banks */
    static const int SUMS = ROWS * PITCH, SHARED = WARPS * SUMS * (int)sizeof(float); /* floats; bytes */
    static const int GROUPS = ROWS * COLS / EACH, PASSES = (GROUPS + THREADS - 1) / THREADS;
};

/* Sums of blocks that share a tile: how many blocks have left theirs. All 0 between products. */
static __device__ unsigned arrived[MOST_TILES];

/* Eight neighbours in k of a line; zeros outside. */
static __device__ __forceinline__ uint4 eight_at(const bf16 *line, int k, int depth, bool there) {
    return there && k < depth ? *(const uint4 *)(line + k) : make_uint4(0, 0, 0, 0);
}

/* A lane's part of one step of the weights: of the lines lane / 4, + 8, … of the block's columns. */
template <class S>
static __device__ __forceinline__ void take_weights(uint4 out[S::BROAD], const struct product &p, int col,
                                                    int k) {
#pragma unroll
    for (int j = 0; j < S::BROAD; j++) {
        int c = col + 8 * j;

        out[j] = eight_at((const bf16 *)p.right + (size_t)c * p.right_stride, k, p.depth, c < p.cols);
    }
}

/* sum += one step's x and weights. */
template <class S>
static __device__ __forceinline__ void add_step(float sum[S::TALL][S::BROAD][4], const struct product &p,
                                                const uint4 w[S::BROAD], int row, int k) {
#pragma unroll
    for (int i = 0; i < S::TALL; i++) {
        int r = row + 16 * i;
        const bf16 *line = (const bf16 *)p.left + (size_t)r * p.left_stride;
        uint4 low = eight_at(line, k, p.depth, r < p.rows);
        uint4 high = eight_at(line + (size_t)8 * p.left_stride, k, p.depth, r + 8 < p.rows);
        const unsigned first[4] = {low.x, high.x, low.y, high.y}, second[4] = {low.z, high.z, low.w, high.w};

#pragma unroll
        for (int j = 0; j < S::BROAD; j++) {
            const unsigned one[2] = {w[j].x, w[j].y}, other[2] = {w[j].z, w[j].w};

            multiply(sum[i][j], first, one);
            multiply(sum[i][j], second, other);
        }
    }
}

/* A warp's sums to its place in shared memory, [ROWS][PITCH]. */
template <class S>
static __device__ __forceinline__ void leave_sums(float *shared, const float sum[S::TALL][S::BROAD][4]) {
    float *at = shared + threadIdx.x % WARP / 4 * S::PITCH + threadIdx.x % 4 * 2;

#pragma unroll
    for (int i = 0; i < S::TALL; i++)
#pragma unroll
        for (int j = 0; j < S::BROAD; j++) {
            float *to = at + 16 * i * S::PITCH + 8 * j;

            *(float2 *)to = make_float2(sum[i][j][0], sum[i][j][1]);
            *(float2 *)(to + 8 * S::PITCH) = make_float2(sum[i][j][2], sum[i][j][3]);
        }
}

/* out = the sum of `count` groups, `stride` apart. */
static __device__ __forceinline__ void add_groups(float out[EACH], const float *in, int count, int stride) {
    load<EACH>(out, in);
    for (int n = 1; n < count; n++) {
        float more[EACH];

        load<EACH>(more, in + (size_t)n * stride);
#pragma unroll
        for (int e = 0; e < EACH; e++) out[e] += more[e];
    }
}

/* The thread's group number `pass` of the block's tile. */
template <class S> struct group_of {
    int number, r, c;

    __device__ __forceinline__ group_of(int pass)
        : number(pass * S::THREADS + threadIdx.x), r(number / (S::COLS / EACH)),
          c(number % (S::COLS / EACH) * EACH) {
    }
    __device__ __forceinline__ bool inside(const struct product &p, int row, int col) const {
        return number < S::GROUPS && row + r < p.rows && col + c < p.cols;
    }
};

/* Whether this block is the last of its tile's to leave its sums in parts[block][GROUPS][EACH]. */
template <class S>
static __device__ __forceinline__ bool is_last(const float *shared, float *parts, const struct product &p,
                                               int row, int col) {
#pragma unroll
    for (int pass = 0; pass < S::PASSES; pass++) {
        group_of<S> of(pass);
        float sum[EACH];

        if (!of.inside(p, row, col)) continue;
        add_groups(sum, shared + of.r * S::PITCH + of.c, S::WARPS, S::SUMS);
        store<EACH>(parts + ((size_t)blockIdx.z * S::GROUPS + of.number) * EACH, sum);
    }
    return comes_last(arrived + blockIdx.y * gridDim.x + blockIdx.x, gridDim.z);
}

/* A group's sum to out, with base and bias. */
template <enum ending ENDING>
static __device__ __forceinline__ void end_group(float sum[EACH], const float base[EACH],
                                                 const float bias[EACH], const struct product &p, int r,
                                                 int c, bool wide) {
    size_t at = (size_t)r * p.cols + c;

#pragma unroll
    for (int e = 0; e < EACH; e++) sum[e] = base[e] + sum[e] + bias[e];
    if (wide) {
        end_sums<ENDING, EACH>(sum, base, p, at);
        return;
    }
#pragma unroll
    for (int e = 0; e < EACH; e++)
        if (c + e < p.cols) end_sums<ENDING, 1>(sum + e, base + e, p, at + e);
}

/* `count` neighbours of an array that may not be there: then -0, which changes no number. */
static __device__ __forceinline__ void take_loose(float out[EACH], const float *in, size_t at, int count,
                                                  bool wide) {
#pragma unroll
    for (int e = 0; e < EACH; e++) out[e] = -0.0f;
    if (in) take<EACH>(out, in + at, count, wide);
}

template <class S>
static __global__ void __launch_bounds__(S::THREADS) few_kernel(struct product p, float *parts, bool wide) {
    float *shared = dynamic_shared<float>();
    int warp = blockIdx.z * S::WARPS + threadIdx.x / WARP, lane = threadIdx.x % WARP;
    int row = blockIdx.y * S::ROWS, col = blockIdx.x * S::COLS, next = gridDim.z * S::WARPS * STEP;
    int k = warp * STEP + lane % 4 * 8;
    uint4 w[S::AHEAD][S::BROAD];
    float sum[S::TALL][S::BROAD][4] = {}, base[S::PASSES][EACH], bias[S::PASSES][EACH];

#pragma unroll
    for (int a = 0; a < S::AHEAD; a++) take_weights<S>(w[a], p, col + lane / 4, k + a * next);
#pragma unroll
    for (int pass = 0; pass < S::PASSES; pass++) {
        group_of<S> of(pass);

        if (of.inside(p, row, col))
            take_loose(bias[pass], p.bias, col + of.c, min(p.cols - col - of.c, EACH), wide);
    }
    start_successor();
    wait_for_predecessor();
#pragma unroll
    for (int pass = 0; pass < S::PASSES; pass++) {
        group_of<S> of(pass);

        if (of.inside(p, row, col))
            take_loose(base[pass], p.base, (size_t)(row + of.r) * p.cols + col + of.c,
                       min(p.cols - col - of.c, EACH), wide);
    }
    for (; k - lane % 4 * 8 < p.depth; k += S::AHEAD * next) {
#pragma unroll
        for (int a = 0; a < S::AHEAD; a++) {
            add_step<S>(sum, p, w[a], row + lane / 4, k + a * next);
            take_weights<S>(w[a], p, col + lane / 4, k + (a + S::AHEAD) * next);
        }
    }
    leave_sums<S>(shared + threadIdx.x / WARP * S::SUMS, sum);
    __syncthreads();
    parts += (size_t)(blockIdx.y * gridDim.x + blockIdx.x) * gridDim.z * S::GROUPS * EACH;
    if (gridDim.z > 1 && !is_last<S>(shared, parts, p, row, col)) return;
#pragma unroll
    for (int pass = 0; pass < S::PASSES; pass++) {
        group_of<S> of(pass);
        float total[EACH];

        if (!of.inside(p, row, col)) continue;
        if (gridDim.z > 1)
            add_groups(total, parts + (size_t)of.number * EACH, gridDim.z, S::GROUPS * EACH);
        else
            add_groups(total, shared + of.r * S::PITCH + of.c, S::WARPS, S::SUMS);
        if (p.ending == SUM)
            end_group<SUM>(total, base[pass], bias[pass], p, row + of.r, col + of.c, wide);
        else if (p.ending == OPERAND)
            end_group<OPERAND>(total, base[pass], bias[pass], p, row + of.r, col + of.c, wide);
        else
            end_group<GELU>(total, base[pass], bias[pass], p, row + of.r, col + of.c, wide);
    }
}

#define FILLED 192 /* columns' blocks below which k is shared out among blocks too */

/* Blocks that share a tile: as few as fill the device, each with a step a warp at least. */
template <class S> static int sharers(int rows, int outs, int ins) {
    int tiles = blocks_for(rows, S::ROWS) * blocks_for(outs, S::COLS),
        most = blocks_for(ins, S::WARPS * S::AHEAD * STEP);
    int wanted = FILLED / tiles;

    if (tiles > MOST_TILES || wanted < 1) return 1;
    return wanted < most ? wanted : most;
}

template <class S> static int run_strip(const struct product &p, const char *operation) {
    int sharing = sharers<S>(p.rows, p.cols, p.depth);
    float *parts = sharing > 1 ? (float *)device_scratch(few_size()) : NULL;
    bool wide = p.cols % EACH == 0 && on_16_bytes(p.out, p.kept, p.base, p.bias);

    if (sharing > 1 && !parts) return 0;
    launch_chained(operation, few_kernel<S>,
                   dim3(blocks_for(p.cols, S::COLS), blocks_for(p.rows, S::ROWS), sharing), S::THREADS,
                   S::SHARED, p, parts, wide);
    return 1;
}

/* Measured on an H100 as those that take the least time at GPT-2's widths. */
typedef strip<1, 2, 8, 3> lowest; /* rows up to 16, */
typedef strip<1, 2, 16, 6> deep;  /* of long sums, */
typedef strip<2, 2, 4, 6> low;    /* FEW */

#define DEEP 1024 /* terms of what is a long sum */

size_t few_size(void) {
    return (size_t)FILLED * low::GROUPS * EACH * sizeof(float);
}

static bool is_straight(const void *data, int stride) {
    return on_16_bytes(data) && stride % 8 == 0;
}

int multiply_few(const struct product *p, const char *operation) {
    if (!is_straight(p->left, p->left_stride) || !is_straight(p->right, p->right_stride)) return 0;
    if (!is_of_few(p->rows, p->cols)) return 0;
    if (p->rows <= lowest::ROWS && p->depth <= DEEP) return run_strip<lowest>(*p, operation);
    if (p->rows <= deep::ROWS) return run_strip<deep>(*p, operation);
    return run_strip<low>(*p, operation);
}
