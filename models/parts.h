/* How a family's files name and lay out the tensors of a model: Hugging Face's way and GGUF's. */
#ifndef MODELS_PARTS_H
#define MODELS_PARTS_H

#include "models/model.h"
#include "models/weights.h"

/* A tensor of a file: some rows of a tensor of ours. */
struct part {
    char name[96];
    const struct tensor *tensor;
    const struct kernels *kernels; /* whose memory the tensor is in */
    int row, rows;
    int transposed; /* [cols][rows] in the file: Hugging Face's GPT-2 has Conv1D layers */
    int head_size; /* of GGUF's Llama queries and keys, whose rotary halves are interleaved; 0: as they are */
    float less;    /* what the file's numbers lack: Gemma's norms are kept less 1 by Hugging Face */
};

struct parts {
    struct part *items;
    int count;
};

struct parts parts_of(const struct model *model, int gguf);
/* As in the file. */
void part_shape(const struct part *part, int64_t shape[2]);
size_t part_size(const struct part *part); /* numbers */

/* Every part is there in its shape, and nothing is left over; the sentence names what is not. Names of base
 * models without a prefix are accepted, of reward and value heads those that other trainers give, and what
 * files hold that nothing needs. config: what config.json or the file describes. A model's missing score head
 * is accepted if `headless`. */
int parts_check(const struct parts *parts, const struct weights *weights, const struct config *config,
                int headless, struct error *err);
/* Rows of a reward or value head under the name of another trainer; 0: the files have none. */
int parts_score_heads(const struct weights *weights);
/* Reads all parts into a model with memory. A missing score head stays as it is. */
int parts_read(const struct parts *parts, const struct weights *weights, struct error *err);
/* A part's numbers as the file has them, part_size(); caller frees. */
float *part_numbers(const void *part);

#endif
