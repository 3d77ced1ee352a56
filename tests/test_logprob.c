#define _GNU_SOURCE
#include "tests/test_kernels.h"

struct sizes {
    int rows, vocab;
    double temperature;
    const int *target;
};

/* out: logprob[rows], entropy[rows]. */
static void reference_logprob(double *out, const double *in, const void *sizes) {
    const struct sizes *s = sizes;

    for (int r = 0; r < s->rows; r++) {
        const double *x = in + (size_t)r * s->vocab;
        double max = -INFINITY, sum = 0, mean = 0;

        for (int i = 0; i < s->vocab; i++) max = fmax(max, x[i] / s->temperature);
        for (int i = 0; i < s->vocab; i++) sum += exp(x[i] / s->temperature - max);
        for (int i = 0; i < s->vocab; i++) {
            double p = exp(x[i] / s->temperature - max) / sum;

            mean += p > 0 ? p * (x[i] / s->temperature - max) : 0;
        }
        out[r] = x[s->target[r]] / s->temperature - max - log(sum);
        out[s->rows + r] = log(sum) - mean;
    }
}

static const int vocabs[] = {1, 3, 17, 33, 1023, 1024, 1025, 8192, 50257};
static const float temperatures[] = {1, 0.7f, 2.5f};

START_TEST(logprob_is_right_to_a_millionth)
{
    const struct kernels *k = backend(_i);

    for (int v = 0; k && v < COUNT(vocabs); v++)
        for (int t = 0; t < COUNT(temperatures); t++) {
            int vocab = vocabs[v], target[3] = {0, vocab / 2, vocab - 1}, best[3];
            struct sizes s = {3, vocab, (double)temperatures[t], target};
            float *logits = noise((size_t)3 * vocab, 1), logprob[3], entropy[3];
            double *wide, want[6];

            for (int i = 0; i < 3 * vocab; i++) logits[i] *= 8;
            wide = doubled(logits, (size_t)3 * vocab);
            reference_logprob(want, wide, &s);
            k->logprob(logprob, entropy, best, NULL, logits, target, 3, vocab, vocab, temperatures[t]);
            for (int r = 0; r < 3; r++) {
                ck_assert_double_le(fabs((double)logprob[r] - want[r]), 1e-6 + 6e-8 * fabs(want[r]));
                ck_assert_double_le(fabs((double)entropy[r] - want[3 + r]), 2e-6 + 1e-6 * want[3 + r]);
                for (int i = 0; i < vocab; i++)
                    ck_assert(logits[r * vocab + i] < logits[r * vocab + best[r]] ||
                              (logits[r * vocab + i] == logits[r * vocab + best[r]] && i >= best[r]));
            }
            free(logits);
            free(wide);
        }
}
END_TEST

START_TEST(matches_values_worked_by_hand)
{
    const struct kernels *k = backend(_i);
    const float logits[] = {0,         logf(3), 1e4f,  1e4f,
                            -INFINITY, 5,       -1e4f, 1e4f}; /* 1/4 3/4; no overflow; one left */
    const int target[] = {1, 0, 0, 0};
    float out[4], entropy[4];
    int best[4];

    if (!k) return;
    k->logprob(out, entropy, best, NULL, logits, target, 4, 2, 2, 1);
    ck_assert_float_eq_tol(out[0], logf(0.75f), 1e-6);
    ck_assert_float_eq_tol(out[1], logf(0.5f), 1e-6);
    ck_assert(out[2] == -INFINITY && entropy[2] == 0 && best[2] == 1);
    ck_assert(out[3] == -2e4f && entropy[3] == 0 && best[3] == 1);
    ck_assert(best[0] == 1 && best[1] == 0);
    ck_assert_float_eq_tol(entropy[1], logf(2), 1e-6);
    k->logprob(out, NULL, NULL, NULL, logits, target, 2, 2, 2, 0.5f); /* 1/10 9/10 */
    ck_assert_float_eq_tol(out[0], logf(0.9f), 1e-6);
}
END_TEST

