#include "models/optimizer.h"

#include <math.h>
#include <stdlib.h>

#include "harness/ranks.h"
#include "harness/reduction.h"
#include "models/device.h"

enum {
    LARGEST_PART = 1 << 30, /* parameters in a call */
    TOGETHER = 256          /* vectors in a call */
};

static size_t slice_begin(const struct optimizer *optimizer) {
    return optimizer->slices[ranks_index()];
}

static size_t slice_size(const struct optimizer *optimizer) {
    return optimizer->slices[ranks_index() + 1] - slice_begin(optimizer);
}

int optimizer_create(struct optimizer *optimizer, const struct model *model, struct error *err) {
    size_t bytes;

    *optimizer = (struct optimizer){.beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .clip = 1};
    optimizer->slices = ranks_even(model->learned_size);
    bytes = slice_size(optimizer) * sizeof(float);
    optimizer->m = model->kernels->alloc(bytes);
    optimizer->v = model->kernels->alloc(bytes);
    optimizer->squares = model->kernels->alloc(sizeof *optimizer->squares);
    if (optimizer->m && optimizer->v && optimizer->squares) return 0;
    optimizer_free(optimizer, model);
    return device_full(model->kernels, 2 * bytes, "the optimizer's two moments", "lora", err);
}

void optimizer_free(struct optimizer *optimizer, const struct model *model) {
    if (optimizer->m) model->kernels->free(optimizer->m);
    if (optimizer->v) model->kernels->free(optimizer->v);
    if (optimizer->squares) model->kernels->free(optimizer->squares);
    free(optimizer->slices);
    optimizer->m = optimizer->v = NULL;
    optimizer->squares = NULL;
    optimizer->slices = NULL;
}

void optimizer_reset(struct optimizer *optimizer, const struct model *model) {
    size_t bytes = slice_size(optimizer) * sizeof(float);

    model->kernels->zero(optimizer->m, bytes);
    model->kernels->zero(optimizer->v, bytes);
    optimizer->step = 0;
}

int optimizer_round(struct optimizer *optimizer, struct model *model, uint64_t seed, struct error *err) {
    if (rounding_check(1, model->kernels, err)) return -1;
    optimizer->stochastic = 1;
    optimizer->seed = seed;
    model_round(model, seed, optimizer->step);
    return 0;
}

/* Adds up the ranks' gradients, of which each keeps its slice; the whole gradient's norm. NAN if the device
 * fails, at once: it is this rank that says why, while the others wait for it. */
static double join_gradients(struct optimizer *optimizer, struct model *model) {
    const struct kernels *kernels = model->kernels;
    double squares, *sum = kernels->place(optimizer->squares, &squares);

    model_join_grad(model);
    reduction_end(model->reduction);
    kernels->sum_squares(sum, model->grad + slice_begin(optimizer), slice_size(optimizer));
    kernels->fetch(&squares, sum, sizeof squares);
    if (kernels->sync()) return NAN;
    ranks_sum(&squares, 1);
    return sqrt(squares);
}

/* What AdamW needs beside the arrays. */
struct adamw {
    float scale, lr, correction1, correction2;
};

static int is_vector(const struct tensor *tensor) {
    return tensor->rank == 1 && !tensor->packed && !tensor->turned && !tensor->decays;
}

static void update_some(struct optimizer *o, const struct model *model, const struct extent *extents,
                        int count, const struct adamw *by) {
    model->kernels->adamw_vectors(model->learned, o->m, o->v, model->grad, extents, count, by->scale, by->lr,
                                  o->beta1, o->beta2, o->eps, by->correction1, by->correction2);
}

/* All vectors: where starting a call takes longer than what it does, few calls. */
static void update_vectors(struct optimizer *o, const struct model *model, const struct adamw *by) {
    struct extent extents[TOGETHER];
    int count = 0;

    for (int i = 0; i < model->count + model->added; i++) {
        const struct tensor *tensor = &model->tensors[i];

        if (tensor->frozen || !is_vector(tensor)) continue;
        extents[count++] = (struct extent){(size_t)(tensor->grad - model->grad), tensor->rows};
        if (count < TOGETHER) continue;
        update_some(o, model, extents, count, by);
        count = 0;
    }
    update_some(o, model, extents, count, by);
}

