/* Replies that were paid for, kept for good: an append-only SQLite table keyed by the hash of the whole
   request, fsynced reply by reply, that any number of processes may share. What counts of a key is its first
   good reply, else its first failure: every process comes to read the same, and a failure gives way to an
   answer alone. */
#ifndef HARNESS_STORE_CACHE_H
#define HARNESS_STORE_CACHE_H

#include "harness/error.h"

struct cache;

struct cached {
    int good;     /* an answer; else a failure, told by reason */
    int kind;     /* of failure, the caller's number */
    char *body;   /* or NULL */
    char *reason; /* or NULL */
    int attempts; /* behind it */
    double input_tokens, output_tokens;
    double cost; /* put: of these attempts; got: of all that the key has cost */
};

/* Made with its folder where it is not there yet. */
int cache_open(struct cache **out, const char *path, struct error *err);
void cache_close(struct cache *cache); /* NULL is fine */

/* 1 with what is known of the key, 0 where nothing is, -1 with err set. */
int cache_get(struct cache *cache, const char *key, struct cached *out, struct error *err);
/* On disk when it returns. */
int cache_put(struct cache *cache, const char *key, const struct cached *reply, struct error *err);
void cached_free(struct cached *reply); /* what it holds */

#endif
