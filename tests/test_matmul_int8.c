#include <float.h>

#include "tests/test_kernels.h"

struct sizes {
    int rows, outs, ins;
};

/* Odd sizes around every tile, pair, panel, group, strip and block border. */
static const struct sizes sizes[] = {{1, 1, 1},       {3, 5, 7},      {1, 300, 65},    {2, 130, 33},
                                     {3, 70, 129},    {4, 33, 17},    {6, 16, 8},      {7, 33, 17},
                                     {14, 32, 64},    {17, 65, 40},   {33, 17, 31},    {65, 129, 33},
                                     {1, 128, 2100},  {31, 40, 1064}, {5, 2100, 9},    {129, 100, 600},
                                     {16, 160, 2080}, {15, 33, 4097}, {181, 70, 1290}, {2, 96, 320}};

/* One problem's inputs, and its weights as the contract says int8 is: scales of 32, whole numbers between
   -127 and 127. */
struct problem {
    struct sizes of;
    float *w, *coded, *scale, *bias, *x_wide, *dy_wide;
    void *x, *dy; /* operands */
    void *packed; /* coded again, by pack_int8() */
};

static void code(struct problem *p) {
    for (int o = 0; o < p->of.outs; o++)
        for (int i = 0; i < p->of.ins; i++) {
            const float *group = p->w + (size_t)o * p->of.ins + i / 32 * 32;
            float most = 0;

            for (int j = 0; j < 32 && i / 32 * 32 + j < p->of.ins; j++) most = fmaxf(most, fabsf(group[j]));
            p->scale[(size_t)o * p->of.ins + i] = fmaxf(most / 127, FLT_MIN);
        }
    for (size_t i = 0; i < (size_t)p->of.outs * p->of.ins; i++)
        p->coded[i] = (float)lrintf(p->w[i] / p->scale[i]) * p->scale[i];
}

static struct problem problem_of(const struct kernels *k, struct sizes of) {
    size_t count = (size_t)of.outs * of.ins;
    struct problem p = {.of = of, .w = noise(count, 2), .coded = poison(count), .scale = poison(count)};

    if (of.outs > 3)
        for (int i = 0; i < of.ins; i++) p.w[i] *= i < 32 ? 0 : 0x1p-126f; /* nothing, and next to it */
    code(&p);
    p.bias = noise(of.outs, 3);
    p.x_wide = noise((size_t)of.rows * of.ins, 1);
    p.dy_wide = noise((size_t)of.rows * of.outs, 4);
    p.x = operands_of(k, p.x_wide, (size_t)of.rows * of.ins);
    p.dy = operands_of(k, p.dy_wide, (size_t)of.rows * of.outs);
    p.packed = k->alloc(k->pack_int8_size(of.outs, of.ins));
    k->pack_int8(p.packed, p.w, of.outs, of.ins);
    return p;
}

static void problem_free(const struct kernels *k, struct problem *p) {
    free(p->w);
    free(p->coded);
    free(p->scale);
    free(p->bias);
    free(p->x_wide);
    free(p->dy_wide);
    free(p->x);
    free(p->dy);
    k->free(p->packed);
}

START_TEST(products_of_x_are_those_of_the_numbers_that_int8_stands_for)
{
    const struct kernels *k = backend(_i);

    for (int s = 0; k && s < COUNT(sizes); s++) {
        struct problem p = problem_of(k, sizes[s]);
        int rows = p.of.rows, outs = p.of.outs, ins = p.of.ins;
        size_t count = (size_t)rows * outs;
        float *want = noise(count, 5), *got = noise(count, 5), *base = noise(count, 6);
        void *want_up = poison_operands(k, count), *got_up = poison_operands(k, count);

        k->matmul(want, p.x, p.coded, NULL, NULL, NULL, rows, outs, ins);
        k->matmul(got, p.x, NULL, p.packed, NULL, NULL, rows, outs, ins);
        ck_assert_msg(same_bits(got, want, count), "%s, %d x %d x %d", k->name, rows, outs, ins);
        k->matmul(want, p.x, p.coded, NULL, p.bias, want, rows, outs, ins);
        k->matmul(got, p.x, NULL, p.packed, p.bias, got, rows, outs, ins);
        ck_assert_msg(same_bits(got, want, count), "%s, %d x %d x %d", k->name, rows, outs, ins);
        k->matmul_operand(want, p.x, p.coded, NULL, p.bias, base, rows, outs, ins);
        k->matmul_operand(got, p.x, NULL, p.packed, p.bias, base, rows, outs, ins);
        ck_assert(same_operands(k, got, want, count));
        k->matmul_gelu(want, want_up, p.x, p.coded, NULL, p.bias, base, rows, outs, ins);
        k->matmul_gelu(got, got_up, p.x, NULL, p.packed, p.bias, base, rows, outs, ins);
        ck_assert(same_operands(k, got, want, count) && same_operands(k, got_up, want_up, count));
        free(want);
        free(got);
        free(base);
        free(want_up);
        free(got_up);
        problem_free(k, &p);
    }
}
END_TEST

