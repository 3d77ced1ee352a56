#include "kernels/cuda/product.cuh"

/* Matrix products on tensor cores: both sides rounded to bf16 on their way to shared memory, sums in single
 * precision, sixteen k at a time, ascending; so a row's result depends on that row alone, as with
 * multiply-adds.
 */

/* A tile's shape: ROWS x COLS of out a block, DEPTH of k at a time, HIGH x WIDE of it a warp. */
template <int ROWS_, int COLS_, int DEPTH_, int HIGH_, int WIDE_> struct shape {
    static const int ROWS = ROWS_, COLS = COLS_, DEPTH = DEPTH_, HIGH = HIGH_, WIDE = WIDE_;
    static const int ACROSS = COLS / WIDE, THREADS = ROWS / HIGH * ACROSS * WARP;
    static const int TALL = HIGH / 16, BROAD = WIDE / 8; /* fragments of a warp */
};

/* A piece in shared memory as it lies in global memory: [at][k] or [k][at], with 8 elements to spare a line.
 */
template <bool ALONG, int SIZE, int DEPTH, int THREADS>
struct piece : staged_piece<ALONG, SIZE, DEPTH, THREADS> {
    typedef staged_piece<ALONG, SIZE, DEPTH, THREADS> base;
    static const int PITCH = (ALONG ? DEPTH : SIZE) + 8, ROOM = PITCH * (ALONG ? SIZE : DEPTH);

    __device__ __forceinline__ void put(bf16 *shared) const {
#pragma unroll
        for (int e = 0; e < base::EACH; e++) {
            int quad = threadIdx.x + e * THREADS, at, k;

            if (base::QUADS % THREADS && quad >= base::QUADS) continue;
            base::quad_at(quad, &at, &k);
            *(uint2 *)(shared + (ALONG ? at * PITCH + k : k * PITCH + at)) =
                make_uint2(rounded(this->staged[e][0], this->staged[e][1]),
                           rounded(this->staged[e][2], this->staged[e][3]));
        }
    }

    /* Four 8 x 8 matrices: of `at` and `at` + 8, k and k + 8. The two of one k come first if K_LAST, else the
       two of one `at`. */
    template <bool K_LAST>
    static __device__ __forceinline__ void load(unsigned out[4], const bf16 *shared, int at, int k) {
        int lane = threadIdx.x % WARP, which = lane / 8, row = lane % 8;
        int down = K_LAST ? which % 2 : which / 2, deep = K_LAST ? which / 2 : which % 2;
        const bf16 *line = ALONG ? shared + (at + 8 * down + row) * PITCH + k + 8 * deep
                                 : shared + (k + 8 * deep + row) * PITCH + at + 8 * down;

        if (ALONG)
            load_matrices(out, line);
        else
            load_turned_matrices(out, line);
    }
};

/* Where number i of a fragment's four lies, seen from its first row and column. */
static __device__ __forceinline__ int row_of(int i) {
    return threadIdx.x % WARP / 4 + i / 2 * 8;
}

static __device__ __forceinline__ int col_of(int i) {
    return threadIdx.x % 4 * 2 + i % 2;
}

template <class S>
static __device__ __forceinline__ void begin_sums(float sum[S::TALL][S::BROAD][4], const struct product &p,
                                                  int row, int col) {
#pragma unroll
    for (int a = 0; a < S::TALL; a++)
#pragma unroll
        for (int b = 0; b < S::BROAD; b++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int r = row + 16 * a + row_of(i), c = col + 8 * b + col_of(i);

                sum[a][b][i] = p.base && r < p.rows && c < p.cols ? p.base[(size_t)r * p.cols + c] : 0;
            }
}

template <class S>
static __device__ __forceinline__ void end_sums(const float sum[S::TALL][S::BROAD][4],
                                                const struct product &p, int row, int col) {
#pragma unroll
    for (int a = 0; a < S::TALL; a++)
#pragma unroll
        for (int b = 0; b < S::BROAD; b++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int r = row + 16 * a + row_of(i), c = col + 8 * b + col_of(i);

                if (r < p.rows && c < p.cols)
                    p.out[(size_t)r * p.cols + c] = p.bias ? sum[a][b][i] + p.bias[c] : sum[a][b][i];
            }
}

/* sum += one piece of k. */
template <class S, class LEFT, class RIGHT>
static __device__ __forceinline__ void multiply_pieces(float sum[S::TALL][S::BROAD][4], const bf16 *left,
                                                       const bf16 *right, int high, int wide) {
#pragma unroll
    for (int k = 0; k < S::DEPTH; k += 16) {
        unsigned x[S::TALL][4], y[S::BROAD / 2][4];

#pragma unroll
        for (int i = 0; i < S::TALL; i++) LEFT::template load<true>(x[i], left, high + 16 * i, k);
#pragma unroll
        for (int j = 0; j < S::BROAD / 2; j++) RIGHT::template load<false>(y[j], right, wide + 16 * j, k);
#pragma unroll
        for (int i = 0; i < S::TALL; i++)
#pragma unroll
            for (int j = 0; j < S::BROAD; j++) multiply(sum[i][j], x[i], y[j / 2] + j % 2 * 2);
    }
}

