#include "kernels/cuda/product.cuh"

/* One chain of fused multiply-adds per element, k ascending, as on the CPU. */

/* A tile's shape: ROWS x COLS of out a block, DEPTH of k at a time, EACH_ROW x EACH_COL a thread. */
template <int ROWS_, int COLS_, int DEPTH_, int EACH_ROW_, int EACH_COL_> struct shape {
    static const int ROWS = ROWS_, COLS = COLS_, DEPTH = DEPTH_, EACH_ROW = EACH_ROW_, EACH_COL = EACH_COL_;
    static const int ACROSS = COLS / EACH_COL, THREADS = ROWS / EACH_ROW * ACROSS;
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

/* A piece for multiply-adds: shared[k][at]. */
template <bool ALONG, int SIZE, int DEPTH, int THREADS>
struct piece : staged_piece<ALONG, SIZE, DEPTH, THREADS> {
    typedef staged_piece<ALONG, SIZE, DEPTH, THREADS> base;
    static const int PITCH = SIZE + 4;

    __device__ __forceinline__ void put(float *shared) const {
#pragma unroll
        for (int e = 0; e < base::EACH; e++) {
            int quad = threadIdx.x + e * THREADS, at, k;

            if (base::QUADS % THREADS && quad >= base::QUADS) continue;
            base::quad_at(quad, &at, &k);
            if (ALONG) {
#pragma unroll
                for (int i = 0; i < 4; i++) shared[(k + i) * PITCH + at] = this->staged[e][i];
            } else {
                *(float4 *)(shared + k * PITCH + at) = make_float4(this->staged[e][0], this->staged[e][1],
                                                                   this->staged[e][2], this->staged[e][3]);
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
                p.out[(size_t)r * p.cols + c] = p.bias ? sum[i][j] + p.bias[c] : sum[i][j];
        }
}

/* One block's tile: while one piece of k is multiplied, the next is on its way. */
template <class S, bool LEFT_ALONG, bool RIGHT_ALONG>
static __global__ void __launch_bounds__(S::THREADS) product_kernel(struct product p) {
    typedef piece<LEFT_ALONG, S::ROWS, S::DEPTH, S::THREADS> left_piece;
    typedef piece<RIGHT_ALONG, S::COLS, S::DEPTH, S::THREADS> right_piece;
    __shared__ __align__(16) float left[2][S::DEPTH * left_piece::PITCH];
    __shared__ __align__(16) float right[2][S::DEPTH * right_piece::PITCH];
    int row = blockIdx.y * S::ROWS, col = blockIdx.x * S::COLS, now = 0;
    int ty = threadIdx.x / S::ACROSS, tx = threadIdx.x % S::ACROSS;
    float sum[S::EACH_ROW][S::EACH_COL];
    left_piece a;
    right_piece b;

    begin_sums<S>(sum, p, row, col, ty, tx);
    a.fetch(p.left, p.left_stride, p.left_wide, row, p.rows, 0, p.depth);
    b.fetch(p.right, p.right_stride, p.right_wide, col, p.cols, 0, p.depth);
    for (int from = 0; from < p.depth; from += S::DEPTH, now ^= 1) {
        a.put(left[now]);
        b.put(right[now]);
        __syncthreads();
        if (from + S::DEPTH < p.depth) {
            a.fetch(p.left, p.left_stride, p.left_wide, row, p.rows, from + S::DEPTH, p.depth);
            b.fetch(p.right, p.right_stride, p.right_wide, col, p.cols, from + S::DEPTH, p.depth);
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

typedef shape<128, 128, 16, 8, 8> large;
typedef shape<64, 64, 16, 8, 4> middle;
typedef shape<32, 32, 32, 2, 2> small;
typedef shape<16, 32, 32, 1, 2> flat; /* few rows */

template <class S, bool LEFT_ALONG, bool RIGHT_ALONG>
static void run_shape(const struct product &p, const char *operation) {
    dim3 grid(blocks_for(p.cols, S::COLS), blocks_for(p.rows, S::ROWS));

    launch(operation, product_kernel<S, LEFT_ALONG, RIGHT_ALONG>, grid, S::THREADS, 0, p);
}

template <bool LEFT_ALONG, bool RIGHT_ALONG>
static void run_product(struct product p, const char *operation) {
    long long by_large = cost_of<large>(p, 60), by_middle = cost_of<middle>(p, 45),
              by_small = cost_of<small>(p, 25);

    if (p.rows == 0 || p.cols == 0) return;
    choose_width(&p);
    if (p.rows <= flat::ROWS)
        run_shape<flat, LEFT_ALONG, RIGHT_ALONG>(p, operation);
    else if (by_large <= by_middle && by_large <= by_small)
        run_shape<large, LEFT_ALONG, RIGHT_ALONG>(p, operation);
    else if (by_middle <= by_small)
        run_shape<middle, LEFT_ALONG, RIGHT_ALONG>(p, operation);
    else
        run_shape<small, LEFT_ALONG, RIGHT_ALONG>(p, operation);
}

#define PRODUCT(name) name##_cuda
#include "kernels/cuda/products.inc"

/* Products read the weights as they are. */
extern "C" size_t cuda_pack_size(int, int, int) {
    return 0;
}

void pack_cuda(void *, const float *, int, int, int) {
}

extern "C" size_t cuda_pack_int8_size(int, int) {
    return 0;
}

void pack_int8_cuda(void *, const float *, int, int) {
}
