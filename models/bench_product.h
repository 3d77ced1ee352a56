/* Matrix products of noise, to be timed. */
#ifndef MODELS_BENCH_PRODUCT_H
#define MODELS_BENCH_PRODUCT_H

#include "harness/error.h"
#include "kernels/kernels.h"

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

/* The context is a product. */
void product_forward(void *context);
void product_dx(void *context);
void product_dw(void *context);

#endif
