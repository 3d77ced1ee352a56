/* Operations on operands of bf16 but for products and attention: CUDA's against the CPU's, to the bit. Where
 * sums have an order of their own, of numbers whose sums are exact. */
#include <stdio.h>

#include "tests/device_times.h"

#define MOST 32 /* arrays of a pass, and results */

static const struct kernels *devices[2]; /* the CPU's, CUDA's */

/* How many of an array's sizes to try, the first of which start every kernel. */
static int most(int count) {
    return by_sizes(4, count > 8 ? 8 : count, count);
}

/* What one pass over a device holds, and what it leaves for comparison. */
struct pass {
    const struct kernels *k;
    void *memory[MOST];
    int count;
    struct {
        const char *name;
        void *bytes;
        size_t size, each;
    } left[MOST];
    int results;
};

static void *given(struct pass *p, const void *array, size_t bytes) {
    void *memory = p->k->alloc(bytes), *view = p->k->map(memory, bytes, 0);

    memcpy(view, array, bytes);
    p->k->unmap(memory, view, bytes, 1);
    return p->memory[p->count++] = memory;
}

/* Frees the array. */
static void *taken(struct pass *p, void *array, size_t bytes) {
    void *memory = given(p, array, bytes);

    free(array);
    return memory;
}

static float *floats(struct pass *p, size_t count, uint32_t seed) {
    return taken(p, noise(count, seed), count * sizeof(float));
}

/* Frees x. */
static void *operands(struct pass *p, float *x, size_t count) {
    void *rounded = operands_of(p->k, x, count);

    free(x);
    return taken(p, rounded, count * p->k->operand_bytes);
}

/* Outputs that must be overwritten. */
static float *no_floats(struct pass *p, size_t count) {
    return taken(p, poison(count), count * sizeof(float));
}

static void *no_operands(struct pass *p, size_t count) {
    return taken(p, poison_operands(p->k, count), count * p->k->operand_bytes);
}

/* `count` numbers below `limit`, with repeats. */
static int *numbers(struct pass *p, int count, int limit, uint32_t seed) {
    float *x = noise(count, seed);
    int *out = malloc((count + 1) * sizeof *out);

    for (int i = 0; i < count; i++) out[i] = (int)((x[i] + 1) / 2 * (float)limit) % limit;
    free(x);
    return taken(p, out, count * sizeof *out);
}

static void leave(struct pass *p, const char *name, void *memory, size_t count, size_t each) {
    void *view = p->k->map(memory, count * each, 1);

    ck_assert_msg(!p->k->sync(), "%s: %s", name, p->k->sync());
    p->left[p->results].name = name;
    p->left[p->results].size = count * each;
    p->left[p->results].each = each;
    p->left[p->results].bytes = memcpy(malloc(count * each + 1), view, count * each);
    p->results++;
    p->k->unmap(memory, view, count * each, 0);
}

static void leave_floats(struct pass *p, const char *name, float *memory, size_t count) {
    leave(p, name, memory, count, sizeof(float));
}

static void leave_operands(struct pass *p, const char *name, void *memory, size_t count) {
    leave(p, name, memory, count, p->k->operand_bytes);
}

static void end(struct pass *p) {
    for (int i = 0; i < p->count; i++) p->k->free(p->memory[i]);
    for (int i = 0; i < p->results; i++) free(p->left[i].bytes);
}

static double value_of(const void *bytes, size_t i, size_t each) {
    float x = 0;

    memcpy((char *)&x + sizeof x - each, (const char *)bytes + i * each, each);
    return (double)x;
}

static void expect_bits(const struct pass passes[2], int result) {
    const char *name = passes[0].left[result].name, *a = passes[0].left[result].bytes;
    const char *b = passes[1].left[result].bytes;
    size_t each = passes[0].left[result].each, size = passes[0].left[result].size;

    ck_assert_uint_eq(size, passes[1].left[result].size);
    for (size_t i = 0; i < size / each; i++)
        if (memcmp(a + i * each, b + i * each, each))
            ck_abort_msg("%s[%zu] of %zu: %.9g, on the CPU %.9g", name, i, size / each, value_of(b, i, each),
                         value_of(a, i, each));
}

