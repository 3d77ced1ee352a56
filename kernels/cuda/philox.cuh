/* Counter-based random numbers, as on the CPU: Philox 4x32-10 (Salmon et al. 2011). */
#ifndef KERNELS_CUDA_PHILOX_CUH
#define KERNELS_CUDA_PHILOX_CUH

/* Numbers 4 i to 4 i + 3 of a stream. */
static __device__ __forceinline__ void philox_draw(unsigned x[4], unsigned k0, unsigned k1, int stream,
                                                   int i) {
    x[0] = (unsigned)i;
    x[1] = (unsigned)stream;
    x[2] = x[3] = 0;
#pragma unroll
    for (int round = 0; round < 10; round++) {
        unsigned high0 = __umulhi(0xD2511F53u, x[0]), low0 = 0xD2511F53u * x[0];
        unsigned high2 = __umulhi(0xCD9E8D57u, x[2]), low2 = 0xCD9E8D57u * x[2];

        x[0] = high2 ^ x[1] ^ k0;
        x[1] = low2;
        x[2] = high0 ^ x[3] ^ k1;
        x[3] = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

#endif
