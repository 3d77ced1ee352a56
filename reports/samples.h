/* What the HTML page shows of single responses: the sample browser's data and the token heat maps. */
#ifndef REPORTS_SAMPLES_H
#define REPORTS_SAMPLES_H

#include "harness/memory.h"
#include "reports/results.h"

/* The browser's data as JSON that may stand in a script element; whole prompts are left out, evenly, until no
   more than a few thousand responses are left. Sets how many are shown, and of how many. */
void samples_add_json(struct text *out, const struct results *results, int *shown, int *total);

/* More than one token has a reward: a map of it shows something. */
int token_map_is_spread(const struct node *map);
/* The maps of one evaluation as HTML, the first few that are spread; nothing if there are none. */
void samples_add_maps(struct text *out, const struct evaluation *evaluation);

#endif
