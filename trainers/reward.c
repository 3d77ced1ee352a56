/* Fits a reward of the recipe's choice, then says how good it is: accuracy on pairs it has not seen, and
   whether it pays for length. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/progress.h"
#include "harness/ranks.h"
#include "harness/registry.h"
#include "models/cost.h"
#include "rewards/fitting.h"

static int find(const struct reward **out, const struct step *step, const char *name, struct error *err) {
    const char *names[64];
    const struct node *given = node_get(step->options, "reward");
    const char *near;
    int count = 0;

    *out = reward_find(name);
    if (*out) return 0;
    for (; rewards[count] && count < 64; count++) names[count] = rewards[count]->name;
    near = nearest_name(name, names, count);
    return fail_at(err, step_where(step), given ? given->line : 0, "there is no reward \"%s\"; %s%s%s", name,
                   near ? "did you mean \"" : "see pyrite list reward", near ? near : "", near ? "\"?" : "");
}

/* The reward's own settings; caller frees. */
static int read_settings(void **out, const struct reward *reward, const struct node *given, const char *where,
                         struct error *err) {
    struct node *none = node_new(NODE_MAP);
    int status;

    *out = xcalloc(1, reward->settings_size ? reward->settings_size : 1);
    status = options_read(reward->options, reward->presets, given ? given : none, where, *out, err);
    node_free(none);
    return status;
}

/* Models that are fitted one after another, and whole ones before them, by the settings that say it; of a
   reward without a model none. */
struct fitted {
    double members, trunks;
};

static struct fitted models_fitted(const struct reward *reward, const void *settings) {
    struct node *described = options_describe(reward->options, settings);
    const char *architecture = node_text(described, "architecture", "");
    struct fitted out = {node_number(described, "members", !reward->is_bare),
                         strcmp(architecture, "lora") == 0};

    if (strcmp(architecture, "shared") == 0) out.members = 1;
    node_free(described);
    return out;
}

/* A reward and its settings, which the caller frees, also after an error. */
static int read_options(struct fitting_options *options, const struct reward **reward, void **settings,
                        const struct step *step, struct error *err) {
    const char *name = step->name;

    if (options_read(fitting_options, NULL, step->options, step_where(step), options, err)) return -1;
    if (find(reward, step, options->name, err)) return -1;
    if (read_settings(settings, *reward, options->settings, step_where(step), err)) return -1;
    if (lora_check_weights(options->weights, options->lora, options->base, name, err)) return -1;
    if (!models_fitted(*reward, *settings).trunks) return 0;
    if (!options->lora)
        return fail(err, "%s: architecture: lora needs the option lora, as lora: {rank: 8}", name);
    if (options->weights == WEIGHTS_FULL) return 0;
    return fail(err, "%s: weights: int8 cannot learn, and architecture: lora trains a trunk whole", name);
}

static int write_facts(const struct step *step, const struct node *facts, struct error *err) {
    char *path = step_path(step, "reward.json"), *json = node_json(facts, 2);
    int status = file_write(path, json, strlen(json), err);

    free(json);
    free(path);
    return status;
}

static int accuracy(struct node *out, const char *split, const struct reward *reward, struct scorer *scorer,
                    const struct pairs *pairs, struct error *err) {
    double share;

    if (!pairs->count) return 0;
    if (pairs_accuracy(&share, reward, scorer, pairs, err)) return -1;
    node_add_number(out, split, share);
    return 0;
}

/* Correlation of total reward with length over the samples: a reward that pays for length shows it here,
   before any policy finds out. */
