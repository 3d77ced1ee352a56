#include "tests/test_kernels.h"

struct sizes {
    int rows, outs, ins;
};

/* Odd sizes around every tile, panel and block border. */
static const struct sizes sizes[] = {{1, 1, 1},       {3, 5, 7},       {1, 300, 65}, {2, 130, 33},
                                     {3, 70, 129},    {4, 33, 17},     {6, 16, 8},   {7, 33, 17},
                                     {14, 32, 64},    {17, 65, 40},    {33, 17, 31}, {65, 129, 33},
                                     {129, 100, 600}, {200, 64, 1030}, {5, 2100, 9}, {31, 40, 1064}};

/* One problem's inputs. */
struct problem {
    struct sizes of;
    float *x, *w, *bias, *dy;
};

static struct problem problem_of(struct sizes of) {
    return (struct problem){of, noise((size_t)of.rows * of.ins, 1), noise((size_t)of.outs * of.ins, 2),
                            noise(of.outs, 3), noise((size_t)of.rows * of.outs, 4)};
}

static void problem_free(struct problem *p) {
    free(p->x);
    free(p->w);
    free(p->bias);
    free(p->dy);
}

/* An element of a product as the contract says: one fused chain, then the bias. */
static float chain(float from, const float *a, int a_step, const float *b, int b_step, int depth) {
    for (int k = 0; k < depth; k++) from = fmaf(a[(size_t)k * a_step], b[(size_t)k * b_step], from);
    return from;
}

START_TEST(forward_is_the_chain_of_the_contract_to_the_bit)
{
    const struct kernels *k = backend(_i);

    for (int s = 0; k && s < COUNT(sizes); s++) {
        struct problem p = problem_of(sizes[s]);
        int rows = p.of.rows, outs = p.of.outs, ins = p.of.ins;
        float *out = poison((size_t)rows * outs), *plain = poison((size_t)rows * outs);

        k->matmul(plain, p.x, p.w, NULL, NULL, NULL, rows, outs, ins);
        memcpy(out, plain, (size_t)rows * outs * sizeof *out);
        k->matmul(out, p.x, p.w, NULL, p.bias, out, rows, outs, ins);
        for (int r = 0; r < rows; r++)
            for (int o = 0; o < outs; o++) {
                const float *x = p.x + (size_t)r * ins, *w = p.w + (size_t)o * ins;
                float once = chain(0, x, 1, w, 1, ins);

                ck_assert(plain[(size_t)r * outs + o] == once);
                ck_assert(out[(size_t)r * outs + o] == chain(once, x, 1, w, 1, ins) + p.bias[o]);
            }
        free(out);
        free(plain);
        problem_free(&p);
    }
}
END_TEST

START_TEST(gradients_are_the_chains_of_the_contract_to_the_bit)
{
    const struct kernels *k = backend(_i);

    for (int s = 0; k && s < COUNT(sizes); s++) {
        struct problem p = problem_of(sizes[s]);
        int rows = p.of.rows, outs = p.of.outs, ins = p.of.ins;
        float *dx = poison((size_t)rows * ins), *dw = copied(p.w, (size_t)outs * ins);

        k->matmul_dx(dx, p.dy, p.w, NULL, NULL, rows, outs, ins);
        k->matmul_dw(dw, p.dy, p.x, rows, outs, ins);
        for (int r = 0; r < rows; r++)
            for (int i = 0; i < ins; i++)
                ck_assert(dx[(size_t)r * ins + i] ==
                          chain(0, p.dy + (size_t)r * outs, 1, p.w + i, ins, outs));
        for (int o = 0; o < outs; o++)
            for (int i = 0; i < ins; i++)
                ck_assert(dw[(size_t)o * ins + i] ==
                          chain(p.w[(size_t)o * ins + i], p.dy + o, outs, p.x + i, ins, rows));
        free(dx);
        free(dw);
        problem_free(&p);
    }
}
END_TEST

START_TEST(products_are_near_the_double_reference)
{
    const struct kernels *k = backend(_i);

    for (int s = 0; k && s < COUNT(sizes); s++) {
        struct problem p = problem_of(sizes[s]);
        int rows = p.of.rows, outs = p.of.outs, ins = p.of.ins;
        float *out = poison((size_t)rows * outs);
        double *want = malloc((size_t)rows * outs * sizeof *want);

        for (int r = 0; r < rows; r++)
            for (int o = 0; o < outs; o++) {
                double sum = (double)p.bias[o];

                for (int i = 0; i < ins; i++)
                    sum += (double)p.x[(size_t)r * ins + i] * (double)p.w[(size_t)o * ins + i];
                want[(size_t)r * outs + o] = sum;
            }
        k->matmul(out, p.x, p.w, NULL, p.bias, NULL, rows, outs, ins);
        ck_assert_double_lt(worst(out, want, (size_t)rows * outs), 2e-5);
        free(out);
        free(want);
        problem_free(&p);
    }
}
END_TEST

