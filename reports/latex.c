/* The report as a paper in LaTeX: what moved, tables and figures as files beside it, token maps, provenance,
   limitations; and its PDF. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/format.h"
#include "harness/memory.h"
#include "harness/progress.h"
#include "harness/registry.h"
#include "reports/findings.h"
#include "reports/forms.h"
#include "reports/latex_table.h"
#include "reports/plot.h"
#include "reports/provenance.h"
#include "reports/samples.h"
#include "reports/tex.h"

#define TOP_FINDINGS 6 /* sentences a policy in the summary */
#define MAPS         3 /* token maps an evaluation */

static const char preamble[] =
    "\\documentclass[10pt,a4paper]{article}\n"
    "\\usepackage{iftex}\n"
    "\\ifPDFTeX\n"
    "  \\usepackage[T1]{fontenc}\n"
    "  \\usepackage[utf8]{inputenc}\n"
    "  \\IfFileExists{lmodern.sty}{\\usepackage{lmodern}}{}\n"
    "  \\pdfinfoomitdate=1 \\pdftrailerid{}\n"
    "\\else\n"
    "  \\usepackage{fontspec}\n"
    "\\fi\n"
    "\\usepackage{textcomp,array,booktabs,graphicx,xcolor}\n"
    "\\usepackage[margin=2cm]{geometry}\n"
    "\\definecolor{raises}{HTML}{0072B2}\n"
    "\\definecolor{lowers}{HTML}{D55E00}\n"
    "\\newcommand{\\tabletitle}[1]{\\par\\medskip\\refstepcounter{table}\\noindent\\textbf{Table "
    "\\thetable.} #1\\par\\nobreak\\smallskip}\n"
    "\\newcommand{\\figuretitle}[1]{\\refstepcounter{figure}{\\footnotesize\\textbf{Figure \\thefigure.} "
    "#1\\par}}\n"
    "\\setlength{\\parindent}{0pt}\\setlength{\\parskip}{3pt}\n"
    "\\emergencystretch=3em \\raggedbottom\n";

static void add_command(struct text *out, const char *command, const char *text) {
    text_printf(out, "\\%s{", command);
    text_add_latex(out, text);
    text_printf(out, "}\n");
}

static void add_section_heading(struct text *out, const char *command, const struct results *results,
                                const char *section) {
    char *heading = section_heading(results, section);

    add_command(out, command, heading);
    free(heading);
}

static void add_item(struct text *out, const char *text) {
    text_printf(out, "\\item ");
    text_add_latex(out, text);
    text_printf(out, "\n");
}

static void add_policy_findings(struct text *out, const struct findings *findings) {
    const struct finding *finding;
    char *total = findings_total(findings);

    add_command(out, "paragraph", findings->policy);
    text_printf(out, "\\begin{itemize}\\setlength{\\itemsep}{0pt}\n");
    for (int at = 0, told = 0; told < TOP_FINDINGS && (finding = findings_next(findings, &at)); told++) {
        char *sentence = finding_sentence(finding);

        add_item(out, sentence);
        free(sentence);
    }
    add_item(out, total);
    text_printf(out, "\\end{itemize}\n");
    free(total);
}

static void add_summary(struct text *out, const struct results *results) {
    char *overview = findings_overview(results);

    text_printf(out, "\\section{What moved}\n");
    text_add_latex(out, overview);
    text_printf(out, "\n");
    for (int i = 0; i < results->evaluation_count; i++) {
        int count;
        struct findings *findings = findings_of(&results->evaluations[i], &count);

        add_section_heading(out, "subsection*", results, results->evaluations[i].name);
        if (!count) text_printf(out, "No comparison with a baseline was tested.\n");
        for (int j = 0; j < count; j++) add_policy_findings(out, &findings[j]);
        findings_free(findings, count);
    }
    free(overview);
}

static void add_warnings(struct text *out, const struct results *results) {
    if (!results->warnings.count) return;
    text_printf(out, "\\section{Warnings}\n\\begin{itemize}\\setlength{\\itemsep}{0pt}\n");
    for (int i = 0; i < results->warnings.count; i++) {
        char *line = warning_line(&results->warnings.items[i]);

        add_item(out, line);
        free(line);
    }
    text_printf(out, "\\end{itemize}\n");
}

