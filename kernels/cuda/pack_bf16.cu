#include "kernels/cuda/element.cuh"
#include "kernels/cuda/philox.cuh"

/* One of the two bf16 that x lies between, as on the CPU. */
static __device__ __forceinline__ float by_chance(float x, unsigned number) {
    unsigned bits = __float_as_uint(x), chosen = bits + (number >> 16);

    if ((bits & 0x7f800000) == 0x7f800000) return x;
    if ((chosen & 0x7f800000) == 0x7f800000) chosen = bits;
    return __uint_as_float(chosen & 0xffff0000u);
}

struct rounding_by_chance {
    static const int EACH = group<bf16>::SIZE;
    bf16 *out;
    const float *w;
    unsigned k0, k1;
    int cols;

    __device__ __forceinline__ void operator()(size_t row, int c, int count, bool wide) const {
        size_t at = row * cols + c;
        float x[EACH];

        take<EACH>(x, w + at, count, wide);
#pragma unroll
        for (int i = 0; i < EACH; i += 4) {
            unsigned number[4];

            philox_draw(number, k0, k1, (int)row, (c + i) / 4);
#pragma unroll
            for (int j = 0; j < 4; j++) x[i + j] = by_chance(x[i + j], number[j]);
        }
        give<EACH>(out + at, x, count, wide);
    }
};

/* Weights as they lie, which products of either direction read. */
extern "C" size_t cuda_pack_size_bf16(int outs, int ins, int turned) {
    return turned ? 0 : (size_t)outs * ins * sizeof(bf16);
}

void pack_bf16_cuda(void *packed, const float *w, uint64_t key, int outs, int ins, int) {
    rounding_by_chance op = {(bf16 *)packed, w, (unsigned)key, (unsigned)(key >> 32), ins};

    if (key)
        over_rows("pack", op, outs, ins, on_16_bytes(packed, w));
    else
        narrow_bf16_cuda(packed, w, 1, (size_t)outs * ins);
}
