#include "models/folder.h"

#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/ranks.h"
#include "harness/registry.h"
#include "models/adapter_file.h"
#include "models/devices.h"
#include "models/model_file.h"

int run_kernels(const struct kernels **out, const struct run *run, struct error *err) {
    const char *device = run->device ? run->device : "cpu";

    *out = devices_find(device);
    if (!*out) return fail(err, "%s; try --device cpu", kernels_missing(device));
    kernels_threads(run->threads > 0 ? run->threads : 1);
    return devices_join(*out, err);
}

const struct kernels *plan_kernels(const struct run *run) {
    const struct kernels *kernels = run->device ? kernels_outline(run->device) : NULL;

    return kernels ? kernels : kernels_find("cpu");
}

int device_join(const char *device, struct error *err) {
    const struct kernels *kernels = devices_find(device);

    return kernels ? devices_join(kernels, err) : 0;
}

void device_room(struct room *out, const char *device) {
    const struct kernels *kernels = devices_find(device);
    size_t left = 0, total = 0;

    if (kernels) kernels->memory(&left, &total);
    *out = (struct room){(double)left, (double)total, strncmp(device, "cuda", 4) != 0};
}

void plan_host(struct plan *plan, const struct config *config, const struct run *run) {
    double largest = 4.0 * config->vocab * config->width;
    double checkpoint = 1.5 * plan->held[HELD_MOMENTS] * ranks_count(); /* put together from all ranks' */

    if (run->device && !strncmp(run->device, "cuda", 4))
        plan->host = checkpoint > largest ? checkpoint : largest;
}

/* The model may have room for more tokens than the tokenizer has. */
static int open_tokenizer(struct tokenizer **out, const char *path, const struct config *config,
                          struct error *err) {
    int status = tokenizer_open(out, path, err);

    if (status) return -1;
    tokenizer_set_roles(*out, config->begin_token, config->end_token);
    if (tokenizer_vocab(*out) > config->vocab)
        status = fail(
            err, "the tokenizer of %s has %d tokens, but the model beside it has %d; they belong together",
            path, tokenizer_vocab(*out), config->vocab);
    else if (!tokenizer_chat(*out, err))
        status = -1;
    if (status == 0) return 0;
    tokenizer_free(*out);
    *out = NULL;
    return -1;
}

int folder_open(struct model **model, struct tokenizer **tokenizer, const char *folder,
                const struct kernels *kernels, struct error *err) {
    return folder_open_as(model, tokenizer, folder, kernels, WEIGHTS_FULL, err);
}

int folder_open_as(struct model **model, struct tokenizer **tokenizer, const char *folder,
                   const struct kernels *kernels, enum weight_form form, struct error *err) {
    if (model_load_as(model, folder, kernels, form, err)) return -1;
    if (!tokenizer) return 0;
    if (!open_tokenizer(tokenizer, folder, &(*model)->config, err)) return 0;
    model_free(*model);
    *model = NULL;
    return -1;
}

static int write_folder(const struct model *model, const struct tokenizer *tokenizer, const char *folder,
                        int bits, struct error *err) {
    if (folder_make(folder, err) || tokenizer_store(tokenizer, folder, err)) return -1;
    return model_save(model, folder, bits, err);
}

int folder_store(const struct model *model, const struct tokenizer *tokenizer, const char *folder, int bits,
                 struct error *err) {
    int status = ranks_first() ? write_folder(model, tokenizer, folder, bits, err) : 0;

    if (!status) ranks_wait();
    return status;
}

int folder_store_adapter(const struct model *model, const struct tokenizer *tokenizer, const char *folder,
                         int bits, const struct adapter_options *options, const char *base, int scores,
                         struct error *err) {
    const struct number_type *type = number_type_find(bits == 16 ? "BF16" : "F32");
    int status = 0;

    if (ranks_first()) {
        status = folder_make(folder, err);
        if (!status) status = tokenizer_store(tokenizer, folder, err);
        if (!status) status = adapter_store(model, options, base, scores, folder, type, err);
    }
    if (!status) ranks_wait();
    return status;
}

static int adapter_config(struct config *out, const char *folder, struct error *err) {
    struct adapter_folder opened;

    if (adapter_open(&opened, folder, err)) return -1;
    *out = opened.config;
    adapter_close(&opened);
    return 1;
}

static int gguf_config(struct config *out, const char *path, struct error *err) {
    struct weights weights;
    int status;

    if (weights_open(&weights, path, err)) return -1;
    status = model_describe(out, path, &weights, err);
    weights_close(&weights);
    return status ? -1 : 1;
}

int folder_config(struct config *out, const char *folder, struct error *err) {
    char *path = is_gguf(folder) ? xstrdup(folder) : path_join(folder, "config.json");
    int status = 0;

    if (is_adapter(folder))
        status = adapter_config(out, folder, err);
    else if (file_exists(path) && is_gguf(folder))
        status = gguf_config(out, folder, err);
    else if (file_exists(path))
        status = config_read(out, path, err) ? -1 : 1;
    free(path);
    return status;
}
