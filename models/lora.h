/* The option `lora` of steps that train: adapters learn, and the model that they are put on stays as it is.
 */
#ifndef MODELS_LORA_H
#define MODELS_LORA_H

#include "harness/option.h"
#include "models/model.h"
#include "models/tokenizer.h"

#define LORA_OPTION(type, field)                                                                             \
    {                                                                                                        \
        "lora", OPTION_MAP, offsetof(type, field), "", 0, 0, NULL,                                           \
            "adapters learn instead of the model: {rank: 8, alpha: 16, dropout: 0, targets: all-linear or "  \
            "a "                                                                                             \
            "list, rslora: false}"                                                                           \
    }

/* Of steps with `lora`: the form of what its adapters are put on. */
#define WEIGHTS_OPTION(type, field)                                                                          \
    {                                                                                                        \
        "weights", OPTION_CHOICE, offsetof(type, field), "full", 0, 0, WEIGHT_FORMS,                         \
            "of the base that adapters are put on; int8: 8 bits a number, on processors"                     \
    }

/* given NULL: a rank of 0, no adapters. config: of the model that they go on; NULL: not known yet, and the
 * targets are not read. */
int lora_read(struct adapter_options *out, const struct node *given, const char *where,
              const struct config *config, struct error *err);
/* Refuses what int8 weights cannot be: a model that learns without adapters (given NULL), or at `base` the
 * folder of an adapter, which they cannot take in. base: NULL or not there yet where it is not known. */
int lora_check_weights(int form, const struct node *given, const char *base, const char *where,
                       struct error *err);
/* What a step trained: adapters on the model at `base`, with their score head where `scores`; or, of a rank
 * of 0, the whole model. */
int lora_store(const struct model *model, const struct tokenizer *tokenizer, const char *folder, int bits,
               const struct adapter_options *adapters, const char *base, int scores, struct error *err);
/* For model_bytes() and trunk_bytes(): NULL where there are none. */
const struct adapter_options *lora_plan(const struct adapter_options *adapters);
/* Forward passes that the work of a training step is: the gradients of what is frozen are left out. */
double lora_passes(const struct adapter_options *adapters);
/* ", 12345 numbers learn" of a model with adapters; else "". */
const char *lora_note(char note[64], const struct adapter_options *adapters, const struct config *config);

#endif
