#include "harness/score_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/document.h"
#include "harness/file.h"
#include "harness/step_folder.h"

/* What a score is made of. The manifest is the last to be set aside and the first to come back: where it is
 * tells which of the two was done whole. */
static const char *const parts[] = {"steps", "report", "manifest.json"};

#define PARTS   ((int)(sizeof parts / sizeof *parts))
#define EARLIER "earlier" /* in the folder: the score before, while a new one is made */

static int is_score(const char *folder) {
    char *path = path_join(folder, "manifest.json");
    struct error ignored;
    struct node *manifest = file_exists(path) ? document_read(path, &ignored) : NULL;
    int found = node_get(manifest, "understood") != NULL;

    node_free(manifest);
    free(path);
    return found;
}

static int is_of_others(const struct dirent *entry) {
    return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") && strcmp(entry->d_name, "lock");
}

/* A folder, without anybody's files. */
static int is_empty(const char *folder) {
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_of_others, NULL);

    for (int i = 0; i < count; i++) free(entries[i]);
    free(entries);
    return count == 0;
}

static int check_folder(const char *folder, const char *earlier, struct error *err) {
    char *recipe = path_join(folder, "recipe.yaml");
    int is_run = file_exists(recipe);

    free(recipe);
    if (is_run) return fail(err, "%s is the folder of a run; give another to --out", folder);
    if (!file_exists(folder) || is_empty(folder) || is_score(folder) || is_score(earlier)) return 0;
    return fail(err, "%s is no folder that pyrite score made; give another to --out", folder);
}

static int remove_part(const char *folder, int part, struct error *err) {
    char *path = path_join(folder, parts[part]);
    int status = folder_remove(path, err);

    free(path);
    return status;
}

/* A part that is there, if none stands where it goes. */
static int move_part(const char *from, const char *to, int part, struct error *err) {
    char *here = path_join(from, parts[part]), *there = path_join(to, parts[part]);
    int status = 0;

    if (file_exists(here) && !file_exists(there) && rename(here, there))
        status = fail(err, "%s cannot be moved to %s: %s", here, there, strerror(errno));
    free(here);
    free(there);
    return status;
}

static int set_aside(const char *folder, const char *earlier, struct error *err) {
    int status = is_score(folder) ? folder_make(earlier, err) : 0;

    for (int i = 0; i < PARTS && !status; i++)
        status = is_score(folder) ? move_part(folder, earlier, i, err) : remove_part(folder, i, err);
    return status;
}

/* A score that was set aside whole takes the place of what was made since; of one that was not, or that is
 * back already, the rest follows. */
static int take_back(const char *folder, const char *earlier, struct error *err) {
    int status = 0;

    for (int i = 0; i < PARTS && !status && is_score(earlier); i++) status = remove_part(folder, i, err);
    for (int i = PARTS - 1; i >= 0 && !status; i--) status = move_part(earlier, folder, i, err);
    return status ? status : folder_remove(earlier, err);
}

int score_folder_open(struct score_folder *out, const char *path, struct error *err) {
    char *earlier = path_join(path, EARLIER);
    int status = check_folder(path, earlier, err);

    *out = (struct score_folder){path, -1};
    if (!status) status = folder_make(path, err);
    if (!status) status = run_lock(&out->lock, path, err);
    if (!status) status = take_back(path, earlier, err);
    if (!status) status = set_aside(path, earlier, err);
    if (status && out->lock >= 0) close(out->lock);
    free(earlier);
    return status;
}

/* Of a folder that holds nothing else neither the lock nor the folder is left. */
static void leave_nothing(const char *folder) {
    char *lock = path_join(folder, "lock");

    if (is_empty(folder) && !unlink(lock)) rmdir(folder);
    free(lock);
}

int score_folder_close(struct score_folder *folder, int whole, struct error *err) {
    char *earlier = path_join(folder->path, EARLIER);
    int status = 0;

    if (whole)
        status = remove_part(earlier, PARTS - 1, err) || folder_remove(earlier, err) ? -1 : 0;
    else if (is_score(earlier))
        status = take_back(folder->path, earlier, err);
    else
        for (int i = 0; i < PARTS && !status; i++) status = remove_part(folder->path, i, err);
    if (!whole) leave_nothing(folder->path);
    close(folder->lock);
    free(earlier);
    return status;
}
