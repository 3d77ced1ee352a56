#include "tests/reference_attention.h"

/* One pass of both directions over operands made of qkv and dout, which become what these hold. */
struct pass {
    void *qkv, *dout, *out, *dqkv;
    float *logsum;
};

static struct pass forward_run(const struct kernels *k, const struct sizes *s, float *qkv) {
    struct pass pass = {.qkv = operands_of(k, qkv, ins_of(s)),
                        .out = poison_operands(k, outs_of(s)),
                        .logsum = poison(sums_of(s))};

    k->attention(pass.out, pass.logsum, pass.qkv, s->start, s->rows, s->heads, s->kv_heads, s->head_size,
                 1 / sqrtf((float)s->head_size), 0);
    return pass;
}

static struct pass pass_run(const struct kernels *k, const struct sizes *s, float *qkv, float *dout) {
    struct pass pass = forward_run(k, s, qkv);

    pass.dout = operands_of(k, dout, outs_of(s));
    pass.dqkv = poison_operands(k, ins_of(s));
    k->attention_backward(pass.dqkv, pass.dout, pass.qkv, pass.out, pass.logsum, s->start, s->rows, s->heads,
                          s->kv_heads, s->head_size, 1 / sqrtf((float)s->head_size), 0);
    return pass;
}

static void pass_free(struct pass *pass) {
    free(pass->qkv);
    free(pass->dout);
    free(pass->out);
    free(pass->dqkv);
    free(pass->logsum);
}

static int same_passes(const struct kernels *k, const struct sizes *s, const struct pass *a,
                       const struct pass *b) {
    return same_operands(k, a->out, b->out, outs_of(s)) && same_bits(a->logsum, b->logsum, sums_of(s)) &&
           same_operands(k, a->dqkv, b->dqkv, ins_of(s));
}

static const int head_sizes[] = {1, 7, 16, 24, 32, 33, 64, 80};

/* Rounded weights are off by at most the roundoff of each, so that their mean is by that of the largest
   value; the output itself is rounded once more. */
START_TEST(forward_matches_the_double_reference)
{
    const struct kernels *k = backend(_i);
    const int length[] = {1, 50, 0, 17, 130, 3};

    for (int i = 0; k && i < COUNT(head_sizes); i++) {
        struct sizes s = sizes_of(4, 2, head_sizes[i], 6, length);
        float *qkv = noise(ins_of(&s), 1), *out;
        double *wide, *want = malloc((outs_of(&s) + sums_of(&s)) * sizeof *want);
        struct pass pass;

        for (size_t j = 0; j < ins_of(&s); j++) qkv[j] *= 3;
        pass = forward_run(k, &s, qkv);
        wide = doubled(qkv, ins_of(&s));
        reference_attention(want, wide, &s);
        out = values_of(k, pass.out, outs_of(&s));
        for (size_t j = 0; j < outs_of(&s); j++) {
            double room = roundoff(k) * (3 + fabs(want[j])) * (1 + roundoff(k));

            ck_assert_double_le(fabs((double)out[j] - want[j]), room + 6e-6 * (1 + fabs(want[j])));
        }
        ck_assert_double_lt(worst(pass.logsum, want + outs_of(&s), sums_of(&s)), 2e-6);
        pass_free(&pass);
        free(qkv);
        free(out);
        free(wide);
        free(want);
    }
}
END_TEST

/* dqkv against the reference, within what rounding explains. */
static void check_backward(const struct kernels *k, const struct sizes *s) {
    float *qkv = noise(ins_of(s), 1), *dout = noise(outs_of(s), 2), *dqkv;
    struct pass pass = pass_run(k, s, qkv, dout);
    double *wide = doubled(qkv, ins_of(s)), *slope = doubled(dout, outs_of(s));
    struct gradients g = reference_backward(wide, slope, s, roundoff(k));

    dqkv = values_of(k, pass.dqkv, ins_of(s));
    for (size_t j = 0; j < ins_of(s); j++)
        ck_assert_double_le(fabs((double)dqkv[j] - g.want[j]), g.room[j] + 2e-6 * (1 + fabs(g.want[j])));
    pass_free(&pass);
    free(qkv);
    free(dout);
    free(dqkv);
    free(wide);
    free(slope);
    free(g.want);
    free(g.room);
}

