#include "tests/test_kernels.h"

/* What reference functions need to know. */
struct sizes {
    int rows, width;
    double eps;
};

/* The weight of a product that changes nothing. */
static const float one[] = {1};

static const int odd[] = {1, 3, 16, 17, 33, 65, 129, 200};

/* in: x[rows][width], weight[width], bias[width]. */
static void reference_layernorm(double *out, const double *in, const void *sizes) {
    const struct sizes *s = sizes;
    const double *weight = in + s->rows * s->width, *bias = weight + s->width;

    for (int r = 0; r < s->rows; r++) {
        const double *x = in + r * s->width;
        double mean = 0, var = 0;

        for (int i = 0; i < s->width; i++) mean += x[i] / s->width;
        for (int i = 0; i < s->width; i++) var += (x[i] - mean) * (x[i] - mean) / s->width;
        for (int i = 0; i < s->width; i++)
            out[r * s->width + i] = (x[i] - mean) / sqrt(var + s->eps) * weight[i] + bias[i];
    }
}

static void reference_rmsnorm(double *out, const double *in, const void *sizes) {
    const struct sizes *s = sizes;
    const double *weight = in + s->rows * s->width;

    for (int r = 0; r < s->rows; r++) {
        const double *x = in + r * s->width;
        double square = 0;

        for (int i = 0; i < s->width; i++) square += x[i] * x[i] / s->width;
        for (int i = 0; i < s->width; i++) out[r * s->width + i] = x[i] / sqrt(square + s->eps) * weight[i];
    }
}

static void reference_gelu(double *out, const double *in, const void *sizes) {
    for (int i = 0; i < ((const struct sizes *)sizes)->width; i++) {
        double x = in[i];

        out[i] = 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    }
}

static void reference_swiglu(double *out, const double *in, const void *sizes) {
    const struct sizes *s = sizes;

    for (int r = 0; r < s->rows; r++)
        for (int i = 0; i < s->width; i++) {
            double gate = in[2 * r * s->width + i], up = in[(2 * r + 1) * s->width + i];

            out[r * s->width + i] = gate / (1 + exp(-gate)) * up;
        }
}

START_TEST(layernorm_matches_the_reference_forward_and_backward)
{
    const struct kernels *k = backend(_i);

    for (int i = 0; k && i < COUNT(odd); i++) {
        struct sizes s = {3, odd[i], (double)1e-5f};
        int n = 3 * s.width, ins = n + 2 * s.width;
        float *in = noise(ins, 1), *out = poison(n), mean[3], rstd[3], *slope = noise(n, 2);
        float *grad = noise(ins, 3), *before = copied(grad, ins);
        double *want = malloc(n * sizeof *want), *wide;

        for (int j = 0; j < n; j++) in[j] += 2;
        wide = doubled(in, ins);
        reference_layernorm(want, wide, &s);
        k->layernorm(out, mean, rstd, in, in + n, in + n + s.width, 3, s.width, 1e-5f);
        ck_assert_double_lt(worst(out, want, n), 3e-6);
        k->layernorm_backward(grad, NULL, grad + n, grad + n + s.width, slope, in, in + n, mean, rstd, 3,
                              s.width);
        ck_assert_double_lt(gradient_error(reference_layernorm, &s, in, ins, n, slope, grad, before), 1e-5);
        free(in);
        free(out);
        free(slope);
        free(grad);
        free(before);
        free(want);
        free(wide);
    }
}
END_TEST

START_TEST(rmsnorm_matches_the_reference_forward_and_backward)
{
    const struct kernels *k = backend(_i);

    for (int i = 0; k && i < COUNT(odd); i++) {
        struct sizes s = {3, odd[i], (double)1e-6f};
        int n = 3 * s.width, ins = n + s.width;
        float *in = noise(ins, 1), *out = poison(n), rstd[3], *slope = noise(n, 2);
        float *grad = noise(ins, 3), *before = copied(grad, ins);
        double *want = malloc(n * sizeof *want), *wide = doubled(in, ins);

        reference_rmsnorm(want, wide, &s);
        k->rmsnorm(out, rstd, in, in + n, 3, s.width, 1e-6f);
        ck_assert_double_lt(worst(out, want, n), 1e-6);
        k->rmsnorm_backward(grad, NULL, grad + n, slope, in, in + n, rstd, 3, s.width);
        ck_assert_double_lt(gradient_error(reference_rmsnorm, &s, in, ins, n, slope, grad, before), 1e-5);
        free(in);
        free(out);
        free(slope);
        free(grad);
        free(before);
        free(want);
        free(wide);
    }
}
END_TEST

