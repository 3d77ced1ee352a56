/* Outputs, labels and verdicts that were made elsewhere, read from the formats that other tools write. */
#ifndef HARNESS_OUTPUTS_H
#define HARNESS_OUTPUTS_H

#include "harness/record.h"

/* How to read a file; {0} for its own words. */
struct outputs_how {
    const char *name; /* policy whose answers these are; NULL: as the file calls its models */
    const char *id_key, *prompt_key, *response_key; /* columns; NULL: found by their usual names */
    int allow_missing; /* rows without an answer are left out and counted, no error */
};

/* Files as they were understood. A prompt's id is the file's own, or 16 hex digits of the prompt's SHA-256,
   so that files join by what was asked. A transcript's id is POLICY/PROMPT_ID. */
struct outputs {
    struct transcripts transcripts; /* what models answered */
    struct examples questions;      /* each prompt once: category, truth and meta where the file tells */
    struct verdicts verdicts; /* labels (judge: the column) and judgments (judge: as the file calls it) */
    int missing;              /* rows left out */
    char **understood;        /* a sentence a file: format, rows, which column was taken for what */
    int file_count;
};

/* Appends a file. -1 with the sentence that names file, line and remedy: an unknown format, two columns that
   could be the response, duplicate ids, rows without an answer, text that is not UTF-8. */
int outputs_read(struct outputs *out, const char *path, const struct outputs_how *how, struct error *err);
/* The same of "[NAME=]FILE", as flags have it; NAME before how's. */
int outputs_read_word(struct outputs *out, const char *word, const struct outputs_how *how,
                      struct error *err);
void outputs_free(struct outputs *outputs);

/* Appends questions alone: a public data set as it is published (harness/questions.h), or rows with an id or
   a prompt, and category, truth, split; their other columns are what judges read in meta. Answers join them
   by id. */
int outputs_read_questions(struct outputs *out, const char *path, struct error *err);

/* Takes a row's truth (truth, gold, reference, target, correct_answer, answer, …) and, in meta, all its other
   columns but the prompt. What is known already stays. */
void question_take(struct example *question, const struct node *record);

/* Appends verdicts of the judge "label" from a file of labels: rows with an id, or with a policy and an id,
   and the columns "refused", "correct" (or "gold"), "approval", "confidence" (percent that it is right:
   approval above 50), "weight" (share of its cell over prompts drawn from it, for the suite sophistry), or
   "label" with answered, refused or undetermined (also XSTest's 1_full_compliance, 2_full_refusal,
   3_partial_refusal). A blank field is no label. policy: whose answers rows without a policy label; NULL:
   every policy's with that id must be one. Rows that label no answer that was read are an error.
 */
int outputs_read_labels(struct outputs *out, const char *path, const char *policy, struct error *err);

/* The policies' names in the order of their first answer; borrowed, caller frees the array. */
const char **outputs_policies(const struct outputs *outputs, int *count);

/* Fails where a policy has no answer to a prompt that another answered or that a file of questions asks,
   naming the first ids. allow_missing: *gaps is the sentence that says so in every table, NULL where nothing
   is missing; caller frees. */
int outputs_check_joint(const struct outputs *outputs, int allow_missing, char **gaps, struct error *err);

#endif
