#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "models/folder.h"
#include "models/gguf_tokenizer.h"
#include "models/model_file.h"
#include "models/race.h"

static int write_rounded(const char *folder, const char *path, struct error *err) {
    struct model *model;
    int status;

    if (model_load(&model, path, kernels_find("cpu"), err)) return -1;
    status = folder_make(folder, err);
    if (!status) status = model_write(model, folder, number_type_find("BF16"), err);
    model_free(model);
    return status;
}

/* TYPE.gguf, as tools/peers.py looks for it, without a tokenizer. */
static int write_gguf(const struct model *model, const char *folder, const char *type, struct error *err) {
    char *path = xprintf("%s/%s.gguf", folder, type);
    struct gguf_out keys = {0};
    int status = gguf_tokenizer_write(&keys, NULL, &model->config, err);

    if (!status) status = model_write_gguf(model, path, number_type_find(type), &keys, err);
    gguf_free(&keys);
    free(path);
    return status;
}

/* Of what is in the folder, so that every file has the same numbers. */
static int write_formats(const char *folder, struct error *err) {
    static const char *const types[] = {"F32", "BF16", "Q8_0"};
    struct model *model;
    int status = 0;

    if (model_load(&model, folder, kernels_find("cpu"), err)) return -1;
    for (int i = 0; i < 3 && !status; i++) status = write_gguf(model, folder, types[i], err);
    model_free(model);
    return status;
}

/* A path's last part, a GGUF file's without its ending; caller frees. */
static char *name_of(const char *path) {
    size_t end = strlen(path) - (is_gguf(path) ? strlen(".gguf") : 0), begin;

    while (end > 1 && path[end - 1] == '/') end--;
    for (begin = end; begin > 0 && path[begin - 1] != '/'; begin--) continue;
    return xstrndup(path + begin, end - begin);
}

/* The files that are made must not fall upon those that are read, wherever links and dots lead. */
static int check_place(const char *mine, const char *path, const char *name, struct error *err) {
    if (!file_same(mine, path) && strcmp(name, ".") && strcmp(name, "..")) return 0;
    return fail(err, "the copies of %s would be written upon it: give another --folder", path);
}

char *race_given(struct config *config, const char *folder, const char *path, struct error *err) {
    char *name = name_of(path), *mine = path_join(folder, name);
    int status = check_place(mine, path, name, err);

    if (!status) status = write_rounded(mine, path, err);
    if (!status) status = write_formats(mine, err);
    if (!status && folder_config(config, mine, err) != 1) status = -1;
    free(mine);
    if (!status) return name;
    free(name);
    return NULL;
}
