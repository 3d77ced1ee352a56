#include "models/adapter_config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"

#define MOST_RANK (1 << 16)

/* What is read below, and what changes nothing: notes, and how A and B were made at first. */
static const char *const known[] = {"peft_type",
                                    "task_type",
                                    "r",
                                    "lora_alpha",
                                    "lora_dropout",
                                    "use_rslora",
                                    "target_modules",
                                    "modules_to_save",
                                    "bias",
                                    "init_lora_weights",
                                    "base_model_name_or_path",
                                    "fan_in_fan_out",
                                    "auto_mapping",
                                    "revision",
                                    "peft_version",
                                    "inference_mode",
                                    "megatron_core",
                                    "qalora_group_size",
                                    "ensure_weight_tying",
                                    "layers_pattern",
                                    "loftq_config",
                                    "eva_config",
                                    "corda_config",
                                    "lora_ga_config"};

static int is_known(const char *key) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], key) == 0) return 1;
    return 0;
}

/* null, false, 0, "", [] and {} say that something is not used. */
static int is_off(const struct node *value) {
    switch (value->kind) {
    case NODE_NULL:
        return 1;
    case NODE_STRING:
        return !value->text[0];
    case NODE_LIST:
    case NODE_MAP:
        return !value->first;
    default:
        return value->number == 0;
    }
}

static int refuse_others(const struct node *map, struct error *err) {
    for (const struct node *value = map->first; value; value = value->next)
        if (!is_known(value->key) && !is_off(value))
            return fail(err,
                        "line %d: \"%s\" is set, which may change what the adapter computes, and is not "
                        "supported: only plain LoRA is",
                        value->line, value->key);
    return 0;
}

static int refuse_text(const struct node *map, const char *name, const char *expected, struct error *err) {
    const struct node *value = node_get(map, name);

    if (!value || (value->kind == NODE_STRING && strcmp(value->text, expected) == 0)) return 0;
    return fail(err, "line %d: \"%s\" is %s: only \"%s\" is supported", value->line, name,
                value->text ? value->text : "no text", expected);
}

/* PiSSA, OLoRA, CorDA and the like change the base as well, whose new weights are in no file. */
static int check_init(const struct node *map, struct error *err) {
    static const char *const harmless[] = {"gaussian", "eva", "orthogonal"};
    const struct node *init = node_get(map, "init_lora_weights");

    if (!init || init->kind != NODE_STRING) return 0;
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (strcmp(init->text, harmless[i]) == 0) return 0;
    return fail(
        err,
        "line %d: \"init_lora_weights\" is \"%s\", which changes the base too: save the adapter as plain "
        "LoRA (PEFT: path_initial_model_for_weight_conversion)",
        init->line, init->text);
}

static int read_number(const struct node *map, const char *name, double fallback, double low, double high,
                       double *out, struct error *err) {
    const struct node *value = node_get(map, name);

    *out = fallback;
    if (!value || value->kind == NODE_NULL) return 0;
    if (value->kind == NODE_NUMBER && value->number >= low && value->number <= high) {
        *out = value->number;
        return 0;
    }
    return fail(err, "line %d: \"%s\" must be a number from %g to %g", value->line, name, low, high);
}

static int read_options(struct adapter_options *out, const struct node *map, struct error *err) {
    double rank;

    if (read_number(map, "r", 8, 1, MOST_RANK, &rank, err)) return -1;
    if (rank != (int)rank) return fail(err, "\"r\" is %g: expected a whole number", rank);
    out->rank = (int)rank;
    if (read_number(map, "lora_alpha", 8, 1e-9, 1e9, &out->alpha, err)) return -1;
    out->rslora = node_number(map, "use_rslora", 0) != 0;
    return read_number(map, "lora_dropout", 0, 0, 0.999, &out->dropout, err);
}

/* Of modules that were saved whole a score head alone is read. */
static int read_task(struct adapter_config *out, const struct node *map, struct error *err) {
    static const char *const tasks[] = {"CAUSAL_LM", "SEQ_CLS", "FEATURE_EXTRACTION"};
    const char *task = node_text(map, "task_type", "CAUSAL_LM");
    const struct node *saved = node_get(map, "modules_to_save");
    int found = 0;

    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) found |= strcmp(tasks[i], task) == 0;
    if (!found) return fail(err, "\"task_type\" is \"%s\": only CAUSAL_LM and SEQ_CLS are supported", task);
    out->scores = strcmp(task, "SEQ_CLS") == 0;
    for (const struct node *name = saved ? saved->first : NULL; name; name = name->next)
        if (!name->text || (strcmp(name->text, "score") && strcmp(name->text, "classifier")))
            return fail(err, "line %d: \"modules_to_save\" names \"%s\": only a score head is supported",
                        name->line, name->text ? name->text : "no module");
    return 0;
}

static int read_targets(struct adapter_config *out, const struct node *map, struct error *err) {
    const struct node *given = node_get(map, "target_modules");

    if (!given || is_off(given)) return fail(err, "\"target_modules\" is missing");
    if (given->kind == NODE_STRING && strcmp(given->text, "all-linear")) return 0;
    if (given->kind != NODE_STRING && given->kind != NODE_LIST)
        return fail(err, "line %d: \"target_modules\" is no list of modules", given->line);
    for (const struct node *name = given->first; name; name = name->next)
        if (name->kind != NODE_STRING)
            return fail(err, "line %d: \"target_modules\" is no list of modules", name->line);
    out->targets = node_copy(given);
    return 0;
}

