#include "kernels/cuda/product.cuh"

int cuda_product_shape = -1;

/* One chain of fused multiply-adds per element, k ascending, as on the CPU. */

/* A tile's shape: ROWS x COLS of out a block, DEPTH of k at a time, EACH_ROW x EACH_COL a thread. RATE:
 * multiply-adds a clock that a multiprocessor makes in it; more of them share what a thread reads the larger
 * its part is. */
template <int ROWS_, int COLS_, int DEPTH_, int EACH_ROW_, int EACH_COL_, int RATE_> struct shape {
    static const int ROWS = ROWS_, COLS = COLS_, DEPTH = DEPTH_, EACH_ROW = EACH_ROW_, EACH_COL = EACH_COL_;
    static const int ACROSS = COLS / EACH_COL, THREADS = ROWS / EACH_ROW * ACROSS;
    static const int RATE = RATE_, OPERAND_BYTES = sizeof(float), TOGETHER = 2, SHARED = 0;
};

/* Where a thread's i-th row or column lies in a tile of `size`: in groups of at most 4 neighbours. */
template <int EACH, int SIZE> static __device__ __forceinline__ int place_of(int thread, int i) {
    const int group = EACH < 4 ? EACH : 4;

    return i / group * (SIZE / (EACH / group)) + thread * group + i % group;
}

template <int EACH, int SIZE>
static __device__ __forceinline__ void load_group(float *out, const float *in, int thread) {
    const int group = EACH < 4 ? EACH : 4;

#pragma unroll
    for (int i = 0; i < EACH; i += group) load<group>(out + i, in + place_of<EACH, SIZE>(thread, i));
}

/* One side's piece of SIZE x DEPTH, a thread's part of it in registers on its way to shared[k][at]; ALONG: k
 * lies together. */
template <bool ALONG, int SIZE, int DEPTH, int THREADS> struct piece {
    static const int PITCH = SIZE + 4, QUADS = SIZE * DEPTH / 4, EACH = (QUADS + THREADS - 1) / THREADS;
    float staged[EACH][4];

    static __device__ __forceinline__ void quad_at(int quad, int *at, int *k) {
        *at = ALONG ? quad / (DEPTH / 4) : quad % (SIZE / 4) * 4;
        *k = ALONG ? quad % (DEPTH / 4) * 4 : quad / (SIZE / 4);
    }

    /* wide: data may be read in 16 bytes. */
    __device__ __forceinline__ void fetch(const float *data, int stride, bool wide, int first, int count,
                                          int from, int depth) {
#pragma unroll
        for (int e = 0; e < EACH; e++) {
            int quad = threadIdx.x + e * THREADS, at, k;

            quad_at(quad, &at, &k);
            at += first;
            k += from;
            const float *x = data + (ALONG ? (size_t)at * stride + k : (size_t)k * stride + at);
            int inside = quad < QUADS && at < count && k < depth;
            int left = !inside ? 0 : ALONG ? depth - k : count - at;

            if (wide && left >= 4) {
                load<4>(staged[e], x);
            } else {
#pragma unroll
                for (int i = 0; i < 4; i++) staged[e][i] = i < left ? x[i] : 0;
            }
        }
    }

    __device__ __forceinline__ void put(float *shared) const {
#pragma unroll
        for (int e = 0; e < EACH; e++) {
            int quad = threadIdx.x + e * THREADS, at, k;

            if (QUADS % THREADS && quad >= QUADS) continue;
            quad_at(quad, &at, &k);
            if (ALONG) {
#pragma unroll
                for (int i = 0; i < 4; i++) shared[(k + i) * PITCH + at] = staged[e][i];
            } else {
                store<4>(shared + k * PITCH + at, staged[e]);
            }
        }
    }
};

template <class S>
static __device__ __forceinline__ void begin_sums(float sum[S::EACH_ROW][S::EACH_COL],
                                                  const struct product &p, int row, int col, int ty, int tx) {
#pragma unroll
    for (int i = 0; i < S::EACH_ROW; i++)
#pragma unroll
        for (int j = 0; j < S::EACH_COL; j++) {
            int r = row + place_of<S::EACH_ROW, S::ROWS>(ty, i),
                c = col + place_of<S::EACH_COL, S::COLS>(tx, j);

            sum[i][j] = p.base && r < p.rows && c < p.cols ? p.base[(size_t)r * p.cols + c] : 0;
        }
}

template <class S>
static __device__ __forceinline__ void end_sums(const float sum[S::EACH_ROW][S::EACH_COL],
                                                const struct product &p, int row, int col, int ty, int tx) {
#pragma unroll
    for (int i = 0; i < S::EACH_ROW; i++)
#pragma unroll
        for (int j = 0; j < S::EACH_COL; j++) {
            int r = row + place_of<S::EACH_ROW, S::ROWS>(ty, i),
                c = col + place_of<S::EACH_COL, S::COLS>(tx, j);

            if (r < p.rows && c < p.cols)
                ((float *)p.out)[(size_t)r * p.cols + c] = p.bias ? sum[i][j] + p.bias[c] : sum[i][j];
        }
}

