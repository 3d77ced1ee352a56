#include "harness/pipeline_task.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/manifest.h"
#include "harness/memory.h"
#include "harness/ranks.h"
#include "harness/source.h"
#include "harness/step_folder.h"

/* What a child needs. */
struct order {
    struct pipeline *pipeline;
    struct task *task;
};

/* In the child. */
static int work_task(void *context, struct error *err) {
    struct order *order = context;

    if (task_prepare(order->pipeline, order->task, err)) return -1;
    return task_run(order->pipeline, order->task, err);
}

static volatile sig_atomic_t caught;

static void catch (int signal_number) {
    caught = signal_number;
}

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { SIGNALS = sizeof signals / sizeof *signals };

static void catch_signals(struct sigaction old[SIGNALS]) {
    struct sigaction action = {.sa_handler = catch};

    caught = 0;
    for (int i = 0; i < SIGNALS; i++) sigaction(signals[i], &action, &old[i]);
}

static void release_signals(const struct sigaction old[SIGNALS]) {
    for (int i = 0; i < SIGNALS; i++) sigaction(signals[i], &old[i], NULL);
}

static int copy_recipe(const struct pipeline *pipeline, struct error *err) {
    const char *from = pipeline->recipe->path, *dot = strrchr(from, '.');
    char *to = xprintf("%s/recipe%s", pipeline->folder, dot && !strcmp(dot, ".json") ? ".json" : ".yaml");
    size_t length;
    char *bytes = file_read(from, &length, err);
    int status = bytes ? file_write(to, bytes, length, err) : -1;

    free(bytes);
    free(to);
    return status;
}

static int open_store(struct pipeline *pipeline, struct error *err) {
    char *path = path_join(pipeline->folder, "run.db");
    int status = store_open(&pipeline->store, path, err);

    free(path);
    return status;
}

/* What an earlier run finished but could not take into the store. */
static int import_finished(struct pipeline *pipeline, struct error *err) {
    for (int i = 0; i < pipeline->recipe->count; i++)
        if (pipeline->tasks[i].state == TASK_DONE && task_import(pipeline, &pipeline->tasks[i], NAN, err))
            return -1;
    return 0;
}

static const struct task *task_named(const struct pipeline *pipeline, const char *name) {
    for (int i = 0; i < pipeline->recipe->count; i++)
        if (!strcmp(pipeline->tasks[i].instance->name, name)) return &pipeline->tasks[i];
    return NULL;
}

/* Steps that the recipe no longer has would enter the report. */
static int check_strangers(const struct pipeline *pipeline, struct error *err) {
    char *steps = path_join(pipeline->folder, "steps");
    struct node *found = node_new(NODE_LIST);
    int status = 0;

    step_list(steps, found);
    for (const struct node *one = found->first; one && !status; one = one->next)
        if (!task_named(pipeline, one->text))
            status = fail(err,
                          "%s/%s is a step that this recipe does not have; remove it, or choose another "
                          "folder with --out",
                          steps, one->text);
    node_free(found);
    free(steps);
    return status;
}

int pipeline_begin(struct pipeline *pipeline, struct error *err) {
    if (folder_make(pipeline->folder, err) || run_lock(&pipeline->lock, pipeline->folder, err)) return -1;
    if (check_strangers(pipeline, err)) return -1;
    if (pipeline_pending(pipeline) && (copy_recipe(pipeline, err) || manifest_write(pipeline, err)))
        return -1;
    return open_store(pipeline, err) || import_finished(pipeline, err) ? -1 : 0;
}

static int count_state(const struct pipeline *pipeline, enum task_state state) {
    int count = 0;

    for (int i = 0; i < pipeline->recipe->count; i++) count += pipeline->tasks[i].state == state;
    return count;
}

static int count_ready(const struct pipeline *pipeline) {
    int count = 0;

    for (int i = 0; i < pipeline->recipe->count; i++) count += task_is_ready(pipeline, &pipeline->tasks[i]);
    return count;
}

/* Starts steps while there is room; the threads are shared by as many as can run now. */
static int start_ready(struct pipeline *pipeline, struct display *display, struct error *err) {
    int running = count_state(pipeline, TASK_RUNNING), together = running + count_ready(pipeline);
    int share = pipeline->threads / (together > 0 && together < pipeline->jobs ? together : pipeline->jobs);

    for (int i = 0; i < pipeline->recipe->count && running < pipeline->jobs; i++) {
        struct task *task = &pipeline->tasks[i];
        struct order order = {pipeline, task};

        if (!task_is_ready(pipeline, task)) continue;
        task->threads = share > 0 ? share : 1;
        if (worker_start(&task->worker, work_task, &order, err)) return -1;
        task->state = TASK_RUNNING;
        display_start(display, task->instance->name);
        running++;
    }
    return 0;
}

