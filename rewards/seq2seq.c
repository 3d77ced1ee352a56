#include "rewards/seq2seq.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "models/device.h"
#include "models/supervised.h"
#include "rewards/fitting.h"

extern const struct reward reward_seq2seq;

/* What is compared between responses: the mean or sum of token rewards, or the mean log-probability. */
enum sequence { SEQUENCE_MEAN, SEQUENCE_SUM, SEQUENCE_LIKELIHOOD };

struct settings {
    struct extraction how;
    int sequence;
    double identity;
};

static const struct option options[] = {
    {"lambda_id", OPTION_REAL, offsetof(struct settings, identity), "1", 0, 100, NULL,
     "weight of the identity mapping (chosen to chosen) beside the correction (rejected to chosen)"},
    {"variant", OPTION_CHOICE, offsetof(struct settings, how.variant), "hard", 0, 0, "hard|soft|margin",
     "hard: constants; soft: +p and -(1 - p); margin: log p less the best's log p after the divergence"},
    {"scale", OPTION_CHOICE, offsetof(struct settings, how.scale), "reference", 0, 0, "reference|length|none",
     "divide by the mean length of the samples, by the response's own length, or by nothing"},
    {"agreement", OPTION_BOOL, offsetof(struct settings, how.agreement), "false", 0, 0, NULL,
     "tokens that agree after the divergence earn `plus` too"},
    {"missing_end", OPTION_BOOL, offsetof(struct settings, how.missing_end), "true", 0, 0, NULL,
     "a response cut at the length limit has one more diverging token"},
    {"plus", OPTION_REAL, offsetof(struct settings, how.plus), "1", 0, 100, NULL,
     "reward of a token before the divergence"},
    {"minus", OPTION_REAL, offsetof(struct settings, how.minus), "1", 0, 100, NULL,
     "penalty of a diverging token"},
    {"sequence", OPTION_CHOICE, offsetof(struct settings, sequence), "mean", 0, 0, "mean|sum|likelihood",
     "what is compared between responses: mean or sum of token rewards, or mean log-probability"},
    {0}};

struct scorer {
    struct settings settings;
    double weight; /* makes the sums' standard deviation on the samples 1 */
    int better;    /* id of the separator */
    struct model *model;
    struct trunk *trunk;
    struct batch batch;
    struct targets targets;
    float *logprob, *best_logprob;
    int *best;
    int room;
};

static double token_reward(int agrees, int diverged, double logprob, double best_logprob,
                           const struct extraction *how) {
    double p = how->variant == VARIANT_SOFT ? exp(logprob) : 1;

    if (!diverged || (agrees && how->agreement)) return how->plus * p;
    if (agrees) return 0;
    if (how->variant == VARIANT_MARGIN) return logprob - best_logprob;
    return how->variant == VARIANT_SOFT ? -how->minus * (1 - p) : -how->minus;
}

static double divisor(int length, const struct extraction *how) {
    if (how->scale == SCALE_REFERENCE) return how->reference;
    return how->scale == SCALE_LENGTH ? length : 1;
}

void seq2seq_extract(float *out, const int *response, const int *best, const float *logprob,
                     const float *best_logprob, int length, int ended, const struct extraction *how) {
    double by = divisor(length, how);
    int diverged = 0;

    for (int t = 0; t < length; t++) {
        int agrees = best[t] == response[t];

        diverged |= !agrees;
        out[t] =
            (float)(token_reward(agrees, diverged, logprob[t], best_logprob ? best_logprob[t] : 0, how) / by);
    }
    if (!ended && how->missing_end && length > 0) out[length - 1] -= (float)(how->minus / by);
}

/* Prompt, draft without its end, separator, target. */
static void add_mapping(struct dataset *data, const struct pair *pair, const struct tokens *draft, int better,
                        float weight) {
    struct tokens given = {0};

    for (int i = 0; i < pair->prompt.count; i++) tokens_add(&given, pair->prompt.ids[i]);
    for (int i = 0; i < draft->count - 1; i++) tokens_add(&given, draft->ids[i]);
    tokens_add(&given, better);
    dataset_add(data, given.ids, given.count, pair->chosen.ids, pair->chosen.count, weight);
    free(given.ids);
}

