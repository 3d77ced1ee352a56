#include "reports/notes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/format.h"
#include "harness/memory.h"
#include "harness/names.h"

static int same(const char *a, const char *b) {
    return a == b || (a && b && !strcmp(a, b));
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
    while (*at < sheet->row_count * sheet->heading_count) {
        const struct metric *cell = sheet->cells[(*at)++];
        if (cell) return cell;
    }
    return NULL;
}

/* The table's cells are of several tasks. */
static int has_tasks(const struct sheet *sheet) {
    const struct metric *cell, *first = NULL;

    for (int at = 0; (cell = next_cell(sheet, &at));) {
        if (first && !same(first->task, cell->task)) return 1;
        first = cell;
    }
    return 0;
}

/* "refused change of ppo-scalar", "reward length spearman by rm of ppo, safety": which cell is meant, in the
   heading's words; `at` is behind it. */
static char *cell_name(const struct sheet *sheet, const struct metric *cell, int at) {
    const struct heading *heading = &sheet->headings[(at - 1) % sheet->heading_count];
    char *name = sheet->by_row ? format_name(cell->name) : xstrdup(heading->name);
    struct text whole = {0};

    text_printf(&whole, "%s%s", name, metric_is_difference(cell) ? " change" : "");
    if (cell->judge) text_printf(&whole, " by %s", cell->judge);
    text_printf(&whole, " of %s", cell->policy ? cell->policy : "all");
    if (cell->task && has_tasks(sheet)) text_printf(&whole, ", %s", cell->task);
    free(name);
    return whole.data;
}

/* Appends ": a, b, c." to a sentence and adds it, if there is anything in the list. */
static void add_list(struct notes *out, struct notes *items, const char *format, const char *what) {
    struct text line = {0};

    if (items->count) {
        text_printf(&line, format, what);
        for (int i = 0; i < items->count; i++) text_printf(&line, "%s %s", i ? "," : ":", items->items[i]);
        text_printf(&line, ".");
        notes_add(out, line.data);
    }
    notes_free(items);
}

/* A column to the left has the same name and method: another judge's. */
static int named_before(const struct sheet *sheet, int column) {
    const struct metric *metric = sheet->headings[column].measure;

    for (int i = 0; i < column; i++) {
        const struct metric *other = sheet->headings[i].measure;

        if (same(other->name, metric->name) && same(other->method, metric->method) &&
            metric_is_difference(other) == metric_is_difference(metric))
            return 1;
    }
    return 0;
}

static void add_column_name(struct text *line, const struct heading *heading) {
    text_printf(line, "%s%s%s", line->length ? ", " : "", heading->name,
                metric_is_difference(heading->measure) ? " change" : "");
}

