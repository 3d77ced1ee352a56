/* The report as one HTML page that needs no network: what moved, sheets, figures, token maps, a sample
   browser, provenance, limitations. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/format.h"
#include "harness/memory.h"
#include "harness/registry.h"
#include "reports/browser.h"
#include "reports/findings.h"
#include "reports/forms.h"
#include "reports/page.h"
#include "reports/provenance.h"
#include "reports/results.h"
#include "reports/samples.h"
#include "reports/sheet.h"

#define TOP_FINDINGS 6  /* sentences a policy in the summary */
#define COLUMNS      10 /* of one table; a wider sheet becomes several */

static void add_tag(struct text *out, const char *tag, const char *text) {
    text_printf(out, "<%s>", tag);
    text_add_html(out, text);
    text_printf(out, "</%.*s>\n", (int)strcspn(tag, " "), tag);
}

/* Not among the page's own. */
static void add_anchor(struct text *out, const char *section) {
    text_printf(out, "task-");
    for (const char *c = section; *c; c++) text_printf(out, "%c", isalnum((unsigned char)*c) ? *c : '-');
}

static void add_section_heading(struct text *out, const char *tag, const struct results *results,
                                const char *section) {
    char *heading = section_heading(results, section);

    add_tag(out, tag, heading);
    free(heading);
}

static void add_policy_summary(struct text *out, const struct findings *findings) {
    char *total = findings_total(findings);
    const struct finding *finding;

    text_printf(out, "<div class=\"moved\"><h4>");
    text_add_html(out, findings->policy);
    text_printf(out, "</h4>\n<ul>\n");
    for (int at = 0, told = 0; told < TOP_FINDINGS && (finding = findings_next(findings, &at)); told++) {
        char *sentence = finding_sentence(finding);

        add_tag(out,
                finding->better < 0 ? "li"
                : finding->better   ? "li class=\"better\""
                                    : "li class=\"worse\"",
                sentence);
        free(sentence);
    }
    text_printf(out, "</ul>\n");
    add_tag(out, "p class=\"total\"", total);
    text_printf(out, "</div>\n");
    free(total);
}

static void add_summary(struct text *out, const struct results *results) {
    char *overview = findings_overview(results);

    text_printf(out, "<section class=\"abstract\" id=\"moved\"><h2>What moved</h2>\n");
    add_tag(out, "p", overview);
    free(overview);
    for (int i = 0; i < results->evaluation_count; i++) {
        int count;
        struct findings *findings = findings_of(&results->evaluations[i], &count);

        add_section_heading(out, "h3", results, results->evaluations[i].name);
        if (!count) add_tag(out, "p", "No comparison with a baseline was tested.");
        text_printf(out, "<div class=\"policies\">\n");
        for (int j = 0; j < count; j++) add_policy_summary(out, &findings[j]);
        text_printf(out, "</div>\n");
        findings_free(findings, count);
    }
    text_printf(out, "</section>\n");
}

static void add_small(struct text *out, const char *before, const char *text) {
    text_printf(out, "<small>%s", before);
    text_add_html(out, text);
    text_printf(out, "</small>");
}

static void add_heading(struct text *out, const struct heading *heading) {
    text_printf(out, "<th scope=\"col\">");
    text_add_html(out, heading->name);
    if (*heading->judge) add_small(out, "by ", heading->judge);
    if (*heading->relation) add_small(out, "", heading->relation);
    if (*heading->unit) add_small(out, "", heading->unit);
    if (heading->scope) add_small(out, "", heading->scope);
    if (heading->lower_is_better >= 0)
        add_small(out, "", heading->lower_is_better ? "↓ lower is better" : "↑ higher is better");
    text_printf(out, "</th>");
}

static const char *class_of(const struct metric *metric) {
    struct finding finding;

    if (!finding_exists(metric)) return "";
    finding = finding_of(metric);
    if (!finding.significant || finding.better < 0) return "";
    return finding.better ? " class=\"better\"" : " class=\"worse\"";
}

