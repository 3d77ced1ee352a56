/* Matrix variables in a recipe's values: $name in texts, and {by: name, VALUE: …} where a variable chooses.
 */
#ifndef HARNESS_MATRIX_H
#define HARNESS_MATRIX_H

#include "harness/document.h"
#include "harness/error.h"

/* A copy of a map with every $variable and {by: …} replaced. NULL with err set, naming the file `where`
 * and the line. */
struct node *matrix_replace(const struct node *map, const struct node *variables, const char *where,
                            struct error *err);

/* A scalar as it was written: what stands for it in names. Caller frees. */
char *matrix_spelling(const struct node *value);
int matrix_is_scalar(const struct node *value);

#endif
