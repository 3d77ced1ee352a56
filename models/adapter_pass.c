#include "models/trunk.h"

#include <stdlib.h>

#include "harness/memory.h"
#include "harness/rng.h"

void adapting_prepare(struct trunk *trunk, int keep) {
    const struct model *model = trunk->model;
    struct adapting *adapting = &trunk->adapting;

    for (enum joined joined = 0; joined < JOINED; joined++) {
        const struct adapter *adapter = joined_tensor(&model->layers[0], joined)->adapter;

        adapting->ranks[joined] = adapter && !adapting->plain ? adapter->a->rows : 0;
    }
    adapting->drops = keep && !adapting->plain && adapting->update >= 0 && model->adapter_count &&
                      model->adapters[0].dropout > 0;
}

/* One number a token, of the tokens of its row up to there: a mask that no cut of batches changes. */
void adapting_place_keys(struct trunk *trunk, const struct pass *pass) {
    const struct kernels *kernels = trunk->model->kernels;
    struct adapting *adapting = &trunk->adapting;
    size_t bytes = 2 * (size_t)pass->total * sizeof(int);
    int *key;

    if (!adapting->drops) return;
    key = kernels->map(adapting->key, bytes, 0);
    for (int r = 0; r < pass->rows; r++) {
        uint64_t hash = rng_mix(rng_mix(adapting->seed) ^ (uint64_t)adapting->update);

        for (int t = pass->start[r]; t < pass->start[r + 1]; t++) {
            hash = rng_mix(hash ^ (uint64_t)pass->tokens[t]);
            key[2 * t] = (int)(uint32_t)hash;
            key[2 * t + 1] = (int)(uint32_t)(hash >> 32);
        }
    }
    kernels->unmap(adapting->key, key, bytes, 1);
    if (trunk->selection.count)
        kernels->gather(adapting->chosen_key, adapting->key, trunk->selection.chosen, trunk->selection.count,
                        2 * sizeof(int));
}

static const struct adapter *active(const struct trunk *trunk, const struct tensor *w) {
    return trunk->adapting.plain ? NULL : w->adapter;
}

static const int *keys(const struct trunk *trunk) {
    return trunk->total == trunk->all ? trunk->adapting.key : trunk->adapting.chosen_key;
}

static int stream_of(const struct trunk *trunk, const struct adapter *adapter) {
    return (int)(adapter - trunk->model->adapters);
}

/* What A reads of x. */
static const operand *drop_out(struct trunk *trunk, const struct adapter *adapter, const operand *x) {
    struct adapting *adapting = &trunk->adapting;

    if (!adapting->drops) return x;
    trunk->model->kernels->dropout(adapting->dropped, x, keys(trunk), stream_of(trunk, adapter),
                                   adapter->dropout, trunk->total, adapter->a->cols);
    return adapting->dropped;
}

void adapter_lower(struct trunk *trunk, operand *low, const operand *x, const struct tensor *w) {
    const struct kernels *kernels = trunk->model->kernels;
    const struct adapter *adapter = active(trunk, w);
    const struct tensor *a = adapter ? adapter->a : NULL;

    if (!adapter) return;
    kernels->matmul(trunk->adapting.ranked, drop_out(trunk, adapter, x), a->data, a->packed, NULL, NULL,
                    trunk->total, a->rows, a->cols);
    kernels->narrow(low, trunk->adapting.ranked, adapter->scale, (size_t)trunk->total * (size_t)a->rows);
}

const float *adapter_forward(struct trunk *trunk, float *sum, const float *base, const operand *x,
                             const struct tensor *w, operand *low) {
    const struct adapter *adapter = active(trunk, w);
    const struct tensor *b = adapter ? adapter->b : NULL;

    if (!adapter) return base;
    adapter_lower(trunk, low, x, w);
    trunk->model->kernels->matmul(sum, low, b->data, b->packed, NULL, base, trunk->total, b->rows, b->cols);
    return sum;
}

const float *adapter_backward(struct trunk *trunk, float *dx, const operand *dy, const operand *x,
                              const struct tensor *w, const operand *low) {
    const struct kernels *kernels = trunk->model->kernels;
    const struct adapter *adapter = active(trunk, w);
    struct adapting *adapting = &trunk->adapting;
    const struct tensor *a, *b;

    if (!adapter) return NULL;
    a = adapter->a;
    b = adapter->b;
    kernels->matmul_dw(b->grad, dy, low, trunk->total, b->rows, b->cols);
    kernels->matmul_dx(adapting->ranked, dy, b->data, b->turned, NULL, trunk->total, b->rows, b->cols);
    kernels->narrow(adapting->slope, adapting->ranked, adapter->scale,
                    (size_t)trunk->total * (size_t)a->rows);
    kernels->matmul_dw(a->grad, adapting->slope, drop_out(trunk, adapter, x), trunk->total, a->rows, a->cols);
    kernels->matmul_dx(dx, adapting->slope, a->data, a->turned, NULL, trunk->total, a->rows, a->cols);
    if (adapting->drops)
        kernels->dropout_backward(dx, keys(trunk), stream_of(trunk, adapter), adapter->dropout, trunk->total,
                                  a->cols);
    return dx;
}

void trunk_adapters(struct trunk *trunk, int on) {
    trunk->adapting.plain = !on;
}

void trunk_dropout(struct trunk *trunk, uint64_t seed, int update) {
    trunk->adapting.seed = seed;
    trunk->adapting.update = update;
}
