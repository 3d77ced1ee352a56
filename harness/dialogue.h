/* Prompts of real data: messages {role, content}, or text in HH's form, "\n\nHuman: … \n\nAssistant: …"; how
   long they are, how they are cut, and what makes two of them the same. */
#ifndef HARNESS_DIALOGUE_H
#define HARNESS_DIALOGUE_H

#include <stddef.h>

#include "harness/document.h"
#include "harness/error.h"
#include "harness/record.h"

#define DIALOGUE_HUMAN     "\n\nHuman:"
#define DIALOGUE_ASSISTANT "\n\nAssistant:"

/* How a prompt that is no dialogue yet is written. */
enum dialogue_template { TEMPLATE_AS_IS, TEMPLATE_HH };

/* Messages of any usual spelling (role and content, from and value; human, gpt; a list of texts in turn) as
   {role, content} with the roles system, user and assistant. NULL with err set; the caller frees. */
struct node *dialogue_normal(const struct node *list, struct error *err);
/* The turns of a text: what stands before the first mark is the system's, a text without marks the user's.
   White space around a turn is no part of it. The caller frees. */
struct node *dialogue_split(const char *text);
/* Messages as text; a prompt's ends in the assistant's mark. The caller frees. */
char *dialogue_join(const struct node *messages, int is_prompt);
/* The end of the last assistant's mark before which, it included, both texts agree; 0 if there is none. */
size_t dialogue_common(const char *a, const char *b);
/* An example's prompt as messages: its own, else those of its text. The caller frees. */
struct node *dialogue_messages(const struct example *example);
/* Gives the example its prompt: the text, and the messages where the text does not tell them exactly. Takes
   neither. */
void dialogue_set(struct example *example, const struct node *messages);

/* A field that holds a prompt, text or messages; text ends where the answer begins. "Human: … Assistant:" on
   one line (DeepSpeed-Chat) gets HH's form. 0, or -1 with err set. */
int dialogue_read(struct example *example, const struct node *field, enum dialogue_template template,
                  struct error *err);

/* Cuts the prompt to at most so many characters: the oldest turns go, but for the system's; then the
   beginning of the turn that is left, at a white space. -1, and nothing changed, where no word of it fits. */
int dialogue_cut(struct example *example, size_t most);

size_t text_characters(const char *text); /* code points */
char *text_trimmed(const char *text);     /* a copy without white space at either end */

/* The words of a text with single spaces: letters in lower case (ASCII) and digits; every other ASCII
   character parts words. A text without any stays as it is. The caller frees. */
char *text_normal(const char *text);

/* The normal form of what a prompt's turns say, without their marks. The caller frees. */
char *prompt_words(const char *prompt);

/* In [0, 1), from a hash of the words of the dialogue's first turn: whatever continues it, or spells it
   another way, gets the same. */
double prompt_position(const char *prompt);

/* "prompt-" and 16 hex digits of the text's hash; the caller frees. */
char *prompt_id(const char *prompt);

#endif
