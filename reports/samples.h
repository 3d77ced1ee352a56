/* What the reports show of single responses: maps of their rewards, token by token. */
#ifndef REPORTS_SAMPLES_H
#define REPORTS_SAMPLES_H

#include "harness/memory.h"
#include "reports/results.h"

/* More than one token has a reward: a map of it shows something. */
int token_map_is_spread(const struct node *map);
/* The size of its largest reward, whatever the sign. */
double token_map_largest(const struct node *map);
/* What was asked; NULL if the answer is not at hand. */
const char *token_map_prompt(const struct evaluation *evaluation, const struct node *map);
/* The maps of one evaluation as HTML, the first few that are spread; nothing if there are none. */
void samples_add_maps(struct text *out, const struct evaluation *evaluation);

#endif
