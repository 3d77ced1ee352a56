#include "models/adapter_file.h"

#include <stdlib.h>
#include <string.h>

#include "models/adapter_config.h"
#include "models/device.h"
#include "models/model_file.h"

#define PREFIX "base_model.model."

/* Where PEFT keeps a module, of a model with its head or, without the first word, of a bare trunk. */
static const struct stored *find_matrix(const struct safetensors *file, const char *module,
                                        const char *kind) {
    const char *const paths[] = {module, strchr(module, '.') + 1};
    const char *const ends[] = {"", ".default"};
    const struct stored *found = NULL;

    for (int i = 0; i < 4 && !found; i++) {
        char *name = xprintf(PREFIX "%s.%s%s.weight", paths[i / 2], kind, ends[i % 2]);

        found = safetensors_find(file, name);
        free(name);
    }
    return found;
}

static const struct stored *find_score(const struct safetensors *file) {
    static const char *const names[] = {PREFIX "score.weight", PREFIX "score.modules_to_save.weight",
                                        PREFIX "score.modules_to_save.default.weight"};
    const struct stored *found = NULL;

    for (size_t i = 0; i < sizeof names / sizeof *names && !found; i++)
        found = safetensors_find(file, names[i]);
    return found;
}

static int check_shape(const struct stored *found, int rows, int cols, struct error *err) {
    char has[200], wants[200];
    const int64_t shape[2] = {rows, cols};

    if (found->rank == 2 && found->shape[0] == rows && found->shape[1] == cols) return 0;
    return fail(err, "tensor \"%s\" is of the shape %s, and not %s as " ADAPTER_CONFIG " and the base imply",
                found->name, shape_text(has, found->shape, found->rank), shape_text(wants, shape, 2));
}

static int check_matrix(const struct safetensors *file, const struct adapter_part *part, const char *kind,
                        int rows, int cols, int *used, struct error *err) {
    const struct stored *found = find_matrix(file, part->name, kind);

    if (!found) return fail(err, "tensor \"" PREFIX "%s.%s.weight\" is missing", part->name, kind);
    used[found - file->items] = 1;
    return check_shape(found, rows, cols, err);
}

static int check_adapter(const struct safetensors *file, const struct adapter *adapter, int *used,
                         struct error *err) {
    for (int p = 0; p < adapter->part_count; p++) {
        const struct adapter_part *part = &adapter->parts[p];

        if (check_matrix(file, part, "lora_A", adapter->rank, adapter->a->cols, used, err)) return -1;
        if (check_matrix(file, part, "lora_B", part->rows, adapter->rank, used, err)) return -1;
    }
    return 0;
}

static int check_left_over(const struct safetensors *file, const int *used, struct error *err) {
    for (int i = 0; i < file->count; i++)
        if (!used[i])
            return fail(err, "tensor \"%s\" belongs to no module that " ADAPTER_CONFIG " and the base imply",
                        file->items[i].name);
    return 0;
}

/* The tables of such a model alone, without its memory. */
static int check_tensors(const struct adapter_folder *folder, struct error *err) {
    struct model *model = model_outline(&folder->config, kernels_find("cpu"));
    const struct stored *score = find_score(&folder->file);
    int *used = xcalloc((size_t)folder->file.count + 1, sizeof *used), status = 0;

    model_outline_adapters(model, &folder->options);
    for (int i = 0; i < model->adapter_count && status == 0; i++)
        status = check_adapter(&folder->file, &model->adapters[i], used, err);
    if (status == 0 && score) {
        used[score - folder->file.items] = 1;
        status = check_shape(score, folder->config.score_heads, folder->config.width, err);
    }
    if (status == 0) status = check_left_over(&folder->file, used, err);
    free(used);
    model_free(model);
    return status;
}

/* A pattern of modules is not interpreted: the first layer's tensors tell what it means. */
static unsigned targets_there(const struct adapter_folder *folder) {
    const char *layer = folder->config.family == FAMILY_GPT2 ? "transformer.h.0" : "model.layers.0";
    unsigned targets = 0;

    for (int i = 0; adapter_module(&folder->config, i); i++) {
        char *module = xprintf("%s.%s", layer, adapter_module(&folder->config, i));

        if (find_matrix(&folder->file, module, "lora_A")) targets |= 1u << i;
        free(module);
    }
    return targets;
}

static int read_targets(struct adapter_folder *out, struct adapter_config *config, struct error *err) {
    if (adapter_config_targets(config, &out->config, err)) return -1;
    out->options = config->options;
    if (!out->options.targets) out->options.targets = targets_there(out);
    if (out->options.targets) return 0;
    return fail(err, "the adapter has no tensor of the base's first layer");
}

