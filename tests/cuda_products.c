/* The CUDA backend's matrix products with every shape of tile: the CPU's bits where sums are exact in any
 * order, the same bits for a row in every batch and tile, and elsewhere no more than the rounding of sums
 * off. */
#include <stdio.h>

#include "kernels/cuda/cuda.h"
#include "tests/device_times.h"

#define MOST 24

/* Both precisions' backends. */
static const struct kernels *hosts[2], *devices[2];

struct sizes {
    int rows, outs, ins;
};

/* What products take, on the host; operands are floats that bf16 holds. */
struct inputs {
    struct sizes of;
    float *x, *dy, *up, *w, *bias, *base_y, *base_x, *dw;
};

/* Which of what may be NULL is given. */
enum { WITH_BIAS = 1, WITH_BASE = 2, WITH_LAYOUT = 4, WITH_UP = 8, WITH_ALL = 15 };

enum { Y, Y_APART, Y_OPERAND, ACT, UP, DX, DX_APART, DX_OPERAND, DUP, DW, RESULTS };

static const char *const names[RESULTS] = {
    "matmul of base in out",   "matmul",    "matmul_operand",    "matmul_gelu",    "matmul_gelu's up",
    "matmul_dx of base in dx", "matmul_dx", "matmul_dx_operand", "matmul_dx_gelu", "matmul_dw"};

/* A backend's memory of one pass, and what came out. */
struct pass {
    const struct kernels *k;
    void *memory[MOST];
    int count;
    void *out[RESULTS];
    size_t bytes[RESULTS]; /* 0: not wanted */
};

/* Numbers in [-1, 1) as bf16 holds them. */
static float *narrow_noise(size_t count, uint32_t seed) {
    float *x = noise(count, seed);

    free(operands_of(hosts[1], x, count));
    return x;
}

/* Whole numbers from -most to most, without -0. */
static float *whole_numbers(size_t count, int most, uint32_t seed) {
    float *x = noise(count, seed);

    for (size_t i = 0; i < count; i++) x[i] = rintf(x[i] * (float)most) + 0.0f;
    return x;
}

static struct inputs inputs_of(struct sizes of, int whole) {
    size_t xs = (size_t)of.rows * of.ins, ws = (size_t)of.outs * of.ins, ys = (size_t)of.rows * of.outs;

    return (struct inputs){
        .of = of,
        .x = whole ? whole_numbers(xs, 4, 1) : narrow_noise(xs, 1),
        .dy = whole ? whole_numbers(ys, 4, 2) : narrow_noise(ys, 2),
        .up = narrow_noise(xs, 3),
        .w = whole ? whole_numbers(ws, 3, 4) : noise(ws, 4),
        .bias = whole ? whole_numbers(of.outs, 9, 5) : noise(of.outs, 5),
        .base_y = whole ? whole_numbers(ys, 50, 6) : noise(ys, 6),
        .base_x = whole ? whole_numbers(xs, 50, 7) : noise(xs, 7),
        .dw = whole ? whole_numbers(ws, 50, 8) : noise(ws, 8),
    };
}

static void inputs_free(struct inputs *in) {
    float *const all[] = {in->x, in->dy, in->up, in->w, in->bias, in->base_y, in->base_x, in->dw};

    for (int i = 0; i < COUNT(all); i++) free(all[i]);
}

static void *given(struct pass *p, const void *array, size_t bytes) {
    void *memory = p->k->alloc(bytes), *view = p->k->map(memory, bytes, 0);

    ck_assert_int_lt(p->count, MOST);
    memcpy(view, array, bytes);
    p->k->unmap(memory, view, bytes, 1);
    return p->memory[p->count++] = memory;
}

static float *floats(struct pass *p, const float *x, size_t count) {
    return given(p, x, count * sizeof *x);
}

static void *operands(struct pass *p, float *x, size_t count) {
    void *rounded = operands_of(p->k, x, count), *memory = given(p, rounded, count * p->k->operand_bytes);

    free(rounded);
    return memory;
}

/* Room for a result of `each` bytes an element, of NaNs or of what it starts from. */
static void *result(struct pass *p, int which, const void *start, size_t count, size_t each) {
    unsigned char *nan = memset(malloc(count * each + 1), 0xff, count * each);

    p->bytes[which] = count * each;
    p->out[which] = given(p, start ? start : nan, count * each);
    free(nan);
    return p->out[which];
}

/* w laid out for these products, or NULL where they have no such layout. */
static void *packed(struct pass *p, const float *w, struct sizes of, int turned) {
    size_t bytes;
    void *out;

    if (p->k->one_layout) turned = 0;
    bytes = p->k->pack_size(of.outs, of.ins, turned);

    if (!bytes) return NULL;
    out = p->memory[p->count++] = p->k->alloc(bytes);
    p->k->pack(out, w, 0, of.outs, of.ins, turned);
    return out;
}

