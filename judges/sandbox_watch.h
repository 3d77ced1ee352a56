/* What the processes of a sandbox hold together, seen from outside. */
#ifndef JUDGES_SANDBOX_WATCH_H
#define JUDGES_SANDBOX_WATCH_H

#include <sys/types.h>

#include "judges/sandbox.h"

/* Whether the descendants of `root` hold more memory, are more, or have more files in their /tmp than
   allowed: 1 and what, else 0. Memory is what is theirs (anonymous, shared, swapped out); pages that they
   share with each other count for each. That they are too many is seen here only where the system does not
   count them (real root). */
int sandbox_over_limit(pid_t root, const struct sandbox_limits *limits, enum sandbox_end *what);

/* Ends what bubblewrap started, after which it ends by itself; bubblewrap, where it has started nothing yet.
   To be called again while it lives. */
void sandbox_kill(pid_t root);

#endif