START_TEST(backward_matches_the_double_reference)
{
    const struct kernels *k = backend(_i);
    const int length[] = {1, 50, 0, 17, 98, 3};

    for (int i = 0; k && i < COUNT(head_sizes); i++) {
        struct sizes s = sizes_of(4, 1 << i % 3, head_sizes[i], 6, length);

        check_backward(k, &s);
    }
}
END_TEST

/* Every length near the sizes of blocks that an implementation may cut rows into. */
START_TEST(every_length_matches_the_double_reference_backward)
{
    const struct kernels *k = backend(_i);

    for (int length = 1; k && length <= 140; length += length < 36 || length > 60 ? 1 : 8) {
        struct sizes s = sizes_of(2, 1, 6, 1, &length);

        check_backward(k, &s);
    }
}
END_TEST

START_TEST(a_long_row_matches_the_double_reference_backward)
{
    const struct kernels *k = backend(_i);
    struct sizes s = sizes_of(1, 1, 5, 1, (const int[]){1100});

    if (k) check_backward(k, &s);
}
END_TEST

START_TEST(backward_matches_finite_differences)
{
    const struct kernels *k = backend(_i);
    const int length[] = {5, 1, 17};

    for (int kv_heads = 1; k && kv_heads <= 4; kv_heads *= 2) {
        struct sizes s = sizes_of(4, kv_heads, 6, 3, length);
        size_t outs = outs_of(&s), ins = ins_of(&s);
        float *qkv = noise(ins, 1), *slope = noise(outs + sums_of(&s), 2);
        struct pass pass = pass_run(k, &s, qkv, slope);

        memset(slope + outs, 0, sums_of(&s) * sizeof *slope);
        ck_assert_double_lt(gradient_error(reference_attention, &s, qkv, (int)ins, (int)(outs + sums_of(&s)),
                                           slope, pass.dqkv, NULL),
                            1e-5);
        pass_free(&pass);
        free(qkv);
        free(slope);
    }
}
END_TEST

/* Backends first … end - 1, each with one to three threads. */
static void compare_bits(int first, int end, const struct sizes *s) {
    float *qkv = noise(ins_of(s), 1), *dout = noise(outs_of(s), 2);
    struct pass first_pass;

    kernels_threads(1);
    first_pass = pass_run(backend(first), s, qkv, dout);
    for (int b = first; b < end; b++)
        for (int threads = 1; backend(b) && threads <= 3; threads++) {
            struct pass other;

            kernels_threads(threads);
            other = pass_run(backend(b), s, qkv, dout);
            ck_assert(same_passes(backend(b), s, &first_pass, &other));
            pass_free(&other);
        }
    pass_free(&first_pass);
    free(qkv);
    free(dout);
}

START_TEST(instruction_sets_and_threads_change_no_bit)
{
    const int length[] = {129, 1, 65};

    for (int i = 0; i < COUNT(head_sizes); i++) {
        struct sizes s = sizes_of(4, 1 << i % 3, head_sizes[i], 3, length);

        compare_bits(0, BACKENDS, &s);
        compare_bits(BACKENDS, ALL_BACKENDS, &s);
    }
}
END_TEST

START_TEST(instruction_sets_and_threads_change_no_bit_of_a_long_row)
{
    struct sizes s = sizes_of(1, 1, 6, 1, (const int[]){1100});

    compare_bits(0, BACKENDS, &s);
    compare_bits(BACKENDS, ALL_BACKENDS, &s);
}
END_TEST

