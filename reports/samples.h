/* What the reports show of single responses: maps of their rewards, token by token. */
#ifndef REPORTS_SAMPLES_H
#define REPORTS_SAMPLES_H

#include "harness/memory.h"
#include "reports/results.h"

/* More than one token has a reward: a map of it shows something. */
int token_map_is_spread(const struct node *map);
/* The maps of one evaluation as HTML, the first few that are spread; nothing if there are none. */
void samples_add_maps(struct text *out, const struct evaluation *evaluation);

#endif
