/* Files of models with what model_load() and model_save() leave to their defaults. */
#ifndef MODELS_MODEL_FILE_H
#define MODELS_MODEL_FILE_H

#include "models/model.h"
#include "models/weights.h"

/* What the files at a path describe: config.json's words or GGUF's keys, and what only the tensors tell: a
 * head that is tied since there is no other, a reward head under another trainer's name. */
int model_describe(struct config *out, const char *path, const struct weights *weights, struct error *err);
/* A model from opened files. With init_head a score head that is missing is drawn by the seed 1, and one of
 * `init_head` outputs that config.json does not speak of is added. */
int model_read(struct model **out, const char *path, const struct weights *weights,
               const struct kernels *kernels, enum weight_form form, int init_head, struct error *err);
/* model.safetensors and config.json in the folder, of F32, F16 or BF16. */
int model_write(const struct model *model, const char *folder, const struct number_type *type,
                struct error *err);
/* A GGUF file of F32, F16, BF16 or Q8_0, with the keys of its tokenizer (models/gguf_tokenizer.h). Vectors
 * and positions are F32, rows that are no whole blocks F16. */
int model_write_gguf(const struct model *model, const char *path, const struct number_type *type,
                     const struct gguf_out *tokenizer, struct error *err);

#endif