START_TEST(norms_need_no_gradients_of_their_weights)
{
    const struct kernels *k = backend(_i);
    enum { ROWS = 3, WIDTH_OF = 37, N = ROWS * WIDTH_OF };
    float *x = noise(N, 1), *dy = noise(N, 2), *weight = noise(2 * WIDTH_OF, 3), *dx = noise(N, 4);
    float *other = copied(dx, N), mean[ROWS], rstd[ROWS], *out = poison(N);

    if (k) {
        k->layernorm(out, mean, rstd, x, weight, weight, ROWS, WIDTH_OF, 1e-5f);
        k->layernorm_backward(dx, NULL, out, out + WIDTH_OF, dy, x, weight, mean, rstd, ROWS, WIDTH_OF);
        k->layernorm_backward(other, NULL, NULL, NULL, dy, x, weight, mean, rstd, ROWS, WIDTH_OF);
        k->rmsnorm_backward(dx, NULL, out, dy, x, weight, rstd, ROWS, WIDTH_OF);
        k->rmsnorm_backward(other, NULL, NULL, dy, x, weight, rstd, ROWS, WIDTH_OF);
        ck_assert(same_bits(dx, other, N));
    }
    free(x);
    free(dy);
    free(weight);
    free(dx);
    free(other);
    free(out);
}
END_TEST

START_TEST(columns_outside_become_zero)
{
    const struct kernels *k = backend(_i);
    float x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    const float want[] = {0, 2, 3, 0, 0, 0, 7, 8, 0, 0};

    if (!k) return;
    k->keep_columns(x, 2, 5, 1, 3);
    ck_assert(same_bits(x, want, 10));
}
END_TEST

/* The published numbers of Philox 4x32-10 with key and counter 0 are 0.40, 0.88, 0.74 and 0.61 of 2^32
   (Random123's kat_vectors: 6627e8d5 e169c58d bc57ac4c 9b00dbd8). */
START_TEST(dropout_follows_philoxs_published_numbers)
{
    const struct kernels *k = backend(_i);
    const int key[] = {0, 0};
    float x[] = {1, 2, 3, 4}, dx[] = {1, 2, 3, 4}, *got;
    const float half[] = {0, 4, 6, 8}, quarter[] = {0, 8, 0, 0};
    void *in, *out;

    if (!k) return;
    in = operands_of(k, x, 4);
    out = poison_operands(k, 4);
    k->dropout(out, in, key, 0, 0.5f, 1, 4);
    got = values_of(k, out, 4);
    ck_assert(same_bits(got, half, 4));
    k->dropout_backward(dx, key, 0, 0.75f, 1, 4);
    ck_assert(same_bits(dx, quarter, 4));
    free(got);
    free(in);
    free(out);
}
END_TEST

START_TEST(dropouts_mask_is_the_rows_own)
{
    const struct kernels *k = backend(_i);
    enum { ROWS = 40, WIDTH_OF = 1029, N = ROWS * WIDTH_OF };
    float *x = noise(N, 1), *dx = NULL, *all, *alone;
    int key[2 * ROWS], dropped = 0;
    void *in = k ? operands_of(k, x, N) : NULL, *out = k ? poison_operands(k, N) : NULL;

    for (int i = 0; i < 2 * ROWS; i++) key[i] = (int)(2654435761u * (unsigned)i);
    if (!k) goto out;
    dx = copied(x, N);
    k->dropout(out, in, key, 5, 0.1f, ROWS, WIDTH_OF);
    all = values_of(k, out, N);
    for (int i = 0; i < N; i++) dropped += all[i] == 0;
    ck_assert_double_eq_tol(dropped / (double)N, 0.1, 0.006); /* four standard deviations */
    k->dropout(out, (char *)in + 7 * WIDTH_OF * k->operand_bytes, key + 14, 5, 0.1f, 1, WIDTH_OF);
    alone = values_of(k, out, WIDTH_OF);
    ck_assert(same_bits(alone, all + 7 * WIDTH_OF, WIDTH_OF));
    k->dropout_backward(dx, key, 5, 0.1f, ROWS, WIDTH_OF);
    for (int i = 0; i < N; i++) ck_assert((dx[i] == 0) == (all[i] == 0));
    k->dropout(out, in, key, 6, 0.1f, 1, WIDTH_OF);
    free(alone);
    alone = values_of(k, out, WIDTH_OF);
    ck_assert(!same_bits(alone, all, WIDTH_OF));
    free(all);
    free(alone);
out:
    free(in);
    free(out);
    free(x);
    free(dx);
}
END_TEST

