/* Long lines broken between words. */
#ifndef HARNESS_WRAP_H
#define HARNESS_WRAP_H

#include <stdio.h>

#include "harness/memory.h"

/* Places of a line of the terminal that the stream is, less one; 0 where it is none. */
int wrap_width(FILE *out);

/* Adds the text in lines of at most `width` places, each begun by `indent` blanks where a longer one was
   broken; the first begins at `column`. Blanks within a line and its own ends of lines stay, and a word
   longer than a line is not broken. width 0: as it is. */
void wrap_text(struct text *out, const char *text, int column, int indent, int width);

#endif
