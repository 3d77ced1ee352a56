#include "kernels/cuda/cublaslt.cuh"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/few.cuh"
#include "kernels/cuda/gelu.cuh"

/* Matrix products by cuBLASLt, but for those of few rows (a decoding step's: kernels/cuda/matmul_few.cu) or
 * of what the library has nothing for: these are our own. Where what leaves is bf16, so are for the library
 * base and bias: a base is added in single precision to a sum that is rounded afterwards, in a pass of its
 * own; a bias is rounded beforehand. */

/* x w' and dy w; both read the weights as they lie. */
static struct lt_product forward_product(void *out, const operand *x, const void *packed, int rows, int outs,
                                         int ins) {
    return {out, (const bf16 *)x, (const bf16 *)packed, NULL, NULL, NULL, rows, outs, ins, 1, 1, 0, LT_SUM};
}

static struct lt_product backward_product(void *dx, const operand *dy, const void *turned, int rows, int outs,
                                          int ins) {
    return {dx, (const bf16 *)dy, (const bf16 *)turned, NULL, NULL, NULL, rows, ins, outs, 1, 0, 0, LT_SUM};
}

/* Those without w are of 8 bits. */
static int is_large(const struct lt_product &p, const float *w) {
    return !is_of_few(p.rows, p.cols) && p.cols > 0 && p.depth > 0 && w && p.right;
}

static int is_few(const struct lt_product &p, const float *w) {
    return is_of_few(p.rows, p.cols) && p.rows > 0 && p.cols > 0 && p.depth > 0 && w && p.right;
}

/* Whether x w' is queued, as a product of few rows. */
static int few_product(const struct lt_product &p, enum ending ending, void *kept, const float *w,
                       const float *bias, const float *base, const char *operation) {
    struct product few = {ending, p.out, kept,   NULL,   p.left,  p.right, w,
                          bias,   base,  p.rows, p.cols, p.depth, p.depth, p.depth};

    return is_few(p, w) && multiply_few(&few, operation);
}

static int into_floats(struct lt_product p, float *out, const float *bias, const float *base,
                       const char *operation) {
    p.out = out;
    p.floats = 1;
    p.bias = bias;
    p.base = base;
    return cublaslt_multiply(&p, operation);
}

extern "C" size_t cuda_scratch_size_lt(int rows, int outs, int ins, int results) {
    size_t own = cuda_scratch_size_bf16(rows, outs, ins, results), bias = (size_t)outs * sizeof(bf16);
    size_t sums = results ? (size_t)rows * (outs > ins ? outs : ins) * sizeof(float) : 0;
    size_t most = sums > bias ? sums : bias, few = few_size();

    most = most > few ? most : few;
    return most > own ? most : own;
}

/* The sums in scratch memory, or NULL. */
static const float *loose_sums(const struct lt_product &p, const float *bias, const float *base,
                               const char *operation) {
    float *sum = (float *)device_scratch((size_t)p.rows * p.cols * sizeof *sum);

    return sum && into_floats(p, sum, bias, base, operation) ? sum : NULL;
}

#define ROUNDERS 128 /* threads a block */

/* A chain goes on with it: a bias is a weight, which is asked for before the wait. */
static __global__ void round_kernel(bf16 *out, const float *bias, int count) {
    int i = blockIdx.x * ROUNDERS + threadIdx.x;
    float x = i < count ? bias[i] : 0;

    start_successor();
    wait_for_predecessor();
    if (i < count) set_element(out + i, x);
}

/* In one pass. */
static int into_operands(struct lt_product p, const float *bias, const char *operation) {
    void *rounded_bias = bias ? device_scratch((size_t)p.cols * sizeof(bf16)) : NULL;

    if (bias && !rounded_bias) return 0;
    if (bias)
        launch_chained(operation, round_kernel, blocks_for(p.cols, ROUNDERS), ROUNDERS, 0,
                       (bf16 *)rounded_bias, bias, p.cols);
    p.bias = rounded_bias;
    return cublaslt_multiply(&p, operation);
}

static int rounded_product(const struct lt_product &p, const float *bias, const float *base,
                           const char *operation) {
    const float *sum;

    if (!base && into_operands(p, bias, operation)) return 1;
    sum = loose_sums(p, bias, base, operation);
    if (sum) narrow_bf16_cuda(p.out, sum, 1, (size_t)p.rows * p.cols);
    return sum != NULL;
}

struct gelu_ending {
    static const int EACH = group<bf16>::SIZE;
    bf16 *act, *up;
    const float *sum;

    __device__ __forceinline__ void operator()(size_t at, int count, bool wide) const {
        float x[EACH];

        take<EACH>(x, sum + at, count, wide);
        if (up) give<EACH>(up + at, x, count, wide);
#pragma unroll
        for (int i = 0; i < EACH; i++) x[i] = gelu_of(x[i]);
        give<EACH>(act + at, x, count, wide);
    }
};