struct size {
    int rows, width, option;
};

/* Runs the same on both devices. */
static void compare(void run(struct pass *p, const struct size *s), const struct size *s) {
    struct pass passes[2] = {{.k = devices[0]}, {.k = devices[1]}};

    for (int d = 0; d < 2; d++) run(&passes[d], s);
    ck_assert_int_eq(passes[0].results, passes[1].results);
    for (int i = 0; i < passes[0].results; i++) expect_bits(passes, i);
    for (int d = 0; d < 2; d++) end(&passes[d]);
}

static const int widths[] = {33, 24, 1601, 1608, 1, 3, 16, 65, 129, 200, 768};

static void compare_widths(void run(struct pass *p, const struct size *s)) {
    for (int i = 0; i < most(COUNT(widths)); i++) compare(run, &(struct size){37, widths[i], i % 2});
}

/* Numbers of some size; the first ones large, tiny, and halfway between two of bf16. */
static float *wide_noise(size_t count, uint32_t seed) {
    const float extremes[] = {
        1e4f,      -1e4f,     3e38f,          -3e38f,      0,        -0.0f, 88,     -88,
        89,        -104,      1e-30f,         0x1p-130f,   16,       -16,   1e-40f, 1.5f,
        0x1.01p0f, 0x1.03p0f, 0x1.0100002p0f, -0x1.01p-3f, 0x1.fdp5f};
    float *x = noise(count, seed);

    for (size_t i = 0; i < count; i++) x[i] = i < COUNT(extremes) ? extremes[i] : 8 * x[i];
    return x;
}

static void gates(struct pass *p, const struct size *s) {
    size_t n = (size_t)s->rows * s->width;
    void *x = operands(p, wide_noise(2 * n, 1), 2 * n), *out = no_operands(p, n),
         *wide = no_operands(p, 2 * n);
    float *dy = floats(p, n, 2);

    p->k->swiglu(out, x, s->rows, s->width);
    leave_operands(p, "swiglu", out, n);
    p->k->geglu(out, x, s->rows, s->width);
    leave_operands(p, "geglu", out, n);
    p->k->swiglu_backward(wide, dy, x, s->rows, s->width);
    leave_operands(p, "swiglu_backward", wide, 2 * n);
    p->k->geglu_backward(wide, dy, x, s->rows, s->width);
    leave_operands(p, "geglu_backward", wide, 2 * n);
}

START_TEST(gates_have_the_bits_of_the_cpu)
{ compare_widths(gates); }
END_TEST

static void narrowing(struct pass *p, const struct size *s) {
    size_t n = (size_t)s->rows * s->width;
    float *x = taken(p, wide_noise(n, 1), n * sizeof *x), *y = wide_noise(n, 2), *y_;
    void *out = no_operands(p, n), *dx = operands(p, noise(n, 3), n);
    int *key = numbers(p, 2 * s->rows, 1 << 30, 4);

    p->k->narrow(out, x, s->option ? 0.7f : 1, n);
    leave_operands(p, "narrow", out, n);
    p->k->dropout(out, dx, key, 9, 0.3f, s->rows, s->width);
    leave_operands(p, "dropout", out, n);
    y[n / 2] = -INFINITY;
    y_ = taken(p, y, n * sizeof *y);
    p->k->cap_backward(dx, y_, n, 30);
    leave_operands(p, "cap_backward", dx, n);
}

START_TEST(rounding_dropping_and_capping_have_the_bits_of_the_cpu)
{ compare_widths(narrowing); }
END_TEST

