#include <stdlib.h>
#include <sys/resource.h>

#include "harness/file.h"
#include "harness/manifest.h"
#include "harness/memory.h"
#include "harness/pipeline_task.h"
#include "harness/ranks.h"
#include "harness/step_folder.h"

/* The first rank keeps the folder. */
static int agree_on_states(struct pipeline *pipeline, struct error *err) {
    int count = pipeline->recipe->count, *states = xcalloc((size_t)count, sizeof *states), status = 0;

    if (ranks_first()) status = pipeline_begin(pipeline, err);
    for (int i = 0; i < count; i++) states[i] = (int)pipeline->tasks[i].state;
    if (!status) ranks_share(states, (size_t)count * sizeof *states);
    for (int i = 0; i < count; i++) pipeline->tasks[i].state = (enum task_state)states[i];
    free(states);
    return status;
}

static double cpu_seconds(const struct rusage *usage) {
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
           1e-6 * (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
}

/* What this rank's part of the work took. */
static int measure(struct worker *took, int (*work)(struct pipeline *, struct task *, struct error *),
                   struct pipeline *pipeline, struct task *task, struct error *err) {
    struct rusage before, after;
    double began = monotonic_seconds();
    int status;

    getrusage(RUSAGE_SELF, &before);
    status = work(pipeline, task, err);
    getrusage(RUSAGE_SELF, &after);
    took->seconds = monotonic_seconds() - began;
    took->cpu_seconds = cpu_seconds(&after) - cpu_seconds(&before);
    took->peak_bytes = 1024.0 * (double)after.ru_maxrss;
    return status;
}

/* By all ranks if the stage shares its work, else by the first, for whom there are no others meanwhile. */
static int work(struct pipeline *pipeline, struct task *task, struct error *err) {
    int shared = task->instance->stage->shared, status = 0;

    ranks_alone(!shared);
    if (shared || ranks_first()) status = measure(&task->worker, task_run, pipeline, task, err);
    ranks_alone(0);
    return status;
}

static int run_task(struct pipeline *pipeline, struct task *task, struct display *display,
                    struct error *err) {
    struct speaker speaker = {display, task->instance->name};

    task->threads = pipeline->threads;
    if (ranks_first()) {
        if (task_prepare(pipeline, task, err)) return -1;
        display_start(display, speaker.name);
        progress_to(speak, &speaker);
    }
    ranks_wait(); /* for the folder */
    if (work(pipeline, task, err)) return fail_within(err, "step %s", speaker.name);
    progress_to(NULL, NULL);
    ranks_wait(); /* until nobody is at work in it */
    if (ranks_first() && task_finish(pipeline, task, display, err)) return -1;
    task->state = TASK_DONE;
    ranks_wait(); /* for the outputs */
    return 0;
}

static struct task *next_task(struct pipeline *pipeline) {
    for (int i = 0; i < pipeline->recipe->count; i++)
        if (task_is_ready(pipeline, &pipeline->tasks[i])) return &pipeline->tasks[i];
    return NULL;
}

static int write_report(struct pipeline *pipeline, struct task *task, struct error *err) {
    (void)task;
    return report_write(pipeline->folder, pipeline->recipe->formats, err);
}

static int run_report(struct pipeline *pipeline, struct display *display, struct error *err) {
    char *folder = path_join(pipeline->folder, report_name);
    struct speaker speaker = {display, report_name};
    struct worker took = {0};
    int status = -1;

    if (step_remove(folder, err) || folder_make(folder, err)) goto out;
    display_start(display, report_name);
    progress_to(speak, &speaker);
    if (measure(&took, write_report, pipeline, NULL, err)) {
        fail_within(err, "the report");
        goto out;
    }
    progress_to(NULL, NULL);
    manifest_timing(pipeline, report_name, &took, 1);
    display_end(display, report_name, took.seconds);
    status = report_finish(pipeline, folder, err);
out:
    free(folder);
    return status;
}

int pipeline_run_together(struct pipeline *pipeline, struct display *display, struct error *err) {
    struct task *task;
    int status = agree_on_states(pipeline, err);

    while (!status && (task = next_task(pipeline))) status = run_task(pipeline, task, display, err);
    if (status || !ranks_first() || pipeline_report_done(pipeline)) return status;
    ranks_alone(1);
    return run_report(pipeline, display, err);
}