/* "refused, wrong change: how it was made." for each method in the table. */
static void add_methods(struct notes *out, const struct sheet *sheet) {
    struct names methods = {0};
    const struct metric *cell;

    for (int at = 0; (cell = next_cell(sheet, &at));)
        if (cell->method) names_add(&methods, cell->method);
    for (int i = 0; i < methods.count; i++) {
        struct text line = {0};

        for (int j = 0; j < sheet->heading_count && !sheet->by_row; j++)
            if (same(sheet->headings[j].measure->method, methods.items[i]) && !named_before(sheet, j))
                add_column_name(&line, &sheet->headings[j]);
        text_printf(&line, "%s%s.",
                    line.length     ? ": "
                    : sheet->by_row ? ""
                                    : "Some figures: ",
                    methods.items[i]);
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

/* What takes the place of stars, if the table has it. */
static void add_disagreement(struct notes *out, const struct sheet *sheet) {
    const struct metric *cell;

    for (int at = 0; (cell = next_cell(sheet, &at));)
        if (*format_disagreement(cell)) {
            notes_add(
                out,
                xstrdup("Seeds disagree: p is below 0.05 over prompts, but the seeds' own figures do not "
                        "all lie on one side of no difference; so no stars, and neither better nor worse."));
            return;
        }
}

/* Smaller p than random draws can show, and what follows where so many tests are corrected for. */
static void add_floor(struct notes *out, const struct sheet *sheet) {
    const struct metric *cell;
    int bounded = 0, hidden = 0;

    for (int at = 0; (cell = next_cell(sheet, &at));) {
        bounded += metric_at_floor(cell);
        hidden += metric_at_floor(cell) && cell->p_adjusted >= 0.05;
    }
    if (!bounded) return;
    notes_add(
        out,
        xstrdup(
            "≤: of all sign patterns or resamples that were drawn none was as far out; p is at most this."));
    if (hidden)
        notes_add(
            out,
            xprintf("%d of these could not have passed: the least p that so many draws can show, corrected "
                    "for so many tests, is above 0.05; of resamples more can be asked for.",
                    hidden));
}

static int lacks(const struct metric *cell, int whole) {
    return cell->reason && (whole ? isnan(cell->value) : !isnan(cell->value) && isnan(cell->low));
}

/* "No interval (all are equal): refused of sft, refused of null-copy." for each reason in the table. */
static void add_reasons(struct notes *out, const struct sheet *sheet, int whole) {
    const char *format = whole ? "No figure (%s)" : "No interval (%s)";
    struct names reasons = {0};
    const struct metric *cell;

    for (int at = 0; (cell = next_cell(sheet, &at));)
        if (lacks(cell, whole)) names_add(&reasons, cell->reason);
    for (int i = 0; i < reasons.count; i++) {
        struct notes items = {0};

        for (int at = 0; (cell = next_cell(sheet, &at));)
            if (lacks(cell, whole) && same(cell->reason, reasons.items[i]))
                notes_add(&items, cell_name(sheet, cell, at));
        add_list(out, &items, format, reasons.items[i]);
    }
    free(reasons.items);
}

static void add_seeds(struct notes *out, const struct sheet *sheet) {
    const struct metric *cell;
    int most = 0, shown = 0;

    for (int at = 0; (cell = next_cell(sheet, &at));) {
        if (cell->seeds > most) most = cell->seeds;
        shown |= cell->per_seed && cell->seeds > 1;
    }
    if (shown)
        notes_add(out, xprintf("Small figures: each of the %d seeds, in order. Intervals and stars hold over "
                               "prompts, for these very models.",
                               most));
    else if (most == 1 && sheet->is_trained)
        notes_add(out, xstrdup("One seed."));
}

/* What the bounds beside an estimate are, and that a change is over prompts that were told of both. */
static void add_bounds(struct notes *out, const struct sheet *sheet) {
    const struct metric *cell;
    int bounds = 0, changes = 0;

    for (int at = 0; (cell = next_cell(sheet, &at));) {
        if (isnan(cell->worst)) continue;
        bounds = 1;
        changes |= metric_is_difference(cell);
    }
    if (bounds)
        notes_add(out,
                  xstrdup("⟨a, b⟩: what a figure would be, had all missing judgments gone one way, and all "
                          "the other; the figure itself is of those that can be told."));
    if (changes)
        notes_add(out,
                  xstrdup("A change is over the prompts that can be told of both policies, each level over "
                          "those that can be told of its own; so the change is not the difference of the "
                          "two levels."));
}

static int is_underpowered(const struct metric *cell, double effect) {
    return !isnan(cell->p) && same(metric_unit(cell), "points") && metric_detectable(cell) > effect;
}

/* The column that says of every change what could have been seen; -1 if there is none. */
static int power_column(const struct sheet *sheet) {
    for (int j = 0; j < sheet->heading_count; j++)
        if (sheet->headings[j].shown == SHOWN_DETECTABLE) return j;
    return -1;
}

/* "Not powered to see a change of 5.0 pp, the effect stated beforehand". Caller frees. */
static char *tell_effect(const struct effect *effect) {
    char number[32];

    return xprintf("Not powered to see a change of %s, %s", format_number(number, effect->size, "points") + 1,
                   effect->is_stated ? "the effect stated beforehand"
                                     : "the default where none was stated beforehand");
}

static void count_power(struct notes *out, const struct sheet *sheet, int column,
                        const struct effect *effect) {
    char *told = tell_effect(effect);
    int count = 0;

    for (int i = 0; i < sheet->row_count; i++) {
        const struct metric *cell = sheet_cell(sheet, i, column);

        count += cell && is_underpowered(cell, effect->size);
    }
    if (count) notes_add(out, xprintf("%s: %d of the %d.", told, count, sheet->row_count));
    free(told);
}

static void list_power(struct notes *out, const struct sheet *sheet, const struct effect *effect) {
    char *told = tell_effect(effect), *format = xprintf("%s; power 0.8 begins at%%s", told);
    struct notes items = {0};
    const struct metric *cell;

    for (int at = 0; (cell = next_cell(sheet, &at));) {
        char *name, *least;

        if (!is_underpowered(cell, effect->size)) continue;
        name = cell_name(sheet, cell, at);
        least = detectable_text(cell);
        notes_add(&items, xprintf("%s %s", name, least));
        free(least);
        free(name);
    }
    add_list(out, &items, format, "");
    free(format);
    free(told);
}

static void add_power(struct notes *out, const struct sheet *sheet, const struct effect *effect) {
    int column = power_column(sheet);

    if (column < 0)
        list_power(out, sheet, effect);
    else
        count_power(out, sheet, column, effect);
}

void sheet_notes(struct notes *out, const struct sheet *sheet, const struct effect *effect) {
    *out = (struct notes){0};
    if (sheet->gaps) notes_add(out, xstrdup(sheet->gaps));
    if (sheet->about) notes_add(out, xstrdup(sheet->about));
    add_corrections(out, sheet);
    add_disagreement(out, sheet);
    add_floor(out, sheet);
    add_methods(out, sheet);
    add_seeds(out, sheet);
    add_bounds(out, sheet);
    add_power(out, sheet, effect);
    add_reasons(out, sheet, 1);
    add_reasons(out, sheet, 0);
}
