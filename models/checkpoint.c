#include "models/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "models/safetensors.h"

int checkpoint_save(const char *path, const struct checkpoint_item *items, int count,
                    const struct node *state, struct error *err) {
    struct safetensor_out *tensors = xcalloc((size_t)count, sizeof *tensors);
    struct node *metadata = node_new(NODE_MAP);
    char *text = node_json(state, 0);
    int status;

    for (int i = 0; i < count; i++)
        tensors[i] = (struct safetensor_out){.name = items[i].name,
                                             .rank = 1,
                                             .shape = {(int64_t)items[i].count},
                                             .data = items[i].data,
                                             .type = number_type_find("F32")};
    node_add_text(metadata, "state", text);
    status = safetensors_write(path, tensors, count, metadata, err);
    free(text);
    node_free(metadata);
    free(tensors);
    return status;
}

static const struct stored *find(const struct safetensors *file, const struct checkpoint_item *item,
                                 struct error *err) {
    const struct stored *tensor = safetensors_find(file, item->name);

    if (!tensor)
        fail(err, "\"%s\" is missing", item->name);
    else if (strcmp(tensor->type->name, "F32") || tensor->length != item->count * sizeof(float)) {
        fail(err, "\"%s\" has %zu bytes: expected %zu numbers of 4", tensor->name, tensor->length,
             item->count);
        tensor = NULL;
    }
    return tensor;
}

/* All is checked before the first item is changed. */
static int read_items(const struct safetensors *file, const struct checkpoint_item *items, int count,
                      struct node **state, struct error *err) {
    const char *text = node_text(file->metadata, "state", NULL);

    if (!text) return fail(err, "its \"state\" is missing");
    if (file->count != count)
        return fail(err, "it holds %d arrays: expected %d of this step's", file->count, count);
    for (int i = 0; i < count; i++)
        if (!find(file, &items[i], err)) return -1;
    *state = document_parse_json(text, strlen(text), "state", 1, err);
    if (!*state) return -1;
    for (int i = 0; i < count; i++)
        if (stored_floats(find(file, &items[i], err), items[i].data, items[i].count, err)) return -1;
    return 1;
}

int checkpoint_load(const char *path, const struct checkpoint_item *items, int count, struct node **state,
                    struct error *err) {
    struct safetensors file;
    int status;

    *state = NULL;
    if (!file_exists(path)) return 0;
    if (safetensors_open(&file, path, err)) return -1;
    status = read_items(&file, items, count, state, err);
    if (status < 0) fail_within(err, "%s does not fit this step, remove it to begin anew", path);
    safetensors_close(&file);
    return status;
}