static int open_file(struct safetensors *out, const char *folder, struct error *err) {
    char *path = path_join(folder, ADAPTER_NUMBERS), *other = path_join(folder, "adapter_model.bin");
    int status;

    if (!file_exists(path) && file_exists(other))
        status = fail(err,
                      "%s is PyTorch's own format, which is not read: save the adapter with "
                      "safe_serialization=True",
                      other);
    else
        status = safetensors_open(out, path, err);
    free(path);
    free(other);
    return status;
}

static int find_base(struct adapter_folder *out, const char *folder, const char *name, struct error *err) {
    if (!name || !name[0])
        return fail(err, "base_model_name_or_path names no model: write there where the adapter's base is");
    out->base = adapter_base_find(folder, name);
    if (out->base) return 0;
    return fail(
        err,
        "the base \"%s\" is neither at that path from %s nor from here: fetch it, and write its path into "
        "base_model_name_or_path of %s/" ADAPTER_CONFIG,
        name, folder, folder);
}

static int open_deep(struct adapter_folder *out, const char *folder, int depth, struct error *err);

static int describe_base(struct config *out, const char *path, int depth, struct error *err) {
    struct adapter_folder below;
    struct weights weights;
    int status;

    if (is_adapter(path)) {
        if (open_deep(&below, path, depth + 1, err)) return -1;
        *out = below.config;
        adapter_close(&below);
        return 0;
    }
    if (weights_open(&weights, path, err)) return -1;
    status = model_describe(out, path, &weights, err);
    weights_close(&weights);
    return status;
}

static int read_heads(struct adapter_folder *out, int scores, struct error *err) {
    const struct stored *score = find_score(&out->file);

    if (!score && scores && !out->config.score_heads)
        return fail(err, "tensor \"" PREFIX "score.weight\" is missing, and the base has no score head");
    if (!score || out->config.score_heads) return 0;
    if (score->rank != 2 || score->shape[0] < 1 || score->shape[0] > 4096)
        return check_shape(score, 1, out->config.width, err);
    out->config.score_heads = (int)score->shape[0];
    return config_check(&out->config, err);
}

static int open_parts(struct adapter_folder *out, const char *folder, struct adapter_config *config,
                      int depth, struct error *err) {
    if (find_base(out, folder, config->base, err)) return -1;
    if (describe_base(&out->config, out->base, depth, err)) return -1;
    if (open_file(&out->file, folder, err)) return -1;
    if (read_heads(out, config->scores, err) || read_targets(out, config, err)) return -1;
    return check_tensors(out, err);
}

static int open_deep(struct adapter_folder *out, const char *folder, int depth, struct error *err) {
    char *path = path_join(folder, ADAPTER_CONFIG);
    struct adapter_config config;
    int status = -1;

    *out = (struct adapter_folder){0};
    if (depth > MOST_ADAPTERS)
        fail(err, "%s stands on more than %d adapters: does one of them name itself as its base?", folder,
             MOST_ADAPTERS);
    else
        status = adapter_config_read(&config, path, err);
    free(path);
    if (status) return -1;
    if (open_parts(out, folder, &config, depth, err)) {
        fail_within(err, "%s", folder);
        adapter_close(out);
        status = -1;
    }
    adapter_config_free(&config);
    return status;
}

int adapter_open(struct adapter_folder *out, const char *folder, struct error *err) {
    return open_deep(out, folder, 0, err);
}

void adapter_close(struct adapter_folder *folder) {
    free(folder->base);
    safetensors_close(&folder->file);
    *folder = (struct adapter_folder){0};
}

/* Where a part's rows of a lie, and its block of b, whose rows are `ranks` long. */
static float *part_a(const struct adapter *adapter, const struct adapter_part *part) {
    return adapter->a->data + (size_t)part->rank_from * adapter->a->cols;
}

static float *part_b(const struct adapter *adapter, const struct adapter_part *part) {
    return adapter->b->data + (size_t)part->row * adapter->b->cols;
}

static int read_a(const struct model *model, const struct adapter *adapter, const struct adapter_part *part,
                  const struct stored *stored, struct error *err) {
    size_t size = (size_t)adapter->rank * adapter->a->cols;
    float *data = part_a(adapter, part), *view = model->kernels->map(data, size * sizeof *view, 0);
    int status = stored_floats(stored, view, size, err);

    model->kernels->unmap(data, view, size * sizeof *view, !status);
    return status;
}

