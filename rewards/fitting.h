/* What fitting a reward stands on: the base, the pairs, and samples to normalise scores on. */
#ifndef REWARDS_FITTING_H
#define REWARDS_FITTING_H

#include "harness/record.h"
#include "models/fit.h"
#include "models/folder.h"
#include "models/generator.h"
#include "models/lora.h"
#include "rewards/reward.h"

#define SAMPLE_SLOTS 64 /* samples drawn together */

/* Two responses to one prompt, both ended; chosen is the one that was preferred. */
struct pair {
    struct tokens prompt, chosen, rejected;
    const struct example *example; /* its text */
};
struct pairs {
    struct pair *items;
    int count;
};

/* Scores are normalised on responses of the base, or on demonstrations. */
enum normalisation { NORMALISE_SAMPLES, NORMALISE_DEMONSTRATIONS, NORMALISE_NONE };

/* Options of the trainer `reward` that all rewards share. */
struct fitting_options {
    const char *name, *base;
    const struct node *data, *settings, *lora;
    struct fit_options fit;
    int normalise, samples, max_new, bits, recompute, seed;
    int weights; /* enum weight_form: of the base, and of the reward's models when they score */
    double length_limit;
    int overlong; /* see models/overlong.h */
};
extern const struct option fitting_options[];

struct fitting {
    const struct fitting_options *options;
    const struct step *step;
    const struct kernels *kernels;
    struct adapter_options adapters; /* that learn instead of a copy of the base; of rank 0: none */
    struct model *base;
    struct tokenizer *tokenizer;
    struct examples examples; /* owns the pairs' text */
    struct pairs train, heldout, ood;
    int left_out; /* pairs too long for the context */
    /* Drawn when first asked for. */
    struct exchange *samples;
    int sample_count;
    struct examples sample_text;
    struct response *sample_ids;
    struct tokens *sample_prompts;
};

int fitting_open(struct fitting *fitting, const struct fitting_options *options, const struct run *run,
                 const struct step *step, struct error *err);
void fitting_free(struct fitting *fitting);
/* Fills samples: what the normalisation option says; none for NORMALISE_NONE. */
int fitting_samples(struct fitting *fitting, struct error *err);

struct exchange pair_exchange(const struct pair *pair, int chosen);

/* Mean and standard deviation (population); std 1 where there is no spread. */
void moments(double *mean, double *std, const float *values, int count);
/* Pearson's; 0 where one side has no spread. */
double correlation(const double *a, const double *b, int count);

/* Share of pairs whose chosen response scores higher, ties half. */
int pairs_accuracy(double *out, const struct reward *reward, struct scorer *scorer, const struct pairs *pairs,
                   struct error *err);

#endif
