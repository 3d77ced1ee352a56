#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/estimate.h"
#include "harness/failures.h"
#include "harness/format.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/pipeline.h"
#include "harness/progress.h"
#include "harness/ranks.h"
#include "harness/version.h"

enum { THREADS_MOST = 1024, INTERRUPTED = 130 };

static int read_device(const struct arguments *arguments, const char **out, struct error *err) {
    static const char *const devices[] = {"cpu",
                                          "cpu-avx512",
                                          "cpu-avx2",
                                          "cpu-portable",
                                          "cpu-bf16",
                                          "cpu-avx512bf16",
                                          "cpu-avx512-bf16",
                                          "cpu-avx2-bf16",
                                          "cpu-portable-bf16",
                                          "cuda",
                                          "cuda-bf16",
                                          "cuda-cublas"};
    struct names names = {0};
    int known = 0;
    char *hint;

    *out = argument_value(arguments, "device", "cpu");
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        names_add(&names, devices[i]);
        known |= !strcmp(devices[i], *out);
    }
    hint = names_hint(&names, *out);
    if (!known) fail(err, "there is no device '%s'%s", *out, hint);
    free(hint);
    free(names.items);
    return known ? 0 : -1;
}

/* Of each rank: its share of the processors that it may run on. */
static int default_threads(void) {
    int share = omp_get_num_procs() / ranks_here();

    return share > 0 ? share : 1;
}

static int read_settings(const struct arguments *arguments, struct pipeline_settings *out,
                         struct error *err) {
    *out = (struct pipeline_settings){.out = argument_value(arguments, "out", NULL)};
    if (out->out && !*out->out) return fail(err, "--out needs a folder's name");
    if (read_device(arguments, &out->device, err)) return -1;
    if (argument_int(arguments, "threads", default_threads(), 1, THREADS_MOST, &out->threads, err)) return -1;
    return argument_int(arguments, "jobs", out->threads, 1, THREADS_MOST, &out->jobs, err);
}

static int read_recipe(const struct arguments *arguments, struct recipe *out, struct error *err) {
    const char **overrides = xcalloc((size_t)arguments->flag_count + 1, sizeof *overrides);
    int count = 0, status;

    for (int i = 0; i < arguments->flag_count; i++)
        if (!strcmp(arguments->flags[i]->name, "set")) overrides[count++] = arguments->values[i];
    status = recipe_read(out, arguments->words[0], overrides, count, err);
    free(overrides);
    return status;
}

/* What the stage says of the task; also where combinations that cannot work are found before a run. trouble:
 * why that much memory is not enough, or NULL; the caller's; without a room not asked. */
static int plan_task(const struct pipeline *pipeline, const struct task *task, const struct room *room,
                     struct plan *out, char **trouble, struct error *err) {
    struct run run;
    struct step step;
    int status;

    pipeline_step(pipeline, task, 1, &run, &step);
    status = plan_make(out, &run, &step, err);
    if (!status && room) *trouble = plan_trouble(out, &run, &step, room);
    node_free((struct node *)step.options);
    return status ? fail_within(err, "step %s", task->instance->name) : 0;
}

static int widest_name(const struct recipe *recipe) {
    size_t widest = 4;

    for (int i = 0; i < recipe->count; i++)
        if (strlen(recipe->steps[i].name) > widest) widest = strlen(recipe->steps[i].name);
    return (int)widest;
}

static void print_task(FILE *out, const struct task *task, const struct plan *plan, int width) {
    char parameters[32], bytes[32], flops[32];

    fprintf(out, "%-*s  %-9s  %-5s  %10s  %10s  %10s  %s\n", width, task->instance->name,
            task->instance->stage->name, task->state == TASK_DONE ? "done" : "to do",
            format_amount(parameters, plan->parameters, 1000, ""),
            format_amount(bytes, plan_bytes(plan), 1024, "B"),
            format_amount(flops, plan->flops, 1000, "FLOP"), plan->note);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x < y) - (x > y);
}

/* The most that `jobs` steps at a time can need. */
static double most_together(double *bytes, int count, int jobs) {
    double sum = 0;

    qsort(bytes, (size_t)count, sizeof *bytes, by_size);
    for (int i = 0; i < count && i < jobs; i++) sum += bytes[i];
    return sum;
}

/* What is planned of all steps. */
struct totals {
    double *bytes, flops; /* of each step; of what is to do */
    double parameters;    /* the most of a step that is to do */
    struct plan largest;  /* of what is to do */
    const char *name;     /* its step; NULL: no plan knows of memory */
};