static int read_b(const struct model *model, const struct adapter *adapter, const struct adapter_part *part,
                  const struct stored *stored, struct error *err) {
    size_t size = (size_t)part->rows * adapter->rank, cols = (size_t)adapter->b->cols;
    size_t bytes = (size_t)part->rows * cols * sizeof(float), rank = (size_t)adapter->rank;
    float *block = xmalloc(size * sizeof *block), *data = part_b(adapter, part);
    float *view = model->kernels->map(data, bytes, 1);
    int status = stored_floats(stored, block, size, err);

    for (int r = 0; r < part->rows && status == 0; r++)
        memcpy(view + (size_t)r * cols + part->rank_from, block + (size_t)r * rank, rank * sizeof *view);
    model->kernels->unmap(data, view, bytes, !status);
    free(block);
    return status;
}

static int read_score(const struct model *model, const struct safetensors *file, struct error *err) {
    const struct stored *stored = find_score(file);
    size_t size = (size_t)model->config.score_heads * (size_t)model->config.width;
    float *view;
    int status;

    if (!stored) return 0;
    view = model->kernels->map(model->score->data, size * sizeof *view, 0);
    status = stored_floats(stored, view, size, err);
    model->kernels->unmap(model->score->data, view, size * sizeof *view, !status);
    return status;
}

static int read_numbers(struct model *model, const struct safetensors *file, struct error *err) {
    for (int i = 0; i < model->adapter_count; i++) {
        const struct adapter *adapter = &model->adapters[i];

        for (int p = 0; p < adapter->part_count; p++) {
            const struct adapter_part *part = &adapter->parts[p];

            if (read_a(model, adapter, part, find_matrix(file, part->name, "lora_A"), err)) return -1;
            if (read_b(model, adapter, part, find_matrix(file, part->name, "lora_B"), err)) return -1;
        }
    }
    if (read_score(model, file, err)) return -1;
    model_changed(model);
    return 0;
}

static int load_base(struct model **out, const struct adapter_folder *folder, const struct kernels *kernels,
                     enum weight_form form, struct error *err);

static int load_on_base(struct model **out, const struct adapter_folder *folder,
                        const struct kernels *kernels, enum weight_form form, struct error *err) {
    if (load_base(out, folder, kernels, form, err)) return -1;
    if (model_adapt(*out, &folder->options, 0, err) == 0 && read_numbers(*out, &folder->file, err) == 0)
        return 0;
    model_free(*out);
    *out = NULL;
    return -1;
}

/* A base without a score head gets room for the adapter's. */
static int load_base(struct model **out, const struct adapter_folder *folder, const struct kernels *kernels,
                     enum weight_form form, struct error *err) {
    struct adapter_folder below;
    struct weights weights;
    int status;

    if (is_adapter(folder->base)) {
        if (adapter_open(&below, folder->base, err)) return -1;
        below.config.score_heads = folder->config.score_heads;
        status = load_on_base(out, &below, kernels, form, err);
        adapter_close(&below);
        if (status || model_merge(*out, err) == 0) return status;
        model_free(*out);
        *out = NULL;
        return -1;
    }
    if (weights_open(&weights, folder->base, err)) return -1;
    status = model_read(out, folder->base, &weights, kernels, form, folder->config.score_heads, err);
    weights_close(&weights);
    return status;
}

int adapter_load(struct model **out, struct adapter_options *options, const char *folder,
                 const struct kernels *kernels, struct error *err) {
    return adapter_load_as(out, options, folder, kernels, WEIGHTS_FULL, err);
}

int adapter_load_as(struct model **out, struct adapter_options *options, const char *folder,
                    const struct kernels *kernels, enum weight_form form, struct error *err) {
    struct adapter_folder opened;
    int status;

    *out = NULL;
    if (adapter_open(&opened, folder, err)) return -1;
    if (options) *options = opened.options;
    status = load_on_base(out, &opened, kernels, form, err);
    adapter_close(&opened);
    return status;
}

int adapter_load_merged(struct model **out, const char *folder, const struct kernels *kernels,
                        struct error *err) {
    if (adapter_load(out, NULL, folder, kernels, err)) return -1;
    if (model_merge(*out, err) == 0) return 0;
    model_free(*out);
    *out = NULL;
    return -1;
}

static int same_options(const struct adapter_options *a, const struct adapter_options *b) {
    return a->rank == b->rank && a->alpha == b->alpha && !a->rslora == !b->rslora && a->targets == b->targets;
}

