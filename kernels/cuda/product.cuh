/* What the matrix products of either precision share. */
#ifndef KERNELS_CUDA_PRODUCT_CUH
#define KERNELS_CUDA_PRODUCT_CUH

#include "kernels/cuda/device.cuh"

/* out[m][n] = base[m][n] (NULL: 0) + sum over k of left(m, k) right(n, k), then + bias[n]; an element's sum
 * runs in one order, whatever the tile, so that the tile may follow the size. */
struct product {
    float *out;
    const float *left, *right, *bias, *base;
    int rows, cols, depth;
    int left_stride,
        right_stride;          /* from a row to the next where k lies together, else from a k to the next */
    int left_wide, right_wide; /* may be read in 16 bytes */
};

/* One side's piece of SIZE x DEPTH, a thread's part of it in registers on its way to shared memory; ALONG: k
 * lies together. */
template <bool ALONG, int SIZE, int DEPTH, int THREADS> struct staged_piece {
    static const int QUADS = SIZE * DEPTH / 4, EACH = (QUADS + THREADS - 1) / THREADS;
    float staged[EACH][4];

    static __device__ __forceinline__ void quad_at(int quad, int *at, int *k) {
        *at = ALONG ? quad / (DEPTH / 4) : quad % (SIZE / 4) * 4;
        *k = ALONG ? quad % (DEPTH / 4) * 4 : quad / (SIZE / 4);
    }

    __device__ __forceinline__ void fetch(const float *data, int stride, int wide, int first, int count,
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
                float4 four = *(const float4 *)x;

                staged[e][0] = four.x, staged[e][1] = four.y, staged[e][2] = four.z, staged[e][3] = four.w;
            } else {
#pragma unroll
                for (int i = 0; i < 4; i++) staged[e][i] = i < left ? x[i] : 0;
            }
        }
    }
};

/* How long a tiling takes, in multiply-adds of one multiprocessor: rounds of tiles, each as fast as its shape
 * lets it be (percent of the peak). */
template <class S> static long long cost_of(const struct product &p, int percent) {
    int tiles = blocks_for(p.rows, S::ROWS) * blocks_for(p.cols, S::COLS);

    return (long long)blocks_for(tiles, multiprocessors()) * S::ROWS * S::COLS * 100 / percent;
}

/* Whether both sides may be read 16 bytes at a time. */
static inline void choose_width(struct product *p) {
    p->left_wide = p->left_stride % 4 == 0 && (size_t)p->left % 16 == 0;
    p->right_wide = p->right_stride % 4 == 0 && (size_t)p->right % 16 == 0;
}

#endif