/* One block's tile: while one piece of k is multiplied, the next is on its way. */
template <class S, bool LEFT_ALONG, bool RIGHT_ALONG>
static __global__ void __launch_bounds__(S::THREADS) product_kernel(struct product p) {
    typedef piece<LEFT_ALONG, S::ROWS, S::DEPTH, S::THREADS> left_piece;
    typedef piece<RIGHT_ALONG, S::COLS, S::DEPTH, S::THREADS> right_piece;
    __shared__ __align__(16) bf16 left[2][left_piece::ROOM];
    __shared__ __align__(16) bf16 right[2][right_piece::ROOM];
    int row = blockIdx.y * S::ROWS, col = blockIdx.x * S::COLS, now = 0, warp = threadIdx.x / WARP;
    int high = warp / S::ACROSS * S::HIGH, wide = warp % S::ACROSS * S::WIDE;
    float sum[S::TALL][S::BROAD][4];
    left_piece a;
    right_piece b;

    begin_sums<S>(sum, p, row + high, col + wide);
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
        multiply_pieces<S, left_piece, right_piece>(sum, left[now], right[now], high, wide);
    }
    end_sums<S>(sum, p, row + high, col + wide);
}

/* The same of operands that were rounded before, which pays for large products: pieces go straight to shared
 * memory, several at a time. */
#define STAGES 4

struct rounded_product {
    struct product of;
    const bf16 *left, *right;
    int left_stride, right_stride; /* multiples of 8; lines end in zeros */
};

/* Starts a piece on its way; what lies outside becomes 0. */
template <bool ALONG, int SIZE, int DEPTH, int THREADS>
static __device__ __forceinline__ void start_piece(bf16 *shared, const bf16 *data, int stride, int first,
                                                   int count, int from, int depth) {
    const int across = (ALONG ? DEPTH : SIZE) / 8, pitch = piece<ALONG, SIZE, DEPTH, THREADS>::PITCH;

#pragma unroll
    for (int i = threadIdx.x; i < SIZE * DEPTH / 8; i += THREADS) {
        int line = i / across, eight = i % across * 8;
        int at = first + (ALONG ? line : eight), k = from + (ALONG ? eight : line);
        int inside = at < count && k < depth;
        const bf16 *from_here =
            data + (inside ? ALONG ? (size_t)at * stride + k : (size_t)k * stride + at : 0);

        copy_async(shared + line * pitch + eight, from_here, inside ? 16 : 0);
    }
}

template <class S, bool LEFT_ALONG, bool RIGHT_ALONG>
static __global__ void __launch_bounds__(S::THREADS, 2) rounded_kernel(struct rounded_product p) {
    typedef piece<LEFT_ALONG, S::ROWS, S::DEPTH, S::THREADS> left_piece;
    typedef piece<RIGHT_ALONG, S::COLS, S::DEPTH, S::THREADS> right_piece;
    bf16 *pieces = dynamic_shared<bf16>();
    const int room = left_piece::ROOM + right_piece::ROOM;
    int row = blockIdx.y * S::ROWS, col = blockIdx.x * S::COLS, warp = threadIdx.x / WARP;
    int high = warp / S::ACROSS * S::HIGH, wide = warp % S::ACROSS * S::WIDE;
    int steps = (p.of.depth + S::DEPTH - 1) / S::DEPTH;
    float sum[S::TALL][S::BROAD][4];

    begin_sums<S>(sum, p.of, row + high, col + wide);
    for (int step = 0; step < steps + STAGES - 1; step++) { /* starts a piece, multiplies an earlier one */
        int ready = step - (STAGES - 1);

        if (ready >= 0) {
            wait_for_copies<STAGES - 2>();
            __syncthreads();
        }
        if (step < steps) {
            bf16 *stage = pieces + step % STAGES * room;

            start_piece<LEFT_ALONG, S::ROWS, S::DEPTH, S::THREADS>(stage, p.left, p.left_stride, row,
                                                                   p.of.rows, step * S::DEPTH, p.of.depth);
            start_piece<RIGHT_ALONG, S::COLS, S::DEPTH, S::THREADS>(stage + left_piece::ROOM, p.right,
                                                                    p.right_stride, col, p.of.cols,
                                                                    step * S::DEPTH, p.of.depth);
        }
        end_copies();
        if (ready >= 0)
            multiply_pieces<S, left_piece, right_piece>(sum, pieces + ready % STAGES * room,
                                                        pieces + ready % STAGES * room + left_piece::ROOM,
                                                        high, wide);
    }
    end_sums<S>(sum, p.of, row + high, col + wide);
}

static __global__ void round_kernel(bf16 *out, const float *x, size_t eights, int across, int cols) {
    size_t i = (size_t)blockIdx.x * 256 + threadIdx.x;

    if (i >= eights) return;
    size_t line = i / across, first = i % across * 8;
    const float *from = x + line * cols + first;
    float eight[8];

#pragma unroll
    for (int j = 0; j < 8; j++) eight[j] = first + j < (size_t)cols ? from[j] : 0;
    *(uint4 *)(out + line * across * 8 + first) =
        make_uint4(rounded(eight[0], eight[1]), rounded(eight[2], eight[3]), rounded(eight[4], eight[5]),
                   rounded(eight[6], eight[7]));
}

