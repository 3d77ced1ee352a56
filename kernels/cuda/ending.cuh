/* What the sums of a product in bf16 become on their way out. */
#ifndef KERNELS_CUDA_ENDING_CUH
#define KERNELS_CUDA_ENDING_CUH

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/gelu.cuh"
#include "kernels/cuda/product.cuh"

/* N neighbours on their alignment, or a single one. */
template <int N, class E> static __device__ __forceinline__ void read_few(float out[N], const E *in) {
    if constexpr (N == 1)
        out[0] = float_of(in[0]);
    else
        load_group<N>(out, in);
}

template <int N, class E> static __device__ __forceinline__ void write_few(E *out, const float in[N]) {
    if constexpr (N == 1)
        set_element(out, in[0]);
    else
        store_group<N>(out, in);
}

/* EACH neighbours of out at `at`. */
template <enum ending ENDING, int EACH>
static __device__ __forceinline__ void end_sums(float sum[EACH], const float before[EACH],
                                                const struct product &p, size_t at) {
    if constexpr (ENDING == SUM) {
        write_few<EACH>((float *)p.out + at, sum);
        return;
    }
    if (ENDING == GELU && p.kept) write_few<EACH>((bf16 *)p.kept + at, sum);
#pragma unroll
    for (int e = 0; e < EACH; e++) {
        if (ENDING == GELU) sum[e] = gelu_of(sum[e]);
        if (ENDING == GELU_SLOPE) sum[e] *= gelu_slope(before[e]);
    }
    write_few<EACH>((bf16 *)p.out + at, sum);
}

#endif
