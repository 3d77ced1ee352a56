/* Judgments that failed: whether a judge's share of them passes what the evaluation allows. */
#ifndef HARNESS_FAILURES_H
#define HARNESS_FAILURES_H

#include "harness/error.h"

/* Exit code of a command whose results are written, but rest on too few judgments. */
enum { TOO_MANY_FAILURES = 3 };

/* Reads FOLDER/judging.json, as the stage evaluate writes it. 0: no judge failed too often, or none was
   asked; 1: some did, and err holds the sentence that names them; -1 with err set. */
int failures_check(const char *folder, struct error *err);

#endif