/* The results from the backend's memory to the host's. */
static void finish(struct pass *p) {
    ck_assert_msg(!p->k->sync(), "%s", p->k->sync());
    for (int i = 0; i < RESULTS; i++) {
        void *view, *kept = malloc(p->bytes[i] + 1);

        if (p->bytes[i]) {
            view = p->k->map(p->out[i], p->bytes[i], 1);
            memcpy(kept, view, p->bytes[i]);
            p->k->unmap(p->out[i], view, p->bytes[i], 0);
        }
        p->out[i] = kept;
    }
    for (int i = 0; i < p->count; i++) p->k->free(p->memory[i]);
}

static void pass_free(struct pass *p) {
    for (int i = 0; i < RESULTS; i++) free(p->out[i]);
}

static void forward(struct pass *p, const struct inputs *in, int with) {
    int rows = in->of.rows, outs = in->of.outs, ins = in->of.ins;
    size_t ys = (size_t)rows * outs, ws = (size_t)outs * ins, each = p->k->operand_bytes;
    void *x = operands(p, in->x, (size_t)rows * ins);
    float *w = floats(p, in->w, ws), *bias = with & WITH_BIAS ? floats(p, in->bias, outs) : NULL;
    float *base = with & WITH_BASE ? floats(p, in->base_y, ys) : NULL;
    float *y = result(p, Y, base ? in->base_y : NULL, ys, sizeof *y);
    void *layout = with & WITH_LAYOUT ? packed(p, w, in->of, 0) : NULL;
    void *up = with & WITH_UP ? result(p, UP, NULL, ys, each) : NULL;

    p->k->matmul(y, x, w, layout, bias, base ? y : NULL, rows, outs, ins);
    p->k->matmul(result(p, Y_APART, NULL, ys, sizeof *y), x, w, layout, bias, base, rows, outs, ins);
    p->k->matmul_operand(result(p, Y_OPERAND, NULL, ys, each), x, w, layout, bias, base, rows, outs, ins);
    p->k->matmul_gelu(result(p, ACT, NULL, ys, each), up, x, w, layout, bias, base, rows, outs, ins);
}

static void backward(struct pass *p, const struct inputs *in, int with) {
    int rows = in->of.rows, outs = in->of.outs, ins = in->of.ins;
    size_t xs = (size_t)rows * ins, ws = (size_t)outs * ins, each = p->k->operand_bytes;
    void *dy = operands(p, in->dy, (size_t)rows * outs), *up = operands(p, in->up, xs);
    float *w = floats(p, in->w, ws), *base = with & WITH_BASE ? floats(p, in->base_x, xs) : NULL;
    float *dx = result(p, DX, base ? in->base_x : NULL, xs, sizeof *dx);
    void *layout = with & WITH_LAYOUT ? packed(p, w, in->of, 1) : NULL;

    p->k->matmul_dx(dx, dy, w, layout, base ? dx : NULL, rows, outs, ins);
    p->k->matmul_dx(result(p, DX_APART, NULL, xs, sizeof *dx), dy, w, layout, base, rows, outs, ins);
    p->k->matmul_dx_operand(result(p, DX_OPERAND, NULL, xs, each), dy, w, layout, base, rows, outs, ins);
    p->k->matmul_dx_gelu(result(p, DUP, NULL, xs, each), up, dy, w, layout, base, rows, outs, ins);
}

static void weights_backward(struct pass *p, const struct inputs *in) {
    int rows = in->of.rows, outs = in->of.outs, ins = in->of.ins;
    size_t ws = (size_t)outs * ins;
    void *x = operands(p, in->x, (size_t)rows * ins), *dy = operands(p, in->dy, (size_t)rows * outs);

    p->k->matmul_dw(result(p, DW, in->dw, ws, sizeof(float)), dy, x, rows, outs, ins);
}

static struct pass all_products(const struct kernels *k, const struct inputs *in, int with) {
    struct pass p = {.k = k};

    forward(&p, in, with);
    backward(&p, in, with);
    weights_backward(&p, in);
    finish(&p);
    return p;
}

static size_t bytes_of_each(const struct pass *p, int which) {
    int summed = which == Y || which == Y_APART || which == DX || which == DX_APART || which == DW;

    return summed ? sizeof(float) : p->k->operand_bytes;
}

