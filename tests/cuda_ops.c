/* Every operation of the CUDA backend against the CPU's, to the bit: odd sizes, extreme values, poisoned
 * outputs. Only attention's log-sums go through the C library's logf() on the CPU: those, and the gradients
 * made from them, are compared within rounding, and so are double sums of what its exp() gives. */
#include <stdio.h>

#include "tests/device_times.h"

static const struct kernels *cpu, *cuda;

/* How many of an array's sizes to try, the first of which start every kernel. */
static int most(int small, int count) {
    return by_sizes(small, count > 6 ? 6 : count, count);
}

static void *upload(const void *array, size_t bytes) {
    char *memory = cuda->alloc(bytes);
    void *view = cuda->map(memory, bytes, 0);

    memcpy(view, array, bytes);
    cuda->unmap(memory, view, bytes, 1);
    return memory;
}

static float *up(const float *x, size_t count) {
    return upload(x, count * sizeof *x);
}

static int *up_ints(const int *x, size_t count) {
    return upload(x, count * sizeof *x);
}

/* Frees both. */
static void expect_bits(const char *what, float *want, float *device, size_t count) {
    float *got = cuda->map(device, count * sizeof *got, 1);

    ck_assert_msg(!cuda->sync(), "%s: %s", what, cuda->sync());
    for (size_t i = 0; i < count; i++)
        if (memcmp(got + i, want + i, sizeof *got))
            ck_abort_msg("%s[%zu] of %zu: %.9g, on the CPU %.9g", what, i, count, (double)got[i],
                         (double)want[i]);
    cuda->unmap(device, got, count * sizeof *got, 0);
    cuda->free(device);
    free(want);
}

static void expect_ints(const char *what, int *want, int *device, size_t count) {
    int *got = cuda->map(device, count * sizeof *got, 1);

    ck_assert_msg(!cuda->sync(), "%s: %s", what, cuda->sync());
    for (size_t i = 0; i < count; i++)
        if (got[i] != want[i]) ck_abort_msg("%s[%zu]: %d, on the CPU %d", what, i, got[i], want[i]);
    cuda->unmap(device, got, count * sizeof *got, 0);
    cuda->free(device);
    free(want);
}

/* || got - want || / || want || */
static double distance(const float *want, float *device, size_t count) {
    float *got = cuda->map(device, count * sizeof *got, 1);
    double off = 0, all = 0;

    for (size_t i = 0; i < count; i++) {
        off += ((double)got[i] - (double)want[i]) * ((double)got[i] - (double)want[i]);
        all += (double)want[i] * (double)want[i];
    }
    cuda->unmap(device, got, count * sizeof *got, 0);
    return sqrt(off / all);
}

static void release(void *a, void *b, void *c, void *d) {
    void *const all[] = {a, b, c, d};

    for (int i = 0; i < 4; i++)
        if (all[i]) cuda->free(all[i]);
}

/* count indices below `limit`, with repeats. */
static int *some_indices(int count, int limit, uint32_t seed) {
    float *x = noise(count, seed);
    int *out = malloc((count + 1) * sizeof *out);

    for (int i = 0; i < count; i++) out[i] = (int)((x[i] + 1) / 2 * (float)limit) % limit;
    free(x);
    return out;
}

/* Shapes that meet every tile, with and without whole groups of 4. */
static const struct {
    int rows, outs, ins;
} products[] = {{1, 7, 130},      {17, 31, 33},      {65, 70, 129},    {1, 1, 1},       {3, 33, 5},
                {16, 100, 64},    {64, 768, 96},     {130, 260, 40},   {1500, 300, 64}, {1500, 1601, 33},
                {2052, 1540, 20}, {2052, 1540, 520}, {1501, 1603, 701}};

START_TEST(matrix_products_have_the_bits_of_the_cpu)
{
    for (int i = 0; i < most(3, COUNT(products)); i++)
        for (int add = 0; add < 2; add++) {
            int rows = products[i].rows, outs = products[i].outs, ins = products[i].ins;
            size_t xs = (size_t)rows * ins, ws = (size_t)outs * ins, ys = (size_t)rows * outs;
            float *x = noise(xs, 1), *w = noise(ws, 2), *bias = noise(outs, 3), *start = noise(ys, 4);
            float *y = add ? copied(start, ys) : poison(ys), *dx = add ? copied(x, xs) : poison(xs);
            float *dw = copied(w, ws), *x_ = up(x, xs), *w_ = up(w, ws), *bias_ = up(bias, outs);
            float *start_ = up(start, ys), *y_ = up(y, ys), *dx_ = up(dx, xs), *dw_ = up(dw, ws);
            float *db = copied(bias, outs), *db_ = up(db, outs);

            cpu->matmul(y, x, w, NULL, add ? NULL : bias, add ? y : NULL, rows, outs, ins);
            cuda->matmul(y_, x_, w_, NULL, add ? NULL : bias_, add ? y_ : NULL, rows, outs, ins);
            cpu->matmul_dx(dx, start, w, NULL, add ? dx : NULL, rows, outs, ins);
            cuda->matmul_dx(dx_, start_, w_, NULL, add ? dx_ : NULL, rows, outs, ins);
            cpu->matmul_dw(dw, start, x, rows, outs, ins);
            cuda->matmul_dw(dw_, start_, x_, rows, outs, ins);
            cpu->bias_backward(db, start, rows, outs);
            cuda->bias_backward(db_, start_, rows, outs);
            expect_bits("matmul", y, y_, ys);
            expect_bits("matmul_dx", dx, dx_, xs);
            expect_bits("matmul_dw", dw, dw_, ws);
            expect_bits("bias_backward", db, db_, outs);
            release(x_, w_, bias_, start_);
            free(x);
            free(w);
            free(bias);
            free(start);
        }
}
END_TEST

