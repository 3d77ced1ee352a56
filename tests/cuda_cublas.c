/* The products of cuda-cublas against the CPU's with operands of bf16: to the bit on small whole numbers,
 * whatever order their sums run in. Which of them cuBLASLt makes, and what it is asked, is seen where the
 * library is the emulated one. */
#include <dlfcn.h>
#include <stdio.h>

#include "models/device.h"
#include "models/generator.h"
#include "models/transformer.h"
#include "tests/device_times.h"
#include "tests/emulated_calls.h"

enum { FEW = 32 }; /* rows, up to which products are our own */

static const struct kernels *cpu, *lt;

/* Of tests/emulator/cublasLt.h, NULL where the library is NVIDIA's. */
static size_t (*heuristics)(void), (*products)(void);
static void (*without)(unsigned epilogues);
static void (*refuse)(int products);

static void find_counters(void) {
    void *library = dlopen("libcublasLt.so.13", RTLD_LAZY | RTLD_NOLOAD);

    if (!library) return;
    *(void **)&heuristics = dlsym(library, "emulated_heuristics");
    *(void **)&products = dlsym(library, "emulated_products");
    *(void **)&without = dlsym(library, "emulated_without");
    *(void **)&refuse = dlsym(library, "emulated_refuse");
}

static size_t made(void) {
    return products ? products() : 0;
}

/* Whole numbers from -most to most, none of them -0. */
static float *whole(size_t count, uint32_t seed, float most) {
    float *x = noise(count, seed);

    for (size_t i = 0; i < count; i++) x[i] = roundf(x[i] * most) + 0.0f;
    return x;
}

static void *upload(const void *array, size_t bytes) {
    void *memory = lt->alloc(bytes), *view = lt->map(memory, bytes, 0);

    memcpy(view, array, bytes);
    lt->unmap(memory, view, bytes, 1);
    return memory;
}

/* Arrays of both devices, floats or operands, of the same numbers. */
struct pair {
    void *host, *device;
    size_t bytes;
};

static struct pair floats(float *x, size_t count) {
    return (struct pair){x, upload(x, count * sizeof *x), count * sizeof *x};
}

static struct pair operands(float *x, size_t count) {
    void *bf16 = operands_of(cpu, x, count);

    free(x);
    return (struct pair){bf16, upload(bf16, count * 2), count * 2};
}

static void pair_free(struct pair pair) {
    lt->free(pair.device);
    free(pair.host);
}

static void expect_same(const char *what, struct pair pair) {
    char *got = lt->map(pair.device, pair.bytes, 1);

    ck_assert_msg(!lt->sync(), "%s: %s", what, lt->sync());
    for (size_t i = 0; i < pair.bytes; i++)
        ck_assert_msg(got[i] == ((char *)pair.host)[i], "%s: byte %zu of %zu differs", what, i, pair.bytes);
    lt->unmap(pair.device, got, pair.bytes, 0);
}

/* The numbers of operands are within two roundings of each other. */
static void expect_near(const char *what, struct pair pair) {
    size_t count = pair.bytes / 2;
    void *view = lt->map(pair.device, pair.bytes, 1);
    float *got = values_of(cpu, view, count), *want = values_of(cpu, pair.host, count);

    ck_assert_msg(!lt->sync(), "%s: %s", what, lt->sync());
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(fabsf(got[i] - want[i]) <= 0x1p-7f * fabsf(want[i]) + 1e-6f,
                      "%s[%zu]: %g, on the CPU %g", what, i, (double)got[i], (double)want[i]);
    lt->unmap(pair.device, view, pair.bytes, 0);
    free(got);
    free(want);
}

/* Weights as products of one backend read them. */
static void *packed_for(const struct kernels *k, const float *w, int outs, int ins, int turned) {
    size_t bytes = k->pack_size(outs, ins, turned);
    void *packed = bytes ? k->alloc(bytes) : NULL;

    if (packed) k->pack(packed, w, 0, outs, ins, turned);
    return packed;
}