static const float unread[] = {NAN}; /* the weights, of which there is a layout */

START_TEST(packed_weights_give_the_same_bits)
{
    const struct kernels *k = backend(_i);

    for (int s = 0; k && s < COUNT(sizes); s++) {
        struct problem p = problem_of(sizes[s]);
        int rows = p.of.rows, outs = p.of.outs, ins = p.of.ins;
        size_t count = (size_t)rows * outs;
        void *packed = k->alloc(k->pack_size(outs, ins, 0));
        float *out = noise(count, 5), *other = noise(count, 5);

        ck_assert_uint_eq(k->pack_size(outs, ins, 1), 0); /* gradients read floats as they are */
        k->pack(packed, p.w, 0, outs, ins, 0);
        for (int add = 0; add < 2; add++) {
            k->matmul(out, p.x, p.w, NULL, p.bias, add ? out : NULL, rows, outs, ins);
            k->matmul(other, p.x, unread, packed, p.bias, add ? other : NULL, rows, outs, ins);
            ck_assert(same_bits(out, other, count));
        }
        k->free(packed);
        free(out);
        free(other);
        problem_free(&p);
    }
}
END_TEST

START_TEST(a_row_alone_gives_the_bits_it_gives_in_a_batch)
{
    const struct kernels *k = backend(_i);
    struct problem p = problem_of((struct sizes){37, 150, 530});
    float *out = poison(37 * 150), *dx = poison(37 * 530), alone[530];

    if (!k) goto out;
    k->matmul(out, p.x, p.w, NULL, p.bias, NULL, 37, 150, 530);
    k->matmul_dx(dx, p.dy, p.w, NULL, NULL, 37, 150, 530);
    for (int r = 0; r < 37; r++) {
        k->matmul(alone, p.x + r * 530, p.w, NULL, p.bias, NULL, 1, 150, 530);
        ck_assert(same_bits(alone, out + r * 150, 150));
        k->matmul_dx(alone, p.dy + r * 150, p.w, NULL, NULL, 1, 150, 530);
        ck_assert(same_bits(alone, dx + r * 530, 530));
    }
out:
    problem_free(&p);
    free(out);
    free(dx);
}
END_TEST

START_TEST(gradients_of_micro_batches_add_up_to_the_bits_of_one_batch)
{
    const struct kernels *k = backend(_i);
    struct problem p = problem_of((struct sizes){1100, 40, 50});
    float *whole = noise(40 * 50, 6), *parts = noise(40 * 50, 6), *bias = noise(40, 7),
          *bias_parts = noise(40, 7);
    const int cut[] = {0, 1, 14, 530, 1100};

    if (!k) goto out;
    k->matmul_dw(whole, p.dy, p.x, 1100, 40, 50);
    k->bias_backward(bias, p.dy, 1100, 40);
    for (int c = 0; c + 1 < COUNT(cut); c++) {
        k->matmul_dw(parts, p.dy + cut[c] * 40, p.x + cut[c] * 50, cut[c + 1] - cut[c], 40, 50);
        k->bias_backward(bias_parts, p.dy + cut[c] * 40, cut[c + 1] - cut[c], 40);
    }
    ck_assert(same_bits(whole, parts, 40 * 50));
    ck_assert(same_bits(bias, bias_parts, 40));
out:
    problem_free(&p);
    free(whole);
    free(parts);
    free(bias);
    free(bias_parts);
}
END_TEST

START_TEST(sums_are_finished_as_if_by_operations_on_their_own)
{
    const struct kernels *k = backend(_i);
    const float one[] = {1}; /* x * 1 + 0 is x, then gelu */

    for (int s = 0; k && s < 2 * COUNT(sizes); s++) {
        struct problem p = problem_of(sizes[s / 2]);
        int rows = p.of.rows, outs = p.of.outs, ins = p.of.ins;
        size_t count = (size_t)rows * outs, in_count = (size_t)rows * ins;
        float *sum = poison(count), *act = poison(count), *got = poison(count), *up = poison(count);
        float *dsum = poison(in_count), *dup = poison(in_count), *dgot = poison(in_count);
        float *added = noise(count, 7), *base = s % 2 ? added : NULL;
        float *dadded = noise(in_count, 8), *dbase = s % 2 ? dadded : NULL;

        k->matmul(sum, p.x, p.w, NULL, p.bias, base, rows, outs, ins);
        k->matmul_operand(got, p.x, p.w, NULL, p.bias, base, rows, outs, ins);
        ck_assert(same_bits(got, sum, count));
        k->matmul_gelu(act, NULL, sum, one, NULL, NULL, NULL, (int)count, 1, 1);
        k->matmul_gelu(got, up, p.x, p.w, NULL, p.bias, base, rows, outs, ins);
        ck_assert(same_bits(got, act, count) && same_bits(up, sum, count));
        memset(got, 0, count * sizeof *got);
        k->matmul_gelu(got, NULL, p.x, p.w, NULL, p.bias, base, rows, outs, ins);
        ck_assert(same_bits(got, act, count));

        k->matmul_dx(dsum, p.dy, p.w, NULL, dbase, rows, outs, ins);
        k->matmul_dx_operand(dgot, p.dy, p.w, NULL, dbase, rows, outs, ins);
        ck_assert(same_bits(dgot, dsum, in_count));
        k->matmul_dx_gelu(dup, p.x, dsum, one, NULL, NULL, (int)in_count, 1, 1);
        k->matmul_dx_gelu(dgot, p.x, p.dy, p.w, NULL, dbase, rows, outs, ins);
        ck_assert(same_bits(dgot, dup, in_count));
        free(added);
        free(dadded);
        free(sum);
        free(act);
        free(got);
        free(up);
        free(dsum);
        free(dup);
        free(dgot);
        problem_free(&p);
    }
}
END_TEST

