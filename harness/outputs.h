/* Outputs, labels and verdicts that were made elsewhere, read from the formats that other tools write. */
#ifndef HARNESS_OUTPUTS_H
#define HARNESS_OUTPUTS_H

#include "harness/record.h"

/* One file, as it was understood. Ids of prompts are the file's own; where it has none, the first 16 hex
   digits of the prompt's SHA-256, so that files join by what was asked. A transcript's id is
   POLICY/PROMPT_ID. */
struct outputs {
    char *format;                   /* "alpaca_eval outputs" */
    char *understood;               /* a sentence: rows, which field was taken for what */
    struct transcripts transcripts; /* what models answered */
    struct examples questions;      /* each prompt once: category, truth and meta, where the file tells */
    struct verdicts verdicts;       /* labels (judge: the column's or the annotator's name) and judgments */
};

/* name: the policy whose answers these are; NULL where the file itself names its models. -1 with the sentence
   that names file, line and remedy: duplicate ids, rows without an answer, text that is not UTF-8. */
int outputs_read(struct outputs *out, const char *path, const char *name, struct error *err);
void outputs_free(struct outputs *outputs);

#endif
