/* A rubric: what a model is asked about one or two answers, what it may say, and what that is worth. A YAML
   file; docs/judging.md describes it. */
#ifndef JUDGES_RUBRIC_H
#define JUDGES_RUBRIC_H

#include "harness/document.h"
#include "harness/error.h"

/* Something that a judge may say. */
struct choice {
    char *token;
    double score; /* NaN: it abstains */
};

struct choices {
    struct choice *items;
    int count;
    int numbers; /* not listed: every number in [low, high] is offered, and is its own score */
    double low, high;
};

enum method { METHOD_TEXT, METHOD_LOGPROBS };

/* A judgment whose right answer is known. */
struct known {
    const char *prompt, *reference, *good, *bad; /* reference: may be NULL */
};

struct rubric {
    struct node *tree; /* owns the texts */
    const char *name, *what, *system, *user, *marker;
    const char *endings[2];   /* by method; NULL: the rubric has no such form */
    struct choices offers[2]; /* by method */
    int pair, needs_reference;
    const char *null_answer; /* without content; or NULL */
    double null_at_most;     /* a single answer's score that it may get */
    struct known *known;
    int known_count;
    char hash[65]; /* SHA-256 of the file */
};

/* The rubric of a name that comes with the program, or of a file (path not NULL). */
int rubric_open(struct rubric *out, const char *name, const char *path, struct error *err);
void rubric_free(struct rubric *rubric);

/* What is put into a rubric's text; for a single answer second is NULL. */
struct exhibit {
    const char *prompt, *first, *second, *reference;
};

/* The "messages" of a request. Each text stands between lines with a number that no text holds, drawn from
   the texts and `salt`, and is defused (judges/defence.h). Caller frees. */
struct node *rubric_messages(const struct rubric *rubric, const struct exhibit *exhibit, enum method method,
                             int salt);

/* The rubrics that come with the program; made from judges/rubrics/ at build. */
struct text_file {
    const char *name, *text;
};
extern const struct text_file rubric_files[]; /* ends with {0} */

#endif
