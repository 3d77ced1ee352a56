/* The command line: words and flags of a command, its --help, and the manual page, all from one table. */
#ifndef HARNESS_COMMAND_LINE_H
#define HARNESS_COMMAND_LINE_H

#include "harness/command.h"

/* NULL with err set, naming the nearest. */
const struct command *command_find(const char *name, struct error *err);

/* argv[0] is the command's own name. 0 read, 1 help was asked for, -1 with err set. argv is reordered and
   borrowed. */
int arguments_read(struct arguments *out, const struct command *command, int argc, char **argv,
                   struct error *err);
void arguments_free(struct arguments *arguments);

void program_help(FILE *out);
void command_help(const struct command *command, FILE *out);
void program_manual(FILE *out); /* troff, man macros */

#endif