static void add_estimate(struct text *out, const struct metric *metric) {
    char seed[32], *bounds = format_bounds(metric);
    struct metric_text shown;

    format_metric(&shown, metric);
    text_printf(out, "<td%s><b>%s</b>", class_of(metric), shown.value);
    if (*format_stars(metric)) text_printf(out, "<sup>%s</sup>", format_stars(metric));
    if (!isnan(metric->value) && !isnan(metric->low) && !isnan(metric->high))
        text_printf(out, "<span>[%s, %s]%s%s</span>", shown.low, shown.high, bounds ? " " : "",
                    bounds ? bounds : "");
    if (*format_disagreement(metric)) text_printf(out, "<i>%s</i>", format_disagreement(metric));
    if (metric->per_seed && metric->seeds > 1) {
        text_printf(out, "<small>");
        for (int i = 0; i < metric->seeds; i++)
            text_printf(out, "%s%s", i ? " " : "", format_seed(seed, metric, i));
        text_printf(out, "</small>");
    }
    text_printf(out, "</td>");
    free(bounds);
}

static void add_cell(struct text *out, const struct sheet *sheet, int row, int column) {
    const struct metric *metric = sheet_cell(sheet, row, column);

    if (metric && sheet->headings[column].shown == SHOWN_ESTIMATE) {
        add_estimate(out, metric);
    } else {
        char *text = sheet_text(sheet, row, column);

        text_printf(out, "<td>");
        text_add_html(out, text);
        text_printf(out, "</td>");
        free(text);
    }
}

/* Nothing is known of the row in these columns. */
static int is_empty(const struct sheet *sheet, int row, int first, int last) {
    for (int j = first; j < last; j++)
        if (sheet_cell(sheet, row, j)) return 0;
    return 1;
}

static void add_row(struct text *out, const struct sheet *sheet, int row, int first, int last) {
    char *counts = sheet_counts(sheet, row);

    text_printf(out, "<tr%s><th scope=\"row\">", sheet->rows[row].standing == 2 ? " class=\"null\"" : "");
    text_add_html(out, sheet->rows[row].name);
    text_printf(out, "</th>");
    for (int j = first; j < last; j++) add_cell(out, sheet, row, j);
    text_printf(out, "<td class=\"n\">%s</td></tr>\n", counts);
    free(counts);
}

/* The columns from first to before last, so that a desk and a sheet of paper hold them. */
static void add_part(struct text *out, const struct sheet *sheet, int first, int last) {
    text_printf(out, "<div class=\"scroll\" role=\"group\" tabindex=\"0\" aria-label=\"");
    text_add_html(out, sheet->title);
    text_printf(out, "\"><table%s><caption>", sheet->by_row ? " class=\"named\"" : "");
    text_add_html(out, sheet->title);
    text_printf(out, "%s</caption>\n<thead><tr><td></td>", first ? ", continued" : "");
    for (int j = first; j < last; j++) add_heading(out, &sheet->headings[j]);
    text_printf(out, "<th scope=\"col\">n</th></tr></thead>\n<tbody>\n");
    for (int i = 0; i < sheet->row_count; i++)
        if (!is_empty(sheet, i, first, last)) add_row(out, sheet, i, first, last);
    text_printf(out, "</tbody></table></div>\n");
}

static void add_table(struct text *out, const struct results *results, const struct sheet *sheet) {
    int parts = (sheet->heading_count + COLUMNS - 1) / COLUMNS;
    struct notes notes;

    text_printf(out, "<div class=\"table\">");
    for (int i = 0; i < parts; i++)
        add_part(out, sheet, i * sheet->heading_count / parts, (i + 1) * sheet->heading_count / parts);
    text_printf(out, "<div class=\"notes\">\n");
    sheet_notes(&notes, sheet, &results->effect);
    for (int i = 0; i < notes.count; i++) add_tag(out, "p", notes.items[i]);
    notes_free(&notes);
    text_printf(out, "</div></div>\n");
}