static int read_any(struct adapter_config *out, const struct node *map, struct error *err) {
    if (!node_get(map, "peft_type")) return fail(err, "\"peft_type\" is missing");
    if (refuse_text(map, "peft_type", "LORA", err) || refuse_text(map, "bias", "none", err)) return -1;
    if (refuse_others(map, err) || check_init(map, err)) return -1;
    if (read_options(&out->options, map, err) || read_task(out, map, err)) return -1;
    out->base = xstrdup(node_text(map, "base_model_name_or_path", NULL));
    return read_targets(out, map, err);
}

int adapter_config_read(struct adapter_config *out, const char *path, struct error *err) {
    struct node *map = document_read(path, err);
    int status = -1;

    *out = (struct adapter_config){0};
    if (!map) return -1;
    if (map->kind == NODE_MAP)
        status = read_any(out, map, err);
    else
        fail(err, "a map of settings was expected");
    if (status) fail_within(err, "%s", path);
    if (status) adapter_config_free(out);
    node_free(map);
    return status;
}

void adapter_config_free(struct adapter_config *config) {
    free(config->base);
    node_free(config->targets);
    *config = (struct adapter_config){0};
}

/* "model.layers.3.self_attn.q_proj" → its layer, 3, and the module's path in it; other names have no layer.
 */
static const char *module_of(const char *name, const struct config *model, int *layer) {
    const char *place = model->family == FAMILY_GPT2 ? "transformer.h." : "model.layers.";
    size_t length = strlen(place);
    int digits = 0;

    *layer = -1;
    if (strncmp(name, place, length) || !isdigit((unsigned char)name[length]) ||
        sscanf(name + length, "%6d%n", layer, &digits) != 1 || name[length + (size_t)digits] != '.')
        return name;
    return name + length + (size_t)digits + 1;
}

/* Names of single layers, counted by module: each must be there once for every layer. */
static int check_layers(const int *layers, const struct config *model, unsigned *targets, struct error *err) {
    for (int i = 0; adapter_module(model, i); i++) {
        if (layers[i] && layers[i] != model->layers)
            return fail(err,
                        "\"target_modules\" has %s in %d of %d layers: adapters of some layers only are not "
                        "supported",
                        adapter_module(model, i), layers[i], model->layers);
        if (layers[i]) *targets |= 1u << i;
    }
    return 0;
}

static int add_target(const char *name, const struct config *model, int *layers, unsigned *targets,
                      struct error *err) {
    unsigned one = 0;
    int layer;
    const char *module = module_of(name, model, &layer);

    if (adapter_target(&one, module, model, err)) return fail_within(err, "\"target_modules\"");
    if (layer < 0) *targets |= one;
    for (int i = 0; layer >= 0 && adapter_module(model, i); i++) layers[i] += one >> i & 1;
    return 0;
}

int adapter_config_targets(struct adapter_config *config, const struct config *model, struct error *err) {
    const struct node *given = config->targets;
    unsigned targets = 0;
    int layers[32] = {0};

    if (!given) return 0;
    if (given->text && add_target(given->text, model, layers, &targets, err)) return -1;
    for (const struct node *name = given->first; name; name = name->next)
        if (add_target(name->text, model, layers, &targets, err)) return -1;
    if (check_layers(layers, model, &targets, err)) return -1;
    config->options.targets = targets;
    return 0;
}

/* "q_proj", which other programs know; "attn.c_proj", where that is not the only module of its name. */
static const char *target_name(const struct config *model, unsigned targets, int index) {
    const char *path = adapter_module(model, index), *name = strrchr(path, '.') + 1;
    struct error ignored;
    unsigned meant = 0;

    adapter_target(&meant, name, model, &ignored);
    return meant & ~targets ? path : name;
}

static void write_targets(struct node *list, const struct adapter_options *options,
                          const struct config *model) {
    for (int i = 0; adapter_module(model, i); i++) {
        const char *name = target_name(model, options->targets, i);
        int there = 0;

        for (const struct node *other = list->first; other; other = other->next)
            there |= strcmp(other->text, name) == 0;
        if (options->targets >> i & 1 && !there) node_add_text(list, NULL, name);
    }
}

int adapter_config_write(const char *path, const struct adapter_options *options, const struct config *model,
                         int scores, const char *base, struct error *err) {
    struct node *map = node_new(NODE_MAP);
    int status;

    node_add_text(map, "peft_type", "LORA");
    node_add_text(map, "task_type", scores ? "SEQ_CLS" : "CAUSAL_LM");
    node_add_text(map, "base_model_name_or_path", base);
    node_add_number(map, "r", options->rank);
    node_add_number(map, "lora_alpha", options->alpha);
    node_add_number(map, "lora_dropout", options->dropout);
    node_add_bool(map, "use_rslora", options->rslora);
    write_targets(node_add(map, "target_modules", NODE_LIST), options, model);
    if (scores)
        node_add_text(node_add(map, "modules_to_save", NODE_LIST), NULL, "score");
    else
        node_add_text(map, "modules_to_save", NULL);
    node_add_text(map, "bias", "none");
    node_add_bool(map, "fan_in_fan_out", model->family == FAMILY_GPT2);
    node_add_bool(map, "inference_mode", 1);
    status = document_write(path, map, err);
    node_free(map);
    return status;
}
