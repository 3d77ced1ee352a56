/* Files and folders: written to a temporary name, fsynced, renamed. */
#ifndef HARNESS_FILE_H
#define HARNESS_FILE_H

#include <stddef.h>
#include <stdio.h>

#include "harness/error.h"

/* An output file that appears under its name only when finished. */
struct output {
    FILE *file;
    char *path, *temporary;
};
int output_open(struct output *out, const char *path, struct error *err);
int output_close(struct output *out, struct error *err); /* fsync, rename, fsync folder */
void output_discard(struct output *out);                 /* harmless after close */

int file_write(const char *path, const void *bytes, size_t length, struct error *err);
char *file_read(const char *path, size_t *length, struct error *err); /* NUL-terminated; NULL on error */
int file_exists(const char *path);
int file_same(const char *a, const char *b); /* both are there, and one, wherever links and dots lead */
int folder_make(const char *path, struct error *err);   /* and its parents */
int folder_remove(const char *path, struct error *err); /* and all in it; missing is fine */
int folder_exists(const char *path);
/* Calls each(context, path) for every file of this name in the folder and below it, in the order of names;
   hidden folders are passed over. */
int folder_each(const char *folder, const char *name,
                int (*each)(void *context, const char *path, struct error *err), void *context,
                struct error *err);
char *path_join(const char *folder, const char *name); /* caller frees */

/* A file's bytes, read when they are looked at; until file_unmap(). An empty file is refused. */
int file_map(const unsigned char **bytes, size_t *length, const char *path, struct error *err);
void file_unmap(const unsigned char *bytes, size_t length); /* NULL is fine */

/* SHA-256 (FIPS 180-4) as 64 hex digits + NUL. */
void hash_bytes(char hex[65], const void *bytes, size_t length);
int hash_file(char hex[65], const char *path, struct error *err);

#endif
