/* The report as Markdown: what moved, sheets, figures as files beside it, provenance, limitations. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/format.h"
#include "harness/memory.h"
#include "harness/registry.h"
#include "reports/findings.h"
#include "reports/forms.h"
#include "reports/provenance.h"
#include "reports/results.h"
#include "reports/samples.h"
#include "reports/sheet.h"

#define TOP_FINDINGS 6 /* sentences a policy in the summary */
#define MAPS         3 /* token maps an evaluation */

static void add_item(struct text *out, const char *indent, char *sentence) {
    text_printf(out, "%s- ", indent);
    text_add_markdown(out, sentence);
    text_printf(out, "\n");
    free(sentence);
}

static void add_summary(struct text *out, const struct results *results,
                        const struct evaluation *evaluation) {
    char *heading = section_heading(results, evaluation->name);
    int count;
    struct findings *findings = findings_of(evaluation, &count);
    const struct finding *finding;

    text_printf(out, "**");
    text_add_markdown(out, heading);
    text_printf(out, "**\n\n");
    free(heading);
    if (!count) text_printf(out, "- No comparison with a baseline was tested.\n");
    for (int i = 0; i < count; i++) {
        text_printf(out, "- **");
        text_add_markdown(out, findings[i].policy);
        text_printf(out, "**\n");
        for (int at = 0, told = 0; told < TOP_FINDINGS && (finding = findings_next(&findings[i], &at));
             told++)
            add_item(out, "  ", finding_sentence(finding));
        add_item(out, "  ", findings_total(&findings[i]));
    }
    text_printf(out, "\n");
    findings_free(findings, count);
}

static void add_heading(struct text *out, const struct heading *heading) {
    text_printf(out, " ");
    text_add_markdown(out, heading->name);
    if (*heading->judge) {
        text_printf(out, " by ");
        text_add_markdown(out, heading->judge);
    }
    if (*heading->relation) {
        text_printf(out, ", ");
        text_add_markdown(out, heading->relation);
    }
    if (heading->scope) text_printf(out, ", %s", heading->scope);
    if (*heading->unit) {
        text_printf(out, " (");
        text_add_markdown(out, heading->unit);
        text_printf(out, ")");
    }
    if (heading->lower_is_better >= 0) text_printf(out, " %s", heading->lower_is_better ? "↓" : "↑");
    text_printf(out, " |");
}

static void add_cell(struct text *out, const struct sheet *sheet, int row, int column) {
    const struct metric *metric = sheet_cell(sheet, row, column);
    char *text = sheet_text(sheet, row, column), seed[32];

    text_printf(out, " %s", text);
    free(text);
    if (metric && sheet->headings[column].shown == SHOWN_ESTIMATE) {
        for (const char *star = format_stars(metric); *star; star++) text_printf(out, "\\*");
        if (*format_disagreement(metric)) text_printf(out, " %s", format_disagreement(metric));
        for (int i = 0; metric->per_seed && metric->seeds > 1 && i < metric->seeds; i++)
            text_printf(out, "%s%s%s", i ? " " : " (", format_seed(seed, metric, i),
                        i == metric->seeds - 1 ? ")" : "");
    }
    text_printf(out, " |");
}

static void add_row(struct text *out, const struct sheet *sheet, int row) {
    const char *mark = sheet->rows[row].standing == 2 ? "*" : "";
    char *counts = sheet_counts(sheet, row);

    text_printf(out, "| %s", mark);
    text_add_markdown(out, sheet->rows[row].name);
    text_printf(out, "%s |", mark);
    for (int j = 0; j < sheet->heading_count; j++) add_cell(out, sheet, row, j);
    text_printf(out, " %s |\n", counts);
    free(counts);
}

static void add_table(struct text *out, const struct results *results, const struct sheet *sheet) {
    struct notes notes;

    text_printf(out, "### ");
    text_add_markdown(out, sheet->title);
    text_printf(out, "\n\n| |");
    for (int j = 0; j < sheet->heading_count; j++) add_heading(out, &sheet->headings[j]);
    text_printf(out, " n |\n|---|");
    for (int j = 0; j <= sheet->heading_count; j++) text_printf(out, "---:|");
    text_printf(out, "\n");
    for (int i = 0; i < sheet->row_count; i++) add_row(out, sheet, i);
    text_printf(out, "\n");
    sheet_notes(&notes, sheet, &results->effect);
    for (int i = 0; i < notes.count; i++) add_item(out, "", xstrdup(notes.items[i]));
    notes_free(&notes);
    text_printf(out, "\n");
}

