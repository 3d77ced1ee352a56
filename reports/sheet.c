#include "reports/sheet.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/format.h"
#include "harness/memory.h"
#include "harness/names.h"

static int same(const char *a, const char *b) {
    return a == b || (a && b && !strcmp(a, b));
}

static struct sheet *find_sheet(struct sheets *sheets, const struct metric *metric) {
    for (int i = 0; i < sheets->count; i++)
        if (same(sheets->items[i].suite, metric->suite) && same(sheets->items[i].split, metric->split))
            return &sheets->items[i];
    sheets->items = xrealloc(sheets->items, sheets->count + 1, sizeof *sheets->items);
    sheets->items[sheets->count] = (struct sheet){.suite = metric->suite, .split = metric->split};
    return &sheets->items[sheets->count++];
}

static int find_column(const struct sheet *sheet, const struct metric *metric) {
    for (int i = 0; i < sheet->heading_count; i++)
        if (same(sheet->headings[i]->name, metric->name) && same(sheet->headings[i]->judge, metric->judge) &&
            same(sheet->headings[i]->baseline, metric->baseline))
            return i;
    return -1;
}

static const char *row_name(const struct metric *metric) {
    return metric->policy ? metric->policy : "all";
}

static void add_headings(struct sheet *sheet, const struct metric *metric) {
    struct names names = {sheet->policies, sheet->policy_count, sheet->policy_count};

    names_add(&names, row_name(metric));
    sheet->policies = names.items;
    sheet->policy_count = names.count;
    if (find_column(sheet, metric) >= 0) return;
    sheet->headings = xrealloc(sheet->headings, sheet->heading_count + 1, sizeof *sheet->headings);
    sheet->headings[sheet->heading_count++] = metric;
}

/* Stable: the order of appearance within each standing. */
static void sort_policies(struct sheet *sheet) {
    const char **sorted = xmalloc((sheet->policy_count + 1) * sizeof *sorted);
    int count = 0;

    for (int rank = 0; rank < 3; rank++)
        for (int i = 0; i < sheet->policy_count; i++)
            if (policy_standing(sheet->policies[i]) == rank) sorted[count++] = sheet->policies[i];
    free(sheet->policies);
    sheet->policies = sorted;
}

static int find_policy(const struct sheet *sheet, const char *policy) {
    int i = 0;
    while (strcmp(sheet->policies[i], policy)) i++;
    return i;
}

void sheets_arrange(struct sheets *out, const struct evaluation *evaluation) {
    const struct metrics *metrics = &evaluation->metrics;

    *out = (struct sheets){0};
    for (int i = 0; i < metrics->count; i++)
        add_headings(find_sheet(out, &metrics->items[i]), &metrics->items[i]);
    for (int i = 0; i < out->count; i++) {
        struct sheet *sheet = &out->items[i];

        sort_policies(sheet);
        sheet->cells = xcalloc((size_t)sheet->policy_count * sheet->heading_count, sizeof *sheet->cells);
    }
    for (int i = 0; i < metrics->count; i++) {
        const struct metric *metric = &metrics->items[i];
        struct sheet *sheet = find_sheet(out, metric);
        int row = find_policy(sheet, row_name(metric)), column = find_column(sheet, metric);

        sheet->cells[(size_t)row * sheet->heading_count + column] = metric;
    }
}

void sheets_free(struct sheets *sheets) {
    for (int i = 0; i < sheets->count; i++) {
        free(sheets->items[i].headings);
        free(sheets->items[i].policies);
        free(sheets->items[i].cells);
    }
    free(sheets->items);
    *sheets = (struct sheets){0};
}

const struct metric *sheet_cell(const struct sheet *sheet, int policy, int column) {
    return sheet->cells[(size_t)policy * sheet->heading_count + column];
}

char *sheet_counts(const struct sheet *sheet, int policy) {
    int least = 0, most = 0, missing = 0;
    struct text out = {0};

    for (int i = 0; i < sheet->heading_count; i++) {
        const struct metric *cell = sheet_cell(sheet, policy, i);

        if (!cell) continue;
        if (cell->n > 0 && (!least || cell->n < least)) least = cell->n;
        if (cell->n > most) most = cell->n;
        if (cell->n_missing > missing) missing = cell->n_missing;
    }
    if (least == most)
        text_printf(&out, "%d", most);
    else
        text_printf(&out, "%d to %d", least, most);
    if (missing) text_printf(&out, ", %d missing", missing);
    return out.data;
}

void notes_add(struct notes *notes, char *sentence) {
    for (int i = 0; i < notes->count; i++)
        if (!strcmp(notes->items[i], sentence)) {
            free(sentence);
            return;
        }
    notes->items = xrealloc(notes->items, notes->count + 1, sizeof *notes->items);
    notes->items[notes->count++] = sentence;
}