static const int widths[] = {33, 16, 1601, 1604, 1, 3, 17, 65, 129, 200, 768};

START_TEST(norms_have_the_bits_of_the_cpu)
{
    for (int i = 0; i < most(4, COUNT(widths)); i++)
        for (int rows = 1; rows < by_sizes(40, 400, 400); rows = rows * 5 + 2) {
            int width = widths[i];
            size_t n = (size_t)rows * width;
            float *x = noise(n, 1), *weight = noise(width, 2), *bias = noise(width, 3), *dy = noise(n, 4);
            float *out = poison(n), *mean = poison(rows), *rstd = poison(rows), *out_ = up(out, n);
            float *mean_ = up(mean, rows), *rstd_ = up(rstd, rows), *x_, *weight_ = up(weight, width);
            float *bias_ = up(bias, width), *dy_ = up(dy, n), *dx = noise(n, 5), *dweight = noise(width, 6);
            float *dbias = noise(width, 7), *dx_ = up(dx, n), *dweight_ = up(dweight, width);
            float *dbias_ = up(dbias, width), *rounded = poison(n), *rounded_ = up(rounded, n);

            x[0] = 1e10f;
            x_ = up(x, n);
            cpu->layernorm(out, mean, rstd, x, weight, bias, rows, width, 1e-5f);
            cuda->layernorm(out_, mean_, rstd_, x_, weight_, bias_, rows, width, 1e-5f);
            cpu->layernorm_backward(dx, NULL, dweight, dbias, dy, x, weight, mean, rstd, rows, width);
            cuda->layernorm_backward(dx_, NULL, dweight_, dbias_, dy_, x_, weight_, mean_, rstd_, rows,
                                     width);
            cpu->rmsnorm_backward(dx, rounded, dweight, dy, x, weight, rstd, rows, width);
            cuda->rmsnorm_backward(dx_, rounded_, dweight_, dy_, x_, weight_, rstd_, rows, width);
            expect_bits("layernorm", out, out_, n);
            expect_bits("layernorm mean", mean, mean_, rows);
            expect_bits("norms' dx", dx, dx_, n);
            expect_bits("norms' dx as an operand", rounded, rounded_, n);
            expect_bits("norms' dweight", dweight, dweight_, width);
            expect_bits("layernorm dbias", dbias, dbias_, width);
            out = poison(n);
            out_ = up(out, n);
            cpu->rmsnorm(out, rstd, x, weight, rows, width, 1e-6f);
            cuda->rmsnorm(out_, rstd_, x_, weight_, rows, width, 1e-6f);
            expect_bits("rmsnorm", out, out_, n);
            expect_bits("rmsnorm rstd", rstd, rstd_, rows);
            release(x_, weight_, bias_, dy_);
            free(x);
            free(weight);
            free(bias);
            free(dy);
        }
}
END_TEST

START_TEST(elementwise_operations_have_the_bits_of_the_cpu)
{
    const float extremes[] = {1e4f, -1e4f, 1e30f, -1e30f, 0,         -0.0f, 88,
                              -88,  89,    -104,  1e-30f, 0x1p-140f, 16,    -16};

    for (int i = 0; i < most(4, COUNT(widths)); i++) {
        int width = widths[i], rows = by_sizes(3, 37, 37);
        size_t n = (size_t)rows * width;
        float *x = noise(2 * n, 1), *dy = noise(n, 2), *out = poison(n), *dx = poison(n),
              *wide = poison(2 * n);
        float *sum = noise(n, 3), *gated = poison(n), *x_, *dy_ = up(dy, n), *out_ = up(out, n);
        float *dx_ = up(dx, n), *wide_ = up(wide, 2 * n), *sum_ = up(sum, n), *gated_ = up(gated, n);
        float one = 1, *one_ = up(&one, 1); /* a weight that changes nothing */
        float *other = poison(n), *other_ = up(other, n), *turned = poison(2 * n),
              *turned_ = up(turned, 2 * n);
        float *capped = noise(n, 4), *capped_, *slope = noise(n, 5), *slope_ = up(slope, n);

        for (size_t j = 0; j < 2 * n; j++) x[j] *= 8;
        for (int j = 0; j < COUNT(extremes) && (size_t)j < 2 * n; j++) x[j] = extremes[j];
        for (size_t j = 0; j < n; j++) capped[j] *= 20;
        for (int j = 0; j < COUNT(extremes) && (size_t)j < n; j++) capped[j] = extremes[j];
        capped[n / 2] = -INFINITY;
        capped_ = up(capped, n);
        x_ = up(x, 2 * n);
        cpu->matmul_gelu(out, NULL, x, &one, NULL, NULL, NULL, (int)n, 1, 1);
        cuda->matmul_gelu(out_, NULL, x_, one_, NULL, NULL, NULL, (int)n, 1, 1);
        cpu->matmul_dx_gelu(dx, x, dy, &one, NULL, NULL, (int)n, 1, 1);
        cuda->matmul_dx_gelu(dx_, x_, dy_, one_, NULL, NULL, (int)n, 1, 1);
        cpu->swiglu(gated, x, rows, width);
        cuda->swiglu(gated_, x_, rows, width);
        cpu->swiglu_backward(wide, dy, x, rows, width);
        cuda->swiglu_backward(wide_, dy_, x_, rows, width);
        cpu->add(sum, x, n);
        cuda->add(sum_, x_, n);
        cpu->geglu(other, x, rows, width);
        cuda->geglu(other_, x_, rows, width);
        cpu->geglu_backward(turned, dy, x, rows, width);
        cuda->geglu_backward(turned_, dy_, x_, rows, width);
        cpu->cap(capped, n, 5);
        cuda->cap(capped_, n, 5);
        cpu->cap_backward(slope, capped, n, 5);
        cuda->cap_backward(slope_, capped_, n, 5);
        expect_bits("gelu", out, out_, n);
        expect_bits("gelu_backward", dx, dx_, n);
        expect_bits("swiglu", gated, gated_, n);
        expect_bits("swiglu_backward", wide, wide_, 2 * n);
        expect_bits("geglu", other, other_, n);
        expect_bits("geglu_backward", turned, turned_, 2 * n);
        expect_bits("cap", capped, capped_, n);
        expect_bits("cap_backward", slope, slope_, n);
        expect_bits("add", sum, sum_, n);
        release(x_, dy_, one_, NULL);
        free(x);
        free(dy);
    }
}
END_TEST