static void add_sheet(struct text *out, const struct sheet *sheet) {
    add_command(out, "tabletitle", sheet->title);
    text_printf(out, "\\input{tables/%s}\n", sheet->name);
}

static void add_forms(struct text *out, const struct results *results) {
    struct sheets sheets;

    forms_arrange(&sheets, results);
    if (sheets.count) text_printf(out, "\\section{Tables}\n");
    for (int i = 0; i < sheets.count; i++) add_sheet(out, &sheets.items[i]);
    sheets_free(&sheets);
}

static char *figure_path(const struct figure *figure) {
    return xprintf("figures/%.*s.pdf", (int)strcspn(figure->file, "."), figure->file);
}

/* Side by side, two a row. */
static void add_figures(struct text *out, const struct results *results, const char *section) {
    int shown = 0;

    for (int i = 0; i < results->figure_count; i++) {
        const struct figure *figure = &results->figures[i];
        char *path;

        if (strcmp(figure->section, section) || !figure->svg) continue;
        path = figure_path(figure);
        text_printf(out,
                    "%s\\begin{minipage}[t]{0.49\\textwidth}\\vspace{0pt}\\centering\n"
                    "\\includegraphics[width=\\linewidth]{%s}\\par\n",
                    shown % 2 ? "\\hfill\n"
                    : shown   ? "\\par\\medskip\n"
                              : "\\par\\medskip\n",
                    path);
        add_command(out, "figuretitle", figure->caption);
        text_printf(out, "\\end{minipage}%%\n");
        shown++;
        free(path);
    }
    if (shown) text_printf(out, "\\par\\medskip\n");
}

static void add_token_map(struct text *out, const struct evaluation *evaluation, const struct node *map) {
    const struct node *token = node_get(map, "tokens"), *reward = node_get(map, "rewards");
    const char *prompt = token_map_prompt(evaluation, map);
    double most = token_map_largest(map);
    char number[32];

    text_printf(out, "\\par\\medskip\\textbf{");
    text_add_latex(out, node_text(map, "policy", "A policy"));
    text_printf(out, "} scored by \\textbf{");
    text_add_latex(out, node_text(map, "reward", "the reward"));
    text_printf(out, "}, full colour at $\\pm$%s", format_digits(number, most, NULL, most));
    if (prompt) {
        text_printf(out, "; asked: \\textit{");
        text_add_latex(out, prompt);
        text_printf(out, "}");
    }
    text_printf(out, "\\par\\smallskip{\\fboxsep=1.5pt\\raggedright\\small\n");
    for (token = token->first, reward = reward->first; token && reward;
         token = token->next, reward = reward->next) {
        double share = most > 0 && isfinite(reward->number) ? reward->number / most : 0;

        text_printf(out, "\\colorbox{%s!%d}{\\strut ", share < 0 ? "lowers" : "raises",
                    (int)lround(60 * fabs(share)));
        text_add_latex(out, token->text);
        text_printf(out, "}\\hspace{0.5pt plus 1pt}%%\n");
    }
    text_printf(out, "\\par}\n");
}

static void add_token_maps(struct text *out, const struct evaluation *evaluation) {
    int shown = 0;

    for (const struct node *map = evaluation->token_rewards->first; map && shown < MAPS; map = map->next) {
        if (!token_map_is_spread(map) || !node_get(map, "tokens")) continue;
        if (!shown++)
            text_printf(out,
                        "\\subsection*{Rewards token by token}\nBlue raises the response's reward, orange "
                        "lowers it.\n");
        add_token_map(out, evaluation, map);
    }
}

static void add_section(struct text *out, const struct results *results, const char *section) {
    const struct evaluation *evaluation = results_evaluation(results, section);
    struct sheets sheets = {0};

    add_section_heading(out, "section", results, section);
    add_figures(out, results, section);
    if (evaluation) add_token_maps(out, evaluation);
    if (evaluation) sheets_arrange(&sheets, evaluation);
    for (int i = 0; i < sheets.count; i++) add_sheet(out, &sheets.items[i]);
    sheets_free(&sheets);
}

static void add_limitations(struct text *out, const struct results *results) {
    struct notes limits;

    limitations_of(&limits, results);
    text_printf(out, "\\section{Limitations}\n\\begin{itemize}\\setlength{\\itemsep}{0pt}\n");
    for (int i = 0; i < limits.count; i++) add_item(out, limits.items[i]);
    text_printf(out, "\\end{itemize}\n");
    notes_free(&limits);
}

