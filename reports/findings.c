#include "reports/findings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/format.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/statistics.h"
#include "reports/sheet.h"

#define EACH 2 /* findings of a suite in the summary */

static int same(const char *a, const char *b) {
    return a == b || (a && b && !strcmp(a, b));
}

struct finding finding_of(const struct metric *metric) {
    double p = isnan(metric->p_adjusted) ? metric->p : metric->p_adjusted;
    struct finding finding = {
        .metric = metric, .effect = metric->value - metric_centre(metric), .better = -1};

    finding.error = metric_error(metric);
    finding.significant = p < 0.05 && metric_seeds_agree(metric);
    finding.disputed = p < 0.05 && !metric_seeds_agree(metric);
    if (metric->lower_is_better >= 0 && finding.effect != 0)
        finding.better = (finding.effect < 0) == metric->lower_is_better;
    return finding;
}

static double strength(const struct finding *finding) {
    return finding->error > 0 ? fabs(finding->effect) / finding->error : 0;
}

static int by_strength(const void *a, const void *b) {
    const struct finding *x = a, *y = b;
    double difference = strength(y) - strength(x);

    if (x->significant != y->significant) return y->significant - x->significant;
    if (difference != 0) return difference > 0 ? 1 : -1;
    return x->metric < y->metric ? -1 : 1;
}

int finding_exists(const struct metric *metric) {
    return metric->policy && metric->baseline && !isnan(metric->p) && !isnan(metric->value) &&
           !is_null_policy(metric->policy);
}

static struct findings *findings_for(struct findings **lists, int *count, const char *policy) {
    for (int i = 0; i < *count; i++)
        if (!strcmp((*lists)[i].policy, policy)) return &(*lists)[i];
    *lists = xrealloc(*lists, *count + 1, sizeof **lists);
    (*lists)[*count] = (struct findings){.policy = policy};
    return &(*lists)[(*count)++];
}

struct findings *findings_of(const struct evaluation *evaluation, int *count) {
    struct findings *lists = NULL;

    *count = 0;
    for (int i = 0; i < evaluation->metrics.count; i++) {
        const struct metric *metric = &evaluation->metrics.items[i];
        struct findings *list;

        if (!finding_exists(metric)) continue;
        list = findings_for(&lists, count, metric->policy);
        list->items = xrealloc(list->items, list->count + 1, sizeof *list->items);
        list->items[list->count] = finding_of(metric);
        list->disputed += list->items[list->count].disputed;
        list->significant += list->items[list->count++].significant;
    }
    for (int i = 0; i < *count; i++)
        qsort(lists[i].items, lists[i].count, sizeof *lists[i].items, by_strength);
    return lists;
}

/* Alike but for the split. */
static int same_measure(const struct metric *a, const struct metric *b) {
    return same(a->name, b->name) && same(a->judge, b->judge) && same(a->baseline, b->baseline);
}

const struct finding *findings_next(const struct findings *findings, int *at) {
    while (*at < findings->significant) {
        const struct finding *finding = &findings->items[(*at)++];
        int told = 0;

        for (const struct finding *other = findings->items; other < finding; other++)
            if (same(other->metric->suite, finding->metric->suite))
                told += same_measure(other->metric, finding->metric) ? EACH : 1;
        if (told < EACH) return finding;
    }
    return NULL;
}

void findings_free(struct findings *findings, int count) {
    for (int i = 0; i < count; i++) free(findings[i].items);
    free(findings);
}

static void tell_seeds(struct text *out, const struct metric *metric) {
    char *over = format_over_seeds(metric), seed[32];

    if (metric_seeds(metric) > 1) text_printf(out, "; seeds");
    for (int i = 0; metric_seeds(metric) > 1 && i < metric->seeds; i++)
        text_printf(out, " %s", format_seed(seed, metric, i));
    if (metric->by_seed)
        text_printf(out, " (interval and p over these)");
    else if (over)
        text_printf(out, ", %s", over);
    free(over);
}

