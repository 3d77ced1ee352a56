/* The judges that an evaluation names: a list of maps {use: NAME, options of that judge}, with two keys that
   every judge has: `name`, how verdicts call it, and `nulls`, whether it judges content-blind policies too.
 */
#ifndef HARNESS_JUDGE_LIST_H
#define HARNESS_JUDGE_LIST_H

#include "harness/option.h"

/* Borrows from the node it was read from, options apart. */
struct judge_entry {
    const char *use, *name; /* name: `use` where none is given */
    int nulls;              /* 1, 0; -1: as the judge has it */
    struct node *options;   /* the judge's own, a map; caller frees */
};

int judge_entry_read(struct judge_entry *out, const struct node *node, const char *where, struct error *err);
/* Every entry: known judges with options that they have, no two of one name. */
int judge_list_check(const struct node *list, const char *where, struct error *err);
/* The same for every option of the table that is a list of judges. */
int judge_lists_check(const struct option *table, const struct node *given, const char *where,
                      struct error *err);
/* The judge's own options, NULL where it has none or there is no such judge. */
const struct option *judge_options(const char *use);

/* Calls each(context, option, value) for the file that an option of a judge names, also of judges within
   judges; 0, or the first that is not. */
int judge_list_files(struct node *list,
                     int (*each)(void *context, const struct option *option, struct node *value,
                                 struct error *err),
                     void *context, struct error *err);
/* Files of the list's options are relative to `beside`, a file: puts its folder before them. */
void judge_list_locate(struct node *list, const char *beside);
/* "NAME[,key=value]..." as a map; values are YAML, and a comma within brackets or quotes is theirs. */
struct node *judge_entry_parse(const char *words, const char *where, struct error *err);

#endif
