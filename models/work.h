/* Work that `pyrite bench` takes in turns with other programs: a training step, a rollout. One file each;
   what is asked for is the same for every program (tools/peers.py). */
#ifndef MODELS_WORK_H
#define MODELS_WORK_H

#include <stdint.h>

#include "harness/option.h"
#include "models/bench.h"
#include "models/model.h"

/* What is asked for; a work reads what it needs. */
struct order {
    const char *weights;   /* a model's folder */
    int rows;              /* of a batch; sequences */
    int length;            /* train: tokens of each row */
    int prompt, fresh;     /* tokens of a prompt; of a response */
    int shortest;          /* the shortest response's tokens, the others' up to `fresh`; 0: all are equal */
    int slots;             /* rows decoded together; 0: all */
    int epochs, minibatch; /* of PPO */
    int form;              /* generate: of the weights in memory */
    const struct kernels *kernels;
    struct stopwatch watch;
};
extern const struct option order_options[]; /* of all but kernels and watch */

struct work {
    const char *name, *summary;
    /* Makes ready, and does it once, to be warm; adds to `told` what shows that programs do the same: the
       loss, the likeliest token. order: stays as long as the state. */
    int (*open)(void **state, const struct order *order, struct node *told, struct error *err);
    /* Does it so many times; adds seconds and tokens, and what else it tells, to `told`. */
    int (*turn)(void *state, int repeats, struct node *told, struct error *err);
    void (*close)(void *state); /* NULL is fine */
};

extern const struct work *const works[];        /* NULL-terminated */
const struct work *work_find(const char *name); /* NULL if there is none */

/* Token number i of the race's texts: the same in every program. */
int race_token(uint32_t i, int vocab);
enum { RACE_TARGETS = 1 << 24 }; /* the first number of what a training step predicts */

#endif
