/* The folder of `pyrite score`: a new score takes the place of the one before when it is whole. Killed at any
 * moment, the next one finds either. */
#ifndef HARNESS_SCORE_FOLDER_H
#define HARNESS_SCORE_FOLDER_H

#include "harness/error.h"

struct score_folder {
    const char *path;
    int lock; /* file descriptor */
};

/* Makes the folder and keeps others out of it; what this command made there before is set aside. A folder of
 * anything else is an error. */
int score_folder_open(struct score_folder *out, const char *path, struct error *err);
/* whole: what was set aside goes; otherwise what was made since does, and that comes back. */
int score_folder_close(struct score_folder *folder, int whole, struct error *err);

#endif
