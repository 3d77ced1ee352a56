/* Everything a report can show, gathered from a finished run: metrics, curves, samples, provenance. */
#ifndef REPORTS_RESULTS_H
#define REPORTS_RESULTS_H

#include "harness/document.h"
#include "harness/record.h"

/* One training run's log: the rows of log.jsonl and where it belongs. */
struct curve {
    char *task, *policy, *stage; /* "safety", "ppo-scalar", "ppo" */
    int seed;
    struct node *rows; /* list of maps */
};

/* A sample for the browser: what each policy answered to one prompt, with verdicts; and token rewards where
 * they were kept. */
struct results {
    char *title, *folder;
    struct node *manifest;
    struct metrics metrics;
    struct curve *curves;
    int curve_count;
    struct transcripts transcripts;
    struct verdicts verdicts;
    struct node *token_rewards; /* list of {task, policy, reward, transcript, tokens: [text], rewards:
                                   [number]}, or NULL */
};

int results_gather(struct results *out, const char *run_folder, struct error *err);
void results_free(struct results *results);

/* The one formatter of numbers: every format prints these digits. percent: 0.153 → "15.3 %". NaN → "–".
 * Caller's buffer. */
const char *format_number(char buffer[32], double value, const char *unit);

#endif