START_TEST(what_adapters_need_has_the_bits_of_the_cpu)
{
    for (int i = 0; i < most(4, COUNT(widths)); i++) {
        int width = widths[i], rows = 37, *key = some_indices(2 * rows, 1 << 30, 1);
        int *key_ = up_ints(key, 2 * rows);
        size_t n = (size_t)rows * width;
        float *x = noise(n, 2), *x_ = up(x, n), *out = poison(n), *out_ = up(out, n), *dx = noise(n, 3);
        float *dx_ = up(dx, n), *kept = noise(n, 4), *kept_ = up(kept, n), *scaled = poison(n);
        float *scaled_ = up(scaled, n);

        cpu->dropout(out, x, key, 9, 0.3f, rows, width);
        cuda->dropout(out_, x_, key_, 9, 0.3f, rows, width);
        cpu->dropout_backward(dx, key, 9, 0.3f, rows, width);
        cuda->dropout_backward(dx_, key_, 9, 0.3f, rows, width);
        cpu->keep_columns(kept, rows, width, width / 3, width / 3 + 1);
        cuda->keep_columns(kept_, rows, width, width / 3, width / 3 + 1);
        cpu->narrow(scaled, x, 0.7f, n);
        cuda->narrow(scaled_, x_, 0.7f, n);
        expect_bits("dropout", out, out_, n);
        expect_bits("dropout_backward", dx, dx_, n);
        expect_bits("keep_columns", kept, kept_, n);
        expect_bits("narrow", scaled, scaled_, n);
        release(x_, key_, NULL, NULL);
        free(x);
        free(key);
    }
}
END_TEST

START_TEST(rope_has_the_bits_of_the_cpu_both_ways)
{
    enum { HEADS = 3, SIZE = 10, STRIDE = 50, CONTEXT = 40, TOKENS = 77 };
    float *cosine = noise(CONTEXT * SIZE / 2, 1), *sine = noise(CONTEXT * SIZE / 2, 2);
    float *cosine_ = up(cosine, CONTEXT * SIZE / 2), *sine_ = up(sine, CONTEXT * SIZE / 2);
    int *position = some_indices(TOKENS, CONTEXT, 3), *position_ = up_ints(position, TOKENS);

    for (int inverse = 0; inverse < 2; inverse++) {
        float *x = noise(TOKENS * STRIDE, 4), *x_ = up(x, TOKENS * STRIDE);

        cpu->rope(x, cosine, sine, position, TOKENS, HEADS, SIZE, STRIDE, inverse);
        cuda->rope(x_, cosine_, sine_, position_, TOKENS, HEADS, SIZE, STRIDE, inverse);
        expect_bits("rope", x, x_, TOKENS * STRIDE);
    }
    release(cosine_, sine_, position_, NULL);
    free(cosine);
    free(sine);
    free(position);
}
END_TEST

START_TEST(gathering_and_scattering_have_the_bits_of_the_cpu)
{
    for (int i = 0; i < most(4, COUNT(widths)); i++)
        for (int count = 1; count < by_sizes(100, 3000, 3000); count = count * 9 + 1) {
            int width = widths[i], vocab = 13, context = 5;
            size_t n = (size_t)count * width;
            int *token = some_indices(count, vocab, 1), *position = some_indices(count, context, 2);
            int *token_ = up_ints(token, count), *position_ = up_ints(position, count);
            float *table = noise((size_t)vocab * width, 3), *positions = noise((size_t)context * width, 4);
            float *table_ = up(table, (size_t)vocab * width),
                  *positions_ = up(positions, (size_t)context * width);
            float *out = poison(n), *out_ = up(out, n), *bare = poison(n), *bare_ = up(bare, n);
            float *taken = poison(n), *taken_ = up(taken, n);

            cpu->embed(out, table, positions, token, position, count, width, 3);
            cuda->embed(out_, table_, positions_, token_, position_, count, width, 3);
            cpu->embed(bare, table, NULL, token, position, count, width, 3);
            cuda->embed(bare_, table_, NULL, token_, position_, count, width, 3);
            cpu->gather(taken, table, token, count, width * sizeof(float));
            cuda->gather(taken_, table_, token_, count, width * sizeof(float));
            cpu->embed_backward(table, positions, out, token, position, count, width, 3);
            cuda->embed_backward(table_, positions_, out_, token_, position_, count, width, 3);
            expect_bits("embed", out, out_, n);
            expect_bits("embed without positions", bare, bare_, n);
            expect_bits("gather", taken, taken_, n);
            expect_bits("embed_backward", table, table_, (size_t)vocab * width);
            expect_bits("embed_backward positions", positions, positions_, (size_t)context * width);
            release(token_, position_, NULL, NULL);
            free(token);
            free(position);
        }
}
END_TEST

