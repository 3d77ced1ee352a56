/* The refusal detector against labels that the user gives (verdicts "refused" of the judge "label"). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness/memory.h"
#include "harness/statistics_agree.h"
#include "suites/measure.h"

enum { ANSWERED, REFUSED, UNDETERMINED, CLASSES };
static const char *const classes[] = {"answered", "refused", "undetermined"};

/* A policy's labelled answers, all seeds. */
struct pairs {
    int *label, *found, count;
    int table[CLASSES][CLASSES];
};

static int class_of(double refused, double undetermined) {
    if (undetermined == 1) return UNDETERMINED;
    return isnan(refused) ? -1 : refused == 1 ? REFUSED : ANSWERED;
}

static struct pairs gather(const struct bench *bench, int policy) {
    const struct table *table = bench->table;
    const double *label = table_column(table, "refused", "label"),
                 *unsure = table_column(table, "undetermined", "label");
    const double *found = table_column(table, "refused", "detector"),
                 *open = table_column(table, "undetermined", "detector");
    size_t room = (size_t)table->seed_count * table->question_count;
    struct pairs out = {.label = xmalloc(room * sizeof(int)), .found = xmalloc(room * sizeof(int))};

    for (int s = 0; s < table->seed_count; s++)
        for (int q = 0; q < table->question_count; q++) {
            int cell = table_cell(table, policy, s, q),
                a = class_of(label ? label[cell] : NAN, unsure ? unsure[cell] : NAN),
                b = class_of(found[cell], open[cell]);

            if (a < 0 || b < 0) continue;
            out.label[out.count] = a;
            out.found[out.count++] = b;
            out.table[a][b]++;
        }
    return out;
}

static struct metric *add(const struct bench *bench, int policy, const char *name, const char *unit,
                          struct metrics *out) {
    struct measure what = {
        .suite = "detector", .name = name, .unit = unit, .policy = policy, .lower_is_better = -1};

    return measure_metric(bench, &what, NULL, out);
}

static void add_share(const struct bench *bench, int policy, const char *name, int part, int whole,
                      struct metrics *out) {
    struct metric *metric = add(bench, policy, name, "fraction", out);
    struct interval interval;
    struct error err;

    metric->n = whole;
    metric->lower_is_better = 0;
    if (rate_wilson(&interval, part, whole, bench->level, &err)) {
        metric_reason(metric, "no such answers");
        return;
    }
    metric->value = (double)part / whole;
    metric->low = interval.low;
    metric->high = interval.high;
    metric_method(metric, "share of labelled answers; Wilson interval");
}

static void add_kappa(const struct bench *bench, int policy, const struct pairs *pairs, struct metrics *out) {
    struct metric *metric = add(bench, policy, "kappa", NULL, out);
    struct bootstrap how = {bench->seed, bench->resamples, bench->level, BOOTSTRAP_PERCENTILE};
    struct agreement agreement;
    struct error err;

    metric->n = pairs->count;
    metric->lower_is_better = 0;
    if (cohen_kappa(&agreement, pairs->label, pairs->found, pairs->count, CLASSES, KAPPA_NOMINAL, &how, &err))
        metric_reason(metric, err.message);
    if (isnan(agreement.value)) return;
    metric->value = agreement.value;
    metric->low = agreement.low;
    metric->high = agreement.high;
    metric_method(metric, "Cohen's kappa; bootstrap over answers");
}

static void measure_policy(const struct bench *bench, int policy, const struct pairs *pairs,
                           struct metrics *out) {
    int alike = 0, labelled = 0, called = 0;

    for (int c = 0; c < CLASSES; c++) {
        alike += pairs->table[c][c];
        labelled += pairs->table[REFUSED][c];
        called += pairs->table[c][REFUSED];
    }
    add_share(bench, policy, "accuracy", alike, pairs->count, out);
    add_share(bench, policy, "recall", pairs->table[REFUSED][REFUSED], labelled, out);
    add_share(bench, policy, "precision", pairs->table[REFUSED][REFUSED], called, out);
    add_kappa(bench, policy, pairs, out);
    for (int a = 0; a < CLASSES; a++)
        for (int b = 0; b < CLASSES; b++) {
            char *name = xprintf("%s_as_%s", classes[a], classes[b]);
            struct metric *metric = add(bench, policy, name, "count", out);

            metric->value = pairs->table[a][b];
            metric->n = pairs->count;
            metric_method(metric, "count; label, then what the detector says");
            free(name);
        }
}

static int detector_measure(const struct bench *bench, struct metrics *out, struct error *err) {
    (void)err;
    if (!table_column(bench->table, "refused", "label") || !table_column(bench->table, "refused", "detector"))
        return 0;
    for (int p = 0; p < bench->table->policy_count; p++) {
        struct pairs pairs = gather(bench, p);

        if (pairs.count) measure_policy(bench, p, &pairs, out);
        free(pairs.label);
        free(pairs.found);
    }
    return 0;
}

static const struct definition definitions[] = {
    {"accuracy", "share of labelled answers on which the detector says the same; an undetermined answer "
                 "agrees with an undetermined label alone"},
    {"recall", "share of labelled refusals that it calls refusals"},
    {"precision", "share of what it calls refusals that is labelled so"},
    {"kappa", "Cohen's kappa over answered, refused, undetermined"},
    {"*_as_*", "the confusion matrix: answers labelled the first that it calls the second"},
    {0}};

static const struct need needs[] = {{NULL, "labels of refusals (\"refused\")"}, {0}};

const struct suite suite_detector = {.name = "detector",
                                     .summary = "the refusal detector against labels that the user gives",
                                     .metrics = definitions,
                                     .needs = needs,
                                     .measure = detector_measure};
