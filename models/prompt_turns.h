/* A prompt's text as a tokenizer's chat format writes it. */
#ifndef MODELS_PROMPT_TURNS_H
#define MODELS_PROMPT_TURNS_H

#include "models/chat.h"

/* Renders the prompt up to where the assistant writes. A text in HH's form is a conversation, whose turns get
   the format's marks; what its system says comes before the first user's words where the format has no system
   turn, and neighbours of one role become one where it takes turns. A format without marks of its own keeps
   the text as it is. learned holds what assistants wrote earlier. count is 0 where the format is not known.
 */
void prompt_render(const struct tokenizer *tokenizer, const char *text, struct rendering *out);

#endif
