/* A file's bytes in order, unpacked where its first bytes say that it is gzip or zstd. */
#ifndef HARNESS_UNPACK_H
#define HARNESS_UNPACK_H

#include <stddef.h>

#include "harness/error.h"

struct unpack;

/* NULL with err set. */
struct unpack *unpack_open(const char *path, struct error *err);
/* The next bytes, at most `room`, which is below 2 GiB: how many, 0 at the end; -1 with err set where they
   cannot be read, are damaged or end too early. */
long unpack_read(struct unpack *in, char *out, size_t room, struct error *err);
void unpack_close(struct unpack *in); /* NULL is fine */

#endif
