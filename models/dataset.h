/* Text as rows of ids, and the positions of a batch whose tokens are scored or learned. */
#ifndef MODELS_DATASET_H
#define MODELS_DATASET_H

#include "harness/record.h"
#include "models/tokenizer.h"
#include "models/transformer.h"

/* Appends the ids of a prompt, up to where the assistant writes; those of a response and, if ended, of its
   end: as the tokenizer's chat format has them, which must be known. */
void prompt_encode(const struct tokenizer *tokenizer, const char *text, struct tokens *out);
/* Of the prompt's ids, of which there are `count`: 1 for what an assistant wrote earlier in it, else 0. */
void prompt_mark(const struct tokenizer *tokenizer, const char *text, unsigned char *marks, int count);
void response_encode(const struct tokenizer *tokenizer, const char *text, int ended, struct tokens *out);

/* FOLDER/file of a data folder or of each of a list of them; appends. */
int data_read(const struct node *folders, const char *file, struct examples *out, struct error *err);
/* The first folder's world.json names a world: that name, caller frees; NULL where there is none. */
char *data_world(const struct node *folders);

/* Rows end to end; the tokens of a row that learn marks, never its first, are learned, each with the row's
 * weight. */
struct dataset {
    int count, room, longest;
    struct tokens ids;
    int *start;           /* [count + 1] */
    unsigned char *learn; /* [ids] 1 or 0 */
    int learn_room;
    int *learned; /* tokens of each row that are */
    float *weight;
};
/* One more row: a part that is given and a part that is learned. */
void dataset_add(struct dataset *data, const int *given, int given_count, const int *learned,
                 int learned_count, float weight);
/* One more row of so many ids, with a mark for each. */
void dataset_add_marked(struct dataset *data, const int *ids, const unsigned char *learn, int count,
                        float weight);
int dataset_length(const struct dataset *data, int row);
void dataset_free(struct dataset *data);

/* Hidden states at position[i] predict target[i]; item[i] is what the user of it likes. */
struct targets {
    int *position, *target, *item;
    int count, room;
};
void targets_add(struct targets *targets, int position, int target, int item);
void targets_free(struct targets *targets);

#endif
