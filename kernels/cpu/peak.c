#include "kernels/cpu/vector.h"

/* Independent chains: enough to hide a multiply-add's time, few enough to stay in registers. */
#define CHAINS (LANES == 16 ? 20 : 12)

/* The fastest step that matrix products of these operands can take: emulated pairs have none of their own. */
#ifdef DOT_BF16
#define PRODUCTS               2
#define MULTIPLY_ADD(a, b, to) vec_step(a, b, to)
#else
#define PRODUCTS               1
#define MULTIPLY_ADD(a, b, to) vec_fma(a, b, to)
#endif

size_t CPU(peak)(float *out, int rounds) {
    vec chain[CHAINS], factor = vec_set(0.999f), term = vec_set(0.001f);
    float lane[WIDTH] = {0};

#pragma GCC unroll 20
    for (int c = 0; c < CHAINS; c++) chain[c] = vec_set((float)c);
    for (int r = 0; r < rounds; r++)
#pragma GCC unroll 20
        for (int c = 0; c < CHAINS; c++) chain[c] = MULTIPLY_ADD(factor, term, chain[c]);
#pragma GCC unroll 20
    for (int c = 0; c < CHAINS; c++) chain[0] += c ? chain[c] : vec_set(0);
    vec_store(lane, chain[0]);
    *out = lanes_sum(lane);
    return (size_t)rounds * CHAINS * LANES * PRODUCTS * 2;
}
