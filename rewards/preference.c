#include "rewards/preference.h"

#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/ranks.h"
#include "models/device.h"

/* One member being fitted. */
struct job {
    const struct preference_fit *what;
    struct fitting *fitting;
    struct model *model;
    struct optimizer optimizer;
    struct preference reader; /* shares model, for held-out accuracy and training passes */
    int heads;
    int *sizes;   /* tokens of each pair */
    double *room; /* kernel memory of an update's sums: loss and accuracy */
};

/* An update on its way through the model. */
struct pass {
    const struct job *job;
    double share; /* 1 / (pairs of the update times heads) */
    double *sums; /* where operations add to them */
};

/* Fills the batch with rows and `last` with the flat index of each one's last token. */
static void gather(struct preference *p, const struct exchange *rows, int count) {
    if (count > p->room) {
        p->room = 2 * count;
        p->last = xrealloc(p->last, (size_t)p->room, sizeof *p->last);
    }
    batch_clear(&p->batch);
    for (int r = 0; r < count; r++) {
        batch_add(&p->batch, rows[r].prompt, rows[r].prompt_length);
        batch_extend(&p->batch, rows[r].response, rows[r].response_length);
        p->last[r] = p->batch.total - 1;
    }
}

int preference_score(struct preference *p, const struct exchange *rows, int count, float *out,
                     struct error *err) {
    int heads = p->model->config.score_heads;

    for (int first = 0, end; first < count; first = end) {
        end = exchanges_end(rows, first, count, 1, 0, SCORE_BUDGET);
        gather(p, rows + first, end - first);
        if (trunk_forward_at(p->trunk, &p->batch, p->last, end - first, 0, err)) return -1;
        head_score(p->trunk, p->last, end - first, out + (size_t)first * heads);
    }
    return device_check(p->model->kernels, "scoring", err);
}

/* Of the scores of pairs at rows 2i, 2i+1. */
static void pair_slopes(void *context, int first, int count, const float *score, float *slope) {
    const struct pass *pass = context;
    const struct job *job = pass->job;

    (void)first;
    job->model->kernels->pair_slope(slope, pass->sums, score, count / 2, job->heads, pass->share,
                                    job->what->l2);
}

static int learn(void *context, const int *items, int count, struct node *row, double *loss,
                 struct error *err) {
    struct job *job = context;
    struct exchange *rows = xcalloc(2 * (size_t)count, sizeof *rows);
    struct preference *p = &job->reader;
    const struct kernels *kernels = job->model->kernels;
    double sums[2] = {0, 0};
    struct pass pass = {job, 1.0 / ((double)count * job->heads), kernels->place(job->room, sums)};
    int budget, status = 0;

    kernels->zero(pass.sums, sizeof sums);
    items = run_share(job->sizes, items, &count);
    budget = run_budget(job->sizes, items, count, job->what->options->micro_tokens);
    for (int i = 0; i < 2 * count; i++)
        rows[i] = pair_exchange(&job->what->pairs->items[items[i / 2]], i % 2 == 0);
    for (int first = 0, end; first < count && !status; first = end) {
        end = run_end(job->sizes, items, first, count, budget);
        gather(p, rows + 2 * first, 2 * (end - first));
        status = trunk_forward_at(p->trunk, &p->batch, p->last, 2 * (end - first), 1, err);
        if (status) break;
        head_score_train(p->trunk, p->last, 2 * (end - first), pair_slopes, &pass, NULL);
        (end < count ? trunk_backward : trunk_backward_last)(p->trunk);
    }
    if (count == 0) trunk_backward_none(p->trunk);
    if (!status) {
        kernels->fetch(sums, pass.sums, sizeof sums);
        status = device_check(kernels, "the pairs' scores", err);
    }
    if (!status) ranks_sum(sums, 2);
    *loss = sums[0];
    node_add_number(row, "accuracy", sums[1]);
    free(rows);
    return status;
}

/* Share of held-out pairs that the mean of the heads puts in the right order. */
static int evaluate(void *context, struct node *row, struct error *err) {
    struct job *job = context;
    const struct pairs *pairs = &job->fitting->heldout;
    size_t *start = ranks_even((size_t)pairs->count);
    int first = (int)start[ranks_index()], count = (int)start[ranks_index() + 1] - first, status;
    struct exchange *rows = xcalloc(2 * (size_t)count, sizeof *rows);
    float *score = xcalloc(2 * (size_t)count * job->heads, sizeof *score);
    double right = 0;

    for (int i = 0; i < 2 * count; i++) rows[i] = pair_exchange(&pairs->items[first + i / 2], i % 2 == 0);
    status = preference_score(&job->reader, rows, 2 * count, score, err);
    for (int i = 0; i < count && !status; i++) {
        double margin = 0;

        for (int h = 0; h < job->heads; h++)
            margin += score[2 * i * job->heads + h] - score[(2 * i + 1) * job->heads + h];
        right += margin > 0 ? 1 : margin == 0 ? 0.5 : 0;
    }
    if (!status) ranks_sum(&right, 1);
    if (!status && pairs->count) node_add_number(row, "heldout_accuracy", right / pairs->count);
    free(start);
    free(rows);
    free(score);
    return status;
}

static char *member_folder(const struct step *step, int members, int member) {
    char name[32];

    if (members == 1) return xstrdup(step->folder);
    snprintf(name, sizeof name, "member-%d", member + 1);
    return step_path(step, name);
}

static void set_scores(struct model *model, const float *scores) {
    size_t bytes = (size_t)model->score->rows * (size_t)model->score->cols * sizeof *scores;
    float *view = model->kernels->map(model->score->data, bytes, 0);

    memcpy(view, scores, bytes);
    model->kernels->unmap(model->score->data, view, bytes, 1);
}

