#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/document.h"
#include "harness/memory.h"
#include "models/race.h"
#include "trainers/practice.h"

enum { THREADS_MOST = 1024 };

static const struct size {
    struct race_model model;
    struct practice_shape shape;
} sizes[] = {{{"14M", 6, 384, 8192, 128}, {64, 64, 64, 4, 16, VALUE_SHARED}},
             {{"124M", 12, 768, 50257, 128}, {16, 64, 64, 1, 8, VALUE_SHARED}}};

enum { ROLLOUT, SCORING, UPDATE, WHOLE, PHASES };
static const char *const phase_names[] = {"rollout", "scoring", "update", "whole"};

/* Seconds of each phase over the rounds, and the share of the peak that was probed beside them. */
struct timing {
    struct rate phases[PHASES], peak;
    double operations; /* of an iteration */
};

/* A round more than is kept, to be warm. */
static int time_rounds(struct practice *practice, const struct stopwatch *watch, int rounds,
                       struct timing *out, struct error *err) {
    const struct kernels *kernels = practice->reference->kernels;
    double *seconds = xcalloc((size_t)(PHASES + 1) * (size_t)rounds, sizeof *seconds);
    double *peaks = seconds + (size_t)PHASES * (size_t)rounds;
    int status = 0;

    for (int r = -1; r < rounds && !status; r++) {
        struct phases spent = {0};

        status = practice_iterate(practice, watch, &spent, err);
        if (r < 0) continue;
        seconds[ROLLOUT * rounds + r] = spent.rollout;
        seconds[SCORING * rounds + r] = spent.scoring;
        seconds[UPDATE * rounds + r] = spent.update;
        seconds[WHOLE * rounds + r] = spent.rollout + spent.scoring + spent.update;
        peaks[r] = probe_peak(kernels, watch, is_device(kernels) ? DEVICE_PROBE_ROUNDS : 400000);
    }
    for (int p = 0; p < PHASES && !status; p++) out->phases[p] = rate_of(seconds + p * rounds, rounds);
    if (!status) out->peak = rate_of(peaks, rounds);
    free(seconds);
    return status;
}

static int measure(struct timing *out, const struct size *size, enum value_model value,
                   const struct kernels *kernels, const struct stopwatch *watch, int rounds,
                   struct error *err) {
    struct practice_shape shape = size->shape;
    struct practice practice;
    struct model *policy;
    int status;

    shape.value = value;
    if (race_model_create(&policy, &size->model, kernels, err)) return -1;
    if (practice_create(&practice, policy, &shape, err)) return -1;
    out->operations = practice_operations(&policy->config, &shape);
    status = time_rounds(&practice, watch, rounds, out, err);
    practice_free(&practice);
    return status;
}

static double share(const struct timing *timing) {
    return timing->operations / timing->phases[WHOLE].median / 1e9 / timing->peak.median;
}

static void print_table(const struct timing *timing, const struct size *size, const char *value,
                        const struct kernels *kernels, const struct stopwatch *watch, FILE *out) {
    const struct practice_shape *s = &size->shape;

    fprintf(out, "%s, %d thread%s; %s, %d x (%d + %d) tokens, %d epochs, minibatches of %d, value: %s\n",
            kernels->name, watch->threads, watch->threads > 1 ? "s" : "", size->model.name, s->rows,
            s->prompt, s->fresh, s->epochs, s->minibatch, value);
    fprintf(out, "%-8s %9s %9s %9s   seconds\n", "", "median", "low", "high");
    for (int p = 0; p < PHASES; p++)
        fprintf(out, "%-8s %9.3f %9.3f %9.3f\n", phase_names[p], timing->phases[p].median,
                timing->phases[p].low, timing->phases[p].high);
    fprintf(out, "%.2f TFLOP with logits of responses only: %.3f of the peak of %.1f GFLOP/s\n",
            timing->operations / 1e12, share(timing), timing->peak.median);
}