/* Rows whose groups of four lie on no 16 bytes, and entries of one row: as many as a block takes at a time,
 * once and twice, and others. */
START_TEST(rows_are_looked_up_and_added_up_wherever_they_lie)
{
    enum { VOCAB = 7, WIDTH = 8, MOST = 70 };

    for (int count = 31; count <= MOST; count += count == 31 || count == 32 ? 1 : 31)
        for (int off = 0; off < 2; off++) {
            size_t n = (size_t)count * WIDTH + off, all = VOCAB * WIDTH + off;
            int *token = some_indices(count, VOCAB, 1), *position = some_indices(count, 1, 2);
            int *token_ = up_ints(token, count), *position_ = up_ints(position, count);
            float *table = noise(all, 3), *places = noise(all, 4), *x = noise(n, 5), *out = poison(n);
            float *table_ = up(table, all), *places_ = up(places, all), *x_ = up(x, n), *out_ = up(out, n);

            cpu->embed(out + off, table + off, places + off, token, position, count, WIDTH, 3);
            cuda->embed(out_ + off, table_ + off, places_ + off, token_, position_, count, WIDTH, 3);
            cpu->embed_backward(table + off, places + off, x + off, token, position, count, WIDTH, 3);
            cuda->embed_backward(table_ + off, places_ + off, x_ + off, token_, position_, count, WIDTH, 3);
            expect_bits("embed", out, out_, n);
            expect_bits("embed_backward", table, table_, all);
            expect_bits("embed_backward positions", places, places_, all);
            release(token_, position_, x_, NULL);
            free(token);
            free(position);
            free(x);
        }
}
END_TEST

START_TEST(scattering_goes_on_where_more_entries_come_than_are_sorted_at_a_time)
{
    const int count = by_sizes(300, 16384 + 700, 16384 + 700), width = 3, rows = 901;
    int *index = some_indices(count, rows, 5), *index_ = up_ints(index, count);
    float *out = noise((size_t)rows * width, 6), *out_ = up(out, (size_t)rows * width);
    float *x = noise((size_t)count * width, 7), *x_ = up(x, (size_t)count * width);

    cpu->scatter_add(out, x, index, count, width);
    cuda->scatter_add(out_, x_, index_, count, width);
    expect_bits("scatter_add", out, out_, (size_t)rows * width);
    release(index_, x_, NULL, NULL);
    free(index);
    free(x);
}
END_TEST

/* Rows of odd lengths, an empty one and one of a single token among them. */
static const int starts[] = {0, 1, 1, 70, 197, 200, 331};

START_TEST(attention_has_the_bits_of_the_cpu_and_its_gradients_agree)
{
    static const int sizes[] = {17, 33, 80, 192, 1, 3, 8, 16, 32, 64, 128, 256};

    const int rows = by_sizes(3, COUNT(starts) - 1, COUNT(starts) - 1), tokens = starts[rows];
    const int heads = by_sizes(2, 4, 4);

    for (int i = 0; i < most(4, COUNT(sizes)); i++)
        for (int kv_heads = 1; kv_heads <= heads; kv_heads *= 2) {
            int size = sizes[i], width = (heads + 2 * kv_heads) * size, outs = heads * size;
            size_t n = (size_t)tokens * width, m = (size_t)tokens * outs;
            float *qkv = noise(n, 1), *qkv_, *out = poison(m), *sum = poison(tokens * heads),
                  *dout = noise(m, 2);
            float *out_ = up(out, m), *sum_ = up(sum, tokens * heads), *dout_ = up(dout, m);
            float *dqkv = poison(n), *dqkv_ = up(dqkv, n), *again_ = up(dqkv, n), *first;
            int *start_ = up_ints(starts, rows + 1);

            for (int j = 0; j < width; j++) qkv[j] *= 100;
            qkv_ = up(qkv, n);
            cpu->attention(out, sum, qkv, starts, rows, heads, kv_heads, size, 1 / sqrtf((float)size),
                           heads == kv_heads ? 0 : 0.5f);
            cuda->attention(out_, sum_, qkv_, start_, rows, heads, kv_heads, size, 1 / sqrtf((float)size),
                            heads == kv_heads ? 0 : 0.5f);
            cpu->attention_backward(dqkv, dout, qkv, out, sum, starts, rows, heads, kv_heads, size,
                                    1 / sqrtf((float)size), heads == kv_heads ? 0 : 0.5f);
            cuda->attention_backward(dqkv_, dout_, qkv_, out_, sum_, start_, rows, heads, kv_heads, size,
                                     1 / sqrtf((float)size), heads == kv_heads ? 0 : 0.5f);
            cuda->attention_backward(again_, dout_, qkv_, out_, sum_, start_, rows, heads, kv_heads, size,
                                     1 / sqrtf((float)size), heads == kv_heads ? 0 : 0.5f);
            ck_assert_msg(!cuda->sync(), "%s", cuda->sync());
            ck_assert_double_lt(distance(sum, sum_, tokens * heads), 1e-7);
            ck_assert_double_lt(distance(dqkv, dqkv_, n), 3e-6);
            first = cuda->map(dqkv_, n * sizeof *first, 1);
            expect_bits("attention_backward, again", copied(first, n), again_, n);
            cuda->unmap(dqkv_, first, n * sizeof *first, 0);
            expect_bits("attention", out, out_, m);
            release(qkv_, sum_, dout_, dqkv_);
            release(start_, NULL, NULL, NULL);
            free(qkv);
            free(sum);
            free(dout);
            free(dqkv);
        }
}
END_TEST