static void norms(struct pass *p, const struct size *s) {
    size_t n = (size_t)s->rows * s->width;
    float *x = taken(p, wide_noise(n, 1), n * sizeof *x), *weight = floats(p, s->width, 2);
    float *bias = floats(p, s->width, 3), *mean = no_floats(p, s->rows), *rstd = no_floats(p, s->rows);
    void *out = no_operands(p, n);

    p->k->layernorm(out, mean, rstd, x, weight, bias, s->rows, s->width, 1e-5f);
    leave_operands(p, "layernorm", out, n);
    leave_floats(p, "layernorm mean", mean, s->rows);
    p->k->rmsnorm(out, rstd, x, weight, s->rows, s->width, 1e-6f);
    leave_operands(p, "rmsnorm", out, n);
    leave_floats(p, "rmsnorm rstd", rstd, s->rows);
}

START_TEST(norms_have_the_bits_of_the_cpu)
{
    compare_widths(norms);
    compare(norms, &(struct size){by_sizes(5, 301, 301), 40, 0});
}
END_TEST

/* Whole numbers from -limit to limit. */
static float *whole(size_t count, float limit, uint32_t seed) {
    float *x = noise(count, seed);

    for (size_t i = 0; i < count; i++) x[i] = roundf(limit * x[i]);
    return x;
}

static float *whole_floats(struct pass *p, size_t count, float limit, uint32_t seed) {
    return taken(p, whole(count, limit, seed), count * sizeof(float));
}

/* dx divides by the width: exact, and left for comparison, where that is a power of 2. */
static void norm_slopes(struct pass *p, const struct size *s) {
    size_t n = (size_t)s->rows * s->width;
    float *x = whole_floats(p, n, 4, 1), *dy = whole_floats(p, n, 3, 2),
          *weight = whole_floats(p, s->width, 3, 3);
    float *mean = whole_floats(p, s->rows, 2, 4), *rstd = whole(s->rows, 0, 5), *rstd_;
    float *dx = whole_floats(p, n, 5, 6), *dweight = whole_floats(p, s->width, 5, 7);
    float *dbias = whole_floats(p, s->width, 5, 8);
    int exact = (s->width & (s->width - 1)) == 0;
    void *narrow = operands(p, whole(n, 9, 9), n), *rounded = no_operands(p, n);

    for (int r = 0; r < s->rows; r++) rstd[r] = r % 2 ? 0.5f : 1;
    rstd_ = taken(p, rstd, s->rows * sizeof *rstd);
    p->k->layernorm_backward(dx, rounded, dweight, dbias, dy, x, weight, mean, rstd_, s->rows, s->width);
    leave_floats(p, "layernorm_backward weight", dweight, s->width);
    leave_floats(p, "layernorm_backward bias", dbias, s->width);
    if (exact) leave_floats(p, "layernorm_backward", dx, n);
    if (exact) leave_operands(p, "layernorm_backward rounded", rounded, n);
    p->k->layernorm_backward(dx, NULL, NULL, NULL, dy, x, weight, mean, rstd_, s->rows, s->width);
    if (exact) leave_floats(p, "layernorm_backward alone", dx, n);
    p->k->rmsnorm_backward(dx, rounded, dweight, dy, x, weight, rstd_, s->rows, s->width);
    leave_floats(p, "rmsnorm_backward weight", dweight, s->width);
    if (exact) leave_floats(p, "rmsnorm_backward", dx, n);
    if (exact) leave_operands(p, "rmsnorm_backward rounded", rounded, n);
    p->k->bias_backward(dbias, narrow, s->rows, s->width);
    leave_floats(p, "bias_backward", dbias, s->width);
}

START_TEST(gradients_of_norms_and_biases_are_the_cpus_where_sums_are_exact)
{
    compare_widths(norm_slopes);
    compare(norm_slopes, &(struct size){64, 256, 0});
    compare(norm_slopes, &(struct size){by_sizes(70, 301, 301), 64, 0});
    compare(norm_slopes, &(struct size){by_sizes(70, 1000, 1000), 20, 0});
    for (int width = 512; width <= 16384; width *= 2) {
        compare(norm_slopes, &(struct size){5, width, 0});
        compare(norm_slopes, &(struct size){32, width, 0});
    }
    compare(norm_slopes, &(struct size){66, 1500, 0});
}
END_TEST