/* One layer's arrays, of small whole numbers. */
struct linear {
    int rows, outs, ins;
    struct pair x, y, w, bias, base_y, base_x, up;
    void *packed, *turned, *cpu_packed, *cpu_turned;
};

static struct linear make_layer(int rows, int outs, int ins) {
    size_t xs = (size_t)rows * (size_t)ins, ys = (size_t)rows * (size_t)outs, ws = (size_t)outs * (size_t)ins;
    struct linear l = {rows,
                       outs,
                       ins,
                       operands(whole(xs, 1, 1), xs),
                       operands(whole(ys, 2, 1), ys),
                       floats(whole(ws, 3, 1), ws),
                       floats(whole((size_t)outs, 4, 3), (size_t)outs),
                       floats(whole(ys, 5, 3), ys),
                       floats(whole(xs, 6, 3), xs),
                       operands(noise(xs, 7), xs),
                       NULL,
                       NULL,
                       NULL,
                       NULL};

    l.packed = packed_for(lt, l.w.device, outs, ins, 0);
    l.turned = lt->one_layout ? l.packed : packed_for(lt, l.w.device, outs, ins, 1);
    l.cpu_packed = packed_for(cpu, l.w.host, outs, ins, 0);
    l.cpu_turned = packed_for(cpu, l.w.host, outs, ins, 1);
    return l;
}

static void layer_free(struct linear *l) {
    const struct pair pairs[] = {l->x, l->y, l->w, l->bias, l->base_y, l->base_x, l->up};

    for (int i = 0; i < COUNT(pairs); i++) pair_free(pairs[i]);
    if (l->packed) lt->free(l->packed);
    if (l->turned != l->packed) lt->free(l->turned);
    if (l->cpu_packed) cpu->free(l->cpu_packed);
    if (l->cpu_turned) cpu->free(l->cpu_turned);
}

static struct pair new_floats(size_t count) {
    return floats(poison(count), count);
}

static struct pair new_operands(size_t count) {
    void *bf16 = poison_operands(cpu, count);

    return (struct pair){bf16, upload(bf16, count * 2), count * 2};
}

/* `biased` and `based` also say whether there are a bias and a base. */
static void compare_forward(const struct linear *l, int biased, int based) {
    size_t ys = (size_t)l->rows * (size_t)l->outs;
    struct pair y = new_floats(ys), rounded = new_operands(ys);
    const void *bias = biased ? l->bias.host : NULL, *bias_ = biased ? l->bias.device : NULL;
    const void *base = based ? l->base_y.host : NULL, *base_ = based ? l->base_y.device : NULL;

    cpu->matmul(y.host, l->x.host, l->w.host, l->cpu_packed, bias, base, l->rows, l->outs, l->ins);
    lt->matmul(y.device, l->x.device, l->w.device, l->packed, bias_, base_, l->rows, l->outs, l->ins);
    expect_same("matmul", y);
    cpu->matmul(y.host, l->x.host, l->w.host, l->cpu_packed, NULL, y.host, l->rows, l->outs, l->ins);
    lt->matmul(y.device, l->x.device, l->w.device, l->packed, NULL, y.device, l->rows, l->outs, l->ins);
    expect_same("matmul in place", y);
    cpu->matmul_operand(rounded.host, l->x.host, l->w.host, l->cpu_packed, bias, base, l->rows, l->outs,
                        l->ins);
    lt->matmul_operand(rounded.device, l->x.device, l->w.device, l->packed, bias_, base_, l->rows, l->outs,
                       l->ins);
    expect_same("matmul_operand", rounded);
    pair_free(y);
    pair_free(rounded);
}