START_TEST(decoding_has_the_bits_of_the_cpu)
{
    static const int sizes[] = {33, 1, 3, 16, 64, 128, 256};
    const int heads = by_sizes(2, 4, 4), close = by_sizes(3, 40, 40), stride = by_sizes(70, 11, 11);

    for (int i = 0; i < most(1, COUNT(sizes)); i++)
        for (int kv_heads = 1; kv_heads <= heads; kv_heads *= 2) {
            int size = sizes[i], width = (heads + 2 * kv_heads) * size, outs = heads * size;
            int context = 150, slots = 3, before = kv_heads == 2 ? 0 : 20;
            const int slot[] = {2, 0, 1}, row[] = {0, 2, 1},
                      start[] = {0, before, before + before / 2, 2 * before + before / 2};
            void *cache = cpu->alloc(cpu->cache_size(slots, context, kv_heads, size));
            void *cache_ = cuda->alloc(cuda->cache_size(slots, context, kv_heads, size));
            int *slot_ = up_ints(slot, 3), *row_ = up_ints(row, 3), *start_ = up_ints(start, 4);
            float *prompts = noise((size_t)start[3] * width + 1, 4), *prompts_;

            prompts_ = up(prompts, (size_t)start[3] * width + 1);
            cpu->cache_write(cache, prompts, start, row, slot, 3, before, context, heads, kv_heads, size);
            cuda->cache_write(cache_, prompts_, start_, row_, slot_, 3, before, context, heads, kv_heads,
                              size);
            for (int t = before; t < context; t += t < close ? 1 : stride) {
                const int last[] = {t, t, t / 2};
                float *qkv = noise((size_t)3 * width, 5 + t), *qkv_ = up(qkv, (size_t)3 * width);
                float *out = poison((size_t)3 * outs), *out_ = up(out, (size_t)3 * outs);
                int *position_ = up_ints(last, 3);

                cpu->attention_decode(out, cache, qkv, slot, last, 3, context, heads, kv_heads, size,
                                      1 / sqrtf((float)size), heads == kv_heads ? 0 : 0.5f);
                cuda->attention_decode(out_, cache_, qkv_, slot_, position_, 3, context, heads, kv_heads,
                                       size, 1 / sqrtf((float)size), heads == kv_heads ? 0 : 0.5f);
                expect_bits("attention_decode", out, out_, (size_t)3 * outs);
                release(qkv_, position_, NULL, NULL);
                free(qkv);
            }
            cpu->free(cache);
            free(prompts);
            release(cache_, slot_, row_, start_);
            release(prompts_, NULL, NULL, NULL);
        }
}
END_TEST

static const int vocabularies[] = {17, 5000, 1024, 1, 1025, 2, 1023, 100, 50257};

/* Logits of a few rows, some equal, some huge, some gone. */
static float *some_logits(int rows, int vocab) {
    float *logits = noise((size_t)rows * vocab, 1);

    for (size_t i = 0; i < (size_t)rows * vocab; i++) logits[i] *= 6;
    for (int j = 0; j < vocab; j++) {
        logits[j] = j % 3 ? 1e4f : -1e4f;
        if (j % 2) logits[(size_t)vocab + j] = -INFINITY;
    }
    return logits;
}

/* The length of a line of logits, the vocabulary's or more. */
static int longer(int vocab, int more) {
    return more ? vocab + 7 : vocab;
}

START_TEST(log_probabilities_and_their_gradients_agree)
{
    for (int i = 0; i < most(2, COUNT(vocabularies)); i++)
        for (int warm = 0; warm < 2; warm++) {
            int rows = 5, vocab = vocabularies[i], *best = malloc(rows * sizeof *best);
            int line = longer(vocab, warm);
            float temperature = warm ? 0.7f : 1;
            size_t n = (size_t)rows * line;
            int target[] = {vocab - 1, 0, vocab / 2, 0, vocab / 3}, *target_ = up_ints(target, rows);
            float *logits = some_logits(rows, line), *logits_ = up(logits, n), *lp = poison(rows);
            float *nats = poison(rows), *lp_ = up(lp, rows), *nats_ = up(nats, rows), *slope = noise(rows, 2);
            float *spread = noise(rows, 3), *slope_ = up(slope, rows), *spread_ = up(spread, rows);
            float *norm = poison(rows * 4), *norm_ = up(norm, rows * 4);
            int *best_ = cuda->alloc(rows * sizeof *best_);

            cpu->logprob(lp, nats, best, norm, logits, target, rows, vocab, line, temperature);
            cuda->logprob(lp_, nats_, best_, norm_, logits_, target_, rows, vocab, line, temperature);
            expect_bits("logprob", lp, lp_, rows);
            expect_bits("entropy", nats, nats_, rows);
            expect_ints("best", best, best_, rows);
            cpu->logprob_backward(logits, logits, target, norm, slope, warm ? spread : NULL, rows, vocab,
                                  line, temperature);
            cuda->logprob_backward(logits_, logits_, target_, norm_, slope_, warm ? spread_ : NULL, rows,
                                   vocab, line, temperature);
            expect_bits("logprob_backward", logits, logits_, n);
            expect_bits("norm", norm, norm_, (size_t)rows * 4);
            release(target_, slope_, spread_, NULL);
            free(slope);
            free(spread);
        }
}
END_TEST

