/* What the two ways of running a pipeline share: steps in processes of their own, and steps that ranks run
   together. */
#ifndef HARNESS_PIPELINE_TASK_H
#define HARNESS_PIPELINE_TASK_H

#include "harness/pipeline.h"

extern const char report_name[]; /* the report is a step by this name */

/* Takes the run's folder, writes what describes the run, and opens its store. */
int pipeline_begin(struct pipeline *pipeline, struct error *err);
/* In pipeline_ranks.c: every rank calls it, each with a display or none. */
int pipeline_run_together(struct pipeline *pipeline, struct display *display, struct error *err);

int task_is_ready(const struct pipeline *pipeline, const struct task *task);
/* The folder where its outputs grow: an interrupted attempt at the same step is kept for the stage to resume,
   any other goes. */
int task_prepare(const struct pipeline *pipeline, const struct task *task, struct error *err);
int task_run(struct pipeline *pipeline, struct task *task, struct error *err);
/* Its outputs appear under their name and in the store; task->worker says what it took. */
int task_finish(struct pipeline *pipeline, struct task *task, struct display *display, struct error *err);
int task_import(struct pipeline *pipeline, const struct task *task, double seconds, struct error *err);
int report_finish(const struct pipeline *pipeline, const char *folder, struct error *err);

/* Who speaks: the context of speak(), a sink of progress. */
struct speaker {
    struct display *display;
    const char *name;
};
void speak(void *context, const struct progress_event *event);

#endif
