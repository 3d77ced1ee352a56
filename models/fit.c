#include "models/fit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness/memory.h"
#include "harness/progress.h"
#include "harness/ranks.h"
#include "harness/rng.h"
#include "models/cost.h"
#include "models/device.h"

/* Which of an epoch's shuffled items each update takes. */
struct slice {
    int epoch, first, count;
};
struct schedule_plan {
    struct slice *steps;
    int count, room;
};

int run_end(const int *sizes, const int *items, int first, int count, int budget) {
    int total = sizes[items[first]], end = first + 1;

    while (end < count && total + sizes[items[end]] <= budget) total += sizes[items[end++]];
    return end;
}

const int *run_share(const int *sizes, const int *items, int *count) {
    size_t *start = ranks_cut(sizes, items, *count);
    const int *share = items + start[ranks_index()];

    *count = (int)(start[ranks_index() + 1] - start[ranks_index()]);
    free(start);
    return share;
}

static int count_runs(const int *sizes, const int *items, int count, int budget) {
    int runs = 0;

    for (int first = 0; first < count; runs++) first = run_end(sizes, items, first, count, budget);
    return runs;
}

int run_budget(const int *sizes, const int *items, int count, int budget) {
    int runs = count_runs(sizes, items, count, budget), least = 1;

    while (least < budget) {
        int middle = least + (budget - least) / 2;

        if (count_runs(sizes, items, count, middle) > runs)
            least = middle + 1;
        else
            budget = middle;
    }
    return budget;
}

int fit_held(const struct fit_options *options, const struct config *config, int rows) {
    int micro = options->micro_tokens;

    if (!options->batch_tokens) return cost_held(config, micro, (double)rows * options->batch);
    return options->batch_tokens > rows * config->context ? cost_held(config, micro, options->batch_tokens)
                                                          : cost_held(config, micro, rows);
}

void fit_optimizer(struct optimizer *optimizer, const struct fit_options *options) {
    optimizer->beta1 = (float)options->beta1;
    optimizer->beta2 = (float)options->beta2;
    optimizer->eps = (float)options->eps;
    optimizer->decay = (float)options->decay;
    optimizer->clip = (float)options->clip;
}

static void epoch_order(const struct fit *fit, int epoch, int *order) {
    struct rng rng = rng_stream(fit->session->step->seed, "fit/order", (uint64_t)epoch,
                                (uint64_t)(fit->member < 0 ? 0 : fit->member));

    for (int i = 0; i < fit->items; i++) order[i] = i;
    rng_shuffle(&rng, order, fit->items);
}

static int slice_end(const struct fit *fit, const int *order, int first) {
    int rows = first + fit->options->batch;

    if (fit->options->batch_tokens)
        return run_end(fit->sizes, order, first, fit->items, fit->options->batch_tokens);
    return rows < fit->items ? rows : fit->items;
}

/* An epoch's last batch is as small as it comes; no row is dropped. */
static void plan_steps(const struct fit *fit, int *order, struct schedule_plan *plan) {
    int wanted = fit->options->steps;

    for (int epoch = 0; wanted ? plan->count < wanted : epoch < fit->options->epochs; epoch++) {
        epoch_order(fit, epoch, order);
        for (int first = 0, end; first < fit->items && !(wanted && plan->count == wanted); first = end) {
            end = slice_end(fit, order, first);
            if (plan->count == plan->room) {
                plan->room = 2 * plan->room + 64;
                plan->steps = xrealloc(plan->steps, (size_t)plan->room, sizeof *plan->steps);
            }
            plan->steps[plan->count++] = (struct slice){epoch, first, end - first};
        }
    }
}

static int save(const struct fit *fit, int step, struct error *err) {
    struct node *numbers = node_new(NODE_MAP);
    int status;

    node_add_number(numbers, "step", step);
    node_add_number(numbers, "member", fit->member);
    status = session_save(fit->session, numbers, err);
    node_free(numbers);
    return status;
}