static void add_provenance(struct text *out, const struct results *results) {
    char *command = command_of(results);
    struct facts facts;

    text_printf(out, "\\section{Provenance}\n");
    if (command) {
        text_printf(out, "To run it again: {\\ttfamily\\raggedright ");
        text_add_latex(out, command);
        text_printf(out, "\\par}\n");
    }
    facts_of(&facts, results);
    text_printf(out, "{\\scriptsize\\raggedright\n");
    for (int i = 0; i < facts.count; i++) {
        text_printf(out, "\\textbf{");
        text_add_latex(out, facts.items[i].name);
        text_printf(out, "} ");
        text_add_latex(out, facts.items[i].value);
        text_printf(out, "\\par\n");
    }
    text_printf(out, "}\n");
    facts_free(&facts);
    free(command);
}

static int write_latex(const struct results *results, FILE *file, struct error *err) {
    struct text out = {0};
    const char **sections;
    int count;

    (void)err;
    text_printf(&out, "%s\\begin{document}\n", preamble);
    add_command(&out, "title", results->title);
    text_printf(&out, "\\author{}\\date{}\\maketitle\n");
    add_summary(&out, results);
    add_warnings(&out, results);
    add_forms(&out, results);
    sections = results_sections(results, &count);
    for (int i = 0; i < count; i++) add_section(&out, results, sections[i]);
    add_limitations(&out, results);
    add_provenance(&out, results);
    text_printf(&out, "\\end{document}\n");
    fwrite(out.data, 1, out.length, file);
    free(sections);
    free(out.data);
    return 0;
}

static int write_tables(const struct sheets *sheets, const struct results *results, const char *folder,
                        struct error *err) {
    int status = 0;

    for (int i = 0; i < sheets->count && !status; i++) {
        char *path = xprintf("%s/%s.tex", folder, sheets->items[i].name);
        struct text out = {0};

        latex_add_table(&out, &sheets->items[i], &results->effect);
        status = file_write(path, out.data, out.length, err);
        free(out.data);
        free(path);
    }
    return status;
}

static int write_all_tables(const struct results *results, const char *folder, struct error *err) {
    char *tables = path_join(folder, "tables");
    struct sheets forms;
    int status = folder_remove(tables, err);

    if (!status) status = folder_make(tables, err);
    forms_arrange(&forms, results);
    if (!status) status = write_tables(&forms, results, tables, err);
    sheets_free(&forms);
    for (int i = 0; i < results->evaluation_count && !status; i++) {
        struct sheets sheets;

        sheets_arrange(&sheets, &results->evaluations[i]);
        status = write_tables(&sheets, results, tables, err);
        sheets_free(&sheets);
    }
    free(tables);
    return status;
}

static int write_figure(const struct figure *figure, const char *folder, struct error *err) {
    char *name = figure_path(figure), *path = path_join(folder, name), *pdf;
    size_t length;
    int status = -1;

    pdf = plot_pdf(figure->script, &length, err);
    if (pdf) status = file_write(path, pdf, length, err);
    free(pdf);
    free(path);
    free(name);
    return status;
}

static int write_all_figures(const struct results *results, const char *folder, struct error *err) {
    char *figures = path_join(folder, "figures");
    int status = folder_remove(figures, err);

    if (!status) status = folder_make(figures, err);
    for (int i = 0; i < results->figure_count && !status; i++)
        if (results->figures[i].svg) status = write_figure(&results->figures[i], folder, err);
    free(figures);
    return status;
}

static int complete_latex(const struct results *results, const char *folder, struct error *err) {
    int made;

    if (write_all_tables(results, folder, err) || write_all_figures(results, folder, err)) return -1;
    made = tex_run(folder, "report", err);
    if (made == 0) progress_notice("no %s/report.pdf: %s", folder, err->message);
    return made < 0 ? -1 : 0;
}

const struct report report_latex = {"latex",
                                    "a paper: booktabs tables, vector figures, and its PDF where a TeX "
                                    "is installed",
                                    "report.tex",
                                    write_latex,
                                    complete_latex,
                                    "report.pdf"};
