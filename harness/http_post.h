/* Many POST requests to one endpoint at once, over libcurl: a limit on how many fly and how many leave a
   minute, Retry-After honoured, failures tried again with exponential back-off and jitter, never without end.
   Proxies are those of the environment (https_proxy, no_proxy); TLS certificates are always verified;
   redirects are followed within the same scheme, host and port alone; a reply that grows too large is cut
   off. */
#ifndef HARNESS_HTTP_POST_H
#define HARNESS_HTTP_POST_H

#include <stddef.h>
#include <stdint.h>

#include "harness/error.h"

struct http_settings {
    const char *url;     /* https, or http; with a key http is taken to this machine alone */
    const char *key;     /* sent as "Authorization: Bearer KEY"; wiped out of replies; NULL: none */
    const char *ca_file; /* certificates to trust instead of the system's; or NULL */
    int concurrency;     /* requests in flight at most */
    int retries;         /* attempts after the first; 0: none */
    double per_minute;   /* requests that leave a minute at most; 0: any number */
    double connect_seconds, seconds; /* of an attempt: to connect, in all */
    double backoff;      /* seconds before the second attempt, doubled for each later one, × ½ … 1½ */
    double longest_wait; /* seconds; a server that asks for more is not asked again */
    size_t most_bytes;   /* of a reply's body */
    uint64_t seed;       /* of the jitter */
};

enum http_end {
    HTTP_DONE,      /* a status of 200 … 299 and its whole body */
    HTTP_STATUS,    /* another status */
    HTTP_BODY,      /* a body that check() did not take */
    HTTP_NETWORK,   /* no connection, or one that broke */
    HTTP_TIMEOUT,   /* no whole reply in time */
    HTTP_TOO_LARGE, /* the body grew beyond most_bytes */
    HTTP_REDIRECT,  /* to somewhere else, refused */
    HTTP_TLS        /* the server could not be verified */
};

struct http_reply {
    enum http_end end;
    int status, attempts; /* status: 0 where no headers came */
    const char *type;     /* Content-Type; may be NULL */
    const char *body;     /* what came of it, NUL-terminated */
    size_t length;
    char reason[256];    /* one sentence, of a failure; without the key */
    int may_be_charged;  /* the server may have done the work of the last attempt */
    int worth_repeating; /* another attempt may succeed; set again by check() */
};

struct http_feed {
    void *context;
    /* The next request's number and body (borrowed until done): 1; 0: none until one in flight has ended; -1:
       none any more. */
    int (*next)(void *context, int *number, const char **body);
    /* Looks at a whole reply: a body that is no answer is a failure that reason and worth_repeating tell. */
    void (*check)(void *context, int number, struct http_reply *reply);
    /* Whether a failed attempt may be followed by another. */
    int (*again)(void *context, int number, const struct http_reply *reply);
    /* The end of a request; -1 with err set ends everything, what is in flight is dropped. */
    int (*done)(void *context, int number, const struct http_reply *reply, struct error *err);
};

/* Asks until next() has none any more and all have ended. */
int http_post(const struct http_settings *settings, const struct http_feed *feed, struct error *err);

/* Whether the URL can be asked: a scheme of https or http, a host, no name, password or query in it; a
   key over http goes to this machine alone. */
int http_check_url(const char *url, int with_key, struct error *err);

#endif