static void compare_gelu(const struct linear *l, int biased, int based, int kept) {
    size_t ys = (size_t)l->rows * (size_t)l->outs, xs = (size_t)l->rows * (size_t)l->ins;
    struct pair act = new_operands(ys), up = new_operands(ys), dup = new_operands(xs);
    const void *bias = biased ? l->bias.host : NULL, *bias_ = biased ? l->bias.device : NULL;
    const void *base = based ? l->base_y.host : NULL, *base_ = based ? l->base_y.device : NULL;

    cpu->matmul_gelu(act.host, kept ? up.host : NULL, l->x.host, l->w.host, l->cpu_packed, bias, base,
                     l->rows, l->outs, l->ins);
    lt->matmul_gelu(act.device, kept ? up.device : NULL, l->x.device, l->w.device, l->packed, bias_, base_,
                    l->rows, l->outs, l->ins);
    expect_near("matmul_gelu", act);
    expect_same("what matmul_gelu keeps", up);
    base = based ? l->base_x.host : NULL;
    base_ = based ? l->base_x.device : NULL;
    cpu->matmul_dx_gelu(dup.host, l->up.host, l->y.host, l->w.host, l->cpu_turned, base, l->rows, l->outs,
                        l->ins);
    lt->matmul_dx_gelu(dup.device, l->up.device, l->y.device, l->w.device, l->turned, base_, l->rows, l->outs,
                       l->ins);
    expect_near("matmul_dx_gelu", dup);
    pair_free(act);
    pair_free(up);
    pair_free(dup);
}

static void compare_backward(const struct linear *l, int based) {
    size_t xs = (size_t)l->rows * (size_t)l->ins, ws = (size_t)l->outs * (size_t)l->ins;
    struct pair dx = new_floats(xs), rounded = new_operands(xs), dw = floats(whole(ws, 8, 5), ws);
    const void *base = based ? l->base_x.host : NULL, *base_ = based ? l->base_x.device : NULL;

    cpu->matmul_dx(dx.host, l->y.host, l->w.host, l->cpu_turned, base, l->rows, l->outs, l->ins);
    lt->matmul_dx(dx.device, l->y.device, l->w.device, l->turned, base_, l->rows, l->outs, l->ins);
    expect_same("matmul_dx", dx);
    cpu->matmul_dx(dx.host, l->y.host, l->w.host, l->cpu_turned, dx.host, l->rows, l->outs, l->ins);
    lt->matmul_dx(dx.device, l->y.device, l->w.device, l->turned, dx.device, l->rows, l->outs, l->ins);
    expect_same("matmul_dx in place", dx);
    cpu->matmul_dx_operand(rounded.host, l->y.host, l->w.host, l->cpu_turned, base, l->rows, l->outs, l->ins);
    lt->matmul_dx_operand(rounded.device, l->y.device, l->w.device, l->turned, base_, l->rows, l->outs,
                          l->ins);
    expect_same("matmul_dx_operand", rounded);
    cpu->matmul_dw(dw.host, l->y.host, l->x.host, l->rows, l->outs, l->ins);
    lt->matmul_dw(dw.device, l->y.device, l->x.device, l->rows, l->outs, l->ins);
    expect_same("matmul_dw", dw);
    pair_free(dx);
    pair_free(rounded);
    pair_free(dw);
}

/* Both sides of the threshold, and lines that are and are not of eights. */
static const struct {
    int rows, outs, ins;
} shapes[] = {{1, 64, 48},   {64, 64, 48},  {65, 64, 48},  {129, 8, 16},  {200, 72, 232},
              {131, 37, 64}, {131, 64, 37}, {300, 8, 8},   {128, 33, 35}, {136, 256, 24},
              {7, 33, 35},   {16, 20, 800}, {5, 24, 1608}, {20, 37, 872}, {50, 40, 1544}};

START_TEST(every_product_is_the_cpu_s)
{
    struct linear l = make_layer(shapes[_i].rows, shapes[_i].outs, shapes[_i].ins);

    for (int with = 0; with < 4; with++) {
        compare_forward(&l, with & 1, with & 2);
        compare_gelu(&l, with & 1, with & 2, with != 3);
    }
    compare_backward(&l, 0);
    compare_backward(&l, 1);
    layer_free(&l);
}
END_TEST

