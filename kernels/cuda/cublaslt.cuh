/* Matrix products by NVIDIA's library cuBLASLt, which is looked for when it is first wanted. What it makes of
 * a shape is found out once and kept, so that a product is one call. Sums run in an order of the library's
 * choice, the same one whenever version, device and shape are the same: no algorithm adds with atomics or in
 * place, and none is chosen by the clock. */
#ifndef KERNELS_CUDA_CUBLASLT_CUH
#define KERNELS_CUDA_CUBLASLT_CUH

#include "kernels/cuda/device.cuh"

/* What a sum becomes on its way out. gelu is the tanh form. */
enum lt_ending {
    LT_SUM,
    LT_GELU,      /* out = gelu(sum), up = sum (NULL: not wanted) */
    LT_GELU_SLOPE /* out = sum gelu'(up) */
};

/* out[m][n] from sum = base[m][n] (NULL: 0) + sum over k of left(m, k) right(n, k) + bias[n] (NULL: 0). A
 * side that lies along k is left[rows][depth], right[cols][depth]; else left[depth][rows],
 * right[depth][cols]. */
struct lt_product {
    void *out; /* of floats or, like up, of bf16 */
    const bf16 *left, *right;
    const void *bias;  /* of out's kind */
    const float *base; /* where out is of floats; may be out itself */
    bf16 *up;
    int rows, cols, depth, left_along, right_along, floats;
    enum lt_ending ending;
};

/* Queues the product; 0: it is not one for the library, which either finds no algorithm for it, or which
 * wants what is not there: all arrays on 16 bytes, lines of bf16 of a multiple of 8. */
int cublaslt_multiply(const struct lt_product *product, const char *operation);
/* Whether the library makes the endings but LT_SUM in the pass that makes the sum, on this device: in compute
 * capability 9 and 10. On 8.9 and on 12 it was seen to be slower than a pass of one's own (karpathy/llm.c,
 * pull requests 338 and 653; sgl-project/sglang, pull request 34350). */
int cublaslt_fuses(void);

#endif