START_TEST(operands_are_scaled_on_their_way)
{
    const struct kernels *k = backend(_i);
    const float x[] = {3, -5, 0.25f}, want[] = {1.5f, -2.5f, 0.125f};
    void *out = k ? poison_operands(k, 3) : NULL;
    float *got;

    if (!k) return;
    k->narrow(out, x, 0.5f, 3);
    got = values_of(k, out, 3);
    ck_assert(same_bits(got, want, 3));
    free(got);
    free(out);
}
END_TEST

START_TEST(a_constant_or_zero_row_is_normalised_to_the_bias)
{
    const struct kernels *k = backend(_i);
    float x[8] = {0, 0, 0, 0, 4, 4, 4, 4}, weight[4] = {1, 2, 3, 4}, bias[4] = {5, 6, 7, 8}, out[8], mean[2],
          rstd[2];

    if (!k) return;
    k->layernorm(out, mean, rstd, x, weight, bias, 2, 4, 1e-5f);
    for (int i = 0; i < 8; i++) ck_assert_float_eq(out[i], bias[i % 4]);
    ck_assert_float_eq(mean[1], 4);
    k->rmsnorm(out, rstd, x, weight, 2, 4, 1e-6f);
    for (int i = 0; i < 4; i++) ck_assert_float_eq(out[i], 0);
    for (int i = 0; i < 4; i++) ck_assert_float_eq_tol(out[4 + i], weight[i], 1e-5);
}
END_TEST

START_TEST(gelu_matches_the_reference_forward_and_backward)
{
    const struct kernels *k = backend(_i);

    for (int i = 0; k && i < COUNT(odd); i++) {
        struct sizes s = {1, odd[i], 0};
        float *x = noise(s.width, 1), *out = poison(s.width), *slope = noise(s.width, 2),
              *dx = poison(s.width);
        double *want = malloc(s.width * sizeof *want), *wide;

        for (int j = 0; j < s.width; j++) x[j] *= 6;
        wide = doubled(x, s.width);
        reference_gelu(want, wide, &s);
        k->matmul_gelu(out, NULL, x, one, NULL, NULL, NULL, s.width, 1, 1);
        k->matmul_dx_gelu(dx, x, slope, one, NULL, NULL, s.width, 1, 1);
        ck_assert_double_lt(worst(out, want, s.width), 1e-6);
        ck_assert_double_lt(gradient_error(reference_gelu, &s, x, s.width, s.width, slope, dx, NULL), 2e-6);
        free(x);
        free(out);
        free(slope);
        free(dx);
        free(want);
        free(wide);
    }
}
END_TEST

static void reference_geglu(double *out, const double *in, const void *sizes) {
    const struct sizes *s = sizes, row = {1, s->width, 0};
    double *gate = malloc(s->width * sizeof *gate);

    for (int r = 0; r < s->rows; r++) {
        reference_gelu(gate, in + 2 * r * s->width, &row);
        for (int i = 0; i < s->width; i++) out[r * s->width + i] = gate[i] * in[(2 * r + 1) * s->width + i];
    }
    free(gate);
}

/* A gate of units whose numbers stand in pairs of rows, as its forward and its backward take them. */
static void check_gate(void gate(operand *, const operand *, int, int),
                       void gate_backward(operand *, const float *, const operand *, int, int),
                       reference *reference_gate) {
    for (int i = 0; i < COUNT(odd); i++) {
        struct sizes s = {2, odd[i], 0};
        int n = 2 * s.width;
        float *in = noise(2 * n, 1), *out = poison(n), *slope = noise(n, 2), *grad = poison(2 * n);
        double *want = malloc(n * sizeof *want), *wide;

        for (int j = 0; j < 2 * n; j++) in[j] *= 5;
        wide = doubled(in, 2 * n);
        reference_gate(want, wide, &s);
        gate(out, in, 2, s.width);
        gate_backward(grad, slope, in, 2, s.width);
        ck_assert_double_lt(worst(out, want, n), 1e-6);
        ck_assert_double_lt(gradient_error(reference_gate, &s, in, 2 * n, n, slope, grad, NULL), 2e-6);
        free(in);
        free(out);
        free(slope);
        free(grad);
        free(want);
        free(wide);
    }
}