/* What is logged came from a device that works. */
static int check_device(const struct fit *fit, int step, struct error *err) {
    char what[64];

    snprintf(what, sizeof what, "update %d", step + 1);
    return device_check(fit->model->kernels, what, err);
}

static int lost(const struct fit *fit, struct node *row, int step, double loss, double norm,
                struct error *err) {
    if (check_device(fit, step, err)) return -1;
    session_event(fit->session, row, "nan", "the loss or the gradient is not a number");
    if (log_write(&fit->session->log, row, err)) return -1;
    return fail(err, "%s: update %d: loss %g, gradient %g: training diverged; lower lr (now %g)",
                fit->session->step->name, step + 1, loss, norm, fit->options->lr);
}

static int due(int every, int done, int total) {
    return done == total || (every && done % every == 0);
}

/* Members of an ensemble leave out, and round, different numbers. */
static uint64_t member_seed(const struct fit *fit) {
    return fit->session->step->seed + 1000003 * (uint64_t)(fit->member < 0 ? 0 : fit->member);
}

static int update(const struct fit *fit, const struct schedule_plan *plan, const int *order, int step,
                  struct node *row, struct error *err) {
    const struct fit_options *options = fit->options;
    const struct slice *slice = &plan->steps[step];
    double loss = 0, norm, lr;

    if (fit->dropping) trunk_dropout(fit->dropping, member_seed(fit), step);
    if (fit->member >= 0) node_add_number(row, "member", fit->member);
    node_add_number(row, "step", step + 1);
    if (fit->learn(fit->context, order + slice->first, slice->count, row, &loss, err)) return -1;
    lr = schedule_lr((enum schedule)options->schedule, options->lr, step, plan->count,
                     (int)ceil(options->warmup * plan->count), options->floor);
    norm = optimizer_update(fit->optimizer, fit->model, (float)lr);
    node_add_number(row, "loss", loss);
    node_add_number(row, "lr", lr);
    node_add_number(row, "gradient", norm);
    if (!isfinite(loss) || !isfinite(norm)) return lost(fit, row, step, loss, norm, err);
    if (fit->evaluate && due(options->evaluate_every, step + 1, plan->count) &&
        (fit->evaluate(fit->context, row, err) || check_device(fit, step, err)))
        return -1;
    progress_update(step + 1, "loss %.4f", loss);
    return log_write(&fit->session->log, row, err);
}

static int one_step(const struct fit *fit, const struct schedule_plan *plan, const int *order, int step,
                    struct error *err) {
    struct node *row = node_new(NODE_MAP);
    int status = update(fit, plan, order, step, row, err);

    node_free(row);
    if (status) return status;
    if (!fit->options->checkpoint_every || !due(fit->options->checkpoint_every, step + 1, plan->count))
        return 0;
    return save(fit, step + 1, err);
}

int fit_run(const struct fit *fit, struct error *err) {
    struct schedule_plan plan = {0};
    int *order, first = fit->resume ? (int)session_number(fit->session, "step", 0) : 0, epoch = -1,
                status = 0;

    if (fit->items == 0)
        return fail(err, "%s: there is nothing to learn from; no row is left", fit->session->step->name);
    if (fit->options->stochastic_rounding &&
        optimizer_round(fit->optimizer, fit->model, member_seed(fit), err))
        return -1;
    order = xcalloc((size_t)fit->items, sizeof *order);
    plan_steps(fit, order, &plan);
    progress_begin(fit->session->step->name, plan.count, "updates");
    if (!fit->resume && fit->member > 0) status = save(fit, 0, err);
    for (int step = first; step < plan.count && !status; step++) {
        if (plan.steps[step].epoch != epoch) epoch_order(fit, epoch = plan.steps[step].epoch, order);
        status = one_step(fit, &plan, order, step, err);
    }
    progress_end();
    free(plan.steps);
    free(order);
    return status;
}