/* Which sides may be read in 16 bytes. */
struct widths {
    bool left, right;
};

/* One block's tile: while one piece of k is multiplied, the next is on its way. */
template <class S, bool LEFT_ALONG, bool RIGHT_ALONG>
static __global__ void __launch_bounds__(S::THREADS) product_kernel(struct product p, struct widths wide) {
    typedef piece<LEFT_ALONG, S::ROWS, S::DEPTH, S::THREADS> left_piece;
    typedef piece<RIGHT_ALONG, S::COLS, S::DEPTH, S::THREADS> right_piece;
    __shared__ __align__(16) float left[2][S::DEPTH * left_piece::PITCH];
    __shared__ __align__(16) float right[2][S::DEPTH * right_piece::PITCH];
    const float *left_data = (const float *)p.left, *right_data = (const float *)p.right;
    int row = blockIdx.y * S::ROWS, col = blockIdx.x * S::COLS, now = 0;
    int ty = threadIdx.x / S::ACROSS, tx = threadIdx.x % S::ACROSS;
    float sum[S::EACH_ROW][S::EACH_COL];
    left_piece a;
    right_piece b;

    begin_sums<S>(sum, p, row, col, ty, tx);
    a.fetch(left_data, p.left_stride, wide.left, row, p.rows, 0, p.depth);
    b.fetch(right_data, p.right_stride, wide.right, col, p.cols, 0, p.depth);
    for (int from = 0; from < p.depth; from += S::DEPTH, now ^= 1) {
        a.put(left[now]);
        b.put(right[now]);
        __syncthreads();
        if (from + S::DEPTH < p.depth) {
            a.fetch(left_data, p.left_stride, wide.left, row, p.rows, from + S::DEPTH, p.depth);
            b.fetch(right_data, p.right_stride, wide.right, col, p.cols, from + S::DEPTH, p.depth);
        }
#pragma unroll
        for (int k = 0; k < S::DEPTH; k++) {
            float x[S::EACH_ROW], y[S::EACH_COL];

            load_group<S::EACH_ROW, S::ROWS>(x, left[now] + k * left_piece::PITCH, ty);
            load_group<S::EACH_COL, S::COLS>(y, right[now] + k * right_piece::PITCH, tx);
#pragma unroll
            for (int i = 0; i < S::EACH_ROW; i++)
#pragma unroll
                for (int j = 0; j < S::EACH_COL; j++) sum[i][j] = fmaf(x[i], y[j], sum[i][j]);
        }
    }
    end_sums<S>(sum, p, row, col, ty, tx);
}

template <class S, bool LEFT_ALONG, bool RIGHT_ALONG>
static void run_shape(const struct product &p, const char *operation) {
    struct widths wide = {p.left_stride % 4 == 0 && (size_t)p.left % 16 == 0,
                          p.right_stride % 4 == 0 && (size_t)p.right % 16 == 0};
    dim3 grid(blocks_for(p.cols, S::COLS), blocks_for(p.rows, S::ROWS));

    launch(operation, product_kernel<S, LEFT_ALONG, RIGHT_ALONG>, grid, S::THREADS, 0, p, wide);
}

typedef shape<16, 32, 32, 1, 2, 20> flat; /* few rows */
typedef shape<32, 32, 32, 2, 2, 32> small;
typedef shape<64, 64, 16, 8, 4, 58> middle;
typedef shape<128, 128, 16, 8, 8, 77> large;

template <bool LEFT_ALONG, bool RIGHT_ALONG>
static void run_product(struct product p, const char *operation) {
    size_t count = (size_t)p.rows * p.cols;
    void *out = p.out;

    if (count == 0) return;
    if (p.weights) p.right = p.weights;
    if (p.kept) p.out = p.kept;
    run_cheapest<LEFT_ALONG, RIGHT_ALONG, flat, small, middle, large>(p, operation);
    if (p.ending == GELU) cuda_gelu((float *)out, (const float *)p.out, count);
    if (p.ending == GELU_SLOPE) cuda_gelu_backward((float *)out, (const float *)p.before, count);
}

#define PRODUCT(name) name##_cuda
#include "kernels/cuda/products.inc"

/* Products read the weights as they are. */
extern "C" size_t cuda_pack_size(int, int, int) {
    return 0;
}

void pack_cuda(void *, const float *, uint64_t, int, int, int) {
}

extern "C" size_t cuda_pack_int8_size(int, int) {
    return 0;
}

void pack_int8_cuda(void *, const float *, int, int) {
}
