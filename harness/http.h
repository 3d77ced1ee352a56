/* Downloads over libcurl, continued where they broke off. */
#ifndef HARNESS_HTTP_H
#define HARNESS_HTTP_H

#include "harness/error.h"

/* Fetches url into the file `part`, after the bytes that an earlier attempt left there; a server that cannot
   continue starts again. most: bytes that are accepted in all, beyond which the file is removed. What came
   before a failure stays in `part`, but a web page in a file's place does not. Only https and http; what
   begins on https stays there. */
int http_download(const char *url, const char *part, long most, struct error *err);

#endif
