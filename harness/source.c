#include "harness/source.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/adapter_base.h"
#include "harness/file.h"
#include "harness/memory.h"

static int is_entry(const struct dirent *entry) {
    return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
}

/* The same order everywhere, whatever the locale. */
static int by_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Calls each(path, relative name) for every file below, sorted. */
static int walk(const char *folder, const char *prefix,
                int (*each)(void *context, const char *path, const char *name, struct error *err),
                void *context, struct error *err) {
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_entry, by_bytes), status = 0;

    if (count < 0) return fail(err, "cannot read the folder %s: %s", folder, strerror(errno));
    for (int i = 0; i < count; i++) {
        char *path = path_join(folder, entries[i]->d_name),
             *name = xprintf("%s%s", prefix, entries[i]->d_name);

        if (!status && folder_exists(path)) {
            char *deeper = xprintf("%s/", name);

            status = walk(path, deeper, each, context, err);
            free(deeper);
        } else if (!status) {
            status = each(context, path, name, err);
        }
        free(path);
        free(name);
        free(entries[i]);
    }
    free(entries);
    return status;
}

/* Of a folder's files; adapters: that stand on the one that is being listed. */
struct listing {
    struct text text;
    int adapters;
};

static int read_source(char hex[65], const char *path, int adapters, struct error *err);

/* An adapter is what it is only on its base. */
static int list_base(struct listing *listing, const char *settings, struct error *err) {
    char *folder = xstrndup(settings, strlen(settings) - strlen("/" ADAPTER_CONFIG));
    char *base = adapter_base_of(folder), hex[65];
    int known = base && listing->adapters < MOST_ADAPTERS;
    int status = known ? read_source(hex, base, listing->adapters + 1, err) : 0;

    if (known && status == 0) text_printf(&listing->text, "%s base\n", hex);
    free(base);
    free(folder);
    return status;
}

static int list_file(void *context, const char *path, const char *name, struct error *err) {
    struct listing *listing = context;
    char hex[65];

    if (text_ends(name, "timing.jsonl") || text_ends(name, "step.json")) return 0;
    if (hash_file(hex, path, err)) return -1;
    text_printf(&listing->text, "%s %s\n", hex, name);
    return text_ends(path, "/" ADAPTER_CONFIG) ? list_base(listing, path, err) : 0;
}

static int read_source(char hex[65], const char *path, int adapters, struct error *err) {
    struct listing listing = {.adapters = adapters};
    int status;

    if (!folder_exists(path)) return hash_file(hex, path, err);
    text_add(&listing.text, "", 0);
    status = walk(path, "", list_file, &listing, err);
    if (!status) hash_bytes(hex, listing.text.data, listing.text.length);
    free(listing.text.data);
    return status;
}

int source_read(char hex[65], const char *path, struct error *err) {
    return read_source(hex, path, 0, err);
}

static int remove_temporary(void *context, const char *path, const char *name, struct error *err) {
    (void)context;
    if (text_ends(name, ".tmp") && unlink(path))
        return fail(err, "cannot remove %s: %s", path, strerror(errno));
    return 0;
}

int source_clean(const char *folder, struct error *err) {
    return walk(folder, "", remove_temporary, NULL, err);
}
