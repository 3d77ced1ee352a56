/* run.db: steps, metrics, transcripts and verdicts of a run as SQLite tables, to be asked. */
#ifndef HARNESS_STORE_H
#define HARNESS_STORE_H

#include "harness/error.h"
#include "harness/recipe.h"

struct store;

int store_open(struct store **out, const char *path, struct error *err);
void store_close(struct store *store); /* NULL is fine */

/* Whether this step is in with this hash: 1, 0, or -1 with err set. */
int store_has(struct store *store, const char *step, const char *hash, struct error *err);
/* Takes in the step and its folder's records, instead of what the store had of it; all or nothing.
   seconds: NaN if not known. */
int store_import(struct store *store, const struct instance *step, const char *hash, const char *folder,
                 double seconds, struct error *err);

#endif
