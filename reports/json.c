/* The report for programs: metrics raw and as shown, what moved, limitations, figures' captions, the
 * manifest. */
#include <math.h>
#include <stdlib.h>

#include "harness/format.h"
#include "harness/memory.h"
#include "harness/registry.h"
#include "reports/findings.h"
#include "reports/forms.h"
#include "reports/results.h"

static void add_numbers(struct node *map, const struct metric *metric) {
    node_add_number(map, "value", metric->value);
    node_add_number(map, "low", metric->low);
    node_add_number(map, "high", metric->high);
    node_add_number(map, "p", metric->p);
    node_add_number(map, "p_adjusted", metric->p_adjusted);
    node_add_number(map, "p_floor", metric->p_floor);
    node_add_number(map, "worst", metric->worst);
    node_add_number(map, "best", metric->best);
    node_add_number(map, "n", metric->n);
    node_add_number(map, "n_missing", metric->n_missing);
    node_add_number(map, "seeds", metric->seeds);
    node_add_number(map, "ties", metric->ties);
    node_add_number(map, "judged", metric->judged);
    node_add_number(map, "refused", metric->refused);
    node_add_number(map, "unparsed", metric->unparsed);
    node_add_number(map, "transport", metric->transport);
    if (metric->per_seed) {
        struct node *seeds = node_add(map, "per_seed", NODE_LIST);
        for (int i = 0; i < metric->seeds; i++) node_add_number(seeds, NULL, metric->per_seed[i]);
    }
    node_add_number(map, "seeds_low", metric->seeds_low);
    node_add_number(map, "seeds_high", metric->seeds_high);
    node_add_number(map, "p_seeds", metric->p_seeds);
    node_add_text(map, "disagreement", format_disagreement(metric));
}

static void add_metric(struct node *list, const struct metric *metric) {
    struct node *map = node_add(list, NULL, NODE_MAP);
    char *estimate = format_estimate(metric);
    struct metric_text shown;

    format_metric(&shown, metric);
    node_add_text(map, "suite", metric->suite);
    node_add_text(map, "split", metric->split);
    node_add_text(map, "policy", metric->policy);
    node_add_text(map, "metric", metric->name);
    node_add_text(map, "judge", metric->judge);
    node_add_text(map, "baseline", metric->baseline);
    add_numbers(map, metric);
    node_add_text(map, "unit", metric_raw_unit(metric));
    node_add_text(map, "method", metric->method);
    node_add_text(map, "family", metric->family);
    node_add_text(map, "reason", metric->reason);
    node_add_text(map, "better",
                  metric->lower_is_better < 0 ? NULL
                  : metric->lower_is_better   ? "lower"
                                              : "higher");
    node_add_text(map, "shown", estimate);
    node_add_text(map, "p_adjusted_shown", isnan(metric->p_adjusted) ? NULL : shown.p_adjusted);
    free(estimate);
}

static void add_findings(struct node *map, const struct evaluation *evaluation) {
    struct node *list = node_add(map, "findings", NODE_LIST);
    struct findings *findings;
    int count;

    findings = findings_of(evaluation, &count);
    for (int i = 0; i < count; i++) {
        struct node *of = node_add(list, NULL, NODE_MAP), *sentences;
        char *total = findings_total(&findings[i]);

        node_add_text(of, "policy", findings[i].policy);
        node_add_text(of, "total", total);
        sentences = node_add(of, "significant", NODE_LIST);
        for (int j = 0; j < findings[i].significant; j++) {
            char *sentence = finding_sentence(&findings[i].items[j]);
            node_add_text(sentences, NULL, sentence);
            free(sentence);
        }
        free(total);
    }
    findings_free(findings, count);
}

static void add_evaluation(struct node *list, const struct evaluation *evaluation) {
    struct node *map = node_add(list, NULL, NODE_MAP), *metrics;

    node_add_text(map, "name", evaluation->name);
    node_add_text(map, "task", evaluation->task);
    if (evaluation->gaps) node_add_text(map, "gaps", evaluation->gaps);
    node_add_copy(map, "matrix", evaluation->matrix);
    metrics = node_add(map, "metrics", NODE_LIST);
    for (int i = 0; i < evaluation->metrics.count; i++) add_metric(metrics, &evaluation->metrics.items[i]);
    add_findings(map, evaluation);
}

