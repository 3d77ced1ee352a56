/* A reward scores tokens. One function for training, best-of-n, judging and evaluation: they cannot disagree.
 */
#ifndef REWARDS_REWARD_H
#define REWARDS_REWARD_H

#include "harness/option.h"
#include "harness/run.h"
#include "kernels/kernels.h"
#include "models/model.h"

/* One response to one prompt, as ids and as text. */
struct exchange {
    const int *prompt,
        *response; /* prompt ends in the response token; response holds the end token if ended */
    int prompt_length, response_length;
    int ended;
    const char *prompt_text, *response_text;
};

struct scorer;  /* an opened reward: models loaded, settings read */
struct fitting; /* what fitting stands on: rewards/fitting.h */

struct reward {
    const char *name, *summary;
    const struct option *options; /* of fitting and scoring, both kept in the fitted folder */
    const struct preset *presets;
    size_t settings_size;
    int is_bare; /* it scores without a model */
    /* Fits on the pairs and writes models into the step's folder; adds to `facts` what open() must know. */
    int (*fit)(struct fitting *fitting, const void *settings, struct node *facts, struct error *err);
    /* facts: the folder's reward.json. */
    int (*open)(struct scorer **out, const char *folder, const struct node *facts,
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

/* Whether a fitted folder's reward scores without a model, or that of a step that a plan knows to be such. */
int reward_is_bare(const char *folder);
/* Adds to a memory plan what an opened reward holds while it scores; of a folder that is no reward's yet, one
 * model as the folder's, or as `guess`; NULL: nothing. 1: added, as nothing is of a reward without a model;
 * 0: not known, -1 with err set. */
int reward_hold(double held[HOLDINGS], const char *folder, const struct config *guess,
                const struct kernels *kernels, struct error *err);
/* The same of so many models, or of one with so many sets of adapters. */
void reward_hold_models(double held[HOLDINGS], const struct config *config, const struct kernels *kernels,
                        enum weight_form form, double models, const struct adapter_options *adapters);

/* Settings as reward.json keeps them, read with the reward's own table. */
int reward_settings(const struct reward *reward, const struct node *facts, const char *folder, void *settings,
                    struct error *err);
/* The form of the weights that reward.json says it learned on, and scores with: absent, full. */
int reward_weights(enum weight_form *out, const struct node *facts, const char *folder, struct error *err);
/* The end of the run of rows, from `first`, that holds at most `budget` tokens or one row; each row is its
   prompt, `copies` times its response, and `extra` tokens. */
int exchanges_end(const struct exchange *rows, int first, int count, int copies, int extra, int budget);
/* Puts score[r] on each response's last token, 0 on the others. */
void score_last_tokens(float *tokens_out, const struct exchange *rows, int count, const float *score);

#define SCORE_BUDGET 4096 /* tokens scored at once; results do not depend on it */

#endif
