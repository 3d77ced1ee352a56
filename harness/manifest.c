#include "harness/manifest.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/version.h"

static const char *source_hash(const struct pipeline *pipeline, const char *path) {
    for (int i = 0; i < pipeline->source_count; i++)
        if (!strcmp(pipeline->sources[i].path, path)) return pipeline->sources[i].hash;
    return "";
}

static void add_sources(struct node *entry, const struct pipeline *pipeline, const struct instance *step) {
    struct node *sources = node_add(entry, "sources", NODE_MAP);

    for (int i = 0; i < step->input_count; i++)
        if (step->inputs[i].path)
            node_set_text(sources, step->inputs[i].text, source_hash(pipeline, step->inputs[i].path));
}

struct node *manifest_step(const struct pipeline *pipeline, const struct task *task, struct error *err) {
    const struct instance *step = task->instance;
    struct node *options = instance_resolve(step, pipeline->recipe->path, input_name, NULL, err), *entry;

    if (!options) return NULL;
    entry = node_new(NODE_MAP);
    node_add_text(entry, "name", step->name);
    node_add_text(entry, "label", step->label);
    node_add_text(entry, "use", step->stage->name);
    node_add_number(entry, "seed", (double)step->seed);
    node_add_copy(entry, "matrix", step->matrix);
    node_add_text(entry, "hash", task->hash);
    node_add_copy(entry, "options", options);
    add_sources(entry, pipeline, step);
    node_free(options);
    return entry;
}

static int add_steps(struct node *manifest, const struct pipeline *pipeline, struct error *err) {
    struct node *steps = node_add(manifest, "steps", NODE_LIST);

    for (int i = 0; i < pipeline->recipe->count; i++) {
        struct node *entry = manifest_step(pipeline, &pipeline->tasks[i], err);

        if (!entry) return -1;
        node_add_copy(steps, NULL, entry);
        node_free(entry);
    }
    return 0;
}

/* What to type to run it again; where it ran and on how many threads does not count. */
static void add_command(struct node *manifest, const struct recipe *recipe) {
    struct node *command = node_add(manifest, "command", NODE_LIST);

    node_add_text(command, NULL, "pyrite");
    node_add_text(command, NULL, "run");
    node_add_text(command, NULL, recipe->path);
    for (const struct node *one = recipe->overrides->first; one; one = one->next) {
        node_add_text(command, NULL, "--set");
        node_add_text(command, NULL, one->text);
    }
}

void manifest_about(struct node *manifest, const char *device) {
    node_add_text(manifest, "pyrite", version_program());
    node_add_text(manifest, "output_version", OUTPUT_VERSION);
    version_libraries(node_add(manifest, "libraries", NODE_MAP));
    node_add_text(manifest, "device", device);
    version_processor(node_add(manifest, "machine", NODE_MAP));
}

int manifest_write(const struct pipeline *pipeline, struct error *err) {
    const struct recipe *recipe = pipeline->recipe;
    struct node *manifest = node_new(NODE_MAP);
    char *path = path_join(pipeline->folder, "manifest.json");
    int status;

    node_add_text(manifest, "name", recipe->name);
    node_add_text(manifest, "title", recipe->title);
    manifest_about(manifest, pipeline->device);
    node_add_text(manifest, "recipe", recipe->path);
    node_add_text(manifest, "recipe_hash", recipe->hash);
    add_command(manifest, recipe);
    node_add_copy(manifest, "document", recipe->tree);
    status = add_steps(manifest, pipeline, err) || document_write(path, manifest, err) ? -1 : 0;
    free(path);
    node_free(manifest);
    return status;
}

void manifest_timing(const struct pipeline *pipeline, const char *step, const struct worker *worker,
                     int threads) {
    char *path = path_join(pipeline->folder, "timing.jsonl"), date[32];
    struct node *row = node_new(NODE_MAP);
    time_t now = time(NULL);
    struct tm parts;
    FILE *file = fopen(path, "ab");

    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &parts));
    node_add_text(row, "step", step);
    node_add_number(row, "seconds", worker->seconds);
    node_add_number(row, "cpu_seconds", worker->cpu_seconds);
    node_add_number(row, "peak_bytes", worker->peak_bytes);
    node_add_number(row, "threads", threads);
    node_add_text(row, "finished", date);
    if (file) {
        node_print(file, row, 0);
        fclose(file);
    }
    free(path);
    node_free(row);
}