static int gelu_product(struct lt_product p, bf16 *up, const float *bias, const float *base) {
    const char *operation = "matmul_gelu";
    const float *sum;

    p.up = up;
    p.ending = LT_GELU;
    if (!base && cublaslt_fuses() && into_operands(p, bias, operation)) return 1;
    p.up = NULL;
    p.ending = LT_SUM;
    sum = loose_sums(p, bias, base, operation);
    if (sum)
        over_array(operation, gelu_ending{(bf16 *)p.out, up, sum}, (size_t)p.rows * p.cols,
                   on_16_bytes(p.out, up, sum));
    return sum != NULL;
}

struct slope_ending {
    static const int EACH = group<bf16>::SIZE;
    bf16 *dup;
    const bf16 *up;
    const float *sum;

    __device__ __forceinline__ void operator()(size_t at, int count, bool wide) const {
        float x[EACH], y[EACH];

        take<EACH>(x, sum + at, count, wide);
        take<EACH>(y, up + at, count, wide);
#pragma unroll
        for (int i = 0; i < EACH; i++) x[i] *= gelu_slope(y[i]);
        give<EACH>(dup + at, x, count, wide);
    }
};

static int slope_product(struct lt_product p, const bf16 *up, const float *base) {
    const char *operation = "matmul_dx_gelu";
    const float *sum;

    p.up = (bf16 *)up;
    p.ending = LT_GELU_SLOPE;
    if (!base && cublaslt_fuses() && into_operands(p, NULL, operation)) return 1;
    p.up = NULL;
    p.ending = LT_SUM;
    sum = loose_sums(p, NULL, base, operation);
    if (sum)
        over_array(operation, slope_ending{(bf16 *)p.out, up, sum}, (size_t)p.rows * p.cols,
                   on_16_bytes(p.out, up, sum));
    return sum != NULL;
}

void matmul_lt_cuda(float *out, const operand *x, const float *w, const void *packed, const float *bias,
                    const float *base, int rows, int outs, int ins) {
    struct lt_product p = forward_product(out, x, packed, rows, outs, ins);

    if (few_product(p, SUM, NULL, w, bias, base, "matmul")) return;
    if (!is_large(p, w) || !into_floats(p, out, bias, base, "matmul"))
        matmul_bf16_cuda(out, x, w, packed, bias, base, rows, outs, ins);
}

void matmul_operand_lt_cuda(operand *out, const operand *x, const float *w, const void *packed,
                            const float *bias, const float *base, int rows, int outs, int ins) {
    struct lt_product p = forward_product(out, x, packed, rows, outs, ins);

    if (few_product(p, OPERAND, NULL, w, bias, base, "matmul_operand")) return;
    if (!is_large(p, w) || !rounded_product(p, bias, base, "matmul_operand"))
        matmul_operand_bf16_cuda(out, x, w, packed, bias, base, rows, outs, ins);
}

void matmul_gelu_lt_cuda(operand *act, operand *up, const operand *x, const float *w, const void *packed,
                         const float *bias, const float *base, int rows, int outs, int ins) {
    struct lt_product p = forward_product(act, x, packed, rows, outs, ins);

    if (few_product(p, GELU, up, w, bias, base, "matmul_gelu")) return;
    if (!is_large(p, w) || !gelu_product(p, (bf16 *)up, bias, base))
        matmul_gelu_bf16_cuda(act, up, x, w, packed, bias, base, rows, outs, ins);
}

void matmul_dx_lt_cuda(float *dx, const operand *dy, const float *w, const void *turned, const float *base,
                       int rows, int outs, int ins) {
    struct lt_product p = backward_product(dx, dy, turned, rows, outs, ins);

    if (!is_large(p, w) || !into_floats(p, dx, NULL, base, "matmul_dx"))
        matmul_dx_bf16_cuda(dx, dy, w, turned, base, rows, outs, ins);
}

void matmul_dx_operand_lt_cuda(operand *dx, const operand *dy, const float *w, const void *turned,
                               const float *base, int rows, int outs, int ins) {
    struct lt_product p = backward_product(dx, dy, turned, rows, outs, ins);

    if (!is_large(p, w) || !rounded_product(p, NULL, base, "matmul_dx_operand"))
        matmul_dx_operand_bf16_cuda(dx, dy, w, turned, base, rows, outs, ins);
}

void matmul_dx_gelu_lt_cuda(operand *dup, const operand *up, const operand *dy, const float *w,
                            const void *turned, const float *base, int rows, int outs, int ins) {
    struct lt_product p = backward_product(dup, dy, turned, rows, outs, ins);

    if (!is_large(p, w) || !slope_product(p, (const bf16 *)up, base))
        matmul_dx_gelu_bf16_cuda(dup, up, dy, w, turned, base, rows, outs, ins);
}

void matmul_dw_lt_cuda(float *dw, const operand *dy, const operand *x, int rows, int outs, int ins) {
    struct lt_product p = {dw,    (const bf16 *)dy, (const bf16 *)x, NULL, dw, NULL, outs, ins, rows, 0, 0, 1,
                           LT_SUM};

    if (rows <= FEW || outs == 0 || ins == 0 || !cublaslt_multiply(&p, "matmul_dw"))
        matmul_dw_bf16_cuda(dw, dy, x, rows, outs, ins);
}
