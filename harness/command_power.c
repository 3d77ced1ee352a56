#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/memory.h"
#include "harness/statistics.h"
#include "harness/statistics_power.h"
#include "harness/tabular.h"

enum { LIST_MOST = 50, SIZE_MOST = 10000000 };

/* What the flags say of a study. */
struct plan {
    double alpha, power, rate, discordant;
    struct paired_design paired;
};

/* A design tells any of n, effect and power from the other two. */
struct study {
    const char *name, *title, *note;
    int (*size)(double *n, const struct plan *, double effect, struct error *);
    int (*effect)(double *effect, const struct plan *, double n, struct error *);
    int (*power)(double *power, const struct plan *, double n, double effect, struct error *);
};

static int means_size(double *n, const struct plan *plan, double effect, struct error *err) {
    if (effect == 0) return fail(err, "no number of prompts shows a difference of 0");
    *n = paired_sample_size(&plan->paired, effect);
    return 0;
}

static int means_effect(double *effect, const struct plan *plan, double n, struct error *err) {
    (void)err;
    *effect = paired_detectable(&plan->paired, n);
    return 0;
}

static int means_power(double *power, const struct plan *plan, double n, double effect, struct error *err) {
    (void)err;
    *power = paired_power(&plan->paired, n, effect);
    return 0;
}

/* Of the pairs that differ, the share that goes one way when the rates differ by `effect`. */
static int split_of(double *split, const struct plan *plan, double effect, struct error *err) {
    *split = (1 + fabs(effect) / plan->discordant) / 2;
    if (*split <= 1) return 0;
    return fail(err, "a difference of %g needs more than the %g of the pairs that differ (--discordant)",
                fabs(effect), plan->discordant);
}

static int shares_size(double *n, const struct plan *plan, double effect, struct error *err) {
    double split;

    if (split_of(&split, plan, effect, err)) return -1;
    return mcnemar_sample_size(n, plan->discordant, split, plan->alpha, plan->power, err);
}

static int shares_effect(double *effect, const struct plan *plan, double n, struct error *err) {
    return mcnemar_detectable(effect, (int)n, plan->discordant, plan->alpha, plan->power, err);
}

static int shares_power(double *power, const struct plan *plan, double n, double effect, struct error *err) {
    double split;

    if (split_of(&split, plan, effect, err)) return -1;
    return mcnemar_power(power, (int)n, plan->discordant, split, plan->alpha, err);
}

static int rate_size(double *n, const struct plan *plan, double effect, struct error *err) {
    return rate_sample_size(n, plan->rate, plan->rate + effect, plan->alpha, plan->power, err);
}

static int rate_effect(double *effect, const struct plan *plan, double n, struct error *err) {
    return rate_detectable(effect, n, plan->rate, plan->alpha, plan->power, err);
}

static int rate_has_power(double *power, const struct plan *plan, double n, double effect,
                          struct error *err) {
    if (plan->rate == 0.5) return sign_test_power(power, (int)n, 0.5 + effect, plan->alpha, err);
    return rate_power(power, n, plan->rate, plan->rate + effect, plan->alpha, err);
}

static int rates_size(double *n, const struct plan *plan, double effect, struct error *err) {
    return two_rates_sample_size(n, plan->rate, plan->rate + effect, plan->alpha, plan->power, err);
}

static int rates_effect(double *effect, const struct plan *plan, double n, struct error *err) {
    return two_rates_detectable(effect, n, plan->rate, plan->alpha, plan->power, err);
}

static int rates_power(double *power, const struct plan *plan, double n, double effect, struct error *err) {
    return two_rates_power(power, n, plan->rate, plan->rate + effect, plan->alpha, err);
}

static int width_size(double *n, const struct plan *plan, double effect, struct error *err) {
    return wilson_sample_size(n, plan->rate, effect, err);
}

static int width_effect(double *effect, const struct plan *plan, double n, struct error *err) {
    return wilson_half_width(effect, plan->rate, n, err);
}

static const struct study studies[] = {
    {"means", "Paired difference of means",
     "Miller 2024: n = (z(alpha/2) + z(power))^2 (between^2 + 2 within^2 / answers) / effect^2; n: prompts.",
     means_size, means_effect, means_power},
    {"shares", "Paired difference of shares",
     "Exact McNemar test, summed over all outcomes; effect: difference of the two shares; n: prompts, enough "
     "where one fewer is not (the power rises in steps).",
     shares_size, shares_effect, shares_power},
    {"rate", "One rate against a known one",
     "n and effect: normal approximation; power against 1/2: exact binomial test; effect: above --rate, a "
     "win "
     "rate's 0.5 unless given.",
     rate_size, rate_effect, rate_has_power},
    {"rates", "Two independent rates",
     "Normal approximation with the pooled rate under the null (R power.prop.test); effect: above --rate; n: "
     "of "
     "each.",
     rates_size, rates_effect, rates_power},
    {"interval", "Width of a rate's interval", "Wilson's 95 % interval at --rate; effect: half its width.",
     width_size, width_effect, NULL},
};
enum { STUDIES = sizeof studies / sizeof *studies };

static int find_study(const struct study **out, const char *name, struct error *err) {
    for (int i = 0; i < STUDIES; i++)
        if (!strcmp(studies[i].name, name)) {
            *out = &studies[i];
            return 0;
        }
    return fail(err, "'%s' is no design; there are means, shares, rate, rates and interval", name);
}

