#include "rewards/lora_ensemble.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/ranks.h"
#include "harness/rng.h"
#include "models/device.h"
#include "models/safetensors.h"

static const struct adapter_options no_adapters;

/* The same prompt is on the same side, in every run. */
static int is_first(const struct pair *pair, double first) {
    const char *prompt = pair->example->prompt;
    struct rng rng = rng_stream(0, "ensemble/first", text_hash(prompt, strlen(prompt)), 0);

    return rng_uniform(&rng) < first;
}

/* The pairs themselves stay the fitting's. */
static struct pairs side_of(const struct fitting *fitting, double first, int wanted) {
    struct pairs side = {xcalloc((size_t)fitting->train.count + 1, sizeof *side.items), 0};

    for (int i = 0; i < fitting->train.count; i++)
        if (is_first(&fitting->train.items[i], first) == wanted)
            side.items[side.count++] = fitting->train.items[i];
    return side;
}

static int check_sides(const struct pairs *first, const struct pairs *rest, const struct fitting *fitting,
                       struct error *err) {
    if (first->count && rest->count) return 0;
    return fail(
        err, "%s: of %d pairs %d are for the trunk and %d for the adapters: give more, or another \"first\"",
        fitting->step->name, fitting->train.count, first->count, rest->count);
}

static char *scores_path(const struct step *trunk) {
    return step_path(trunk, "heads.safetensors");
}

static int write_scores(const struct step *trunk, const struct model *model, struct error *err) {
    const struct tensor *score = model->score;
    size_t bytes = (size_t)score->rows * (size_t)score->cols * sizeof(float);
    struct safetensor_out item = {.name = score->name,
                                  .rank = 2,
                                  .shape = {score->rows, score->cols},
                                  .data = model->kernels->map(score->data, bytes, 1),
                                  .type = number_type_find("F32")};
    char *path = scores_path(trunk);
    int status = device_check(model->kernels, "the trunk's heads", err);

    if (!status) status = safetensors_write(path, &item, 1, NULL, err);
    model->kernels->unmap(score->data, (float *)item.data, bytes, 0);
    free(path);
    return status;
}

/* Without its heads the trunk is a model that any adapter can stand on. It is whole once its weights are
 * there: they come last. */
static int store_trunk(const struct preference_fit *what, const struct model *model, int member,
                       struct error *err) {
    const struct fitting *fitting = what->fitting;
    struct model *bare = NULL;
    int status;

    (void)member;
    if (ranks_first() && write_scores(what->step, model, err)) return -1;
    if (model_clone(&bare, model, 0, 0, 0, err)) return -1;
    status = folder_store(bare, fitting->tokenizer, what->step->folder, fitting->options->bits, err);
    model_free(bare);
    return status;
}

static int fit_trunk(struct fitting *fitting, const struct lora_ensemble *how, const struct step *trunk,
                     const struct pairs *pairs, struct error *err) {
    struct preference_fit what = preference_of(fitting, 1, how->members, how->l2);
    char *done = step_path(trunk, "model.safetensors"), *checkpoint = step_path(trunk, "checkpoint");
    int is_done = file_exists(done), status = 0;

    what.step = trunk;
    what.pairs = pairs;
    what.adapters = &no_adapters;
    what.store = store_trunk;
    ranks_share(&is_done, sizeof is_done);
    if (!is_done)
        status = folder_make(trunk->folder, err) ? -1 : preference_fit(&what, err);
    else if (ranks_first())
        unlink(checkpoint); /* of an attempt that ended between the two */
    free(checkpoint);
    free(done);
    return status;
}

static float *read_scores(const struct step *trunk, int members, int width, struct error *err) {
    char *path = scores_path(trunk);
    float *out = xcalloc((size_t)members * (size_t)width, sizeof *out);
    struct safetensors file;
    const struct stored *score;
    int status = safetensors_open(&file, path, err);

    if (status == 0) {
        score = safetensors_find(&file, "score.weight");
        status = score ? stored_floats(score, out, (size_t)members * (size_t)width, err)
                       : fail(err, "%s has no heads", path);
        safetensors_close(&file);
    }
    free(path);
    if (status == 0) return out;
    free(out);
    return NULL;
}

static int fit_adapters(struct fitting *fitting, const struct lora_ensemble *how, const struct step *trunk,
                        const struct pairs *pairs, struct error *err) {
    struct preference_fit what = preference_of(fitting, how->members, 1, how->l2);
    struct fit_options options = fitting->options->fit;
    float *scores = NULL;
    int status = -1;

    if (how->lr > 0) options.lr = how->lr;
    if (how->schedule) options.schedule = how->schedule - 1;
    what.options = &options;
    what.pairs = pairs;
    what.base_path = trunk->folder;
    if (model_load(&what.base, trunk->folder, fitting->kernels, err)) return -1;
    scores = read_scores(trunk, how->members, what.base->config.width, err);
    what.scores = scores;
    if (scores) status = preference_fit(&what, err);
    free(scores);
    model_free(what.base);
    return status;
}

int lora_ensemble_fit(struct fitting *fitting, const struct lora_ensemble *how, struct error *err) {
    struct pairs first = side_of(fitting, how->first, 1), rest = side_of(fitting, how->first, 0);
    struct step trunk = *fitting->step;
    char *folder = step_path(fitting->step, "trunk");
    int status = -1;

    trunk.folder = folder;
    if (check_sides(&first, &rest, fitting, err)) goto out;
    if (fit_trunk(fitting, how, &trunk, &first, err)) goto out;
    status = fit_adapters(fitting, how, &trunk, &rest, err);
out:
    free(first.items);
    free(rest.items);
    free(folder);
    return status;
}