START_TEST(the_library_makes_those_of_many_rows_on_lines_of_eights)
{
    struct linear l = make_layer(shapes[_i].rows, shapes[_i].outs, shapes[_i].ins);
    int many = l.rows > FEW, forward = many && l.ins % 8 == 0, backward = forward && l.outs % 8 == 0;
    size_t before = made();

    if (!products) return;
    compare_forward(&l, 1, 0);
    ck_assert_uint_eq(made() - before, forward ? 3 : 0);
    compare_forward(&l, 1, 1);
    ck_assert_uint_eq(made() - before, forward ? 6 : 0);
    before = made();
    compare_backward(&l, 1);
    ck_assert_uint_eq(made() - before, backward ? 4 : 0);
    before = made();
    compare_gelu(&l, 1, 0, 1);
    ck_assert_uint_eq(made() - before, (forward ? 1 : 0) + (backward ? 1 : 0));
    layer_free(&l);
}
END_TEST

/* A product whose arrays begin `off` floats behind what the device gave. */
static void compare_shifted(size_t off) {
    enum { ROWS = 160, OUTS = 64, INS = 48 };
    struct linear l = make_layer(ROWS, OUTS, INS);
    struct pair y = new_floats(ROWS * OUTS + off), x = new_operands(ROWS * INS + 2 * off);
    struct pair bias = floats(whole(OUTS + off, 9, 3), OUTS + off);
    char *x_ = (char *)x.device + 4 * off;

    lt->copy(x_, l.x.device, l.x.bytes);
    cpu->matmul((float *)y.host + off, l.x.host, l.w.host, l.cpu_packed, (float *)bias.host + off, NULL, ROWS,
                OUTS, INS);
    lt->matmul((float *)y.device + off, x_, l.w.device, l.packed, (float *)bias.device + off, NULL, ROWS,
               OUTS, INS);
    expect_same("matmul", y);
    pair_free(y);
    pair_free(x);
    pair_free(bias);
    layer_free(&l);
}

START_TEST(arrays_on_16_bytes_are_the_library_s_and_others_are_not)
{
    size_t before = made();

    compare_shifted(4);
    if (products) ck_assert_uint_eq(made() - before, 1);
    compare_shifted(1);
    if (products) ck_assert_uint_eq(made() - before, 1);
}
END_TEST

/* Each with arrays of its own. */
START_TEST(an_algorithm_is_asked_for_once_a_shape)
{
    size_t before;

    if (!heuristics) return;
    before = heuristics();
    for (int i = 0; i < 3; i++) {
        struct linear l = make_layer(144, 80, 40);

        compare_forward(&l, 1, 0); /* sums with and without bias, and rounded ones with it */
        compare_gelu(&l, 1, 0, 1); /* two more */
        compare_backward(&l, 1);   /* sums that a base is added to are those without; two more, with dw's */
        layer_free(&l);
        ck_assert_uint_eq(heuristics() - before, 7);
    }
}
END_TEST

START_TEST(what_the_library_has_no_algorithm_for_is_made_otherwise)
{
    const unsigned gelu = 32 | 64, all = 0xffff;
    struct linear l = make_layer(152, 64, 56);
    size_t before = made();

    if (!without) return;
    without(gelu);
    compare_gelu(&l, 1, 0, 1); /* sums by the library, their ends by us */
    ck_assert_uint_eq(made() - before, 2);
    without(all);
    layer_free(&l);
    l = make_layer(168, 64, 56);
    before = made();
    compare_forward(&l, 1, 0);
    compare_gelu(&l, 1, 1, 1);
    compare_backward(&l, 1);
    ck_assert_uint_eq(made(), before);
    without(0);
    layer_free(&l);
}
END_TEST

START_TEST(what_the_library_refuses_after_all_is_made_otherwise_from_then_on)
{
    struct linear l = make_layer(176, 64, 56);
    size_t before = made();

    if (!refuse) return;
    refuse(3);
    compare_forward(&l, 1, 0); /* of three shapes */
    ck_assert_uint_eq(made(), before);
    compare_forward(&l, 1, 0);
    ck_assert_uint_eq(made(), before);
    refuse(0);
    layer_free(&l);
}
END_TEST