START_TEST(the_same_tokens_are_drawn_as_on_the_cpu)
{
    for (int i = 0; i < most(2, COUNT(vocabularies)); i++)
        for (int t = 0; t < 3; t++) {
            const float temperatures[] = {0, 1, 0.6f};
            int rows = by_sizes(5, 60, 300), vocab = vocabularies[i], *token = malloc(rows * sizeof *token);
            int line = longer(vocab, t);
            size_t n = (size_t)rows * line;
            float *logits = some_logits(rows, line), *logits_ = up(logits, n), *u = noise(rows, 9), *u_;
            float *lp = poison(rows), *lp_ = up(lp, rows);
            int *token_ = cuda->alloc(rows * sizeof *token_);

            for (int r = 0; r < rows; r++) u[r] = r == 3 ? 0 : r == 4 ? 0x1.fffffep-1f : (u[r] + 1) / 2;
            u_ = up(u, rows);
            cpu->sample(token, lp, logits, u, rows, vocab, line, temperatures[t]);
            cuda->sample(token_, lp_, logits_, u_, rows, vocab, line, temperatures[t]);
            expect_ints("sample", token, token_, rows);
            expect_bits("sample's log-probability", lp, lp_, rows);
            release(logits_, u_, NULL, NULL);
            free(logits);
            free(u);
        }
}
END_TEST

struct truncation {
    int top_k;
    float top_p, min_p;
};

/* keeps: some tokens are kept in any case, and lines are longer. */
static void expect_truncated(int vocab, int keeps, const struct truncation *to) {
    int keep[] = {vocab - 1, 0, -1, vocab / 2, -1, 0}, rows = by_sizes(2, COUNT(keep), COUNT(keep));
    int line = longer(vocab, keeps), *keep_ = up_ints(keep, rows);
    size_t n = (size_t)rows * line;
    float *logits = some_logits(rows, line), *logits_ = up(logits, n);

    cpu->truncate(logits, keeps ? keep : NULL, rows, vocab, line, 0.8f, to->top_k, to->top_p, to->min_p);
    cuda->truncate(logits_, keeps ? keep_ : NULL, rows, vocab, line, 0.8f, to->top_k, to->top_p, to->min_p);
    expect_bits("truncate", logits, logits_, n);
    cuda->free(keep_);
}

START_TEST(truncation_keeps_what_the_cpu_keeps)
{
    static const struct truncation cases[] = {
        {0, 1, 0},     {1, 1, 0},     {7, 1, 0},          {100000, 1, 0}, {0, 0.9f, 0},
        {0, 0.05f, 0}, {0, 1, 0.05f}, {40, 0.95f, 0.01f}, {3, 0.5f, 0},   {0, 0.999f, 0.2f}};

    for (int i = 0; i < most(2, COUNT(vocabularies)); i++)
        for (int c = 0; c < COUNT(cases); c++) expect_truncated(vocabularies[i], c % 2, &cases[c]);
}
END_TEST

START_TEST(a_row_too_long_for_shared_memory_is_truncated_alike)
{ expect_truncated(60001, 1, &(struct truncation){40000, 0.95f, 0.01f}); }
END_TEST

/* Rows of 0, 1, few and many tokens. */
START_TEST(advantages_have_the_bits_of_the_cpu)
{
    static const int start[] = {0, 1, 1, 34, 66, 99, 400, 2000};
    const int rows = by_sizes(6, COUNT(start) - 1, COUNT(start) - 1);

    for (int i = 0; i < 2; i++) {
        size_t n = (size_t)start[rows];
        float *reward = noise(n, 1), *value = noise(n, 2), *out = poison(n), *returns = poison(n);
        float *reward_ = up(reward, n), *value_ = up(value, n), *out_ = up(out, n),
              *returns_ = up(returns, n);
        int *start_ = up_ints(start, rows + 1);

        cpu->advantage(out, returns, reward, value, start, rows, i ? 0.9 : 1, 0.95);
        cuda->advantage(out_, returns_, reward_, value_, start_, rows, i ? 0.9 : 1, 0.95);
        expect_bits("advantage", out, out_, n);
        expect_bits("returns", returns, returns_, n);
        release(reward_, value_, start_, NULL);
        free(reward);
        free(value);
    }
}
END_TEST

START_TEST(whitening_has_the_bits_of_the_cpu)
{
    static const size_t counts[] = {0, 1, 16385, 15, 40001};

    for (int i = 0; i < most(3, COUNT(counts)); i++)
        for (int keep = 0; keep < 2; keep++) {
            float *x = noise(counts[i], 1), *x_ = up(x, counts[i]);

            cpu->whiten(x, counts[i], keep);
            cuda->whiten(x_, counts[i], keep);
            expect_bits("whiten", x, x_, counts[i]);
        }
}
END_TEST

/* Sums go through exp() and log1p() of the C library or of the device, which may differ in a double's last
 * bit. */
static void expect_sums(const char *what, const double *want, double *device, int count) {
    double got[POLICY_SUMS];

    cuda->fetch(got, device, (size_t)count * sizeof *got);
    ck_assert_ptr_null(cuda->sync());
    for (int i = 0; i < count; i++)
        ck_assert_msg(fabs(got[i] - want[i]) <= 1e-14 * fabs(want[i]), "%s[%d]: %.17g, on the CPU %.17g",
                      what, i, got[i], want[i]);
    cuda->free(device);
}

