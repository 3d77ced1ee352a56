#include "models/adapter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/rng.h"
#include "models/model.h"

/* The modules of one joined tensor follow one another, in the order of their rows. */
struct module {
    const char *name;
    enum joined joined;
};

static const struct module gpt2[] = {{"attn.c_attn", JOINED_QKV},
                                     {"attn.c_proj", JOINED_PROJ},
                                     {"mlp.c_fc", JOINED_UP},
                                     {"mlp.c_proj", JOINED_DOWN},
                                     {NULL, JOINED}};
static const struct module llama[] = {{"self_attn.q_proj", JOINED_QKV}, {"self_attn.k_proj", JOINED_QKV},
                                      {"self_attn.v_proj", JOINED_QKV}, {"self_attn.o_proj", JOINED_PROJ},
                                      {"mlp.gate_proj", JOINED_UP},     {"mlp.up_proj", JOINED_UP},
                                      {"mlp.down_proj", JOINED_DOWN},   {NULL, JOINED}};
/* Mixtures that no file has. */
static const struct module ungated[] = {{"self_attn.q_proj", JOINED_QKV},
                                        {"self_attn.k_proj", JOINED_QKV},
                                        {"self_attn.v_proj", JOINED_QKV},
                                        {"self_attn.o_proj", JOINED_PROJ},
                                        {"mlp.up_proj", JOINED_UP},
                                        {"mlp.down_proj", JOINED_DOWN},
                                        {NULL, JOINED}};

static const struct module *modules_of(const struct config *config) {
    if (config->family == FAMILY_GPT2) return gpt2;
    return config->gated ? llama : ungated;
}

const char *adapter_module(const struct config *config, int index) {
    return modules_of(config)[index].name;
}

/* PEFT's rule: the whole path, or its end behind a dot. */
static int is_meant(const char *module, const char *name) {
    size_t length = strlen(module), end = strlen(name);

    if (end > length || strcmp(module + length - end, name)) return 0;
    return end == length || module[length - end - 1] == '.';
}

static int refuse_target(const char *name, const struct config *config, struct error *err) {
    char known[200] = "all-linear";

    for (const struct module *m = modules_of(config); m->name; m++) {
        size_t length = strlen(known);

        snprintf(known + length, sizeof known - length, ", %s", strrchr(m->name, '.') + 1);
    }
    return fail(err, "\"%s\" is no module of a %s model that an adapter can be put on: there are %s", name,
                config_family_name(config->family), known);
}

int adapter_target(unsigned *targets, const char *name, const struct config *config, struct error *err) {
    const struct module *modules = modules_of(config);
    int all = strcmp(name, "all-linear") == 0;
    unsigned found = 0;

    for (int i = 0; modules[i].name; i++)
        if (all || is_meant(modules[i].name, name)) found |= 1u << i;
    *targets |= found;
    return found ? 0 : refuse_target(name, config, err);
}

static int check_options(const struct adapter_options *options, const struct config *config,
                         struct error *err) {
    unsigned all = 0;

    adapter_target(&all, "all-linear", config, err);
    if (options->rank < 1) return fail(err, "an adapter's rank is %d: it must be 1 or more", options->rank);
    if (!(options->alpha > 0))
        return fail(err, "an adapter's alpha is %g: it must be above 0", options->alpha);
    if (!(options->dropout >= 0 && options->dropout < 1))
        return fail(err, "an adapter's dropout is %g: it must be 0 or more and below 1", options->dropout);
    if (!options->targets || options->targets & ~all)
        return fail(err, "an adapter's targets are no modules of a %s model",
                    config_family_name(config->family));
    return 0;
}

struct tensor *joined_tensor(const struct layer *layer, enum joined joined) {
    struct tensor *const tensors[] = {layer->qkv, layer->proj, layer->up, layer->down};

    return tensors[joined];
}

int adapter_ranks(const struct adapter_options *options, const struct config *config, enum joined joined) {
    const struct module *modules = modules_of(config);
    int ranks = 0;

    for (int i = 0; modules[i].name; i++)
        if (modules[i].joined == joined && options->targets & 1u << i) ranks += options->rank;
    return ranks;
}

/* Rows of a module in its joined tensor. */
static int module_rows(const struct module *module, const struct tensor *tensor,
                       const struct config *config) {
    if (config->family == FAMILY_GPT2) return tensor->rows;
    if (module->joined == JOINED_UP) return config->ffn;
    if (module->joined != JOINED_QKV) return tensor->rows;
    return (strcmp(module->name, "self_attn.q_proj") ? config->kv_heads : config->heads) * config->head_size;
}

/* The path of the layer that a tensor is in, with its dot: "model.layers.3." */
static int layer_path(const struct tensor *tensor) {
    const char *at = tensor->name;

    for (int dots = 0; dots < 3; dots++) at = strchr(at, '.') + 1;
    return (int)(at - tensor->name);
}

static struct tensor *add_matrix(struct model *model, const struct tensor *base, const char *kind, int rows,
                                 int cols) {
    struct tensor *tensor = &model->tensors[model->count + model->added++];

    snprintf(tensor->name, sizeof tensor->name, "%.*s%s.weight", (int)(strlen(base->name) - strlen("weight")),
             base->name, kind);
    tensor->rows = rows;
    tensor->cols = cols;
    tensor->rank = 2;
    tensor->decays = 1;
    return tensor;
}

