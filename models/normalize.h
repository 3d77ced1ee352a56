/* Rewriting a text before it is cut into words, keeping account of where its bytes come from. */
#ifndef MODELS_NORMALIZE_H
#define MODELS_NORMALIZE_H

#include <stddef.h>

enum rewrite_kind {
    REWRITE_NFC,       /* canonical composition (Unicode's annex 15) */
    REWRITE_PREPEND,   /* `to` before every text */
    REWRITE_LEAD,      /* the same, unless the text begins with it */
    REWRITE_LEAD_ONCE, /* the same, and only at the very beginning of what is encoded */
    REWRITE_REPLACE    /* `from` by `to`, everywhere */
};

/* One step; its texts are owned by whoever made it. */
struct rewrite {
    enum rewrite_kind kind;
    char *from, *to;
};

/* Byte i comes from byte source[i] of the text that was given; source[length] is where that ends. */
struct rewritten {
    char *bytes;
    size_t *source;
    size_t length, room;
};

/* Whether rewrite() would leave the text, which is not empty, as it is. */
int rewrite_changes_nothing(const struct rewrite *steps, int count, const char *text, size_t length);
/* Rewrites text[length], whose byte i is byte source[i] (NULL: first + i) of what was given. `spare` is
   memory to work with; both may hold anything from before. */
void rewrite(const struct rewrite *steps, int count, const char *text, size_t length, const size_t *source,
             size_t first, struct rewritten *out, struct rewritten *spare);
void rewritten_free(struct rewritten *rewritten);

#endif