START_TEST(slopes_of_policies_and_values_have_the_bits_of_the_cpu)
{
    static const int counts[] = {0, 257, 1, 255, 1000};

    for (int i = 0; i < most(2, COUNT(counts)); i++) {
        int n = counts[i], tokens = 1500, *item = some_indices(n, tokens, 1);
        float *now = noise(n, 2), *entropy = noise(n, 3), *old = noise(tokens, 4), *gain = noise(tokens, 5);
        float *slope = poison(n), *spread = poison(n), *slope_ = up(slope, n), *spread_ = up(spread, n);
        float *now_ = up(now, n), *entropy_ = up(entropy, n), *old_ = up(old, tokens);
        float *gain_ = up(gain, tokens);
        int *item_ = up_ints(item, n);
        double sums[POLICY_SUMS] = {0.5}, *sums_ = upload(sums, sizeof sums);

        cpu->policy_slope(slope, spread, sums, now, entropy, old, gain, item, n, 1e-3, 0.2, 0.01);
        cuda->policy_slope(slope_, spread_, sums_, now_, entropy_, old_, gain_, item_, n, 1e-3, 0.2, 0.01);
        expect_sums("policy_slope's sums", sums, sums_, POLICY_SUMS);
        expect_bits("policy_slope", slope, slope_, n);
        expect_bits("policy_slope's entropy", spread, spread_, n);
        slope = poison(n), slope_ = up(slope, n), sums_ = upload(sums, sizeof *sums);
        cpu->value_slope(slope, sums, now, old, gain, item, n, 1e-3, 1e-4, 0.2);
        cuda->value_slope(slope_, sums_, now_, old_, gain_, item_, n, 1e-3, 1e-4, 0.2);
        expect_sums("value_slope's sum", sums, sums_, 1);
        expect_bits("value_slope", slope, slope_, n);
        release(now_, entropy_, old_, gain_);
        cuda->free(item_);
        free(item);
        free(now);
        free(entropy);
        free(old);
        free(gain);
    }
}
END_TEST

START_TEST(slopes_of_pairs_have_the_bits_of_the_cpu)
{
    for (int heads = 1; heads < 4; heads++)
        for (int pairs = 0; pairs < by_sizes(200, 500, 500); pairs += 131) {
            size_t n = 2 * (size_t)pairs * heads;
            float *score = noise(n, 1), *score_, *slope = poison(n), *slope_ = up(slope, n);
            double sums[2] = {1, 2}, *sums_ = upload(sums, sizeof sums);

            for (size_t i = 0; i < n; i++) score[i] = i % 7 ? 10 * score[i] : 1;
            score_ = up(score, n);
            cpu->pair_slope(slope, sums, score, pairs, heads, 1e-3, 0.1);
            cuda->pair_slope(slope_, sums_, score_, pairs, heads, 1e-3, 0.1);
            expect_sums("pair_slope's sums", sums, sums_, 2);
            expect_bits("pair_slope", slope, slope_, n);
            release(score_, NULL, NULL, NULL);
            free(score);
        }
}
END_TEST

/* More numbers than blocks have lanes. */
START_TEST(a_long_sum_of_squares_has_the_bits_of_the_cpu)
{
    const size_t n = 4500007;
    float *x = noise(n, 1), *x_ = up(x, n);
    double want, got, *sum_ = cuda->alloc(sizeof *sum_);

    cpu->sum_squares(&want, x, n);
    cuda->sum_squares(sum_, x_, n);
    cuda->fetch(&got, cuda->place(sum_, &got), sizeof got);
    ck_assert_ptr_null(cuda->sync());
    ck_assert_msg(got == want, "sum_squares: %.17g, on the CPU %.17g", got, want);
    release(sum_, x_, NULL, NULL);
    free(x);
}
END_TEST

/* Many of them, on and off their alignment, long and empty. */
START_TEST(vectors_are_updated_together_with_the_bits_of_the_cpu)
{
    enum { SPANS = 300 };
    struct extent spans[SPANS];
    size_t n = 0;
    float *w, *m, *v, *grad, *w_, *m_, *v_, *grad_;

    for (int i = 0; i < SPANS; i++) {
        spans[i] = (struct extent){n, i * 37 % 129 + (i == 7 ? 2000 : 0)};
        n += (size_t)spans[i].size + (size_t)(i % 5);
    }
    w = noise(n, 1), m = noise(n, 2), v = noise(n, 3), grad = noise(n, 4);
    for (size_t j = 0; j < n; j++) v[j] = fabsf(v[j]);
    w_ = up(w, n), m_ = up(m, n), v_ = up(v, n), grad_ = up(grad, n);
    cpu->adamw_vectors(w, m, v, grad, spans, SPANS, 0.5f, 1e-3f, 0.9f, 0.95f, 1e-8f, 0.2f, 0.1f);
    cuda->adamw_vectors(w_, m_, v_, grad_, spans, SPANS, 0.5f, 1e-3f, 0.9f, 0.95f, 1e-8f, 0.2f, 0.1f);
    ck_assert_ptr_null(cuda->sync());
    expect_bits("adamw_vectors", w, w_, n);
    expect_bits("adamw_vectors m", m, m_, n);
    expect_bits("adamw_vectors v", v, v_, n);
    expect_bits("adamw_vectors gradient", grad, grad_, n);
}
END_TEST

