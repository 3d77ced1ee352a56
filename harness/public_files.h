/* Public data that recipes and suites use; nothing of it is shipped. */
#ifndef HARNESS_PUBLIC_FILES_H
#define HARNESS_PUBLIC_FILES_H

struct public_file {
    const char *name, *file, *url, *sha256, *licence; /* file: where it lies in the data folder */
};

extern const struct public_file public_files[]; /* ends with {0} */

/* The command that puts the public file of this path there, or NULL; the caller frees. */
char *public_file_fetch(const char *path);

#endif