START_TEST(swiglu_matches_the_reference_forward_and_backward)
{
    const struct kernels *k = backend(_i);

    if (k) check_gate(k->swiglu, k->swiglu_backward, reference_swiglu);
}
END_TEST

START_TEST(geglu_matches_the_reference_forward_and_backward)
{
    const struct kernels *k = backend(_i);

    if (k) check_gate(k->geglu, k->geglu_backward, reference_geglu);
}
END_TEST

/* 30 tanh(x / 30) */
static void reference_cap(double *out, const double *in, const void *sizes) {
    for (int i = 0; i < ((const struct sizes *)sizes)->width; i++) out[i] = 30 * tanh(in[i] / 30);
}

START_TEST(caps_match_the_reference_and_pass_nothing_where_a_token_is_excluded)
{
    const struct kernels *k = backend(_i);

    for (int i = 0; k && i < COUNT(odd); i++) {
        struct sizes s = {1, odd[i], 0};
        float *x = noise(s.width, 1), *y, *dx = noise(s.width, 2), *slope = copied(dx, s.width);
        float gone = -INFINITY, of_gone = 0;
        double *want = malloc(s.width * sizeof *want), *wide;

        for (int j = 0; j < s.width; j++) x[j] *= 90;
        y = copied(x, s.width);
        wide = doubled(x, s.width);
        reference_cap(want, wide, &s);
        k->cap(y, s.width, 30);
        k->cap_backward(dx, y, s.width, 30);
        ck_assert_double_lt(worst(y, want, s.width), 1e-6);
        ck_assert_double_lt(gradient_error(reference_cap, &s, x, s.width, s.width, slope, dx, NULL), 2e-5);
        k->cap_backward(&of_gone, &gone, 1, 30);
        ck_assert(of_gone == 0);
        free(x);
        free(y);
        free(dx);
        free(slope);
        free(want);
        free(wide);
    }
}
END_TEST

START_TEST(a_norm_is_added_to_its_base)
{
    const struct kernels *k = backend(_i);

    for (int i = 0; k && i < COUNT(odd); i++) {
        int width = odd[i], n = 3 * width;
        float *x = noise(n, 1), *base = noise(n, 2), *weight = noise(width, 3), *norm = poison(n);
        float *out = poison(n), rstd[3], again[3];

        k->rmsnorm(norm, rstd, x, weight, 3, width, 1e-6f);
        k->rmsnorm_add(out, again, base, x, weight, 3, width, 1e-6f);
        for (int j = 0; j < n; j++) ck_assert(out[j] == base[j] + norm[j]);
        ck_assert(same_bits(rstd, again, 3));
        free(x);
        free(base);
        free(weight);
        free(norm);
        free(out);
    }
}
END_TEST

START_TEST(activations_saturate_without_nan)
{
    const struct kernels *k = backend(_i);
    const float x[] = {1e4f, -1e4f, 1e30f, -1e30f, 0, -0.0f}, ones[] = {1, 1, 1, 1, 1, 1};
    const float gate_up[] = {1e4f, -1e4f, 2, 3};
    float out[6], dx[6], dgate_up[4];

    if (!k) return;
    k->matmul_gelu(out, NULL, x, one, NULL, NULL, NULL, 6, 1, 1);
    k->matmul_dx_gelu(dx, x, ones, one, NULL, NULL, 6, 1, 1);
    ck_assert(out[0] == 1e4f && out[1] == 0 && out[2] == 1e30f && out[3] == 0 && out[4] == 0 && out[5] == 0);
    ck_assert(dx[0] == 1 && dx[1] == 0 && dx[2] == 1 && dx[3] == 0 && dx[4] == 0.5f && dx[5] == 0.5f);
    k->swiglu(out, gate_up, 1, 2);
    k->swiglu_backward(dgate_up, ones, gate_up, 1, 2);
    ck_assert(out[0] == 2e4f && out[1] == 0);
    ck_assert(dgate_up[0] == 2 && dgate_up[1] == 0 && dgate_up[2] == 1e4f && dgate_up[3] == 0);
}
END_TEST

