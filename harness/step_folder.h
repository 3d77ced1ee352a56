/* The folders of steps on disk: step.json says what made one; it appears whole, by a rename. */
#ifndef HARNESS_STEP_FOLDER_H
#define HARNESS_STEP_FOLDER_H

#include "harness/document.h"
#include "harness/error.h"

int step_has_hash(const char *folder, const char *hash); /* whether its step.json says so */
int step_write_file(const char *folder, const struct node *entry, struct error *err);
/* Takes the place of what was finished there before. */
int step_publish(const char *partial, const char *folder, struct error *err);
/* step.json goes first, so that half a removal never looks finished; a missing folder is fine. */
int step_remove(const char *folder, struct error *err);

/* Adds the names of the finished steps below a run's folder "steps" to a list. */
void step_list(const char *steps, struct node *out);

/* One program at a time in a run's folder; the file descriptor holds the lock, also in children. A run that
   was just killed may take a moment to be gone, so this waits a little. */
int run_lock(int *lock, const char *folder, struct error *err);

#endif
