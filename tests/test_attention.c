#include "tests/test_kernels.h"

/* Rows of lengths `length`, end to end. */
struct sizes {
    int rows, heads, kv_heads, head_size, start[8];
};

static struct sizes sizes_of(int heads, int kv_heads, int head_size, int rows, const int *length) {
    struct sizes s = {rows, heads, kv_heads, head_size, {0}};

    for (int r = 0; r < rows; r++) s.start[r + 1] = s.start[r] + length[r];
    return s;
}

static int width_of(const struct sizes *s) {
    return (s->heads + 2 * s->kv_heads) * s->head_size;
}

static int tokens_of(const struct sizes *s) {
    return s->start[s->rows];
}

/* One query against its row: out[head_size]; returns the log of the sum. */
static double reference_query(double *out, const double *qkv, const struct sizes *s, int row, int token,
                              int h) {
    int width = width_of(s), size = s->head_size, kv = h / (s->heads / s->kv_heads), first = s->start[row];
    const double *q = qkv + (size_t)token * width + h * size, *k = qkv + (s->heads + kv) * size;
    const double *v = k + s->kv_heads * size;
    double score[256], max = -INFINITY, sum = 0;

    for (int t = first; t <= token; t++) {
        score[t - first] = 0;
        for (int d = 0; d < size; d++) score[t - first] += q[d] * k[(size_t)t * width + d];
        score[t - first] /= sqrt(size);
        max = fmax(max, score[t - first]);
    }
    for (int d = 0; d < size; d++) out[d] = 0;
    for (int t = first; t <= token; t++) sum += exp(score[t - first] - max);
    for (int t = first; t <= token; t++)
        for (int d = 0; d < size; d++) out[d] += exp(score[t - first] - max) / sum * v[(size_t)t * width + d];
    return max + log(sum);
}

/* out[T][heads][head_size], then logsum[T][heads]. */
static void reference_attention(double *out, const double *qkv, const void *sizes) {
    const struct sizes *s = sizes;
    double *logsum = out + (size_t)tokens_of(s) * s->heads * s->head_size;

    for (int r = 0; r < s->rows; r++)
        for (int t = s->start[r]; t < s->start[r + 1]; t++)
            for (int h = 0; h < s->heads; h++)
                logsum[t * s->heads + h] =
                    reference_query(out + ((size_t)t * s->heads + h) * s->head_size, qkv, s, r, t, h);
}

static const int head_sizes[] = {1, 16, 24, 32, 64, 80};

START_TEST(forward_matches_the_double_reference)
{
    const struct kernels *k = backend(_i);
    const int length[] = {1, 50, 0, 17, 130, 3};

    for (int i = 0; k && i < COUNT(head_sizes); i++) {
        struct sizes s = sizes_of(4, 2, head_sizes[i], 6, length);
        int tokens = tokens_of(&s), outs = tokens * s.heads * s.head_size;
        float *qkv = noise((size_t)tokens * width_of(&s), 1), *out = poison(outs),
              *sum = poison(tokens * s.heads);
        double *wide, *want = malloc((outs + tokens * s.heads) * sizeof *want);

        for (int j = 0; j < tokens * width_of(&s); j++) qkv[j] *= 3;
        wide = doubled(qkv, (size_t)tokens * width_of(&s));
        reference_attention(want, wide, &s);
        k->attention(out, sum, qkv, s.start, s.rows, s.heads, s.kv_heads, s.head_size);
        ck_assert_double_lt(worst(out, want, outs), 6e-6);
        ck_assert_double_lt(worst(sum, want + outs, tokens * s.heads), 2e-6);
        free(qkv);
        free(out);
        free(sum);
        free(wide);
        free(want);
    }
}
END_TEST

