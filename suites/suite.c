#include "suites/suite.h"

#include <string.h>

const struct suite *suite_find(const char *name) {
    for (const struct suite *const *suite = suites; *suite; suite++)
        if (!strcmp((*suite)->name, name)) return *suite;
    return NULL;
}