static void add_warnings(struct text *out, const struct results *results) {
    const struct warnings *warnings = &results->warnings;

    if (warnings->count) text_printf(out, "## Warnings\n\n");
    for (int i = 0; i < warnings->count; i++) add_item(out, "", warning_line(&warnings->items[i]));
    if (warnings->count) text_printf(out, "\n");
}

static void add_forms(struct text *out, const struct results *results) {
    struct sheets sheets;

    forms_arrange(&sheets, results);
    if (sheets.count) text_printf(out, "## Tables\n\n");
    for (int i = 0; i < sheets.count; i++) add_table(out, results, &sheets.items[i]);
    sheets_free(&sheets);
}

static void add_figures(struct text *out, const struct results *results, const char *section) {
    for (int i = 0; i < results->figure_count; i++) {
        const struct figure *figure = &results->figures[i];

        if (strcmp(figure->section, section) || !figure->svg) continue;
        text_printf(out, "![");
        text_add_markdown(out, figure->title);
        text_printf(out, "](%s)\n\n*", figure->file);
        text_add_markdown(out, figure->caption);
        text_printf(out, "*\n\n");
    }
}

/* Each token with its reward, in the order of the text. */
static void add_token_map(struct text *out, const struct node *map) {
    const struct node *token = node_get(map, "tokens"), *reward = node_get(map, "rewards");
    char number[32];

    if (!token || !reward) return;
    text_printf(out, "Token rewards of ");
    text_add_markdown(out, node_text(map, "policy", "a policy"));
    text_printf(out, " by ");
    text_add_markdown(out, node_text(map, "reward", "the reward"));
    text_printf(out, ": ");
    for (token = token->first, reward = reward->first; token && reward;
         token = token->next, reward = reward->next) {
        text_add_markdown(out, token->text);
        text_printf(out, " (%s) ", format_number(number, reward->number, NULL));
    }
    text_printf(out, "\n\n");
}

static void add_section(struct text *out, const struct results *results, const char *section) {
    const struct evaluation *evaluation = results_evaluation(results, section);
    const struct node *map = evaluation ? evaluation->token_rewards->first : NULL;
    char *heading = section_heading(results, section);
    struct sheets sheets = {0};

    text_printf(out, "## ");
    text_add_markdown(out, heading);
    text_printf(out, "\n\n");
    free(heading);
    if (evaluation) sheets_arrange(&sheets, evaluation);
    for (int i = 0; i < sheets.count; i++) add_table(out, results, &sheets.items[i]);
    sheets_free(&sheets);
    add_figures(out, results, section);
    for (int shown = 0; map && shown < MAPS; map = map->next) {
        if (!token_map_is_spread(map)) continue;
        add_token_map(out, map);
        shown++;
    }
}

static void add_provenance(struct text *out, const struct results *results) {
    char *command = command_of(results);
    struct facts facts;

    text_printf(out, "## Provenance\n\n");
    if (command) text_printf(out, "    %s\n\n", command);
    facts_of(&facts, results);
    if (facts.count) text_printf(out, "| | |\n|---|---|\n");
    for (int i = 0; i < facts.count; i++) {
        text_printf(out, "| ");
        text_add_markdown(out, facts.items[i].name);
        text_printf(out, " | ");
        text_add_markdown(out, facts.items[i].value);
        text_printf(out, " |\n");
    }
    text_printf(out, "\n");
    facts_free(&facts);
    free(command);
}

static int write_markdown(const struct results *results, FILE *file, struct error *err) {
    struct text out = {0};
    const char **sections;
    struct notes limits;
    char *overview;
    int count;

    (void)err;
    text_printf(&out, "# ");
    text_add_markdown(&out, results->title);
    text_printf(&out, "\n\n## What moved\n\n");
    overview = findings_overview(results);
    text_add_markdown(&out, overview);
    text_printf(&out, "\n\n");
    for (int i = 0; i < results->evaluation_count; i++) add_summary(&out, results, &results->evaluations[i]);
    add_warnings(&out, results);
    add_forms(&out, results);
    sections = results_sections(results, &count);
    for (int i = 0; i < count; i++) add_section(&out, results, sections[i]);
    text_printf(&out, "## Limitations\n\n");
    limitations_of(&limits, results);
    for (int i = 0; i < limits.count; i++) add_item(&out, "", xstrdup(limits.items[i]));
    notes_free(&limits);
    free(sections);
    free(overview);
    text_printf(&out, "\n");
    add_provenance(&out, results);
    fwrite(out.data, 1, out.length, file);
    free(out.data);
    return 0;
}

const struct report report_markdown = {
    "markdown", "tables and figures for reading as text", "report.md", write_markdown, NULL, NULL};
