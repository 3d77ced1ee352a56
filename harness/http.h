/* Downloads over libcurl: resumed where they broke off, checked, renamed into place when whole. */
#ifndef HARNESS_HTTP_H
#define HARNESS_HTTP_H

#include "harness/error.h"

/* Fetches url into path unless it is already there. sha256 (64 hex digits, or NULL) must match. What an
   interrupted attempt left in PATH.part is continued. Only https and http; redirects stay on https. */
int http_download(const char *url, const char *path, const char *sha256, struct error *err);

#endif
