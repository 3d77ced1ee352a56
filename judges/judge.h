/* A judge says of answers what can be said by one means: a world's truth, its time-limited evaluator, a
   reward, a reference answer, a test, a label, another model. */
#ifndef JUDGES_JUDGE_H
#define JUDGES_JUDGE_H

#include "harness/record.h"
#include "harness/registry.h"

/* What a judge may need; it borrows all of it. */
struct judge_setup {
    const struct run *run;
    const struct world *world;  /* NULL: real data */
    const void *dials;          /* of the world, as the data was made */
    const char *folder;         /* of a fitted reward; or NULL */
    const char *name;           /* how verdicts call this judge; NULL: by its own name */
    struct examples *questions; /* by prompt id: truth and meta of what was asked; NULL: nothing is known */
    const struct node *options; /* a map, read with the judge's table; NULL: defaults */
    const char *where;          /* the file that holds the options, for errors */
};

struct judging; /* an opened judge */

struct judge {
    const char *name, *summary;
    const struct option *options; /* NULL where it has none */
    int costly; /* a judgment costs money or time: null policies are judged only where that is asked for */
    /* Whether options that their table allows make sense together, before there is anything to judge. NULL:
       nothing to say. */
    int (*check)(const struct node *options, const char *where, struct error *err);
    int (*open)(struct judging **out, const struct judge_setup *setup, struct error *err);
    /* Appends verdicts, one a thing judged, for each answer; the same for an answer in any company. An answer
       that cannot be judged gets a verdict whose outcome says why. None, where it is set to judge pairs. */
    int (*judge)(struct judging *judging, const struct transcript *const *answers, int count,
                 struct verdicts *out, struct error *err);
    /* Appends verdicts of "preference" for each pair a[i], b[i] of answers to one prompt, in both orders
       where a judge could see an order; transcript is a's, other b's. None, where it is set to judge single
       answers. NULL where a judge sees no pairs. */
    int (*compare)(struct judging *judging, const struct transcript *const *a,
                   const struct transcript *const *b, int count, struct verdicts *out, struct error *err);
    /* Adds to the map what the manifest should say: model, rubric's hash, requests, cost, canaries. NULL:
       nothing. */
    void (*account)(const struct judging *judging, struct node *out);
    /* Adds to the map `row` the answer's "tokens" (texts) and "rewards" (numbers); NULL where a judge sees no
     * tokens. */
    int (*explain)(struct judging *judging, const struct transcript *answer, struct node *row,
                   struct error *err);
    void (*close)(struct judging *judging); /* NULL is fine */
};

const struct judge *judge_find(const char *name); /* NULL if there is none */

/* The same of every judge in a list, as an evaluation names them. */
int judges_check(const struct node *list, const char *where, struct error *err);

/* Appends a verdict with a score. */
void verdict_add(struct verdicts *out, const struct transcript *answer, const char *judge, const char *what,
                 double score);
/* Says that the verdict is on the pair of the answers a and b. */
void verdict_set_pair(struct verdict *verdict, const struct transcript *a, const struct transcript *b);
/* Appends a judgment without a score; reason may be NULL. */
void verdict_add_failure(struct verdicts *out, const struct transcript *answer, const char *judge,
                         const char *what, enum outcome outcome, const char *reason);

#endif
