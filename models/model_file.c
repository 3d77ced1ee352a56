#include "models/model_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/adapter_file.h"
#include "models/device.h"
#include "models/gguf_config.h"
#include "models/parts.h"

static int describe(struct config *out, const char *path, const struct weights *weights, struct error *err) {
    char *file;
    int status;

    if (weights->gguf.metadata) {
        status = gguf_config_read(out, &weights->gguf, err);
        return status ? fail_within(err, "%s", path) : 0;
    }
    file = path_join(path, "config.json");
    status = config_read(out, file, err);
    free(file);
    return status;
}

/* A reward model's files need no head for words. */
int model_describe(struct config *out, const char *path, const struct weights *weights, struct error *err) {
    if (describe(out, path, weights, err)) return -1;
    if (!out->score_heads) out->score_heads = parts_score_heads(weights);
    if (out->score_heads && !weights->gguf.metadata && !weights_find(weights, "lm_head.weight"))
        out->tied = 1;
    return 0;
}

/* The parts of one tensor after those of another. */
static int read_tensors(struct model *model, const struct parts *parts, const struct weights *weights,
                        struct error *err) {
    int status = 0;

    for (int first = 0, next; first < parts->count && status == 0; first = next) {
        struct tensor *tensor = &model->tensors[parts->items[first].tensor - model->tensors];
        struct parts own = {parts->items + first, 0};

        for (next = first; next < parts->count && parts->items[next].tensor == tensor; next++) own.count++;
        status = model_open_tensor(model, tensor, err);
        if (status == 0) status = parts_read(&own, weights, err);
        if (model_close_tensor(model, tensor, status == 0, err)) status = -1;
    }
    return status;
}

static int read_parts(struct model *model, const struct weights *weights, int init_head, struct error *err) {
    struct parts parts = parts_of(model, weights->gguf.metadata != NULL);
    int status = parts_check(&parts, weights, &model->config, init_head, err);

    if (status == 0) status = model_allocate(model, err);
    if (status == 0 && init_head) model_init_score(model, 1);
    if (status == 0) status = read_tensors(model, &parts, weights, err);
    free(parts.items);
    return status;
}

int model_read(struct model **out, const char *path, const struct weights *weights,
               const struct kernels *kernels, enum weight_form form, int init_head, struct error *err) {
    struct config config;

    *out = NULL;
    if (model_describe(&config, path, weights, err)) return -1;
    if (!config.score_heads) config.score_heads = init_head;
    *out = model_outline(&config, kernels);
    if (model_set_form(*out, form, err) == 0 && read_parts(*out, weights, init_head, err) == 0) return 0;
    fail_within(err, "%s", weights->path);
    model_free(*out);
    *out = NULL;
    return -1;
}

int model_load(struct model **out, const char *path, const struct kernels *kernels, struct error *err) {
    return model_load_as(out, path, kernels, WEIGHTS_FULL, err);
}

int model_load_as(struct model **out, const char *path, const struct kernels *kernels, enum weight_form form,
                  struct error *err) {
    struct weights weights;
    int status;

    *out = NULL;
    if (is_adapter(path) && form == WEIGHTS_INT8) return adapter_load_as(out, NULL, path, kernels, form, err);
    if (is_adapter(path)) return adapter_load_merged(out, path, kernels, err);
    if (weights_open(&weights, path, err)) return -1;
    status = model_read(out, path, &weights, kernels, form, 0, err);
    weights_close(&weights);
    return status;
}

static int write_parts(const struct parts *parts, const char *path, const struct number_type *type,
                       struct error *err) {
    struct safetensor_out *items = xcalloc((size_t)parts->count, sizeof *items);
    struct node *metadata = node_new(NODE_MAP);
    int status;

    for (int i = 0; i < parts->count; i++) {
        const struct part *part = &parts->items[i];

        items[i] = (struct safetensor_out){.name = part->name,
                                           .rank = part->tensor->rank,
                                           .make = part_numbers,
                                           .context = part,
                                           .type = type};
        part_shape(part, items[i].shape);
    }
    node_add_text(metadata, "format", "pt");
    status = safetensors_write(path, items, parts->count, metadata, err);
    node_free(metadata);
    free(items);
    return status;
}

int model_write(const struct model *model, const char *folder, const struct number_type *type,
                struct error *err) {
    struct parts parts = parts_of(model, 0);
    char *weights = path_join(folder, "model.safetensors"), *config = path_join(folder, "config.json");
    int status = -1;

    if (model_check_full(model, "be written", err) || config_check(&model->config, err)) goto out;
    if (device_check(model->kernels, "the model", err)) goto out;
    if (folder_make(folder, err)) goto out;
    if (config_write(&model->config, config, err)) goto out;
    status = write_parts(&parts, weights, type, err);
    if (status) device_check(model->kernels, "the model", err);
out:
    free(config);
    free(weights);
    free(parts.items);
    return status;
}

