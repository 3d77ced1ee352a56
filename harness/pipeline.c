#include "harness/pipeline.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/source.h"
#include "harness/step_folder.h"
#include "harness/version.h"

/* What spell() needs. */
struct view {
    const struct pipeline *pipeline;
};

static char *input_folder(void *context, const struct input *input) {
    const struct view *view = context;

    return xstrdup(input->step < 0 ? input->path : view->pipeline->tasks[input->step].folder);
}

/* Of a step that is not done yet, the folder of the model it starts from, which has the same shape: what its
 * first option names that takes one step. NO_MODEL where it will have none. */
static const char *model_folder(const struct pipeline *pipeline, const struct input *input) {
    const struct stage *stage;
    const struct task *task;

    if (input->step < 0) return input->path;
    task = &pipeline->tasks[input->step];
    stage = task->instance->stage;
    if (task->state != TASK_DONE && stage->is_bare && stage->is_bare(task->instance->options))
        return NO_MODEL;
    for (int i = 0; task->state != TASK_DONE && i < task->instance->input_count; i++)
        if (task->instance->inputs[i].option->kind == OPTION_STEP)
            return model_folder(pipeline, &task->instance->inputs[i]);
    return task->folder;
}

static char *input_model_folder(void *context, const struct input *input) {
    const struct view *view = context;

    return xstrdup(model_folder(view->pipeline, input));
}

static const char *source_hash(const struct pipeline *pipeline, const char *path) {
    for (int i = 0; i < pipeline->source_count; i++)
        if (!strcmp(pipeline->sources[i].path, path)) return pipeline->sources[i].hash;
    return NULL;
}

static char *input_hash(void *context, const struct input *input) {
    const struct view *view = context;

    if (input->step >= 0) return xstrdup(view->pipeline->tasks[input->step].hash);
    return xstrdup(source_hash(view->pipeline, input->path));
}

static int read_sources(struct pipeline *pipeline, const struct instance *step, struct error *err) {
    for (int i = 0; i < step->input_count; i++) {
        const char *path = step->inputs[i].path;
        struct source *made;

        if (!path || source_hash(pipeline, path)) continue;
        pipeline->sources =
            xrealloc(pipeline->sources, (size_t)pipeline->source_count + 1, sizeof *pipeline->sources);
        made = &pipeline->sources[pipeline->source_count];
        if (source_read(made->hash, path, err)) return -1;
        made->path = xstrdup(path);
        pipeline->source_count++;
    }
    return 0;
}

static void hash_node(char hex[65], const struct node *node) {
    char *json = node_json(node, 0);

    hash_bytes(hex, json, strlen(json));
    free(json);
}

/* Everything that the outputs depend on: names and folders do not count, contents do. */
static int hash_task(struct pipeline *pipeline, struct task *task, struct error *err) {
    const struct instance *step = task->instance;
    struct view view = {pipeline};
    struct node *options, *all;

    if (read_sources(pipeline, step, err)) return -1;
    options = instance_resolve(step, pipeline->recipe->path, input_hash, &view, err);
    if (!options) return -1;
    all = node_new(NODE_MAP);
    node_add_text(all, "version", OUTPUT_VERSION);
    node_add_text(all, "device", pipeline->device);
    node_add_text(all, "stage", step->stage->name);
    node_add_text(all, "label", step->label);
    node_add_copy(all, "matrix", step->matrix);
    node_add_number(all, "seed", (double)step->seed);
    node_add_copy(all, "options", options);
    hash_node(task->hash, all);
    node_free(options);
    node_free(all);
    return 0;
}

/* Hidden, so that nobody takes it for a result: ".ppo.partial" beside "ppo". */
static char *partial_beside(const char *folder) {
    const char *name = strrchr(folder, '/') + 1;

    return xprintf("%.*s.%s.partial", (int)(name - folder), folder, name);
}

static int open_task(struct pipeline *pipeline, int index, struct error *err) {
    struct task *task = &pipeline->tasks[index];

    task->instance = &pipeline->recipe->steps[index];
    task->folder = xprintf("%s/steps/%s", pipeline->folder, task->instance->name);
    task->partial = partial_beside(task->folder);
    if (hash_task(pipeline, task, err)) return -1;
    task->state = step_has_hash(task->folder, task->hash) ? TASK_DONE : TASK_WAITING;
    return 0;
}

int pipeline_open(struct pipeline *out, const struct recipe *recipe, const struct pipeline_settings *settings,
                  struct error *err) {
    *out = (struct pipeline){.recipe = recipe,
                             .device = settings->device,
                             .threads = settings->threads,
                             .jobs = settings->jobs,
                             .lock = -1,
                             .tasks = xcalloc((size_t)recipe->count, sizeof *out->tasks)};
    out->folder =
        settings->out ? xstrdup(settings->out) : xprintf("runs/%s-%.8s", recipe->name, recipe->hash);
    for (int i = 0; i < recipe->count; i++)
        if (open_task(out, i, err)) {
            pipeline_close(out);
            return -1;
        }
    return 0;
}

void pipeline_close(struct pipeline *pipeline) {
    for (int i = 0; i < pipeline->recipe->count; i++) {
        free(pipeline->tasks[i].folder);
        free(pipeline->tasks[i].partial);
    }
    for (int i = 0; i < pipeline->source_count; i++) free(pipeline->sources[i].path);
    free(pipeline->sources);
    free(pipeline->tasks);
    free(pipeline->folder);
    store_close(pipeline->store);
    if (pipeline->lock >= 0) close(pipeline->lock);
}

void pipeline_report_hash(char hex[65], const struct pipeline *pipeline) {
    struct node *all = node_new(NODE_LIST);

    node_add_text(all, NULL, OUTPUT_VERSION);
    node_add_text(all, NULL, pipeline->recipe->title);
    node_add_copy(all, NULL, pipeline->recipe->formats);
    for (int i = 0; i < pipeline->recipe->count; i++) node_add_text(all, NULL, pipeline->tasks[i].hash);
    hash_node(hex, all);
    node_free(all);
}

int pipeline_reports(const struct pipeline *pipeline) {
    for (int i = 0; i < pipeline->recipe->count; i++)
        if (report_shows(pipeline->recipe->steps[i].stage->name)) return 1;
    return 0;
}

int pipeline_report_done(const struct pipeline *pipeline) {
    char hex[65], *folder = path_join(pipeline->folder, "report");
    int done;

    pipeline_report_hash(hex, pipeline);
    done = !pipeline->recipe->formats->count || !pipeline_reports(pipeline) || step_has_hash(folder, hex);
    free(folder);
    return done;
}

int pipeline_pending(const struct pipeline *pipeline) {
    int pending = !pipeline_report_done(pipeline);

    for (int i = 0; i < pipeline->recipe->count; i++) pending += pipeline->tasks[i].state != TASK_DONE;
    return pending;
}

void pipeline_step(const struct pipeline *pipeline, const struct task *task, int planning, struct run *run,
                   struct step *step) {
    const struct instance *instance = task->instance;
    struct view view = {pipeline};

    *run = (struct run){pipeline->recipe->path, pipeline->folder, pipeline->device, task->threads};
    *step = (struct step){.name = instance->name,
                          .recipe = pipeline->recipe->path,
                          .label = instance->label,
                          .use = instance->stage->name,
                          .options =
                              instance_options(instance, planning ? input_model_folder : input_folder, &view),
                          .matrix = instance->matrix,
                          .seed = instance->seed,
                          .folder = task->partial};
}
