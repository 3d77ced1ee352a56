#include <float.h>

#include "harness/rng.h"
#include "tests/test_kernels.h"

#define BF16_BACKENDS 4

/* Backend i of those whose operands are bf16, or NULL where this machine cannot run it. */
static const struct kernels *bf16_backend(int i) {
    static const char *const names[BF16_BACKENDS] = {"cpu-portable-bf16", "cpu-avx2-bf16", "cpu-avx512-bf16",
                                                     "cpu-avx512bf16"};

    return kernels_find(names[i]);
}

static float of_bits(uint32_t bits) {
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of(float x) {
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float of_bf16(uint16_t x) {
    return of_bits((uint32_t)x << 16);
}

/* The nearer of x's two neighbours by their distances, 2^128 standing for infinity; of two as near the even.
 */
static uint16_t nearest(float x) {
    uint16_t low = (uint16_t)(bits_of(x) >> 16), high = (uint16_t)(low + 1);
    double size = fabs((double)x), below = fabs((double)of_bf16(low)), above;

    if (isinf(x)) return low;
    above = (high & 0x7fff) == 0x7f80 ? 0x1p128 : fabs((double)of_bf16(high));
    if (size - below == above - size) return low & 1 ? high : low;
    return size - below < above - size ? low : high;
}

/* What the contract of pack() makes of w[o][i] with a key. */
static uint16_t by_chance(float w, uint64_t key, int o, int i) {
    struct rng rng = {
        .key = {(uint32_t)key, (uint32_t)(key >> 32)}, .counter = {(uint32_t)i / 4, (uint32_t)o}, .used = 4};
    uint16_t near = (uint16_t)(bits_of(w) >> 16), far = (uint16_t)(near + 1);
    double size = fabs((double)w), from = fabs((double)of_bf16(near)), to = fabs((double)of_bf16(far));
    uint32_t number = 0;

    if (!isfinite(w) || size == from || isinf(to)) return isfinite(w) ? near : nearest(w);
    for (int j = 0; j <= i % 4; j++) number = rng_u32(&rng);
    return (number >> 16) >= 0x1p16 * (1 - (size - from) / (to - from)) ? far : near;
}

/* bf16 and the same numbers as floats. Freed with free(). */
struct numbers {
    uint16_t *narrow;
    float *wide;
};

static struct numbers numbers_of(const float *x, size_t count) {
    struct numbers out = {malloc((count + 1) * sizeof *out.narrow), malloc((count + 1) * sizeof *out.wide)};

    for (size_t i = 0; i < count; i++) out.narrow[i] = nearest(x[i]);
    for (size_t i = 0; i < count; i++) out.wide[i] = of_bf16(out.narrow[i]);
    return out;
}

static struct numbers noise_of(size_t count, uint32_t seed) {
    float *x = noise(count, seed);
    struct numbers out = numbers_of(x, count);

    free(x);
    return out;
}

static void numbers_free(struct numbers numbers) {
    free(numbers.narrow);
    free(numbers.wide);
}

struct sizes {
    int rows, outs, ins;
};

/* Odd sizes around every tile, pair, panel and block border. */
static const struct sizes sizes[] = {{1, 1, 1},      {3, 5, 7},        {1, 300, 65},    {2, 130, 33},
                                     {3, 70, 129},   {4, 33, 17},      {6, 16, 8},      {7, 33, 17},
                                     {14, 32, 64},   {17, 65, 40},     {33, 17, 31},    {65, 129, 33},
                                     {29, 40, 2061}, {173, 100, 1030}, {5, 2100, 9},    {8, 2100, 33},
                                     {15, 33, 4097}, {16, 64, 130},    {181, 70, 1290}, {31, 40, 2080}};

/* One problem's inputs; the weights are floats that bf16 does not hold, and w.wide what they round to. */
struct problem {
    struct sizes of;
    struct numbers x, dy, w;
    float *weights, *bias;
};

static struct problem problem_of(struct sizes of) {
    size_t count = (size_t)of.outs * of.ins;
    float *weights = noise(count, 2);

    return (struct problem){of,
                            noise_of((size_t)of.rows * of.ins, 1),
                            noise_of((size_t)of.rows * of.outs, 4),
                            numbers_of(weights, count),
                            weights,
                            noise(of.outs, 3)};
}

static void problem_free(struct problem *p) {
    numbers_free(p->x);
    numbers_free(p->dy);
    numbers_free(p->w);
    free(p->weights);
    free(p->bias);
}

/* One factor of a product: where its elements of one sum lie. */
struct line {
    const float *x;
    size_t step;
};

static float multiply_add(struct line a, struct line b, int k, float sum) {
    return fmaf(a.x[k * a.step], b.x[k * b.step], sum);
}

/* An element of a product as the contract says: of every two products the second first. */
static float pairs(float sum, struct line a, struct line b, int depth) {
    for (int k = 0; k < depth; k += 2) {
        if (k + 1 < depth) sum = multiply_add(a, b, k + 1, sum);
        sum = multiply_add(a, b, k, sum);
    }
    return sum;
}

/* The same in ascending order. */
static float ascending(float sum, struct line a, struct line b, int depth) {
    for (int k = 0; k < depth; k++) sum = multiply_add(a, b, k, sum);
    return sum;
}

START_TEST(narrow_rounds_to_the_nearest_and_ties_to_even)
{
    const struct kernels *k = bf16_backend(_i);
    const struct {
        uint32_t from;
        uint16_t to;
    } cases[] = {{0x3f800000, 0x3f80}, {0x3f807fff, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f808001, 0x3f81},
                 {0x3f818000, 0x3f82}, {0xbf818000, 0xbf82}, {0x3fffffff, 0x4000}, {0x00000000, 0x0000},
                 {0x80000000, 0x8000}, {0x00000001, 0x0000}, {0x00008000, 0x0000}, {0x00008001, 0x0001},
                 {0x00018000, 0x0002}, {0x007fffff, 0x0080}, {0x7f7f7fff, 0x7f7f}, {0x7f7f8000, 0x7f80},
                 {0x7f7fffff, 0x7f80}, {0xff7fffff, 0xff80}, {0x7f800000, 0x7f80}, {0xff800000, 0xff80}};
    const uint32_t none[] = {0x7fc00000, 0xffc00000, 0x7f800001, 0x7fffffff, 0xff80ffff};

    for (int i = 0; k && i < COUNT(cases); i++) {
        float from[33];
        uint16_t to[33];

        for (int j = 0; j < 33; j++) from[j] = of_bits(cases[i].from);
        k->narrow(to, from, 1, 33);
        for (int j = 0; j < 33; j++) ck_assert_uint_eq(to[j], cases[i].to);
    }
    for (int i = 0; k && i < COUNT(none); i++) {
        float from = of_bits(none[i]);
        uint16_t to = 0;

        k->narrow(&to, &from, 1, 1);
        ck_assert(isnan(of_bf16(to)));
        ck_assert_uint_eq(to >> 15, none[i] >> 31);
    }
}
END_TEST

START_TEST(narrow_finds_the_nearer_neighbour_of_any_number)
{
    const struct kernels *k = bf16_backend(_i);
    enum { MANY = 200003 };
    float *x = noise(MANY, 1);
    uint16_t *got = calloc(MANY, sizeof *got);

    for (int i = 0; i < MANY; i++) {
        uint32_t bits = (uint32_t)i * 2654435761u;

        if ((bits & 0x7f800000) != 0x7f800000) x[i] = of_bits(bits);
    }
    if (k) k->narrow(got, x, 1, MANY);
    for (int i = 0; k && i < MANY; i++) ck_assert_uint_eq(got[i], nearest(x[i]));
    free(x);
    free(got);
}
END_TEST

START_TEST(pack_rounds_by_chance_as_its_contract_says_to_the_bit)
{
    const struct kernels *k = bf16_backend(_i);
    const uint64_t keys[] = {1, UINT64_C(1) << 32, UINT64_C(0x9e3779b97f4a7c15)};
    const uint32_t special[] = {0x3f800001, 0xbf80ffff, 0x3fffffff, 0x00000001, 0x807fffff, 0x7f7f0001,
                                0xff7fffff, 0x7f800000, 0xff800000, 0x80000000, 0x00010000};

    for (int s = 0; k && s < COUNT(sizes); s++) {
        int outs = sizes[s].outs, ins = sizes[s].ins, count = outs * ins;
        float *w = noise((size_t)count, 1), *rounded = noise((size_t)count, 2);

        for (int i = 0; i < COUNT(special) && i < count; i++) w[count - 1 - i] = of_bits(special[i]);
        for (int i = 0; i < count; i++) rounded[i] = of_bf16(by_chance(w[i], keys[s % 3], i / ins, i % ins));
        for (int turned = 0; turned < 2; turned++) {
            size_t bytes = k->pack_size(outs, ins, turned);
            void *got = k->alloc(bytes), *want = k->alloc(bytes);

            k->pack(got, w, keys[s % 3], outs, ins, turned);
            k->pack(want, rounded, 0, outs, ins, turned);
            ck_assert(!memcmp(got, want, bytes));
            k->free(got);
            k->free(want);
        }
        free(w);
        free(rounded);
    }
}
END_TEST

enum { KEYS = 40000 };

/* Of so many keys those that round w, the second of a row, away from 0, and otherwise towards it. */
static int times_up(const struct kernels *k, float w) {
    const float row[] = {0, w};
    uint16_t near = (uint16_t)(bits_of(w) >> 16), *packed = k->alloc(k->pack_size(1, 2, 0));
    int up = 0;

    for (uint64_t key = 1; key <= KEYS; key++) {
        k->pack(packed, row, key, 1, 2, 0);
        if (packed[0] || (packed[1] != near && packed[1] != near + 1)) ck_abort_msg("%s: %a", k->name, w);
        up += packed[1] != near;
    }
    k->free(packed);
    return up;
}

/* The chance is the last 16 bits by 65536; 4.5 standard deviations of the binomial are one in 150,000. */
START_TEST(the_mean_of_roundings_by_chance_is_the_number)
{
    const struct kernels *k = bf16_backend(_i);
    const uint32_t bits[] = {0x3f800001, 0x3f804000, 0xbf808000, 0x3fffc000, 0x0000c000,
                             0x80018000, 0x7f7e4000, 0x40490fdb, 0xb5ffffff};

    for (int i = 0; k && i < COUNT(bits); i++) {
        double chance = (bits[i] & 0xffff) / 65536.0, spread = sqrt(KEYS * chance * (1 - chance));

        ck_assert_double_le(fabs(times_up(k, of_bits(bits[i])) - KEYS * chance), 4.5 * spread);
    }
}
END_TEST

START_TEST(rounding_by_chance_keeps_what_bf16_has_and_makes_nothing_infinite)
{
    const struct kernels *k = bf16_backend(_i);
    const uint32_t kept[] = {0x00000000, 0x80000000, 0x3f800000, 0xc0490000, 0x00010000,
                             0x807f0000, 0x7f7f0000, 0xff7f0000, 0x7f7f8000, 0x7f7fffff,
                             0xff7fffff, 0x7f800000, 0xff800000};
    const uint32_t none[] = {0x7fc00000, 0x7f800001, 0xff80ffff, 0x7fffffff, 0xffffffff};
    uint16_t packed[256] = {0};

    if (!k) return;
    ck_assert_uint_le(k->pack_size(1, 1, 0), sizeof packed);
    for (uint64_t key = 1; key <= 200; key++) {
        for (int i = 0; i < COUNT(kept); i++) {
            float w = of_bits(kept[i]);

            k->pack(packed, &w, key, 1, 1, 0);
            ck_assert_uint_eq(packed[0], kept[i] >> 16);
        }
        for (int i = 0; i < COUNT(none); i++) {
            float w = of_bits(none[i]);

            k->pack(packed, &w, key, 1, 1, 0);
            ck_assert(isnan(of_bf16(packed[0])));
        }
    }
}
END_TEST

/* ck_assert_msg() of every element would be most of a test's time. */
static void check_same(const struct kernels *k, const struct sizes *of, float got, float want, int row,
                       int col) {
    if (got != want)
        ck_abort_msg("%s, %d x %d x %d, element %d, %d: %a, not %a", k->name, of->rows, of->outs, of->ins,
                     row, col, (double)got, (double)want);
}

static const float unread[] = {NAN}; /* the weights, of which there is a layout */

START_TEST(forward_is_the_chain_of_the_contract_to_the_bit)
{
    const struct kernels *k = bf16_backend(_i);

    for (int s = 0; k && s < COUNT(sizes); s++) {
        struct problem p = problem_of(sizes[s]);
        int rows = p.of.rows, outs = p.of.outs, ins = p.of.ins;
        size_t count = (size_t)rows * outs;
        void *packed = k->alloc(k->pack_size(outs, ins, 0));
        float *plain = poison(count), *added, *other;

        k->pack(packed, p.weights, 0, outs, ins, 0);
        k->matmul(plain, p.x.narrow, p.weights, NULL, NULL, NULL, rows, outs, ins);
        added = copied(plain, count);
        other = copied(plain, count);
        k->matmul(added, p.x.narrow, p.weights, NULL, p.bias, added, rows, outs, ins);
        k->matmul(other, p.x.narrow, unread, packed, p.bias, other, rows, outs, ins);
        ck_assert(same_bits(added, other, count));
        for (int r = 0; r < rows; r++)
            for (int o = 0; o < outs; o++) {
                struct line x = {p.x.wide + (size_t)r * ins, 1}, w = {p.w.wide + (size_t)o * ins, 1};
                float once = pairs(0, x, w, ins);

                check_same(k, &p.of, plain[(size_t)r * outs + o], once, r, o);
                check_same(k, &p.of, added[(size_t)r * outs + o], pairs(once, x, w, ins) + p.bias[o], r, o);
            }
        k->free(packed);
        free(plain);
        free(added);
        free(other);
        problem_free(&p);
    }
}
END_TEST

START_TEST(gradients_are_the_chains_of_the_contract_to_the_bit)
{
    const struct kernels *k = bf16_backend(_i);

    for (int s = 0; k && s < COUNT(sizes); s++) {
        struct problem p = problem_of(sizes[s]);
        int rows = p.of.rows, outs = p.of.outs, ins = p.of.ins;
        void *turned = k->alloc(k->pack_size(outs, ins, 1));
        float *dx = poison((size_t)rows * ins), *other = poison((size_t)rows * ins);
        float *dw = copied(p.weights, (size_t)outs * ins);

        k->pack(turned, p.weights, 0, outs, ins, 1);
        k->matmul_dx(dx, p.dy.narrow, p.weights, NULL, NULL, rows, outs, ins);
        k->matmul_dx(other, p.dy.narrow, unread, turned, NULL, rows, outs, ins);
        ck_assert(same_bits(dx, other, (size_t)rows * ins));
        k->matmul_dw(dw, p.dy.narrow, p.x.narrow, rows, outs, ins);
        for (int r = 0; r < rows; r++)
            for (int i = 0; i < ins; i++) {
                struct line dy = {p.dy.wide + (size_t)r * outs, 1}, w = {p.w.wide + i, (size_t)ins};

                check_same(k, &p.of, dx[(size_t)r * ins + i], pairs(0, dy, w, outs), r, i);
            }
        for (int o = 0; o < outs; o++)
            for (int i = 0; i < ins; i++) {
                struct line dy = {p.dy.wide + o, (size_t)outs}, x = {p.x.wide + i, (size_t)ins};
                float from = p.weights[(size_t)o * ins + i];

                check_same(k, &p.of, dw[(size_t)o * ins + i], ascending(from, dy, x, rows), o, i);
            }
        k->free(turned);
        free(dx);
        free(other);
        free(dw);
        problem_free(&p);
    }
}
END_TEST

START_TEST(a_row_alone_gives_the_bits_it_gives_in_a_batch)
{
    const struct kernels *k = bf16_backend(_i);
    enum { ROWS = 37, OUTS = 150, INS = 1061 };
    struct problem p = problem_of((struct sizes){ROWS, OUTS, INS});
    float *out = poison(ROWS * OUTS), *dx = poison(ROWS * INS), alone[INS];

    if (!k) goto out;
    k->matmul(out, p.x.narrow, p.weights, NULL, p.bias, NULL, ROWS, OUTS, INS);
    k->matmul_dx(dx, p.dy.narrow, p.weights, NULL, NULL, ROWS, OUTS, INS);
    for (int r = 0; r < ROWS; r++) {
        k->matmul(alone, p.x.narrow + r * INS, p.weights, NULL, p.bias, NULL, 1, OUTS, INS);
        ck_assert(same_bits(alone, out + r * OUTS, OUTS));
        k->matmul_dx(alone, p.dy.narrow + r * OUTS, p.weights, NULL, NULL, 1, OUTS, INS);
        ck_assert(same_bits(alone, dx + r * INS, INS));
    }
out:
    problem_free(&p);
    free(out);
    free(dx);
}
END_TEST

START_TEST(gradients_of_micro_batches_add_up_to_the_bits_of_one_batch)
{
    const struct kernels *k = bf16_backend(_i);
    enum { ROWS = 2100, OUTS = 40, INS = 50 };
    struct problem p = problem_of((struct sizes){ROWS, OUTS, INS});
    float *whole = noise(OUTS * INS, 6), *parts = noise(OUTS * INS, 6), *bias = noise(OUTS, 7),
          *bias_parts = noise(OUTS, 7);
    const int cut[] = {0, 1, 14, 531, 1564, ROWS};

    if (!k) goto out;
    k->matmul_dw(whole, p.dy.narrow, p.x.narrow, ROWS, OUTS, INS);
    k->bias_backward(bias, p.dy.narrow, ROWS, OUTS);
    for (int c = 0; c + 1 < COUNT(cut); c++) {
        const uint16_t *dy = p.dy.narrow + cut[c] * OUTS;

        k->matmul_dw(parts, dy, p.x.narrow + cut[c] * INS, cut[c + 1] - cut[c], OUTS, INS);
        k->bias_backward(bias_parts, dy, cut[c + 1] - cut[c], OUTS);
    }
    ck_assert(same_bits(whole, parts, OUTS * INS));
    ck_assert(same_bits(bias, bias_parts, OUTS));
out:
    problem_free(&p);
    free(whole);
    free(parts);
    free(bias);
    free(bias_parts);
}
END_TEST

/* out = x * 1 + 0 through a product of single precision whose last step is the function in question. */
static const float one[] = {1};

static void check_narrow(const uint16_t *got, const float *want, size_t count) {
    for (size_t i = 0; i < count; i++) ck_assert_uint_eq(got[i], nearest(want[i]));
}

START_TEST(sums_are_finished_as_if_by_operations_on_their_own)
{
    const struct kernels *k = bf16_backend(_i), *plain = kernels_find("cpu-portable");

    for (int s = 0; k && s < 2 * COUNT(sizes); s++) {
        struct problem p = problem_of(sizes[s / 2]);
        int rows = p.of.rows, outs = p.of.outs, ins = p.of.ins;
        size_t count = (size_t)rows * outs, in_count = (size_t)rows * ins;
        float *added = noise(count, 7), *base = s % 2 ? added : NULL;
        float *dadded = noise(in_count, 8), *dbase = s % 2 ? dadded : NULL;
        float *sum = poison(count), *act = poison(count), *dsum = poison(in_count), *dup = poison(in_count);
        uint16_t *got = calloc(count + in_count + 1, sizeof *got), *up = calloc(count + 1, sizeof *up);

        k->matmul(sum, p.x.narrow, p.weights, NULL, p.bias, base, rows, outs, ins);
        k->matmul_operand(got, p.x.narrow, p.weights, NULL, p.bias, base, rows, outs, ins);
        check_narrow(got, sum, count);
        plain->matmul_gelu(act, NULL, sum, one, NULL, NULL, NULL, (int)count, 1, 1);
        k->matmul_gelu(got, up, p.x.narrow, p.weights, NULL, p.bias, base, rows, outs, ins);
        check_narrow(got, act, count);
        check_narrow(up, sum, count);
        memset(got, 0, count * sizeof *got);
        k->matmul_gelu(got, NULL, p.x.narrow, p.weights, NULL, p.bias, base, rows, outs, ins);
        check_narrow(got, act, count);

        k->matmul_dx(dsum, p.dy.narrow, p.weights, NULL, dbase, rows, outs, ins);
        k->matmul_dx_operand(got, p.dy.narrow, p.weights, NULL, dbase, rows, outs, ins);
        check_narrow(got, dsum, in_count);
        plain->matmul_dx_gelu(dup, p.x.wide, dsum, one, NULL, NULL, (int)in_count, 1, 1);
        k->matmul_dx_gelu(got, p.x.narrow, p.dy.narrow, p.weights, NULL, dbase, rows, outs, ins);
        check_narrow(got, dup, in_count);
        free(added);
        free(dadded);
        free(sum);
        free(act);
        free(dsum);
        free(dup);
        free(got);
        free(up);
        problem_free(&p);
    }
}
END_TEST

START_TEST(threads_change_no_bit)
{
    const struct kernels *k = bf16_backend(_i);
    enum { ROWS = 151, OUTS = 170, INS = 90 };
    struct problem p = problem_of((struct sizes){ROWS, OUTS, INS});
    float *out[4], *dw[4];
    uint16_t *act[4], *dup[4];

    for (int t = 1; k && t < 4; t++) {
        kernels_threads(t);
        out[t] = poison(ROWS * OUTS);
        dw[t] = noise(OUTS * INS, 8);
        act[t] = calloc(ROWS * OUTS, sizeof *act[t]);
        dup[t] = calloc(ROWS * INS, sizeof *dup[t]);
        k->matmul(out[t], p.x.narrow, p.weights, NULL, p.bias, NULL, ROWS, OUTS, INS);
        k->matmul_gelu(act[t], NULL, p.x.narrow, p.weights, NULL, p.bias, NULL, ROWS, OUTS, INS);
        k->matmul_dx_gelu(dup[t], p.x.narrow, p.dy.narrow, p.weights, NULL, NULL, ROWS, OUTS, INS);
        k->matmul_dw(dw[t], p.dy.narrow, p.x.narrow, ROWS, OUTS, INS);
        ck_assert(same_bits(out[t], out[1], ROWS * OUTS));
        ck_assert(same_bits(dw[t], dw[1], OUTS * INS));
        ck_assert(!memcmp(act[t], act[1], ROWS * OUTS * sizeof *act[t]));
        ck_assert(!memcmp(dup[t], dup[1], ROWS * INS * sizeof *dup[t]));
    }
    for (int t = 1; k && t < 4; t++) {
        free(out[t]);
        free(dw[t]);
        free(act[t]);
        free(dup[t]);
    }
    problem_free(&p);
}
END_TEST

START_TEST(denormals_count_for_no_more_than_themselves)
{
    const struct kernels *k = bf16_backend(_i);
    enum { INS = 65 };
    float out = NAN, w[INS];
    uint16_t x[INS];
    double want = 0;

    for (int i = 0; i < INS; i++) {
        x[i] = i % 3 ? 0x0011 : 0x2000; /* 17 2^-133, which is denormal; 2^-63 */
        w[i] = i % 3 ? 0.5f : 0x1p-64f; /* each product denormal too */
        want += (double)of_bf16(x[i]) * (double)w[i];
    }
    if (!k) return;
    k->matmul(&out, x, w, NULL, NULL, NULL, 1, 1, INS);
    ck_assert_double_le(fabs((double)out - want), INS * (double)FLT_MIN);
    ck_assert(!strcmp(k->name, "cpu-avx512bf16") ? out == 0 : out > 0);
}
END_TEST

START_TEST(no_rows_change_nothing)
{
    const struct kernels *k = bf16_backend(_i);
    float out[3] = {1, 2, 3}, w[6] = {0};
    uint16_t x[2] = {0};

    if (!k) return;
    k->matmul(out, x, w, NULL, NULL, NULL, 0, 3, 2);
    k->matmul_dw(out, x, x, 0, 1, 2);
    ck_assert(out[0] == 1 && out[1] == 2 && out[2] == 3);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("matmul bf16");
    TCase *test = tcase_create("matmul bf16");

    tcase_set_timeout(test, 60);
    tcase_add_loop_test(test, narrow_rounds_to_the_nearest_and_ties_to_even, 0, BF16_BACKENDS);
    tcase_add_loop_test(test, narrow_finds_the_nearer_neighbour_of_any_number, 0, BF16_BACKENDS);
    tcase_add_loop_test(test, pack_rounds_by_chance_as_its_contract_says_to_the_bit, 0, BF16_BACKENDS);
    tcase_add_loop_test(test, the_mean_of_roundings_by_chance_is_the_number, 0, BF16_BACKENDS);
    tcase_add_loop_test(test, rounding_by_chance_keeps_what_bf16_has_and_makes_nothing_infinite, 0,
                        BF16_BACKENDS);
    tcase_add_loop_test(test, forward_is_the_chain_of_the_contract_to_the_bit, 0, BF16_BACKENDS);
    tcase_add_loop_test(test, gradients_are_the_chains_of_the_contract_to_the_bit, 0, BF16_BACKENDS);
    tcase_add_loop_test(test, a_row_alone_gives_the_bits_it_gives_in_a_batch, 0, BF16_BACKENDS);
    tcase_add_loop_test(test, gradients_of_micro_batches_add_up_to_the_bits_of_one_batch, 0, BF16_BACKENDS);
    tcase_add_loop_test(test, sums_are_finished_as_if_by_operations_on_their_own, 0, BF16_BACKENDS);
    tcase_add_loop_test(test, threads_change_no_bit, 0, BF16_BACKENDS);
    tcase_add_loop_test(test, denormals_count_for_no_more_than_themselves, 0, BF16_BACKENDS);
    tcase_add_loop_test(test, no_rows_change_nothing, 0, BF16_BACKENDS);
    suite_add_tcase(suite, test);
    return run_suite(suite);
}
