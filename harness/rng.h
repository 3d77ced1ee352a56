/* Counter-based randomness (Philox 4x32-10, Salmon et al. 2011): a number depends on the seed, the
   stream's name and its indices alone, never on batch size, thread count or what was drawn before
   elsewhere. */
#ifndef HARNESS_RNG_H
#define HARNESS_RNG_H

#include <stdint.h>

struct rng {
    uint32_t key[2], counter[4], block[4];
    int used; /* of block */
};

/* The stream `name` of `seed`, at indices a and b (iteration and row, say). */
struct rng rng_stream(uint64_t seed, const char *name, uint64_t a, uint64_t b);

/* The finaliser of splitmix64: every input bit reaches every output bit. */
uint64_t rng_mix(uint64_t x);

uint32_t rng_u32(struct rng *rng);
double rng_uniform(struct rng *rng);            /* in [0, 1), 53 bits */
int rng_below(struct rng *rng, int bound);      /* 0 … bound-1, unbiased */
int rng_chance(struct rng *rng, double chance); /* 1 with that probability */
double rng_normal(struct rng *rng);             /* mean 0, variance 1 */
void rng_shuffle(struct rng *rng, int *items, int count);

#endif
