/* The program's commands over fake stages: what tests run as a process of its own. */
#include "harness/command.h"

extern const struct command command_run, command_list, command_report, command_world, command_version;

const struct command *const commands[] = {&command_run,   &command_list,    &command_report,
                                          &command_world, &command_version, NULL};
