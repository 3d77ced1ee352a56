#include <stdlib.h>

#include "harness/memory.h"
#include "models/work.h"
#include "trainers/practice.h"

struct state {
    const struct order *order;
    struct practice practice;
};

static void ppo_close(void *state) {
    struct state *work = state;

    if (!work) return;
    practice_free(&work->practice);
    free(work);
}

static int ppo_open(void **out, const struct order *order, struct node *told, struct error *err) {
    struct practice_shape shape = {order->rows,   order->prompt,    order->fresh,
                                   order->epochs, order->minibatch, VALUE_SHARED};
    struct phases warm = {0};
    struct state *work;
    struct model *policy;

    (void)told;
    if (model_load(&policy, order->weights, order->kernels, err)) return -1;
    work = xcalloc(1, sizeof *work);
    work->order = order;
    if (practice_create(&work->practice, policy, &shape, err)) {
        free(work);
        return -1;
    }
    if (practice_iterate(&work->practice, &order->watch, &warm, err)) {
        ppo_close(work);
        return -1;
    }
    *out = work;
    return 0;
}

static int ppo_turn(void *state, int repeats, struct node *told, struct error *err) {
    struct state *work = state;
    const struct order *order = work->order;
    struct phases spent = {0};
    struct node *parts;

    for (int i = 0; i < repeats; i++)
        if (practice_iterate(&work->practice, &order->watch, &spent, err)) return -1;
    node_add_number(told, "seconds", spent.rollout + spent.scoring + spent.update);
    node_add_number(told, "tokens", (double)repeats * order->rows * (order->prompt + order->fresh));
    parts = node_add(told, "parts", NODE_MAP);
    node_add_number(parts, "rollout", spent.rollout);
    node_add_number(parts, "scoring", spent.scoring);
    node_add_number(parts, "update", spent.update);
    return 0;
}

const struct work work_ppo = {.name = "ppo",
                              .summary = "a PPO iteration: rollout, scoring, update",
                              .open = ppo_open,
                              .turn = ppo_turn,
                              .close = ppo_close};
