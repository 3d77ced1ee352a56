/* What a tokenizer is made of, for the files that read, write and apply it. */
#ifndef MODELS_TOKENIZER_PARTS_H
#define MODELS_TOKENIZER_PARTS_H

#include "harness/document.h"
#include "models/bpe.h"
#include "models/chat.h"
#include "models/normalize.h"
#include "models/pretokenize.h"
#include "models/tokenizer.h"

#define MOST_TOKENS (1 << 24)
enum { STEPS_MOST = 8 };

/* A token that is cut out of the text before anything else. */
struct added {
    char *content;
    char *pattern; /* what is looked for: content, normalized if that is asked for */
    size_t length; /* of the pattern */
    int id, special;
    int single_word, lstrip, rstrip, normalized;
};

/* Added tokens by the first byte of their pattern, the longest first. */
struct added_set {
    const struct added **items;
    int first[257]; /* items[first[b]] to items[first[b + 1] - 1] begin with byte b */
};

struct tokenizer {
    struct node *settings; /* tokenizer.json without vocabulary and merges */
    struct bpe bpe;
    int vocab;          /* one more than the largest id */
    char **names;       /* of each id, as tokenizer.json spells it; NULL: no such id */
    char *listed;       /* of each id: in the model's vocabulary, not only added */
    struct span *spans; /* names again, to look them up */
    struct span_index by_name;
    struct span *decoded; /* the bytes that each id stands for in text; owned */
    char *special;        /* of each id */
    struct added *added;
    int added_count;
    struct added_set raw, normalized;                       /* looked for before and after `rewrites` */
    struct rewrite rewrites[STEPS_MOST], leads[STEPS_MOST]; /* of the normalizer; of the pre-tokenizer */
    int rewrite_count, lead_count;
    enum pretokens cuts[STEPS_MOST];
    int cut_count;
    int byte_level;              /* names are spelt in GPT-2's alphabet */
    int strip;                   /* spaces that decoding takes off the beginning, at most */
    int blank_text;              /* BLANKs of names are spaces in text */
    int byte_fallback;           /* <0x0A> is a byte in text */
    struct tokens before, after; /* what the post-processor puts around a text */
    struct node *config;         /* tokenizer_config.json; NULL: none */
    struct chat chat;
    char *chat_problem; /* why the chat format is not known; NULL: it is */
    int end;            /* the id that ends what an assistant writes; -1: none */
};

/* From tokenizer.json's document, which it takes over, also where it fails. ranks of its merges, which
   ascend; NULL: their order. */
int tokenizer_build(struct tokenizer **out, struct node *document, const int *ranks, struct error *err);
/* A folder's tokenizer_config.json, an empty map if there is none, with the text of chat_template.jinja. The
   map is the caller's, also after a failure. */
int tokenizer_config_read(struct node **out, const char *folder, struct error *err);
/* Its chat template: a text, or in a list the one that is named "default"; NULL: none. */
const char *tokenizer_template(const struct node *config);
/* Finds a token by its name; -1 if there is none. */
int tokenizer_find(const struct tokenizer *tokenizer, const char *name, size_t length);

/* GPT-2's alphabet. The bytes that name[length] spells; bytes NULL where it is empty or holds other
   characters; caller frees. And back. */
struct span tokenizer_unspell(const char *name, size_t length);
char *tokenizer_spell(const struct span *bytes);

#endif