/* A member as it is at first: the base's parameters or adapters that add nothing, and a head of its own. */
static void reset(struct job *job, int member) {
    const struct preference_fit *what = job->what;
    uint64_t seed = what->step->seed + 1000003 * (uint64_t)member;
    size_t head = (size_t)job->heads * (size_t)job->model->config.width;

    if (what->adapters->rank)
        model_init_adapters(job->model, seed);
    else
        model_copy(job->model, what->base);
    model_init_score(job->model, seed);
    if (what->scores) set_scores(job->model, what->scores + (size_t)member * head);
    model_changed(job->model);
    optimizer_reset(&job->optimizer, job->model);
}

static int store(const struct preference_fit *what, const struct model *model, int member,
                 struct error *err) {
    const struct fitting *fitting = what->fitting;
    char *folder;
    int status;

    if (what->store) return what->store(what, model, member, err);
    folder = member_folder(what->step, what->members, member);
    status = lora_store(model, fitting->tokenizer, folder, fitting->options->bits, what->adapters,
                        what->base_path, 1, err);
    free(folder);
    return status;
}

static int fit_member(struct job *job, struct session *session, int member, int resume, struct error *err) {
    const struct preference_fit *what = job->what;
    struct fit fit = {
        session, job->model,         &job->optimizer, what->options, what->members == 1 ? -1 : member,
        resume,  what->pairs->count, job->sizes,      learn,         evaluate,
        job,     job->reader.trunk};

    if (!resume) reset(job, member);
    if (fit_run(&fit, err)) return -1;
    return store(what, job->model, member, err);
}

static int fit_members(struct job *job, struct error *err) {
    struct session session = {0};
    int resumed, first, members = job->what->members, status = -1;

    session_begin(&session, job->what->step);
    session_keep(&session, "model", job->model, &job->optimizer);
    resumed = session_resume(&session, err);
    if (resumed < 0) goto out;
    first = resumed && members > 1 ? (int)session_number(&session, "member", 0) : 0;
    for (int m = first; m < members; m++)
        if (fit_member(job, &session, m, resumed && m == first, err)) goto out;
    status = session_finish(&session, err);
out:
    session_free(&session);
    return status;
}

static void size_pairs(struct job *job) {
    const struct pairs *pairs = job->what->pairs;

    job->sizes = xcalloc((size_t)pairs->count, sizeof *job->sizes);
    for (int i = 0; i < pairs->count; i++) {
        const struct pair *pair = &pairs->items[i];

        job->sizes[i] = 2 * pair->prompt.count + pair->chosen.count + pair->rejected.count;
    }
}

static int make_room(struct job *job, struct error *err) {
    const struct kernels *kernels = job->model->kernels;
    size_t bytes = 2 * sizeof *job->room;

    job->room = kernels->alloc(bytes);
    return job->room ? 0 : device_full(kernels, bytes, "an update's sums", NULL, err);
}

static int make_model(struct job *job, struct error *err) {
    const struct preference_fit *what = job->what;
    int heads = what->base->config.score_heads;

    if (what->adapters->rank && heads && heads != what->heads)
        return fail(
            err,
            "%s: the base has a score head of %d, where adapters with one of %d cannot be put: take a "
            "base without a head",
            what->step->name, heads, what->heads);
    if (model_clone(&job->model, what->base, what->heads, 0, what->step->seed, err)) return -1;
    job->reader.model = job->model;
    return what->adapters->rank ? model_adapt(job->model, what->adapters, what->step->seed, err) : 0;
}

int preference_fit(const struct preference_fit *what, struct error *err) {
    struct job job = {.what = what, .fitting = what->fitting, .heads = what->heads};
    int status = -1;

    if (make_model(&job, err)) goto out;
    if (model_train(job.model, err) || optimizer_create(&job.optimizer, job.model, err)) goto out;
    if (trunk_create(&job.reader.trunk, job.model, what->fitting->options->recompute, err)) goto out;
    if (make_room(&job, err)) goto out;
    fit_optimizer(&job.optimizer, what->options);
    size_pairs(&job);
    status = fit_members(&job, err);
out:
    if (job.room) job.model->kernels->free(job.room);
    optimizer_free(&job.optimizer, job.model);
    preference_close(&job.reader);
    free(job.sizes);
    return status;
}

struct preference_fit preference_of(struct fitting *fitting, int members, int heads, double l2) {
    return (struct preference_fit){.fitting = fitting,
                                   .step = fitting->step,
                                   .pairs = &fitting->train,
                                   .options = &fitting->options->fit,
                                   .members = members,
                                   .heads = heads,
                                   .l2 = l2,
                                   .base = fitting->base,
                                   .base_path = fitting->options->base,
                                   .adapters = &fitting->adapters};
}

int preference_load(struct model **out, const char *folder, const struct kernels *kernels,
                    enum weight_form form, struct error *err) {
    if (model_load_as(out, folder, kernels, form, err)) return -1;
    if ((*out)->config.score_heads > 0) return 0;
    return fail(err, "%s: the model has no score head; fit it with the trainer reward", folder);
}

int preference_open(struct preference *p, const char *folder, const struct kernels *kernels,
                    enum weight_form form, struct error *err) {
    if (preference_load(&p->model, folder, kernels, form, err)) return -1;
    return trunk_create(&p->trunk, p->model, 0, err);
}

void preference_close(struct preference *p) {
    trunk_free(p->trunk);
    model_free(p->model);
    batch_free(&p->batch);
    free(p->last);
    *p = (struct preference){0};
}
