/* The tables that papers print: what they arrange, and that every format shows the same digits, cell by cell:
   Markdown, HTML, LaTeX, CSV and JSON are parsed and compared. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/format.h"
#include "harness/memory.h"
#include "harness/registry.h"
#include "reports/forms.h"
#include "reports/notes.h"
#include "reports/results.h"

#include <check.h> /* last: it defines a macro named fail */

static char folder[] = "report-tables-XXXXXX";
static struct error err;

static void must(int status) {
    ck_assert_msg(status == 0, "%s", err.message);
}

static void write_text(const char *name, const char *text) {
    char *path = path_join(folder, name), *slash = strrchr(path, '/');

    *slash = '\0';
    must(folder_make(path, &err));
    *slash = '/';
    must(file_write(path, text, strlen(text), &err));
    free(path);
}

/* Figures of every size and sign, some missing: the k-th of a fixed sequence. */
static double figure(int k) {
    static const double sizes[] = {0.4,    -0.00049, 1.23456e-9, 12.345, 1234.5, 15000000, 0,
                                   0.9996, -3.5,     0.05,       2.5e13, -0.125, NAN};

    return sizes[k % 13];
}

static void add_metric(struct metrics *list, const char *suite, const char *name, const char *policy,
                       const char *baseline, const char *split, const char *unit) {
    struct metric *metric = metrics_add(list);
    int k = list->count;

    metric->task = xstrdup("safety");
    metric->suite = xstrdup(suite);
    metric->name = xstrdup(name);
    metric->policy = xstrdup(policy);
    metric->baseline = xstrdup(baseline);
    metric->split = xstrdup(split);
    metric->unit = xstrdup(unit);
    metric->method = xstrdup("mean; 50 % of <prompts> & a \\guess");
    metric->value = strcmp(unit, "fraction") ? figure(k) : (k % 101) / 100.;
    metric->low = metric->value - 0.0512 * (k % 5);
    metric->high = metric->value + 0.0312 * (k % 7);
    if (k % 4 == 0) {
        metric->worst = metric->value - 0.25;
        metric->best = metric->value + 0.125;
    }
    metric->n = 100 + k % 9;
    metric->n_missing = k % 3;
    metric->unparsed = k % 2;
    metric->ties = k % 4;
    metric->seeds = 1;
    if (k % 6 == 0) {
        metric->seeds = 2;
        metric->per_seed = xcalloc(2, sizeof *metric->per_seed);
        metric->per_seed[0] = metric->value + 0.25;
        metric->per_seed[1] = metric->value - 0.25;
    }
    metric->lower_is_better = k % 3 - 1;
    if (baseline) {
        metric->family = xprintf("%s/safety", suite);
        metric->p = pow(0.1, k % 17);
        metric->p_adjusted = fmin(1, 3 * metric->p);
    }
    if (isnan(metric->value)) metric->reason = xstrdup("it could not be told");
}

/* A level, and unless it is sft's its change. */
static void add_measure(struct metrics *list, const char *suite, const char *name, const char *policy,
                        const char *split, const char *unit) {
    add_metric(list, suite, name, policy, NULL, split, unit);
    if (strcmp(policy, "sft")) add_metric(list, suite, name, policy, "sft", split, unit);
}

static void add_policy(struct metrics *list, const char *policy, const char *split) {
    static const struct {
        const char *suite, *name, *unit;
    } measures[] = {{"refusal", "over_refusal_benign", "fraction"},
                    {"refusal", "over_refusal_borderline", "fraction"},
                    {"refusal", "refusal_harmful", "fraction"},
                    {"length", "mean_length", "tokens"},
                    {"length", "p90_length", "tokens"},
                    {"sophistry", "approval", "fraction"},
                    {"sophistry", "correctness", "fraction"},
                    {"sophistry", "evaluator_error", "fraction"},
                    {"sophistry", "false_positive_rate", "fraction"},
                    {"ood", "gold", "score"},
                    {"ood", "reward", "score"}};

    for (size_t i = 0; i < sizeof measures / sizeof *measures; i++)
        add_measure(list, measures[i].suite, measures[i].name, policy, split, measures[i].unit);
    if (!strcmp(policy, "sft")) return;
    add_metric(list, "win_rate", "win_rate", policy, "sft", split, "fraction");
    add_metric(list, "length", "length_matched_win_rate", policy, "sft", split, "fraction");
}

