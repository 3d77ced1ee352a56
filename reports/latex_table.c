#include "reports/latex_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/format.h"
#include "reports/notes.h"

/* Widths in centimetres, of a text block of 17. */
static const double text_width = 16.9, counts_width = 1.8, gap = 0.2;
static const double stub_width = 2.9, column_width = 2.15;
static const double wide_stub_width = 3.8, narrow_column_width = 2.0; /* where rows have long names */
static const int lines_a_page = 58;                                   /* small ones, of all rows */

/* The columns of one tabular among several. */
struct part {
    int first_row, last_row, first_column, last_column; /* the last ones are not in it */
};

static double width_of_stub(const struct sheet *sheet) {
    size_t longest = 0;

    for (int i = 0; i < sheet->row_count; i++)
        if (strlen(sheet->rows[i].name) > longest) longest = strlen(sheet->rows[i].name);
    return longest > 32 ? wide_stub_width : stub_width;
}

static double width_of_column(const struct sheet *sheet) {
    return width_of_stub(sheet) > stub_width ? narrow_column_width : column_width;
}

static int columns_a_part(const struct sheet *sheet) {
    double room = text_width - width_of_stub(sheet) - counts_width - gap;

    return (int)(room / (width_of_column(sheet) + gap));
}

/* Lines that the tallest cell of the table has. */
static int lines_a_row(const struct sheet *sheet) {
    int most = 1;

    for (int i = 0; i < sheet->row_count; i++)
        for (int j = 0; j < sheet->heading_count; j++) {
            const struct metric *cell = sheet_cell(sheet, i, j);
            int lines = 1;

            if (!cell) continue;
            lines += !isnan(cell->low) && sheet->headings[j].shown == SHOWN_ESTIMATE;
            lines += !isnan(cell->worst) && sheet->headings[j].shown == SHOWN_ESTIMATE;
            lines += cell->per_seed && cell->seeds > 1;
            lines += *format_disagreement(cell) != '\0';
            if (lines > most) most = lines;
        }
    if (most < 2 && width_of_stub(sheet) > stub_width) most = 2;
    return most;
}

static int parts_of(int count, int most) {
    return count > most ? (count + most - 1) / most : 1;
}

static void add_small(struct text *out, const char *before, const char *text) {
    text_printf(out, "\\linebreak{\\scriptsize %s", before);
    text_add_latex(out, text);
    text_printf(out, "}");
}

static void add_heading(struct text *out, const struct heading *heading) {
    text_printf(out, " & ");
    text_add_latex(out, heading->name);
    if (*heading->judge) add_small(out, "by ", heading->judge);
    if (*heading->relation) add_small(out, "", heading->relation);
    if (*heading->unit) add_small(out, "", heading->unit);
    if (heading->scope) add_small(out, "", heading->scope);
    if (heading->lower_is_better >= 0)
        text_printf(out, " $\\%sarrow$", heading->lower_is_better ? "down" : "up");
}

/* On one line, if it is of a usual length: it fits, or nearly. */
static void add_interval(struct text *out, const char *interval) {
    int length = 0;

    for (const char *c = interval; *c; c++) length += (*c & 0xc0) != 0x80;
    text_printf(out, length < 18 ? "\\linebreak{\\scriptsize \\mbox{" : "\\linebreak{\\scriptsize {");
    text_add_latex(out, interval);
    text_printf(out, "}}");
}

static void add_seeds(struct text *out, const struct metric *metric) {
    char seed[32];

    text_printf(out, "\\linebreak{\\scriptsize ");
    for (int i = 0; i < metric->seeds; i++) {
        if (i) text_printf(out, " ");
        text_add_latex(out, format_seed(seed, metric, i));
    }
    text_printf(out, "}");
}

