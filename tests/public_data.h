/* Where tests find public data: in the folder PYRITE_DATA, else in data/, where `pyrite fetch` puts it. */
#ifndef TESTS_PUBLIC_DATA_H
#define TESTS_PUBLIC_DATA_H

#include <stdio.h>
#include <stdlib.h>

#include "harness/file.h"

/* A file of it; NULL (and a line that says SKIP) where it is not at hand. Caller frees. */
static inline char *public_data(const char *name) {
    const char *data = getenv("PYRITE_DATA"), *srcdir = getenv("srcdir");
    char *folder = path_join(data ? data : srcdir ? srcdir : ".", data ? "." : "data");
    char *path = path_join(folder, name);

    free(folder);
    if (file_exists(path)) return path;
    printf("SKIP: %s is not there\n", path);
    free(path);
    return NULL;
}

#endif
