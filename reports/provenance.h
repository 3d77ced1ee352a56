/* Where a report's numbers come from: the manifest as facts, and the commands that make the run again. */
#ifndef REPORTS_PROVENANCE_H
#define REPORTS_PROVENANCE_H

#include "reports/results.h"

struct fact {
    char *name, *value; /* "libraries gsl", "2.7.1" */
};
struct facts {
    struct fact *items;
    int count;
};

/* The manifest's scalars, and those one and two maps down; lists of scalars on one line; what is deeper stays
   in manifest.json. Then what the judges of the evaluations say of themselves, canaries on one line. */
void facts_of(struct facts *out, const struct results *results);
void facts_free(struct facts *facts);

/* "pyrite run recipes/quickstart.yaml --set …", as far as the manifest tells. Caller frees; NULL if it does
 * not. */
char *command_of(const struct results *results);

#endif