/* A whole result is that of another pass from element `from` on. */
static void expect_same(const struct pass *got, const struct pass *want, int which, size_t from,
                        struct sizes of) {
    size_t each = bytes_of_each(got, which), count = got->bytes[which] / each;
    const unsigned char *a = got->out[which], *b = (unsigned char *)want->out[which] + from * each;

    ck_assert_uint_le(from * each + got->bytes[which], want->bytes[which]);
    for (size_t i = 0; i < count; i++)
        if (memcmp(a + i * each, b + i * each, each))
            ck_abort_msg("%s %s of %d rows, %d outs, %d ins with shape %d: element %zu differs", got->k->name,
                         names[which], of.rows, of.outs, of.ins, cuda_product_shape, i);
}

/* Around every tile's borders, with lines on 16 bytes and off them; the first few start every kernel. */
static const struct sizes sizes[] = {
    {17, 31, 33},   {18, 40, 72},  {128, 256, 8},  {128, 8, 256}, {1, 1, 1},     {130, 264, 72},
    {3, 33, 5},     {1, 200, 136}, {65, 70, 129},  {33, 17, 31},  {64, 192, 64}, {16, 8, 8},
    {129, 257, 63}, {7, 128, 200}, {70, 300, 250}, {200, 65, 17}, {2, 4, 1000},  {260, 12, 4}};

static int most(int count) {
    return by_sizes(4, 9, count);
}

START_TEST(sums_of_whole_numbers_have_the_bits_of_the_cpu)
{
    for (int i = 0; i < most(COUNT(sizes)); i++) {
        struct inputs in = inputs_of(sizes[i], 1);

        for (int twice = 0; twice < (i < 2 ? 2 : by_sizes(1, 2, 2)); twice++) {
            int with = WITH_ALL & (twice ? ~(5 * i) : 5 * i);
            struct pass want = all_products(hosts[_i], &in, with);

            for (cuda_product_shape = -1; cuda_product_shape < CUDA_PRODUCT_SHAPES; cuda_product_shape++) {
                struct pass got = all_products(devices[_i], &in, with);

                for (int r = 0; r < RESULTS; r++) expect_same(&got, &want, r, 0, in.of);
                pass_free(&got);
            }
            pass_free(&want);
        }
        inputs_free(&in);
    }
    cuda_product_shape = -1;
}
END_TEST

/* Rows from `first` on, of inputs that stay where they are. */
static struct inputs rows_of(const struct inputs *in, int first, int rows) {
    struct inputs out = *in;
    size_t xs = (size_t)first * in->of.ins, ys = (size_t)first * in->of.outs;

    out.of.rows = rows;
    out.x += xs, out.up += xs, out.base_x += xs;
    out.dy += ys, out.base_y += ys;
    return out;
}

/* The largest batch has a row of NaNs, which stay in that row. */
START_TEST(a_row_has_its_bits_in_any_batch_and_tile)
{
    static const int batches[] = {1, 70, 200};
    const int rows = by_sizes(17, 300, 300), first = by_sizes(6, 37, 37), outs = by_sizes(24, 104, 104);
    const int widths[RESULTS] = {outs, outs, outs, outs, outs, 600, 600, 600, 600, 0};
    struct inputs in = inputs_of((struct sizes){rows, outs, 600}, 0);
    struct pass all;

    for (int i = 0; i < in.of.ins; i++) in.x[5 * in.of.ins + i] = NAN;
    for (int i = 0; i < in.of.outs; i++) in.dy[5 * in.of.outs + i] = NAN;
    all = all_products(devices[_i], &in, WITH_ALL);
    for (cuda_product_shape = 0; cuda_product_shape < CUDA_PRODUCT_SHAPES; cuda_product_shape++)
        for (int i = 0; i < by_sizes(1, COUNT(batches), COUNT(batches)); i++) {
            struct inputs some = rows_of(&in, first, batches[i]);
            struct pass got = all_products(devices[_i], &some, WITH_ALL);

            for (int r = 0; r < DW; r++) expect_same(&got, &all, r, (size_t)first * widths[r], some.of);
            pass_free(&got);
        }
    cuda_product_shape = -1;
    pass_free(&all);
    inputs_free(&in);
}
END_TEST

START_TEST(gradients_of_weights_have_the_same_bits_with_every_tile)
{
    struct inputs in = inputs_of((struct sizes){600, by_sizes(24, 135, 135), by_sizes(16, 70, 70)}, 0);
    struct pass want = {.k = devices[_i]};

    weights_backward(&want, &in);
    finish(&want);
    for (cuda_product_shape = 0; cuda_product_shape < CUDA_PRODUCT_SHAPES; cuda_product_shape++) {
        struct pass got = {.k = devices[_i]};

        weights_backward(&got, &in);
        finish(&got);
        expect_same(&got, &want, DW, 0, in.of);
        pass_free(&got);
    }
    cuda_product_shape = -1;
    pass_free(&want);
    inputs_free(&in);
}
END_TEST

