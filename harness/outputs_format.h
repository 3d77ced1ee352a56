/* The formats of outputs: how each is recognised by its first record, and how a record is taken in. */
#ifndef HARNESS_OUTPUTS_FORMAT_H
#define HARNESS_OUTPUTS_FORMAT_H

#include "harness/document.h"
#include "harness/memory.h"
#include "harness/outputs.h"

/* A file being read. */
struct outputs_reading {
    struct outputs *out;
    const struct outputs_how *how;
    const struct outputs_format *format;
    const char *path, *stem;            /* stem: the file's name, for a policy that nobody names */
    int rows, missing, untyped;         /* untyped: answers that are numbers or truths, read as written */
    struct text columns;                /* "prompt from instruction, response from output" */
    const char *id, *prompt, *response; /* columns of a plain table */
    int id_in_category;                 /* the id counts within the column "category", as BBQ's does */
    int *lines, line_count;             /* of the transcripts that this file added */
};

struct outputs_format {
    const char *name;
    int (*knows)(const struct node *record);
    /* One record; -1 with err set. */
    int (*take)(struct outputs_reading *in, const struct node *record, int line, struct error *err);
    int repeats; /* rows may give an answer again, word for word: it counts once */
};
extern const struct outputs_format outputs_annotations, outputs_llmbar, outputs_pandalm,
    outputs_arena_judgments, outputs_mt_judgments, outputs_arena_answers, outputs_chats, outputs_votes,
    outputs_lm_eval, outputs_inspect; /* other tools' */
extern const struct outputs_format
    *const outputs_formats[]; /* the first that knows a record wins; ends with NULL */

/* What the formats share. All copy what they are given. */

/* The text of a field: a string, a number's spelling, messages as "role: content" turns, the first of a list;
   NULL where there is none. Caller frees. */
char *field_text(const struct node *field);
/* The text of an answer's column, NULL where it has none; a number or a truth is counted. Caller frees. */
char *field_answer(struct outputs_reading *in, const struct node *record, const char *column);
/* A number, or a text that is one; NaN where the field is missing, null or blank. */
int field_number(double *out, const struct node *record, const char *column, struct error *err);
/* A reference: the field's text, a list of several as JSON, of which each is right; NULL where it is blank.
 */
char *field_reference(const struct node *field);
/* The record's id, else that of its prompt; caller frees. */
char *record_id(const struct node *record, const char *const *names, const char *prompt);
/* response NULL: missing, an error unless allowed. policy NULL: the file's own name. */
int add_answer(struct outputs_reading *in, const char *policy, const char *id, const char *prompt,
               const char *response, int line, struct error *err);
/* The same for files of several models, whose names stay. */
int add_answer_of(struct outputs_reading *in, const char *policy, const char *id, const char *prompt,
                  const char *response, int line, struct error *err);
struct example *add_question(struct outputs_reading *in, const char *id, const char *prompt);
struct verdict *add_judgment(struct outputs_reading *in, const char *policy, const char *id,
                             const char *other, const char *judge, const char *what);

void judgment_set(struct verdict *verdict, double score); /* NaN: unparsed; ½ of a pair: a tie */
int record_has(const struct node *record, const char *key);
int record_has_text(const struct node *record, const char *key); /* a string */
int add_question_row(struct outputs_reading *in, const struct node *record, struct error *err);
/* Labels of a row, by their columns (outputs_read_labels()); the number of them. */
int add_labels(struct outputs_reading *in, const struct node *record, const char *policy, const char *id);
double field_truth(const struct node *field); /* 1, 0 in any usual spelling; NaN */

#endif
