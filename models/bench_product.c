#include "models/bench_product.h"

#include "harness/rng.h"

void product_forward(void *context) {
    struct product *p = context;

    p->kernels->matmul(p->out, p->x, p->w, p->packed, NULL, NULL, p->rows, p->outs, p->ins);
}

void product_dx(void *context) {
    struct product *p = context;

    p->kernels->matmul_dx(p->out, p->y, p->w, p->turned, NULL, p->rows, p->outs, p->ins);
}

void product_dw(void *context) {
    struct product *p = context;

    p->kernels->matmul_dw(p->w, p->y, p->x, p->rows, p->outs, p->ins);
}

enum { NOISE = 1 << 22 }; /* numbers after which noise repeats */

static void fill(const struct kernels *kernels, float *memory, size_t count, uint64_t index) {
    struct rng rng = rng_stream(1, "bench", index, 0);
    size_t some = count < NOISE ? count : NOISE;
    float *x = kernels->map(memory, some * sizeof *x, 0);

    for (size_t i = 0; i < some; i++) x[i] = (float)(rng_uniform(&rng) - 0.5);
    kernels->unmap(memory, x, some * sizeof *x, 1);
    for (size_t done = some; done < count; done += some)
        kernels->copy(memory + done, memory, (count - done < some ? count - done : some) * sizeof *x);
}

/* An operand of noise, NULL when there is no memory. */
static operand *make_operand(const struct kernels *kernels, size_t count, uint64_t index) {
    float *x = kernels->alloc(count * sizeof *x);
    operand *out;

    if (x) fill(kernels, x, count, index);
    if (!x || kernels->operand_bytes == sizeof(float)) return x;
    out = kernels->alloc(count * kernels->operand_bytes);
    if (out) kernels->narrow(out, x, 1, count);
    kernels->free(x);
    return out;
}

void product_free(struct product *product) {
    void *own = product->turned == product->packed ? NULL : product->turned;
    void *const all[] = {product->out, product->x, product->y, product->w, product->packed, own};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i]) product->kernels->free(all[i]);
}

/* Memory for one layout of the widest weights; NULL also where none is needed. */
static void *make_layout(const struct kernels *kernels, int widest, int narrowest, int turned) {
    size_t bytes =
        kernels->pack_size(widest, narrowest, turned) + kernels->pack_size(narrowest, widest, turned);

    return bytes ? kernels->alloc(bytes) : NULL;
}

int product_create(struct product *product, const struct kernels *kernels, int rows, int widest,
                   int narrowest, struct error *err) {
    size_t activations = (size_t)rows * widest, weights = (size_t)widest * narrowest;

    *product = (struct product){.kernels = kernels,
                                .out = kernels->alloc(activations * sizeof(float)),
                                .x = make_operand(kernels, activations, 1),
                                .y = make_operand(kernels, activations, 0),
                                .w = kernels->alloc(weights * sizeof(float)),
                                .packed = make_layout(kernels, widest, narrowest, 0),
                                .turned = make_layout(kernels, widest, narrowest, 1)};
    if (kernels->one_layout) product->turned = product->packed;
    if (!product->out || !product->x || !product->y || !product->w) {
        product_free(product);
        return fail(err, "no memory for products of %d x %d", rows, widest);
    }
    fill(kernels, product->w, weights, 2);
    return 0;
}

void product_shape(struct product *product, int outs, int ins) {
    const struct kernels *kernels = product->kernels;

    product->outs = outs;
    product->ins = ins;
    if (product->packed) kernels->pack(product->packed, product->w, 0, outs, ins, 0);
    if (product->turned && product->turned != product->packed)
        kernels->pack(product->turned, product->w, 0, outs, ins, 1);
}

enum { CEILING_SIDE = 8192 };

int ceiling_create(struct product *product, const struct kernels *kernels, struct error *err) {
    const struct kernels *library = NULL;

    *product = (struct product){0};
    if (is_device(kernels) && kernels->operand_bytes == 2) library = kernels_find("cuda-cublas");
    if (!library) return 0;
    if (product_create(product, library, CEILING_SIDE, CEILING_SIDE, CEILING_SIDE, err)) return -1;
    product->rows = CEILING_SIDE;
    product_shape(product, CEILING_SIDE, CEILING_SIDE);
    return 0;
}

/* Into bf16. */
static void ceiling_forward(const struct product *p) {
    p->kernels->matmul_operand(p->out, p->x, p->w, p->packed, NULL, NULL, p->rows, p->outs, p->ins);
}

double probe_product(struct product *ceiling, const struct stopwatch *watch, int times) {
    double from;

    if (!ceiling->kernels) return 0;
    ceiling_forward(ceiling);
    ceiling->kernels->sync();
    from = stopwatch_seconds(watch);
    for (int i = 0; i < times; i++) ceiling_forward(ceiling);
    ceiling->kernels->sync();
    return times * product_operations(ceiling) / (stopwatch_seconds(watch) - from) / 1e9;
}

double product_operations(const struct product *product) {
    return 2.0 * product->rows * product->outs * product->ins;
}