static int length_check(struct node *facts, const struct fitting *fitting, const struct reward *reward,
                        struct scorer *scorer, struct error *err) {
    int count = fitting->sample_count, total = 0, status;
    double *length = xcalloc((size_t)count, sizeof *length), *sum = xcalloc((size_t)count, sizeof *sum), r;
    float *tokens, *at;

    for (int i = 0; i < count; i++) {
        length[i] = fitting->samples[i].response_length;
        total += fitting->samples[i].response_length;
    }
    at = tokens = xcalloc((size_t)total, sizeof *tokens);
    status = reward->score(scorer, fitting->samples, count, tokens, NULL, err);
    for (int i = 0; i < count; i++)
        for (int t = 0; t < fitting->samples[i].response_length; t++) sum[i] += *at++;
    r = correlation(sum, length, count);
    if (!status && count) node_add_number(facts, "length_correlation", r);
    if (!status && fabs(r) > fitting->options->length_limit) {
        node_add_text(node_add(facts, "events", NODE_LIST), NULL, "length_correlation");
        progress_notice("%s: length_correlation: total reward and length correlate at %.2f on %d samples; a "
                        "policy will find that out",
                        fitting->step->name, r, count);
    }
    free(length);
    free(sum);
    free(tokens);
    return status;
}

static int report(struct node *facts, const struct fitting *fitting, struct error *err) {
    const struct reward *reward;
    struct scorer *scorer = NULL;
    struct node *shares = node_add(facts, "accuracy", NODE_MAP);
    int status = -1;

    if (reward_open(&reward, &scorer, fitting->step->folder, fitting->kernels, err)) return -1;
    if (accuracy(shares, "heldout", reward, scorer, &fitting->heldout, err)) goto out;
    if (accuracy(shares, "ood", reward, scorer, &fitting->ood, err)) goto out;
    if (length_check(facts, fitting, reward, scorer, err)) goto out;
    status = write_facts(fitting->step, facts, err);
out:
    reward->close(scorer);
    return status;
}

static int reward_run(struct run *run, const struct step *step, struct error *err) {
    struct fitting_options options;
    struct fitting fitting = {0};
    const struct reward *reward;
    struct node *facts = node_new(NODE_MAP), *described = NULL;
    void *settings = NULL;
    int status = -1;

    if (read_options(&options, &reward, &settings, step, err)) goto out;
    if (fitting_open(&fitting, &options, run, step, err)) goto out;
    described = options_describe(reward->options, settings);
    node_add_text(facts, "reward", reward->name);
    node_add_copy(facts, "settings", described);
    if (options.weights == WEIGHTS_INT8) node_add_text(facts, "weights", "int8");
    node_add_number(facts, "pairs", fitting.train.count);
    if (reward->fit(&fitting, settings, facts, err)) goto out;
    node_add_number(facts, "samples", fitting.sample_count);
    if (ranks_first() && (write_facts(step, facts, err) || report(facts, &fitting, err))) goto out;
    status = 0;
out:
    fitting_free(&fitting);
    node_free(described);
    node_free(facts);
    free(settings);
    return status;
}

/* Fitting, and samples that the base draws where scores are normalised on such, which every fitted model
   reads. The vocabulary's head is left out of what is fitted: it has a part in seq2seq alone, a tenth of it.
 */
static double reward_work(const struct fitting_options *options, const struct config *config,
                          struct fitted models, double passes) {
    struct passage updates = cost_updates(config, options->fit.steps, options->fit.batch_tokens);
    struct passage samples = cost_answers(config, options->samples, 1, options->max_new);
    struct passage scored = samples;

    updates.read = scored.read = 0;
    return (options->normalise == NORMALISE_SAMPLES) * cost_forward(config, &samples) +
           models.members * cost_forward(config, &scored) +
           (models.members * passes + models.trunks * 3) * cost_forward(config, &updates);
}

/* What learns, and the larger of a pass over pairs and one that scores held-out ones. */
static void hold_learning(double held[HOLDINGS], const struct fitting_options *o, const struct config *config,
                          const struct kernels *kernels, const struct adapter_options *adapters) {
    double scoring[HOLDINGS] = {0};

    model_hold(held, config, kernels, o->weights, 1, adapters);
    memcpy(scoring, held, sizeof scoring);
    trunk_hold(scoring, config, kernels, SCORE_BUDGET, 0, 0, adapters);
    trunk_hold(held, config, kernels, fit_held(&o->fit, config, 2), 1, o->recompute, adapters);
    plan_phase(held, scoring);
}