/* || a - b || / || a || of dx, over random numbers: terms and their sums, added up in other orders. */
static void random_slopes(struct pass *p, const struct size *s) {
    size_t n = (size_t)s->rows * s->width;
    float *dx = floats(p, n, 1), *dy = floats(p, n, 2), *x = floats(p, n, 3),
          *weight = floats(p, s->width, 4);
    float *mean = floats(p, s->rows, 5), *rstd = floats(p, s->rows, 6);

    if (s->option)
        p->k->layernorm_backward(dx, NULL, NULL, NULL, dy, x, weight, mean, rstd, s->rows, s->width);
    else
        p->k->rmsnorm_backward(dx, NULL, NULL, dy, x, weight, rstd, s->rows, s->width);
    leave_floats(p, "dx", dx, n);
}

static double distance(const struct pass passes[2]) {
    const float *a = passes[0].left[0].bytes, *b = passes[1].left[0].bytes;
    double off = 0, all = 0;

    for (size_t i = 0; i < passes[0].left[0].size / sizeof *a; i++) {
        off += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        all += (double)a[i] * (double)a[i];
    }
    return sqrt(off / all);
}

static void expect_near(const struct size *s) {
    struct pass passes[2] = {{.k = devices[0]}, {.k = devices[1]}};

    for (int d = 0; d < 2; d++) random_slopes(&passes[d], s);
    ck_assert_double_lt(distance(passes), 1e-6);
    for (int d = 0; d < 2; d++) end(&passes[d]);
}

START_TEST(gradients_through_norms_are_the_cpus_within_rounding)
{
    const int wide[] = {1028, 2501, 4100, 9999};

    for (int centred = 0; centred < 2; centred++) {
        for (int i = 0; i < most(COUNT(widths)); i++) expect_near(&(struct size){37, widths[i], centred});
        for (int i = 0; i < COUNT(wide); i++) expect_near(&(struct size){7, wide[i], centred});
    }
}
END_TEST

/* width: of a head; heads follow each other with as many channels again between tokens. */
static void rotation(struct pass *p, const struct size *s) {
    enum { HEADS = 3, CONTEXT = 40 };
    size_t stride = (size_t)(HEADS + 2) * s->width, n = stride * s->rows;
    float *cosine = floats(p, (size_t)CONTEXT * s->width / 2, 1);
    float *sine = floats(p, (size_t)CONTEXT * s->width / 2, 2);
    void *x = operands(p, noise(n, 3), n);
    int *position = numbers(p, s->rows, CONTEXT, 4);

    p->k->rope(x, cosine, sine, position, s->rows, HEADS, s->width, (int)stride, s->option);
    leave_operands(p, "rope", x, n);
}

START_TEST(rope_has_the_bits_of_the_cpu_both_ways)
{
    static const int sizes[] = {2, 10, 16, 32, 64, 80, 128};

    for (int i = 0; i < most(COUNT(sizes)); i++)
        for (int inverse = 0; inverse < 2; inverse++)
            compare(rotation, &(struct size){77, sizes[i], inverse});
}
END_TEST

/* The second device goes on with what the first left, since its own sums have another order. */
static void share_norms(struct pass *p, float *norm, int rows) {
    static float kept[64];
    float *view = p->k->map(norm, (size_t)rows * 4 * sizeof *view, 1);

    memcpy(p->k == devices[0] ? kept : view, p->k == devices[0] ? view : kept,
           (size_t)rows * 4 * sizeof *view);
    p->k->unmap(norm, view, (size_t)rows * 4 * sizeof *view, 1);
}

/* From a row of logits to the next: the options' lines are longer than their rows. */
static int line_of(const struct size *s) {
    return s->option ? s->width / 64 * 64 + 64 : s->width;
}

