/* Counter-based random numbers, as CUDA draws them: Philox 4x32-10 (Salmon et al. 2011). */
#ifndef KERNELS_CPU_PHILOX_H
#define KERNELS_CPU_PHILOX_H

#include "kernels/cpu/vector.h"

#define DRAWN 64 /* numbers at a time */

/* Numbers from … from + DRAWN - 1 of a stream, from a multiple of 4; blocks side by side. */
INLINE void philox_draw(uint32_t out[DRAWN], const int *key, int stream, int from) {
    uint32_t x[4][DRAWN / 4], k0 = (uint32_t)key[0], k1 = (uint32_t)key[1];

    for (int b = 0; b < DRAWN / 4; b++) {
        x[0][b] = (uint32_t)(from / 4 + b);
        x[1][b] = (uint32_t)stream;
        x[2][b] = x[3][b] = 0;
    }
    for (int round = 0; round < 10; round++) {
        for (int b = 0; b < DRAWN / 4; b++) {
            uint64_t first = (uint64_t)0xD2511F53u * x[0][b], second = (uint64_t)0xCD9E8D57u * x[2][b];

            x[0][b] = (uint32_t)(second >> 32) ^ x[1][b] ^ k0;
            x[1][b] = (uint32_t)second;
            x[2][b] = (uint32_t)(first >> 32) ^ x[3][b] ^ k1;
            x[3][b] = (uint32_t)first;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int i = 0; i < DRAWN; i++) out[i] = x[i % 4][i / 4];
}

#endif