/* Row 1 of three, alone. */
START_TEST(a_row_alone_gives_the_bits_it_gives_in_a_batch)
{
    const struct kernels *k = backend(_i);
    const int length[] = {33, 100, 7};
    struct sizes s = sizes_of(2, 1, 24, 3, length), one = sizes_of(2, 1, 24, 1, length + 1);
    float *qkv = noise(ins_of(&s), 1), *dout = noise(outs_of(&s), 2);

    if (k) {
        struct pass all = pass_run(k, &s, qkv, dout);
        struct pass alone = pass_run(k, &one, qkv + 33 * 96, dout + 33 * 48);

        ck_assert(same_operands(k, (char *)all.out + 33 * 48 * k->operand_bytes, alone.out, outs_of(&one)));
        ck_assert(same_bits(all.logsum + 33 * 2, alone.logsum, sums_of(&one)));
        ck_assert(same_operands(k, (char *)all.dqkv + 33 * 96 * k->operand_bytes, alone.dqkv, ins_of(&one)));
        pass_free(&all);
        pass_free(&alone);
    }
    free(qkv);
    free(dout);
}
END_TEST

/* Decodes rows 0 and 1 of equal length token by token in slots 1 and 0, both in each step; where `skip` does
   not divide a position, it goes on later, behind all that came before. */
static void *decode_rows(const struct kernels *k, const void *qkv, const struct sizes *s, int skip) {
    int length = s->start[1];
    size_t width = width_of(s) * k->operand_bytes, outs = s->heads * s->head_size * k->operand_bytes;
    size_t bytes = k->cache_size(2, length, s->kv_heads, s->head_size);
    char *out = poison_operands(k, outs_of(s)), *both = malloc(2 * width), *got = malloc(2 * outs);
    float *cache = k->alloc(bytes);
    const int slot[] = {1, 0};

    for (size_t i = 0; i < bytes / sizeof *cache; i++) cache[i] = 7;
    for (int t = 0; t < length; t++) {
        const int position[] = {t, t}, row[] = {0, 2};
        const int start[] = {s->start[0], s->start[0] + t, s->start[1], s->start[1] + t};

        if (t % skip && t != length - 1) continue;
        if (skip > 1)
            k->cache_write(cache, qkv, start, row, slot, 2, t, length, s->heads, s->kv_heads, s->head_size);
        for (int r = 0; r < 2; r++)
            memcpy(both + r * width, (const char *)qkv + (s->start[r] + t) * width, width);
        k->attention_decode(got, cache, both, slot, position, 2, length, s->heads, s->kv_heads, s->head_size,
                            1 / sqrtf((float)s->head_size), 0);
        for (int r = 0; r < 2; r++) memcpy(out + (s->start[r] + t) * outs, got + r * outs, outs);
    }
    k->free(cache);
    free(both);
    free(got);
    return out;
}

static void check_decoding(const struct kernels *k, const struct sizes *s, int skip) {
    float *qkv = noise(ins_of(s), 1);
    struct pass pass = forward_run(k, s, qkv);
    char *decoded = decode_rows(k, pass.qkv, s, skip);
    size_t outs = s->heads * s->head_size;

    for (int t = 0; t < tokens_of(s); t++)
        if (t % s->start[1] % skip == 0 || t % s->start[1] == s->start[1] - 1)
            ck_assert(same_operands(k, (char *)pass.out + t * outs * k->operand_bytes,
                                    decoded + t * outs * k->operand_bytes, outs));
    pass_free(&pass);
    free(qkv);
    free(decoded);
}

START_TEST(decoding_equals_attention_to_the_bit_at_every_position)
{
    const struct kernels *k = backend(_i);
    const int length[] = {130, 130}, kv_heads[] = {12, 6, 4, 2, 1};

    for (int i = 0; k && i < COUNT(head_sizes); i++) {
        struct sizes s = sizes_of(12, kv_heads[i % COUNT(kv_heads)], head_sizes[i], 2, length);

        check_decoding(k, &s, 1);
    }
}
END_TEST

START_TEST(decoding_equals_attention_to_the_bit_up_to_position_4095)
{
    const struct kernels *k = backend(_i);
    struct sizes s = sizes_of(1, 1, 2, 2, (const int[]){4096, 4096});

    if (k) check_decoding(k, &s, 509);
}
END_TEST