/* dw += dy' x, begun with `start`, as the host's array. */
static float *weight_gradient(const float *start, struct pair dy, struct pair x, int rows, int outs,
                              int ins) {
    size_t count = (size_t)outs * (size_t)ins, bytes = count * sizeof(float);
    float *dw = upload(start, bytes), *view, *out;

    lt->matmul_dw(dw, dy.device, x.device, rows, outs, ins);
    view = lt->map(dw, bytes, 1);
    out = copied(view, count);
    lt->unmap(dw, view, bytes, 0);
    lt->free(dw);
    return out;
}

START_TEST(long_sums_have_the_same_bits_again)
{
    enum { ROWS = 1000, OUTS = 24, INS = 16 };
    struct pair x = operands(noise(ROWS * INS, 1), ROWS * INS),
                dy = operands(noise(ROWS * OUTS, 2), ROWS * OUTS);
    float *start = noise(OUTS * INS, 3), *first = weight_gradient(start, dy, x, ROWS, OUTS, INS);

    for (int i = 0; i < 3; i++) {
        float *again = weight_gradient(start, dy, x, ROWS, OUTS, INS);

        ck_assert(same_bits(first, again, OUTS * INS));
        free(again);
    }
    free(start);
    free(first);
    pair_free(x);
    pair_free(dy);
}
END_TEST

/* What leaves as bf16 is within half of its last place, and a little for the sum's own roundings. */
START_TEST(long_sums_are_rounded_to_bf16_once)
{
    enum { ROWS = 136, OUTS = 24, INS = 512 };
    float *w = noise(OUTS * INS, 1);
    struct pair x = operands(noise(ROWS * INS, 2), ROWS * INS), y = new_operands(ROWS * OUTS);
    struct pair rounded = operands(copied(w, OUTS * INS), OUTS * INS), from = floats(w, OUTS * INS);
    void *packed = packed_for(lt, from.device, OUTS, INS, 0);
    float *a = values_of(cpu, x.host, ROWS * INS), *b = values_of(cpu, rounded.host, OUTS * INS), *got;

    lt->matmul_operand(y.device, x.device, from.device, packed, NULL, NULL, ROWS, OUTS, INS);
    got = lt->map(y.device, y.bytes, 1);
    memcpy(y.host, got, y.bytes);
    lt->unmap(y.device, got, y.bytes, 0);
    got = values_of(cpu, y.host, ROWS * OUTS);
    for (int i = 0; i < ROWS * OUTS; i++) {
        const float *row = a + i / OUTS * INS, *line = b + i % OUTS * INS;
        double want = 0;
        int exponent;

        for (int k = 0; k < INS; k++) want += (double)row[k] * (double)line[k];
        frexp(want, &exponent);
        ck_assert_double_le(fabs((double)got[i] - want), ldexp(1, exponent - 9) + 2e-5);
    }
    lt->free(packed);
    pair_free(x);
    pair_free(y);
    pair_free(rounded);
    pair_free(from);
    free(a);
    free(b);
    free(got);
}
END_TEST

struct call {
    const struct linear *layer;
    struct pair y;
};

static void call_product(void *context) {
    const struct call *call = context;
    const struct linear *l = call->layer;

    lt->matmul(call->y.device, l->x.device, l->w.device, l->packed, l->bias.device, NULL, l->rows, l->outs,
               l->ins);
}

/* Made, recorded and queued as a record, each time of other numbers. */
START_TEST(a_product_is_part_of_what_is_recorded)
{
    struct linear l = make_layer(176, 64, 48);
    struct call call = {&l, new_floats((size_t)l.rows * 64)};
    struct recording *recording = NULL;
    struct pair x[3]; /* freeing one would have the calls recorded anew */
    size_t before = made();

    for (uint32_t i = 0; i < 3; i++) {
        x[i] = operands(whole((size_t)l.rows * 48, 20 + i, 1), (size_t)l.rows * 48);
        lt->copy(l.x.device, x[i].device, x[i].bytes);
        lt->zero(call.y.device, call.y.bytes);
        lt->repeat(&recording, call_product, &call);
        cpu->matmul(call.y.host, x[i].host, l.w.host, l.cpu_packed, l.bias.host, NULL, l.rows, l.outs, l.ins);
        expect_same("matmul", call.y);
    }
    for (int i = 0; i < 3; i++) pair_free(x[i]);
    if (products) ck_assert_uint_eq(made() - before, 2);
    lt->forget(recording);
    pair_free(call.y);
    layer_free(&l);
}
END_TEST

