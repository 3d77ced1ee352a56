/* What the matrix products of either precision share: what is asked for, and which tile makes it. */
#ifndef KERNELS_CUDA_PRODUCT_CUH
#define KERNELS_CUDA_PRODUCT_CUH

#include <math.h>

#include "kernels/cuda/device.cuh"

/* What a sum becomes on its way out: a float, an operand, gelu of it (and it, in kept), it times
 * gelu'(before). */
enum ending { SUM, OPERAND, GELU, GELU_SLOPE };

/* base[m][n] (NULL: 0) + sum over k of left(m, k) right(n, k), then + bias[n] (NULL: 0); an element's sum
 * runs in one order, whatever the tile, so that the tile may follow the size. */
struct product {
    enum ending ending;
    void *out, *kept; /* [rows][cols]; kept: NULL where not wanted */
    const void *before;
    const void *left, *right; /* operands; right: NULL where weights are to be rounded to such */
    const float *weights;     /* NULL: right is not of weights */
    const float *bias, *base;
    int rows, cols, depth;
    int left_stride,
        right_stride; /* from a row to the next where k lies together, else from a k to the next */
};

/* Bytes a clock and multiprocessor of an H100, from its data sheet: to shared memory, from the second-level
 * cache and from memory when all ask at once. Of other devices the proportions are much the same. */
#define PORT   64.0
#define CACHE  24.0
#define MEMORY 14.0

/* Clocks a product takes with tiles of shape S: the busiest multiprocessor's multiply-adds, S::RATE a clock;
 * what tiles read, each of its rows and columns once; what they write, and about as much of base or before,
 * which waits for the sums unless another tile of the multiprocessor's computes meanwhile. */
template <class S> static double cost_of(const struct product &p) {
    double tiles = (double)blocks_for(p.rows, S::ROWS) * blocks_for(p.cols, S::COLS),
           area = S::ROWS * S::COLS;
    double share = tiles / multiprocessors(), most = ceil(share);
    double line = (double)((p.rows < S::ROWS ? p.rows : S::ROWS) + (p.cols < S::COLS ? p.cols : S::COLS)) *
                  S::OPERAND_BYTES * p.depth;
    double reading = fmax(share * line / CACHE, most * line / PORT);
    double work = fmax(most * area * p.depth / S::RATE, reading), end = share * area * 8 / MEMORY;

    if ((long long)most_shared() < S::SHARED) return HUGE_VAL;
    return S::TOGETHER > 1 && most > 1 ? fmax(work, end) : work + end;
}

/* Queues a product of tiles of shape S; each precision's own. ALONG: where k lies together. */
template <class S, bool LEFT_ALONG, bool RIGHT_ALONG>
static void run_shape(const struct product &p, const char *operation);

/* Queues a product with the shape of least cost, of equals the first, or with that which a test names. */
template <bool LEFT_ALONG, bool RIGHT_ALONG, class... S>
static void run_cheapest(const struct product &p, const char *operation) {
    static void (*const run[])(const struct product &,
                               const char *) = {run_shape<S, LEFT_ALONG, RIGHT_ALONG>...};
    const double costs[] = {cost_of<S>(p)...};
    const int count = sizeof...(S);
    int best = 0;

    for (int i = 1; i < count; i++)
        if (costs[i] < costs[best]) best = i;
    run[cuda_product_shape < 0 ? best : cuda_product_shape % count](p, operation);
}

#endif