/* One element of a product, in double: from + sum of a[k as] b[k bs]; *size: the same of absolute values. */
static double element(double *size, double from, const float *a, int as, const float *b, int bs, int depth) {
    double sum = from;

    *size = fabs(from);
    for (int k = 0; k < depth; k++) {
        double one = (double)a[(size_t)k * as] * (double)b[(size_t)k * bs];

        sum += one;
        *size += fabs(one);
    }
    return sum;
}

/* Every sum of sixteen exact products and the sum so far may lose a unit in the last of 24 bits of the
 * largest for each of the 17. */
static void expect_near(const char *what, float got, double want, double size, int depth) {
    double bound = (depth + 15) / 16 * 17 * 0x1p-23 * size;

    if (!(fabs((double)got - want) <= bound))
        ck_abort_msg("%s: %.9g is %.3g from %.9g, more than %.3g", what, (double)got,
                     fabs((double)got - want), want, bound);
}

START_TEST(sums_are_off_by_their_rounding_at_most)
{
    for (int i = 0; i < most(COUNT(sizes)); i++) {
        struct inputs in = inputs_of(sizes[i], 0);
        int rows = in.of.rows, outs = in.of.outs, ins = in.of.ins;
        struct pass got = all_products(devices[1], &in, WITH_BASE | WITH_LAYOUT);
        float *const *sums = (float *const *)got.out;
        double size, want;

        free(operands_of(devices[1], in.w, (size_t)outs * ins));
        for (int r = 0; r < rows; r++)
            for (int o = 0; o < outs; o++) {
                int at = r * outs + o;

                want = element(&size, (double)in.base_y[at], in.x + r * ins, 1, in.w + o * ins, 1, ins);
                expect_near("matmul", sums[Y][at], want, size, ins);
            }
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < ins; c++) {
                int at = r * ins + c;

                want = element(&size, (double)in.base_x[at], in.dy + r * outs, 1, in.w + c, ins, outs);
                expect_near("matmul_dx", sums[DX][at], want, size, outs);
            }
        for (int o = 0; o < outs; o++)
            for (int c = 0; c < ins; c++) {
                int at = o * ins + c;

                want = element(&size, (double)in.dw[at], in.dy + o, outs, in.x + c, ins, rows);
                expect_near("matmul_dw", sums[DW][at], want, size, rows);
            }
        pass_free(&got);
        inputs_free(&in);
    }
}
END_TEST

START_TEST(nothing_is_made_of_nothing)
{
    static const struct sizes none[] = {{0, 5, 3}, {0, 200, 64}};

    for (int i = 0; i < COUNT(none); i++) {
        struct inputs in = inputs_of(none[i], 1);
        struct pass want = all_products(hosts[_i], &in, WITH_ALL),
                    got = all_products(devices[_i], &in, WITH_ALL);

        for (int r = 0; r < RESULTS; r++) expect_same(&got, &want, r, 0, in.of);
        pass_free(&want);
        pass_free(&got);
        inputs_free(&in);
    }
}
END_TEST

/* At least a thread's multiply-adds. */
START_TEST(the_peak_counts_its_operations)
{
    float out = NAN;
    size_t once = devices[_i]->peak(&out, 1);

    ck_assert_uint_ge(once, 2);
    ck_assert_uint_eq(devices[_i]->peak(&out, 3), 3 * once);
    ck_assert_msg(!devices[_i]->sync(), "%s", devices[_i]->sync());
    ck_assert(isfinite(out));
}
END_TEST

static Suite *make(void) {
    Suite *suite = suite_create("cuda products");
    TCase *test = tcase_create("cuda products");

    tcase_set_timeout(test, 300);
    tcase_add_loop_test(test, sums_of_whole_numbers_have_the_bits_of_the_cpu, 0, 2);
    tcase_add_loop_test(test, a_row_has_its_bits_in_any_batch_and_tile, 0, 2);
    tcase_add_loop_test(test, gradients_of_weights_have_the_same_bits_with_every_tile, 0, 2);
    tcase_add_loop_test(test, nothing_is_made_of_nothing, 0, 2);
    tcase_add_loop_test(test, the_peak_counts_its_operations, 0, 2);
    tcase_add_test(test, sums_are_off_by_their_rounding_at_most);
    suite_add_tcase(suite, test);
    return suite;
}

int main(void) {
    hosts[0] = kernels_find("cpu");
    hosts[1] = kernels_find("cpu-bf16");
    devices[0] = kernels_find("cuda");
    devices[1] = kernels_find("cuda-bf16");
    if (!devices[0]) {
        printf("SKIP: %s\n", kernels_missing("cuda"));
        return 77;
    }
    return run_sizes(make) || device_times("matmul", NULL, "cuda") ||
           device_times("matmul", NULL, "cuda-bf16");
}
