/* A section of a Markdown file that a command writes, again and again: what stands between the lines <!--
   NAME --> and
   <!-- end of NAME -->. */
#ifndef HARNESS_SECTION_H
#define HARNESS_SECTION_H

#include "harness/error.h"

/* 0 if the file has such lines, else -1 with err set: to be asked before long work. */
int section_check(const char *path, const char *name, struct error *err);
/* -1 with err set where the file has no such lines; the rest of it stays as it is. */
int section_write(const char *path, const char *name, const char *text, struct error *err);

#endif