static void slopes(struct pass *p, const struct size *s) {
    int line = line_of(s);
    size_t n = (size_t)s->rows * line;
    float temperature = s->option ? 0.7f : 1, *x = noise(n, 1), *logits;
    float *lp = no_floats(p, s->rows), *nats = no_floats(p, s->rows),
          *norm = no_floats(p, (size_t)s->rows * 4);
    float *slope = floats(p, s->rows, 2), *spread = floats(p, s->rows, 3);
    int *target = numbers(p, s->rows, s->width, 4);
    void *dlogits = no_operands(p, n);

    for (size_t i = 0; i < n; i++) x[i] = i % 7 == 3 && i >= (size_t)line ? -INFINITY : 6 * x[i];
    logits = taken(p, x, n * sizeof *x);
    p->k->logprob(lp, s->option ? nats : NULL, NULL, norm, logits, target, s->rows, s->width, line,
                  temperature);
    share_norms(p, norm, s->rows);
    p->k->logprob_backward(dlogits, logits, target, norm, slope, s->option ? spread : NULL, s->rows, s->width,
                           line, temperature);
    leave_operands(p, "logprob_backward", dlogits, n);
}

START_TEST(gradients_of_logits_have_the_bits_of_the_cpu)
{
    static const int vocabularies[] = {7, 4999, 100, 1023, 1024, 50257};

    for (int i = 0; i < most(COUNT(vocabularies)); i++)
        for (int warm = 0; warm < 2; warm++) compare(slopes, &(struct size){5, vocabularies[i], warm});
}
END_TEST

/* Logits some of which are -infinity, others far apart. */
static float *peaked(struct pass *p, const struct size *s) {
    size_t n = (size_t)s->rows * line_of(s);
    float *x = noise(n, 1);

    for (size_t i = 0; i < n; i++) x[i] = i % 7 == 3 ? -INFINITY : (i % 5 ? 6 : 90) * x[i];
    return taken(p, x, n * sizeof *x);
}

static void reading(struct pass *p, const struct size *s) {
    float temperature = s->option ? 0.7f : 1, *logits = peaked(p, s), *u, *x = noise(s->rows, 5);
    float *lp = no_floats(p, s->rows), *nats = no_floats(p, s->rows), *drawn_lp = no_floats(p, s->rows);
    float *norm = no_floats(p, (size_t)s->rows * 4);
    int line = line_of(s), *target = numbers(p, s->rows, s->width, 4), *best = numbers(p, s->rows, 9, 6),
        *drawn = numbers(p, s->rows, 9, 7);

    for (int r = 0; r < s->rows; r++) x[r] = fabsf(x[r]);
    u = taken(p, x, s->rows * sizeof *x);
    p->k->sample(drawn, drawn_lp, logits, u, s->rows, s->width, line, temperature);
    p->k->logprob(lp, nats, best, norm, logits, drawn, s->rows, s->width, line, temperature);
    leave(p, "best", best, s->rows, sizeof *best);
    leave(p, "sample", drawn, s->rows, sizeof *drawn);
    leave_floats(p, "logprob", lp, s->rows);
    leave_floats(p, "entropy", nats, s->rows);
    leave_floats(p, "norm", norm, (size_t)s->rows * 4);
    leave_floats(p, "sample's log-probability", drawn_lp, s->rows);
    p->k->logprob(lp, NULL, NULL, NULL, logits, target, s->rows, s->width, line, temperature);
    leave_floats(p, "logprob of another", lp, s->rows);
}

/* A thread adds up to 99 terms of a row in single precision, and the CPU's lanes 64: sums are off by at most
 * that many roundings, their logarithm too; an entropy by those of its two sums, of terms up to 7 nats beside
 * it. */
#define ROUNDINGS (100 * 0x1p-24)

