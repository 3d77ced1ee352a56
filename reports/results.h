/* Everything a report can show, gathered from a run's folder: metrics, curves, samples, provenance. */
#ifndef REPORTS_RESULTS_H
#define REPORTS_RESULTS_H

#include "harness/document.h"
#include "harness/record.h"
#include "reports/warnings.h"

/* One training run's log: the rows of log.jsonl and where it belongs. */
struct curve {
    char *task, *policy, *stage; /* "safety", "ppo-scalar", "ppo" */
    int seed;
    struct node *matrix; /* {world: safety, seed: 1, …} */
    struct node *rows;   /* list of maps */
};

/* What one evaluate step found, with the transcripts whose matrix agrees with its own.
   A metric with a baseline is a difference from it; if its name speaks of wins it is a share, and one half is
   no difference. p_adjusted is Holm's within the family. */
struct evaluation {
    char *name, *task;   /* "safety"; name also says what else varies: "safety, bias 0.5" */
    char *baseline;      /* the policy that its step compares the others with */
    struct node *matrix; /* {world: safety} */
    const char *gaps;    /* which answers are missing, where that was allowed; the manifest's, or NULL */
    int is_trained;      /* the run trained something, so that its seeds are training runs */
    struct metrics metrics;
    struct transcripts transcripts;
    struct verdicts verdicts;
    struct node *judging;       /* its judging.json: what the judges say of themselves; or NULL */
    struct node *token_rewards; /* list of {task, policy, reward, transcript, tokens: [text], rewards:
                                   [number]}; may be empty */
};

/* A picture, drawn once for all formats. */
struct figure {
    char *file;    /* "safety-gold.svg" */
    char *section; /* of the report: an evaluation's name */
    char *group;   /* "training", "overoptimization", "length", "dose" */
    char *title, *caption;
    char *svg;    /* NULL where it could not be drawn; the results' note says why */
    char *script; /* what it was drawn from: gnuplot's commands, without the terminal */
};

/* The change of a rate that tables should have power to see, 0.05 for five points: the recipe's
   report.effect, or the default where it states none. */
struct effect {
    double size;
    int is_stated;
};

struct results {
    char *title, *folder;
    struct node *manifest; /* a map; empty if the run has none */
    struct evaluation *evaluations;
    int evaluation_count;
    struct curve *curves;
    int curve_count;
    struct figure *figures;
    int figure_count;
    char *figure_note; /* why figures are missing, or NULL */
    struct effect effect;
    struct warnings warnings; /* of all steps */
};

/* Reads manifest.json and every folder below steps/ that holds a step.json. Unfinished steps are skipped; a
   run in which nothing can be shown is an error that says whether it can be mended. */
int results_gather(struct results *out, const char *run_folder, struct error *err);
void results_free(struct results *results);

/* Every variable of an evaluation's matrix has the same value in another step's. */
int matrix_agrees(const struct node *evaluation, const struct node *other);

/* Whose responses or training are at hand: baselines first, then in the order of the metrics, content-blind
   baselines last. Borrowed names; caller frees the array. */
const char **results_policies(const struct results *results, int *count);
/* The report's parts: the evaluations' names, then sections that have figures alone. Borrowed; caller frees
   the array. */
const char **results_sections(const struct results *results, int *count);
/* What a section's heading says: "World summary" of a world's, else "Task hh", so that it is no heading of
   the report's own. Caller frees. */
char *section_heading(const struct results *results, const char *section);
/* NULL if the section is none. */
const struct evaluation *results_evaluation(const struct results *results, const char *section);

/* 0: the evaluation's baseline, what everything is compared with. 1: another policy. 2: a content-blind one,
   "null-longest". */
int policy_standing(const struct evaluation *evaluation, const char *policy);
/* The same among all evaluations: 0 if it is the baseline of one, or where there is none, BASELINE_POLICY. */
int results_standing(const struct results *results, const char *policy);

#endif