/* A correction and an identity row of each pair that fits the context. */
static int add_mappings(struct dataset *data, const struct pairs *pairs, int better, int context,
                        double identity) {
    int left_out = 0;

    for (int i = 0; i < pairs->count; i++) {
        const struct pair *p = &pairs->items[i];
        int longer = p->rejected.count > p->chosen.count ? p->rejected.count : p->chosen.count;

        if (p->prompt.count + longer + p->chosen.count > context) {
            left_out++;
            continue;
        }
        add_mapping(data, p, &p->rejected, better, 1);
        if (identity > 0) add_mapping(data, p, &p->chosen, better, (float)identity);
    }
    return left_out;
}

struct job {
    struct supervised train, heldout;
};

static int learn(void *context, const int *items, int count, struct node *row, double *loss,
                 struct error *err) {
    struct job *job = context;

    (void)row;
    return supervised_learn(&job->train, items, count, 1, loss, err);
}

static int evaluate(void *context, struct node *row, struct error *err) {
    struct job *job = context;
    int count = job->heldout.data->count, *rows, status;
    double loss;

    if (!count) return 0;
    rows = xcalloc((size_t)count, sizeof *rows);
    for (int i = 0; i < count; i++) rows[i] = i;
    status = supervised_loss(&job->heldout, rows, count, &loss, err);
    if (!status) node_add_number(row, "heldout_loss", loss);
    free(rows);
    return status;
}

static int train_model(struct fitting *fitting, struct model *model, struct job *job, struct error *err) {
    struct session session = {0};
    struct optimizer optimizer = {0};
    struct fit fit = {&session,
                      model,
                      &optimizer,
                      &fitting->options->fit,
                      -1,
                      0,
                      job->train.data->count,
                      job->train.sizes,
                      learn,
                      evaluate,
                      job,
                      job->train.trunk};
    int status = -1;

    session_begin(&session, fitting->step);
    if (model_train(model, err) || optimizer_create(&optimizer, model, err)) goto out;
    fit_optimizer(&optimizer, &fitting->options->fit);
    session_keep(&session, "model", model, &optimizer);
    fit.resume = session_resume(&session, err);
    if (fit.resume < 0 || fit_run(&fit, err)) goto out;
    if (lora_store(model, fitting->tokenizer, fitting->step->folder, fitting->options->bits,
                   &fitting->adapters, fitting->options->base, 0, err))
        goto out;
    status = session_finish(&session, err);
out:
    session_free(&session);
    optimizer_free(&optimizer, model);
    return status;
}

static int fit_mappings(struct fitting *fitting, const struct settings *settings, struct node *facts,
                        struct error *err) {
    struct dataset train = {0}, heldout = {0};
    struct job job = {{.data = &train}, {.data = &heldout}};
    struct model *model = NULL;
    int better = tokenizer_better(fitting->tokenizer), status = -1, context = fitting->base->config.context,
        left_out;

    if (model_clone(&model, fitting->base, 0, 0, fitting->step->seed, err)) goto out;
    if (fitting->adapters.rank && model_adapt(model, &fitting->adapters, fitting->step->seed, err)) goto out;
    left_out = add_mappings(&train, &fitting->train, better, context, settings->identity);
    add_mappings(&heldout, &fitting->heldout, better, context, settings->identity);
    node_add_number(facts, "pairs_left_out", left_out);
    if (trunk_create(&job.train.trunk, model, fitting->options->recompute, err)) goto out;
    job.heldout.trunk = job.train.trunk;
    job.train.micro_tokens = job.heldout.micro_tokens = fitting->options->fit.micro_tokens;
    supervised_sizes(&job.train);
    supervised_sizes(&job.heldout);
    status = train_model(fitting, model, &job, err);
out:
    supervised_free(&job.train);
    supervised_free(&job.heldout);
    trunk_free(job.train.trunk);
    dataset_free(&train);
    dataset_free(&heldout);
    model_free(model);
    return status;
}

