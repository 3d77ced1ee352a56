#include "harness/pipeline_task.h"

#include "harness/file.h"
#include "harness/manifest.h"
#include "harness/plan.h"
#include "harness/source.h"
#include "harness/step_folder.h"

const char report_name[] = "report";

int task_is_ready(const struct pipeline *pipeline, const struct task *task) {
    const struct instance *instance = task->instance;

    if (task->state != TASK_WAITING) return 0;
    for (int i = 0; i < instance->input_count; i++)
        if (instance->inputs[i].step >= 0 && pipeline->tasks[instance->inputs[i].step].state != TASK_DONE)
            return 0;
    return 1;
}

int task_prepare(const struct pipeline *pipeline, const struct task *task, struct error *err) {
    struct node *entry;
    int status;

    if (step_has_hash(task->partial, task->hash)) return source_clean(task->partial, err);
    if (folder_remove(task->partial, err) || folder_make(task->partial, err)) return -1;
    entry = manifest_step(pipeline, task, err);
    if (!entry) return -1;
    status = step_write_file(task->partial, entry, err);
    node_free(entry);
    return status;
}

int task_run(struct pipeline *pipeline, struct task *task, struct error *err) {
    struct run run;
    struct step step;
    int status;

    pipeline_step(pipeline, task, 0, &run, &step);
    status = plan_check(&run, &step, err);
    if (!status) status = task->instance->stage->run(&run, &step, err);
    node_free((struct node *)step.options);
    return status;
}

int task_import(struct pipeline *pipeline, const struct task *task, double seconds, struct error *err) {
    int has = store_has(pipeline->store, task->instance->name, task->hash, err);

    if (has) return has < 0 ? -1 : 0;
    return store_import(pipeline->store, task->instance, task->hash, task->folder, seconds, err);
}

int task_finish(struct pipeline *pipeline, struct task *task, struct display *display, struct error *err) {
    if (step_publish(task->partial, task->folder, err)) return -1;
    task->state = TASK_DONE;
    manifest_timing(pipeline, task->instance->name, &task->worker, task->threads);
    display_end(display, task->instance->name, task->worker.seconds);
    return task_import(pipeline, task, task->worker.seconds, err);
}

int report_finish(const struct pipeline *pipeline, const char *folder, struct error *err) {
    struct node *entry = node_new(NODE_MAP);
    char hex[65];
    int status;

    pipeline_report_hash(hex, pipeline);
    node_add_text(entry, "name", report_name);
    node_add_text(entry, "hash", hex);
    status = step_write_file(folder, entry, err);
    node_free(entry);
    return status;
}

void speak(void *context, const struct progress_event *event) {
    const struct speaker *speaker = context;

    display_event(speaker->display, speaker->name, event);
}