START_TEST(distributions_are_the_cpus_within_rounding_and_the_sampler_agrees_to_the_bit)
{
    static const int vocabularies[] = {7, 4999, 100, 1023, 50257};

    for (int i = 0; i < by_sizes(2, COUNT(vocabularies), COUNT(vocabularies)); i++)
        for (int warm = 0; warm < 2; warm++) {
            struct pass passes[2] = {{.k = devices[0]}, {.k = devices[1]}};

            for (int d = 0; d < 2; d++) reading(&passes[d], &(struct size){5, vocabularies[i], warm});
            expect_bits(passes, 0);
            expect_bits(passes, 1);
            for (int result = 2; result < passes[0].results; result++) {
                const float *a = passes[0].left[result].bytes, *b = passes[1].left[result].bytes;

                for (size_t e = 0; e < passes[0].left[result].size / sizeof *a; e++)
                    ck_assert_msg(a[e] == b[e] || fabs((double)a[e] - (double)b[e]) <=
                                                      8 * ROUNDINGS * (1 + fabs((double)a[e]) / 8),
                                  "%s[%zu] of %d: %.9g, on the CPU %.9g", passes[0].left[result].name, e,
                                  vocabularies[i], (double)b[e], (double)a[e]);
            }
            ck_assert_mem_eq(passes[1].left[2].bytes, passes[1].left[5].bytes, passes[1].left[2].size);
            for (int d = 0; d < 2; d++) end(&passes[d]);
        }
}
END_TEST

/* Rows that begin on every alignment, more than are sampled at a time. */
START_TEST(a_row_is_sampled_alone_as_in_a_batch_and_as_the_trainer_reads_it)
{
    for (int warm = 0; warm < 2; warm++) {
        struct pass p = {.k = devices[1]};
        struct size s = {by_sizes(5, 140, 140), 4099, 0};
        float temperature = warm ? 0.7f : 0, *logits = peaked(&p, &s), *x = noise(s.rows, 5), *u;
        float *lp = no_floats(&p, s.rows), *lp_alone = no_floats(&p, s.rows),
              *lp_read = no_floats(&p, s.rows);
        int *best = numbers(&p, s.rows, 9, 6), *token = numbers(&p, s.rows, 9, 7),
            *alone = numbers(&p, s.rows, 9, 8);

        for (int r = 0; r < s.rows; r++) x[r] = fabsf(x[r]);
        u = taken(&p, x, s.rows * sizeof *x);
        p.k->sample(token, lp, logits, u, s.rows, s.width, s.width, temperature);
        for (int r = 0; r < s.rows; r++)
            p.k->sample(alone + r, lp_alone + r, logits + (size_t)r * s.width, u + r, 1, s.width, s.width,
                        temperature);
        p.k->logprob(lp_read, NULL, best, NULL, logits, token, s.rows, s.width, s.width,
                     warm ? temperature : 1);
        leave(&p, "sample", token, s.rows, sizeof *token);
        leave(&p, "sample alone", alone, s.rows, sizeof *alone);
        leave(&p, "best", best, s.rows, sizeof *best);
        leave_floats(&p, "log-probability", lp, s.rows);
        leave_floats(&p, "log-probability alone", lp_alone, s.rows);
        leave_floats(&p, "log-probability read", lp_read, s.rows);
        ck_assert_mem_eq(p.left[0].bytes, p.left[1].bytes, p.left[0].size);
        if (!warm) ck_assert_mem_eq(p.left[0].bytes, p.left[2].bytes, p.left[0].size);
        ck_assert_mem_eq(p.left[3].bytes, p.left[4].bytes, p.left[3].size);
        ck_assert_mem_eq(p.left[3].bytes, p.left[5].bytes, p.left[3].size);
        end(&p);
    }
}
END_TEST

static void gathering(struct pass *p, const struct size *s) {
    enum { KINDS = 13 };
    void *table = operands(p, noise((size_t)KINDS * s->width, 1), (size_t)KINDS * s->width);
    void *out = no_operands(p, (size_t)s->rows * s->width);
    int *index = numbers(p, s->rows, KINDS, 2);

    p->k->gather(out, table, index, s->rows, s->width * p->k->operand_bytes);
    leave_operands(p, "gather", out, (size_t)s->rows * s->width);
}