static void seq2seq_close(struct scorer *s) {
    if (!s) return;
    trunk_free(s->trunk);
    model_free(s->model);
    batch_free(&s->batch);
    targets_free(&s->targets);
    free(s->logprob);
    free(s->best_logprob);
    free(s->best);
    free(s);
}

static int load(struct scorer **out, const char *folder, const struct settings *settings,
                const struct kernels *kernels, enum weight_form form, struct error *err) {
    struct scorer *s = xcalloc(1, sizeof *s);
    struct tokenizer *tokenizer = NULL;

    s->settings = *settings;
    s->weight = 1;
    if (folder_open_as(&s->model, &tokenizer, folder, kernels, form, err) ||
        trunk_create(&s->trunk, s->model, 0, err)) {
        tokenizer_free(tokenizer);
        seq2seq_close(s);
        return -1;
    }
    s->better = tokenizer_better(tokenizer);
    tokenizer_free(tokenizer);
    *out = s;
    return 0;
}

/* One row: prompt, the response as draft, separator, the response as target (its last token is only
   predicted, never read). */
static int add_exchange(struct scorer *s, const struct exchange *row, struct error *err) {
    int first = s->batch.total, draft = row->response_length - (row->ended != 0);
    int before = first + row->prompt_length + draft; /* where the separator stands */

    if (row->response_length < 1) return fail(err, "an empty response has no tokens to reward");
    if (row->prompt_length + draft + row->response_length > s->model->config.context)
        return fail(
            err,
            "a prompt of %d and a response of %d tokens do not fit the seq2seq reward model's context "
            "of %d twice over; shorten max_new or give the model a longer context",
            row->prompt_length, row->response_length, s->model->config.context);
    batch_add(&s->batch, row->prompt, row->prompt_length);
    batch_extend(&s->batch, row->response, draft);
    batch_extend(&s->batch, &s->better, 1);
    batch_extend(&s->batch, row->response, row->response_length - 1);
    for (int t = 0; t < row->response_length; t++) targets_add(&s->targets, before + t, row->response[t], 0);
    return 0;
}

static void make_room(struct scorer *s) {
    if (s->targets.room <= s->room) return;
    s->room = s->targets.room;
    s->logprob = xrealloc(s->logprob, (size_t)s->room, sizeof *s->logprob);
    s->best_logprob = xrealloc(s->best_logprob, (size_t)s->room, sizeof *s->best_logprob);
    s->best = xrealloc(s->best, (size_t)s->room, sizeof *s->best);
}

/* Fills logprob, best and (margin) best_logprob for these rows' response tokens. */
static int predict(struct scorer *s, const struct exchange *rows, int count, struct error *err) {

    batch_clear(&s->batch);
    s->targets.count = 0;
    for (int r = 0; r < count; r++)
        if (add_exchange(s, &rows[r], err)) return -1;
    make_room(s);
    if (trunk_forward_at(s->trunk, &s->batch, s->targets.position, s->targets.count, 0, err)) return -1;
    head_logprob(s->trunk, s->targets.position, s->targets.target, s->targets.count, &SAMPLING_PLAIN,
                 s->logprob, NULL, s->best);
    if (device_check(s->model->kernels, "scoring", err)) return -1;
    if (s->settings.how.variant == VARIANT_MARGIN)
        head_logprob(s->trunk, s->targets.position, s->best, s->targets.count, &SAMPLING_PLAIN,
                     s->best_logprob, NULL, NULL);
    return device_check(s->model->kernels, "scoring", err);
}

static double sequence_score(const struct scorer *s, const float *tokens, const float *logprob, int length) {
    double sum = 0;

    for (int t = 0; t < length; t++)
        sum += s->settings.sequence == SEQUENCE_LIKELIHOOD ? logprob[t] : tokens[t];
    return s->settings.sequence == SEQUENCE_SUM ? sum : sum / length;
}