START_TEST(backward_matches_finite_differences)
{
    const struct kernels *k = backend(_i);
    const int length[] = {5, 1, 17};

    for (int kv_heads = 1; k && kv_heads <= 4; kv_heads *= 2) {
        struct sizes s = sizes_of(4, kv_heads, 6, 3, length);
        int tokens = tokens_of(&s), outs = tokens * s.heads * s.head_size, ins = tokens * width_of(&s);
        float *qkv = noise(ins, 1), *out = poison(outs), *sum = poison(tokens * s.heads), *dqkv = poison(ins);
        float *slope = noise(outs + tokens * s.heads, 2);

        memset(slope + outs, 0, tokens * s.heads * sizeof *slope);
        k->attention(out, sum, qkv, s.start, s.rows, s.heads, s.kv_heads, s.head_size);
        k->attention_backward(dqkv, slope, qkv, out, sum, s.start, s.rows, s.heads, s.kv_heads, s.head_size);
        ck_assert_double_lt(
            gradient_error(reference_attention, &s, qkv, ins, outs + tokens * s.heads, slope, dqkv, NULL),
            1e-5);
        free(qkv);
        free(out);
        free(sum);
        free(dqkv);
        free(slope);
    }
}
END_TEST

/* All outputs of one pass: out, logsum and dqkv end to end. */
static float *whole_pass(const struct kernels *k, const struct sizes *s, const float *qkv, const float *dout,
                         size_t *count) {
    size_t tokens = tokens_of(s), outs = tokens * s->heads * s->head_size, sums = tokens * s->heads;
    size_t ins = tokens * width_of(s);
    float *all = poison(outs + sums + ins);

    k->attention(all, all + outs, qkv, s->start, s->rows, s->heads, s->kv_heads, s->head_size);
    k->attention_backward(all + outs + sums, dout, qkv, all, all + outs, s->start, s->rows, s->heads,
                          s->kv_heads, s->head_size);
    *count = outs + sums + ins;
    return all;
}

START_TEST(instruction_sets_and_threads_change_no_bit)
{
    const int length[] = {129, 1, 65};

    for (int i = 0; i < COUNT(head_sizes); i++) {
        struct sizes s = sizes_of(4, 2, head_sizes[i], 3, length);
        size_t tokens = tokens_of(&s), count;
        float *qkv = noise(tokens * width_of(&s), 1), *dout = noise(tokens * s.heads * s.head_size, 2),
              *first;

        kernels_threads(1);
        first = whole_pass(backend(0), &s, qkv, dout, &count);
        for (int b = 0; b < BACKENDS; b++)
            for (int threads = 1; backend(b) && threads <= 3; threads++) {
                float *other;

                kernels_threads(threads);
                other = whole_pass(backend(b), &s, qkv, dout, &count);
                ck_assert(same_bits(first, other, count));
                free(other);
            }
        free(first);
        free(qkv);
        free(dout);
    }
}
END_TEST

START_TEST(a_row_alone_gives_the_bits_it_gives_in_a_batch)
{
    const struct kernels *k = backend(_i);
    const int length[] = {33, 100, 7};
    struct sizes s = sizes_of(2, 1, 24, 3, length);
    float *qkv = noise(140 * 96, 1), *out = poison(140 * 48), *sum = poison(140 * 2),
          *alone = poison(100 * 48);
    float *alone_sum = poison(100 * 2);

    if (k) {
        k->attention(out, sum, qkv, s.start, 3, 2, 1, 24);
        k->attention(alone, alone_sum, qkv + 33 * 96, (const int[]){0, 100}, 1, 2, 1, 24);
        ck_assert(same_bits(out + 33 * 48, alone, 100 * 48));
        ck_assert(same_bits(sum + 33 * 2, alone_sum, 100 * 2));
    }
    free(qkv);
    free(out);
    free(sum);
    free(alone);
    free(alone_sum);
}
END_TEST