static void make_evaluation(const char *world) {
    char *step = xprintf("steps/%s/evaluate/step.json", world), *metrics, *json;
    static const char *const splits[] = {"heldout", "ood"};
    struct metrics list = {0};

    json = xprintf("{\"name\": \"evaluate\", \"use\": \"evaluate\", \"label\": \"evaluate\", \"matrix\": "
                   "{\"world\": \"%s\"}}",
                   world);
    write_text(step, json);
    for (int s = 0; s < 2; s++) {
        add_policy(&list, "sft", splits[s]);
        add_policy(&list, "null-longest", splits[s]);
        add_policy(&list, "ppo [50 % & <b>_\\x|", splits[s]);
        add_policy(&list, "ppo-scalar", splits[s]);
        add_metric(&list, "win_rate", "win_rate", "ppo-scalar", "ppo [50 % & <b>_\\x|", splits[s],
                   "fraction");
        add_metric(&list, "rm_accuracy", "accuracy_label", "rm-scalar", NULL, splits[s], "fraction");
    }
    add_metric(&list, "overoptimization", "kl_final", "ppo-scalar", NULL, NULL, "nats");
    metrics = xprintf("%s/steps/%s/evaluate/metrics.jsonl", folder, world);
    must(metrics_write(metrics, &list, &err));
    metrics_free(&list);
    free(metrics);
    free(step);
    free(json);
}

static void make_run(void) {
    ck_assert(mkdtemp(folder));
    write_text("manifest.json", "{\"name\": \"tables\"}");
    make_evaluation("safety");
    make_evaluation("summary");
    must(report_write(folder, NULL, &err));
}

static void remove_run(void) {
    must(folder_remove(folder, &err));
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
}

static char *report_text(const char *name) {
    char *path = xprintf("%s/report/%s", folder, name);
    size_t length;
    char *text = file_read(path, &length, &err);

    ck_assert_msg(text, "%s", err.message);
    free(path);
    return text;
}

/* What stands between two marks from *at on, which moves behind the second; NULL if they are not there. */
static char *between(const char **at, const char *from, const char *to) {
    const char *start = strstr(*at, from), *end = start ? strstr(start + strlen(from), to) : NULL;

    if (!end) return NULL;
    *at = end + strlen(to);
    return xstrndup(start + strlen(from), (size_t)(end - start) - strlen(from));
}

/* Replaces each mark by what it stands for, from left to right. */
static char *replace(const char *text, const char *const pairs[][2]) {
    struct text out = {0};

    text_add(&out, "", 0);
    while (*text) {
        int i = 0;

        while (pairs[i][0] && strncmp(text, pairs[i][0], strlen(pairs[i][0]))) i++;
        text_add(&out, pairs[i][0] ? pairs[i][1] : text, pairs[i][0] ? strlen(pairs[i][1]) : 1);
        text += pairs[i][0] ? strlen(pairs[i][0]) : 1;
    }
    return out.data;
}

/* "44.0 % [39.2, 48.8]*** (43.0 45.0)", with "seeds disagree" in the place of stars: the parts of a cell as
 * one text; they may be NULL. Frees them. */
static char *join_cell(char *value, char *interval, char *stars, char *mark, char *seeds) {
    char *whole = xprintf("%s%s%s%s%s%s%s%s%s", value ? value : "", interval ? " " : "",
                          interval ? interval : "", stars ? stars : "", mark && *mark ? " " : "",
                          mark ? mark : "", seeds ? " (" : "", seeds ? seeds : "", seeds ? ")" : "");

    free(value);
    free(interval);
    free(stars);
    free(mark);
    free(seeds);
    return whole;
}

static char *wanted_cell(const struct sheet *sheet, int row, int column) {
    const struct metric *metric = sheet_cell(sheet, row, column);
    struct text seeds = {0};
    char one[32], *stars = NULL, *mark = NULL;

    if (metric && sheet->headings[column].shown == SHOWN_ESTIMATE) {
        stars = xstrdup(format_stars(metric));
        mark = xstrdup(format_disagreement(metric));
        for (int i = 0; metric->seeds > 1 && i < metric->seeds; i++)
            text_printf(&seeds, "%s%s", i ? " " : "", format_seed(one, metric, i));
    }
    return join_cell(sheet_text(sheet, row, column), NULL, stars, mark, seeds.data);
}

