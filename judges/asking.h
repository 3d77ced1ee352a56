/* Asks a chat endpoint many questions: each once, from the cache where it was answered before, within a
   budget that no request may pass. */
#ifndef JUDGES_ASKING_H
#define JUDGES_ASKING_H

#include "harness/http_post.h"
#include "harness/store_cache.h"

struct ask_settings {
    struct http_settings http;
    const char *label;                /* of the progress */
    double input_price, output_price; /* of a million tokens */
    double budget; /* in the prices' currency, over all that these questions ever cost; 0: none */
    int max_tokens;
    int give_up;      /* failures in a row after which nothing more is asked; 0: never */
    int retry_errors; /* ask again what failed before */
};

enum ask_state { ASK_WAITING, ASK_FLYING, ASK_ANSWERED, ASK_FAILED, ASK_UNASKED };

struct inquiry {
    char *body;    /* of the request, while it is in flight */
    char key[65];  /* hash of the endpoint and the body */
    double worst;  /* what one attempt may cost */
    double charge; /* of attempts that failed, as if all had been charged */
    enum ask_state state;
    struct cached reply; /* where answered or failed */
    char reason[256];    /* where unasked */
    int same_as;         /* an earlier one that asks the same; -1: none */
};

/* What was done, over all calls. */
struct ask_totals {
    int asked, cached, failed, unasked, attempts;
    double cost; /* that all these questions ever came to */
};

struct asking {
    struct ask_settings settings;
    struct cache *cache;
    struct ask_totals totals;
    /* Of the call in progress. */
    struct inquiry *list;
    int count, next, flying, finished, failures;
    double reserved; /* what is in flight may cost */
    char *(*make_body)(void *context, int number);
    void *context;
    struct error *err;
    char *last_failure;
    int broken; /* err is set */
};

/* Sets key and worst of the request that has this body. */
void inquiry_make(struct inquiry *inquiry, const struct ask_settings *settings, const char *body);
void inquiry_free(struct inquiry *inquiry);

/* Each ends answered, failed or unasked. make_body(context, number) makes the body of a request again when it
   is to leave, so that those that wait take no room. -1 with err set where the cache fails: what was paid for
   until then is in it. */
int ask(struct asking *asking, struct inquiry *list, int count, char *(*make_body)(void *context, int number),
        void *context, struct error *err);

#endif
