/* Matrix products of noise, to be timed. */
#ifndef MODELS_BENCH_PRODUCT_H
#define MODELS_BENCH_PRODUCT_H

#include "harness/error.h"
#include "models/bench.h"

/* One matrix product, out[rows][outs] = x[rows][ins] w[outs][ins]^T, or one of its gradients. */
struct product {
    const struct kernels *kernels;
    operand *y, *x; /* of the two sides */
    float *out, *w;
    void *packed, *turned;
    int rows, outs, ins;
};

/* Room for the largest product of `rows` rows, outs and ins up to `widest`. */
int product_create(struct product *product, const struct kernels *kernels, int rows, int widest,
                   int narrowest, struct error *err);
void product_free(struct product *product);
/* The sizes that the next product has, of at most those; its weights are laid out for it. */
void product_shape(struct product *product, int outs, int ins);
double product_operations(const struct product *product); /* floating-point ones of a product */

/* A square product of bf16 by the library of products that `kernels`, a device's of that precision, have
   beside them: tall enough to show what the device's matrix units reach, which our own instructions need not.
   Without such a library it is empty, and probe_product() gives 0. GFLOP/s over so many. */
int ceiling_create(struct product *product, const struct kernels *kernels, struct error *err);
double probe_product(struct product *ceiling, const struct stopwatch *watch, int times);

/* The context is a product. */
void product_forward(void *context);
void product_dx(void *context);
void product_dw(void *context);

#endif