int model_save(const struct model *model, const char *folder, int bits, struct error *err) {
    return model_write(model, folder, number_type_find(bits == 16 ? "BF16" : "F32"), err);
}

/* llama.cpp adds vectors and positions to floats, and wants them so. */
static const struct number_type *type_in_gguf(const struct part *part, const struct number_type *type) {
    if (part->tensor->rank == 1 || strcmp(part->name, "position_embd.weight") == 0)
        return number_type_find("F32");
    return part->tensor->cols % type->count ? number_type_find("F16") : type;
}

static int write_part(FILE *file, const struct part *part, const struct number_type *type,
                      struct error *err) {
    float *numbers = part_numbers(part);
    size_t size = part_size(part);
    int status = numbers ? 0 : device_check(part->kernels, "the model", err);

    for (size_t i = 0; i < size && type->count > 1 && status == 0; i++)
        if (!isfinite(numbers[i]))
            status =
                fail(err, "tensor \"%s\" holds %g, which %s has not", part->name, numbers[i], type->name);
    if (status == 0) gguf_write_tensor(file, type, numbers, size);
    free(numbers);
    return status;
}

/* What the frequencies are divided by, where that is not one number. */
static float *rope_factors(const struct config *config) {
    float *factors = xcalloc((size_t)config->head_size / 2, sizeof *factors);

    for (int i = 0; i < config->head_size / 2; i++) factors[i] = (float)config_rope_divisor(config, i);
    return factors;
}

static void add_tensors(struct gguf_out *out, const struct model *model, const struct parts *parts,
                        const struct number_type *type) {
    int64_t shape[2] = {model->config.head_size / 2};

    if (model->config.rope_scaling == ROPE_LLAMA3)
        gguf_add_tensor(out, "rope_freqs.weight", shape, 1, number_type_find("F32"));
    for (int i = 0; i < parts->count; i++) {
        part_shape(&parts->items[i], shape);
        gguf_add_tensor(out, parts->items[i].name, shape, parts->items[i].tensor->rank,
                        type_in_gguf(&parts->items[i], type));
    }
}

static int write_tensors(FILE *file, const struct model *model, const struct parts *parts,
                         const struct number_type *type, struct error *err) {
    if (model->config.rope_scaling == ROPE_LLAMA3) {
        float *factors = rope_factors(&model->config);

        gguf_write_tensor(file, number_type_find("F32"), factors, (size_t)model->config.head_size / 2);
        free(factors);
    }
    for (int i = 0; i < parts->count; i++)
        if (write_part(file, &parts->items[i], type_in_gguf(&parts->items[i], type), err)) return -1;
    return 0;
}

/* What Gemma 2's files cannot say, since all of them have it. */
static int check_gemma2(const struct config *c, struct error *err) {
    int scalar = c->layers == 46 ? c->width / c->heads : c->head_size;

    if (c->attention_cap == 0 || c->final_cap == 0)
        return fail(err, "GGUF's gemma2 models cap attention and logits, and this one does not cap both");
    if (c->query_scalar == (float)scalar) return 0;
    return fail(err, "GGUF's gemma2 models divide queries by sqrt(%d), and this one by sqrt(%g)", scalar,
                c->query_scalar);
}

/* Whether llama.cpp has a model of these settings. */
static int check_gguf(const struct config *c, struct error *err) {
    if (c->family == FAMILY_GEMMA2) return check_gemma2(c, err);
    if (c->family == FAMILY_GPT2 ? !c->rotary && !c->rms_norm && !c->gated && c->biases
                                 : c->rotary && c->rms_norm && c->gated)
        return 0;
    return fail(err, "GGUF has no architecture for this mixture of GPT-2's and Llama's parts");
}

int model_write_gguf(const struct model *model, const char *path, const struct number_type *type,
                     const struct gguf_out *tokenizer, struct error *err) {
    struct parts parts = parts_of(model, 1);
    struct gguf_out keys = {0};
    struct output out = {0};
    int status = -1;

    if (model_check_full(model, "be written", err) || check_gguf(&model->config, err)) goto out;
    gguf_config_write(&keys, &model->config, type);
    gguf_add_keys(&keys, tokenizer);
    add_tensors(&keys, model, &parts, type);
    if (output_open(&out, path, err)) goto out;
    gguf_write_header(&keys, out.file);
    if (write_tensors(out.file, model, &parts, type, err)) goto out;
    status = output_close(&out, err);
out:
    output_discard(&out);
    gguf_free(&keys);
    free(parts.items);
    return status;
}