START_TEST(rope_rotates_as_rotate_half_and_back)
{
    const struct kernels *k = backend(_i);
    enum { COUNT_OF = 5, HEADS = 2, SIZE = 6, STRIDE = 20, CONTEXT = 9 };
    const int position[COUNT_OF] = {0, 3, 8, 1, 1};
    float cosine[CONTEXT * SIZE / 2], sine[CONTEXT * SIZE / 2], *x = noise(COUNT_OF * STRIDE, 1);
    float *turned = copied(x, COUNT_OF * STRIDE);

    for (int p = 0; p < CONTEXT; p++)
        for (int i = 0; i < SIZE / 2; i++) {
            cosine[p * SIZE / 2 + i] = cosf((float)p / (float)(i + 1));
            sine[p * SIZE / 2 + i] = sinf((float)p / (float)(i + 1));
        }
    if (!k) goto out;
    k->rope(turned, cosine, sine, position, COUNT_OF, HEADS, SIZE, STRIDE, 0);
    for (int t = 0; t < COUNT_OF; t++)
        for (int c = 0; c < STRIDE; c++) {
            int i = c % SIZE, half = SIZE / 2, at = position[t] * half + i % half;
            const float *head = x + t * STRIDE + c - i;
            double partner, want = (double)head[i];

            if (c < HEADS * SIZE) {
                partner = i < half ? -(double)head[i + half] : (double)head[i - half];
                want = want * (double)cosine[at] + partner * (double)sine[at];
            }
            ck_assert_float_eq_tol(turned[t * STRIDE + c], (float)want, 1e-6);
        }
    k->rope(turned, cosine, sine, position, COUNT_OF, HEADS, SIZE, STRIDE, 1);
    for (int i = 0; i < COUNT_OF * STRIDE; i++) ck_assert_float_eq_tol(turned[i], x[i], 1e-6);
out:
    free(x);
    free(turned);
}
END_TEST

START_TEST(embedding_gathers_and_scatters_rows)
{
    const struct kernels *k = backend(_i);
    const float table[] = {1, 2, 10, 20, 100, 200}, positions[] = {0.5f, 0.25f, 0.125f, 0};
    const int token[] = {2, 0, 2}, position[] = {0, 1, 1};
    float out[6], dtable[6] = {0}, dpositions[4] = {0}, added[6] = {1, 1, 1, 1, 1, 1};

    if (!k) return;
    k->embed(out, table, positions, token, position, 3, 2, 1);
    ck_assert(same_bits(out, (const float[]){100.5f, 200.25f, 1.125f, 2, 100.125f, 200}, 6));
    k->embed(out, table, NULL, token, position, 3, 2, 1);
    ck_assert(same_bits(out, (const float[]){100, 200, 1, 2, 100, 200}, 6));
    k->gather(out, table, token, 3, 2 * sizeof(float));
    ck_assert(same_bits(out, (const float[]){100, 200, 1, 2, 100, 200}, 6));
    k->embed_backward(dtable, dpositions, table, token, position, 3, 2, 1);
    ck_assert(same_bits(dtable, (const float[]){10, 20, 0, 0, 101, 202}, 6));
    ck_assert(same_bits(dpositions, (const float[]){1, 2, 110, 220}, 4));
    k->embed_backward(dtable, NULL, table, token, position, 3, 2, 1);
    ck_assert_float_eq(dtable[5], 404);
    k->embed_backward(dtable, NULL, table, token, position, 3, 2, 0.5f);
    ck_assert_float_eq(dtable[5], 505);
    k->embed(out, table, positions, token, position, 3, 2, 3);
    ck_assert(same_bits(out, (const float[]){300.5f, 600.25f, 3.125f, 6, 300.125f, 600}, 6));
    k->scatter_add(added, table, (const int[]){1, 1, 0}, 3, 2);
    ck_assert(same_bits(added, (const float[]){101, 201, 12, 23, 1, 1}, 6));
    k->add(added, table, 6);
    ck_assert(same_bits(added, (const float[]){102, 203, 22, 43, 101, 201}, 6));
}
END_TEST

