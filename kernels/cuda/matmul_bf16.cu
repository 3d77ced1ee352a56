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

typedef unsigned short bf16;

/* Two numbers rounded to nearest even, `low` in the lower half. */
static __device__ __forceinline__ unsigned rounded(float low, float high) {
    unsigned both;

    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}

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
        unsigned address = (unsigned)__cvta_generic_to_shared(line);

        if (ALONG)
            asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                         : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                         : "r"(address)
                         : "memory");
        else
            asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                         : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                         : "r"(address)
                         : "memory");
    }
};

/* sum[16][8] += left[16][16] right[8][16]^T */
static __device__ __forceinline__ void multiply(float sum[4], const unsigned left[4],
                                                const unsigned right[2]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, "
        "%1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right[0]), "r"(right[1]));
}

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

                sum[a][b][i] = p.add && r < p.rows && c < p.cols ? p.out[(size_t)r * p.cols + c] : 0;
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
#pragma unroll
        for (int k = 0; k < S::DEPTH; k += 16) {
            unsigned x[S::TALL][4], y[S::BROAD / 2][4];

#pragma unroll
            for (int i = 0; i < S::TALL; i++)
                left_piece::template load<true>(x[i], left[now], high + 16 * i, k);
#pragma unroll
            for (int j = 0; j < S::BROAD / 2; j++)
                right_piece::template load<false>(y[j], right[now], wide + 16 * j, k);
#pragma unroll
            for (int i = 0; i < S::TALL; i++)
#pragma unroll
                for (int j = 0; j < S::BROAD; j++) multiply(sum[i][j], x[i], y[j / 2] + j % 2 * 2);
        }
    }
    end_sums<S>(sum, p, row + high, col + wide);
}

typedef shape<128, 128, 32, 64, 32> large;
typedef shape<64, 64, 32, 32, 32> middle;
typedef shape<32, 32, 64, 16, 16> small;
typedef shape<16, 64, 64, 16, 16> flat; /* few rows */

template <class S, bool LEFT_ALONG, bool RIGHT_ALONG> static void run_shape(const struct product &p) {
    dim3 grid(blocks_for(p.cols, S::COLS), blocks_for(p.rows, S::ROWS));

    product_kernel<S, LEFT_ALONG, RIGHT_ALONG><<<grid, S::THREADS>>>(p);
}

template <bool LEFT_ALONG, bool RIGHT_ALONG>
static void run_product(struct product p, const char *operation) {
    long long by_large = cost_of<large>(p, 60), by_middle = cost_of<middle>(p, 40),
              by_small = cost_of<small>(p, 20);

    if (p.rows == 0 || p.cols == 0) return;
    choose_width(&p);
    if (p.rows <= flat::ROWS)
        run_shape<flat, LEFT_ALONG, RIGHT_ALONG>(p);
    else if (by_large <= by_middle && by_large <= by_small)
        run_shape<large, LEFT_ALONG, RIGHT_ALONG>(p);
    else if (by_middle <= by_small)
        run_shape<middle, LEFT_ALONG, RIGHT_ALONG>(p);
    else
        run_shape<small, LEFT_ALONG, RIGHT_ALONG>(p);
    launched(operation);
}

extern "C" void matmul_bf16_cuda(float *out, const float *x, const float *w, const float *bias, int rows,
                                 int outs, int ins, int add) {
    run_product<true, true>({out, x, w, bias, rows, outs, ins, add, ins, ins, 0, 0}, "matmul");
}

extern "C" void matmul_dx_bf16_cuda(float *dx, const float *dy, const float *w, int rows, int outs, int ins,
                                    int add) {
    run_product<true, false>({dx, dy, w, NULL, rows, ins, outs, add, outs, ins, 0, 0}, "matmul_dx");
}

extern "C" void matmul_dw_bf16_cuda(float *dw, const float *dy, const float *x, int rows, int outs, int ins) {
    run_product<false, false>({dw, dy, x, NULL, outs, ins, rows, 1, outs, ins, 0, 0}, "matmul_dw");
}