static void print_json(const struct timing *timing, const struct size *size, const char *value,
                       const struct kernels *kernels, const struct stopwatch *watch, FILE *out) {
    struct node *root = node_new(NODE_MAP), *seconds;

    node_add_text(root, "backend", kernels->name);
    node_add_number(root, "threads", watch->threads);
    node_add_text(root, "model", size->model.name);
    node_add_text(root, "value", value);
    seconds = node_add(root, "seconds", NODE_MAP);
    for (int p = 0; p < PHASES; p++) {
        struct node *phase = node_add(seconds, phase_names[p], NODE_MAP);

        node_add_number(phase, "median", timing->phases[p].median);
        node_add_number(phase, "low", timing->phases[p].low);
        node_add_number(phase, "high", timing->phases[p].high);
    }
    node_add_number(root, "operations", timing->operations);
    node_add_number(root, "peak", timing->peak.median);
    node_add_number(root, "share", share(timing));
    node_print(out, root, 2);
    node_free(root);
}

static const struct size *find_size(const char *name) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (!strcmp(sizes[i].model.name, name)) return &sizes[i];
    return NULL;
}

static int run(const struct arguments *arguments, struct error *err) {
    const char *device = argument_value(arguments, "device", "cpu"),
               *value = argument_value(arguments, "value", "shared"),
               *name = arguments->count ? arguments->words[0] : "14M";
    const struct kernels *kernels = kernels_find(device);
    const struct size *size = find_size(name);
    struct stopwatch watch = {.cpu_time = argument_given(arguments, "cpu-time")};
    struct timing timing;
    int rounds;

    if (!kernels) return fail(err, "%s; cpu is always there", kernels_missing(device));
    if (!size) return fail(err, "cannot bench a policy of '%s' parameters: it is 14M or 124M", name);
    if (strcmp(value, "shared") && strcmp(value, "separate"))
        return fail(err, "--value %s: it is shared or separate", value);
    if (argument_int(arguments, "threads", omp_get_num_procs(), 1, THREADS_MOST, &watch.threads, err))
        return -1;
    if (argument_int(arguments, "rounds", 3, 1, ROUNDS_MOST, &rounds, err)) return -1;
    kernels_threads(watch.threads);
    if (measure(&timing, size, strcmp(value, "shared") ? VALUE_SEPARATE : VALUE_SHARED, kernels, &watch,
                rounds, err))
        return -1;
    if (argument_given(arguments, "json"))
        print_json(&timing, size, value, kernels, &watch, arguments->out);
    else
        print_table(&timing, size, value, kernels, &watch, arguments->out);
    return 0;
}

static const struct flag flags[] = {
    {"threads", 'j', "N", "threads to use (default: all processors)"},
    {"rounds", 0, "N", "timed iterations, after one that warms up (default: 3)"},
    {"device", 0, "NAME", "cpu, cpu-bf16, cuda, … as for bench (default: cpu)"},
    {"value", 0, "WHERE",
     "shared: a head on the policy's trunk; separate: a model of its own (default: shared)"},
    {"cpu-time", 0, NULL, "time by processor seconds, for a machine that others use too"},
    {"json", 0, NULL, "print what was measured as JSON"},
    {0},
};

const struct command command_bench_ppo = {
    .name = "bench-ppo",
    .summary = "measure whole PPO iterations: rollout, scoring, update",
    .usage = "[14M|124M]",
    .description =
        "Runs the stage ppo's own code on random prompts of 64 tokens and responses of 64, with a frozen "
        "reference and a scalar reward model of the policy's size: 64 responses, 4 epochs and minibatches of "
        "16 "
        "for 14 million parameters (6 layers, width 384, vocabulary 8192); 16 responses, one epoch and "
        "minibatches of 8 for GPT-2's 124 million.\n\n"
        "Prints the seconds of each phase and the share that the iteration's arithmetic reached of the peak "
        "in "
        "the device's precision, probed in the same run. That arithmetic is counted as a plain program would "
        "do "
        "it: one pass for the rollout, one each for policy with values, reference and reward, and three an "
        "epoch; "
        "passes that are saved raise the share.",
    .flags = flags,
    .least_words = 0,
    .most_words = 1,
    .run = run,
};
