/* The sockets: a plug-in is one file that defines one of these, const; its name in one list of Makefile.am
 * registers it. */
#ifndef HARNESS_REGISTRY_H
#define HARNESS_REGISTRY_H

#include <stdio.h>

#include "harness/document.h"
#include "harness/error.h"
#include "harness/option.h"
#include "harness/plan.h"
#include "harness/record.h"
#include "harness/rng.h"
#include "harness/run.h"

/* What stands in a plan for the folder of a step that will leave no model behind. */
#define NO_MODEL "(no model)"

struct recipe; /* harness/recipe.h */
struct instance;

/* A step of a recipe: trainers (sft, reward, ppo, …) and what stands around them (data, generate, evaluate).
 */
struct stage {
    const char *name, *summary;
    const struct option *options;
    const struct preset *presets; /* or NULL */
    int (*run)(struct run *run, const struct step *step, struct error *err);
    /* Inputs need not exist yet; out is zeros at first. NULL if there is nothing to say. */
    int (*plan)(const struct run *run, const struct step *step, struct plan *out, struct error *err);
    /* What is wrong with a step's options beyond what their table says, before anything runs; NULL: nothing.
     */
    int (*check)(const struct recipe *recipe, const struct instance *instance, struct error *err);
    int shared; /* ranks (harness/ranks.h) run it together; 0: the first alone */
    /* What to offer where the plan does not fit, those first that change no result; ends with {0}; or NULL.
     */
    const struct remedy *remedies;
    /* Whether a step of these options leaves no model behind; NULL: each leaves one. */
    int (*is_bare)(const struct node *options);
};

/* What a response shows, as far as the world can tell. */
struct features {
    const char *category; /* of the prompt: "benign", …; static */
    int refused;          /* 1 or 0 */
    int words;
    int correct; /* 1, 0; -1 where the world knows no right and wrong */
    double gold;
};

/* A task whose truth is known. Text in, text out; its hidden truth is a function of the prompt's text.
 * Strings returned are the caller's. */
struct world {
    const char *name, *summary;
    const struct option *options; /* the dials */
    size_t dials_size;            /* of the struct that the table fills */
    const char *const *splits;    /* "train", "heldout", "ood", NULL */
    char *(*prompt)(const void *dials, const char *split, struct rng *rng);
    char *(*demonstrate)(const void *dials, const char *prompt, struct rng *rng);
    char *(*ideal)(const char *prompt); /* a response of the highest gold score */
    int (*annotate)(const void *dials, const char *prompt, const char *a, const char *b,
                    struct rng *rng); /* 1: a preferred, 0: b */
    void (*inspect)(const char *prompt, const char *response, struct features *out);
    /* Probability in [0, 1] that the time-limited evaluator approves; NULL where the world has none. */
    double (*approve)(const void *dials, const char *prompt, const char *response);
};

/* A way to reward responses; what it is and how it scores: rewards/reward.h. */
struct reward;

/* Judges one or two answers to one prompt; judges/judge.h. */
struct judge;

/* Turns transcripts and verdicts into metrics; suites/suite.h. */
struct suite;

/* Everything a report can show; reports/results.h. */
struct results;
struct report {
    const char *name, *summary, *file; /* file: "report.md" */
    int (*write)(const struct results *results, FILE *out, struct error *err);
    /* Makes what stands beside the file, once that is there; NULL: nothing. */
    int (*complete)(const struct results *results, const char *folder, struct error *err);
    const char *made; /* the file to be read that complete() makes where it can, or NULL */
};

extern const struct stage *const stages[]; /* NULL-terminated, as all of these */
extern const struct world *const worlds[];
extern const struct reward *const rewards[];
extern const struct judge *const judges[];
extern const struct suite *const suites[];
extern const struct report *const reports[];

/* The memory of a device of this machine; models/folder.c. It may not fork to use the device afterwards. */
void device_room(struct room *out, const char *device);
/* Brings the devices of the ranks that share a step together, which takes memory of each; models/folder.c. */
int device_join(const char *device, struct error *err);

/* Writes RUN/report/ in the formats named (a list of texts); reports/report.c. */
int report_write(const char *run_folder, const struct node *formats, struct error *err);
/* A report has something to show of a step of this stage: training, or an evaluation; reports/results.c. */
int report_shows(const char *stage);

/* A metric of a suite and what it says; in a name * stands for anything. */
struct definition {
    const char *name, *what;
};

/* Everything that `pyrite list` shows, in the order of its kinds; made by register.sh. The structs are known
   only to their own layers, so this points at their fields. */
struct listing {
    const char *kind; /* "reward" */
    const char *const *name, *const *summary;
    const struct option *const *options; /* NULL where the kind has none */
    const struct preset *const *presets;
    const struct definition *const *metrics; /* NULL but for suites */
};
extern const struct listing listings[]; /* ends with {0} */

const struct stage *stage_find(const char *name); /* NULL if there is none */
const struct world *world_find(const char *name);
/* By its name, or by the end of its file's: "markdown" or "md". NULL with err set. */
const struct report *report_find(const char *word, struct error *err);
/* Where the reports of these formats (a list of names) are in a run's folder, one a line. */
void report_list(const char *run_folder, const struct node *formats, FILE *out);

#endif
