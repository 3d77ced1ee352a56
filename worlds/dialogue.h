/* Texts of real data files: plain strings or lists of messages, dialogues in the form "\n\nHuman: ...
   \n\nAssistant: ...", limits, and a split that keeps a prompt on one side. */
#ifndef WORLDS_DIALOGUE_H
#define WORLDS_DIALOGUE_H

#include <stddef.h>

#include "harness/document.h"
#include "harness/error.h"

#define DIALOGUE_HUMAN     "\n\nHuman:"
#define DIALOGUE_ASSISTANT "\n\nAssistant:"

/* How a prompt that is no dialogue yet is written. */
enum dialogue_template { TEMPLATE_AS_IS, TEMPLATE_HH };

/* A string as it is, messages as a dialogue. NULL with err set if it is neither; the caller frees. */
char *dialogue_text(const struct node *field, struct error *err);

/* A field that holds a prompt: it ends where the answer begins. */
char *dialogue_prompt(const struct node *field, enum dialogue_template template, struct error *err);

size_t text_characters(const char *text); /* code points */
char *text_trimmed(const char *text);     /* a copy without white space at either end */

/* In [0, 1), from a hash of the dialogue's first turn: whatever continues it gets the same. */
double prompt_position(const char *prompt);

/* "prompt-" and 16 hex digits of the text's hash; the caller frees. */
char *prompt_id(const char *prompt);

#endif