static int finish_task(struct pipeline *pipeline, struct task *task, struct display *display,
                       struct error *err) {
    task->state = TASK_WAITING;
    if (worker_finish(&task->worker, err)) return fail_within(err, "step %s", task->instance->name);
    return task_finish(pipeline, task, display, err);
}

/* Waits a moment for the children's messages and takes those that came. */
static int listen_all(struct pipeline *pipeline, struct display *display, struct error *err) {
    int count = pipeline->recipe->count, status = 0;
    struct pollfd *pipes = xcalloc((size_t)count, sizeof *pipes);

    for (int i = 0; i < count; i++) {
        struct task *task = &pipeline->tasks[i];

        pipes[i] = (struct pollfd){task->state == TASK_RUNNING ? task->worker.pipe : -1, POLLIN, 0};
    }
    if (poll(pipes, (nfds_t)count, 200) < 0) goto out; /* a signal */
    for (int i = 0; i < count && !status; i++) {
        struct task *task = &pipeline->tasks[i];
        struct speaker speaker = {display, task->instance->name};

        if (!pipes[i].revents || worker_listen(&task->worker, speak, &speaker)) continue;
        status = finish_task(pipeline, task, display, err);
    }
out:
    free(pipes);
    display_refresh(display);
    return status;
}

static int fail_interrupted(struct pipeline *pipeline, struct error *err) {
    pipeline->interrupted = caught;
    return fail(err, "interrupted; the same command goes on from here, nothing is lost");
}

static void stop_all(struct pipeline *pipeline) {
    for (int i = 0; i < pipeline->recipe->count; i++) {
        worker_kill(&pipeline->tasks[i].worker);
        if (pipeline->tasks[i].state == TASK_RUNNING) pipeline->tasks[i].state = TASK_WAITING;
    }
}

static int run_tasks(struct pipeline *pipeline, struct display *display, struct error *err) {
    int status = 0;

    while (!status && count_state(pipeline, TASK_DONE) < pipeline->recipe->count) {
        status = start_ready(pipeline, display, err);
        if (!status) status = listen_all(pipeline, display, err);
        if (!status && caught) status = fail_interrupted(pipeline, err);
    }
    if (status) stop_all(pipeline);
    return status;
}

/* In the child. */
static int work_report(void *context, struct error *err) {
    const struct pipeline *pipeline = context;

    return report_write(pipeline->folder, pipeline->recipe->formats, err);
}

static int await_report(struct pipeline *pipeline, struct worker *worker, struct display *display,
                        struct error *err) {
    struct speaker speaker = {display, report_name};
    int alive = 1;

    while (alive && !caught) {
        struct pollfd pipe = {worker->pipe, POLLIN, 0};

        if (poll(&pipe, 1, 200) > 0) alive = worker_listen(worker, speak, &speaker);
        display_refresh(display);
    }
    if (alive) {
        worker_kill(worker);
        return fail_interrupted(pipeline, err);
    }
    return worker_finish(worker, err) ? fail_within(err, "the report") : 0;
}

static int run_report(struct pipeline *pipeline, struct display *display, struct error *err) {
    char *folder = path_join(pipeline->folder, report_name);
    struct worker worker = {0};
    int status = -1;

    if (step_remove(folder, err) || folder_make(folder, err)) goto out;
    if (worker_start(&worker, work_report, pipeline, err)) goto out;
    display_start(display, report_name);
    if (await_report(pipeline, &worker, display, err)) goto out;
    manifest_timing(pipeline, report_name, &worker, 1);
    display_end(display, report_name, worker.seconds);
    status = report_finish(pipeline, folder, err);
out:
    free(folder);
    return status;
}

int pipeline_run(struct pipeline *pipeline, struct display *display, struct error *err) {
    struct sigaction old[SIGNALS];
    int status;

    if (ranks_count() > 1) return pipeline_run_together(pipeline, display, err);
    catch_signals(old);
    status = pipeline_begin(pipeline, err);
    if (!status) status = run_tasks(pipeline, display, err);
    if (!status && !pipeline_report_done(pipeline)) status = run_report(pipeline, display, err);
    release_signals(old);
    return status;
}