/* x[lines][cols] as bf16, with lines of `across` times 8. */
static void round_lines(bf16 *out, const float *x, int lines, int cols, int across) {
    size_t eights = (size_t)lines * across;

    launch("matmul", round_kernel, blocks_for(eights, 256), 256, 0, out, x, eights, across, cols);
}

typedef shape<128, 128, 32, 64, 32> rounded_large;
typedef shape<64, 128, 32, 32, 32> rounded_middle;
typedef shape<64, 64, 32, 32, 32> rounded_small;

template <class S, bool LEFT_ALONG, bool RIGHT_ALONG>
static void run_rounded_shape(const struct rounded_product &p, const char *operation) {
    size_t bytes = STAGES * sizeof(bf16) *
                   (piece<LEFT_ALONG, S::ROWS, S::DEPTH, S::THREADS>::ROOM +
                    piece<RIGHT_ALONG, S::COLS, S::DEPTH, S::THREADS>::ROOM);
    dim3 grid(blocks_for(p.of.cols, S::COLS), blocks_for(p.of.rows, S::ROWS));

    launch(operation, rounded_kernel<S, LEFT_ALONG, RIGHT_ALONG>, grid, S::THREADS, bytes, p);
}

/* Whether rounding first, which moves each operand once more, is won back. */
static int worth_rounding(const struct product &p) {
    double work = 2.0 * p.rows * p.cols * p.depth;

    return work > 2e9 && (double)p.rows * p.cols / ((double)p.rows + p.cols) > 128;
}

template <bool LEFT_ALONG, bool RIGHT_ALONG>
static void run_rounded(const struct product &of, const char *operation) {
    int left_lines = LEFT_ALONG ? of.rows : of.depth, right_lines = RIGHT_ALONG ? of.cols : of.depth;
    int left_across = (of.left_stride + 7) / 8, right_across = (of.right_stride + 7) / 8;
    size_t left_size = (size_t)left_lines * left_across * 8,
           right_size = (size_t)right_lines * right_across * 8;
    bf16 *left = (bf16 *)device_scratch((left_size + right_size) * sizeof(bf16)), *right = left + left_size;
    struct rounded_product p = {of, left, right, left_across * 8, right_across * 8};
    long long by_large = cost_of<rounded_large>(of, 60), by_middle = cost_of<rounded_middle>(of, 50),
              by_small = cost_of<rounded_small>(of, 40);

    if (!left) return;
    round_lines(left, of.left, left_lines, of.left_stride, left_across);
    round_lines(right, of.right, right_lines, of.right_stride, right_across);
    if (by_large <= by_middle && by_large <= by_small)
        run_rounded_shape<rounded_large, LEFT_ALONG, RIGHT_ALONG>(p, operation);
    else if (by_middle <= by_small)
        run_rounded_shape<rounded_middle, LEFT_ALONG, RIGHT_ALONG>(p, operation);
    else
        run_rounded_shape<rounded_small, LEFT_ALONG, RIGHT_ALONG>(p, operation);
}

typedef shape<128, 128, 32, 64, 32> large;
typedef shape<64, 64, 32, 32, 32> middle;
typedef shape<32, 32, 64, 16, 16> small;
typedef shape<16, 64, 64, 16, 16> flat; /* few rows */

template <class S, bool LEFT_ALONG, bool RIGHT_ALONG>
static void run_shape(const struct product &p, const char *operation) {
    dim3 grid(blocks_for(p.cols, S::COLS), blocks_for(p.rows, S::ROWS));

    launch(operation, product_kernel<S, LEFT_ALONG, RIGHT_ALONG>, grid, S::THREADS, 0, p);
}

template <bool LEFT_ALONG, bool RIGHT_ALONG>
static void run_product(struct product p, const char *operation) {
    long long by_large = cost_of<large>(p, 60), by_middle = cost_of<middle>(p, 40),
              by_small = cost_of<small>(p, 20);

    if (p.rows == 0 || p.cols == 0) return;
    choose_width(&p);
    if (worth_rounding(p)) {
        run_rounded<LEFT_ALONG, RIGHT_ALONG>(p, operation);
        return;
    }
    if (p.rows <= flat::ROWS)
        run_shape<flat, LEFT_ALONG, RIGHT_ALONG>(p, operation);
    else if (by_large <= by_middle && by_large <= by_small)
        run_shape<large, LEFT_ALONG, RIGHT_ALONG>(p, operation);
    else if (by_middle <= by_small)
        run_shape<middle, LEFT_ALONG, RIGHT_ALONG>(p, operation);
    else
        run_shape<small, LEFT_ALONG, RIGHT_ALONG>(p, operation);
}

#define PRODUCT(name) name##_bf16_cuda
#include "kernels/cuda/products.inc"