START_TEST(backward_matches_finite_differences)
{
    const struct kernels *k = backend(_i);

    for (int with_entropy = 0; k && with_entropy < 2; with_entropy++)
        for (int t = 0; t < COUNT(temperatures); t++)
            for (int v = 0; vocabs[v] < 1000; v++) {
                int vocab = vocabs[v], n = 2 * vocab;
                const int target[2] = {0, vocab - 1};
                struct sizes s = {2, vocab, (double)temperatures[t], target};
                float *logits = noise(n, 1), *in, slope[4] = {0.7f, -1.3f, 0, 0}, norm[8], out[4];

                for (int i = 0; i < n; i++) logits[i] *= 4;
                in = copied(logits, n);
                if (with_entropy) slope[2] = -0.4f;
                if (with_entropy) slope[3] = 0.9f;
                k->logprob(out, with_entropy ? out + 2 : NULL, NULL, norm, logits, target, 2, vocab, vocab,
                           temperatures[t]);
                k->logprob_backward(logits, logits, target, norm, slope, with_entropy ? slope + 2 : NULL, 2,
                                    vocab, vocab, temperatures[t]);
                ck_assert_double_lt(gradient_error(reference_logprob, &s, in, n, 4, slope, logits, NULL),
                                    2e-6);
                free(logits);
                free(in);
            }
}
END_TEST

START_TEST(backward_leaves_truncated_tokens_without_gradient)
{
    const struct kernels *k = backend(_i);
    float logits[] = {1, -INFINITY, 1, -INFINITY}, logprob, entropy, norm[4];

    if (!k) return;
    k->logprob(&logprob, &entropy, NULL, norm, logits, (const int[]){2}, 1, 4, 4, 1);
    k->logprob_backward(logits, logits, (const int[]){2}, norm, (const float[]){1}, (const float[]){3}, 1, 4,
                        4, 1);
    ck_assert_float_eq_tol(logits[0], -0.5f, 1e-6);
    ck_assert_float_eq_tol(logits[2], 0.5f, 1e-6);
    ck_assert(logits[1] == 0 && logits[3] == 0);
}
END_TEST

START_TEST(sampling_inverts_the_cumulative_sum)
{
    const struct kernels *k = backend(_i);

    for (int v = 0; k && v < COUNT(vocabs); v++)
        for (int t = 0; t < COUNT(temperatures); t++) {
            int vocab = vocabs[v], token;
            float *logits = noise(vocab, 2), logprob;
            double total = 0;

            for (int i = 0; i < vocab; i++) logits[i] *= 5;
            for (int i = 0; i < vocab; i++) total += exp((double)logits[i] / (double)temperatures[t]);
            for (int n = 0; n < 20; n++) {
                float u = (float)n / 20, back;
                double below = 0;

                k->sample(&token, &logprob, logits, &u, 1, vocab, vocab, temperatures[t]);
                for (int i = 0; i < token; i++)
                    below += exp((double)logits[i] / (double)temperatures[t]) / total;
                ck_assert_double_le(below, (double)u + 1e-6);
                below += exp((double)logits[token] / (double)temperatures[t]) / total;
                ck_assert_double_ge(below, (double)u - 1e-6);
                k->logprob(&back, NULL, NULL, NULL, logits, &token, 1, vocab, vocab, temperatures[t]);
                ck_assert(same_bits(&back, &logprob, 1));
            }
            free(logits);
        }
}
END_TEST

START_TEST(the_greedy_token_is_the_first_best_with_its_plain_logprob)
{
    const struct kernels *k = backend(_i);
    const float logits[] = {1, 7, 3, 7}, u = 0.99f;
    float logprob, back;
    int token;

    if (!k) return;
    k->sample(&token, &logprob, logits, &u, 1, 4, 4, 0);
    ck_assert_int_eq(token, 1);
    k->logprob(&back, NULL, NULL, NULL, logits, &token, 1, 4, 4, 1);
    ck_assert(same_bits(&back, &logprob, 1));
}
END_TEST

START_TEST(tokens_of_no_probability_are_never_drawn)
{
    const struct kernels *k = backend(_i);
    float *logits = noise(3000, 1), logprob, u[] = {0, 0.5f, 0x1.fffffep-1f};
    int token;

    for (int i = 0; i < 3000; i++)
        if (i != 1030 && i != 2000) logits[i] = -INFINITY;
    for (int n = 0; k && n < 3; n++) {
        k->sample(&token, &logprob, logits, u + n, 1, 3000, 3000, 1);
        ck_assert(token == 1030 || token == 2000);
        ck_assert(n != 0 || token == 1030);
        ck_assert(n != 2 || token == 2000);
    }
    free(logits);
}
END_TEST

/* Kept tokens as a text of 0 and 1. */
static const char *kept(const float *logits, int vocab, char *out) {
    for (int i = 0; i < vocab; i++) out[i] = logits[i] > -INFINITY ? '1' : '0';
    out[vocab] = 0;
    return out;
}