/* A table read back: name, cells, counts in each row. */
enum { ROWS = 200, COLUMNS = 40 };
struct grid {
    char *cells[ROWS][COLUMNS];
    int rows, columns; /* columns of the first row */
};

static void grid_free(struct grid *grid) {
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) free(grid->cells[i][j]);
    *grid = (struct grid){0};
}

static void compare(const struct grid *grid, const struct sheet *sheet, const char *format) {
    ck_assert_msg(grid->rows == sheet->row_count, "%s, %s: %d rows, not %d", format, sheet->name, grid->rows,
                  sheet->row_count);
    for (int i = 0; i < grid->rows; i++) {
        char *counts = sheet_counts(sheet, i);

        ck_assert_str_eq(grid->cells[i][0], sheet->rows[i].name);
        for (int j = 0; j < sheet->heading_count; j++) {
            char *wanted = wanted_cell(sheet, i, j), *got = grid->cells[i][j + 1];

            ck_assert_msg(got && !strcmp(got, wanted), "%s, %s, row %d, column %d: \"%s\", not \"%s\"",
                          format, sheet->name, i, j, got ? got : "nothing", wanted);
            free(wanted);
        }
        ck_assert_str_eq(grid->cells[i][sheet->heading_count + 1], counts);
        free(counts);
    }
}

/* Markdown. */

static char *plain_markdown(const char *cell) {
    struct text out = {0};

    text_add(&out, "", 0);
    for (; *cell; cell++) {
        if (*cell == '\\' && cell[1]) cell++;
        text_add(&out, cell, 1);
    }
    return out.data;
}

/* The next cell of a row, or NULL at its end; a bar behind a backslash is text. */
static char *next_cell(const char **at) {
    const char *start = *at, *end = start;

    while (*end && *end != '\n' && (*end != '|' || end[-1] == '\\')) end++;
    if (*end != '|') return NULL;
    *at = end + 1;
    while (start < end && *start == ' ') start++;
    while (end > start && end[-1] == ' ') end--;
    return xstrndup(start, (size_t)(end - start));
}

static void read_markdown(struct grid *grid, const char *text, const char *title) {
    char *mark = xprintf("\n### %s\n\n| |", title);
    const char *at = strstr(text, mark);

    ck_assert_msg(at, "no table %s", title);
    at = strchr(strchr(at + strlen(mark), '\n') + 1, '\n') + 1; /* below the headings and the rule */
    for (; *at == '|'; grid->rows++, at = strchr(at, '\n') + 1) {
        char *cell;

        at++;
        for (int j = 0; (cell = next_cell(&at)); j++) {
            size_t length = strlen(cell);

            if (!j && *cell == '*' && cell[length - 1] == '*') { /* a content-blind baseline's name */
                memmove(cell, cell + 1, length);
                cell[length - 2] = '\0';
            }
            grid->cells[grid->rows][j] = plain_markdown(cell);
            free(cell);
        }
    }
    free(mark);
}

/* HTML. */

static char *plain_html(const char *text) {
    static const char *const pairs[][2] = {{"&lt;", "<"},  {"&gt;", ">"},  {"&quot;", "\""},
                                           {"&#39;", "'"}, {"&amp;", "&"}, {NULL, NULL}};
    return replace(text, pairs);
}

static char *html_cell(const char *td) {
    const char *at = td, *rest;
    char *value = between(&at, "<b>", "</b>"), *interval, *stars, *mark, *seeds;

    if (!value) return plain_html(strchr(td, '>') + 1);
    rest = at;
    stars = between(&rest, "<sup>", "</sup>");
    rest = at;
    interval = between(&rest, "<span>", "</span>");
    rest = at;
    mark = between(&rest, "<i>", "</i>");
    rest = at;
    seeds = between(&rest, "<small>", "</small>");
    return join_cell(value, interval, stars, mark, seeds);
}

static int row_of(struct grid *grid, const char *name, int from) {
    for (int i = from; i < grid->rows; i++)
        if (!strcmp(grid->cells[i][0], name)) return i;
    grid->cells[grid->rows][0] = xstrdup(name);
    return grid->rows++;
}

/* Puts a row's cells from column `first` on, its counts behind all; returns how many cells there were. */
static int read_html_row(struct grid *grid, const char *at, int first, int whole) {
    char *name = between(&at, "<th scope=\"row\">", "</th>"), *plain = plain_html(name), *cell;
    int row = row_of(grid, plain, 0), count = 0, place;

    for (; (cell = between(&at, "<td", "</td>")); count++) {
        place = strncmp(cell, " class=\"n\"", 10) ? first + count : whole;
        free(grid->cells[row][place + 1]);
        grid->cells[row][place + 1] = html_cell(cell);
        free(cell);
    }
    free(plain);
    free(name);
    return count - 1;
}