START_TEST(a_prefix_gives_the_bits_of_the_whole)
{
    const struct kernels *k = backend(_i);
    float *wide = noise(130 * 3 * 16, 1), sum[130];
    void *qkv, *whole, *part;

    if (!k) return;
    qkv = operands_of(k, wide, 130 * 3 * 16);
    whole = poison_operands(k, 130 * 16);
    part = poison_operands(k, 130 * 16);
    k->attention(whole, sum, qkv, (const int[]){0, 130}, 1, 1, 1, 16, 1 / sqrtf((float)16), 0);
    for (int length = 1; length <= 130; length++) {
        k->attention(part, sum, qkv, (const int[]){0, length}, 1, 1, 1, 16, 1 / sqrtf((float)16), 0);
        ck_assert(same_operands(k, whole, part, (size_t)length * 16));
    }
    free(wide);
    free(qkv);
    free(whole);
    free(part);
}
END_TEST

START_TEST(huge_scores_pick_one_key)
{
    const struct kernels *k = backend(_i);
    float qkv[3 * 3] = {0}, sum[3], *out; /* one head of size 1: q, k, v of three tokens */
    void *operands, *rounded;

    if (!k) return;
    qkv[6] = 100; /* the last query */
    qkv[1] = 1;
    qkv[4] = 100;
    qkv[2] = 5;
    qkv[5] = -2;
    qkv[8] = 9;
    operands = operands_of(k, qkv, COUNT(qkv));
    rounded = poison_operands(k, 3);
    k->attention(rounded, sum, operands, (const int[]){0, 3}, 1, 1, 1, 1, 1 / sqrtf((float)1), 0);
    out = values_of(k, rounded, 3);
    ck_assert_float_eq(out[0], 5);
    ck_assert_float_eq(out[1], 1.5f);
    ck_assert_float_eq(out[2], -2);
    ck_assert_float_eq(sum[2], 1e4f);
    free(operands);
    free(rounded);
    free(out);
}
END_TEST

/* 300 keys that weigh alike give sums beyond 256, where bf16 counts in twos: gradients of one value add up in
   single precision. */
START_TEST(gradients_of_keys_and_values_add_up_in_single_precision)
{
    const struct kernels *k = backend(_i);
    struct sizes s = sizes_of(4, 1, 1, 1, (const int[]){301});
    float *qkv = calloc(ins_of(&s), sizeof *qkv), *dout = calloc(outs_of(&s), sizeof *dout), *dqkv;
    struct pass pass;
    double want = 0;

    if (!k) return;
    for (int t = 0; t < 301; t++)
        for (int h = 0; h < 4; h++) {
            float weight = 1 / (1 + (float)t), rounded = weight;

            dout[t * 4 + h] = 1 + (float)t;
            free(operands_of(k, &rounded, 1));
            free(operands_of(k, &dout[t * 4 + h], 1));
            want += (double)rounded * (double)dout[t * 4 + h];
        }
    pass = pass_run(k, &s, qkv, dout);
    dqkv = values_of(k, pass.dqkv, ins_of(&s));
    ck_assert_double_le(fabs((double)dqkv[5] - want), want * (roundoff(k) + 2e-6));
    pass_free(&pass);
    free(qkv);
    free(dout);
    free(dqkv);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("attention");
    TCase *test = tcase_create("attention");

    tcase_set_timeout(test, 60);
    tcase_add_loop_test(test, forward_matches_the_double_reference, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, backward_matches_the_double_reference, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, every_length_matches_the_double_reference_backward, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, a_long_row_matches_the_double_reference_backward, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, backward_matches_finite_differences, 0, BACKENDS);
    tcase_add_test(test, instruction_sets_and_threads_change_no_bit);
    tcase_add_test(test, instruction_sets_and_threads_change_no_bit_of_a_long_row);
    tcase_add_loop_test(test, a_row_alone_gives_the_bits_it_gives_in_a_batch, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, decoding_equals_attention_to_the_bit_at_every_position, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, decoding_equals_attention_to_the_bit_up_to_position_4095, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, a_prefix_gives_the_bits_of_the_whole, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, huge_scores_pick_one_key, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, gradients_of_keys_and_values_add_up_in_single_precision, 0, ALL_BACKENDS);
    suite_add_tcase(suite, test);
    return run_suite(suite);
}
