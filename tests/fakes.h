/* Stages, a world and a report that cost nothing, for tests of recipes and runs. */
#ifndef TESTS_FAKES_H
#define TESTS_FAKES_H

#include <stdio.h>

/* A new folder that only this process uses; caller frees. */
char *fakes_folder(void);
/* Writes FOLDER/name and returns its path; caller frees. */
char *fakes_write(const char *folder, const char *name, const char *text);
/* The file's text, or NULL; caller frees. */
char *fakes_read(const char *folder, const char *name);

#endif