static void add_warnings(struct text *out, const struct results *results) {
    if (!results->warnings.count) return;
    text_printf(out, "<section id=\"warnings\"><h2>Warnings</h2>\n<ul class=\"warnings\">\n");
    for (int i = 0; i < results->warnings.count; i++) {
        text_printf(out, "<li><b>");
        text_add_html(out, results->warnings.items[i].step);
        text_printf(out, "</b> ");
        text_add_html(out, results->warnings.items[i].sentence);
        text_printf(out, "</li>\n");
    }
    text_printf(out, "</ul></section>\n");
}

static void add_forms(struct text *out, const struct results *results) {
    struct sheets sheets;

    forms_arrange(&sheets, results);
    text_printf(out, "<section id=\"tables\"><h2>Tables</h2>\n<div class=\"tables\">\n");
    for (int i = 0; i < sheets.count; i++) add_table(out, results, &sheets.items[i]);
    text_printf(out, "</div></section>\n");
    sheets_free(&sheets);
}

/* The section's figures of one group, side by side where there is room. */
static void add_figures(struct text *out, const struct results *results, const char *section,
                        const char *group, const char *heading) {
    int any = 0;

    for (int i = 0; i < results->figure_count; i++) {
        const struct figure *figure = &results->figures[i];

        if (strcmp(figure->section, section) || strcmp(figure->group, group) || !figure->svg) continue;
        if (!any++) text_printf(out, "<h3>%s</h3>\n<div class=\"figures\">\n", heading);
        text_printf(out, "<figure role=\"img\" aria-label=\"");
        text_add_html(out, figure->title);
        text_printf(out, "\">");
        text_add(out, figure->svg, strlen(figure->svg));
        add_tag(out, "figcaption", figure->caption);
        text_printf(out, "</figure>\n");
    }
    if (any) text_printf(out, "</div>\n");
}

static void add_section(struct text *out, const struct results *results, const char *section) {
    const struct evaluation *evaluation = results_evaluation(results, section);
    struct sheets sheets = {0};

    text_printf(out, "<section id=\"");
    add_anchor(out, section);
    text_printf(out, "\">\n");
    add_section_heading(out, "h2", results, section);
    if (evaluation) sheets_arrange(&sheets, evaluation);
    text_printf(out, "<div class=\"tables\">\n");
    for (int i = 0; i < sheets.count; i++) add_table(out, results, &sheets.items[i]);
    text_printf(out, "</div>\n");
    sheets_free(&sheets);
    add_figures(out, results, section, "training", "Training");
    add_figures(out, results, section, "overoptimization", "Reward against distance");
    add_figures(out, results, section, "length", "Lengths");
    add_figures(out, results, section, "dose", "Dose and response");
    if (evaluation) samples_add_maps(out, evaluation);
    text_printf(out, "</section>\n");
}

static void add_counts(struct text *out, const struct browser_counts *counts) {
    if (counts->shown == counts->total)
        text_printf(out, "<p>All %d responses.", counts->total);
    else
        text_printf(out,
                    "<p>%d of %d responses, whole prompts at even distances; the others are in the "
                    "transcripts.jsonl of the run's folder.",
                    counts->shown, counts->total);
    text_printf(out, " Key <kbd>?</kbd> tells the keys.</p>\n");
}

static void add_browser(struct text *out, const struct results *results) {
    struct browser_counts counts;
    struct text json = {0};

    browser_add_data(&json, results, &counts);
    if (counts.total) {
        text_printf(out, "<section id=\"samples\"><h2>Samples</h2>\n");
        add_counts(out, &counts);
        text_printf(out, "<div id=\"browser\"></div>\n<noscript><p>The browser of samples needs "
                         "JavaScript.</p></noscript>\n<script type=\"application/json\" id=\"data\">");
        text_add(out, json.data, json.length);
        text_printf(out, "</script>\n</section>\n");
    }
    free(json.data);
}