START_TEST(sum_of_squares_is_a_double_sum)
{
    const struct kernels *k = backend(_i);
    const size_t counts[] = {0, 1, 15, 17, 16384, 16385, 70001};

    for (int i = 0; k && i < COUNT(counts); i++) {
        float *x = noise(counts[i], 1);
        double want = 0, got = NAN;

        for (size_t j = 0; j < counts[i]; j++) want += (double)x[j] * (double)x[j];
        k->sum_squares(&got, x, counts[i]);
        ck_assert_double_le(fabs(got - want), 1e-12 * want);
        free(x);
    }
}
END_TEST

START_TEST(adamw_takes_the_step_of_the_paper)
{
    const struct kernels *k = backend(_i);
    const size_t count = 33333;
    float *w = noise(count, 1), *m = noise(count, 2), *v = noise(count, 3), *g = noise(count, 4);
    double *want = malloc(count * sizeof *want);

    for (size_t i = 0; i < count; i++) {
        double grad = 0.5 * (double)g[i], first, second;

        v[i] = v[i] * v[i];
        first = (double)0.9f * (double)m[i] + (1 - (double)0.9f) * grad;
        second = (double)0.999f * (double)v[i] + (1 - (double)0.999f) * grad * grad;
        want[i] = (double)w[i] - 1e-3 * (first / 0.19 / (sqrt(second / 0.002) + 1e-8) + 0.1 * (double)w[i]);
    }
    if (k) {
        k->adamw(w, m, v, g, NULL, NULL, (int)count, 1, 0.5f, 1e-3f, 0.9f, 0.999f, 1e-8f, 0.1f, 0.19f,
                 0.002f);
        ck_assert_double_lt(worst(w, want, count), 1e-6);
    }
    free(w);
    free(m);
    free(v);
    free(g);
    free(want);
}
END_TEST

START_TEST(adamw_of_vectors_is_that_of_each_and_leaves_the_rest)
{
    enum { COUNT_OF = 50, AT = 7, SIZE = 21 };
    const struct kernels *k = backend(_i);
    const struct extent spans[] = {{AT, SIZE}, {AT + SIZE + 3, 1}, {0, 0}};
    float *a[4], *b[4];

    for (uint32_t i = 0; i < 4; i++) {
        a[i] = noise(COUNT_OF, i);
        for (int j = 0; j < COUNT_OF; j++) a[i][j] = fabsf(a[i][j]);
        b[i] = copied(a[i], COUNT_OF);
    }
    if (k) {
        k->adamw_vectors(a[0], a[1], a[2], a[3], spans, 3, 0.5f, 1e-3f, 0.9f, 0.999f, 1e-8f, 0.1f, 0.2f);
        for (int s = 0; s < 3; s++)
            k->adamw(b[0] + spans[s].from, b[1] + spans[s].from, b[2] + spans[s].from, b[3] + spans[s].from,
                     NULL, NULL, spans[s].size, 1, 0.5f, 1e-3f, 0.9f, 0.999f, 1e-8f, 0, 0.1f, 0.2f);
    }
    for (int i = 0; i < 4; i++) {
        ck_assert(same_bits(a[i], b[i], COUNT_OF));
        free(a[i]);
        free(b[i]);
    }
}
END_TEST

START_TEST(the_first_step_of_adamw_is_the_learning_rate)
{
    const struct kernels *k = backend(_i);
    float w[3] = {1, 1, 1}, m[3] = {0}, v[3] = {0}, g[3] = {3, -1e-3f, 0};

    if (!k) return;
    k->adamw(w, m, v, g, NULL, NULL, 3, 1, 1, 0.5f, 0.9f, 0.999f, 0, 0, 0.1f, 0.001f);
    ck_assert_float_eq_tol(w[0], 0.5f, 1e-5);
    ck_assert_float_eq_tol(w[1], 1.5f, 1e-5);
    ck_assert(isnan(w[2])); /* 0 / 0 without eps: says so, and reaches no other element */
}
END_TEST

/* All instruction sets, in single precision and with operands in bf16. */
static const char *const all_names[] = {"cpu-portable",      "cpu-avx2",      "cpu-avx512",
                                        "cpu-portable-bf16", "cpu-avx2-bf16", "cpu-avx512-bf16",
                                        "cpu-avx512bf16"};

