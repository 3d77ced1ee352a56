/* Public files brought to a folder: from a cache that every folder of this user shares, else from the first
   server that has them whole. */
#ifndef HARNESS_FETCH_H
#define HARNESS_FETCH_H

#include "harness/error.h"
#include "harness/public_files.h"

struct fetching {
    const char *folder;         /* receives files */
    const char *cache;          /* keeps them; its path */
    const char *const *mirrors; /* servers instead of the public ones, tried in turn; may be NULL */
    int mirror_count;
    int offline;       /* never asks a server */
    const char *token; /* of the mirrors; or NULL */
    int attempts;      /* at an address; 0: one (harness/http.h) */
    int exact;         /* the sizes of files are what they must have; files may be linked to the cache */
};

enum fetched_from { FETCHED_ALREADY, FETCHED_CACHE, FETCHED_SERVER };
struct fetched {
    enum fetched_from from;
    char sha256[65]; /* of the file */
    int first_use;   /* nobody knew its SHA-256 before: it is trusted, and remembered in the cache */
};

/* Puts FOLDER/FILE there, whole and of the right SHA-256: of the table's, else of the one that the cache
   remembers. What an interrupted download left in the cache is continued, by whichever command asks next; two
   that ask at once wait for each other. A file in the folder that is another one is an error and stays. */
int fetch_file(const struct fetching *how, const struct public_file *file, struct fetched *out,
               struct error *err);

/* $PYRITE_CACHE, $XDG_CACHE_HOME/pyrite or ~/.cache/pyrite; NULL if none is set. Caller frees. */
char *fetch_cache(void);

#endif