static void add_limitations(struct text *out, const struct results *results) {
    struct notes limits;

    limitations_of(&limits, results);
    text_printf(out, "<section id=\"limitations\"><h2>Limitations</h2>\n<ul>\n");
    for (int i = 0; i < limits.count; i++) add_tag(out, "li", limits.items[i]);
    text_printf(out, "</ul></section>\n");
    notes_free(&limits);
}

static void add_provenance(struct text *out, const struct results *results) {
    char *command = command_of(results), *manifest = node_json(results->manifest, 1);
    struct facts facts;

    text_printf(out, "<section id=\"provenance\"><h2>Provenance</h2>\n");
    if (command) {
        text_printf(out, "<p>To run it again:</p>\n");
        add_tag(out, "pre tabindex=\"0\"", command);
    }
    facts_of(&facts, results);
    text_printf(out, "<div class=\"scroll\"><table class=\"facts\"><tbody>\n");
    for (int i = 0; i < facts.count; i++) {
        text_printf(out, "<tr><th scope=\"row\">");
        text_add_html(out, facts.items[i].name);
        text_printf(out, "</th><td>");
        text_add_html(out, facts.items[i].value);
        text_printf(out, "</td></tr>\n");
    }
    text_printf(out, "</tbody></table></div>\n<details><summary>The whole manifest</summary>");
    add_tag(out, "pre tabindex=\"0\"", manifest);
    text_printf(out, "</details></section>\n");
    facts_free(&facts);
    free(manifest);
    free(command);
}

static void add_contents(struct text *out, const struct results *results, const char *const *sections,
                         int count) {
    text_printf(out, "<nav><a href=\"#moved\">What moved</a>%s <a href=\"#tables\">Tables</a>",
                results->warnings.count ? " <a href=\"#warnings\">Warnings</a>" : "");
    for (int i = 0; i < count; i++) {
        text_printf(out, " <a href=\"#");
        add_anchor(out, sections[i]);
        text_printf(out, "\">");
        text_add_html(out, sections[i]);
        text_printf(out, "</a>");
    }
    text_printf(out, " <a href=\"#samples\">Samples</a> <a href=\"#limitations\">Limitations</a> <a "
                     "href=\"#provenance\">Provenance</a></nav>\n");
}

static void add_head(struct text *out, const struct results *results) {
    text_printf(
        out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
             "content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light "
             "dark\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
             "'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n");
    add_tag(out, "title", results->title);
    text_printf(out, "<style>\n%s</style>\n</head>\n<body>\n<main>\n<header>", page_css);
    add_tag(out, "h1", results->title);
    text_printf(out, "</header>\n");
}

/* The parts share one function's names. */
static void add_script(struct text *out) {
    const char *const parts[] = {records_js, words_js, filters_js, boxes_js, list_js, page_js};

    text_printf(out, "</main>\n<script>\n(function () {\n\"use strict\";\n");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) text_add(out, parts[i], strlen(parts[i]));
    text_printf(out, "})();\n</script>\n</body>\n</html>\n");
}

static int write_html(const struct results *results, FILE *file, struct error *err) {
    struct text out = {0};
    const char **sections;
    int count;

    (void)err;
    sections = results_sections(results, &count);
    add_head(&out, results);
    add_contents(&out, results, sections, count);
    add_summary(&out, results);
    add_warnings(&out, results);
    add_forms(&out, results);
    for (int i = 0; i < count; i++) add_section(&out, results, sections[i]);
    add_browser(&out, results);
    add_limitations(&out, results);
    add_provenance(&out, results);
    add_script(&out);
    fwrite(out.data, 1, out.length, file);
    free(out.data);
    free(sections);
    return 0;
}

const struct report report_html = {
    "html", "one page with figures, token maps and a sample browser", "report.html", write_html, NULL, NULL};