/* Numbers between commas; none where the flag was not given. */
static int read_list(double *out, int *count, const struct arguments *arguments, const char *flag,
                     int is_count, struct error *err) {
    const char *at = argument_value(arguments, flag, "");
    char *end;

    for (*count = 0; *at; at = end + (*end == ',')) {
        double value = strtod(at, &end);

        if (end == at || (*end && *end != ',') || !isfinite(value))
            return fail(err, "--%s takes numbers with commas between, not '%s'", flag, at);
        if (is_count && (value < 1 || value > SIZE_MOST || value != floor(value)))
            return fail(err, "--%s takes whole numbers from 1 to %d, not '%s'", flag, SIZE_MOST, at);
        if (*count == LIST_MOST) return fail(err, "--%s takes %d numbers at most", flag, LIST_MOST);
        out[(*count)++] = value;
    }
    return 0;
}

static int read_plan(struct plan *out, const struct arguments *arguments, struct error *err) {
    double between, within, answers;

    if (argument_number(arguments, "alpha", 0.05, 1e-12, 0.5, &out->alpha, err) ||
        argument_number(arguments, "power", 0.8, 0.01, 1 - 1e-9, &out->power, err) ||
        argument_number(arguments, "rate", 0.5, 0, 1, &out->rate, err) ||
        argument_number(arguments, "discordant", 0.2, 1e-9, 1, &out->discordant, err) ||
        argument_number(arguments, "between", 1, 0, 1e9, &between, err) ||
        argument_number(arguments, "within", 0, 0, 1e9, &within, err) ||
        argument_number(arguments, "answers", 1, 1, 1e9, &answers, err))
        return -1;
    if (between == 0 && within == 0) return fail(err, "--between and --within are both 0: nothing varies");
    out->paired = (struct paired_design){between * between, within * within, within * within, answers,
                                         answers,           out->alpha,      out->power};
    return 0;
}

static void add_row(struct tabular *table, const struct study *study, double n, double effect, double power) {
    struct node *row = tabular_add(table);

    tabular_number(row, "%.0f", ceil(n - 1e-9));
    tabular_number(row, "%.4g", effect);
    if (study->power) tabular_number(row, "%.3f", power);
}

/* A row for each effect, or each n, or each pair of them. */
static int add_rows(struct tabular *table, const struct study *study, const struct plan *plan,
                    const double *sizes, int size_count, const double *effects, int effect_count,
                    struct error *err) {
    double power = plan->power, found;

    for (int i = 0; i < (size_count ? size_count : 1); i++)
        for (int e = 0; e < (effect_count ? effect_count : 1); e++) {
            if (size_count && effect_count) {
                if (study->power(&power, plan, sizes[i], effects[e], err)) return -1;
                add_row(table, study, sizes[i], effects[e], power);
            } else if (effect_count) {
                if (study->size(&found, plan, effects[e], err)) return -1;
                add_row(table, study, found, effects[e], power);
            } else {
                if (study->effect(&found, plan, sizes[i], err)) return -1;
                add_row(table, study, sizes[i], found, power);
            }
        }
    return 0;
}

static int run(const struct arguments *arguments, struct error *err) {
    static const char *const headings[] = {"n", "effect", "power", NULL}, *const widths[] = {
                                                                              "n", "half width", NULL};
    double sizes[LIST_MOST], effects[LIST_MOST];
    int size_count, effect_count, status = -1;
    struct tabular table = {.headings = headings};
    const struct study *study = NULL;
    enum tabular_format format;
    struct plan plan;

    if (find_study(&study, arguments->words[0], err) || read_plan(&plan, arguments, err) ||
        tabular_format_read(&format, argument_value(arguments, "format", "text"), err) ||
        read_list(sizes, &size_count, arguments, "n", 1, err) ||
        read_list(effects, &effect_count, arguments, "effect", 0, err))
        return -1;
    if (!size_count && !effect_count)
        return fail(err, "--n, --effect or both? The third of n, effect and power is told");
    if (!study->power && size_count && effect_count)
        return fail(err, "an interval has no power: give --n or --effect, not both");
    table.title = study->title;
    if (!study->power) table.headings = widths;
    if (add_rows(&table, study, &plan, sizes, size_count, effects, effect_count, err)) goto out;
    tabular_note(&table, "%s", study->note);
    if (study->power) tabular_note(&table, "Two-sided level %g.", plan.alpha);
    tabular_write(&table, format, arguments->out);
    status = 0;
out:
    tabular_free(&table);
    return status;
}

static const struct flag flags[] = {
    {"n", 'n', "N[,N]...", "how many prompts"},
    {"effect", 'e', "X[,X]...", "the difference to be seen"},
    {"power", 'p', "P", "the chance of seeing it (default: 0.8)"},
    {"alpha", 'a', "P", "two-sided level of the test (default: 0.05)"},
    {"rate", 'r', "P", "rate, rates, interval: the rate compared with (default: 0.5)"},
    {"discordant", 'd', "P", "shares: the share of prompts on which the two differ (default: 0.2)"},
    {"between", 0, "SD", "means: standard deviation of the prompts' true differences (default: 1)"},
    {"within", 0, "SD", "means: standard deviation of a policy's answers to one prompt (default: 0)"},
    {"answers", 0, "K", "means: answers of each policy to a prompt (default: 1)"},
    {"format", 'f', "NAME", "text, md, csv or json"},
    {0}};

const struct command command_power = {
    .name = "power",
    .summary = "how many prompts a claim needs, and what a number of prompts can show",
    .usage = "means|shares|rate|rates|interval [--n N] [--effect X]",
    .description =
        "Of the number of prompts, the effect and the power, tells the one that was not given: --effect "
        "alone "
        "the prompts for a power of --power, --n alone the smallest effect that has it, both the "
        "power.\n\n"
        "means: paired difference of means. shares: paired difference of shares, by McNemar's exact test. "
        "rate: one rate against a known one, such as a win rate against 1/2. rates: two rates on different "
        "prompts. interval: half the width of a rate's interval.",
    .flags = flags,
    .least_words = 1,
    .most_words = 1,
    .run = run,
};
