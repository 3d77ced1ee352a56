#include "kernels/cuda/distribution.cuh"

/* Candidates are ordered by logit, the largest first, and equals by index: a candidate's place in that order
 * as one number, the first the largest. */
typedef unsigned long long place;

#define INDEX_BITS 32

static __device__ __forceinline__ place place_of(float logit, int index) {
    /* -0 and 0 are equals */
    unsigned bits = __float_as_uint(logit == 0 ? 0.0f : logit), rising = bits >> 31 ? ~bits : bits | 1u << 31;

    return (place)rising << INDEX_BITS | (0xffffffffu - (unsigned)index);
}

/* What candidates count: 1, or their weight in units so small that the row's sum has 63 bits. Sums of whole
 * numbers do not depend on their order. */
typedef unsigned long long amount;

#define BUCKETS 2048 /* of equal widths, the last one without end */
#define EACH    (BUCKETS / THREADS)
#define FAR     24   /* temperatures from the largest logit, from where on weights are below 2^-34 */
#define LISTED  1024 /* candidates of a bucket that are compared with each other */

/* A sum of 64 bits in two words, which shared memory adds to by itself. */
struct bucket {
    unsigned low, high;
};

/* What a block has in shared memory, with the row behind it where there is room. */
struct room {
    struct bucket buckets[BUCKETS];
    place places[LISTED]; /* of the candidates of a bucket, and what they count */
    float amounts[LISTED];
};

struct row {
    const float *logits;
    struct room *room;
    int vocab;
    float max, temperature;
    place least;  /* candidates stand there or before it */
    float unit;   /* of weights; 0: all count 1 */
    float across; /* buckets by the distance from max */
};

static __device__ __forceinline__ bool is_candidate(const struct row &row, float logit, int index) {
    return logit > -INFINITY && place_of(logit, index) >= row.least;
}

/* A whole number. */
static __device__ __forceinline__ float amount_of(const struct row &row, float logit) {
    return row.unit > 0 ? rintf(weight_of(logit, row.max, row.temperature) * row.unit) : 1;
}

static __device__ __forceinline__ int bucket_of(const struct row &row, float logit) {
    float distance = (row.max - logit) * row.across;

    return distance < BUCKETS ? (int)distance : BUCKETS - 1;
}

static __device__ __forceinline__ void add_amount(struct bucket *bucket, amount by) {
    unsigned low = (unsigned)by, before = atomicAdd(&bucket->low, low);
    unsigned high = (unsigned)(by >> 32) + (before + low < before);

    if (high) atomicAdd(&bucket->high, high);
}

static __device__ __forceinline__ amount value_of(const struct bucket &bucket) {
    return (amount)bucket.high << 32 | bucket.low;
}

/* The sum of x over the threads up to this one; *all: over all of them. */
static __device__ amount running_sum(amount x, amount *all) {
    __shared__ amount warps[THREADS / WARP];
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;

    for (int by = 1; by < WARP; by *= 2) {
        amount other = __shfl_up_sync(EVERYONE, x, by);

        if (lane >= by) x += other;
    }
    __syncthreads();
    if (lane == WARP - 1) warps[warp] = x;
    __syncthreads();
    *all = 0;
    for (int w = 0; w < THREADS / WARP; w++) {
        if (w < warp) x += warps[w];
        *all += warps[w];
    }
    return x;
}

/* How much stands at `least` or before it. */
static __device__ amount sum_from(const struct row &row, place least) {
    amount sum = 0, all;

    over_logits(row.logits, row.vocab, [&](float logit, int i) {
        if (is_candidate(row, logit, i) && place_of(logit, i) >= least) sum += (amount)amount_of(row, logit);
    });
    running_sum(sum, &all);
    return all;
}

/* The place that is as far in front as can be while those from it on reach `goal`: bit by bit. */
static __device__ place cut_by_bits(const struct row &row, double goal) {
    place cut = 0;

    for (int bit = 63; bit >= 0; bit--) {
        place higher = cut | (place)1 << bit;

        if (bit < INDEX_BITS && (1ll << bit) >= 2ll * row.vocab)
            cut = higher; /* bits that all indices have */
        else if ((double)sum_from(row, higher) >= goal)
            cut = higher;
    }
    return cut;
}

/* The same among the candidates of one bucket, with `before` in front of them; 0 if they are too many. */
static __device__ place cut_in_bucket(const struct row &row, int bucket, amount before, double goal) {
    place *places = row.room->places;
    float *amounts = row.room->amounts;
    __shared__ place cut;
    __shared__ int count;

    __syncthreads();
    if (threadIdx.x == 0) count = 0, cut = 0;
    __syncthreads();
    over_logits(row.logits, row.vocab, [&](float logit, int i) {
        if (!is_candidate(row, logit, i) || bucket_of(row, logit) != bucket) return;
        int at = atomicAdd(&count, 1);

        if (at >= LISTED) return;
        places[at] = place_of(logit, i);
        amounts[at] = amount_of(row, logit);
    });
    __syncthreads();
    if (count > LISTED) return 0;
    for (int e = threadIdx.x; e < count; e += THREADS) {
        amount sum = before;

        for (int other = 0; other < count; other++)
            if (places[other] >= places[e]) sum += (amount)amounts[other];
        if ((double)sum >= goal && (double)(sum - (amount)amounts[e]) < goal) cut = places[e];
    }
    __syncthreads();
    return cut;
}