/* A tensor, with the layouts that products read, unless they are made anew for the next pass. */
static void update_tensor(struct optimizer *o, const struct model *model, const struct tensor *tensor,
                          const struct adamw *by) {
    size_t first = (size_t)(tensor->grad - model->grad);
    void *packed = o->stochastic ? NULL : tensor->packed, *turned = o->stochastic ? NULL : tensor->turned;

    model->kernels->adamw(tensor->data, o->m + first, o->v + first, tensor->grad, packed, turned,
                          tensor->rows, tensor->cols, by->scale, by->lr, o->beta1, o->beta2, o->eps,
                          tensor->decays ? o->decay : 0, by->correction1, by->correction2);
}

static void update_all(struct optimizer *o, const struct model *model, const struct adamw *by) {
    for (int i = 0; i < model->count + model->added; i++)
        if (!model->tensors[i].frozen && !is_vector(&model->tensors[i]))
            update_tensor(o, model, &model->tensors[i], by);
    update_vectors(o, model, by);
}

/* As much of a tensor as this rank's slice has; the layouts are made anew for the next pass. */
static void update_part(struct optimizer *o, const struct model *model, const struct tensor *tensor,
                        const struct adamw *by) {
    size_t at = (size_t)(tensor->grad - model->grad), begin = slice_begin(o), end = begin + slice_size(o);
    size_t last = at + (size_t)tensor->rows * (size_t)tensor->cols, count;

    if (last > end) last = end;
    for (size_t first = at > begin ? at : begin; first < last; first += count) {
        count = last - first < LARGEST_PART ? last - first : LARGEST_PART;
        model->kernels->adamw(tensor->data + (first - at), o->m + (first - begin), o->v + (first - begin),
                              tensor->grad + (first - at), NULL, NULL, 1, (int)count, by->scale, by->lr,
                              o->beta1, o->beta2, o->eps, tensor->decays ? o->decay : 0, by->correction1,
                              by->correction2);
    }
}

static void update_slice(struct optimizer *o, const struct model *model, const struct adamw *by) {
    for (int i = 0; i < model->count + model->added; i++)
        if (!model->tensors[i].frozen) update_part(o, model, &model->tensors[i], by);
}

double optimizer_update(struct optimizer *optimizer, struct model *model, float lr) {
    double norm = join_gradients(optimizer, model);
    int shared = ranks_count() > 1;
    struct adamw by = {.scale = 1, .lr = lr};

    if (isnan(norm) && model->kernels->sync()) return NAN;
    if (!isfinite(norm)) {
        model_zero_grad(model);
        return norm;
    }
    if (optimizer->clip > 0 && norm > optimizer->clip) by.scale = (float)(optimizer->clip / norm);
    optimizer->step++;
    by.correction1 = (float)(1 - pow(optimizer->beta1, optimizer->step));
    by.correction2 = (float)(1 - pow(optimizer->beta2, optimizer->step));
    (shared ? update_slice : update_all)(optimizer, model, &by);
    if (optimizer->stochastic) model_round(model, optimizer->seed, optimizer->step);
    if (!shared) return norm;
    reduction_gather(model->reduction, model->learned);
    model_zero_grad(model);
    model_learned_changed(model);
    return model->kernels->sync() ? NAN : norm;
}

double schedule_lr(enum schedule schedule, double lr, int step, int total, int warmup, double floor) {
    int span = total - 1 - warmup;
    double done = span > 0 ? (double)(step - warmup) / span : 0;

    if (step < warmup) return lr * (step + 1) / warmup;
    if (done > 1) done = 1;
    switch (schedule) {
    case SCHEDULE_LINEAR:
        return lr * (1 - (1 - floor) * done);
    case SCHEDULE_COSINE:
        return lr * (floor + (1 - floor) * 0.5 * (1 + cos(M_PI * done)));
    default:
        return lr;
    }
}
