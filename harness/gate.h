/* Commands that fail by what is measured, for continuous integration: conditions given with --fail-if, the
   outcome for people, as JUnit's XML, and as a summary in Markdown. */
#ifndef HARNESS_GATE_H
#define HARNESS_GATE_H

#include "harness/command.h"
#include "harness/expectation.h"
#include "harness/registry.h"

/* Rows of a command's table of flags. */
#define GATE_FLAGS                                                                                           \
    {"fail-if", 0, "CONDITION",                                                                              \
     "exit with 1 if it holds with the whole interval: 'refusal.over[split=heldout] > 0.10'; several "       \
     "times"},                                                                                               \
        {"junit", 0, "FILE", "write what was checked to FILE as JUnit's XML too"}, {                         \
        "summary", 0, "FILE",                                                                                \
            "append it to FILE as Markdown; github: to the file $GITHUB_STEP_SUMMARY names"                  \
    }
/* What a command's --help says of them. */
#define GATE_HELP                                                                                            \
    "\n\nWith --fail-if the exit code is 1 where a metric's whole interval lies beyond the bound; a value "  \
    "beyond it whose interval is not does not count. A condition is SUITE.NAME[policy=P, split=S, task=T, "  \
    "judge=J, baseline=B] > NUMBER, or <; what is left out is any, of the policies all but content-blind "   \
    "ones. A condition that names no metric, or only such as have no interval, is an error (exit code 2)."

/* Before long work: whether the conditions given can be read, and there is one where its outcome is asked
 * for. */
int gate_check(const struct arguments *arguments, struct error *err);

/* The same, and whether some metric of the suites asked for (a list of names; NULL: all) can have the
 * name that each condition names. */
int gate_check_suites(const struct arguments *arguments, const struct node *asked, struct error *err);

/* Reads the metrics.jsonl of every finished step of a run, in the order of names; a run without is an error.
 */
int gate_read(struct metrics *out, const char *run_folder, struct error *err);

/* Checks the conditions given, and what an expectations file expects (or NULL); prints, and writes the files
   asked for. 0: passed; 1: something failed; -1 with err set. */
int gate_run(const struct arguments *arguments, const struct metrics *metrics,
             const struct expectations *expected, struct error *err);
/* The same of conditions alone and a run's folder; nothing is read or said if there are none. */
int gate_run_folder(const struct arguments *arguments, const char *run_folder, struct error *err);

/* The suite of that name among what `pyrite list` shows; NULL with err set. */
const struct listing *suite_listing(const char *name, struct error *err);

#endif
