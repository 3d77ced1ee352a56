/* The content of files and folders as one hash. */
#ifndef HARNESS_SOURCE_H
#define HARNESS_SOURCE_H

#include "harness/error.h"

/* Of a file its SHA-256; of a folder that of the sorted list of its files' names and hashes, timing.jsonl and
   step.json left out; of an adapter's folder that of its base too. */
int source_read(char hex[65], const char *path, struct error *err);

/* Removes what an interrupted write left: files *.tmp in the folder and below. */
int source_clean(const char *folder, struct error *err);

#endif
