/* A reward scores tokens. One function for training, best-of-n, judging and evaluation: they cannot disagree.
 */
#ifndef REWARDS_REWARD_H
#define REWARDS_REWARD_H

#include "harness/option.h"
#include "harness/run.h"
#include "kernels/kernels.h"

/* One response to one prompt, as ids and as text. */
struct exchange {
    const int *prompt,
        *response; /* prompt ends in the response token; response holds the end token if ended */
    int prompt_length, response_length;
    int ended;
    const char *prompt_text, *response_text;
};

struct scorer; /* an opened reward: models loaded, settings read */

struct reward {
    const char *name, *summary;
    const struct option *options; /* of fitting and scoring, both kept in the fitted folder */
    const struct preset *presets;
    size_t settings_size;
    /* Fits on the pairs of step->options and writes a folder that open() understands; NULL: needs no fitting.
     */
    int (*fit)(struct run *run, const struct step *step, const void *settings, struct error *err);
    int (*open)(struct scorer **out, const char *folder, const struct node *options,
                const struct kernels *kernels, struct error *err);
    /* tokens_out: the rows' response tokens end to end; sequence_out[rows]: what is compared between
     * responses. Either may be NULL. */
    int (*score)(struct scorer *scorer, const struct exchange *rows, int count, float *tokens_out,
                 float *sequence_out, struct error *err);
    void (*close)(struct scorer *scorer);
};

const struct reward *reward_find(const char *name);

/* Opens what `reward:` names in a recipe: a fitted folder (its reward.json says which reward it is). */
int reward_open(const struct reward **reward, struct scorer **out, const char *folder,
                const struct kernels *kernels, struct error *err);

#endif
