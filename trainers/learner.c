#include "trainers/learner.h"

#include <math.h>
#include <stdlib.h>

#include "harness/memory.h"
#include "harness/ranks.h"
#include "harness/rng.h"
#include "models/device.h"
#include "models/fit.h"
#include "trainers/experience.h"

/* What a minibatch adds up over its tokens: the loss of values, then what policy_slope() does. */
enum { VALUE_LOSS, POLICY, PASS_SUMS = POLICY + POLICY_SUMS };
_Static_assert((int)PASS_SUMS == EXPERIENCE_SUMS, "a minibatch's sums have room");

/* One minibatch on its way through the models. */
struct pass {
    const struct learner *learner;
    const struct experience *experience;
    const int *item;        /* of the batch's tokens, where operations read them */
    double share;           /* 1 / tokens of the minibatch */
    double sums[PASS_SUMS]; /* there once someone has waited */
    double *place;          /* of sums, where operations add to them */
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

static void policy_slopes(void *context, int first, int count, const float *logprob, const float *entropy,
                          float *slope, float *entropy_slope) {
    struct pass *pass = context;
    const struct ppo_options *options = pass->learner->options;
    const struct experience *experience = pass->experience;

    pass->learner->policy.model->kernels->policy_slope(
        slope, entropy_slope, pass->place + POLICY, logprob, entropy, experience->logprob,
        experience->advantage, pass->item + first, count, pass->share, options->clip, options->entropy);
}

/* The policy's loss on the batch that its trunk holds, backward as far as the hidden states. */
static void learn_policy(struct learner *l, struct pass *pass, int with_entropy) {
    const struct ppo_options *o = l->options;
    struct sampling sampling = {(float)o->temperature, o->top_k, (float)o->top_p, (float)o->min_p};

    head_train(l->policy.trunk, l->targets.position, l->targets.target, l->targets.count, &sampling,
               with_entropy, policy_slopes, pass, NULL, NULL);
}

static void value_slopes(void *context, int first, int count, const float *value, float *slope) {
    struct pass *pass = context;
    const struct ppo_options *options = pass->learner->options;
    const struct experience *experience = pass->experience;

    pass->learner->policy.model->kernels->value_slope(
        slope, pass->place + VALUE_LOSS, value, experience->value, experience->returns, pass->item + first,
        count, pass->share, pass->share * options->value_coefficient, options->value_clip);
}

/* The same for the values that a trunk's score head reads off. */
static void learn_value(struct learner *l, struct pass *pass, struct trunk *trunk) {
    head_score_train(trunk, l->targets.position, l->targets.count, value_slopes, pass, NULL);
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
        if (!l->value.model) learn_value(l, pass, l->policy.trunk);
        (last && !l->ptx ? trunk_backward_last : trunk_backward)(l->policy.trunk);
    }
    if (!l->value.model) return 0;
    if (forward(l, l->value.trunk, err)) return -1;
    learn_value(l, pass, l->value.trunk);
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
    double *gap = &pass->sums[POLICY + POLICY_GAP];

    ranks_sum(pass->sums, (int)(gap - pass->sums));
    ranks_max(gap, 1);
}

/* A rank without rows: the others' sums need not wait for it. */
static void add_nothing(const struct learner *l, int frozen) {
    if (!frozen && !l->ptx) trunk_backward_none(l->policy.trunk);
    if (l->value.model) trunk_backward_none(l->value.trunk);
}

/* Makes these rows the batch, with its tokens' items where operations read them. */
static void gather(struct learner *l, const struct rollout *rollout, const int *rows, int count,
                   struct pass *pass) {
    const struct kernels *kernels = l->policy.model->kernels;

    rollout_gather(rollout, rows, count, &l->batch, &l->targets);
    pass->item = kernels->send(rollout->experience->item, l->targets.item,
                               (size_t)l->targets.count * sizeof *l->targets.item);
}

/* Queues both models' gradients from these rows, of which each rank takes its share. */
static int learn_minibatch(struct learner *l, const struct rollout *rollout, const int *rows, int count,
                           int frozen, int with_entropy, struct pass *pass, struct error *err) {
    const struct kernels *kernels = l->policy.model->kernels;
    int budget;

    *pass = (struct pass){
        .learner = l, .experience = rollout->experience, .share = 1 / count_tokens(rollout, rows, count)};
    pass->place = kernels->place(rollout->experience->sums, pass->sums);
    kernels->zero(pass->place, sizeof pass->sums);
    rows = run_share(rollout->sizes, rows, &count);
    budget = run_budget(rollout->sizes, rows, count, l->options->micro_tokens);
    for (int first = 0, end; first < count; first = end) {
        end = run_end(rollout->sizes, rows, first, count, budget);
        gather(l, rollout, rows + first, end - first, pass);
        if (learn_batch(l, pass, frozen, with_entropy, end == count, err)) return -1;
    }
    if (count == 0) add_nothing(l, frozen);
    kernels->fetch(pass->sums, pass->place, sizeof pass->sums);
    return 0;
}

