#include <stdlib.h>

#include "harness/memory.h"
#include "models/training.h"
#include "models/work.h"

struct state {
    const struct order *order;
    struct training training;
};

static void train_close(void *state) {
    struct state *train = state;

    if (!train) return;
    training_free(&train->training);
    free(train);
}

static int train_open(void **out, const struct order *order, struct node *told, struct error *err) {
    struct state *train;
    struct model *model;

    if (model_load(&model, order->weights, order->kernels, err)) return -1;
    train = xcalloc(1, sizeof *train);
    train->order = order;
    if (training_create(&train->training, model, order->rows, order->length, err)) {
        free(train);
        return -1;
    }
    if (training_step(&train->training, err)) goto out;
    node_add_number(told, "loss", train->training.loss);
    if (training_step(&train->training, err)) goto out;
    *out = train;
    return 0;
out:
    train_close(train);
    return -1;
}

static int train_turn(void *state, int repeats, struct node *told, struct error *err) {
    struct state *train = state;
    double from = stopwatch_seconds(&train->order->watch);

    for (int i = 0; i < repeats; i++)
        if (training_step(&train->training, err)) return -1;
    train->order->kernels->sync();
    node_add_number(told, "seconds", stopwatch_seconds(&train->order->watch) - from);
    node_add_number(told, "tokens", (double)repeats * train->training.tokens);
    return 0;
}

const struct work work_train = {.name = "train",
                                .summary = "a training step: forward, backward, AdamW",
                                .open = train_open,
                                .turn = train_turn,
                                .close = train_close};
