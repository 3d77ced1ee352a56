/* Public data that recipes, suites and documents use; nothing of it is shipped. */
#ifndef HARNESS_PUBLIC_FILES_H
#define HARNESS_PUBLIC_FILES_H

/* What is kept of a table of prompts: {"id", "prompt"} and, where there is a column, "category". */
struct kept_prompts {
    const char *id;                /* column; NULL: numbered after `prefix` */
    const char *prefix;            /* "advbench-" */
    const char *prompt, *category; /* columns; category may be NULL */
    const char *where, *is;        /* only rows whose column `where` is so; NULL: all */
};

struct public_file {
    const char *file; /* where it lies in the data folder: "xstest/xstest_prompts.csv" */
    const char *repository, *commit, *path; /* at GitHub */
    const char *sha256; /* of what is kept; NULL: known only after a first download, which is then trusted */
    long bytes;         /* of the download; 0: not known */
    const struct kept_prompts *kept; /* NULL: the whole file */
};

struct public_set {
    const char *name, *licence;      /* licence: with what one should know before using it */
    const struct public_file *files; /* ends with {0} */
};

extern const struct public_set public_sets[]; /* ends with {0} */

/* The address under a server that is laid out as raw.githubusercontent.com is; caller frees. */
char *public_file_url(const struct public_file *file, const char *server);
/* Where else the file can be had by commit; caller frees. */
char *public_file_mirror(const struct public_file *file);

/* The command that puts the public file of this path there, or the hub's model of a path DIR/data/ORG/NAME
   that has no file's ending; or NULL; the caller frees. */
char *public_file_fetch(const char *path);

#endif