static int seq2seq_score(struct scorer *s, const struct exchange *rows, int count, float *tokens_out,
                         float *sequence_out, struct error *err) {
    float *tokens = xcalloc((size_t)s->model->config.context, sizeof *tokens);
    int status = 0;

    for (int first = 0, end; first < count && !status; first = end) {
        end = exchanges_end(rows, first, count, 2, 0, SCORE_BUDGET);
        status = predict(s, rows + first, end - first, err);
        for (int r = first, at = 0; r < end && !status; at += rows[r++].response_length) {
            int length = rows[r].response_length;

            seq2seq_extract(tokens, rows[r].response, s->best + at, s->logprob + at, s->best_logprob + at,
                            length, rows[r].ended, &s->settings.how);
            for (int t = 0; t < length; t++) tokens[t] *= (float)s->weight;
            if (sequence_out) sequence_out[r] = (float)sequence_score(s, tokens, s->logprob + at, length);
            if (tokens_out) memcpy(tokens_out, tokens, (size_t)length * sizeof *tokens);
            if (tokens_out) tokens_out += length;
        }
    }
    free(tokens);
    return status;
}

static double mean_length(const struct fitting *fitting) {
    double sum = 0;
    int count = fitting->sample_count;

    for (int i = 0; i < count; i++) sum += fitting->samples[i].response_length;
    for (int i = 0; i < fitting->train.count && !fitting->sample_count; i++) {
        sum += fitting->train.items[i].chosen.count;
        count++;
    }
    return count ? sum / count : 1;
}

/* The weight that gives sums of token rewards a standard deviation of 1 on the samples. */
static int calibrate(struct scorer *s, const struct fitting *fitting, double *mean, double *std,
                     struct error *err) {
    float *sums = xcalloc((size_t)fitting->sample_count, sizeof *sums);
    int sequence = s->settings.sequence, status;

    s->settings.sequence = SEQUENCE_SUM;
    status = seq2seq_score(s, fitting->samples, fitting->sample_count, NULL, sums, err);
    s->settings.sequence = sequence;
    moments(mean, std, sums, fitting->sample_count);
    free(sums);
    return status;
}

static int seq2seq_fit(struct fitting *fitting, const void *settings, struct node *facts, struct error *err) {
    struct settings given = *(const struct settings *)settings;
    struct scorer *s = NULL;
    double mean, std;
    int status = -1;

    if (fit_mappings(fitting, &given, facts, err) || fitting_samples(fitting, err)) goto out;
    given.how.reference = mean_length(fitting);
    if (load(&s, fitting->step->folder, &given, fitting->kernels, fitting->options->weights, err)) goto out;
    if (calibrate(s, fitting, &mean, &std, err)) goto out;
    node_add_number(facts, "reference_length", given.how.reference);
    node_add_number(facts, "mean", mean);
    node_add_number(facts, "std", std);
    status = 0;
out:
    seq2seq_close(s);
    return status;
}

static int seq2seq_open(struct scorer **out, const char *folder, const struct node *facts,
                        const struct kernels *kernels, struct error *err) {
    struct settings settings;
    enum weight_form form;

    if (reward_settings(&reward_seq2seq, facts, folder, &settings, err)) return -1;
    if (reward_weights(&form, facts, folder, err)) return -1;
    settings.how.reference = node_number(facts, "reference_length", 1);
    if (load(out, folder, &settings, kernels, form, err)) return -1;
    (*out)->weight = 1 / node_number(facts, "std", 1);
    return 0;
}

const struct reward reward_seq2seq = {.name = "seq2seq",
                                      .summary = "a model that rewrites the response rewards the tokens it "
                                                 "would keep and penalises those it would change",
                                      .options = options,
                                      .settings_size = sizeof(struct settings),
                                      .fit = seq2seq_fit,
                                      .open = seq2seq_open,
                                      .score = seq2seq_score,
                                      .close = seq2seq_close};