static void add_part(struct adapter *adapter, const struct tensor *tensor, const struct module *module,
                     int row, int rows) {
    struct adapter_part *part = &adapter->parts[adapter->part_count];

    snprintf(part->name, sizeof part->name, "%.*s%s", layer_path(tensor), tensor->name, module->name);
    part->row = row;
    part->rows = rows;
    part->rank_from = adapter->part_count++ * adapter->rank;
}

/* The adapter of one joined tensor, if any of its modules is a target. */
static void add_adapter(struct model *model, struct tensor *tensor, enum joined joined,
                        const struct adapter_options *options) {
    struct adapter *adapter = &model->adapters[model->adapter_count];
    const struct module *modules = modules_of(&model->config);

    *adapter = (struct adapter){.rank = options->rank, .dropout = (float)options->dropout};
    adapter->scale =
        (float)(options->alpha / (options->rslora ? sqrt((double)options->rank) : (double)options->rank));
    for (int i = 0, row = 0; modules[i].name; i++) {
        int rows = module_rows(&modules[i], tensor, &model->config);

        if (modules[i].joined != joined) continue;
        if (options->targets & 1u << i) add_part(adapter, tensor, &modules[i], row, rows);
        row += rows;
    }
    if (!adapter->part_count) return;
    adapter->a = add_matrix(model, tensor, "lora_A", adapter->part_count * options->rank, tensor->cols);
    adapter->b = add_matrix(model, tensor, "lora_B", tensor->rows, adapter->part_count * options->rank);
    tensor->adapter = adapter;
    model->adapter_count++;
}

void model_outline_adapters(struct model *model, const struct adapter_options *options) {
    model->adapters = xcalloc((size_t)model->config.layers * JOINED, sizeof *model->adapters);
    for (int i = 0; i < model->count; i++) model->tensors[i].frozen = &model->tensors[i] != model->score;
    for (int i = 0; i < model->config.layers; i++)
        for (enum joined joined = 0; joined < JOINED; joined++)
            add_adapter(model, joined_tensor(&model->layers[i], joined), joined, options);
}

/* PyTorch's kaiming_uniform with a = sqrt(5), as PEFT draws A. */
static void draw(const struct model *model, const struct tensor *a, uint64_t seed) {
    struct rng rng = rng_stream(seed, a->name, 0, 0);
    size_t size = (size_t)a->rows * (size_t)a->cols;
    float *data = model->kernels->map(a->data, size * sizeof *data, 0);
    double bound = 1 / sqrt(a->cols);

    for (size_t i = 0; i < size; i++) data[i] = (float)(bound * (2 * rng_uniform(&rng) - 1));
    model->kernels->unmap(a->data, data, size * sizeof *data, 1);
}

void model_init_adapters(struct model *model, uint64_t seed) {
    for (int i = 0; i < model->adapter_count; i++) {
        const struct tensor *b = model->adapters[i].b;

        draw(model, model->adapters[i].a, seed);
        model->kernels->zero(b->data, (size_t)b->rows * (size_t)b->cols * sizeof(float));
    }
    model_changed(model);
}

int model_adapt(struct model *model, const struct adapter_options *options, uint64_t seed,
                struct error *err) {
    if (check_options(options, &model->config, err)) return -1;
    if (model->added) return fail(err, "the model has adapters already");
    if (model->grad) return fail(err, "adapters must be there before training begins");
    model_outline_adapters(model, options);
    if (model_place_learned(model, err)) return -1;
    model_init_adapters(model, seed);
    return 0;
}

/* w += scale B A in the rows of one part. */
static void merge_part(float *w, const float *a, const float *b, const struct adapter *adapter,
                       const struct adapter_part *part) {
    int cols = adapter->a->cols, ranks = adapter->a->rows;
    float *sum = xmalloc((size_t)cols * sizeof *sum);

    for (int row = part->row; row < part->row + part->rows; row++) {
        for (int c = 0; c < cols; c++) sum[c] = 0;
        for (int k = part->rank_from; k < part->rank_from + adapter->rank; k++)
            for (int c = 0; c < cols; c++) sum[c] += b[(size_t)row * ranks + k] * a[(size_t)k * cols + c];
        for (int c = 0; c < cols; c++) w[(size_t)row * cols + c] += adapter->scale * sum[c];
    }
    free(sum);
}

static void merge_tensor(const struct model *model, const struct tensor *tensor) {
    const struct kernels *kernels = model->kernels;
    const struct adapter *adapter = tensor->adapter;
    const struct tensor *const tensors[] = {tensor, adapter->a, adapter->b};
    float *view[3];
    size_t bytes[3];

    for (int i = 0; i < 3; i++) {
        bytes[i] = (size_t)tensors[i]->rows * (size_t)tensors[i]->cols * sizeof(float);
        view[i] = kernels->map(tensors[i]->data, bytes[i], 1);
    }
    for (int p = 0; p < adapter->part_count; p++)
        merge_part(view[0], view[1], view[2], adapter, &adapter->parts[p]);
    for (int i = 0; i < 3; i++) kernels->unmap(tensors[i]->data, view[i], bytes[i], i == 0);
}

int model_merge(struct model *model, struct error *err) {
    if (!model->added) return fail(err, "the model has no adapters to merge");
    if (model->grad) return fail(err, "adapters cannot be merged while they are being trained");
    if (model_check_full(model, "take adapters in", err)) return -1;
    for (int i = 0; i < model->count; i++)
        if (model->tensors[i].adapter) merge_tensor(model, &model->tensors[i]);
    model_drop_adapters(model);
    return 0;
}