/* What a head leaves of a batch: log-probabilities, and the embedding's gradient. */
struct lesson {
    const struct kernels *kernels;
    struct model *model;
    float logprob[200], *grad;
    size_t size, made; /* numbers of grad; products of the head by the library */
};

static struct model *small_model(const struct kernels *kernels) {
    struct error err;
    struct config config;
    struct model *model;

    ck_assert_int_eq(config_family(&config, "gpt2", &err), 0);
    config.vocab = 211;
    config.context = 32;
    config.layers = 1;
    config.width = 64;
    config.heads = config.kv_heads = 2;
    config.head_size = 32;
    config.ffn = 64;
    ck_assert_msg(model_create(&model, &config, kernels, &err) == 0, "%s", err.message);
    model_init(model, 3);
    ck_assert_int_eq(model_train(model, &err), 0);
    return model;
}

/* Every token is to be followed by itself. */
static void give_lesson(struct lesson *l) {
    struct batch batch = {0};
    struct trunk *trunk;
    struct error err;
    int position[200];
    float slope[200];

    l->model = small_model(l->kernels);
    l->size = 211 * 64;
    for (int t = 0; t < 200; t++) {
        int token = t * 31 % 211;

        (t % 20 ? batch_extend : batch_add)(&batch, &token, 1);
        position[t] = t;
        slope[t] = -1.0f / 200;
    }
    ck_assert_int_eq(trunk_create(&trunk, l->model, 0, &err), 0);
    ck_assert_int_eq(trunk_forward(trunk, &batch, 1, &err), 0);
    l->made = made();
    head_learn(trunk, position, batch.tokens, 200, &SAMPLING_PLAIN, slope, l->logprob);
    l->made = made() - l->made;
    ck_assert_msg(!device_check(l->kernels, "a lesson", &err), "%s", err.message);
    model_join_grad(l->model);
    l->grad = l->kernels->map(l->model->embedding->grad, l->size * sizeof *l->grad, 1);
    trunk_free(trunk);
    batch_free(&batch);
}

static void lesson_free(struct lesson *l) {
    l->kernels->unmap(l->model->embedding->grad, l->grad, l->size * sizeof *l->grad, 0);
    model_free(l->model);
}

/* Of 211 tokens, a line of no multiple of 8. */
START_TEST(a_tied_head_s_products_are_the_library_s_whatever_the_vocabulary)
{
    struct lesson a = {.kernels = cpu}, b = {.kernels = lt};
    double apart = 0, all = 0;

    give_lesson(&a);
    give_lesson(&b);
    if (products) ck_assert_uint_eq(b.made, 3);
    for (int i = 0; i < 200; i++) ck_assert_float_eq_tol(a.logprob[i], b.logprob[i], 0.02f);
    for (size_t i = 0; i < a.size; i++) {
        apart += pow((double)a.grad[i] - (double)b.grad[i], 2);
        all += pow((double)a.grad[i], 2);
    }
    ck_assert_double_gt(all, 0);
    ck_assert_double_le(sqrt(apart), 0.02 * sqrt(all));
    lesson_free(&a);
    lesson_free(&b);
}
END_TEST

#ifdef EMULATED
enum { ROWS = FEW + 8, NEW = 4 };

/* What passes for n new tokens a row take, and the first row's. */
struct drawn {
    struct asked asked;
    size_t made;
    int tokens[NEW];
    float logprob[NEW];
};