char *finding_sentence(const struct finding *finding) {
    const struct metric *metric = finding->metric;
    char *estimate = format_estimate(metric), *name = format_name(metric->name), p[32];
    char *bounds = format_bounds(metric);
    struct text out = {0};

    text_printf(&out, "%s", name);
    if (metric->judge) text_printf(&out, " by %s", metric->judge);
    if (metric->split) text_printf(&out, ", %s", metric->split);
    text_printf(&out, ", against %s: %s", metric->baseline, estimate);
    if (*unit_in_heading(metric)) text_printf(&out, " %s", unit_in_heading(metric));
    if (bounds) text_printf(&out, " of those that can be told, %s with all", bounds);
    format_p(p, isnan(metric->p_adjusted) ? metric->p : metric->p_adjusted, metric_at_floor(metric));
    text_printf(&out, "%s, p%s %s",
                finding->better < 0 ? ""
                : finding->better   ? ", better"
                                    : ", worse",
                *p >= '0' && *p <= '9' ? " =" : "", p);
    tell_seeds(&out, metric);
    free(bounds);
    free(estimate);
    free(name);
    return out.data;
}

/* The median over the metrics in `unit` of what 80 % power would have seen; 0 if there is none. */
static double detectable(const struct findings *findings, const char *unit) {
    double *effects = xmalloc((findings->count + 1) * sizeof *effects), median = 0;
    struct error unused;
    int count = 0;

    for (int i = 0; i < findings->count; i++)
        if (same(metric_unit(findings->items[i].metric), unit) && findings->items[i].error > 0)
            effects[count++] = detectable_effect(findings->items[i].error, 0.05, 0.8);
    if (count && quantile(&median, effects, count, 0.5, &unused)) median = 0;
    free(effects);
    return median;
}

char *findings_total(const struct findings *findings) {
    struct text out = {0};
    double points = detectable(findings, "points");
    char number[32];

    text_printf(&out, "%d of %d comparisons significant", findings->significant, findings->count);
    if (findings->disputed)
        text_printf(&out, "; %d more over prompts alone: seeds disagree", findings->disputed);
    text_printf(&out, ".");
    if (points > 1)
        text_printf(&out, " No change of a rate would have been seen with power 0.8 (median over metrics).");
    else if (points > 0)
        text_printf(&out,
                    " Power 0.8 for changes of a rate from %s pp on (median over metrics); smaller ones can "
                    "have been missed.",
                    format_digits(number, points, "fraction", points));
    return out.data;
}

static int most_seeds(const struct results *results) {
    int most = 0;

    for (int i = 0; i < results->evaluation_count; i++)
        for (int j = 0; j < results->evaluations[i].metrics.count; j++)
            if (results->evaluations[i].metrics.items[j].seeds > most)
                most = results->evaluations[i].metrics.items[j].seeds;
    return most;
}

/* Of the tested comparisons: how many are significant, of these how many over seeds too, how many are so over
   prompts alone. */
struct tested {
    int tests, significant, over_seeds, disputed;
};

static struct tested count_tests(const struct results *results) {
    struct tested out = {0};

    for (int i = 0; i < results->evaluation_count; i++) {
        int count;
        struct findings *findings = findings_of(&results->evaluations[i], &count);

        for (int j = 0; j < count; j++) {
            out.tests += findings[j].count;
            out.significant += findings[j].significant;
            out.disputed += findings[j].disputed;
            for (int k = 0; k < findings[j].significant; k++)
                out.over_seeds +=
                    findings[j].items[k].metric->by_seed || findings[j].items[k].metric->p_seeds < 0.05;
        }
        findings_free(findings, count);
    }
    return out;
}

/* "2 evaluations of sft and 3 other policies", or of so many policies where no baseline answered. */
static void tell_policies(struct text *out, const struct results *results) {
    int baselines = 0, others = 0, count;
    const char **policies = results_policies(results, &count);

    text_printf(out, "%d evaluation%s of ", results->evaluation_count,
                results->evaluation_count == 1 ? "" : "s");
    for (int i = 0; i < count; i++) {
        int standing = results_standing(results, policies[i]);

        if (standing == 0) text_printf(out, "%s%s", baselines++ ? ", " : "", policies[i]);
        others += standing == 1;
    }
    text_printf(out, "%s%d %spolic%s", baselines ? " and " : "", others, baselines ? "other " : "",
                others == 1 ? "y" : "ies");
    free(policies);
}

