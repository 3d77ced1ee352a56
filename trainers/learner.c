#include "trainers/learner.h"

#include <math.h>
#include <stdlib.h>

#include "harness/memory.h"
#include "harness/ranks.h"
#include "harness/rng.h"
#include "models/device.h"
#include "models/fit.h"
#include "trainers/advantage.h"

/* One minibatch on its way through the policy; sums are over tokens. */
struct pass {
    const struct learner *learner;
    const struct rollout *rollout;
    double share; /* 1 / tokens of the minibatch */
    double loss, entropy, clipped, moved, gap, ratio, value_loss;
};

/* What a limit of 0 allows where a row's bits depend on its batch: many times what rounding to bf16 moves a
 * log-probability by, and little beside what another token or temperature would. */
#define VARYING_GAP 0.5

int pupil_prepare(struct pupil *pupil, const struct ppo_options *options, struct error *err) {
    if (model_train(pupil->model, err) || optimizer_create(&pupil->optimizer, pupil->model, err)) return -1;
    pupil->optimizer.beta1 = (float)options->beta1;
    pupil->optimizer.beta2 = (float)options->beta2;
    pupil->optimizer.eps = (float)options->eps;
    pupil->optimizer.decay = (float)options->decay;
    pupil->optimizer.clip = (float)options->clip_gradient;
    return trunk_create(&pupil->trunk, pupil->model, options->recompute, err);
}

void pupil_free(struct pupil *pupil) {
    optimizer_free(&pupil->optimizer, pupil->model);
    trunk_free(pupil->trunk);
    model_free(pupil->model);
}

static void token_slope(void *context, int first, int count, const float *logprob, const float *entropy,
                        float *slope, float *entropy_slope) {
    struct pass *pass = context;
    const struct ppo_options *options = pass->learner->options;

    for (int i = 0; i < count; i++) {
        int item = pass->learner->targets.item[first + i], clipped;
        double old = pass->rollout->logprob[item], change = logprob[i] - old, s;

        pass->loss += pass->share * ppo_policy_loss(logprob[i], old, pass->rollout->advantage[item],
                                                    options->clip, &s, &clipped);
        slope[i] = (float)(pass->share * s);
        pass->clipped += pass->share * clipped;
        pass->ratio += pass->share * exp(change);
        pass->moved += pass->share * (exp(change) - 1 - change);
        pass->gap = fmax(pass->gap, fabs(change));
        if (entropy) pass->entropy += pass->share * entropy[i];
        if (entropy_slope) entropy_slope[i] = (float)(-options->entropy * pass->share);
    }
}

/* The policy's loss on the batch that its trunk holds, backward as far as the hidden states. */
static void learn_policy(struct learner *l, struct pass *pass, int with_entropy) {
    const struct ppo_options *o = l->options;
    struct sampling sampling = {(float)o->temperature, o->top_k, (float)o->top_p, (float)o->min_p};

    head_train(l->policy.trunk, l->targets.position, l->targets.target, l->targets.count, &sampling,
               with_entropy, token_slope, pass, NULL, NULL);
}

/* The same for the values that a trunk's score head reads off. */
static int learn_value(struct learner *l, struct pass *pass, struct trunk *trunk, struct error *err) {
    const struct rollout *rollout = pass->rollout;
    double weight = pass->share * l->options->value_coefficient;

    if (l->targets.room > l->room) {
        l->room = l->targets.room;
        l->value_out = xrealloc(l->value_out, (size_t)l->room, sizeof *l->value_out);
        l->value_slope = xrealloc(l->value_slope, (size_t)l->room, sizeof *l->value_slope);
    }
    head_score(trunk, l->targets.position, l->targets.count, l->value_out);
    if (device_check(l->policy.model->kernels, "a minibatch's values", err)) return -1;
    for (int i = 0; i < l->targets.count; i++) {
        int item = l->targets.item[i];
        double slope;

        pass->value_loss +=
            pass->share * ppo_value_loss(l->value_out[i], rollout->value[item], rollout->returns[item],
                                         l->options->value_clip, &slope);
        l->value_slope[i] = (float)(weight * slope);
    }
    head_score_backward(trunk, l->targets.position, l->targets.count, l->value_slope);
    return 0;
}