static double take_step(struct learner *l, struct pupil *pupil, int iteration) {
    float lr = (float)rate(l->options, pupil == &l->value, iteration);

    return optimizer_update(&pupil->optimizer, pupil->model, lr);
}

/* Takes the steps, which wait for the gradients and so for the minibatch; *gradient: the policy's norm, or
 * the value's while the policy is frozen. */
static int take_steps(double *gradient, struct learner *l, int frozen, int iteration, struct error *err) {
    double value = l->value.model ? take_step(l, &l->value, iteration) : 0;
    double policy = frozen ? value : take_step(l, &l->policy, iteration);

    *gradient = isfinite(value) ? policy : value;
    return isnan(*gradient) ? device_check(l->policy.model->kernels, "a minibatch", err) : 0;
}

static void add_up(struct learned *out, const struct pass *pass, double gradient, int first_epoch,
                   int minibatches) {
    const double *policy = pass->sums + POLICY, value_loss = pass->sums[VALUE_LOSS];

    if (out->updates == 0) {
        out->gap = policy[POLICY_GAP];
        out->ratio = policy[POLICY_RATIO];
    }
    if (first_epoch) out->entropy += policy[POLICY_ENTROPY] / minibatches;
    out->policy_loss += policy[POLICY_LOSS];
    out->value_loss += value_loss;
    out->clip_fraction += policy[POLICY_CLIPPED];
    out->gradient += gradient;
    out->updates++;
    out->finite = isfinite(policy[POLICY_LOSS]) && isfinite(value_loss) && isfinite(gradient);
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

/* Of the first minibatch, which is waited for: before any update the trainer has the sampler's numbers. */
static int check_gap(const struct learner *l, const struct pass *pass, int iteration, struct error *err) {
    double gap;

    if (device_check(l->policy.model->kernels, "a minibatch", err)) return -1;
    gap = pass->sums[POLICY + POLICY_GAP];
    ranks_max(&gap, 1);
    if (!(gap > gap_allowed(l))) return 0;
    return fail(err,
                "iteration %d: the trainer's log-probabilities differ from the sampler's by up to %g "
                "(allowed: gap_limit %g); they must be of the same tokens, weights and temperature",
                iteration, gap, gap_allowed(l));
}

int learner_learn(struct learner *l, const struct rollout *rollout, uint64_t seed, int iteration,
                  struct learned *out, struct error *err) {
    const struct ppo_options *o = l->options;
    int frozen = iteration < o->freeze_policy, moved_far = 0, status = 0;
    int parts = o->minibatches < rollout->rows ? o->minibatches : rollout->rows;
    int *rows = xcalloc((size_t)rollout->rows, sizeof *rows);
    struct pass pass;
    double gradient;

    *out = (struct learned){.finite = 1};
    for (int r = 0; r < rollout->rows; r++) rows[r] = r;
    for (int epoch = 0; epoch < o->epochs && !moved_far; epoch++) {
        struct rng rng = rng_stream(seed, "ppo/order", (uint64_t)iteration, (uint64_t)epoch);

        rng_shuffle(&rng, rows, rollout->rows);
        for (int part = 0; part < parts && out->finite; part++) {
            int first = (int)((long)rollout->rows * part / parts);
            int end = (int)((long)rollout->rows * (part + 1) / parts);

            status = learn_minibatch(l, rollout, rows + first, end - first, frozen,
                                     epoch == 0 || o->entropy > 0, &pass, err);
            if (!status && !frozen) status = ptx_pass(l, seed, iteration, out->updates, err);
            if (!status && out->updates == 0) status = check_gap(l, &pass, iteration, err);
            if (!status) status = take_steps(&gradient, l, frozen, iteration, err);
            if (status) goto out;
            join_pass(&pass);
            add_up(out, &pass, gradient, epoch == 0, parts);
            moved_far |= o->target_kl > 0 && pass.sums[POLICY + POLICY_MOVED] > o->target_kl;
        }
        out->epochs++;
    }
    to_means(out, frozen);
out:
    if (status) l->policy.model->kernels->sync(); /* what is on its way to arrays that go now */
    free(rows);
    return status;
}

void learner_free(struct learner *l) {
    pupil_free(&l->policy);
    pupil_free(&l->value);
    batch_free(&l->batch);
    targets_free(&l->targets);
}
