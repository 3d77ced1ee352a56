/* Modules that adapters go on, by a list as tests write it. */
#ifndef TESTS_TARGETS_H
#define TESTS_TARGETS_H

#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "models/adapter.h"

/* "q_proj, v_proj" */
static inline int adapter_targets(unsigned *targets, const char *names, const struct config *config,
                                  struct error *err) {
    char *copy = xstrdup(names), *rest = copy, *name;
    int status = 0;

    while (status == 0 && (name = strsep(&rest, ",")))
        status = adapter_target(targets, name + strspn(name, " "), config, err);
    free(copy);
    return status;
}

#endif
