/* The metrics as one table for other programs: raw numbers, and the text the other formats show. */
#include <math.h>
#include <stdlib.h>

#include "harness/format.h"
#include "harness/memory.h"
#include "harness/registry.h"
#include "reports/results.h"

static void add_field(struct text *out, const char *value) {
    text_add_csv(out, value);
    text_add(out, ",", 1);
}

/* Seventeen digits read back the same; an empty field where there is no number. */
static void add_raw(struct text *out, double value) {
    if (isfinite(value)) text_printf(out, "%.17g", value);
    text_add(out, ",", 1);
}

static void add_seeds(struct text *out, const struct metric *metric) {
    for (int i = 0; metric->per_seed && i < metric->seeds; i++)
        text_printf(out, isfinite(metric->per_seed[i]) ? "%s%.17g" : "%s", i ? ";" : "", metric->per_seed[i]);
    text_add(out, ",", 1);
}

static void add_metric(struct text *out, const struct evaluation *evaluation, const struct metric *metric) {
    char *estimate = format_estimate(metric);
    struct metric_text shown;

    format_metric(&shown, metric);
    add_field(out, evaluation->name);
    add_field(out, metric->suite);
    add_field(out, metric->split);
    add_field(out, metric->policy);
    add_field(out, metric->name);
    add_field(out, metric->judge);
    add_field(out, metric->baseline);
    add_raw(out, metric->value);
    add_raw(out, metric->low);
    add_raw(out, metric->high);
    add_raw(out, metric->p);
    add_raw(out, metric->p_adjusted);
    text_printf(out, "%d,%d,%d,", metric->n, metric->n_missing, metric->seeds);
    add_seeds(out, metric);
    add_field(out, metric->unit);
    add_field(out, metric->method);
    add_field(out, metric->family);
    add_field(out, metric->reason);
    add_field(out, metric->lower_is_better < 0 ? "" : metric->lower_is_better ? "lower" : "higher");
    add_field(out, estimate);
    text_add_csv(out, isnan(metric->p_adjusted) ? "" : shown.p_adjusted);
    text_add(out, "\r\n", 2);
    free(estimate);
}

static int write_csv(const struct results *results, FILE *file, struct error *err) {
    struct text out = {0};

    (void)err;
    text_printf(
        &out,
        "evaluation,suite,split,policy,metric,judge,baseline,value,low,high,p,p_adjusted,n,n_missing,seeds,"
        "per_seed,unit,method,family,reason,better,shown,p_adjusted_shown\r\n");
    for (int i = 0; i < results->evaluation_count; i++)
        for (int j = 0; j < results->evaluations[i].metrics.count; j++)
            add_metric(&out, &results->evaluations[i], &results->evaluations[i].metrics.items[j]);
    fwrite(out.data, 1, out.length, file);
    free(out.data);
    return 0;
}

const struct report report_csv = {"csv", "every metric as a row, raw and as shown", "report.csv", write_csv,
                                  NULL};
