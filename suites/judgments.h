/* The judges that an evaluation names, put to its answers; how many judgments each made, and how many failed.
 */
#ifndef SUITES_JUDGMENTS_H
#define SUITES_JUDGMENTS_H

#include "suites/gather.h"

/* Asks the judges of the list in its order: every answer, and every pair of a policy's and the baseline's
   answer to one prompt under one seed. Null policies are judged where the entry says so, or if it says
   nothing where the judge is not costly. Adds columns, verdicts, the judges' names and their accounts. */
int judgments_make(struct gathered *out, const struct gather_options *options, const struct run *run,
                   struct error *err);

/* The accounts as FOLDER/judging.json: {most_failures, judges: {NAME: {use, judgments, verdicts, ties,
   refused, unparsed, transport, failed, and what the judge says of itself}}}. Nothing where no judge was
   named. */
int judgments_write(const struct gathered *gathered, double most_failures, const char *folder,
                    struct error *err);

#endif
