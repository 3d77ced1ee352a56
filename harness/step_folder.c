#include "harness/step_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "harness/file.h"
#include "harness/memory.h"

int step_has_hash(const char *folder, const char *hash) {
    char *path = path_join(folder, "step.json"), *json = NULL;
    struct error ignored;
    struct node *entry = NULL;
    size_t length;
    int same;

    if (file_exists(path)) json = file_read(path, &length, &ignored);
    if (json) entry = document_parse_json(json, length, path, 1, &ignored);
    same = !strcmp(node_text(entry, "hash", ""), hash);
    node_free(entry);
    free(json);
    free(path);
    return same;
}

int step_write_file(const char *folder, const struct node *entry, struct error *err) {
    char *path = path_join(folder, "step.json");
    int status = document_write(path, entry, err);

    free(path);
    return status;
}

static int sync_folder(const char *path, struct error *err) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), bad = fd < 0 || fsync(fd), cause = errno;

    if (fd >= 0) close(fd);
    return bad ? fail(err, "cannot write the folder %s: %s", path, strerror(cause)) : 0;
}

int step_remove(const char *folder, struct error *err) {
    char *path = path_join(folder, "step.json");

    unlink(path);
    free(path);
    return folder_remove(folder, err);
}

int step_publish(const char *partial, const char *folder, struct error *err) {
    char *above = xstrndup(folder, (size_t)(strrchr(folder, '/') - folder));
    int status = -1;

    if (step_remove(folder, err) || sync_folder(partial, err)) goto out;
    if (rename(partial, folder)) {
        fail(err, "cannot rename %s: %s", partial, strerror(errno));
        goto out;
    }
    status = sync_folder(above, err);
out:
    free(above);
    return status;
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* `prefix` ends in '/' or is empty. */
static void list_below(const char *folder, const char *prefix, struct node *out) {
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_visible, alphasort);

    for (int i = 0; i < count; i++) {
        char *below = path_join(folder, entries[i]->d_name), *mark = path_join(below, "step.json");
        char *name = xprintf("%s%s", prefix, entries[i]->d_name), *deeper = xprintf("%s/", name);

        if (file_exists(mark))
            node_add_text(out, NULL, name);
        else
            list_below(below, deeper, out);
        free(below);
        free(mark);
        free(name);
        free(deeper);
        free(entries[i]);
    }
    free(entries);
}

void step_list(const char *steps, struct node *out) {
    list_below(steps, "", out);
}

int run_lock(int *lock, const char *folder, struct error *err) {
    static const struct timespec moment = {.tv_nsec = 50000000};
    char *path = path_join(folder, "lock");
    int status = -1;

    *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    for (int i = 0; *lock >= 0 && status && i < 60; i++) {
        status = flock(*lock, LOCK_EX | LOCK_NB);
        if (status && errno != EWOULDBLOCK && errno != EINTR) break;
        if (status) nanosleep(&moment, NULL);
    }
    if (*lock < 0)
        fail(err, "cannot write %s: %s", path, strerror(errno));
    else if (status)
        fail(err, "another pyrite is at work in %s; wait for it, or choose another folder with --out",
             folder);
    free(path);
    return status;
}
