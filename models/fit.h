/* The loop of supervised training: shuffled epochs, batches, updates, held-out measures, log and checkpoints.
 */
#ifndef MODELS_FIT_H
#define MODELS_FIT_H

#include "harness/option.h"
#include "models/session.h"
#include "models/transformer.h"

struct fit_options {
    double lr, floor, warmup; /* floor: share of lr at the end; warmup: share of the updates */
    int schedule;
    int epochs, steps, batch, batch_tokens, micro_tokens;
    double decay, clip, beta1, beta2, eps;
    int evaluate_every, checkpoint_every;
    int stochastic_rounding;
};

#define STOCHASTIC_ROUNDING_OPTION(type, field)                                                              \
    {                                                                                                        \
        "stochastic_rounding", OPTION_BOOL, offsetof(type, field), "false", 0, 0, NULL,                      \
            "round what learns to bf16 at random and without bias, instead of to the nearest; on devices "   \
            "with bf16"                                                                                      \
    }

/* The rows of an option table that fill a struct fit_options, member `field` of `type`. */
#define FIT_OPTIONS(type, field, default_lr, default_epochs, default_batch)                                   \
    {"lr", OPTION_REAL, offsetof(type, field.lr), default_lr, 0, 10, NULL, "learning rate of AdamW"},         \
        {"schedule", OPTION_CHOICE, offsetof(type, field.schedule), "cosine", 0,                              \
         0,          SCHEDULES,     "how the learning rate falls"},                                           \
        {"floor", OPTION_REAL, offsetof(type, field.floor),          "0.1", 0,                                \
         1,       NULL,        "share of lr that is left at the end"},                                        \
        {"warmup",                                                                                            \
         OPTION_REAL,                                                                                         \
         offsetof(type, field.warmup),                                                                        \
         "0.03",                                                                                              \
         0,                                                                                                   \
         1,                                                                                                   \
         NULL,                                                                                                \
         "share of the updates over which lr rises from 0"},                                                  \
        {"epochs",                                                                                            \
         OPTION_INT,                                                                                          \
         offsetof(type, field.epochs),                                                                        \
         default_epochs,                                                                                      \
         1,                                                                                                   \
         1e6,                                                                                                 \
         NULL,                                                                                                \
         "passes over the rows, unless steps is given"},                                                      \
        {"steps", OPTION_INT, offsetof(type, field.steps), "0", 0, 1e9, NULL, "updates; 0: by epochs"},       \
        {"batch", OPTION_INT, offsetof(type, field.batch), default_batch, 1,                                  \
         1e6,     NULL,       "rows (or pairs) an update"},                                                   \
        {"batch_tokens",                                                                                      \
         OPTION_INT,                                                                                          \
         offsetof(type, field.batch_tokens),                                                                  \
         "0",                                                                                                 \
         0,                                                                                                   \
         1e9,                                                                                                 \
         NULL,                                                                                                \
         "tokens an update at most; 0: by rows"},                                                             \
        {"micro_tokens",                                                                                      \
         OPTION_INT,                                                                                          \
         offsetof(type, field.micro_tokens),                                                                  \
         "4096",                                                                                              \
         1,                                                                                                   \
         1e9,                                                                                                 \
         NULL,                                                                                                \
         "tokens held at once; changes memory and speed, not results"},                                       \
        {"decay", OPTION_REAL, offsetof(type, field.decay), "0.01", 0, 10, NULL, "weight decay of matrices"}, \
        {"clip_gradient",                                                                                     \
         OPTION_REAL,                                                                                         \
         offsetof(type, field.clip),                                                                          \
         "1",                                                                                                 \
         0,                                                                                                   \
         1e9,                                                                                                 \
         NULL,                                                                                                \
         "largest norm of the gradient; 0: any"},                                                             \
        {"beta1", OPTION_REAL, offsetof(type, field.beta1), "0.9", 0, 0.99999, NULL, "of AdamW"},             \
        {"beta2", OPTION_REAL, offsetof(type, field.beta2), "0.999", 0, 0.99999, NULL, "of AdamW"},           \
        {"eps", OPTION_REAL, offsetof(type, field.eps), "1e-8", 0, 1, NULL, "of AdamW"},                      \
        STOCHASTIC_ROUNDING_OPTION(type, field.stochastic_rounding),                                          \
        {"evaluate_every",                                                                                    \
         OPTION_INT,                                                                                          \
         offsetof(type, field.evaluate_every),                                                                \
         "50",                                                                                                \
         0,                                                                                                   \
         1e9,                                                                                                 \
         NULL,                                                                                                \
         "updates between held-out measures; 0: only at the end"},                                            \
    {                                                                                                         \
        "checkpoint_every", OPTION_INT, offsetof(type, field.checkpoint_every), "100", 0, 1e9, NULL,          \
            "updates between checkpoints; 0: none"                                                            \
    }

struct fit {
    struct session *session; /* keeps the model and the optimizer; resumed */
    struct model *model;
    struct optimizer *optimizer;
    const struct fit_options *options;
    int member; /* of an ensemble, from 0; seeds the order; -1: not one */
    int resume; /* 1: go on at the session's step */
    int items;
    const int *sizes; /* tokens of each item */
    /* Adds the gradient of the loss's mean over these items, each rank its share's part of it; may add
       figures to the log's row. */
    int (*learn)(void *context, const int *items, int count, struct node *row, double *loss,
                 struct error *err);
    int (*evaluate)(void *context, struct node *row, struct error *err); /* or NULL */
    void *context;
    struct trunk *dropping; /* whose adapters drop numbers out while they learn; NULL: none */
};
int fit_run(const struct fit *fit, struct error *err);
/* Tokens at most that a training pass holds, of items of so many rows; for plans. */
int fit_held(const struct fit_options *options, const struct config *config, int rows);
/* Sets the optimizer's numbers from the options. */
void fit_optimizer(struct optimizer *optimizer, const struct fit_options *options);

/* Runs of items, each of at most `budget` tokens or one item: the end of the run that begins at `first`. */
int run_end(const int *sizes, const int *items, int first, int count, int budget);
/* Of these items the run that this rank takes (harness/ranks.h): where it begins; count becomes its length.
 */
const int *run_share(const int *sizes, const int *items, int *count);
/* The least budget that makes no more runs of these items than `budget` does: runs of nearly equal size. */
int run_budget(const int *sizes, const int *items, int count, int budget);

#endif