START_TEST(truncation_keeps_what_the_contract_says)
{
    const struct kernels *k = backend(_i);
    const float p[] = {0.1f, 0.4f, 0.2f, 0.2f, 0.05f, 0.05f};
    const struct {
        int keep, top_k;
        float temperature, top_p, min_p;
        const char *want;
    } cases[] = {
        {-1, 0, 1, 1, 0, "111111"},       {-1, 1, 1, 1, 0, "010000"},      {-1, 2, 1, 1, 0, "011000"},
        {-1, 3, 1, 1, 0, "011100"},       {-1, 9, 1, 1, 0, "111111"},      {4, 1, 1, 1, 0, "010010"},
        {-1, 0, 1, 0.39f, 0, "010000"},   {-1, 0, 1, 0.41f, 0, "011000"},  {-1, 0, 1, 0.7f, 0, "011100"},
        {-1, 0, 1, 0.91f, 0, "111110"},   {-1, 0, 1, 0, 0, "010000"},      {-1, 0, 1, 1, 0.26f, "011100"},
        {-1, 0, 1, 1, 0.6f, "010000"},    {-1, 2, 1, 0.6f, 0, "010000"},   {-1, 3, 1, 0.99f, 0.6f, "010000"},
        {-1, 0, 0.5f, 0.6f, 0, "010000"}, {0, 0, 0.5f, 0.6f, 0, "110000"}, {-1, 0, 1, 1, 1, "010000"},
    };
    char text[8];

    for (int c = 0; k && c < COUNT(cases); c++) {
        float logits[6];

        for (int i = 0; i < 6; i++) logits[i] = logf(p[i]);
        k->truncate(logits, &cases[c].keep, 1, 6, 6, cases[c].temperature, cases[c].top_k, cases[c].top_p,
                    cases[c].min_p);
        ck_assert_str_eq(kept(logits, 6, text), cases[c].want);
        for (int i = 0; i < 6; i++) ck_assert(logits[i] == -INFINITY || logits[i] == logf(p[i]));
    }
}
END_TEST

/* Larger first, and equals by index: as indices into values. */
static int by_value(const void *a, const void *b, void *values) {
    float x = ((float *)values)[*(const int *)a], y = ((float *)values)[*(const int *)b];

    return x != y ? (x < y) - (x > y) : *(const int *)a - *(const int *)b;
}

START_TEST(truncation_equals_a_sort_on_large_rows_with_ties)
{
    const struct kernels *k = backend(_i);
    enum { VOCAB = 2011 };
    float *logits = noise(VOCAB, 3), *copy;
    int order[VOCAB];

    for (int i = 0; i < VOCAB; i++) logits[i] = rintf(logits[i] * 40) / 8;
    for (int i = 0; i < VOCAB; i++) order[i] = i;
    qsort_r(order, VOCAB, sizeof *order, by_value, logits);
    for (int top_k = 1; k && top_k <= VOCAB; top_k += 67) {
        copy = copied(logits, VOCAB);
        k->truncate(copy, NULL, 1, VOCAB, VOCAB, 1, top_k, 1, 0);
        for (int i = 0; i < VOCAB; i++) ck_assert((copy[order[i]] > -INFINITY) == (i < top_k));
        free(copy);
    }
    for (int percent = 1; k && percent < 100; percent += 7) {
        double total = 0, sum = 0;
        int kept_count = 0;

        for (int i = 0; i < VOCAB; i++) total += exp((double)logits[i]);
        while (sum < total * percent / 100) sum += exp((double)logits[order[kept_count++]]);
        copy = copied(logits, VOCAB);
        k->truncate(copy, NULL, 1, VOCAB, VOCAB, 1, 0, (float)percent / 100, 0);
        for (int i = 0; i < VOCAB; i++) ck_assert((copy[order[i]] > -INFINITY) == (i < kept_count));
        free(copy);
    }
    free(logits);
}
END_TEST

/* Rows of `vocab` as lines that are longer, with what would count most behind. */
static float *lengthened(const float *rows, int count, int vocab, int line) {
    float *out = malloc((size_t)count * line * sizeof *out);

    for (int r = 0; r < count; r++)
        for (int i = 0; i < line; i++)
            out[(size_t)r * line + i] = i < vocab ? rows[(size_t)r * vocab + i] : i % 2 ? INFINITY : NAN;
    return out;
}

