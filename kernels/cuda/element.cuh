/* Elements, float or bf16, as numbers: single ones, and groups of neighbours that go through memory together.
 */
#ifndef KERNELS_CUDA_ELEMENT_CUH
#define KERNELS_CUDA_ELEMENT_CUH

#include "kernels/cuda/device.cuh"

/* An element's value, and the element nearest to a value, ties to even; NaN stays NaN. */
static __device__ __forceinline__ float float_of(float x) {
    return x;
}

static __device__ __forceinline__ float float_of(bf16 x) {
    return __uint_as_float((unsigned)x << 16);
}

static __device__ __forceinline__ void set_element(float *out, float x) {
    *out = x;
}

static __device__ __forceinline__ void set_element(bf16 *out, float x) {
    *out = (bf16)rounded(x, 0);
}

/* How many neighbours a thread takes at a time: 16 bytes of them. */
template <class E> struct group { static const int SIZE = 16 / sizeof(E); };

/* A group on its alignment; N: a multiple of 4. */
template <int N> static __device__ __forceinline__ void load_group(float out[N], const float *in) {
#pragma unroll
    for (int i = 0; i < N; i += 4) load<4>(out + i, in + i);
}

template <int N> static __device__ __forceinline__ void store_group(float *out, const float in[N]) {
#pragma unroll
    for (int i = 0; i < N; i += 4) store<4>(out + i, in + i);
}

static __device__ __forceinline__ void spread(float out[2], unsigned two) {
    out[0] = __uint_as_float(two << 16);
    out[1] = __uint_as_float(two & 0xffff0000u);
}

template <int N> static __device__ __forceinline__ void load_group(float out[N], const bf16 *in) {
#pragma unroll
    for (int i = 0; i + 8 <= N; i += 8) {
        uint4 eight = *(const uint4 *)(in + i);

        spread(out + i, eight.x), spread(out + i + 2, eight.y);
        spread(out + i + 4, eight.z), spread(out + i + 6, eight.w);
    }
    if (N % 8) {
        uint2 four = *(const uint2 *)(in + N / 8 * 8);

        spread(out + N / 8 * 8, four.x), spread(out + N / 8 * 8 + 2, four.y);
    }
}

template <int N> static __device__ __forceinline__ void store_group(bf16 *out, const float in[N]) {
    const float *last = in + N / 8 * 8;

#pragma unroll
    for (int i = 0; i + 8 <= N; i += 8)
        *(uint4 *)(out + i) = make_uint4(rounded(in[i], in[i + 1]), rounded(in[i + 2], in[i + 3]),
                                         rounded(in[i + 4], in[i + 5]), rounded(in[i + 6], in[i + 7]));
    if (N % 8) *(uint2 *)(out + N / 8 * 8) = make_uint2(rounded(last[0], last[1]), rounded(last[2], last[3]));
}

/* The first `count` of a group, all of them at once if `wide`, which says that they lie on their alignment.
 */
template <int N, class E>
static __device__ __forceinline__ void take(float out[N], const E *in, int count, bool wide) {
    if (wide && count == N) {
        load_group<N>(out, in);
        return;
    }
#pragma unroll
    for (int i = 0; i < N; i++) out[i] = i < count ? float_of(in[i]) : 0;
}

template <int N, class E>
static __device__ __forceinline__ void give(E *out, const float in[N], int count, bool wide) {
    if (wide && count == N) {
        store_group<N>(out, in);
        return;
    }
#pragma unroll
    for (int i = 0; i < N; i++)
        if (i < count) set_element(out + i, in[i]);
}

static inline bool on_16_bytes(const void *a, const void *b = NULL, const void *c = NULL,
                               const void *d = NULL) {
    return ((size_t)a | (size_t)b | (size_t)c | (size_t)d) % 16 == 0;
}

#define GROUP_THREADS 256

/* op(at, count, wide) for every group of OP::EACH of an array. */
template <class OP>
static __global__ void __launch_bounds__(GROUP_THREADS) array_kernel(OP op, size_t size, bool wide) {
    size_t at = ((size_t)blockIdx.x * GROUP_THREADS + threadIdx.x) * OP
    ::EACH;

    if (at < size) op(at, size - at < OP::EACH ? (int)(size - at) : OP::EACH, wide);
}

template <class OP> static void over_array(const char *operation, OP op, size_t size, bool wide) {
    if (size == 0) return;
    launch(operation, array_kernel<OP>, blocks_for(size, GROUP_THREADS * OP::EACH), GROUP_THREADS, 0, op,
           size, wide);
}

/* op(row, column, count, wide) for every group of every row. */
template <class OP>
static __global__ void __launch_bounds__(GROUP_THREADS)
    rows_kernel(OP op, size_t groups, int across, int cols, bool wide) {
    size_t i = (size_t)blockIdx.x * GROUP_THREADS + threadIdx.x;

    if (i >= groups) return;
    /* most often 32 bits are enough to divide in, which is faster */
    size_t row = groups >> 32 ? i / across : (unsigned)i / (unsigned)across;
    int c = (int)(i - row * across) * OP
    ::EACH;

    op(row, c, cols - c < OP::EACH ? cols - c : OP::EACH, wide);
}

template <class OP> static void over_rows(const char *operation, OP op, size_t rows, int cols, bool wide) {
    int across = blocks_for(cols, OP::EACH);
    size_t groups = rows * across;

    if (groups == 0) return;
    launch(operation, rows_kernel<OP>, blocks_for(groups, GROUP_THREADS), GROUP_THREADS, 0, op, groups,
           across, cols, wide && cols % OP::EACH == 0);
}

/* out[i] = F(x[i]) */
template <class OUT, class X, class F> struct mapping {
    static const int EACH = group<OUT>::SIZE > group<X>::SIZE ? group<OUT>::SIZE : group<X>::SIZE;
    OUT *out;
    const X *x;
    F of;

    __device__ __forceinline__ void operator()(size_t at, int count, bool wide) const {
        float y[EACH];

        take<EACH>(y, x + at, count, wide);
#pragma unroll
        for (int i = 0; i < EACH; i++) y[i] = of(y[i]);
        give<EACH>(out + at, y, count, wide);
    }
};

template <class OUT, class X, class F>
static void map_array(const char *operation, OUT *out, const X *x, size_t size, F of) {
    over_array(operation, mapping<OUT, X, F>{out, x, of}, size, on_16_bytes(out, x));
}

/* x[i] = F(x[i], y[i]) */
template <class X, class Y, class F> struct updating {
    static const int EACH = group<X>::SIZE > group<Y>::SIZE ? group<X>::SIZE : group<Y>::SIZE;
    X *x;
    const Y *y;
    F of;

    __device__ __forceinline__ void operator()(size_t at, int count, bool wide) const {
        float a[EACH], b[EACH];

        take<EACH>(a, x + at, count, wide);
        take<EACH>(b, y + at, count, wide);
#pragma unroll
        for (int i = 0; i < EACH; i++) a[i] = of(a[i], b[i]);
        give<EACH>(x + at, a, count, wide);
    }
};

template <class X, class Y, class F>
static void update_array(const char *operation, X *x, const Y *y, size_t size, F of) {
    over_array(operation, updating<X, Y, F>{x, y, of}, size, on_16_bytes(x, y));
}

#endif