/* The place from which on the first candidates reach `goal` or, for weights, that share of their sum. */
static __device__ place cut_at(const struct row &row, double goal) {
    struct bucket *buckets = row.room->buckets;
    __shared__ int chosen;
    __shared__ amount in_front;
    amount own = 0, all, sum;
    place cut;

    __syncthreads();
    for (int b = threadIdx.x; b < BUCKETS; b += THREADS) buckets[b] = {0, 0};
    if (threadIdx.x == 0) chosen = -1;
    __syncthreads();
    over_logits(row.logits, row.vocab, [&](float logit, int i) {
        if (is_candidate(row, logit, i))
            add_amount(&buckets[bucket_of(row, logit)], (amount)amount_of(row, logit));
    });
    __syncthreads();
    for (int b = 0; b < EACH; b++) own += value_of(buckets[threadIdx.x * EACH + b]);
    sum = running_sum(own, &all) - own;
    if (row.unit > 0) goal *= (double)all;
    if (goal > (double)all) return row.least;
    for (int b = 0; b < EACH; b++) {
        amount next = sum + value_of(buckets[threadIdx.x * EACH + b]);

        if ((double)sum < goal && (double)next >= goal) {
            chosen = threadIdx.x * EACH + b;
            in_front = sum;
        }
        sum = next;
    }
    __syncthreads();
    if (chosen < 0) return row.least;
    cut = cut_in_bucket(row, chosen, in_front, goal);
    if (!cut) cut = cut_by_bits(row, goal);
    return cut > row.least ? cut : row.least;
}

/* What the buckets are to divide: the distance of the last candidate from max that is not far. */
static __device__ float range_of(const float *logits, int vocab, float max, float temperature) {
    float range = 0;

    over_logits(logits, vocab, [&](float logit, int) {
        float distance = max - logit;

        if (distance < FAR * temperature) range = distance > range ? distance : range;
    });
    range = block_max(range);
    return range > 0 ? range : FAR * temperature;
}

/* Copies a row, filled up to groups of four, and returns its largest logit, to all. */
static __device__ float take_row(float *out, const float *logits, int vocab) {
    bool wide = (size_t)logits % 16 == 0;
    float max = -INFINITY;

    for (int from = threadIdx.x * 4; from < vocab; from += THREADS * 4 * TOGETHER) {
        float x[TOGETHER][4];

#pragma unroll
        for (int g = 0; g < TOGETHER; g++) take_logits(x[g], logits, from + g * THREADS * 4, vocab, wide);
#pragma unroll
        for (int g = 0; g < TOGETHER; g++) {
            if (from + g * THREADS * 4 < vocab) store<4>(out + from + g * THREADS * 4, x[g]);
#pragma unroll
            for (int i = 0; i < 4; i++) max = x[g][i] > max ? x[g][i] : max;
        }
    }
    return block_max(max);
}

/* NEAR: the row is read once, into shared memory. */
template <bool NEAR>
static __global__ void __launch_bounds__(THREADS)
    truncate_kernel(float *logits, const int *keep, int vocab, int line, float temperature, int top_k,
                    float top_p, float min_p, float unit) {
    struct room *room = dynamic_shared<struct room>();
    float *values = logits + (size_t)blockIdx.x * line, *near = (float *)(room + 1);

    start_successor();
    wait_for_predecessor();
    const float *at_hand = NEAR ? near : values;
    float max = NEAR ? take_row(near, values, vocab) : max_of(values, vocab);
    int kept = keep ? keep[blockIdx.x] : -1;
    float range = range_of(at_hand, vocab, max, temperature);
    struct row row = {at_hand, room, vocab, max, temperature, 0, 0, (BUCKETS - 1) / range};

    if (top_k > 0) row.least = cut_at(row, top_k);
    row.unit = unit;
    if (top_p < 1) row.least = cut_at(row, (double)top_p);
    over_logits(at_hand, vocab, [&](float logit, int i) {
        int in = is_candidate(row, logit, i);

        if (min_p > 0) in = in && weight_of(logit, max, temperature) >= min_p;
        if (i != kept && !in) values[i] = -INFINITY;
    });
}

/* A power of 2: of that many weights of at most 1 the sum is below 2^63. */
static float unit_for(int vocab) {
    int bits = 0;

    while (bits < 31 && 1ll << bits < vocab) bits++;
    return (float)(1ull << (63 - bits - 1));
}

#define BESIDE ((size_t)1 << 10) /* bytes of shared memory that the kernel declares itself, and more */

void truncate_cuda(float *logits, const int *keep, int rows, int vocab, int line, float temperature,
                   int top_k, float top_p, float min_p) {
    size_t own = sizeof(struct room), all = own + blocks_for(vocab, 4) * 4 * sizeof *logits;
    bool near = all + BESIDE <= most_shared();

    if (rows == 0 || (top_k <= 0 && !(top_p < 1) && !(min_p > 0))) return;
    launch_chained("truncate", near ? truncate_kernel<true> : truncate_kernel<false>, rows, THREADS,
                   near ? all : own, logits, keep, vocab, line, temperature > 0 ? temperature : 1, top_k,
                   top_p, min_p, unit_for(vocab));
}
