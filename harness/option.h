/* The options of a plug-in as a table: read into a struct, checked, listed in --help, the manifest and docs.
 */
#ifndef HARNESS_OPTION_H
#define HARNESS_OPTION_H

#include <stddef.h>

#include "harness/document.h"
#include "harness/error.h"

enum option_kind {
    OPTION_INT,    /* int */
    OPTION_REAL,   /* double */
    OPTION_BOOL,   /* int, 0 or 1 */
    OPTION_TEXT,   /* const char *, owned by the node tree; NULL if absent */
    OPTION_CHOICE, /* int: index into `choices`, words separated by '|' */
    OPTION_STEP,   /* const char *: in the recipe another step's name; the pipeline replaces it by that step's
                      folder */
    OPTION_STEPS,  /* const struct node *: list of such */
    OPTION_FILE,   /* const char *: a path, relative to the recipe; its content enters the step's hash */
    OPTION_MAP,    /* const struct node *: read by the plug-in with a table of its own */
    OPTION_WORDS,  /* const struct node *: one text, or a list of them */
    OPTION_JUDGES  /* const struct node *: list of judges and their options, which harness/judge_list.h checks
                    */
};

struct option {
    const char *name;
    enum option_kind kind;
    size_t offset;        /* of the field in the settings struct */
    const char *fallback; /* as it would be written in a recipe; NULL: required; "" for TEXT, STEP, FILE, MAP,
                             WORDS, JUDGES: absent */
    double low, high;     /* inclusive range of a number; both 0: any */
    const char *choices;  /* of a CHOICE; of STEP, STEPS the stages whose steps will do, NULL: all */
    const char *help;     /* one line; units */
};                        /* a table ends with {0} */

/* A named set of defaults, "key=value key=value", between fallback and what is given. */
struct preset {
    const char *name, *values, *source;
};

/* Fills settings from the table's fallbacks, then the preset named by given's key "preset" (if presets
   is not NULL), then given, where a null counts as not given. Unknown keys, wrong types and ranges are errors
   that name file, line and the nearest valid name. `where` is the file's name. */
int options_read(const struct option *table, const struct preset *presets, const struct node *given,
                 const char *where, void *settings, struct error *err);

/* Bytes that hold the struct that the table fills. */
size_t options_size(const struct option *table);

/* Every option with the value it resolved to, as a map (for manifest and --dry-run). */
struct node *options_describe(const struct option *table, const void *settings);

/* The nearest of the names to a misspelt word (edit distance), or NULL if none is near. */
const char *nearest_name(const char *word, const char *const *names, int count);

#endif