/* The parts of a table that was too wide, put together; a part leaves out rows of empty cells. */
static void read_html(struct grid *grid, const char *text, const struct sheet *sheet) {
    char *mark = xprintf("<caption>%s</caption>", sheet->title), *table, *body, *row;
    const char *at = strstr(text, mark), *inside, *in_body;
    int first = 0, columns = 0;

    ck_assert_msg(at, "no table %s", sheet->title);
    inside = table = between(&at, "</caption>", "<div class=\"notes\">");
    for (; (body = between(&inside, "<tbody>", "</tbody>")); first += columns) {
        for (in_body = body; (row = between(&in_body, "<tr", "</tr>")); free(row))
            columns = read_html_row(grid, row, first, sheet->heading_count);
        free(body);
    }
    free(table);
    free(mark);
}

/* LaTeX. */

static char *plain_latex(const char *text) {
    static const char *const pairs[][2] = {{"\\textbackslash{}", "\\"},
                                           {"\\textless{}", "<"},
                                           {"\\textgreater{}", ">"},
                                           {"\\textbar{}", "|"},
                                           {"\\textendash{}", "–"},
                                           {"$-$", "−"},
                                           {"$\\infty$", "∞"},
                                           {"$\\langle$", "⟨"},
                                           {"$\\rangle$", "⟩"},
                                           {"\\%", "%"},
                                           {"\\&", "&"},
                                           {"\\_", "_"},
                                           {"{}", ""},
                                           {"\\mbox{", ""},
                                           {"{[", "["},
                                           {"{$\\langle$", "⟨"},
                                           {NULL, NULL}};
    return text ? replace(text, pairs) : NULL;
}

static char *latex_cell(const char *raw) {
    char *text = plain_latex(raw), *interval = NULL, *disagreement, *whole;
    const char *mark = strstr(text, "\\textsuperscript"), *line = strstr(text, "\\linebreak"), *at = text;
    const char *bounds;
    size_t length = mark ? (size_t)(mark - text) : line ? (size_t)(line - text) : strlen(text);
    char *value = xstrndup(text, length), *stars = between(&at, "\\textsuperscript{", "}");

    at = line ? line : text + strlen(text);
    if (!strncmp(at, "\\linebreak{\\scriptsize [", 24))
        interval = between(&at, "\\linebreak{\\scriptsize ", "}");
    bounds = strstr(at, "\\linebreak{\\scriptsize ⟨");
    if (bounds) {
        char *both, *second = between(&bounds, "\\linebreak{\\scriptsize ", "}");

        both = xprintf("%s%s%s", interval ? interval : "", interval ? " " : "", second);
        free(interval);
        free(second);
        interval = both;
        at = bounds;
    }
    disagreement = between(&at, "\\linebreak{\\scriptsize\\itshape ", "}");
    whole = join_cell(value, interval, stars, disagreement, between(&at, "\\linebreak{\\scriptsize ", "}"));
    free(text);
    return whole;
}

static void read_latex_row(struct grid *grid, char *line, int first, int columns, int whole, int from) {
    char *name, *plain, *cell = strstr(line, " & "), *next;
    const char *at;
    int row;

    *cell = '\0';
    name = xstrdup(strchr(line + 2, '{') + 1); /* "{}{NAME}", "{}\textit{NAME}" */
    name[strlen(name) - 1] = '\0';
    plain = plain_latex(name);
    row = row_of(grid, plain, from);
    free(name);
    free(plain);
    for (int j = 0; j < columns; j++, cell = next) {
        next = strstr(cell + 3, " & ");
        *next = '\0';
        grid->cells[row][first + j + 1] = latex_cell(cell + 3);
    }
    at = cell + 3;
    free(grid->cells[row][whole + 1]);
    grid->cells[row][whole + 1] = between(&at, "{\\scriptsize ", "}");
}

