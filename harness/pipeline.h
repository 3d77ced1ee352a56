/* Runs a recipe: each step in a process of its own, skipped when done, resumed when cut off. */
#ifndef HARNESS_PIPELINE_H
#define HARNESS_PIPELINE_H

#include "harness/display.h"
#include "harness/recipe.h"
#include "harness/store.h"
#include "harness/worker.h"

enum task_state { TASK_WAITING, TASK_RUNNING, TASK_DONE };

/* A step of the recipe in this run's folder. */
struct task {
    const struct instance *instance;
    char hash[65];          /* of all that its outputs depend on */
    char *folder, *partial; /* where they appear when finished, and where they grow */
    enum task_state state;
    struct worker worker;
    int threads;
};

/* The content of a file or folder outside the run. */
struct source {
    char *path, hash[65];
};

struct pipeline {
    const struct recipe *recipe;
    char *folder;
    const char *device;
    int threads, jobs;
    struct task *tasks; /* [recipe->count], in the recipe's order */
    struct source *sources;
    int source_count;
    struct store *store;
    int lock;        /* file descriptor, -1 if not held */
    int interrupted; /* the signal that ended it, or 0 */
};

struct pipeline_settings {
    const char *out;    /* the run's folder; NULL: runs/NAME-HASH */
    const char *device; /* "cpu" */
    int threads, jobs;  /* jobs: steps at a time */
};

/* Hashes the inputs and looks at what is done; changes nothing on disk. */
int pipeline_open(struct pipeline *out, const struct recipe *recipe, const struct pipeline_settings *settings,
                  struct error *err);
void pipeline_close(struct pipeline *pipeline);

int pipeline_pending(const struct pipeline *pipeline); /* steps that are not done; the report is one */
/* Any of its steps is one of which a report has something to show. */
int pipeline_reports(const struct pipeline *pipeline);
/* It stands, or none is wanted, or there is nothing to report on. */
int pipeline_report_done(const struct pipeline *pipeline);
void pipeline_report_hash(char hex[65], const struct pipeline *pipeline); /* of all that the report shows */
/* What a stage is told of a task; the caller frees step.options. planning: steps that are not done are stood
   for by the models they start from, so that sizes are known before anything ran. */
void pipeline_step(const struct pipeline *pipeline, const struct task *task, int planning, struct run *run,
                   struct step *step);

/* Runs what is not done, then the report. Fails with the first sentence, or when a signal came
   (pipeline.interrupted); the same call goes on from there. */
int pipeline_run(struct pipeline *pipeline, struct display *display, struct error *err);

#endif
