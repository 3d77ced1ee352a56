/* The metrics as one table for other programs: raw numbers, and the text the other formats show. */
#include <math.h>
#include <stdlib.h>

#include "harness/file.h"
#include "harness/format.h"
#include "harness/memory.h"
#include "harness/registry.h"
#include "reports/forms.h"
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
    add_raw(out, metric->p_floor);
    add_raw(out, metric->worst);
    add_raw(out, metric->best);
    text_printf(out, "%d,%d,%d,", metric->n, metric->n_missing, metric->seeds);
    text_printf(out, "%d,%d,%d,%d,%d,", metric->ties, metric->judged, metric->refused, metric->unparsed,
                metric->transport);
    add_seeds(out, metric);
    add_raw(out, metric->seeds_low);
    add_raw(out, metric->seeds_high);
    add_raw(out, metric->p_seeds);
    add_field(out, format_disagreement(metric));
    add_field(out, metric_raw_unit(metric));
    add_field(out, metric->method);
    add_field(out, metric->family);
    add_field(out, metric->reason);
    add_field(out, metric->lower_is_better < 0 ? "" : metric->lower_is_better ? "lower" : "higher");
    add_field(out, estimate);
    add_field(out, isnan(metric->p_adjusted) ? "" : shown.p_adjusted);
    text_add_csv(out, evaluation->gaps);
    text_add(out, "\r\n", 2);
    free(estimate);
}

static int write_csv(const struct results *results, FILE *file, struct error *err) {
    struct text out = {0};

    (void)err;
    text_printf(
        &out, "evaluation,suite,split,policy,metric,judge,baseline,value,low,high,p,p_adjusted,p_floor,worst,"
              "best,n,n_missing,"
              "seeds,ties,judged,refused,unparsed,transport,"
              "per_seed,seeds_low,seeds_high,p_seeds,disagreement,unit,method,family,reason,better,"
              "shown,p_adjusted_shown,gaps\r\n");
    for (int i = 0; i < results->evaluation_count; i++)
        for (int j = 0; j < results->evaluations[i].metrics.count; j++)
            add_metric(&out, &results->evaluations[i], &results->evaluations[i].metrics.items[j]);
    fwrite(out.data, 1, out.length, file);
    free(out.data);
    return 0;
}

static void add_cell(struct text *out, const struct sheet *sheet, int row, int column) {
    const struct metric *metric = sheet_cell(sheet, row, column);
    const struct heading *heading = &sheet->headings[column];
    char *shown = sheet_text(sheet, row, column), *counts = sheet_counts(sheet, row);

    add_field(out, sheet->name);
    add_field(out, sheet->rows[row].name);
    add_field(out, heading->name);
    add_field(out, heading->judge);
    add_field(out, heading->relation);
    add_raw(out, metric->value);
    add_raw(out, metric->low);
    add_raw(out, metric->high);
    add_raw(out, metric->p);
    add_raw(out, metric->p_adjusted);
    text_printf(out, "%d,", metric->n);
    add_field(out, counts);
    add_field(out, shown);
    add_field(out, heading->shown == SHOWN_ESTIMATE ? format_stars(metric) : "");
    add_field(out, format_disagreement(metric));
    text_add_csv(out, sheet->gaps);
    text_add(out, "\r\n", 2);
    free(counts);
    free(shown);
}

/* warnings.csv: what the steps warn of. */
static int write_warnings(const struct results *results, const char *folder, struct error *err) {
    char *path = path_join(folder, "warnings.csv");
    struct text out = {0};
    int status;

    text_printf(&out, "step,warning\r\n");
    for (int i = 0; i < results->warnings.count; i++) {
        add_field(&out, results->warnings.items[i].step);
        text_add_csv(&out, results->warnings.items[i].sentence);
        text_add(&out, "\r\n", 2);
    }
    status = file_write(path, out.data, out.length, err);
    free(out.data);
    free(path);
    return status;
}

/* tables.csv: the tables that the other formats show first, a cell a row. */
static int write_tables(const struct results *results, const char *folder, struct error *err) {
    char *path = path_join(folder, "tables.csv");
    struct text out = {0};
    struct sheets sheets;
    int status;

    forms_arrange(&sheets, results);
    text_printf(&out, "table,row,column,judge,relation,value,low,high,p,p_adjusted,n,counts,shown,stars,"
                      "disagreement,gaps\r\n");
    for (int i = 0; i < sheets.count; i++)
        for (int row = 0; row < sheets.items[i].row_count; row++)
            for (int column = 0; column < sheets.items[i].heading_count; column++)
                if (sheet_cell(&sheets.items[i], row, column)) add_cell(&out, &sheets.items[i], row, column);
    status = file_write(path, out.data, out.length, err);
    sheets_free(&sheets);
    free(out.data);
    free(path);
    return status;
}

static int complete_csv(const struct results *results, const char *folder, struct error *err) {
    return write_tables(results, folder, err) || write_warnings(results, folder, err) ? -1 : 0;
}

const struct report report_csv = {
    "csv",        "every metric as a row, raw and as shown; the tables cell by cell",
    "report.csv", write_csv,
    complete_csv, NULL};
