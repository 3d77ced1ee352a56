/* Adapters as folders, in PEFT's format: adapter_config.json, which names a base, and
 * adapter_model.safetensors with A and B of each module, and a reward model's head. */
#ifndef MODELS_ADAPTER_FILE_H
#define MODELS_ADAPTER_FILE_H

#include "harness/adapter_base.h"
#include "models/model.h"
#include "models/safetensors.h"

/* The base with the adapter on it. An adapter may stand on another, which is merged then. Every tensor must
 * be there in its shape, and none left over. options: how it is adapted. */
int adapter_load(struct model **out, struct adapter_options *options, const char *folder,
                 const struct kernels *kernels, struct error *err);
/* The same on a base of weights in that form. */
int adapter_load_as(struct model **out, struct adapter_options *options, const char *folder,
                    const struct kernels *kernels, enum weight_form form, struct error *err);
/* The same, merged. */
int adapter_load_merged(struct model **out, const char *folder, const struct kernels *kernels,
                        struct error *err);
/* Puts another adapter of the same base in the place of one that adapter_load() gave: the same options and
 * heads, other numbers. */
int adapter_exchange(struct model *model, const struct adapter_options *options, const char *folder,
                     struct error *err);

/* An adapter's folder before any model is loaded: all that adapter_load() would find wrong is found here. */
struct adapter_folder {
    char *base; /* path */
    struct adapter_options options;
    struct config config; /* of the whole: the base's, with the adapter's heads */
    struct safetensors file;
};
int adapter_open(struct adapter_folder *out, const char *folder, struct error *err);
void adapter_close(struct adapter_folder *folder);

/* A model's adapters, and with `scores` its score head, into a folder that stands on this base. */
int adapter_store(const struct model *model, const struct adapter_options *options, const char *base,
                  int scores, const char *folder, const struct number_type *type, struct error *err);

#endif
