#include "harness/adapter_base.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "harness/document.h"
#include "harness/file.h"
#include "harness/memory.h"

int is_adapter(const char *path) {
    char *config = path_join(path, ADAPTER_CONFIG);
    int found = file_exists(config);

    free(config);
    return found;
}

static int exists(const char *path) {
    return folder_exists(path) || file_exists(path);
}

char *adapter_base_find(const char *folder, const char *name) {
    char *path = name[0] == '/' ? xstrdup(name) : path_join(folder, name);

    if (exists(path)) return path;
    free(path);
    return exists(name) ? xstrdup(name) : NULL;
}

char *adapter_base_of(const char *folder) {
    struct error ignored;
    char *config = path_join(folder, ADAPTER_CONFIG), *base = NULL;
    struct node *map = file_exists(config) ? document_read(config, &ignored) : NULL;
    const char *name = node_text(map, "base_model_name_or_path", NULL);

    if (name && name[0]) base = adapter_base_find(folder, name);
    node_free(map);
    free(config);
    return base;
}

char *adapter_find_file(const char *path, const char *name) {
    char *at = xstrdup(path);

    for (int depth = 0; at; depth++) {
        char *file = path_join(at, name), *below;
        int found = file_exists(file) || !is_adapter(at);

        free(file);
        if (found) return at;
        below = depth < MOST_ADAPTERS ? adapter_base_of(at) : NULL;
        free(at);
        at = below;
    }
    return NULL;
}

/* How many characters two absolute paths have in common, in whole folders, with the '/' behind them. */
static size_t common_folders(const char *a, const char *b) {
    size_t common = 0;

    for (size_t i = 0; a[i] && a[i] == b[i]; i++)
        if (a[i] == '/') common = i + 1;
    return common;
}

static char *path_between(const char *folder, const char *base) {
    char *from = xprintf("%s/", folder), *to = xprintf("%s/", base);
    size_t common = common_folders(from, to), length = strlen(to);
    struct text path = {0};

    if (common <= 1) {
        text_add(&path, base, strlen(base));
    } else {
        for (const char *at = from + common; (at = strchr(at, '/')); at++) text_add(&path, "../", 3);
        text_add(&path, to + common, length > common ? length - 1 - common : 0);
        if (path.length && path.data[path.length - 1] == '/') path.data[--path.length] = 0;
    }
    free(from);
    free(to);
    return path.data;
}

char *adapter_base_name(const char *folder, const char *base, struct error *err) {
    char *from = realpath(folder, NULL), *to = realpath(base, NULL), *path = NULL;

    if (from && to)
        path = path_between(from, to);
    else
        fail(err, "%s: %s", from ? base : folder, strerror(errno));
    free(from);
    free(to);
    return path;
}