static void add_cell(struct text *out, const struct sheet *sheet, int row, int column) {
    const struct metric *metric = sheet_cell(sheet, row, column);
    char *text = sheet_text(sheet, row, column), *interval = strchr(text, '['), *bounds = strstr(text, "⟨");

    text_printf(out, " & ");
    if (interval) interval[-1] = '\0';
    if (bounds) bounds[-1] = '\0';
    text_add_latex(out, text);
    if (metric && sheet->headings[column].shown == SHOWN_ESTIMATE) {
        if (*format_stars(metric)) text_printf(out, "\\textsuperscript{%s}", format_stars(metric));
        if (interval) add_interval(out, interval);
        if (bounds) add_interval(out, bounds);
        if (*format_disagreement(metric))
            text_printf(out, "\\linebreak{\\scriptsize\\itshape %s}", format_disagreement(metric));
        if (metric->per_seed && metric->seeds > 1) add_seeds(out, metric);
    }
    free(text);
}

static void add_row(struct text *out, const struct sheet *sheet, const struct part *part, int row) {
    char *counts = sheet_counts(sheet, row);

    /* Braces: a name that began with a bracket would be read as an argument of the row before. */
    text_printf(out, sheet->rows[row].standing == 2 ? "{}\\textit{" : "{}{");
    text_add_latex(out, sheet->rows[row].name);
    text_printf(out, "}");
    for (int j = part->first_column; j < part->last_column; j++) add_cell(out, sheet, row, j);
    text_printf(out, " & {\\scriptsize %s} \\\\\n", counts);
    free(counts);
}

/* Nothing is known of the row in these columns. */
static int is_empty(const struct sheet *sheet, const struct part *part, int row) {
    for (int j = part->first_column; j < part->last_column; j++)
        if (sheet_cell(sheet, row, j)) return 0;
    return 1;
}

static void add_part(struct text *out, const struct sheet *sheet, const struct part *part) {
    text_printf(out,
                "\\noindent\\begin{tabular}{@{}>{\\raggedright\\arraybackslash}p{%.1fcm}"
                "*{%d}{>{\\raggedleft\\arraybackslash}p{%.1fcm}}"
                ">{\\raggedleft\\arraybackslash}p{%.1fcm}@{}}\n\\toprule\n",
                width_of_stub(sheet), part->last_column - part->first_column, width_of_column(sheet),
                counts_width);
    for (int j = part->first_column; j < part->last_column; j++) add_heading(out, &sheet->headings[j]);
    text_printf(out, " & n \\\\\n\\midrule\n");
    for (int i = part->first_row; i < part->last_row; i++)
        if (!is_empty(sheet, part, i)) add_row(out, sheet, part, i);
    text_printf(out, "\\bottomrule\n\\end{tabular}\\par\\smallskip\n");
}

void latex_add_table(struct text *out, const struct sheet *sheet, const struct effect *effect) {
    int across = parts_of(sheet->heading_count, columns_a_part(sheet));
    int down = parts_of(sheet->row_count, lines_a_page / lines_a_row(sheet));
    struct notes notes;

    text_printf(out, "%% ");
    text_add_latex(out, sheet->title);
    text_printf(out,
                "\n%% Needs \\usepackage{array,booktabs,textcomp} and \\usepackage[T1]{fontenc}.\n"
                "{\\footnotesize\\setlength{\\tabcolsep}{%.1fcm}\n",
                gap / 2);
    for (int i = 0; i < down; i++)
        for (int j = 0; j < across; j++) {
            struct part part = {i * sheet->row_count / down, (i + 1) * sheet->row_count / down,
                                j * sheet->heading_count / across, (j + 1) * sheet->heading_count / across};

            add_part(out, sheet, &part);
        }
    text_printf(out, "\\nobreak\\noindent\\scriptsize\\raggedright\n");
    sheet_notes(&notes, sheet, effect);
    for (int i = 0; i < notes.count; i++) {
        text_add_latex(out, notes.items[i]);
        text_printf(out, "\n");
    }
    text_printf(out, "\\par}\n");
    notes_free(&notes);
}
