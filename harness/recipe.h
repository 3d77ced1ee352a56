/* A recipe: the steps of a run, read from YAML or JSON, checked, and expanded over its matrix. */
#ifndef HARNESS_RECIPE_H
#define HARNESS_RECIPE_H

#include <stdint.h>

#include "harness/document.h"
#include "harness/error.h"
#include "harness/registry.h"

/* One value of an option that names a step, or a file or folder outside the run. */
struct input {
    const struct option *option;
    int step;   /* which of the recipe's; -1: a path */
    char *text; /* the step's name, or the path as the recipe has it */
    char *path; /* of a file or folder, from here; NULL for a step */
    int nested; /* the option is one of a judge's, in a list of judges */
};

/* A step in one cell of the matrix. */
struct instance {
    char *name;  /* "safety/1/ppo/scalar": global values, step, local values */
    char *label; /* "ppo/scalar" */
    const struct stage *stage;
    struct node *options; /* as given; variables replaced, steps by their names */
    struct node *matrix;  /* the cell: {world: safety, seed: 1, kind: scalar} */
    uint64_t seed;
    int line; /* of the step in the recipe */
    struct input *inputs;
    int input_count;
};

struct recipe {
    char *path, *name, *title; /* title: the name if it has none */
    struct node *tree;         /* the document, overrides applied */
    struct instance *steps;    /* each after those it needs */
    int count;
    struct node *overrides; /* list of texts */
    struct node *formats;   /* list of reports' names */
    char hash[65];          /* of the document, overrides applied */
};

/* overrides[count] are "steps.ppo.iterations=5": a path of keys, and a YAML value. */
int recipe_read(struct recipe *out, const char *path, const char *const *overrides, int count,
                struct error *err);
void recipe_free(struct recipe *recipe); /* harmless on an empty one */

/* The options given, with what spell() returns (malloced) for each input: a folder, a hash. */
struct node *instance_options(const struct instance *instance,
                              char *(*spell)(void *context, const struct input *input), void *context);
/* The same with the presets and fallbacks of the stage: every option it has. NULL with err set. */
struct node *instance_resolve(const struct instance *instance, const char *where,
                              char *(*spell)(void *context, const struct input *input), void *context,
                              struct error *err);
char *input_name(void *context, const struct input *input); /* for spell: its text */

/* Parts of reading. A new document with one override applied, or NULL; `where` names the recipe. */
struct node *recipe_override(const struct node *tree, const char *override, const char *where,
                             struct error *err);
/* Finds what options refer to and puts steps after their inputs. */
int recipe_link(struct recipe *recipe, struct error *err);

#endif