/* Steps of w[outs][ins] with and without layouts: the same w, and its layouts as pack() makes them. */
static void check_layouts(const struct kernels *k, int outs, int ins) {
    const size_t n = (size_t)outs * ins, sizes[] = {k->pack_size(outs, ins, 0), k->pack_size(outs, ins, 1)};
    float *w = noise(n, 1), *m = noise(n, 2), *v = noise(n, 3), *g = noise(n, 4);
    float *other = copied(w, n), *m2 = copied(m, n), *v2 = copied(v, n), *g2 = copied(g, n);
    void *made[2], *want[2];

    for (size_t i = 0; i < n; i++) v[i] = v2[i] = v[i] * v[i];
    for (int turned = 0; turned < 2; turned++) {
        made[turned] = sizes[turned] ? k->alloc(sizes[turned]) : NULL;
        want[turned] = sizes[turned] ? k->alloc(sizes[turned]) : NULL;
    }
    k->adamw(w, m, v, g, made[0], made[1], outs, ins, 0.5f, 1e-2f, 0.9f, 0.99f, 1e-8f, 0.1f, 0.5f, 0.5f);
    k->adamw(other, m2, v2, g2, NULL, NULL, outs, ins, 0.5f, 1e-2f, 0.9f, 0.99f, 1e-8f, 0.1f, 0.5f, 0.5f);
    ck_assert(same_bits(w, other, n) && same_bits(m, m2, n) && same_bits(v, v2, n) && same_bits(g, g2, n));
    for (size_t i = 0; i < n; i++) ck_assert(g[i] == 0);
    for (int turned = 0; turned < 2; turned++) {
        if (!made[turned]) continue;
        k->pack(want[turned], w, 0, outs, ins, turned);
        ck_assert_msg(!memcmp(made[turned], want[turned], sizes[turned]), "%s: %d x %d%s", k->name, outs, ins,
                      turned ? ", turned" : "");
        k->free(made[turned]);
        k->free(want[turned]);
    }
    free(w);
    free(m);
    free(v);
    free(g);
    free(other);
    free(m2);
    free(v2);
    free(g2);
}

START_TEST(adamw_leaves_the_layouts_that_pack_makes_of_the_new_weights)
{
    const struct kernels *k = kernels_find(all_names[_i]);
    const int outs[] = {1, 2, 31, 33, 64, 257, 1000}, ins[] = {1, 7, 16, 33, 130, 2, 77};

    for (int s = 0; k && s < COUNT(outs); s++)
        for (int threads = 1; threads <= 3; threads++) {
            kernels_threads(threads);
            check_layouts(k, outs[s], ins[s]);
        }
}
END_TEST

/* Everything that works row by row or element by element, end to end, for bitwise comparison. */
static float *run_all(const struct kernels *k, size_t *count) {
    enum { ROWS = 70, WIDTH_OF = 515 };
    const size_t n = (size_t)ROWS * WIDTH_OF;
    float *x = noise(2 * n, 1), *y = noise(n, 2), *weight = noise(WIDTH_OF, 3), *all = noise(12 * n, 4),
          *to = all;
    float *mean = noise(ROWS, 5), *rstd = noise(ROWS, 6);
    double squares;

    k->layernorm(to, mean, rstd, x, weight, y, ROWS, WIDTH_OF, 1e-5f);
    k->layernorm_backward(to + n, NULL, to + 2 * n, to + 3 * n, y, x, weight, mean, rstd, ROWS, WIDTH_OF);
    k->rmsnorm(to + 4 * n, rstd, x, weight, ROWS, WIDTH_OF, 1e-5f);
    k->rmsnorm_backward(to + 5 * n, NULL, to + 6 * n, y, x, weight, rstd, ROWS, WIDTH_OF);
    k->matmul_gelu(to + 7 * n, NULL, x, one, NULL, NULL, NULL, (int)n, 1, 1);
    k->matmul_dx_gelu(to + 8 * n, x, y, one, NULL, NULL, (int)n, 1, 1);
    k->swiglu(to + 9 * n, x, ROWS, WIDTH_OF);
    k->swiglu_backward(to + 10 * n, y, x, ROWS, WIDTH_OF);
    k->adamw(to + 2 * n, to + 3 * n, to + 9 * n, x, NULL, NULL, (int)n, 1, 1, 1e-3f, 0.9f, 0.99f, 1e-8f, 0.1f,
             0.5f, 0.5f);
    k->sum_squares(&squares, all, 12 * n);
    memcpy(to, &squares, sizeof squares);
    free(x);
    free(y);
    free(weight);
    free(mean);
    free(rstd);
    *count = 12 * n;
    return all;
}

