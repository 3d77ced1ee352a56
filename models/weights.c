#include "models/weights.h"

#include <stdlib.h>
#include <string.h>

#define MOST_SHARDS 4096

int is_gguf(const char *path) {
    return strlen(path) > strlen(".gguf") && text_ends(path, ".gguf");
}

static int by_name(const void *a, const void *b) {
    return stored_by_name(*(const struct stored *const *)a, *(const struct stored *const *)b);
}

static void add_items(struct weights *weights, struct stored *items, int count) {
    weights->items = xrealloc(weights->items, (size_t)(weights->count + count), sizeof *weights->items);
    for (int i = 0; i < count; i++) weights->items[weights->count++] = &items[i];
}

static int sort_items(struct weights *weights, struct error *err) {
    qsort(weights->items, (size_t)weights->count, sizeof *weights->items, by_name);
    for (int i = 1; i < weights->count; i++)
        if (strcmp(weights->items[i - 1]->name, weights->items[i]->name) == 0)
            return fail(err, "%s: tensor \"%s\" is in two shards", weights->path, weights->items[i]->name);
    return 0;
}

/* A shard that is opened already, or room for one more with `opened` 0. */
static int shard_of(char **names, int count, const char *name) {
    int i = 0;

    while (i < count && strcmp(names[i], name) != 0) i++;
    return i;
}

/* A name that leads out of the folder is no shard's. */
static int check_shard(const struct node *entry, struct error *err) {
    if (entry->kind != NODE_STRING)
        return fail(err, "line %d: the file of tensor \"%s\" is not a name", entry->line, entry->key);
    if (!entry->text[0] || strchr(entry->text, '/') || entry->text[0] == '.')
        return fail(err, "line %d: \"%s\" is not a file of this folder", entry->line, entry->text);
    return 0;
}

static int open_shard(struct weights *out, const char *folder, const char *name, struct error *err) {
    char *path = path_join(folder, name);
    int status;

    out->files = xrealloc(out->files, (size_t)out->file_count + 1, sizeof *out->files);
    status = safetensors_open(&out->files[out->file_count++], path, err);
    free(path);
    return status;
}

/* Opens every file that the map names; names[file_count]: theirs. */
static int open_shards(struct weights *out, const char *folder, const struct node *map, char **names,
                       struct error *err) {
    for (const struct node *entry = map->first; entry; entry = entry->next) {
        if (check_shard(entry, err)) return -1;
        if (shard_of(names, out->file_count, entry->text) < out->file_count) continue;
        if (out->file_count == MOST_SHARDS) return fail(err, "it names more than %d files", MOST_SHARDS);
        names[out->file_count] = entry->text;
        if (open_shard(out, folder, entry->text, err)) return -1;
    }
    return 0;
}

/* Every tensor is where the index says, and the shards hold no other. */
static int check_index(const struct weights *weights, const struct node *map, char **names,
                       struct error *err) {
    for (const struct node *entry = map->first; entry; entry = entry->next) {
        int shard = shard_of(names, weights->file_count, entry->text);

        if (!safetensors_find(&weights->files[shard], entry->key))
            return fail(err, "line %d: tensor \"%s\" is not in %s", entry->line, entry->key, entry->text);
    }
    if (weights->count == map->count) return 0;
    for (int i = 0; i < weights->count; i++)
        if (!node_get(map, weights->items[i]->name))
            return fail(err, "tensor \"%s\" of a shard is not in the index", weights->items[i]->name);
    return fail(err, "its weight_map names a tensor twice");
}

static int open_mapped(struct weights *out, const char *folder, const struct node *map, struct error *err) {
    char **names = xcalloc(MOST_SHARDS, sizeof *names);
    int status = open_shards(out, folder, map, names, err);

    for (int i = 0; i < out->file_count && status == 0; i++)
        add_items(out, out->files[i].items, out->files[i].count);
    if (status == 0) status = sort_items(out, err);
    if (status == 0) status = check_index(out, map, names, err);
    free(names);
    return status;
}

static int open_index(struct weights *out, const char *folder, struct error *err) {
    struct node *index = document_read(out->path, err);
    const struct node *map = node_get(index, "weight_map");
    int status = -1;

    if (!index) return -1;
    if (!map || map->kind != NODE_MAP || !map->first)
        fail(err, "\"weight_map\" is missing: expected a map from tensors to files");
    else
        status = open_mapped(out, folder, map, err);
    if (status) fail_within(err, "%s", out->path);
    node_free(index);
    return status;
}

static int open_gguf(struct weights *out, const char *path, struct error *err) {
    double parts;

    out->path = xstrdup(path);
    if (gguf_open(&out->gguf, path, err)) return -1;
    parts = node_number(out->gguf.metadata, "split.count", 1);
    if (parts > 1)
        return fail(err, "%s is one of %g parts: join them to one file (llama-gguf-split --merge)", path,
                    parts);
    add_items(out, out->gguf.items, out->gguf.count);
    return 0;
}

static int open_single(struct weights *out, struct error *err) {
    out->files = xcalloc(1, sizeof *out->files);
    if (safetensors_open(out->files, out->path, err)) return -1;
    out->file_count = 1;
    add_items(out, out->files->items, out->files->count);
    return 0;
}

static int open_folder(struct weights *out, const char *folder, struct error *err) {
    char *index;

    if (!folder_exists(folder))
        return file_exists(folder)
                   ? fail(err, "%s is neither a model's folder nor a .gguf file", folder)
                   : fail(err,
                          "there is no folder %s; a model's folder has config.json and model.safetensors",
                          folder);
    index = path_join(folder, "model.safetensors.index.json");
    out->path = path_join(folder, "model.safetensors");
    if (!file_exists(out->path) && file_exists(index)) {
        free(out->path);
        out->path = index;
        return open_index(out, folder, err);
    }
    free(index);
    return open_single(out, err);
}

int weights_open_file(struct weights *out, const char *path, struct error *err) {
    *out = (struct weights){.path = xstrdup(path)};
    if (open_single(out, err) == 0) return 0;
    weights_close(out);
    return -1;
}

int weights_open(struct weights *out, const char *path, struct error *err) {
    *out = (struct weights){0};
    if ((is_gguf(path) ? open_gguf(out, path, err) : open_folder(out, path, err)) == 0) return 0;
    weights_close(out);
    return -1;
}

void weights_close(struct weights *weights) {
    for (int i = 0; i < weights->file_count; i++) safetensors_close(&weights->files[i]);
    if (weights->gguf.metadata) gguf_close(&weights->gguf);
    free(weights->files);
    free(weights->items);
    free(weights->path);
    *weights = (struct weights){0};
}

const struct stored *weights_find(const struct weights *weights, const char *name) {
    struct stored key = {.name = (char *)name}, *at = &key, **found = NULL;

    if (weights->count) found = bsearch(&at, weights->items, (size_t)weights->count, sizeof at, by_name);
    return found ? *found : NULL;
}
