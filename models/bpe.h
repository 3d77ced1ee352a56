/* Byte-pair encoding of one word at a time: the merges, their ranks, and the tokens that they make. */
#ifndef MODELS_BPE_H
#define MODELS_BPE_H

#include <stdint.h>

#include "models/span.h"
#include "models/tokenizer.h"

struct merge {
    int left, right, id; /* of the token that they become */
};

struct pair_slot {
    uint64_t key; /* left and right, + 1; 0: empty */
    int rank;
};

struct bpe {
    struct span *tokens; /* bytes of each id; NULL: no merge can make it. Owned. */
    int count;
    int byte_id[256];
    struct merge *merges; /* by rank */
    int merge_count;
    struct pair_slot *pairs;  /* ranks by pair: open addressing */
    size_t pair_room;         /* a power of two */
    struct span_index wholes; /* tokens that their own bytes are encoded to */
    size_t longest;           /* bytes of the longest of them */
};

/* Builds the tables over tokens, byte_id and merges. -1: a pair is there twice. */
int bpe_index(struct bpe *bpe, struct error *err);
void bpe_free(struct bpe *bpe);

/* What encoding needs besides the tables. Start from zero; one for each thread. */
struct bpe_work {
    struct symbol *symbols;
    uint64_t *heap;
    size_t room;
};
void bpe_encode(const struct bpe *bpe, const char *word, size_t length, struct bpe_work *work,
                struct tokens *out);
void bpe_work_free(struct bpe_work *work);

/* Learns merges until there are `count` tokens or no pair is there twice; not indexed yet. */
void bpe_train(struct bpe *bpe, const char *const *texts, int text_count, int count);

#endif
