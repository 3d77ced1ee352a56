/* Reference answers, and texts made comparable with them. */
#ifndef JUDGES_REFERENCE_H
#define JUDGES_REFERENCE_H

#include "harness/record.h"

/* What is left of a text; white space always becomes one space, and none at the ends. ASCII alone has cases
   and punctuation here: other characters stay as they are. */
struct normalising {
    int keep_case, keep_punctuation; /* else lower case, and a space for each mark */
    int drop_articles;               /* the words a, an, the, in any case */
};
char *text_normalise(const char *text, const struct normalising *how); /* caller frees */

/* Every answer that is right. */
struct references {
    char **items;
    int count;
};
/* From the question's truth, cut at `separator` (NULL: one answer), or where it is a JSON list of texts its
   items. None if question is NULL or has no truth. */
void references_of(struct references *out, const struct example *question, const char *separator);
void references_free(struct references *references);

/* Whether `part`, not empty, stands in the text between word boundaries. */
int text_has_words(const char *text, const char *part);
/* The last decimal number of a text, commas between groups of three and a leading $ allowed; NaN if none. */
double text_last_number(const char *text);

#endif