/* The report is a step, as the run counts them. */
static void print_totals(FILE *out, const struct pipeline *pipeline, const struct totals *totals) {
    char memory[32], work[32];
    int count = pipeline->recipe->count, report = pipeline->recipe->formats->count > 0;
    double bytes = most_together(totals->bytes, count, pipeline->jobs);

    fprintf(out, "\n%d step%s%s, %d of them done; at most %s with %d at a time; %s to do\n", count + report,
            count + report == 1 ? "" : "s", report ? " with the report" : "",
            count + report - pipeline_pending(pipeline), format_amount(memory, bytes, 1024, "B"),
            pipeline->jobs, format_amount(work, totals->flops, 1000, "FLOP"));
    estimate_print(out, totals->flops, bytes, totals->parameters);
}

static void add_plan(struct totals *totals, const struct pipeline *pipeline, int i, const struct plan *plan) {
    const struct task *task = &pipeline->tasks[i];

    totals->bytes[i] = plan_bytes(plan);
    if (task->state == TASK_DONE) return;
    totals->flops += plan->flops;
    totals->parameters = fmax(totals->parameters, plan->parameters);
    if (totals->bytes[i] <= plan_bytes(&totals->largest)) return;
    totals->largest = *plan;
    totals->name = task->instance->name;
}

static void print_room(FILE *out, const struct pipeline *pipeline, const struct room *room,
                       const char *troubles) {
    char left[32], total[32];

    if (room->total <= 0) return;
    fprintf(out, "\nOf the memory of %s %s of %s are free%s\n", pipeline->device,
            format_bytes(left, room->free), format_bytes(total, room->total), troubles ? ":" : ".");
    if (troubles) fprintf(out, "%s", troubles);
}

static int print_tasks(const struct pipeline *pipeline, FILE *out, const struct room *room,
                       struct totals *totals, struct text *troubles, struct error *err) {
    int width = widest_name(pipeline->recipe);

    fprintf(out, "%-*s  %-9s  %-5s  %10s  %10s  %10s\n", width, "step", "stage", "state", "parameters",
            "memory", "work");
    for (int i = 0; i < pipeline->recipe->count; i++) {
        const struct task *task = &pipeline->tasks[i];
        struct plan plan;
        char *trouble = NULL;

        if (plan_task(pipeline, task, room, &plan, &trouble, err)) return -1;
        print_task(out, task, &plan, width);
        add_plan(totals, pipeline, i, &plan);
        if (trouble && task->state != TASK_DONE)
            text_printf(troubles, "step %s: %s\n", task->instance->name, trouble);
        free(trouble);
    }
    return 0;
}

/* Nothing is printed before all steps have a plan. */
static int print_plan(const struct pipeline *pipeline, FILE *out, struct error *err) {
    const struct recipe *recipe = pipeline->recipe;
    struct totals totals = {.bytes = xcalloc((size_t)recipe->count, sizeof *totals.bytes)};
    struct text troubles = {0};
    struct room room;
    char *table = NULL;
    size_t length;
    FILE *lines = open_memstream(&table, &length);
    int status = lines ? 0 : fail(err, "the plan cannot be written: memory ran out");

    device_room(&room, pipeline->device);
    if (!status) status = print_tasks(pipeline, lines, &room, &totals, &troubles, err);
    if (lines) fclose(lines);
    if (!status) {
        fprintf(out, "%s (%s) -> %s\n\n%s", recipe->title, recipe->path, pipeline->folder, table);
        print_totals(out, pipeline, &totals);
        print_room(out, pipeline, &room, troubles.data);
    }
    free(table);
    free(troubles.data);
    free(totals.bytes);
    return status;
}

/* Before anything runs: whether all can, and what memory it will take. */
static int check_plans(const struct pipeline *pipeline, struct text *out, struct error *err) {
    int count = pipeline->recipe->count, status = 0;
    struct totals totals = {.bytes = xcalloc((size_t)count, sizeof *totals.bytes)};
    char memory[32], *largest;

    for (int i = 0; i < count && !status; i++) {
        struct plan plan;

        if (pipeline->tasks[i].state == TASK_DONE) continue;
        status = plan_task(pipeline, &pipeline->tasks[i], NULL, &plan, NULL, err);
        if (!status) add_plan(&totals, pipeline, i, &plan);
    }
    if (!status && totals.name) {
        largest = plan_describe(&totals.largest);
        text_printf(out,
                    "memory, as far as models are known: at most %s with %d at a time; the most by %s: %s",
                    format_bytes(memory, most_together(totals.bytes, count, pipeline->jobs)), pipeline->jobs,
                    totals.name, largest);
        free(largest);
    }
    free(totals.bytes);
    return status;
}

