#include "reports/sheet.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/format.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/statistics.h"

static int same(const char *a, const char *b) {
    return a == b || (a && b && !strcmp(a, b));
}

char *file_stem(const char *name) {
    char *file = xstrdup(name);

    for (char *c = file; *c; c++)
        if (!isalnum((unsigned char)*c)) *c = '-';
    return file;
}

struct sheet *sheets_add(struct sheets *sheets, const char *name, const char *title) {
    sheets->items = xrealloc(sheets->items, sheets->count + 1, sizeof *sheets->items);
    sheets->items[sheets->count] = (struct sheet){.name = file_stem(name), .title = xstrdup(title)};
    return &sheets->items[sheets->count++];
}

struct heading *sheet_add_heading(struct sheet *sheet, const char *name, const struct metric *measure) {
    struct heading *added;

    sheet->headings = xrealloc(sheet->headings, sheet->heading_count + 1, sizeof *sheet->headings);
    added = &sheet->headings[sheet->heading_count++];
    *added = (struct heading){.name = xstrdup(name),
                              .judge = xstrdup(measure->judge ? measure->judge : ""),
                              .unit = xstrdup(unit_in_heading(measure)),
                              .lower_is_better = measure->lower_is_better,
                              .measure = measure};
    if (measure->baseline)
        added->relation =
            xprintf(metric_is_difference(measure) ? "change against %s" : "against %s", measure->baseline);
    else
        added->relation = xstrdup("");
    return added;
}

void sheet_add_row(struct sheet *sheet, const char *name, int standing) {
    sheet->rows = xrealloc(sheet->rows, sheet->row_count + 1, sizeof *sheet->rows);
    sheet->rows[sheet->row_count++] = (struct row){xstrdup(name), standing};
}

void sheet_open(struct sheet *sheet) {
    sheet->cells = xcalloc((size_t)sheet->row_count * sheet->heading_count + 1, sizeof *sheet->cells);
}

void sheet_set(struct sheet *sheet, int row, int column, const struct metric *metric) {
    sheet->cells[(size_t)row * sheet->heading_count + column] = metric;
    if (metric && !isnan(metric->worst)) sheet->headings[column].scope = "of those that can be told";
}

/* What is being filled: the sheets, and of each the suite, the split and the policies in order. */
struct arranging {
    struct sheets *sheets;
    struct place {
        const char *suite, *split;
        struct names policies;
    } * places;
};

static int place_of(struct arranging *arranging, const struct evaluation *evaluation,
                    const struct metric *metric) {
    int count = arranging->sheets->count;
    char *suite = format_name(metric->suite), *name, *title;

    for (int i = 0; i < count; i++)
        if (same(arranging->places[i].suite, metric->suite) &&
            same(arranging->places[i].split, metric->split)) {
            free(suite);
            return i;
        }
    name = xprintf("%s-%s%s%s", evaluation->name, metric->suite, metric->split ? "-" : "",
                   metric->split ? metric->split : "");
    title = xprintf("%s%s%s", suite, metric->split ? ", " : "", metric->split ? metric->split : "");
    sheets_add(arranging->sheets, name, title);
    arranging->places = xrealloc(arranging->places, count + 1, sizeof *arranging->places);
    arranging->places[count] = (struct place){.suite = metric->suite, .split = metric->split};
    free(suite);
    free(name);
    free(title);
    return count;
}

static const char *row_name(const struct metric *metric) {
    return metric->policy ? metric->policy : "all";
}

static int find_column(const struct sheet *sheet, const struct metric *metric) {
    for (int i = 0; i < sheet->heading_count; i++) {
        const struct metric *measure = sheet->headings[i].measure;

        if (same(measure->name, metric->name) && same(measure->judge, metric->judge) &&
            same(measure->baseline, metric->baseline))
            return i;
    }
    return -1;
}

static void add_outline(struct arranging *arranging, const struct evaluation *evaluation,
                        const struct metric *metric) {
    int at = place_of(arranging, evaluation, metric);
    struct sheet *sheet = &arranging->sheets->items[at];
    char *name;

    names_add(&arranging->places[at].policies, row_name(metric));
    if (find_column(sheet, metric) >= 0) return;
    name = format_name(metric->name);
    sheet_add_heading(sheet, name, metric);
    free(name);
}

/* Stable: the order of appearance within each standing. */
static void add_rows(struct sheet *sheet, const struct evaluation *evaluation, const struct names *policies) {
    for (int rank = 0; rank < 3; rank++)
        for (int i = 0; i < policies->count; i++)
            if (policy_standing(evaluation, policies->items[i]) == rank)
                sheet_add_row(sheet, policies->items[i], rank);
    sheet_open(sheet);
}

static int find_row(const struct sheet *sheet, const char *name) {
    int i = 0;

    while (strcmp(sheet->rows[i].name, name)) i++;
    return i;
}

void sheets_arrange(struct sheets *out, const struct evaluation *evaluation) {
    const struct metrics *metrics = &evaluation->metrics;
    struct arranging arranging = {.sheets = out};

    *out = (struct sheets){0};
    for (int i = 0; i < metrics->count; i++) add_outline(&arranging, evaluation, &metrics->items[i]);
    for (int i = 0; i < out->count; i++) {
        out->items[i].gaps = evaluation->gaps;
        out->items[i].is_trained = evaluation->is_trained;
        add_rows(&out->items[i], evaluation, &arranging.places[i].policies);
    }
    for (int i = 0; i < metrics->count; i++) {
        const struct metric *metric = &metrics->items[i];
        struct sheet *sheet = &out->items[place_of(&arranging, evaluation, metric)];

        sheet_set(sheet, find_row(sheet, row_name(metric)), find_column(sheet, metric), metric);
    }
    for (int i = 0; i < out->count; i++) free(arranging.places[i].policies.items);
    free(arranging.places);
}

