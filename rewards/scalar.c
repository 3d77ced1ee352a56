/* The scalar reward model: Bradley-Terry, one score at the response's last token. */
#include <stdlib.h>

#include "harness/memory.h"
#include "rewards/preference.h"

struct settings {
    double l2;
};

static const struct option options[] = {{"l2", OPTION_REAL, offsetof(struct settings, l2), "0", 0, 10, NULL,
                                         "weight of the mean squared score in the loss"},
                                        {0}};

struct scorer {
    struct preference model;
    double mean, std;
};

static int scalar_fit(struct fitting *fitting, const void *settings, struct node *facts, struct error *err) {
    const struct settings *s = settings;
    struct preference_fit what = preference_of(fitting, 1, 1, s->l2);
    struct preference model = {0};
    float *score = NULL;
    double mean = 0, std = 1;
    int status = -1;

    if (preference_fit(&what, err) || fitting_samples(fitting, err)) goto out;
    score = xcalloc((size_t)fitting->sample_count, sizeof *score);
    if (preference_open(&model, fitting->step->folder, fitting->kernels, fitting->options->weights, err))
        goto out;
    if (preference_score(&model, fitting->samples, fitting->sample_count, score, err)) goto out;
    moments(&mean, &std, score, fitting->sample_count);
    node_add_number(facts, "mean", mean);
    node_add_number(facts, "std", std);
    status = 0;
out:
    preference_close(&model);
    free(score);
    return status;
}

static void scalar_close(struct scorer *scorer) {
    if (!scorer) return;
    preference_close(&scorer->model);
    free(scorer);
}

static int scalar_open(struct scorer **out, const char *folder, const struct node *facts,
                       const struct kernels *kernels, struct error *err) {
    struct scorer *scorer;
    enum weight_form form;

    if (reward_weights(&form, facts, folder, err)) return -1;
    scorer = xcalloc(1, sizeof *scorer);
    scorer->mean = node_number(facts, "mean", 0);
    scorer->std = node_number(facts, "std", 1);
    if (preference_open(&scorer->model, folder, kernels, form, err)) {
        scalar_close(scorer);
        return -1;
    }
    *out = scorer;
    return 0;
}

static int scalar_score(struct scorer *scorer, const struct exchange *rows, int count, float *tokens_out,
                        float *sequence_out, struct error *err) {
    float *score = xcalloc((size_t)count, sizeof *score);
    int status = preference_score(&scorer->model, rows, count, score, err);

    for (int r = 0; r < count; r++) score[r] = (float)((score[r] - scorer->mean) / scorer->std);
    for (int r = 0; r < count && sequence_out; r++) sequence_out[r] = score[r];
    if (tokens_out) score_last_tokens(tokens_out, rows, count, score);
    free(score);
    return status;
}

const struct reward reward_scalar = {.name = "scalar",
                                     .summary = "Bradley-Terry score at the last token",
                                     .options = options,
                                     .settings_size = sizeof(struct settings),
                                     .fit = scalar_fit,
                                     .open = scalar_open,
                                     .score = scalar_score,
                                     .close = scalar_close};