/* A trunk is stored without its heads, which takes a copy of its parameters. */
static void hold_trunk(double held[HOLDINGS], const struct fitting_options *o, const struct config *config,
                       const struct kernels *kernels) {
    double copy[HOLDINGS] = {0};

    hold_learning(held, o, config, kernels, NULL);
    model_hold(copy, config, kernels, o->weights, 0, NULL);
    held[HELD_PARAMETERS] += copy[HELD_PARAMETERS];
}

/* Beside the base one after another: what learns; the base at its samples; the fitted models that score. With
 * a trunk that is learned first, then adapters beside it too. */
static void reward_plan_hold(double held[HOLDINGS], const struct fitting_options *o,
                             const struct config *config, const struct kernels *kernels, struct fitted models,
                             const struct adapter_options *adapters) {
    double base[HOLDINGS] = {0}, phases[4][HOLDINGS];

    model_hold(base, config, kernels, o->weights, 0, NULL);
    for (int i = 0; i < 4; i++) memcpy(phases[i], base, sizeof base);
    if (models.trunks) {
        hold_trunk(phases[0], o, config, kernels);
        model_hold(phases[1], config, kernels, o->weights, 0, NULL);
    }
    if (models.members) hold_learning(phases[1], o, config, kernels, adapters);
    if (o->normalise == NORMALISE_SAMPLES)
        generator_hold(phases[2], config, kernels, SAMPLE_SLOTS, cost_answer(config, o->max_new), NULL);
    if (models.members) reward_hold_models(phases[3], config, kernels, o->weights, models.members, adapters);
    for (int i = 0; i < 4; i++) plan_phase(held, phases[i]);
}

static int reward_plan(const struct run *run, const struct step *step, struct plan *out, struct error *err) {
    struct fitting_options options;
    const struct kernels *kernels = plan_kernels(run);
    const struct reward *reward;
    struct adapter_options adapters;
    struct fitted models;
    struct config config;
    void *settings = NULL;
    char note[64] = "";
    int known, status = -1;

    if (read_options(&options, &reward, &settings, step, err)) goto out;
    if (rounding_check(options.fit.stochastic_rounding, kernels, err)) goto out;
    known = folder_config(&config, options.base, err);
    if (known < 0 || lora_read(&adapters, options.lora, step_where(step), known ? &config : NULL, err))
        goto out;
    if (known) {
        models = models_fitted(reward, settings);
        out->parameters = (1 + (models.members > 0)) * config_parameters(&config);
        if (weight_form_check(options.weights, kernels, err)) goto out;
        reward_plan_hold(out->held, &options, &config, kernels, models, lora_plan(&adapters));
        plan_host(out, &config, run);
        if (!models.members || (options.fit.steps && options.fit.batch_tokens))
            out->flops = reward_work(&options, &config, models, lora_passes(&adapters));
        lora_note(note, &adapters, &config);
    }
    snprintf(out->note, sizeof out->note, "%s%s",
             known ? reward->summary : "sizes are known once the base is there", note);
    status = 0;
out:
    free(settings);
    return status;
}

static int reward_step_is_bare(const struct node *options) {
    const struct reward *reward = reward_find(node_text(options, "reward", NULL));

    return reward && reward->is_bare;
}

static const struct remedy remedies[] = {{"recompute", "true", 0},
                                         {"micro_tokens", NULL, 64},
                                         {"lora", "{rank: 8}", 0},
                                         {"settings.architecture", "shared", 0},
                                         {"settings.architecture", "lora", 0},
                                         {"settings.members", "2", 0},
                                         {"weights", "int8", 0},
                                         {0}};

const struct stage stage_reward = {.name = "reward",
                                   .summary = "a reward, fitted on preference pairs",
                                   .options = fitting_options,
                                   .run = reward_run,
                                   .plan = reward_plan,
                                   .is_bare = reward_step_is_bare,
                                   .shared = 1,
                                   .remedies = remedies};
