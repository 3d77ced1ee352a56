/* Byte-pair encoding of one word at a time: the merges, their ranks, and the tokens that they make. */
#ifndef MODELS_BPE_H
#define MODELS_BPE_H

#include <stdint.h>

#include "models/span.h"
#include "models/tokenizer.h"

struct merge {
    int left, right, id; /* of the token that they become */
    int rank;            /* the lowest of a word is merged first, the leftmost of equals */
};

struct pair_slot {
    uint64_t key; /* left and right, + 1; 0: empty */
    int merge;
};

struct bpe {
    struct span *tokens; /* the bytes of a word that each id stands for; NULL: no word holds it. Owned. */
    int count;
    int characters; /* words begin as the tokens of their characters, not of their bytes */
    /* Of each byte; with `characters`, what an unknown character becomes if all of its bytes have one, or -1.
     */
    int byte_id[256];
    int unknown, fuse_unknown; /* the token of others, -1: they vanish; one for a row of them */
    int whole_first;           /* a word that is a token is not looked into (ignore_merges) */
    struct merge *merges;
    int merge_count;
    struct pair_slot *pairs;  /* merges by pair: open addressing */
    size_t pair_room;         /* a power of two */
    struct span_index known;  /* all tokens that have bytes */
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
/* ends, unless NULL: where each token ends, in bytes of the word. */
void bpe_encode(const struct bpe *bpe, const char *word, size_t length, struct bpe_work *work,
                struct tokens *out, struct tokens *ends);
void bpe_work_free(struct bpe_work *work);

/* Learns merges until there are `count` tokens or no pair is there twice; not indexed yet. */
void bpe_train(struct bpe *bpe, const char *const *texts, int text_count, int count);

#endif