START_TEST(entries_of_any_width_are_gathered)
{ compare_widths(gathering); }
END_TEST

static void learning(struct pass *p, const struct size *s) {
    size_t n = (size_t)s->rows * s->width;
    float *w = floats(p, n, 1), *m = floats(p, n, 2), *squares = noise(n, 3), *v, *grad = floats(p, n, 4);
    size_t bytes = p->k->pack_size(s->rows, s->width, 0), turned = p->k->pack_size(s->rows, s->width, 1);
    char *zeros = calloc(1, bytes + turned + 1), *packed, *again, *view, *other;

    for (size_t i = 0; i < n; i++) squares[i] = fabsf(squares[i]);
    v = taken(p, squares, n * sizeof *v);
    packed = given(p, zeros, bytes + turned);
    again = taken(p, zeros, bytes + turned);
    p->k->adamw(w, m, v, grad, packed, turned ? packed + bytes : packed, s->rows, s->width, 0.5f, 1e-3f, 0.9f,
                0.95f, 1e-8f, 0.1f, 0.2f, 0.1f);
    p->k->pack(again, w, 0, s->rows, s->width, 0);
    if (turned) p->k->pack(again + bytes, w, 0, s->rows, s->width, 1);
    leave_floats(p, "adamw", w, n);
    leave_floats(p, "adamw m", m, n);
    leave_floats(p, "adamw v", v, n);
    leave_floats(p, "gradient", grad, n);
    view = p->k->map(packed, bytes + turned, 1);
    other = p->k->map(again, bytes + turned, 1);
    ck_assert_mem_eq(view, other, bytes + turned);
    p->k->unmap(packed, view, bytes + turned, 0);
    p->k->unmap(again, other, bytes + turned, 0);
}

START_TEST(the_optimizer_has_the_bits_of_the_cpu_and_lays_out_what_it_wrote)
{ compare_widths(learning); }
END_TEST

/* Weights as CUDA lays them out, row after row; on the CPU what the identity's products make of its layout.
 */
static void rounding(struct pass *p, const struct size *s) {
    size_t n = (size_t)s->rows * s->width, bytes = p->k->pack_size(s->rows, s->width, !p->k->one_layout);
    float *numbers = wide_noise(n, 1), *same = calloc((size_t)s->rows * s->rows, sizeof *same), *w, *sums;
    void *packed = taken(p, calloc(bytes, 1), bytes), *out = no_operands(p, n), *identity;

    for (size_t i = 0; i < n; i++) numbers[i] += 0.0f; /* no product gives -0 */
    for (int r = 0; r < s->rows; r++) same[r * s->rows + r] = 1;
    w = taken(p, numbers, n * sizeof *numbers);
    identity = operands(p, same, (size_t)s->rows * s->rows);
    sums = no_floats(p, n);
    p->k->pack(packed, w, UINT64_C(0x0123456789abcdef) << s->option, s->rows, s->width, !p->k->one_layout);
    if (p->k->one_layout) {
        leave_operands(p, "pack by chance", packed, n);
        return;
    }
    p->k->matmul_dx(sums, identity, w, packed, NULL, s->rows, s->rows, s->width);
    p->k->narrow(out, sums, 1, n);
    leave_operands(p, "pack by chance", out, n);
}

START_TEST(weights_are_rounded_by_chance_as_on_the_cpu)
{ compare_widths(rounding); }
END_TEST