START_TEST(instruction_sets_and_threads_change_no_bit)
{ expect_same_bits(run_all); }
END_TEST

START_TEST(a_backend_is_found_by_name)
{
    ck_assert_ptr_nonnull(kernels_find("cpu"));
    ck_assert_str_eq(kernels_find("cpu-portable")->name, "cpu-portable");
    ck_assert_ptr_null(kernels_find("abacus"));
    ck_assert_ptr_null(kernels_find("cpu")->sync());
}
END_TEST

START_TEST(memory_is_zeroed_and_aligned)
{
    const size_t sizes[] = {0, 1, 100, 5000000};

    for (int i = 0; i < COUNT(sizes); i++) {
        char *memory = kernels_find("cpu")->alloc(sizes[i]);

        ck_assert_uint_eq((uintptr_t)memory % 64, 0);
        for (size_t j = 0; j < sizes[i]; j++) ck_assert(!memory[j]);
        kernels_find("cpu")->free(memory);
    }
    ck_assert_ptr_null(kernels_find("cpu")->alloc(SIZE_MAX));
}
END_TEST

START_TEST(the_peak_counts_its_operations)
{
    const struct kernels *k = backend(_i);
    float out = NAN;

    if (!k) return;
    ck_assert_uint_ge(k->peak(&out, 100), 100 * 12 * 4 * 2);
    ck_assert(isfinite(out));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("kernels");
    TCase *test = tcase_create("kernels");

    tcase_set_timeout(test, 60);
    tcase_add_loop_test(test, layernorm_matches_the_reference_forward_and_backward, 0, BACKENDS);
    tcase_add_loop_test(test, rmsnorm_matches_the_reference_forward_and_backward, 0, BACKENDS);
    tcase_add_loop_test(test, norms_need_no_gradients_of_their_weights, 0, BACKENDS);
    tcase_add_loop_test(test, columns_outside_become_zero, 0, BACKENDS);
    tcase_add_loop_test(test, dropout_follows_philoxs_published_numbers, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, dropouts_mask_is_the_rows_own, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, operands_are_scaled_on_their_way, 0, ALL_BACKENDS);
    tcase_add_loop_test(test, a_constant_or_zero_row_is_normalised_to_the_bias, 0, BACKENDS);
    tcase_add_loop_test(test, gelu_matches_the_reference_forward_and_backward, 0, BACKENDS);
    tcase_add_loop_test(test, swiglu_matches_the_reference_forward_and_backward, 0, BACKENDS);
    tcase_add_loop_test(test, geglu_matches_the_reference_forward_and_backward, 0, BACKENDS);
    tcase_add_loop_test(test, caps_match_the_reference_and_pass_nothing_where_a_token_is_excluded, 0,
                        BACKENDS);
    tcase_add_loop_test(test, a_norm_is_added_to_its_base, 0, BACKENDS);
    tcase_add_loop_test(test, activations_saturate_without_nan, 0, BACKENDS);
    tcase_add_loop_test(test, rope_rotates_as_rotate_half_and_back, 0, BACKENDS);
    tcase_add_loop_test(test, embedding_gathers_and_scatters_rows, 0, BACKENDS);
    tcase_add_loop_test(test, sum_of_squares_is_a_double_sum, 0, BACKENDS);
    tcase_add_loop_test(test, adamw_takes_the_step_of_the_paper, 0, BACKENDS);
    tcase_add_loop_test(test, adamw_of_vectors_is_that_of_each_and_leaves_the_rest, 0, BACKENDS);
    tcase_add_loop_test(test, the_first_step_of_adamw_is_the_learning_rate, 0, BACKENDS);
    tcase_add_loop_test(test, adamw_leaves_the_layouts_that_pack_makes_of_the_new_weights, 0,
                        COUNT(all_names));
    tcase_add_test(test, instruction_sets_and_threads_change_no_bit);
    tcase_add_test(test, a_backend_is_found_by_name);
    tcase_add_test(test, memory_is_zeroed_and_aligned);
    tcase_add_loop_test(test, the_peak_counts_its_operations, 0, BACKENDS);
    suite_add_tcase(suite, test);
    return run_suite(suite);
}