/* The parts of a table that was too wide or too long, put together; a part leaves out rows of empty cells. */
static void read_latex(struct grid *grid, const char *text, const struct sheet *sheet) {
    int first = 0, from = 0, whole = sheet->heading_count;
    char *part;

    while ((part = between(&text, "\\begin{tabular}", "\\bottomrule"))) {
        int columns = atoi(strstr(part, "*{") + 2);
        char *line = strstr(part, "\\midrule\n") + strlen("\\midrule\n"), *end;

        if (!first) from = grid->rows;
        for (; (end = strstr(line, " \\\\\n")); line = end + 4) {
            *end = '\0';
            read_latex_row(grid, line, first, columns, whole, from);
        }
        first = first + columns == whole ? 0 : first + columns;
        free(part);
    }
}

/* Rows as the sheet has them, with "" where a part had left one out. */
static void order_rows(struct grid *grid, const struct sheet *sheet) {
    struct grid ordered = {.rows = sheet->row_count};

    for (int i = 0; i < sheet->row_count; i++)
        for (int k = 0; k < grid->rows; k++)
            if (grid->cells[k][0] && !strcmp(grid->cells[k][0], sheet->rows[i].name)) {
                memcpy(ordered.cells[i], grid->cells[k], sizeof ordered.cells[i]);
                memset(grid->cells[k], 0, sizeof grid->cells[k]);
                break;
            }
    for (int i = 0; i < sheet->row_count; i++)
        for (int j = 0; j <= sheet->heading_count; j++)
            if (!ordered.cells[i][j]) ordered.cells[i][j] = xstrdup("");
    grid_free(grid);
    *grid = ordered;
}

static void compare_sheet(const struct sheet *sheet, const char *markdown, const char *html) {
    static struct grid grid;
    char *path = xprintf("tables/%s.tex", sheet->name), *latex = report_text(path);

    read_markdown(&grid, markdown, sheet->title);
    compare(&grid, sheet, "Markdown");
    grid_free(&grid);
    read_html(&grid, html, sheet);
    order_rows(&grid, sheet);
    compare(&grid, sheet, "HTML");
    grid_free(&grid);
    read_latex(&grid, latex, sheet);
    order_rows(&grid, sheet);
    compare(&grid, sheet, "LaTeX");
    grid_free(&grid);
    free(latex);
    free(path);
}

START_TEST(markdown_html_and_latex_show_the_same_cells)
{
    char *markdown = report_text("report.md"), *html = report_text("report.html");
    struct results results;
    struct sheets sheets;
    const char *at_markdown = markdown, *at_html = html;

    must(results_gather(&results, folder, &err));
    forms_arrange(&sheets, &results);
    ck_assert_int_ge(sheets.count, 16);
    for (int i = 0; i < sheets.count; i++) compare_sheet(&sheets.items[i], markdown, html);
    sheets_free(&sheets);
    for (int e = 0; e < results.evaluation_count; e++) { /* titles repeat from section to section */
        char *heading = xprintf("\n## World %s\n", results.evaluations[e].name);
        char *section = xprintf("<section id=\"task-%s\">", results.evaluations[e].name);

        at_markdown = strstr(at_markdown, heading);
        at_html = strstr(at_html, section);
        ck_assert(at_markdown && at_html);
        sheets_arrange(&sheets, &results.evaluations[e]);
        ck_assert_int_ge(sheets.count, 9);
        for (int i = 0; i < sheets.count; i++) compare_sheet(&sheets.items[i], at_markdown, at_html);
        sheets_free(&sheets);
        free(heading);
        free(section);
    }
    results_free(&results);
    free(markdown);
    free(html);
}
END_TEST

/* "1.2e−5", "+0.350", "40.0 % [39.2, 48.8]" as numbers, from *at on; NaN where there is none. */
static double read_number(const char **at) {
    double sign = 1, number;
    char *end, digits[64] = "";

    while (**at && !strchr("0123456789", **at)) {
        if (!strncmp(*at, "−", strlen("−"))) sign = -1;
        ++*at;
    }
    for (size_t n = 0; **at && n < sizeof digits - 1;) {
        int minus = !strncmp(*at, "−", strlen("−"));

        if (!minus && !strchr("0123456789.e", **at)) break;
        digits[n++] = minus ? '-' : **at;
        digits[n] = '\0';
        *at += minus ? strlen("−") : 1;
    }
    number = sign * strtod(digits, &end);
    return end == digits ? NAN : number;
}

