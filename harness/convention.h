/* Data files as training tools keep them: which convention a row is of, and the examples it becomes. */
#ifndef HARNESS_CONVENTION_H
#define HARNESS_CONVENTION_H

#include "harness/dialogue.h"
#include "harness/record.h"

struct convention_how {
    const char *name; /* of the convention; NULL: told from the row */
    const char *prompt_key, *chosen_key, *rejected_key, *response_key; /* columns; NULL: their usual names */
    int safer;                                                         /* safe-rlhf's label that decides */
    enum dialogue_template template;
    /* The text of token ids, NULL with err set; the caller frees. NULL: ids are an error. */
    char *(*decode)(void *context, const struct node *ids, struct error *err);
    void *context;
};

/* Pairs have chosen and rejected, demonstrations a response, labelled ones also "true" or "false" as
 * category. */
enum convention_gives { GIVES_PAIRS, GIVES_DEMONSTRATIONS, GIVES_LABELLED };

struct convention {
    const char *name, *columns, *what; /* what: "preference pairs (TRL, OpenRLHF)" */
    enum convention_gives gives;
    int (*knows)(const struct convention_how *how, const struct node *record);
    /* Appends what the row becomes, without id and split; or sets *reason, static: why it becomes nothing. */
    int (*take)(struct examples *out, const struct convention_how *how, const struct node *record,
                const char **reason, struct error *err);
};

/* The convention that a file's first row tells, or the one that is named. NULL with err set where none fits
   or two do. */
const struct convention *convention_find(const struct convention_how *how, const struct node *record,
                                         struct error *err);
/* One row of that convention; -1 with err set where it is of another. Messages written as JSON in a table's
   field are read. */
int convention_take(const struct convention *convention, struct examples *out,
                    const struct convention_how *how, const struct node *record, const char **reason,
                    struct error *err);
/* "preference pairs (HH): whole dialogues in chosen and rejected", of a row of it; caller frees. */
char *convention_describe(const struct convention *convention, const struct convention_how *how,
                          const struct node *record);

extern const struct convention *const conventions[]; /* NULL-terminated */

#endif
