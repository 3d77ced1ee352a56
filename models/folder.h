/* A model's folder: parameters, config and tokenizer, opened and stored together. */
#ifndef MODELS_FOLDER_H
#define MODELS_FOLDER_H

#include "harness/run.h"
#include "models/model.h"
#include "models/tokenizer.h"

/* The backend of the run's device, with the run's number of threads. */
int run_kernels(const struct kernels **out, const struct run *run, struct error *err);

/* The backend that a plan is for: the run's, or the CPU's where this build has not got it. Only its sizes may
 * be asked (kernels_outline()). */
const struct kernels *plan_kernels(const struct run *run);

/* Adds to a plan what the host holds of a device's arrays: the largest tensor while it is read, or all that
 * learns with its moments while a checkpoint is written. */
void plan_host(struct plan *plan, const struct config *config, const struct run *run);

/* A folder or a .gguf file. tokenizer may be NULL: not wanted. Checks that the two belong together, and that
   the tokenizer knows how conversations are written. */
int folder_open(struct model **model, struct tokenizer **tokenizer, const char *folder,
                const struct kernels *kernels, struct error *err);
/* The same with the model's weights in that form (model_load_as()). */
int folder_open_as(struct model **model, struct tokenizer **tokenizer, const char *folder,
                   const struct kernels *kernels, enum weight_form form, struct error *err);
/* By the first rank; the others wait until it is there. */
int folder_store(const struct model *model, const struct tokenizer *tokenizer, const char *folder, int bits,
                 struct error *err);
/* The model's adapters alone, in PEFT's format, with the tokenizer: the folder stands on `base`, and is a
 * model like another. scores: its score head too. */
int folder_store_adapter(const struct model *model, const struct tokenizer *tokenizer, const char *folder,
                         int bits, const struct adapter_options *options, const char *base, int scores,
                         struct error *err);
/* The config of a model folder or .gguf file, if it exists already: 1, 0, or -1 with err set. */
int folder_config(struct config *out, const char *folder, struct error *err);

#endif