/* One row: the first outs, then the others onto them. */
START_TEST(a_base_stands_first_in_the_chain_of_gradients)
{
    const struct kernels *k = backend(_i);
    enum { OUTS = 53, INS = 40, FIRST = 22 };
    struct problem p = problem_of((struct sizes){1, OUTS, INS});
    float whole[INS], parts[INS];

    if (k) {
        k->matmul_dx(whole, p.dy, p.w, NULL, NULL, 1, OUTS, INS);
        k->matmul_dx(parts, p.dy, p.w, NULL, NULL, 1, FIRST, INS);
        k->matmul_dx(parts, p.dy + FIRST, p.w + FIRST * INS, NULL, parts, 1, OUTS - FIRST, INS);
        ck_assert(same_bits(whole, parts, INS));
    }
    problem_free(&p);
}
END_TEST

START_TEST(threads_change_no_bit)
{
    const struct kernels *k = backend(_i);
    struct problem p = problem_of((struct sizes){150, 170, 90});
    float *out[4], *dx[4], *dw[4], *bias[4];

    for (int t = 1; k && t < 4; t++) {
        kernels_threads(t);
        out[t] = poison(150 * 170);
        dx[t] = poison(150 * 90);
        dw[t] = noise(170 * 90, 8);
        bias[t] = noise(170, 9);
        k->matmul(out[t], p.x, p.w, NULL, p.bias, NULL, 150, 170, 90);
        k->matmul_dx(dx[t], p.dy, p.w, NULL, NULL, 150, 170, 90);
        k->matmul_dw(dw[t], p.dy, p.x, 150, 170, 90);
        k->bias_backward(bias[t], p.dy, 150, 170);
        ck_assert(same_bits(out[t], out[1], 150 * 170));
        ck_assert(same_bits(dx[t], dx[1], 150 * 90));
        ck_assert(same_bits(dw[t], dw[1], 170 * 90));
        ck_assert(same_bits(bias[t], bias[1], 170));
    }
    for (int t = 1; k && t < 4; t++) {
        free(out[t]);
        free(dx[t]);
        free(dw[t]);
        free(bias[t]);
    }
    problem_free(&p);
}
END_TEST

START_TEST(no_rows_change_nothing)
{
    const struct kernels *k = backend(_i);
    float out[3] = {1, 2, 3}, x[2] = {0}, w[6] = {0};

    if (!k) return;
    k->matmul(out, x, w, NULL, NULL, NULL, 0, 3, 2);
    k->matmul_dw(out, x, w, 0, 1, 3);
    ck_assert(out[0] == 1 && out[1] == 2 && out[2] == 3);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("matmul");
    TCase *test = tcase_create("matmul");

    tcase_set_timeout(test, 60);
    tcase_add_loop_test(test, forward_is_the_chain_of_the_contract_to_the_bit, 0, BACKENDS);
    tcase_add_loop_test(test, gradients_are_the_chains_of_the_contract_to_the_bit, 0, BACKENDS);
    tcase_add_loop_test(test, products_are_near_the_double_reference, 0, BACKENDS);
    tcase_add_loop_test(test, packed_weights_give_the_same_bits, 0, BACKENDS);
    tcase_add_loop_test(test, a_row_alone_gives_the_bits_it_gives_in_a_batch, 0, BACKENDS);
    tcase_add_loop_test(test, gradients_of_micro_batches_add_up_to_the_bits_of_one_batch, 0, BACKENDS);
    tcase_add_loop_test(test, sums_are_finished_as_if_by_operations_on_their_own, 0, BACKENDS);
    tcase_add_loop_test(test, a_base_stands_first_in_the_chain_of_gradients, 0, BACKENDS);
    tcase_add_loop_test(test, threads_change_no_bit, 0, BACKENDS);
    tcase_add_loop_test(test, no_rows_change_nothing, 0, BACKENDS);
    suite_add_tcase(suite, test);
    return run_suite(suite);
}
