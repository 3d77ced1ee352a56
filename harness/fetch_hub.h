/* Models and data sets of a hub that is laid out as huggingface.co: what a name means, and which files it
 * has. */
#ifndef HARNESS_FETCH_HUB_H
#define HARNESS_FETCH_HUB_H

#include "harness/fetch.h"

/* A repository at one commit, and the files of it that are wanted; owns everything. */
struct hub {
    char *name, *commit;  /* "org/name", 40 hex digits */
    struct fetching how;  /* for fetch_file() with these files */
    char *folder, *cache; /* TO/org/name; CACHE/hf/models/org/name/COMMIT */
    const char *mirror;   /* the endpoint */
    struct public_file *files;
    int count;
    double bytes;
};

int is_hub_name(const char *word);                  /* it begins with "hf:" */
int hub_check(const char *word, struct error *err); /* that it is one that hub_open() understands */

/* hf:[datasets/]org/name[@revision][/file]: asks the endpoint which files the revision has, and takes the one
   named, else of a model its safetensors (or its only GGUF file), configuration and tokenizer, of a data set
   what can be read. how: folder, cache, offline; endpoint and token are HF_ENDPOINT and HF_TOKEN of the
   environment. What was asked once is answered from the cache where how->offline. 1 with err set where it
   cannot be had, -1 where the name is wrong. */
int hub_open(struct hub *out, const char *word, const struct fetching *how, struct error *err);
void hub_close(struct hub *hub);

#endif