#ifdef EMULATED
/* Products, their gradients, and sums over rows. */
static void use_scratch(struct pass *p, int rows, int outs, int ins) {
    const struct kernels *k = p->k;
    size_t all = (size_t)rows * (outs > ins ? outs : ins);
    float *out = no_floats(p, all), *w = floats(p, (size_t)outs * ins, 1),
          *dw = floats(p, (size_t)outs * ins, 2);
    void *x = operands(p, noise((size_t)rows * ins, 3), (size_t)rows * ins);
    void *dy = operands(p, noise((size_t)rows * outs, 4), (size_t)rows * outs);
    void *packed = no_operands(p, (size_t)outs * ins);
    float *mean = floats(p, rows, 5), *line = floats(p, outs, 6), *wide = floats(p, all, 7);

    k->pack(packed, w, 0, outs, ins, 0);
    k->matmul(out, x, w, packed, NULL, NULL, rows, outs, ins);
    k->matmul_dx(out, dy, w, packed, NULL, rows, outs, ins);
    k->matmul_dw(dw, dy, x, rows, outs, ins);
    k->bias_backward(line, dy, rows, outs);
    k->layernorm_backward(out, NULL, line, line, wide, wide, line, mean, mean, rows, outs);
}

/* By how many bytes these make scratch grow, which stays. */
static double scratch_taken(int rows, int outs, int ins) {
    struct pass p = {.k = devices[1]};
    size_t before, after, total;

    p.k->memory(&before, &total);
    use_scratch(&p, rows, outs, ins);
    ck_assert_msg(!p.k->sync(), "%s", p.k->sync());
    end(&p);
    p.k->memory(&after, &total);
    return (double)before - (double)after;
}

/* Sums of a first size need less than there always is. Then each takes more than those before: sums, the
 * gradient's side, the product's two, those of the weights' gradient, those of the inputs' gradient. */
START_TEST(operations_take_no_more_scratch_than_they_say)
{
    static const int sizes[][3] = {{40, 40, 48},     {1600, 1344, 8},  {1050, 261, 200},
                                   {1050, 264, 209}, {1050, 261, 209}, {16, 3605, 150}};
    double kept = 0;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int *s = sizes[i];
        double said = (double)devices[1]->scratch_size(s[0], s[1], s[2], 1);

        kept += scratch_taken(s[0], s[1], s[2]);
        ck_assert_double_le(kept, said);
        ck_assert(i == 0 || kept == said);
    }
}
END_TEST
#endif

static Suite *make(void) {
    Suite *suite = suite_create("cuda operations on bf16");
    TCase *test = tcase_create("cuda operations on bf16");

    tcase_set_timeout(test, 300);
#ifdef EMULATED /* before all else, when nothing has been taken */
    if (by_sizes(1, 0, 0)) tcase_add_test(test, operations_take_no_more_scratch_than_they_say);
#endif
    tcase_add_test(test, gates_have_the_bits_of_the_cpu);
    tcase_add_test(test, rounding_dropping_and_capping_have_the_bits_of_the_cpu);
    tcase_add_test(test, norms_have_the_bits_of_the_cpu);
    tcase_add_test(test, gradients_of_norms_and_biases_are_the_cpus_where_sums_are_exact);
    tcase_add_test(test, gradients_through_norms_are_the_cpus_within_rounding);
    tcase_add_test(test, rope_has_the_bits_of_the_cpu_both_ways);
    tcase_add_test(test, gradients_of_logits_have_the_bits_of_the_cpu);
    tcase_add_test(test, distributions_are_the_cpus_within_rounding_and_the_sampler_agrees_to_the_bit);
    tcase_add_test(test, a_row_is_sampled_alone_as_in_a_batch_and_as_the_trainer_reads_it);
    tcase_add_test(test, entries_of_any_width_are_gathered);
    tcase_add_test(test, the_optimizer_has_the_bits_of_the_cpu_and_lays_out_what_it_wrote);
    tcase_add_test(test, weights_are_rounded_by_chance_as_on_the_cpu);
    suite_add_tcase(suite, test);
    return suite;
}

int main(void) {
    devices[0] = kernels_find("cpu-portable-bf16");
    devices[1] = kernels_find("cuda-bf16");
    if (!devices[1]) {
        printf("SKIP: %s\n", kernels_missing("cuda-bf16"));
        return 77;
    }
    return run_sizes(make) || device_times("operations", NULL, "cuda-bf16");
}
