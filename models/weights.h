/* A checkpoint's tensors, wherever they lie: one safetensors file, shards with an index, or a GGUF file. */
#ifndef MODELS_WEIGHTS_H
#define MODELS_WEIGHTS_H

#include "models/gguf.h"
#include "models/safetensors.h"

struct weights {
    char *path;            /* of the file that says what there is: weights, index or GGUF */
    struct stored **items; /* by name */
    int count;
    struct safetensors *files;
    int file_count;
    struct gguf gguf; /* metadata NULL: it is none */
};

/* Whether a path names a GGUF file, by its ending. */
int is_gguf(const char *path);
/* A .gguf file, or a folder with model.safetensors or model.safetensors.index.json. Shards must be files of
 * that folder that hold exactly the tensors that the index says. */
int weights_open(struct weights *out, const char *path, struct error *err);
/* A safetensors file alone. */
int weights_open_file(struct weights *out, const char *path, struct error *err);
void weights_close(struct weights *weights);
/* NULL: there is none. */
const struct stored *weights_find(const struct weights *weights, const char *name);

#endif
