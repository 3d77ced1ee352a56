#include "models/optimizer.h"

#include <math.h>

int optimizer_create(struct optimizer *optimizer, const struct model *model, struct error *err) {
    size_t bytes = model->learned_size * sizeof(float);

    *optimizer = (struct optimizer){.beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .clip = 1};
    optimizer->m = model->kernels->alloc(bytes);
    optimizer->v = model->kernels->alloc(bytes);
    optimizer->squares = model->kernels->alloc(sizeof *optimizer->squares);
    if (optimizer->m && optimizer->v && optimizer->squares) return 0;
    optimizer_free(optimizer, model);
    return fail(err, "no memory for the optimizer's two moments of %zu MiB each", bytes >> 20);
}

void optimizer_free(struct optimizer *optimizer, const struct model *model) {
    if (optimizer->m) model->kernels->free(optimizer->m);
    if (optimizer->v) model->kernels->free(optimizer->v);
    if (optimizer->squares) model->kernels->free(optimizer->squares);
    optimizer->m = optimizer->v = NULL;
    optimizer->squares = NULL;
}

void optimizer_reset(struct optimizer *optimizer, const struct model *model) {
    size_t bytes = model->learned_size * sizeof(float);

    model->kernels->zero(optimizer->m, bytes);
    model->kernels->zero(optimizer->v, bytes);
    optimizer->step = 0;
}

double optimizer_update(struct optimizer *optimizer, struct model *model, float lr) {
    const struct kernels *kernels = model->kernels;
    double squares, *sum = kernels->place(optimizer->squares, &squares), norm, correction1, correction2;
    float scale;

    model_join_grad(model);
    kernels->sum_squares(sum, model->grad, model->learned_size);
    kernels->fetch(&squares, sum, sizeof squares);
    if (kernels->sync()) return NAN;
    norm = sqrt(squares);
    if (!isfinite(norm)) {
        model_zero_grad(model);
        return norm;
    }
    scale = optimizer->clip > 0 && norm > optimizer->clip ? (float)(optimizer->clip / norm) : 1;
    optimizer->step++;
    correction1 = 1 - pow(optimizer->beta1, optimizer->step);
    correction2 = 1 - pow(optimizer->beta2, optimizer->step);
    for (int i = 0; i < model->count + model->added; i++) {
        const struct tensor *tensor = &model->tensors[i];
        size_t first;

        if (tensor->frozen) continue;
        first = (size_t)(tensor->grad - model->grad);
        kernels->adamw(tensor->data, optimizer->m + first, optimizer->v + first, tensor->grad, tensor->packed,
                       tensor->turned, tensor->rows, tensor->cols, scale, lr, optimizer->beta1,
                       optimizer->beta2, optimizer->eps, tensor->decays ? optimizer->decay : 0,
                       (float)correction1, (float)correction2);
    }
    return norm;
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