START_TEST(the_optimizer_has_the_bits_of_the_cpu)
{
    static const size_t counts[] = {1, 15, 257, 16384, 16385, 100003};

    for (int i = 0; i < most(3, COUNT(counts)); i++) {
        size_t n = counts[i];
        float *w = noise(n, 1), *m = noise(n, 2), *v = noise(n, 3), *grad = noise(n, 4), *w_ = up(w, n);
        float *m_ = up(m, n), *v_, *grad_ = up(grad, n);
        double want, got, *sum_ = cuda->alloc(sizeof *sum_);

        for (size_t j = 0; j < n; j++) v[j] = fabsf(v[j]);
        v_ = up(v, n);
        cpu->sum_squares(&want, grad, n);
        cuda->sum_squares(sum_, grad_, n);
        cuda->fetch(&got, cuda->place(sum_, &got), sizeof got);
        cpu->adamw(w, m, v, grad, NULL, NULL, (int)n, 1, 0.5f, 1e-3f, 0.9f, 0.95f, 1e-8f, 0.1f, 0.2f, 0.1f);
        cuda->adamw(w_, m_, v_, grad_, NULL, NULL, (int)n, 1, 0.5f, 1e-3f, 0.9f, 0.95f, 1e-8f, 0.1f, 0.2f,
                    0.1f);
        ck_assert_ptr_null(cuda->sync());
        ck_assert_msg(got == want, "sum_squares: %.17g, on the CPU %.17g", got, want);
        expect_bits("adamw", w, w_, n);
        expect_bits("adamw m", m, m_, n);
        expect_bits("adamw v", v, v_, n);
        expect_bits("gradient", grad, grad_, n);
        release(sum_, NULL, NULL, NULL);
    }
}
END_TEST

START_TEST(memory_is_zeroed_copied_and_refused_when_there_is_not_so_much)
{
    size_t n = 3000001;
    float *x = noise(n, 1), *a = cuda->alloc(n * sizeof *a), *b = up(x, n), *view, *got = poison(n);

    view = cuda->map(a, n * sizeof *a, 1);
    for (size_t i = 0; i < n; i++) ck_assert(view[i] == 0);
    cuda->unmap(a, view, n * sizeof *a, 0);
    cuda->copy(a, b, n * sizeof *a);
    cuda->zero(b, n * sizeof *b);
    cuda->fetch(got, a, n * sizeof *a);
    ck_assert_ptr_null(cuda->sync());
    ck_assert(same_bits(got, x, n));
    for (int i = 0; i < 9000; i++) cuda->fetch(got + i, cuda->send(b + i, x + i, sizeof *x), sizeof *x);
    for (int i = 0; i < 9000; i++) got[i] = i < 100 ? NAN : got[i];
    ck_assert_ptr_null(cuda->sync());
    ck_assert(same_bits(got + 8500, x + 8500, 500));
    ck_assert_ptr_null(cuda->alloc((size_t)1 << 46));
    ck_assert_ptr_null(cuda->sync());
    release(a, b, NULL, NULL);
    free(x);
    free(got);
}
END_TEST

static Suite *make(void) {
    Suite *suite = suite_create("cuda operations");
    TCase *test = tcase_create("cuda operations");

    tcase_set_timeout(test, 300);
    tcase_add_test(test, memory_is_zeroed_copied_and_refused_when_there_is_not_so_much);
    tcase_add_test(test, matrix_products_have_the_bits_of_the_cpu);
    tcase_add_test(test, norms_have_the_bits_of_the_cpu);
    tcase_add_test(test, elementwise_operations_have_the_bits_of_the_cpu);
    tcase_add_test(test, what_adapters_need_has_the_bits_of_the_cpu);
    tcase_add_test(test, rope_has_the_bits_of_the_cpu_both_ways);
    tcase_add_test(test, gathering_and_scattering_have_the_bits_of_the_cpu);
    tcase_add_test(test, rows_are_looked_up_and_added_up_wherever_they_lie);
    tcase_add_test(test, scattering_goes_on_where_more_entries_come_than_are_sorted_at_a_time);
    tcase_add_test(test, attention_has_the_bits_of_the_cpu_and_its_gradients_agree);
    tcase_add_test(test, decoding_has_the_bits_of_the_cpu);
    tcase_add_test(test, log_probabilities_and_their_gradients_agree);
    tcase_add_test(test, the_same_tokens_are_drawn_as_on_the_cpu);
    tcase_add_test(test, truncation_keeps_what_the_cpu_keeps);
    tcase_add_test(test, a_row_too_long_for_shared_memory_is_truncated_alike);
    tcase_add_test(test, advantages_have_the_bits_of_the_cpu);
    tcase_add_test(test, whitening_has_the_bits_of_the_cpu);
    tcase_add_test(test, slopes_of_policies_and_values_have_the_bits_of_the_cpu);
    tcase_add_test(test, slopes_of_pairs_have_the_bits_of_the_cpu);
    tcase_add_test(test, a_long_sum_of_squares_has_the_bits_of_the_cpu);
    tcase_add_test(test, vectors_are_updated_together_with_the_bits_of_the_cpu);
    tcase_add_test(test, the_optimizer_has_the_bits_of_the_cpu);
    suite_add_tcase(suite, test);
    return suite;
}

int main(void) {
    cpu = kernels_find("cpu");
    cuda = kernels_find("cuda");
    if (!cuda) {
        printf("SKIP: %s\n", kernels_missing("cuda"));
        return 77;
    }
    return run_sizes(make) || device_times("operations", NULL, "cuda");
}