static int check_failures(const struct pipeline *pipeline, struct error *err) {
    for (int i = 0; i < pipeline->recipe->count; i++) {
        int status = failures_check(pipeline->tasks[i].folder, err);

        if (status < 0) return 1;
        if (!status) continue;
        fail_within(err, "step %s", pipeline->tasks[i].instance->name);
        return TOO_MANY_FAILURES;
    }
    return 0;
}

/* Exit code 1 for what went wrong in a step: the input was right. */
static int run_pipeline(struct pipeline *pipeline, FILE *out, struct error *err) {
    int total = pipeline->recipe->count + (pipeline->recipe->formats->count && pipeline_reports(pipeline));
    int pending = pipeline_pending(pipeline), status;
    double began = monotonic_seconds();
    struct display *display;
    struct text plans = {0};
    char passed[32];

    if (check_plans(pipeline, &plans, err)) return -1;
    display = ranks_first() ? display_open(stderr, total - pending, total) : NULL;
    if (display && plans.length) display_event(display, "", &(struct progress_event){.note = plans.data});
    free(plans.data);
    status = pipeline_run(pipeline, display, err);
    display_close(display);
    if (status) return pipeline->interrupted ? INTERRUPTED : 1;
    if (!ranks_first()) return 0;
    if (pending)
        fprintf(out, "%d of %d steps done in %s\n", pending, total,
                format_seconds(passed, monotonic_seconds() - began));
    else
        fprintf(out, "Everything was done already.\n");
    if (!pipeline_reports(pipeline))
        fprintf(out, "%s holds no report: none of the recipe's steps trains or evaluates\n",
                pipeline->folder);
    else if (pipeline->recipe->formats->count)
        report_list(pipeline->folder, pipeline->recipe->formats, out);
    else
        fprintf(out, "%s\n", pipeline->folder);
    return check_failures(pipeline, err);
}

static int run(const struct arguments *arguments, struct error *err) {
    struct pipeline_settings settings;
    struct recipe recipe;
    struct pipeline pipeline;
    int status;

    if (ranks_join(err)) return -1;
    if (!ranks_first()) progress_to(NULL, NULL);
    if (read_settings(arguments, &settings, err) || read_recipe(arguments, &recipe, err)) return -1;
    status = pipeline_open(&pipeline, &recipe, &settings, err);
    if (!status) {
        if (!argument_given(arguments, "dry-run"))
            status = run_pipeline(&pipeline, arguments->out, err);
        else if (ranks_first())
            status = print_plan(&pipeline, arguments->out, err);
        pipeline_close(&pipeline);
    }
    recipe_free(&recipe);
    return status;
}

static const struct flag flags[] = {
    {"set", 's', "KEY=VALUE",
     "override the recipe, such as steps.ppo.iterations=5 or matrix.seed=[1,2]; may be "
     "given again"},
    {"device", 'd', "NAME",
     "where to compute: cpu (default) or cpu-bf16; cuda, cuda-bf16, which has tensor cores multiply, or "
     "cuda-cublas, which has NVIDIA's library do so; cpu-avx2 and the like pin the instructions"},
    {"threads", 't', "N",
     "threads to use (default: all processors, shared by the ranks of a machine); results do not depend on "
     "them"},
    {"jobs", 'j', "N", "steps at a time (default: as many as threads; of several ranks, one)"},
    {"out", 'o', "DIR", "the run's folder (default: runs/NAME-HASH)"},
    {"dry-run", 'n', NULL,
     "print the plan: steps, parameters, memory, work, time on a GPU (of models that can use one), and what "
     "does not fit with what "
     "would make "
     "it fit; run nothing"},
    {0},
};

const struct command command_run = {
    .name = "run",
    .summary = "run a recipe, or go on with it",
    .usage = "RECIPE [--set KEY=VALUE]... [--device NAME] [--threads N] [--jobs N] [--out DIR] [--dry-run]",
    .description =
        "Runs the steps of a recipe (YAML or JSON) and writes the report. Steps that are done already "
        "are skipped; after an interruption, even kill -9, the same command goes on from the last "
        "checkpoint and ends in the same bytes. Started by MPI (mpirun -np N pyrite run RECIPE, or srun), "
        "the N "
        "ranks share the work of each step that trains; with --device cuda each has a GPU of its own.",
    .flags = flags,
    .least_words = 1,
    .most_words = 1,
    .run = run,
};
