#include "harness/rng.h"

#include <math.h>
#include <string.h>

#include "harness/memory.h"

static uint32_t multiply(uint32_t a, uint32_t b, uint32_t *high) {
    uint64_t product = (uint64_t)a * b;

    *high = (uint32_t)(product >> 32);
    return (uint32_t)product;
}

/* Philox 4x32-10; constants of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011. */
static void philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]) {
    uint32_t x[4] = {counter[0], counter[1], counter[2], counter[3]}, k0 = key[0], k1 = key[1];

    for (int round = 0; round < 10; round++) {
        uint32_t high0, high2;
        uint32_t low0 = multiply(0xD2511F53u, x[0], &high0);
        uint32_t low2 = multiply(0xCD9E8D57u, x[2], &high2);

        x[0] = high2 ^ x[1] ^ k0;
        x[1] = low2;
        x[2] = high0 ^ x[3] ^ k1;
        x[3] = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int i = 0; i < 4; i++) out[i] = x[i];
}

uint64_t rng_mix(uint64_t x) {
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

struct rng rng_stream(uint64_t seed, const char *name, uint64_t a, uint64_t b) {
    uint64_t key = rng_mix(rng_mix(seed) ^ text_hash(name, strlen(name)));
    struct rng rng = {.used = 4};

    if (a >> 32 || b >> 32) key = rng_mix(rng_mix(key ^ a >> 32) ^ b >> 32);
    rng.key[0] = (uint32_t)key;
    rng.key[1] = (uint32_t)(key >> 32);
    rng.counter[1] = (uint32_t)b;
    rng.counter[2] = (uint32_t)a;
    return rng;
}

uint32_t rng_u32(struct rng *rng) {
    if (rng->used == 4) {
        philox(rng->block, rng->counter, rng->key);
        if (!++rng->counter[0]) rng->counter[3]++;
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

double rng_uniform(struct rng *rng) {
    uint64_t high = rng_u32(rng) >> 5, low = rng_u32(rng) >> 6;

    return (double)(high << 26 | low) * 0x1p-53;
}

/* Lemire, "Fast random integer generation in an interval", 2019. */
int rng_below(struct rng *rng, int bound) {
    uint32_t range = (uint32_t)bound, reject = -range % range, high, low;

    do low = multiply(rng_u32(rng), range, &high);
    while (low < reject);
    return (int)high;
}

int rng_chance(struct rng *rng, double chance) {
    return rng_uniform(rng) < chance;
}

double rng_normal(struct rng *rng) {
    double u = 1 - rng_uniform(rng), angle = 6.283185307179586477 * rng_uniform(rng);

    return sqrt(-2 * log(u)) * cos(angle); /* Box and Muller 1958 */
}

void rng_shuffle(struct rng *rng, int *items, int count) {
    for (int i = count - 1; i > 0; i--) {
        int j = rng_below(rng, i + 1), kept = items[i];

        items[i] = items[j];
        items[j] = kept;
    }
}