/* Of the intervals: every evaluation of a run has the same. */
static double level_of(const struct results *results) {
    for (int i = 0; i < results->evaluation_count; i++)
        if (results->evaluations[i].metrics.count) return results->evaluations[i].metrics.items[0].level;
    return 0.95;
}

static void tell_tested(struct text *out, const struct tested *tested, int seeds) {
    text_printf(out, " %d of %d tested comparisons are significant at 0.05 after correction",
                tested->significant, tested->tests);
    if (seeds > 1)
        text_printf(out,
                    ", with all seeds on one side; of these %d also over seeds (p below 0.05, one by one)",
                    tested->over_seeds);
    text_printf(out, ".");
    if (tested->disputed)
        text_printf(out,
                    " %d more are over prompts, but their seeds disagree: they are not counted as found.",
                    tested->disputed);
}

char *findings_overview(const struct results *results) {
    struct tested tested = count_tests(results);
    int responses = 0, seeds = most_seeds(results);
    struct text out = {0};

    for (int i = 0; i < results->evaluation_count; i++)
        responses += results->evaluations[i].transcripts.count;
    tell_policies(&out, results);
    if (seeds > 1 || results->curve_count) text_printf(&out, ", %d seed%s", seeds, seeds == 1 ? "" : "s");
    text_printf(&out, ", %d responses.", responses);
    tell_tested(&out, &tested, seeds);
    if (tested.significant)
        text_printf(
            &out,
            " Below, for each policy, at most two metrics of a suite, the largest against their error "
            "first: %g %% interval and corrected p over prompts%s.",
            100 * level_of(results),
            seeds > 1 ? "; each seed's own value, and interval and p over seeds" : "");
    return out.data;
}

static void note_seeds(struct notes *out, const struct results *results) {
    int seeds = most_seeds(results);

    if (!results->curve_count && seeds <= 1)
        notes_add(
            out,
            xstrdup("Nothing was trained here: the intervals hold over prompts, for these very answers."));
    else if (seeds == 1)
        notes_add(
            out, xstrdup("One seed: what differs between training runs is not measured at all; the intervals "
                         "hold over prompts only."));
    else if (seeds > 1)
        notes_add(
            out,
            xprintf("%d seeds: intervals, p and stars hold over prompts, for these very models; how much "
                    "training runs differ is shown by each seed's own figure and by the interval and p "
                    "over seeds, and %d runs tell it only roughly.",
                    seeds, seeds));
}

static void note_missing(struct notes *out, const struct evaluation *evaluation) {
    int missing = 0, rows = 0, empty = 0;

    for (int i = 0; i < evaluation->metrics.count; i++) {
        const struct metric *metric = &evaluation->metrics.items[i];
        int without = metric->by_seed ? 0 : metric->n_missing; /* a seed without a fit lacks no judgment */

        rows += without > 0;
        missing = without > missing ? without : missing;
        empty += isnan(metric->value);
    }
    if (rows)
        notes_add(out,
                  xprintf("%s: %d metric%s miss%s judgments, at most %d; these are left out of the estimate.",
                          evaluation->name, rows, rows == 1 ? "" : "s", rows == 1 ? "es" : "", missing));
    if (empty)
        notes_add(out, xprintf("%s: %d metric%s could not be computed; the reason stands below the table.",
                               evaluation->name, empty, empty == 1 ? "" : "s"));
}

static void note_cut(struct notes *out, const struct evaluation *evaluation) {
    int cut = 0, total = evaluation->transcripts.count;
    char number[32];

    for (int i = 0; i < total; i++) cut += same(evaluation->transcripts.items[i].finish, "length");
    if (cut)
        notes_add(out, xprintf("%s: %s of %d responses were cut at the length limit.", evaluation->name,
                               format_number(number, (double)cut / total, "fraction"), total));
}

void limitations_of(struct notes *out, const struct results *results) {
    *out = (struct notes){0};
    note_seeds(out, results);
    for (int i = 0; i < results->evaluation_count; i++) {
        note_missing(out, &results->evaluations[i]);
        note_cut(out, &results->evaluations[i]);
    }
    notes_add(
        out, xstrdup("Tests are corrected within the family named below each table, not across the report."));
    if (results->figure_note) notes_add(out, xstrdup(results->figure_note));
}