void notes_free(struct notes *notes) {
    for (int i = 0; i < notes->count; i++) free(notes->items[i]);
    free(notes->items);
    *notes = (struct notes){0};
}

/* The table's cells one by one, NULL after the last; empty ones left out. */
static const struct metric *next_cell(const struct sheet *sheet, int *at) {
    while (*at < sheet->policy_count * sheet->heading_count) {
        const struct metric *cell = sheet->cells[(*at)++];
        if (cell) return cell;
    }
    return NULL;
}

/* A column to the left has the same name and method: another judge's. */
static int named_before(const struct sheet *sheet, int column) {
    const struct metric *metric = sheet->headings[column];

    for (int i = 0; i < column; i++) {
        const struct metric *other = sheet->headings[i];

        if (same(other->name, metric->name) && same(other->method, metric->method) &&
            metric_is_difference(other) == metric_is_difference(metric))
            return 1;
    }
    return 0;
}

static void add_column_name(struct text *line, const struct metric *metric) {
    char *name = format_name(metric->name);

    text_printf(line, "%s%s%s", line->length ? ", " : "", name,
                metric_is_difference(metric) ? " change" : "");
    free(name);
}

/* "refused, wrong change: how it was made." for each method in the table. */
static void add_methods(struct notes *out, const struct sheet *sheet) {
    struct names methods = {0};
    const struct metric *cell;

    for (int at = 0; (cell = next_cell(sheet, &at));)
        if (cell->method) names_add(&methods, cell->method);
    for (int i = 0; i < methods.count; i++) {
        struct text line = {0};

        for (int j = 0; j < sheet->heading_count; j++)
            if (same(sheet->headings[j]->method, methods.items[i]) && !named_before(sheet, j))
                add_column_name(&line, sheet->headings[j]);
        text_printf(&line, "%s%s.", line.length ? ": " : "Some figures: ", methods.items[i]);
        notes_add(out, line.data);
    }
    free(methods.items);
}

static void add_corrections(struct notes *out, const struct sheet *sheet) {
    struct names families = {0};
    struct text line = {0};
    const struct metric *cell;

    for (int at = 0; (cell = next_cell(sheet, &at));)
        if (!isnan(cell->p_adjusted)) names_add(&families, cell->family ? cell->family : "its table");
    for (int i = 0; i < families.count; i++)
        text_printf(&line, "%s%s",
                    i ? "; " : "* p < 0.05, ** p < 0.01, *** p < 0.001, corrected by Holm's method within: ",
                    families.items[i]);
    if (families.count) {
        text_printf(&line, ".");
        notes_add(out, line.data);
    }
    free(families.items);
}

static int lacks(const struct metric *cell, int whole) {
    return cell->reason && (whole ? isnan(cell->value) : !isnan(cell->value) && isnan(cell->low));
}

/* "No interval (all are equal): refused of sft, refused of null-copy." for each reason in the table. */
static void add_reasons(struct notes *out, const struct sheet *sheet, int whole) {
    struct names reasons = {0};
    const struct metric *cell;

    for (int at = 0; (cell = next_cell(sheet, &at));)
        if (lacks(cell, whole)) names_add(&reasons, cell->reason);
    for (int i = 0; i < reasons.count; i++) {
        struct text line = {0};
        int count = 0;

        text_printf(&line, "No %s (%s):", whole ? "figure" : "interval", reasons.items[i]);
        for (int at = 0; (cell = next_cell(sheet, &at));) {
            char *name;

            if (!lacks(cell, whole) || !same(cell->reason, reasons.items[i])) continue;
            name = format_name(cell->name);
            text_printf(&line, "%s %s of %s", count++ ? "," : "", name, row_name(cell));
            free(name);
        }
        text_printf(&line, ".");
        notes_add(out, line.data);
    }
    free(reasons.items);
}

static void add_seeds(struct notes *out, const struct sheet *sheet) {
    const struct metric *cell;
    int most = 0;

    for (int at = 0; (cell = next_cell(sheet, &at));)
        if (cell->per_seed && cell->seeds > most) most = cell->seeds;
    if (most > 1) notes_add(out, xprintf("Small figures: each of the %d seeds, in order.", most));
}

void sheet_notes(struct notes *out, const struct sheet *sheet) {
    *out = (struct notes){0};
    add_corrections(out, sheet);
    add_methods(out, sheet);
    add_seeds(out, sheet);
    add_reasons(out, sheet, 1);
    add_reasons(out, sheet, 0);
}
