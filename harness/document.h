/* One tree for YAML and JSON, with line marks; read, looked up, built and written in one way. */
#ifndef HARNESS_DOCUMENT_H
#define HARNESS_DOCUMENT_H

#include <stddef.h>
#include <stdio.h>

#include "harness/error.h"

enum node_kind { NODE_NULL, NODE_BOOL, NODE_NUMBER, NODE_STRING, NODE_LIST, NODE_MAP };

enum { DOCUMENT_DEPTH = 100 }; /* of lists and maps in one another, at most */

struct node {
    enum node_kind kind;
    char *key; /* in a map; else NULL */
    char *
        text; /* of a string; of a number or YAML boolean that was read, or a built real, also its spelling */
    double number; /* of a number; 0 or 1 of a boolean */
    int line;      /* in the file it came from, from 1; 0 if built */
    int count;     /* of children */
    struct node *first, *last, *next;
};

/* A file: JSON if it ends in .json, else YAML (anchors resolved). NULL with err set, naming file and line. */
struct node *document_read(const char *path, struct error *err);
/* One JSON text; `name` and `line` are for the error's sentence. */
struct node *document_parse_json(const char *text, size_t length, const char *name, int line,
                                 struct error *err);
struct node *document_parse_yaml(const char *text, size_t length, const char *name, struct error *err);
/* A YAML value of a command line: it has no lines, and the error's sentence begins with the name alone. */
struct node *document_parse_value(const char *text, const char *name, struct error *err);
/* As JSON over several lines, as file_write() does. */
int document_write(const char *path, const struct node *node, struct error *err);
struct node *node_copy(const struct node *node); /* without its key; caller frees */
void node_free(struct node *node);               /* NULL is fine */

const struct node *node_get(const struct node *map, const char *key); /* NULL if missing; map may be NULL */
const char *node_text(const struct node *map, const char *key, const char *fallback);
double node_number(const struct node *map, const char *key, double fallback);
/* Cut to a whole number; the fallback where an int cannot hold it. */
int node_int(const struct node *map, const char *key, int fallback);

/* Building. Each adds to a map (key given) or a list (key NULL) and returns the new child. */
struct node *node_new(enum node_kind kind);
struct node *node_add(struct node *parent, const char *key, enum node_kind kind);
struct node *node_add_text(struct node *parent, const char *key, const char *text); /* NULL text adds null */
struct node *node_add_number(struct node *parent, const char *key, double number);
/* The same with a decimal point or exponent, for readers that tell 30 from 30.0. */
struct node *node_add_real(struct node *parent, const char *key, double number);
struct node *node_add_bool(struct node *parent, const char *key, int truth);
struct node *node_add_copy(struct node *parent, const char *key, const struct node *value);
struct node *node_attach(struct node *parent, const char *key, struct node *child); /* takes the child */
/* Each replaces or adds. */
struct node *node_set_copy(struct node *map, const char *key, const struct node *value);
struct node *node_set_text(struct node *map, const char *key, const char *text);

/* Compact JSON on one line (no newline); numbers in the shortest form that reads back the same;
   NaN and infinity as null, bytes that are not UTF-8 as U+FFFD. indent > 0 pretty-prints. Caller frees. */
char *node_json(const struct node *node, int indent);
/* The same and the end of the line; -1 where the file does not take it (errno). */
int node_print(FILE *out, const struct node *node, int indent);

/* A key given twice in one map is an error that names the second's line. */
int node_check_keys(const struct node *map, const char *name, struct error *err);

/* Calls each(context, node, line) for every record of a .jsonl, .json (a list, or a map with a list
   "samples") or .csv (header row: every field a string) file, which may be packed: .gz, .zst. One record at a
   time is held (of a map all); one of more than 256 MiB is an error. each returns 0 to go on, 1 to stop
   (returned), -1 with err set. Errors name file and line. */
int document_each(const char *path,
                  int (*each)(void *context, const struct node *record, int line, struct error *err),
                  void *context, struct error *err);

#endif
