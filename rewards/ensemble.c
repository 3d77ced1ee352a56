#include "rewards/ensemble.h"

#include <math.h>
#include <stdlib.h>

#include "harness/adapter_base.h"
#include "harness/file.h"
#include "harness/memory.h"
#include "models/adapter_file.h"
#include "rewards/lora_ensemble.h"

/* What members have in common: the base they started from; all but their heads; or all but heads and
 * adapters. */
enum architecture { INDEPENDENT, SHARED, LORA };

struct settings {
    int members, architecture, aggregate, lora_schedule;
    double lambda, beta, l2, first, lora_lr;
};

static const struct option options[] = {
    {"members", OPTION_INT, offsetof(struct settings, members), "3", 2, 64, NULL, "how many"},
    {"architecture", OPTION_CHOICE, offsetof(struct settings, architecture), "independent", 0, 0,
     "independent|shared|lora",
     "a model a member; one trunk with a head a member; or such a trunk at first, then an adapter and a head "
     "a "
     "member"},
    {"first", OPTION_REAL, offsetof(struct settings, first), "0.5", 0.01, 0.99, NULL,
     "lora: share of the pairs, by their prompts, that the trunk learns from; adapters learn from the rest"},
    {"lora_lr", OPTION_REAL, offsetof(struct settings, lora_lr), "0", 0, 10, NULL,
     "lora: learning rate of the adapters; 0: as lr"},
    {"lora_schedule", OPTION_CHOICE, offsetof(struct settings, lora_schedule), "same", 0, 0,
     "same|" SCHEDULES, "lora: how lora_lr falls"},
    {"aggregate", OPTION_CHOICE, offsetof(struct settings, aggregate), "mean", 0, 0,
     "mean|worst|mean_minus_variance|mean_minus_std", "how members make one score"},
    {"lambda", OPTION_REAL, offsetof(struct settings, lambda), "0.5", 0, 100, NULL,
     "weight of the population variance in mean_minus_variance"},
    {"beta", OPTION_REAL, offsetof(struct settings, beta), "1", 0, 100, NULL,
     "weight of the standard deviation in mean_minus_std"},
    {"l2", OPTION_REAL, offsetof(struct settings, l2), "0", 0, 10, NULL,
     "weight of the mean squared score in the loss"},
    {0}};

extern const struct reward reward_ensemble;

struct scorer {
    struct settings settings;
    struct model **models; /* [members], or [1] if members are heads or adapters of one */
    int model_count;
    float **learned; /* [members]: each one's adapters and head, which take turns in the model; or NULL */
    struct preference reader; /* of one model at a time */
    double *means, *stds;     /* [members] */
    double mean, std;         /* of the aggregate */
};

double ensemble_variance(const double *members, int count) {
    double mean = 0, sum = 0;

    for (int k = 0; k < count; k++) mean += members[k] / count;
    for (int k = 0; k < count; k++) sum += (members[k] - mean) * (members[k] - mean);
    return sum / count;
}

double ensemble_aggregate(const double *members, int count, enum aggregate how, double weight) {
    double mean = 0, worst = members[0];

    for (int k = 0; k < count; k++) {
        mean += members[k] / count;
        worst = fmin(worst, members[k]);
    }
    switch (how) {
    case AGGREGATE_WORST:
        return worst;
    case AGGREGATE_MEAN_VARIANCE:
        return mean - weight * ensemble_variance(members, count);
    case AGGREGATE_MEAN_STD:
        return mean - weight * sqrt(ensemble_variance(members, count));
    case AGGREGATE_MEAN:
        break;
    }
    return mean;
}

static void take_turn(struct scorer *s, int member) {
    if (s->learned) {
        model_learned_set(s->models[0], s->learned[member]);
        return;
    }
    s->reader.model = s->models[member];
    trunk_use(s->reader.trunk, s->models[member]);
}

/* Every member's own score of every row: out[count][members]. */
static int score_members(struct scorer *s, const struct exchange *rows, int count, float *out,
                         struct error *err) {
    int members = s->settings.members;
    float *one;

    if (s->settings.architecture == SHARED) return preference_score(&s->reader, rows, count, out, err);
    one = xcalloc((size_t)count, sizeof *one);
    for (int m = 0; m < members; m++) {
        take_turn(s, m);
        if (preference_score(&s->reader, rows, count, one, err)) {
            free(one);
            return -1;
        }
        for (int r = 0; r < count; r++) out[(size_t)r * members + m] = one[r];
    }
    free(one);
    return 0;
}

/* Normalises each member, then aggregates; before the aggregate's own normalisation. */
static double combine(const struct scorer *s, const float *raw, double *variance) {
    double members[64];
    double weight = s->settings.aggregate == AGGREGATE_MEAN_STD ? s->settings.beta : s->settings.lambda;

    for (int m = 0; m < s->settings.members; m++) members[m] = (raw[m] - s->means[m]) / s->stds[m];
    if (variance) *variance = ensemble_variance(members, s->settings.members);
    return ensemble_aggregate(members, s->settings.members, (enum aggregate)s->settings.aggregate, weight);
}