START_TEST(products_of_dy_multiply_by_the_same_numbers)
{
    const struct kernels *k = backend(_i);

    for (int s = 0; k && s < COUNT(sizes); s++) {
        struct problem p = problem_of(k, sizes[s]);
        int rows = p.of.rows, outs = p.of.outs, ins = p.of.ins;
        size_t count = (size_t)rows * ins;
        float *want = poison(count), *got = poison(count), *base = noise(count, 6);

        k->matmul_dx(want, p.dy, p.coded, NULL, NULL, rows, outs, ins);
        k->matmul_dx(got, p.dy, NULL, p.packed, NULL, rows, outs, ins);
        ck_assert_msg(same_bits(got, want, count), "%s, %d x %d x %d", k->name, rows, outs, ins);
        k->matmul_dx(want, p.dy, p.coded, NULL, base, rows, outs, ins);
        k->matmul_dx(got, p.dy, NULL, p.packed, base, rows, outs, ins);
        ck_assert_msg(same_bits(got, want, count), "%s, %d x %d x %d", k->name, rows, outs, ins);
        k->matmul_dx_operand(want, p.dy, p.coded, NULL, base, rows, outs, ins);
        k->matmul_dx_operand(got, p.dy, NULL, p.packed, base, rows, outs, ins);
        ck_assert(same_operands(k, got, want, count));
        k->matmul_dx_gelu(want, p.x, p.dy, p.coded, NULL, base, rows, outs, ins);
        k->matmul_dx_gelu(got, p.x, p.dy, NULL, p.packed, base, rows, outs, ins);
        ck_assert(same_operands(k, got, want, count));
        free(want);
        free(got);
        free(base);
        problem_free(k, &p);
    }
}
END_TEST

START_TEST(threads_and_rows_around_change_no_bit)
{
    const struct kernels *k = backend(_i);
    enum { ROWS = 37, OUTS = 150, INS = 530 };
    struct problem p;
    float *out, *dx, alone[INS];

    if (!k) return;
    p = problem_of(k, (struct sizes){ROWS, OUTS, INS});
    out = poison(ROWS * OUTS);
    dx = poison(ROWS * INS);
    for (int threads = 1; threads < 4; threads++) {
        kernels_threads(threads);
        k->matmul(out, p.x, NULL, p.packed, p.bias, NULL, ROWS, OUTS, INS);
        k->matmul_dx(dx, p.dy, NULL, p.packed, NULL, ROWS, OUTS, INS);
        for (int r = 0; r < ROWS; r++) {
            k->matmul(alone, (char *)p.x + r * INS * k->operand_bytes, NULL, p.packed, p.bias, NULL, 1, OUTS,
                      INS);
            ck_assert(same_bits(alone, out + r * OUTS, OUTS));
            k->matmul_dx(alone, (char *)p.dy + r * OUTS * k->operand_bytes, NULL, p.packed, NULL, 1, OUTS,
                         INS);
            ck_assert(same_bits(alone, dx + r * INS, INS));
        }
    }
    free(out);
    free(dx);
    problem_free(k, &p);
}
END_TEST

/* Weight o, i as a product gives it, where operands are float. */
static float weight_of(const struct kernels *k, const void *packed, int outs, int ins, int o, int i) {
    float x[64] = {0}, out[64];

    x[i] = 1;
    k->matmul(out, x, NULL, packed, NULL, NULL, 1, outs, ins);
    return out[o];
}

START_TEST(a_weight_is_off_by_half_a_scale_at_most_and_the_largest_of_a_group_not_at_all)
{
    const struct kernels *k = backend(_i);
    struct problem p;

    if (!k) return;
    p = problem_of(k, (struct sizes){1, 40, 64});
    for (int j = 0; j < 40 * 64; j++) {
        double off = fabs((double)weight_of(k, p.packed, 40, 64, j / 64, j % 64) - (double)p.w[j]);

        ck_assert_double_le(off, 0.5000001 * (double)p.scale[j]);
        if (fabsf(p.w[j]) > 126.9999f * p.scale[j]) ck_assert_double_le(off, 1e-7 * fabs((double)p.w[j]));
    }
    problem_free(k, &p);
}
END_TEST

START_TEST(whole_numbers_of_a_scale_stay_what_they_are)
{
    const struct kernels *k = backend(_i);
    float w[64]; /* as a block of GGUF's Q8_0: its scale has 11 bits, and one number is 127 */

    if (!k) return;
    for (int i = 0; i < 64; i++) w[i] = (float)(i % 32 == 9 ? -127 : (i * 37) % 255 - 127) * 0x1.5a4p-9f;
    char *packed = k->alloc(k->pack_int8_size(1, 64));
    k->pack_int8(packed, w, 1, 64);
    for (int i = 0; i < 64; i++) ck_assert_float_eq(weight_of(k, packed, 1, 64, 0, i), w[i]);
    k->free(packed);
}
END_TEST

START_TEST(nine_bits_a_weight_is_what_it_takes)
{
    const struct kernels *k = backend(_i);

    if (!k) return;
    ck_assert_uint_eq(k->pack_int8_size(96, 640), 96 * 640 * 9 / 8);
    ck_assert_uint_le(k->pack_int8_size(95, 609), 96 * 640 * 9 / 8);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("matmul int8");
    TCase *test = tcase_create("matmul int8");

    tcase_set_timeout(test, 60);
    tcase_add_loop_test(test, products_of_x_are_those_of_the_numbers_that_int8_stands_for, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, products_of_dy_multiply_by_the_same_numbers, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, threads_and_rows_around_change_no_bit, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, a_weight_is_off_by_half_a_scale_at_most_and_the_largest_of_a_group_not_at_all,
                        0, BACKENDS);
    tcase_add_loop_test(test, whole_numbers_of_a_scale_stay_what_they_are, 0, BACKENDS);
    tcase_add_loop_test(test, nine_bits_a_weight_is_what_it_takes, 0, ALL_BACKENDS);
    suite_add_tcase(suite, test);
    return run_suite(suite);
}