/* The number that is shown is the raw one to within half a unit of its last digit. */
static void fits(const char *shown, const char **at, double raw, double scale) {
    const char *start = *at;
    double number = read_number(at), unit = 1;
    const char *point = memchr(start, '.', (size_t)(*at - start)),
               *e = memchr(start, 'e', (size_t)(*at - start));

    if (point)
        for (const char *c = point + 1; c < *at && strchr("0123456789", *c); c++) unit /= 10;
    if (e) unit = pow(10, floor(log10(fabs(raw * scale)))) / 10;
    ck_assert_msg(fabs(number - raw * scale) <= 0.5000001 * unit, "\"%s\" shows %g, not %g", shown, number,
                  raw * scale);
}

static int is_scaled(const char *shown) {
    return strstr(shown, " %") || strstr(shown, " pp");
}

/* What one cell of the JSON says, against the CSV's row of it. */
static void compare_cell(const struct node *cell, const struct node *row, const char *kind) {
    static const char *const numbers[] = {"value", "low", "high", "p", "p_adjusted", "n"};
    const char *shown = node_text(cell, "shown", ""), *at = shown;
    double value = node_number(cell, "value", NAN), low = node_number(cell, "low", NAN),
           high = node_number(cell, "high", NAN);

    ck_assert_str_eq(shown, node_text(row, "shown", ""));
    ck_assert_str_eq(node_text(cell, "stars", ""), node_text(row, "stars", ""));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const char *text = node_text(row, numbers[i], "");

        if (*text)
            ck_assert_msg(node_number(cell, numbers[i], NAN) == strtod(text, NULL), "%s: %s", numbers[i],
                          text);
        else
            ck_assert(isnan(node_number(cell, numbers[i], NAN)));
    }
    if (strcmp(kind, "estimate") || isnan(value)) return;
    fits(shown, &at, value, is_scaled(shown) ? 100 : 1);
    if (!strchr(shown, '[')) return;
    at = strchr(shown, '[');
    fits(shown, &at, low, is_scaled(shown) ? 100 : 1);
    fits(shown, &at, high, is_scaled(shown) ? 100 : 1);
}

struct cursor {
    const struct node *table, *row, *cell, *column;
    int cells;
};

/* To the next cell that is not empty. */
static void advance(struct cursor *at) {
    do {
        if (at->cell) {
            at->cell = at->cell->next;
            at->column = at->column->next;
        }
        while (!at->cell && at->table) {
            at->row = at->row ? at->row->next : node_get(at->table, "rows")->first;
            if (!at->row) {
                at->table = at->table->next;
                continue;
            }
            at->cell = node_get(at->row, "cells")->first;
            at->column = node_get(at->table, "columns")->first;
        }
    } while (at->cell && at->cell->kind == NODE_NULL);
}

static int compare_csv(void *context, const struct node *row, int line, struct error *unused) {
    struct cursor *at = context;
    const char *column;

    (void)line;
    (void)unused;
    ck_assert_ptr_nonnull(at->cell);
    column = node_text(at->column, "name", "");
    ck_assert_str_eq(node_text(row, "table", ""), node_text(at->table, "name", ""));
    ck_assert_str_eq(node_text(row, "row", ""), node_text(at->row, "name", ""));
    ck_assert_str_eq(node_text(row, "column", ""), column);
    ck_assert_str_eq(node_text(row, "counts", ""), node_text(at->row, "counts", ""));
    compare_cell(at->cell, row, strstr(column, "Holm") || strstr(column, "least") ? "test" : "estimate");
    at->cells++;
    advance(at);
    return 0;
}

START_TEST(csv_and_json_hold_the_same_numbers_and_show_them)
{
    char *path = xprintf("%s/report/report.json", folder), *csv = xprintf("%s/report/tables.csv", folder);
    struct node *json = document_read(path, &err);
    struct cursor at = {0};
    struct results results;
    struct sheets sheets;
    const struct node *table;

    ck_assert_msg(json, "%s", err.message);
    table = at.table = node_get(json, "tables")->first;
    advance(&at);
    must(document_each(csv, compare_csv, &at, &err));
    ck_assert_ptr_null(at.cell);
    ck_assert_int_gt(at.cells, 500);
    must(results_gather(&results, folder, &err));
    forms_arrange(&sheets, &results);
    for (int i = 0; i < sheets.count; i++, table = table->next)
        ck_assert_str_eq(node_text(table, "title", ""), sheets.items[i].title);
    ck_assert_ptr_null(table);
    sheets_free(&sheets);
    results_free(&results);
    node_free(json);
    free(path);
    free(csv);
}
END_TEST