static void ensemble_close(struct scorer *s) {
    if (!s) return;
    s->reader.model = NULL; /* one of these */
    preference_close(&s->reader);
    for (int m = 0; m < s->model_count; m++) model_free(s->models[m]);
    for (int m = 0; s->learned && m < s->settings.members; m++) free(s->learned[m]);
    free(s->learned);
    free(s->models);
    free(s->means);
    free(s->stds);
    free(s);
}

static char *member_path(const char *folder, int member) {
    return xprintf("%s/member-%d", folder, member + 1);
}

static int load_models(struct scorer *s, const char *folder, const struct kernels *kernels,
                       enum weight_form form, struct error *err) {
    int shared = s->settings.architecture == SHARED, status = 0;

    s->model_count = shared ? 1 : s->settings.members;
    s->models = xcalloc((size_t)s->model_count, sizeof *s->models);
    for (int m = 0; m < s->model_count && !status; m++) {
        char *path = shared ? xstrdup(folder) : member_path(folder, m);

        status = preference_load(&s->models[m], path, kernels, form, err);
        free(path);
    }
    return status;
}

/* Members that are put together by hand may stand on other bases of the same shape. */
static int check_base(const char *folder, const char *path, struct error *err) {
    char *first = member_path(folder, 0), *a = adapter_base_of(first), *b = adapter_base_of(path);
    int same = a && b && file_same(a, b);

    free(first);
    free(a);
    free(b);
    return same ? 0
                : fail(err,
                       "%s: the adapter stands on another base than member-1: merge the members first, "
                       "pyrite convert --merge",
                       path);
}

static int load_adapter(struct scorer *s, int member, const char *folder, struct adapter_options *adapted,
                        const struct kernels *kernels, enum weight_form form, struct error *err) {
    char *path = member_path(folder, member);
    int status;

    if (member == 0) {
        status = adapter_load_as(&s->models[0], adapted, path, kernels, form, err);
    } else {
        status = check_base(folder, path, err);
        if (!status) status = adapter_exchange(s->models[0], adapted, path, err);
    }
    if (!status && s->models[0]->config.score_heads != 1)
        status = fail(err, "%s: expected one score head, found %d", path, s->models[0]->config.score_heads);
    if (!status) s->learned[member] = model_learned_copy(s->models[0]);
    free(path);
    return status;
}

/* One base in memory, and of each member only what it learned. */
static int load_adapters(struct scorer *s, const char *folder, const struct kernels *kernels,
                         enum weight_form form, struct error *err) {
    struct adapter_options adapted = {0};

    s->model_count = 1;
    s->models = xcalloc(1, sizeof *s->models);
    s->learned = xcalloc((size_t)s->settings.members, sizeof *s->learned);
    for (int m = 0; m < s->settings.members; m++)
        if (load_adapter(s, m, folder, &adapted, kernels, form, err)) return -1;
    return 0;
}

/* Whether members are adapters, which as a rule stand on one base. */
static int has_adapters(const char *folder) {
    char *path = member_path(folder, 0);
    int found = is_adapter(path);

    free(path);
    return found;
}

static int load(struct scorer **out, const char *folder, const struct settings *settings,
                const struct kernels *kernels, enum weight_form form, struct error *err) {
    struct scorer *s = xcalloc(1, sizeof *s);
    int adapters = settings->architecture != SHARED && has_adapters(folder);

    s->settings = *settings;
    s->std = 1;
    s->means = xcalloc((size_t)settings->members, sizeof *s->means);
    s->stds = xcalloc((size_t)settings->members, sizeof *s->stds);
    for (int m = 0; m < settings->members; m++) s->stds[m] = 1;
    if ((adapters ? load_adapters : load_models)(s, folder, kernels, form, err)) goto out;
    s->reader.model = s->models[0];
    if (trunk_create(&s->reader.trunk, s->models[0], 0, err)) goto out;
    *out = s;
    return 0;
out:
    ensemble_close(s);
    return -1;
}

/* Mean and deviation of each member on the samples, then of the aggregate; and how far members disagree. */
static void calibrate(struct scorer *s, const float *raw, int count, struct node *facts) {
    struct node *means = node_add(facts, "member_mean", NODE_LIST);
    struct node *stds = node_add(facts, "member_std", NODE_LIST);
    float *column = xcalloc((size_t)count, sizeof *column);
    double disagreement = 0;
    int members = s->settings.members;

    for (int m = 0; m < members; m++) {
        for (int r = 0; r < count; r++) column[r] = raw[(size_t)r * members + m];
        moments(&s->means[m], &s->stds[m], column, count);
        node_add_number(means, NULL, s->means[m]);
        node_add_number(stds, NULL, s->stds[m]);
    }
    for (int r = 0; r < count; r++) {
        double variance;

        column[r] = (float)combine(s, raw + (size_t)r * members, &variance);
        disagreement += sqrt(variance) / count;
    }
    moments(&s->mean, &s->std, column, count);
    node_add_number(facts, "mean", s->mean);
    node_add_number(facts, "std", s->std);
    node_add_number(facts, "disagreement", disagreement);
    free(column);
}