static int forward(struct learner *l, struct trunk *trunk, struct error *err) {
    return trunk_forward_at(trunk, &l->batch, l->targets.position, l->targets.count, 1, err);
}

/* Forward and backward of the batch: of each model that learns, once. last: of the minibatch. */
static int learn_batch(struct learner *l, struct pass *pass, int frozen, int with_entropy, int last,
                       struct error *err) {
    if (!frozen) {
        if (forward(l, l->policy.trunk, err)) return -1;
        learn_policy(l, pass, with_entropy);
        if (!l->value.model && learn_value(l, pass, l->policy.trunk, err)) return -1;
        (last && !l->ptx ? trunk_backward_last : trunk_backward)(l->policy.trunk);
    }
    if (!l->value.model) return 0;
    if (forward(l, l->value.trunk, err)) return -1;
    if (learn_value(l, pass, l->value.trunk, err)) return -1;
    (last ? trunk_backward_last : trunk_backward)(l->value.trunk);
    return 0;
}

static int ptx_pass(struct learner *l, uint64_t seed, int iteration, int update, struct error *err) {
    int count = l->options->ptx_rows, *rows;
    struct rng rng = rng_stream(seed, "ppo/ptx", (uint64_t)iteration, (uint64_t)update);
    double loss;
    int status;

    if (!l->ptx) return 0;
    rows = xcalloc((size_t)count, sizeof *rows);
    for (int i = 0; i < count; i++) rows[i] = rng_below(&rng, l->ptx->data->count);
    status = supervised_learn(l->ptx, rows, count, l->options->ptx, &loss, err);
    free(rows);
    return status;
}

static double rate(const struct ppo_options *o, int value, int iteration) {
    int schedule = value && o->value_schedule ? o->value_schedule - 1 : o->schedule;
    double lr = value && o->value_lr > 0 ? o->value_lr : o->lr;

    return schedule_lr((enum schedule)schedule, lr, iteration, o->iterations,
                       (int)ceil(o->warmup * o->iterations), o->floor);
}

static double count_tokens(const struct rollout *rollout, const int *rows, int count) {
    double tokens = 0;

    for (int i = 0; i < count; i++) tokens += rollout->exchanges[rows[i]].response_length;
    return tokens;
}

/* Of the ranks' shares of a minibatch, the whole's. */
static void join_pass(struct pass *pass) {
    double *const members[] = {&pass->loss,  &pass->entropy, &pass->clipped,
                               &pass->moved, &pass->ratio,   &pass->value_loss};
    enum { MEMBERS = sizeof members / sizeof *members };
    double sums[MEMBERS];

    for (int i = 0; i < MEMBERS; i++) sums[i] = *members[i];
    ranks_sum(sums, MEMBERS);
    for (int i = 0; i < MEMBERS; i++) *members[i] = sums[i];
    ranks_max(&pass->gap, 1);
}

/* A rank without rows: the others' sums need not wait for it. */
static void add_nothing(const struct learner *l, int frozen) {
    if (!frozen && !l->ptx) trunk_backward_none(l->policy.trunk);
    if (l->value.model) trunk_backward_none(l->value.trunk);
}

/* One update of both models from these rows, of which each rank takes its share. */
static int learn_minibatch(struct learner *l, const struct rollout *rollout, const int *rows, int count,
                           int frozen, int with_entropy, struct pass *pass, struct error *err) {
    int budget;

    *pass = (struct pass){.learner = l, .rollout = rollout, .share = 1 / count_tokens(rollout, rows, count)};
    rows = run_share(rollout->sizes, rows, &count);
    budget = run_budget(rollout->sizes, rows, count, l->options->micro_tokens);
    for (int first = 0, end; first < count; first = end) {
        end = run_end(rollout->sizes, rows, first, count, budget);
        rollout_gather(rollout, rows + first, end - first, &l->batch, &l->targets);
        if (learn_batch(l, pass, frozen, with_entropy, end == count, err)) return -1;
    }
    if (count == 0) add_nothing(l, frozen);
    if (device_check(l->policy.model->kernels, "a minibatch", err)) return -1;
    join_pass(pass);
    return 0;
}

