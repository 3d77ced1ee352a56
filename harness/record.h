/* The records that flow between steps, one JSON line each; joined by id, never by position. */
#ifndef HARNESS_RECORD_H
#define HARNESS_RECORD_H

#include "harness/document.h"
#include "harness/error.h"

struct example {
    char *id, *split; /* split: train, heldout, ood, … */
    char *prompt;
    char *response, *chosen, *rejected; /* as the file has them; else NULL */
    char *category;                     /* benign, borderline, harmful, safe, unsafe, …; or NULL */
    char *truth;       /* what a right answer says: a text, a choice's letter, test code; or NULL */
    struct node *meta; /* a map of what else a judge needs (choices, entry_point, …); or NULL */
    struct node
        *messages; /* the prompt's {role, content}, where `prompt` does not tell them exactly; or NULL */
};

struct transcript {
    char *id, *prompt_id, *split, *policy;
    char *prompt, *response, *category;
    char *finish;     /* "eos" or "length": how it ended, recorded, never inferred */
    int tokens;       /* of the response, EOS included */
    char *unit;       /* what `tokens` counts where it is not tokens: "words"; else NULL */
    double logprob;   /* nats, under the distribution it was drawn from */
    double reference; /* nats, of the same tokens under the reference policy at T = 1; NaN if not asked for */
    int seed;         /* the run's seed that trained the policy */
};

/* Policies that no training made: they answer without regard to what was asked. Their names begin so. */
#define NULL_POLICY "null-"
int is_null_policy(const char *policy);
/* Whom the others are compared with where nobody says. */
#define BASELINE_POLICY "sft"

enum outcome { OUTCOME_VERDICT, OUTCOME_TIE, OUTCOME_REFUSED, OUTCOME_UNPARSED, OUTCOME_TRANSPORT };

struct verdict {
    char *transcript, *other;    /* ids; other is NULL for a single-answer judgment */
    char *policy, *other_policy; /* of a pair: whose answers these are; NULL where nobody told */
    char *judge, *what;          /* what was judged: "gold", "approval", "correct", "reward", "preference" */
    enum outcome outcome;
    double score; /* of a pair: of `transcript`, 1 where it wins, ½ in a tie */
    int order;    /* of a pair: 1 where `transcript` was shown first, 2 second, 0 where none was */
    char *reason; /* or NULL */
    char *raw;    /* the judge's own words, or NULL */
};

struct metric {
    char *task;                                     /* world or data set */
    char *suite, *name, *policy, *baseline, *split; /* baseline: what it is compared with, or NULL */
    char *judge;             /* whose scores, where several could be meant (a reward's name); or NULL */
    double value, low, high; /* NaN: could not be computed; reason says why */
    double level;            /* of the interval, 0.95 where nobody says */
    double p, p_adjusted;    /* NaN if no test; adjusted within `family` */
    double p_floor;          /* the least p that this many random draws can show; NaN: p is exact */
    char *unit, *method, *family, *reason;
    int n, n_missing, seeds;
    int ties, refused, unparsed, transport; /* judgments behind it, by outcome; of verdicts only the ties */
    int judged; /* verdicts and ties, where ties are counted: one a seed of each prompt; else 0 */
    double worst,
        best;         /* value had all missing judgments gone against the policy, or for it; NaN: not told */
    double *per_seed; /* [seeds] or NULL */
    double seeds_low, seeds_high, p_seeds; /* of a difference, over per_seed (Student's t); NaN: not told */
    int by_seed;         /* each seed gave one value: n counts seeds, and low, high and p hold over seeds */
    int lower_is_better; /* 1, 0, or -1 where neither */
};

/* Lists that own what is in them. */
struct examples {
    struct example *items;
    int count;
    void **order; /* of examples_find(): sorted by id; ordered: how many when it was made */
    int ordered;
};
struct transcripts {
    struct transcript *items;
    int count;
    void **order; /* of transcripts_find() */
    int ordered;
};
struct verdicts {
    struct verdict *items;
    int count;
};
struct metrics {
    struct metric *items;
    int count;
};

int examples_read(const char *path, struct examples *out, struct error *err); /* appends */
int examples_write(const char *path, const struct examples *in, struct error *err);
void examples_free(struct examples *list);
int transcripts_read(const char *path, struct transcripts *out, struct error *err);
int transcripts_write(const char *path, const struct transcripts *in, struct error *err);
void transcripts_free(struct transcripts *list);
int verdicts_read(const char *path, struct verdicts *out, struct error *err);
int verdicts_write(const char *path, const struct verdicts *in, struct error *err);
void verdicts_free(struct verdicts *list);
int metrics_read(const char *path, struct metrics *out, struct error *err);
int metrics_write(const char *path, const struct metrics *in, struct error *err);
void metrics_free(struct metrics *list);

/* Room for one more, zeroed (NaN where the field's comment says so). */
struct example *examples_add(struct examples *list);
struct transcript *transcripts_add(struct transcripts *list);
struct verdict *verdicts_add(struct verdicts *list);
struct metric *metrics_add(struct metrics *list);

/* The first record with this id, or NULL; ids are sorted on the first call after an addition. */
const struct example *examples_find(struct examples *list, const char *id);
const struct transcript *transcripts_find(struct transcripts *list, const char *id);

#endif
