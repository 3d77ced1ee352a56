#include <string.h>

#include "harness/registry.h"

const struct stage *stage_find(const char *name) {
    for (int i = 0; stages[i]; i++)
        if (!strcmp(stages[i]->name, name)) return stages[i];
    return NULL;
}

const struct world *world_find(const char *name) {
    for (int i = 0; worlds[i]; i++)
        if (!strcmp(worlds[i]->name, name)) return worlds[i];
    return NULL;
}
