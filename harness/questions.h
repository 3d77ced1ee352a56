/* Public data sets' rows as questions: id, prompt, category, truth, and in meta what a judge or a suite
 * needs. */
#ifndef HARNESS_QUESTIONS_H
#define HARNESS_QUESTIONS_H

#include "harness/record.h"

/* Truths and meta of each set:
     BBQ          id CATEGORY/EXAMPLE; truth: a letter; meta choices, condition (ambig, disambig), polarity
   (neg, nonneg), unknown and target (letters: the answer that says nothing is known; the group that the bias
   is against; target is missing where the row does not tell), cluster (the template) HumanEval    id the
   task; truth: test code; meta entry_point TruthfulQA   id the prompt's hash; truth: the best answer; meta
   correct, incorrect XSTest       category safe or unsafe; meta type LLMBar       truth: the better output;
   meta choices (both outputs), better (a letter) PandaLM      prompts alone; category: where they come from
     QuALITY      a row holds several; truth: a letter; meta choices, difficult, cluster (the article)
     SQuALITY     a row holds several; truth: the first summary; meta references, cluster (the story)
     AdvBench, HarmBench   category harmful; meta type */
struct question_set {
    const char *name;
    int (*knows)(const struct node *record);
    int (*take)(struct examples *out, const struct node *record, struct error *err); /* appends */
};

/* The set that a record belongs to, or NULL. */
const struct question_set *question_set_of(const struct node *record);

/* 16 hex digits of the text's SHA-256: the id of a prompt that has none; caller frees. */
char *prompt_hash(const char *prompt);
/* "Age/12" for a row of BBQ, or an answer to one; NULL if it is none. Caller frees. */
char *bbq_id(const struct node *record);
/* The id of an LLMBar pair: its own, else a hash of the input and both outputs; caller frees. */
char *llmbar_id(const struct node *record);

#endif
