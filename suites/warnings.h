/* What an evaluation warns of: policies that game a suite without reading their prompts, and suites that were
   named and could measure nothing. */
#ifndef SUITES_WARNINGS_H
#define SUITES_WARNINGS_H

#include "suites/suite.h"

/* FOLDER/warnings.jsonl, {"warning": sentence} a line. `named` is the evaluation's list of suites, or NULL
   for all. Where suites were named and none of them measured anything, that is an error. */
int warnings_write(const struct bench *bench, const struct node *named, const struct metrics *metrics,
                   const char *folder, struct error *err);

#endif
