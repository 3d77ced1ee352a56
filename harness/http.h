/* Downloads over libcurl, continued where they broke off. */
#ifndef HARNESS_HTTP_H
#define HARNESS_HTTP_H

#include "harness/error.h"

struct http_file {
    const char *url;
    const char *part;  /* receives the bytes, after those that an earlier attempt left there */
    long long most;    /* bytes that are accepted in all, beyond which the part is removed */
    const char *token; /* of the server that url names, sent to no other; NULL: none. Never in a message */
    int attempts;      /* 1: none again. Else after breaks, 5xx and 429, as long as something came, or waiting
                          as Retry-After says */
};

/* Fetches the file; a server that cannot continue starts again. What came before a failure stays in `part`,
   but a web page in a file's place does not. Only https and http; what begins on https stays there. A token
   is sent over https, or to this machine, alone. 404, 401 and 403 are said in words. */
int http_download(const struct http_file *file, struct error *err);

#endif