static void sheet_free(struct sheet *sheet) {
    for (int i = 0; i < sheet->heading_count; i++) {
        free(sheet->headings[i].name);
        free(sheet->headings[i].judge);
        free(sheet->headings[i].relation);
        free(sheet->headings[i].unit);
    }
    for (int i = 0; i < sheet->row_count; i++) free(sheet->rows[i].name);
    for (int i = 0; i < sheet->own_count; i++) free(sheet->own[i]);
    free(sheet->own);
    free(sheet->name);
    free(sheet->title);
    free(sheet->about);
    free(sheet->headings);
    free(sheet->rows);
    free(sheet->cells);
}

void sheets_free(struct sheets *sheets) {
    for (int i = 0; i < sheets->count; i++) sheet_free(&sheets->items[i]);
    free(sheets->items);
    *sheets = (struct sheets){0};
}

const struct metric *sheet_cell(const struct sheet *sheet, int row, int column) {
    return sheet->cells[(size_t)row * sheet->heading_count + column];
}

double metric_error(const struct metric *metric) {
    double reach = detectable_effect(1, 1 - metric->level, 0.5); /* the normal quantile */

    return (metric->high - metric->low) / (2 * reach);
}

double metric_detectable(const struct metric *metric) {
    double error = metric_error(metric);

    return error > 0 ? detectable_effect(error, 0.05, 0.8) : NAN;
}

/* Of both, where there are several seeds. */
static char *p_text(const struct metric *metric) {
    char prompts[32], seeds[32];

    format_p(prompts, isnan(metric->p_adjusted) ? metric->p : metric->p_adjusted, metric_at_floor(metric));
    if (isnan(metric->p_seeds)) return xstrdup(prompts);
    return xprintf("%s (%s)", prompts, format_number(seeds, metric->p_seeds, "p"));
}

char *detectable_text(const struct metric *metric) {
    const char *unit = metric->unit && !strcmp(metric->unit, "fraction") ? "points" : metric->unit;
    double least = metric_detectable(metric);
    char number[32];

    if (unit && !strcmp(unit, "points") && least > 1) return xstrdup("beyond 100 pp");
    format_number(number, least, unit);
    return xstrdup(*number == '+' ? number + 1 : number);
}

/* The estimate, and between what bounds missing judgments leave it. */
static char *estimate_text(const struct metric *metric) {
    char *estimate = format_estimate(metric), *bounds = format_bounds(metric);
    char *whole = xprintf("%s%s%s", estimate, bounds ? " " : "", bounds ? bounds : "");

    free(estimate);
    free(bounds);
    return whole;
}

char *sheet_text(const struct sheet *sheet, int row, int column) {
    const struct metric *metric = sheet_cell(sheet, row, column);

    if (!metric) return xstrdup("");
    if (sheet->headings[column].shown == SHOWN_P) return p_text(metric);
    if (sheet->headings[column].shown == SHOWN_DETECTABLE) return detectable_text(metric);
    return estimate_text(metric);
}

/* The least and the most of a row's numbers of items and of seeds, and the most of each kind that is missing;
   the ties of the column that has most of them, and of how many judgments they are. */
struct tally {
    int least, most, seeds, missing, refused, unparsed, transport, ties, judged;
};

static void keep_most(int *most, int count) {
    if (count > *most) *most = count;
}

static struct tally count_row(const struct sheet *sheet, int row) {
    struct tally tally = {0};

    for (int i = 0; i < sheet->heading_count; i++) {
        const struct metric *cell = sheet_cell(sheet, row, i);

        if (!cell) continue;
        if (cell->by_seed) {
            keep_most(&tally.seeds, cell->n);
            continue;
        }
        if (cell->n > 0 && (!tally.least || cell->n < tally.least)) tally.least = cell->n;
        keep_most(&tally.most, cell->n);
        keep_most(&tally.missing, cell->n_missing);
        keep_most(&tally.refused, cell->refused);
        keep_most(&tally.unparsed, cell->unparsed);
        keep_most(&tally.transport, cell->transport);
        if (cell->ties > tally.ties) tally.judged = cell->judged > cell->n ? cell->judged : 0;
        keep_most(&tally.ties, cell->ties);
    }
    return tally;
}

static void add_count(struct text *out, int count, const char *what, const char *plural) {
    if (count) text_printf(out, ", %d %s%s", count, what, count == 1 ? "" : plural);
}

char *sheet_counts(const struct sheet *sheet, int row) {
    struct tally tally = count_row(sheet, row);
    struct text out = {0};

    if (tally.least != tally.most)
        text_printf(&out, "%d to %d", tally.least, tally.most);
    else if (tally.most || !tally.seeds)
        text_printf(&out, "%d", tally.most);
    if (tally.seeds)
        text_printf(&out, "%s%d seed%s", out.length ? " or " : "", tally.seeds, tally.seeds == 1 ? "" : "s");
    add_count(&out, tally.missing, "missing", "");
    add_count(&out, tally.refused, "judge refused", "");
    add_count(&out, tally.unparsed, "unparsed", "");
    add_count(&out, tally.transport, "error", "s");
    add_count(&out, tally.ties, "tie", "s");
    if (tally.judged) text_printf(&out, " of %d judgments", tally.judged);
    return out.data;
}