static double take_step(struct learner *l, struct pupil *pupil, int iteration) {
    float lr = (float)rate(l->options, pupil == &l->value, iteration);

    return optimizer_update(&pupil->optimizer, pupil->model, lr);
}

/* Takes the steps; the policy's gradient norm, or the value's while the policy is frozen. */
static double take_steps(struct learner *l, int frozen, int iteration) {
    double value = l->value.model ? take_step(l, &l->value, iteration) : 0;
    double policy = frozen ? value : take_step(l, &l->policy, iteration);

    return isfinite(value) ? policy : value;
}

static void add_up(struct learned *out, const struct pass *pass, double gradient, int first_epoch,
                   int minibatches) {
    if (out->updates == 0) {
        out->gap = pass->gap;
        out->ratio = pass->ratio;
    }
    if (first_epoch) out->entropy += pass->entropy / minibatches;
    out->policy_loss += pass->loss;
    out->value_loss += pass->value_loss;
    out->clip_fraction += pass->clipped;
    out->gradient += gradient;
    out->updates++;
    out->finite = isfinite(pass->loss) && isfinite(pass->value_loss) && isfinite(gradient);
}

static void to_means(struct learned *out, int frozen) {
    out->policy_loss = frozen ? NAN : out->policy_loss / out->updates;
    out->value_loss /= out->updates;
    out->clip_fraction = frozen ? NAN : out->clip_fraction / out->updates;
    out->gradient /= out->updates;
    if (frozen) out->entropy = out->gap = out->ratio = NAN;
}

static double gap_allowed(const struct learner *l) {
    double limit = l->options->gap_limit;

    return limit == 0 && l->policy.model->kernels->rows_vary ? VARYING_GAP : limit;
}

int learner_learn(struct learner *l, const struct rollout *rollout, uint64_t seed, int iteration,
                  struct learned *out, struct error *err) {
    const struct ppo_options *o = l->options;
    int frozen = iteration < o->freeze_policy, moved_far = 0, status = 0;
    int parts = o->minibatches < rollout->rows ? o->minibatches : rollout->rows;
    int *rows = xcalloc((size_t)rollout->rows, sizeof *rows);

    *out = (struct learned){.finite = 1};
    for (int r = 0; r < rollout->rows; r++) rows[r] = r;
    for (int epoch = 0; epoch < o->epochs && !moved_far; epoch++) {
        struct rng rng = rng_stream(seed, "ppo/order", (uint64_t)iteration, (uint64_t)epoch);

        rng_shuffle(&rng, rows, rollout->rows);
        for (int part = 0; part < parts && out->finite; part++) {
            int first = (int)((long)rollout->rows * part / parts);
            int end = (int)((long)rollout->rows * (part + 1) / parts);
            struct pass pass;

            status = learn_minibatch(l, rollout, rows + first, end - first, frozen,
                                     epoch == 0 || o->entropy > 0, &pass, err);
            if (!status && !frozen) status = ptx_pass(l, seed, iteration, out->updates, err);
            if (status) goto out;
            if (out->updates == 0 && pass.gap > gap_allowed(l)) {
                status = fail(err,
                              "iteration %d: the trainer's log-probabilities differ from the sampler's by up "
                              "to %g (allowed: gap_limit %g); they must be of the same tokens, weights and "
                              "temperature",
                              iteration, pass.gap, gap_allowed(l));
                goto out;
            }
            add_up(out, &pass, take_steps(l, frozen, iteration), epoch == 0, parts);
            moved_far |= o->target_kl > 0 && pass.moved > o->target_kl;
        }
        out->epochs++;
    }
    to_means(out, frozen);
out:
    free(rows);
    return status;
}

void learner_free(struct learner *l) {
    pupil_free(&l->policy);
    pupil_free(&l->value);
    batch_free(&l->batch);
    targets_free(&l->targets);
    free(l->value_out);
    free(l->value_slope);
}
