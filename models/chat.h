/* Conversations as the text that a model was taught: formats that chat templates are recognized as, and one
 * renderer for all of them. */
#ifndef MODELS_CHAT_H
#define MODELS_CHAT_H

#include "harness/document.h"
#include "harness/memory.h"
#include "models/tokenizer.h"

/* What is put around the contents of turns. "{bos}" and "{eos}" in a text are the tokenizer's. NULL is "". */
struct chat_format {
    const char *name;
    const char *begin; /* of the whole */
    const char *system_before, *system_after, *user_before, *user_after;
    const char *assistant_before;
    const char *assistant_end;  /* ends what an assistant writes, and is learned with it */
    const char *assistant_tail; /* follows it and is not learned */
    const char *last_end;       /* the same for an assistant's turn that is the last, in place of both */
    const char *ask;            /* asks the assistant to write */
    const char *stop;           /* the token that ends what an assistant writes */
    const char *default_system; /* of conversations that begin without one; NULL: none */
    int trim;                   /* spaces around contents go */
    int alternates;             /* user and assistant take turns, the user first */
    int no_system;              /* a system turn is refused */
    int system_in_user;         /* a system turn becomes the beginning of the first user's content */
    const char *first_system;   /* before the content of a system turn that begins the conversation, and which
                                   is   then always there; NULL: none */
};

/* A format of a tokenizer, with texts of its own where they depend on the template. */
struct chat {
    struct chat_format format;
    char *begin_text, *end_text; /* bos_token and eos_token, "" if there is none */
    struct node *description;    /* of an override file, whose texts the format uses; else NULL */
    char *own_system;            /* the template's default system turn, which the format uses; else NULL */
};

struct turn {
    const char *role; /* system, user or assistant */
    const char *content;
};

enum chat_end {
    CHAT_CLOSED, /* every turn is over */
    CHAT_ASK,    /* then the assistant is asked to write */
    CHAT_OPEN    /* the last turn, an assistant's, goes on */
};

/* A conversation as text. Start from zero. */
struct rendering {
    struct text text;
    struct stretch *contents; /* [turns] what of the text is the turn's own */
    struct stretch *learned;  /* [turns] of an assistant's turn its content and end; else empty */
    int count, room;
};

/* The format that a chat template of Hugging Face (Jinja) is, told by what it holds, spaces aside; -1 with
   err set if it is none that is known. chat_free() also after a failure. */
int chat_recognize(struct chat *out, const char *template, struct error *err);
/* The format of this name, or that a map describes by struct chat_format's names (with "format": a name to
   start from). Takes the node over. */
int chat_named(struct chat *out, const char *name, struct error *err);
int chat_described(struct chat *out, struct node *description, struct error *err);
void chat_free(struct chat *chat);

/* Renders turns. -1 with err set: a role that the format does not have, or roles that do not alternate. */
int chat_render(const struct chat *chat, const struct turn *turns, int count, enum chat_end end,
                struct rendering *out, struct error *err);
void rendering_free(struct rendering *rendering);

/* Ids of a rendering; special tokens spelt in contents are ordinary characters. turn[i], of as many as ids
   are appended: the turn of whose learned part token i is, or -1. A token belongs where it ends. */
void rendering_encode(const struct tokenizer *tokenizer, const struct rendering *rendering,
                      struct tokens *ids, struct tokens *turn);
/* Appends the ids of what follows byte `begin`. */
void rendering_encode_from(const struct tokenizer *tokenizer, const struct rendering *rendering, size_t begin,
                           struct tokens *out);

#endif