static const struct sheet *find_sheet(const struct sheets *sheets, const char *name) {
    for (int i = 0; i < sheets->count; i++)
        if (!strcmp(sheets->items[i].name, name)) return &sheets->items[i];
    ck_abort_msg("no table %s", name);
    return NULL;
}

START_TEST(tables_are_arranged_as_papers_print_them)
{
    struct results results;
    struct sheets sheets;
    const struct sheet *sheet;

    must(results_gather(&results, folder, &err));
    forms_arrange(&sheets, &results);
    sheet =
        find_sheet(&sheets, "win-rate-heldout"); /* model by task, each baseline a column, the average last */
    ck_assert_int_eq(sheet->heading_count, 2);
    ck_assert_str_eq(sheet->headings[0].relation, "against sft");
    ck_assert_int_eq(sheet->row_count, 2 * 3 + 1);
    ck_assert_str_eq(sheet->rows[1].name, "safety, ppo-scalar");
    ck_assert_str_eq(sheet->rows[6].name, "average");
    ck_assert_double_eq_tol(sheet_cell(sheet, 6, 0)->value,
                            (sheet_cell(sheet, 0, 0)->value + sheet_cell(sheet, 1, 0)->value +
                             sheet_cell(sheet, 3, 0)->value + sheet_cell(sheet, 4, 0)->value) /
                                4,
                            1e-12); /* not of content-blind baselines */
    ck_assert(isnan(sheet_cell(sheet, 6, 0)->low));
    sheet = find_sheet(&sheets, "sophistry-ood");
    ck_assert_str_eq(sheet->headings[2].relation, "before");
    ck_assert_str_eq(sheet_cell(sheet, 1, 2)->policy, "sft"); /* the error before is the baseline's */
    ck_assert_str_eq(sheet_cell(sheet, 1, 3)->policy, sheet_cell(sheet, 1, 4)->policy);
    sheet = find_sheet(&sheets, "rm-accuracy"); /* splits beside each other */
    ck_assert_int_eq(sheet->heading_count, 2);
    ck_assert_str_eq(sheet->headings[1].relation, "ood");
    sheet = find_sheet(&sheets, "methods-ood"); /* methods across */
    ck_assert_str_eq(sheet->headings[1].name, "ppo-scalar");
    ck_assert_str_eq(sheet->rows[1].name, "safety, win rate at matched length");
    find_sheet(&sheets, "refusal-heldout");
    find_sheet(&sheets, "length-heldout");
    find_sheet(&sheets, "reward-heldout");
    find_sheet(&sheets, "overoptimization");
    sheets_free(&sheets);
    results_free(&results);
}
END_TEST

START_TEST(differences_are_sorted_by_size_not_by_p)
{
    struct results results;
    struct sheets sheets;
    const struct sheet *sheet;
    int out_of_order = 0;

    must(results_gather(&results, folder, &err));
    forms_arrange(&sheets, &results);
    sheet = find_sheet(&sheets, "changes-safety-fraction");
    ck_assert_int_gt(sheet->row_count, 20);
    for (int i = 1; i < sheet->row_count; i++) {
        const struct metric *above = sheet_cell(sheet, i - 1, 2), *below = sheet_cell(sheet, i, 2);

        ck_assert(fabs(above->value) >= fabs(below->value));
        out_of_order += above->p > below->p;
    }
    ck_assert_int_gt(out_of_order, 0);
    ck_assert_int_eq(sheet->headings[3].shown, SHOWN_P);
    sheets_free(&sheets);
    results_free(&results);
}
END_TEST

