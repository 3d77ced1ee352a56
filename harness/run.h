/* A run's folder and one step's view of it: where inputs lie, where outputs go, what is logged. */
#ifndef HARNESS_RUN_H
#define HARNESS_RUN_H

#include <stdint.h>
#include <stdio.h>

#include "harness/document.h"
#include "harness/error.h"

struct run {
    char *recipe;       /* path of the recipe */
    char *folder;       /* runs/<name>-<hash> */
    const char *device; /* "cpu" */
    int threads;        /* for this step */
};

struct step {
    const char *name;           /* "safety/1/ppo-scalar" */
    const char *recipe;         /* its path, where a wrong option is said to stand; NULL: name */
    const char *label;          /* the name in the recipe: "ppo-scalar" */
    const char *use;            /* the stage: "ppo" */
    const struct node *options; /* as in the recipe, steps replaced by folders, matrix variables replaced */
    const struct node *matrix;  /* {world: safety, seed: 1}; may be an empty map */
    uint64_t seed;              /* the option "seed", else the matrix variable, else 1 */
    const char *folder;         /* existing and writable; appears as finished only when the step returned 0 */
};

/* A step's JSON-lines log (figures of each iteration; training curves). Nothing in it may depend on time. */
struct log {
    FILE *file; /* NULL in a rank that is not the first (harness/ranks.h), which writes nothing */
    char *path;
};
/* Opens FOLDER/log.jsonl; keeps the first `keep` bytes of what an interrupted attempt left. */
int log_open(struct log *log, const struct step *step, long keep, struct error *err);
int log_write(struct log *log, const struct node *row, struct error *err);
/* Flushes to disk and tells the length, for the checkpoint. -1 on error. */
long log_sync(struct log *log, struct error *err);
void log_close(struct log *log);
/* What is named, with a line, where an option is wrong. */
const char *step_where(const struct step *step);
/* FOLDER/name; caller frees. */
char *step_path(const struct step *step, const char *name);
/* What transcripts and tables call the policy of a step of that label: dashes for slashes. Caller frees. */
char *policy_name(const char *label);
/* The display name of what a finished step's folder holds, from its step.json: the label with dashes for
   slashes
   ("ppo-scalar"), or the folder's own name; seed: the run's seed that made it (may be NULL). Caller frees. */
char *step_label(const char *folder, int *seed);
/* Wall-clock facts (tokens per second) go to FOLDER/timing.jsonl, which no later step reads. */
void step_timing(const struct step *step, const char *what, double seconds, double amount, const char *unit);

#endif