/* Each member's accuracy alone, on held-out pairs, and the members' disagreement there. */
static int report_members(struct scorer *s, const struct pairs *pairs, const char *split, struct node *facts,
                          struct error *err) {
    int members = s->settings.members, rows = 2 * pairs->count;
    struct exchange *exchanges = xcalloc((size_t)rows, sizeof *exchanges);
    float *raw = xcalloc((size_t)rows * members, sizeof *raw);
    double *right = xcalloc((size_t)members, sizeof *right), disagreement = 0;
    int status;

    for (int i = 0; i < rows; i++) exchanges[i] = pair_exchange(&pairs->items[i / 2], i % 2 == 0);
    status = score_members(s, exchanges, rows, raw, err);
    for (int i = 0; i < rows && !status; i++) {
        double variance;

        combine(s, raw + (size_t)i * members, &variance);
        disagreement += sqrt(variance) / rows;
        for (int m = 0; m < members && i % 2 == 0; m++) {
            float a = raw[(size_t)i * members + m], b = raw[(size_t)(i + 1) * members + m];

            right[m] += a > b ? 1 : a == b ? 0.5 : 0;
        }
    }
    if (!status && pairs->count) {
        struct node *map = node_add(node_add(facts, split, NODE_MAP), "member_accuracy", NODE_LIST);

        for (int m = 0; m < members; m++) node_add_number(map, NULL, right[m] / pairs->count);
        node_add_number((struct node *)node_get(facts, split), "disagreement", disagreement);
    }
    free(exchanges);
    free(raw);
    free(right);
    return status;
}

static int fit_members(struct fitting *fitting, const struct settings *given, struct error *err) {
    int shared = given->architecture == SHARED;
    struct preference_fit what =
        preference_of(fitting, shared ? 1 : given->members, shared ? given->members : 1, given->l2);
    const struct lora_ensemble how = {given->members, given->first, given->l2, given->lora_lr,
                                      given->lora_schedule};

    if (given->architecture != LORA) return preference_fit(&what, err);
    return lora_ensemble_fit(fitting, &how, err);
}

static int ensemble_fit(struct fitting *fitting, const void *settings, struct node *facts,
                        struct error *err) {
    const struct settings *given = settings;
    struct scorer *s = NULL;
    struct node *members;
    float *raw = NULL;
    int status = -1;

    if (fit_members(fitting, given, err) || fitting_samples(fitting, err)) goto out;
    if (load(&s, fitting->step->folder, given, fitting->kernels, fitting->options->weights, err)) goto out;
    raw = xcalloc((size_t)fitting->sample_count * given->members, sizeof *raw);
    if (score_members(s, fitting->samples, fitting->sample_count, raw, err)) goto out;
    calibrate(s, raw, fitting->sample_count, facts);
    members = node_add(facts, "members", NODE_MAP);
    if (report_members(s, &fitting->heldout, "heldout", members, err)) goto out;
    status = report_members(s, &fitting->ood, "ood", members, err);
out:
    ensemble_close(s);
    free(raw);
    return status;
}

static void read_list(double *out, const struct node *list, int count) {
    const struct node *child = list ? list->first : NULL;

    for (int i = 0; i < count && child; i++, child = child->next) out[i] = child->number;
}

static int ensemble_open(struct scorer **out, const char *folder, const struct node *facts,
                         const struct kernels *kernels, struct error *err) {
    struct settings settings;
    enum weight_form form;

    if (reward_settings(&reward_ensemble, facts, folder, &settings, err)) return -1;
    if (reward_weights(&form, facts, folder, err)) return -1;
    if (load(out, folder, &settings, kernels, form, err)) return -1;
    (*out)->mean = node_number(facts, "mean", 0);
    (*out)->std = node_number(facts, "std", 1);
    read_list((*out)->means, node_get(facts, "member_mean"), settings.members);
    read_list((*out)->stds, node_get(facts, "member_std"), settings.members);
    return 0;
}

static int ensemble_score(struct scorer *s, const struct exchange *rows, int count, float *tokens_out,
                          float *sequence_out, struct error *err) {
    float *raw = xcalloc((size_t)count * s->settings.members, sizeof *raw);
    float *score = xcalloc((size_t)count, sizeof *score);
    int status = score_members(s, rows, count, raw, err);

    for (int r = 0; r < count && !status; r++)
        score[r] = (float)((combine(s, raw + (size_t)r * s->settings.members, NULL) - s->mean) / s->std);
    for (int r = 0; r < count && sequence_out; r++) sequence_out[r] = score[r];
    if (tokens_out) score_last_tokens(tokens_out, rows, count, score);
    free(raw);
    free(score);
    return status;
}

const struct reward reward_ensemble = {.name = "ensemble",
                                       .summary = "several Bradley-Terry models, aggregated",
                                       .options = options,
                                       .settings_size = sizeof(struct settings),
                                       .fit = ensemble_fit,
                                       .open = ensemble_open,
                                       .score = ensemble_score,
                                       .close = ensemble_close};
