#include "reports/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/names.h"
#include "reports/format.h"

static int same(const char *a, const char *b) {
    return a == b || (a && b && !strcmp(a, b));
}

static struct table *find_table(struct tables *tables, const struct metric *metric) {
    for (int i = 0; i < tables->count; i++)
        if (same(tables->items[i].suite, metric->suite) && same(tables->items[i].split, metric->split))
            return &tables->items[i];
    tables->items = xrealloc(tables->items, tables->count + 1, sizeof *tables->items);
    tables->items[tables->count] = (struct table){.suite = metric->suite, .split = metric->split};
    return &tables->items[tables->count++];
}

static int find_column(const struct table *table, const struct metric *metric) {
    for (int i = 0; i < table->column_count; i++)
        if (same(table->columns[i].name, metric->name) && same(table->columns[i].baseline, metric->baseline))
            return i;
    return -1;
}

static const char *row_name(const struct metric *metric) {
    return metric->policy ? metric->policy : "all";
}

static void add_headings(struct table *table, const struct metric *metric) {
    struct names names = {table->policies, table->policy_count, table->policy_count};

    names_add(&names, row_name(metric));
    table->policies = names.items;
    table->policy_count = names.count;
    if (find_column(table, metric) >= 0) return;
    table->columns = xrealloc(table->columns, table->column_count + 1, sizeof *table->columns);
    table->columns[table->column_count++] =
        (struct column){metric->name, metric->baseline, metric->unit, metric->lower_is_better};
}

/* Stable: the order of appearance within each standing. */
static void sort_policies(struct table *table) {
    const char **sorted = xmalloc((table->policy_count + 1) * sizeof *sorted);
    int count = 0;

    for (int rank = 0; rank < 3; rank++)
        for (int i = 0; i < table->policy_count; i++)
            if (policy_standing(table->policies[i]) == rank) sorted[count++] = table->policies[i];
    free(table->policies);
    table->policies = sorted;
}

static int find_policy(const struct table *table, const char *policy) {
    int i = 0;
    while (strcmp(table->policies[i], policy)) i++;
    return i;
}

void tables_arrange(struct tables *out, const struct evaluation *evaluation) {
    const struct metrics *metrics = &evaluation->metrics;

    *out = (struct tables){0};
    for (int i = 0; i < metrics->count; i++)
        add_headings(find_table(out, &metrics->items[i]), &metrics->items[i]);
    for (int i = 0; i < out->count; i++) {
        struct table *table = &out->items[i];

        sort_policies(table);
        table->cells = xcalloc((size_t)table->policy_count * table->column_count, sizeof *table->cells);
    }
    for (int i = 0; i < metrics->count; i++) {
        const struct metric *metric = &metrics->items[i];
        struct table *table = find_table(out, metric);
        int row = find_policy(table, row_name(metric)), column = find_column(table, metric);

        table->cells[(size_t)row * table->column_count + column] = metric;
    }
}

void tables_free(struct tables *tables) {
    for (int i = 0; i < tables->count; i++) {
        free(tables->items[i].columns);
        free(tables->items[i].policies);
        free(tables->items[i].cells);
    }
    free(tables->items);
    *tables = (struct tables){0};
}

const struct metric *table_cell(const struct table *table, int policy, int column) {
    return table->cells[(size_t)policy * table->column_count + column];
}

char *table_counts(const struct table *table, int policy) {
    int least = 0, most = 0, missing = 0;
    struct text out = {0};

    for (int i = 0; i < table->column_count; i++) {
        const struct metric *cell = table_cell(table, policy, i);

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
static const struct metric *next_cell(const struct table *table, int *at) {
    while (*at < table->policy_count * table->column_count) {
        const struct metric *cell = table->cells[(*at)++];
        if (cell) return cell;
    }
    return NULL;
}

/* "Intervals (95 %), by Wilson's score: refused, wrong." for each method in the table. */
static void add_methods(struct notes *out, const struct table *table) {
    struct names methods = {0};
    const struct metric *cell;

    for (int at = 0; (cell = next_cell(table, &at));)
        if (cell->method) names_add(&methods, cell->method);
    for (int i = 0; i < methods.count; i++) {
        struct names columns = {0};
        struct text line = {0};

        for (int at = 0; (cell = next_cell(table, &at));)
            if (same(cell->method, methods.items[i])) names_add(&columns, cell->name);
        for (int j = 0; j < columns.count; j++) {
            char *name = format_name(columns.items[j]);
            text_printf(&line, "%s%s", j ? ", " : "", name);
            free(name);
        }
        text_printf(&line, ": %s.", methods.items[i]);
        notes_add(out, line.data);
        free(columns.items);
    }
    free(methods.items);
}

static void add_corrections(struct notes *out, const struct table *table) {
    struct names families = {0};
    struct text line = {0};
    const struct metric *cell;

    for (int at = 0; (cell = next_cell(table, &at));)
        if (!isnan(cell->p_adjusted)) names_add(&families, cell->family ? cell->family : "its table");
    for (int i = 0; i < families.count; i++)
        text_printf(&line, "%s%s", i ? "; " : "* p < 0.05, ** p < 0.01, *** p < 0.001, corrected within: ",
                    families.items[i]);
    if (families.count) {
        text_printf(&line, ".");
        notes_add(out, line.data);
    }
    free(families.items);
}

static void add_reasons(struct notes *out, const struct table *table) {
    const struct metric *cell;

    for (int at = 0; (cell = next_cell(table, &at));) {
        char *name;

        if (!cell->reason || !(isnan(cell->value) || isnan(cell->low))) continue;
        name = format_name(cell->name);
        notes_add(out, xprintf("%s %s of %s: %s.", isnan(cell->value) ? "No" : "No interval for", name,
                               row_name(cell), cell->reason));
        free(name);
    }
}

static void add_seeds(struct notes *out, const struct table *table) {
    const struct metric *cell;
    int most = 0;

    for (int at = 0; (cell = next_cell(table, &at));)
        if (cell->per_seed && cell->seeds > most) most = cell->seeds;
    if (most > 1) notes_add(out, xprintf("Small figures: each of the %d seeds, in order.", most));
}

void table_notes(struct notes *out, const struct table *table) {
    *out = (struct notes){0};
    add_corrections(out, table);
    add_methods(out, table);
    add_seeds(out, table);
    add_reasons(out, table);
}