/* Decodes one row token by token in slot 1 while slot 0 holds another, each step with both. */
static void decode_row(const struct kernels *k, float *out, const float *qkv, const struct sizes *s,
                       int context) {
    int length = tokens_of(s) / 2, width = width_of(s), outs = s->heads * s->head_size;
    size_t bytes = k->cache_size(2, context, s->kv_heads, s->head_size);
    float *cache = k->alloc(bytes), *both = malloc(2 * width * sizeof *both);
    float *got = malloc(2 * outs * sizeof *got);
    const int slot[] = {1, 0};

    for (size_t i = 0; i < bytes / sizeof *cache; i++) cache[i] = 7;
    for (int t = 0; t < length; t++) {
        const int position[] = {t, t};

        memcpy(both, qkv + (size_t)t * width, width * sizeof *both);
        memcpy(both + width, qkv + (size_t)(length + t) * width, width * sizeof *both);
        k->cache_write(cache, both, slot, position, 2, context, s->heads, s->kv_heads, s->head_size);
        k->attention_decode(got, both, cache, slot, position, 2, context, s->heads, s->kv_heads,
                            s->head_size);
        memcpy(out + (size_t)t * outs, got, outs * sizeof *out);
        memcpy(out + (size_t)(length + t) * outs, got + outs, outs * sizeof *out);
    }
    k->free(cache);
    free(both);
    free(got);
}

START_TEST(decoding_equals_attention_to_the_bit_at_every_position)
{
    const struct kernels *k = backend(_i);
    const int length[] = {130, 130};

    for (int i = 0; k && i < COUNT(head_sizes); i++)
        for (int kv_heads = 1; kv_heads <= 4; kv_heads *= 2) {
            struct sizes s = sizes_of(4, kv_heads, head_sizes[i], 2, length);
            size_t outs = (size_t)260 * 4 * s.head_size;
            float *qkv = noise((size_t)260 * width_of(&s), 1), *out = poison(outs), *sum = poison(260 * 4);
            float *decoded = poison(outs);

            k->attention(out, sum, qkv, s.start, 2, 4, kv_heads, s.head_size);
            decode_row(k, decoded, qkv, &s, 130);
            ck_assert(same_bits(out, decoded, outs));
            free(qkv);
            free(out);
            free(sum);
            free(decoded);
        }
}
END_TEST

START_TEST(a_prefix_gives_the_bits_of_the_whole)
{
    const struct kernels *k = backend(_i);
    float *qkv = noise(130 * 3 * 16, 1), *whole = poison(130 * 16), *part = poison(130 * 16), sum[130];

    if (k) k->attention(whole, sum, qkv, (const int[]){0, 130}, 1, 1, 1, 16);
    for (int length = 1; k && length <= 130; length++) {
        k->attention(part, sum, qkv, (const int[]){0, length}, 1, 1, 1, 16);
        ck_assert(same_bits(whole, part, (size_t)length * 16));
    }
    free(qkv);
    free(whole);
    free(part);
}
END_TEST

START_TEST(huge_scores_pick_one_key)
{
    const struct kernels *k = backend(_i);
    float qkv[3 * 3] = {0}, out[3], sum[3]; /* one head of size 1: q, k, v of three tokens */

    if (!k) return;
    qkv[6] = 100; /* the last query */
    qkv[1] = 1;
    qkv[4] = 100;
    qkv[2] = 5;
    qkv[5] = -2;
    qkv[8] = 9;
    k->attention(out, sum, qkv, (const int[]){0, 3}, 1, 1, 1, 1);
    ck_assert_float_eq(out[0], 5);
    ck_assert_float_eq(out[1], 1.5f);
    ck_assert_float_eq(out[2], -2);
    ck_assert_float_eq(sum[2], 1e4f);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("attention");
    TCase *test = tcase_create("attention");

    tcase_set_timeout(test, 60);
    tcase_add_loop_test(test, forward_matches_the_double_reference, 0, BACKENDS);
    tcase_add_loop_test(test, backward_matches_finite_differences, 0, BACKENDS);
    tcase_add_test(test, instruction_sets_and_threads_change_no_bit);
    tcase_add_loop_test(test, a_row_alone_gives_the_bits_it_gives_in_a_batch, 0, BACKENDS);
    tcase_add_loop_test(test, decoding_equals_attention_to_the_bit_at_every_position, 0, BACKENDS);
    tcase_add_loop_test(test, a_prefix_gives_the_bits_of_the_whole, 0, BACKENDS);
    tcase_add_loop_test(test, huge_scores_pick_one_key, 0, BACKENDS);
    suite_add_tcase(suite, test);
    return run_suite(suite);
}