static void add_headings(struct node *table, const struct sheet *sheet) {
    struct node *list = node_add(table, "columns", NODE_LIST);

    for (int i = 0; i < sheet->heading_count; i++) {
        struct node *map = node_add(list, NULL, NODE_MAP);

        node_add_text(map, "name", sheet->headings[i].name);
        node_add_text(map, "judge", sheet->headings[i].judge);
        node_add_text(map, "relation", sheet->headings[i].relation);
        node_add_text(map, "unit", sheet->headings[i].unit);
        if (sheet->headings[i].scope) node_add_text(map, "scope", sheet->headings[i].scope);
    }
}

static void add_cell(struct node *cells, const struct sheet *sheet, int row, int column) {
    const struct metric *metric = sheet_cell(sheet, row, column);
    struct node *map = node_add(cells, NULL, metric ? NODE_MAP : NODE_NULL);
    char *shown = sheet_text(sheet, row, column);

    if (metric) {
        add_numbers(map, metric);
        node_add_text(map, "shown", shown);
        node_add_text(map, "stars",
                      sheet->headings[column].shown == SHOWN_ESTIMATE ? format_stars(metric) : "");
    }
    free(shown);
}

static void add_rows(struct node *table, const struct sheet *sheet) {
    struct node *list = node_add(table, "rows", NODE_LIST);

    for (int i = 0; i < sheet->row_count; i++) {
        struct node *map = node_add(list, NULL, NODE_MAP), *cells;
        char *counts = sheet_counts(sheet, i);

        node_add_text(map, "name", sheet->rows[i].name);
        node_add_text(map, "counts", counts);
        cells = node_add(map, "cells", NODE_LIST);
        for (int j = 0; j < sheet->heading_count; j++) add_cell(cells, sheet, i, j);
        free(counts);
    }
}

static void add_tables(struct node *root, const struct results *results) {
    struct node *list = node_add(root, "tables", NODE_LIST);
    struct sheets sheets;

    forms_arrange(&sheets, results);
    for (int i = 0; i < sheets.count; i++) {
        struct node *map = node_add(list, NULL, NODE_MAP), *lines;
        struct notes notes;

        node_add_text(map, "name", sheets.items[i].name);
        node_add_text(map, "title", sheets.items[i].title);
        add_headings(map, &sheets.items[i]);
        add_rows(map, &sheets.items[i]);
        lines = node_add(map, "notes", NODE_LIST);
        sheet_notes(&notes, &sheets.items[i], &results->effect);
        for (int j = 0; j < notes.count; j++) node_add_text(lines, NULL, notes.items[j]);
        notes_free(&notes);
    }
    sheets_free(&sheets);
}

static void add_figures(struct node *root, const struct results *results) {
    struct node *list = node_add(root, "figures", NODE_LIST);

    for (int i = 0; i < results->figure_count; i++) {
        const struct figure *figure = &results->figures[i];
        struct node *map = node_add(list, NULL, NODE_MAP);

        node_add_text(map, "section", figure->section);
        node_add_text(map, "title", figure->title);
        node_add_text(map, "caption", figure->caption);
        if (figure->svg) node_add_text(map, "file", figure->file);
    }
}

static void add_warnings(struct node *root, const struct results *results) {
    struct node *list = node_add(root, "warnings", NODE_LIST);

    for (int i = 0; i < results->warnings.count; i++) {
        struct node *map = node_add(list, NULL, NODE_MAP);

        node_add_text(map, "step", results->warnings.items[i].step);
        node_add_text(map, "warning", results->warnings.items[i].sentence);
    }
}

static int write_json(const struct results *results, FILE *file, struct error *err) {
    struct node *root = node_new(NODE_MAP), *list;
    struct notes limits;

    (void)err;
    node_add_text(root, "title", results->title);
    list = node_add(root, "evaluations", NODE_LIST);
    for (int i = 0; i < results->evaluation_count; i++) add_evaluation(list, &results->evaluations[i]);
    add_tables(root, results);
    add_figures(root, results);
    add_warnings(root, results);
    limitations_of(&limits, results);
    list = node_add(root, "limitations", NODE_LIST);
    for (int i = 0; i < limits.count; i++) node_add_text(list, NULL, limits.items[i]);
    notes_free(&limits);
    node_add_copy(root, "manifest", results->manifest);
    node_print(file, root, 1);
    node_free(root);
    return 0;
}

const struct report report_json = {
    "json", "metrics, findings and the manifest for other programs", "report.json", write_json, NULL, NULL};