int adapter_exchange(struct model *model, const struct adapter_options *options, const char *folder,
                     struct error *err) {
    struct adapter_folder opened;
    int status;

    if (adapter_open(&opened, folder, err)) return -1;
    if (memcmp(&opened.config, &model->config, sizeof model->config) != 0 ||
        !same_options(&opened.options, options))
        status = fail(err, "%s: the adapter is not of the base, rank, alpha and targets of those beside it",
                      folder);
    else
        status = read_numbers(model, &opened.file, err);
    adapter_close(&opened);
    return status;
}

/* What one tensor of the file is made from; part NULL: the score head. */
struct source {
    const struct model *model;
    const struct adapter *adapter;
    const struct adapter_part *part;
};

static float *copy(const struct model *model, const float *data, size_t size) {
    float *out = xmalloc(size * sizeof *out),
          *view = model->kernels->map((float *)data, size * sizeof *out, 1);

    memcpy(out, view, size * sizeof *out);
    model->kernels->unmap((float *)data, view, size * sizeof *out, 0);
    if (!model->kernels->sync()) return out;
    free(out);
    return NULL;
}

static float *make_a(const void *context) {
    const struct source *s = context;

    return copy(s->model, part_a(s->adapter, s->part), (size_t)s->adapter->rank * s->adapter->a->cols);
}

/* The block alone, its rows moved together. */
static float *make_b(const void *context) {
    const struct source *s = context;
    size_t cols = (size_t)s->adapter->b->cols, rank = (size_t)s->adapter->rank;
    float *out = copy(s->model, part_b(s->adapter, s->part), (size_t)s->part->rows * cols);

    for (size_t r = 0; r < (size_t)s->part->rows && out; r++)
        memmove(out + r * rank, out + r * cols + s->part->rank_from, rank * sizeof *out);
    return out;
}

static float *make_score(const void *context) {
    const struct source *s = context;
    const struct config *c = &s->model->config;

    return copy(s->model, s->model->score->data, (size_t)c->score_heads * (size_t)c->width);
}

struct file_out {
    struct safetensor_out *items;
    int count;
    const struct number_type *type;
};

static void add_tensor(struct file_out *file, char *name, int rows, int cols, float *(*make)(const void *),
                       const struct source *source) {
    file->items[file->count++] = (struct safetensor_out){
        .name = name, .rank = 2, .shape = {rows, cols}, .make = make, .context = source, .type = file->type};
}

static void add_part(struct file_out *file, const struct source *source) {
    const struct adapter *adapter = source->adapter;
    const char *name = source->part->name;

    add_tensor(file, xprintf(PREFIX "%s.lora_A.weight", name), adapter->rank, adapter->a->cols, make_a,
               source);
    add_tensor(file, xprintf(PREFIX "%s.lora_B.weight", name), source->part->rows, adapter->rank, make_b,
               source);
}

static int write_numbers(const char *path, const struct model *model, int scores,
                         const struct number_type *type, struct error *err) {
    size_t most = (size_t)model->adapter_count * 3 + 1;
    struct source *sources = xcalloc(most, sizeof *sources);
    struct file_out file = {xcalloc(2 * most, sizeof *file.items), 0, type};
    struct node *metadata = node_new(NODE_MAP);
    int count = 0, status;

    for (int i = 0; i < model->adapter_count; i++)
        for (int p = 0; p < model->adapters[i].part_count; p++) {
            sources[count] = (struct source){model, &model->adapters[i], &model->adapters[i].parts[p]};
            add_part(&file, &sources[count++]);
        }
    sources[count].model = model;
    if (scores)
        add_tensor(&file, xstrdup(PREFIX "score.weight"), model->config.score_heads, model->config.width,
                   make_score, &sources[count]);
    node_add_text(metadata, "format", "pt");
    status = safetensors_write(path, file.items, file.count, metadata, err);
    for (int i = 0; i < file.count; i++) free((char *)file.items[i].name);
    free(file.items);
    free(sources);
    node_free(metadata);
    return status;
}

int adapter_store(const struct model *model, const struct adapter_options *options, const char *base,
                  int scores, const char *folder, const struct number_type *type, struct error *err) {
    char *config = path_join(folder, ADAPTER_CONFIG), *numbers = path_join(folder, ADAPTER_NUMBERS);
    char *name = NULL;
    int status = device_check(model->kernels, "the adapters", err);

    if (status == 0) status = folder_make(folder, err);
    if (status == 0) name = adapter_base_name(folder, base, err);
    if (!name) status = -1;
    if (status == 0) status = adapter_config_write(config, options, &model->config, scores, name, err);
    if (status == 0) status = write_numbers(numbers, model, scores, type, err);
    if (status) device_check(model->kernels, "the adapters", err);
    free(name);
    free(config);
    free(numbers);
    return status;
}