/* Rates of 0.2 of 10 with two unparsed: at worst 4 of 12, at best 2 of 12. */
START_TEST(the_foot_names_bounds_power_and_what_gave_no_verdict)
{
    struct metric level = {
        .suite = "s", .name = "wrong", .policy = "a", .unit = "fraction", .method = "by hand"};
    struct metric change;
    struct sheets sheets = {0};
    struct sheet *sheet = sheets_add(&sheets, "s", "s");
    struct notes notes;
    char *counts, *cell;

    level.value = 0.2;
    level.low = 0.1;
    level.high = 0.3;
    level.level = 0.95;
    level.p = level.p_adjusted = NAN;
    level.n = 10;
    level.n_missing = level.unparsed = 2;
    level.worst = 4 / 12.;
    level.best = 2 / 12.;
    level.seeds = 1;
    change = level;
    change.baseline = (char *)"sft";
    change.worst = -0.05;
    change.best = 0.25;
    change.p = 0.04;
    sheet_add_heading(sheet, "wrong", &level);
    sheet_add_heading(sheet, "wrong", &change);
    sheet_add_row(sheet, "a", 1);
    sheet_open(sheet);
    sheet_set(sheet, 0, 0, &level);
    sheet_set(sheet, 0, 1, &change);
    counts = sheet_counts(sheet, 0);
    ck_assert_str_eq(counts, "10, 2 missing, 2 unparsed");
    sheet_notes(&notes, sheet, &(struct effect){0.15, 1});
    ck_assert_int_eq(notes.count, 3); /* power 0.8 begins at 2.8016 · 0.1 / 1.96 = 14.3 points */
    ck_assert_str_eq(notes.items[0], "wrong, wrong change: by hand.");
    ck_assert(
        strstr(notes.items[1], "⟨a, b⟩: what a figure would be, had all missing judgments gone one way"));
    ck_assert(strstr(notes.items[2], "the change is not the difference of the two levels"));
    ck_assert_str_eq(sheet->headings[0].scope, "of those that can be told");
    cell = sheet_text(sheet, 0, 0);
    ck_assert_str_eq(cell, "20.0 % [10.0, 30.0] ⟨16.7, 33.3⟩");
    free(cell);
    cell = sheet_text(sheet, 0, 1);
    ck_assert_str_eq(cell, "+20.0 pp [+10.0, +30.0] ⟨−5.0, +25.0⟩");
    free(cell);
    notes_free(&notes);
    sheet->is_trained = 1;
    sheet_notes(&notes, sheet, &(struct effect){0.15, 1});
    ck_assert_str_eq(notes.items[1], "One seed.");
    notes_free(&notes);
    sheet_notes(&notes, sheet, &(struct effect){0.14, 1});
    ck_assert_str_eq(notes.items[4],
                     "Not powered to see a change of 14.0 pp, the effect stated beforehand; power "
                     "0.8 begins at: wrong change of a 14.3 pp.");
    notes_free(&notes);
    change.low = -0.5; /* 2.8016 · 0.8 / 1.96 = 114 points */
    change.high = 1.1;
    sheet_notes(&notes, sheet, &(struct effect){0.05, 0});
    ck_assert_str_eq(notes.items[4],
                     "Not powered to see a change of 5.0 pp, the default where none was "
                     "stated beforehand; power 0.8 begins at: wrong change of a beyond 100 pp.");
    notes_free(&notes);
    change.low = 0.1;
    change.high = 0.3;
    change.level = 0.9; /* 2.8016 · 0.1 / 1.6449 */
    ck_assert_double_eq_tol(metric_detectable(&change), 0.17033, 1e-5);
    free(counts);
    level.ties = 7;
    level.judged = 20; /* ten prompts under two seeds */
    change.by_seed = 1;
    change.n = change.seeds = 2;
    counts = sheet_counts(sheet, 0);
    ck_assert_str_eq(counts, "10 or 2 seeds, 2 missing, 2 unparsed, 7 ties of 20 judgments");
    free(counts);
    level.judged = 10; /* one each */
    counts = sheet_counts(sheet, 0);
    ck_assert_str_eq(counts, "10 or 2 seeds, 2 missing, 2 unparsed, 7 ties");
    free(counts);
    level.task = (char *)"safety";
    change.task = (char *)"debate";
    sheet_notes(&notes, sheet, &(struct effect){0.15, 1});
    ck_assert(
        strstr(notes.items[notes.count - 1], "power 0.8 begins at: wrong change of a, debate 17.0 pp."));
    notes_free(&notes);
    sheets_free(&sheets);
}
END_TEST

static Suite *tables_suite(void) {
    Suite *suite = suite_create("report tables");
    TCase *cases = tcase_create("a run of all forms");

    tcase_add_unchecked_fixture(cases, make_run, remove_run);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, markdown_html_and_latex_show_the_same_cells);
    tcase_add_test(cases, csv_and_json_hold_the_same_numbers_and_show_them);
    tcase_add_test(cases, tables_are_arranged_as_papers_print_them);
    tcase_add_test(cases, differences_are_sorted_by_size_not_by_p);
    tcase_add_test(cases, the_foot_names_bounds_power_and_what_gave_no_verdict);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void) {
    SRunner *runner = srunner_create(tables_suite());
    int failures;

    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