START_TEST(what_lies_behind_the_vocabulary_does_not_count)
{
    enum { ROWS = 3, VOCAB = 1027, LINE = 1088 };
    const struct kernels *k = kernels_find("cpu");
    const int target[ROWS] = {VOCAB - 1, 0, 500};
    const float u[ROWS] = {0.999f, 0.5f, 0}, slope[ROWS] = {1, -2, 0.5f};
    float *rows = noise((size_t)ROWS * VOCAB, 1), *lines = lengthened(rows, ROWS, VOCAB, LINE);
    float got[2][7 * ROWS];
    int whole[2][2 * ROWS];

    for (int i = 0; i < 2; i++) {
        float *logits = i ? lines : rows, *norm = got[i] + 3 * ROWS;
        int line = i ? LINE : VOCAB;

        k->truncate(logits, target, ROWS, VOCAB, line, 1, 900, 0.99f, 0);
        k->sample(whole[i], got[i], logits, u, ROWS, VOCAB, line, 1);
        k->logprob(got[i] + ROWS, got[i] + 2 * ROWS, whole[i] + ROWS, norm, logits, target, ROWS, VOCAB, line,
                   1);
        k->logprob_backward(logits, logits, target, norm, slope, u, ROWS, VOCAB, line, 1);
    }
    ck_assert_mem_eq(got[0], got[1], sizeof *got);
    ck_assert_mem_eq(whole[0], whole[1], sizeof *whole);
    for (int r = 0; r < ROWS; r++) {
        ck_assert(same_bits(rows + r * VOCAB, lines + r * LINE, VOCAB));
        for (int i = VOCAB; i < LINE; i++) ck_assert_float_eq(lines[r * LINE + i], 0);
    }
    free(rows);
    free(lines);
}
END_TEST

/* logprob, entropy, token's logprob, truncated logits and gradients end to end. */
static float *run_all(const struct kernels *k, size_t *count) {
    enum { ROWS = 40, VOCAB = 3001 };
    const size_t n = (size_t)ROWS * VOCAB;
    float *logits = noise(n, 1), *all = poison(n + 8 * ROWS), *u = noise(ROWS, 2), *slope = noise(ROWS, 3);
    int token[ROWS];

    for (int r = 0; r < ROWS; r++) u[r] = fabsf(u[r]) * 0.999f;
    for (size_t i = 0; i < n; i++) logits[i] *= 6;
    memcpy(all, logits, n * sizeof *all);
    k->truncate(all, NULL, ROWS, VOCAB, VOCAB, 0.9f, 1000, 0.9f, 0.001f);
    k->sample(token, all + n, all, u, ROWS, VOCAB, VOCAB, 0.9f);
    for (int r = 0; r < ROWS; r++) all[n + 3 * ROWS + r] = (float)token[r];
    k->logprob(all + n + ROWS, all + n + 2 * ROWS, NULL, all + n + 4 * ROWS, all, token, ROWS, VOCAB, VOCAB,
               0.9f);
    k->logprob_backward(all, all, token, all + n + 4 * ROWS, slope, u, ROWS, VOCAB, VOCAB, 0.9f);
    free(logits);
    free(u);
    free(slope);
    *count = n + 8 * ROWS;
    return all;
}

START_TEST(instruction_sets_and_threads_change_no_bit)
{ expect_same_bits(run_all); }
END_TEST

int main(void) {
    Suite *suite = suite_create("logprob");
    TCase *test = tcase_create("logprob");

    tcase_set_timeout(test, 60);
    tcase_add_loop_test(test, logprob_is_right_to_a_millionth, 0, BACKENDS);
    tcase_add_loop_test(test, matches_values_worked_by_hand, 0, BACKENDS);
    tcase_add_loop_test(test, backward_matches_finite_differences, 0, BACKENDS);
    tcase_add_loop_test(test, backward_leaves_truncated_tokens_without_gradient, 0, BACKENDS);
    tcase_add_loop_test(test, sampling_inverts_the_cumulative_sum, 0, BACKENDS);
    tcase_add_loop_test(test, the_greedy_token_is_the_first_best_with_its_plain_logprob, 0, BACKENDS);
    tcase_add_loop_test(test, tokens_of_no_probability_are_never_drawn, 0, BACKENDS);
    tcase_add_loop_test(test, truncation_keeps_what_the_contract_says, 0, BACKENDS);
    tcase_add_loop_test(test, truncation_equals_a_sort_on_large_rows_with_ties, 0, BACKENDS);
    tcase_add_test(test, what_lies_behind_the_vocabulary_does_not_count);
    tcase_add_test(test, instruction_sets_and_threads_change_no_bit);
    suite_add_tcase(suite, test);
    return run_suite(suite);
}
