/* adapter_config.json: what PEFT says of an adapter beside its numbers. */
#ifndef MODELS_ADAPTER_CONFIG_H
#define MODELS_ADAPTER_CONFIG_H

#include "harness/document.h"
#include "models/adapter.h"
#include "models/config.h"

struct adapter_config {
    struct adapter_options options; /* but for its targets, which need a model: adapter_config_targets() */
    char *base;                     /* as it is named there; NULL: it is not */
    struct node *targets;           /* names; NULL: a pattern, which only the tensors can tell */
    int scores;                     /* the task is to classify: a score head belongs to it */
};

/* A setting that would change what the adapter computes and that this program has not is refused by name,
 * those of later versions of PEFT too. */
int adapter_config_read(struct adapter_config *out, const char *path, struct error *err);
/* The targets' bits on such a model; every name must be that of a module, and what it means be in all layers.
 * With a pattern: 0, and the targets stay as they are. */
int adapter_config_targets(struct adapter_config *config, const struct config *model, struct error *err);
void adapter_config_free(struct adapter_config *config);

/* scores: the score head is kept with the adapter. base: its name in the file. */
int adapter_config_write(const char *path, const struct adapter_options *options, const struct config *model,
                         int scores, const char *base, struct error *err);

#endif