static struct drawn draw(const struct model *model, int n) {
    struct generator_options options = {.sampling = SAMPLING_PLAIN,
                                        .max_new = n,
                                        .end_token = -1,
                                        .slots = ROWS,
                                        .seed = 1,
                                        .stream = "test"};
    struct request requests[ROWS];
    struct response responses[ROWS];
    struct drawn drawn = {.made = made()};
    struct asked before = {0};
    struct error err;
    int prompts[ROWS][2];

    for (int i = 0; i < ROWS; i++) {
        prompts[i][0] = prompts[i][1] = i;
        requests[i] = (struct request){prompts[i], 2, 0, (uint64_t)i, 0};
    }
    asked(&before);
    ck_assert_msg(!generate(model, requests, ROWS, &options, responses, NULL, NULL, &err), "%s", err.message);
    drawn.asked = asked(&before);
    drawn.made = made() - drawn.made;
    memcpy(drawn.tokens, responses[0].tokens, (size_t)n * sizeof(int));
    memcpy(drawn.logprob, responses[0].logprob, (size_t)n * sizeof(float));
    for (int i = 0; i < ROWS; i++) response_free(&responses[i]);
    return drawn;
}

/* In the one layer two norms, two biases that are rounded, attention; then the embedding, the last norm and
 * two that draw, all early but the first. */
START_TEST(a_step_of_many_rows_is_five_kernels_and_four_products_a_layer)
{
    struct model *model = small_model(lt);
    struct drawn prompts, both;

    draw(model, 1); /* lays weights out */
    prompts = draw(model, 1);
    both = draw(model, 2);
    ck_assert_uint_eq(both.made - prompts.made, 4 + 1);
    ck_assert_uint_eq(both.asked.launches - prompts.asked.launches, 5 + 4);
    ck_assert_uint_eq(both.asked.early - prompts.asked.early, 5 + 4 - 1);
    model_free(model);
}
END_TEST

START_TEST(kernels_that_start_early_read_nothing_that_their_chain_writes)
{
    struct model *model = small_model(lt);
    struct drawn want = draw(model, NEW), got;

    emulated_watch(1);
    got = draw(model, NEW);
    emulated_watch(0);
    ck_assert_mem_eq(want.tokens, got.tokens, sizeof want.tokens);
    ck_assert_mem_eq(want.logprob, got.logprob, sizeof want.logprob);
    model_free(model);
}
END_TEST
#endif

int main(void) {
    TCase *test;
    Suite *suite;

    cpu = kernels_find("cpu-bf16");
    lt = kernels_find("cuda-cublas");
    if (!lt) {
        printf("SKIP: %s\n", kernels_missing("cuda-cublas"));
        return 77;
    }
    find_counters();
    suite = suite_create("cuBLASLt");
    test = tcase_create("cuBLASLt");
    tcase_set_timeout(test, 300);
    tcase_add_loop_test(test, every_product_is_the_cpu_s, 0, COUNT(shapes));
    tcase_add_loop_test(test, the_library_makes_those_of_many_rows_on_lines_of_eights, 0, COUNT(shapes));
    tcase_add_test(test, arrays_on_16_bytes_are_the_library_s_and_others_are_not);
    tcase_add_test(test, an_algorithm_is_asked_for_once_a_shape);
    tcase_add_test(test, what_the_library_has_no_algorithm_for_is_made_otherwise);
    tcase_add_test(test, what_the_library_refuses_after_all_is_made_otherwise_from_then_on);
    tcase_add_test(test, a_tied_head_s_products_are_the_library_s_whatever_the_vocabulary);
    tcase_add_test(test, a_product_is_part_of_what_is_recorded);
    tcase_add_test(test, long_sums_have_the_same_bits_again);
    tcase_add_test(test, long_sums_are_rounded_to_bf16_once);
#ifdef EMULATED
    tcase_add_test(test, a_step_of_many_rows_is_five_kernels_and_four_products_a_layer);
    tcase_add_test(test, kernels_that_start_early_read_nothing_that_their_chain_writes);
#endif
    suite_add_tcase(suite, test);
    return run_unforked(suite) || device_times("matmul", NULL, "cuda-cublas");
}
