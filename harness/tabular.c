#define _GNU_SOURCE /* vasprintf */
#include "harness/tabular.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "harness/format.h"
#include "harness/memory.h"

int tabular_format_read(enum tabular_format *out, const char *name, struct error *err) {
    static const char *const names[] = {"text", "md", "csv", "json"};

    for (int i = 0; i < 4; i++)
        if (!strcmp(names[i], name)) {
            *out = (enum tabular_format)i;
            return 0;
        }
    return fail(err, "'%s' is no format; there are text, md, csv and json", name);
}

struct node *tabular_add(struct tabular *table) {
    if (!table->rows) table->rows = node_new(NODE_LIST);
    return node_add(table->rows, NULL, NODE_LIST);
}

/* The first of a cell's map is what is shown, under no name that a field could have. */
static const char *shown(const struct node *cell) {
    return cell->first->text;
}

static struct node *add_cell(struct node *row, const char *text) {
    struct node *cell = node_add(row, NULL, NODE_MAP);

    node_add_text(cell, "", text);
    return cell;
}

struct node *tabular_cell(struct node *row, const char *format, ...) {
    struct node *cell;
    char *text = NULL;
    va_list values;

    va_start(values, format);
    if (vasprintf(&text, format, values) < 0) text = NULL;
    va_end(values);
    cell = add_cell(row, text ? text : "");
    free(text);
    return cell;
}

struct node *tabular_number(struct node *row, const char *format, double value) {
    char *text = isfinite(value) ? xprintf(format, value) : xstrdup("–");
    struct node *cell = add_cell(row, text);

    node_add_number(cell, "value", value);
    free(text);
    return cell;
}

struct node *tabular_p(struct node *row, double p) {
    char text[32];
    struct node *cell = add_cell(row, format_number(text, p, "p"));

    node_add_number(cell, "value", p);
    return cell;
}

struct node *tabular_interval(struct node *row, const char *text, double value, double low, double high) {
    struct node *cell = add_cell(row, text);

    node_add_number(cell, "value", value);
    node_add_number(cell, "low", low);
    node_add_number(cell, "high", high);
    return cell;
}

void tabular_note(struct tabular *table, const char *format, ...) {
    char *text = NULL;
    va_list values;

    if (!table->notes) table->notes = node_new(NODE_LIST);
    va_start(values, format);
    if (vasprintf(&text, format, values) < 0) text = NULL;
    va_end(values);
    node_add_text(table->notes, NULL, text ? text : "");
    free(text);
}

static int width_of(const char *text) {
    int width = 0;

    for (; *text; text++) width += (*text & 0xc0) != 0x80;
    return width;
}

static void write_padded(FILE *out, const char *text, int width, int last) {
    fprintf(out, "%s%*s", text, last ? 0 : width - width_of(text) + 2, "");
}

static void write_text(const struct tabular *table, FILE *out) {
    int widths[32] = {0}, columns = 0;

    for (; table->headings[columns] && columns < 32; columns++)
        widths[columns] = width_of(table->headings[columns]);
    for (const struct node *row = table->rows ? table->rows->first : NULL; row; row = row->next) {
        int c = 0;

        for (const struct node *cell = row->first; cell && c < columns; cell = cell->next, c++)
            if (width_of(shown(cell)) > widths[c]) widths[c] = width_of(shown(cell));
    }
    if (table->title) fprintf(out, "%s\n", table->title);
    for (int c = 0; c < columns; c++) write_padded(out, table->headings[c], widths[c], c + 1 == columns);
    fputc('\n', out);
    for (const struct node *row = table->rows ? table->rows->first : NULL; row; row = row->next) {
        int c = 0;

        for (const struct node *cell = row->first; cell && c < columns; cell = cell->next, c++)
            write_padded(out, shown(cell), widths[c], !cell->next);
        fputc('\n', out);
    }
    for (const struct node *note = table->notes ? table->notes->first : NULL; note; note = note->next)
        fprintf(out, "%s\n", note->text);
}

static void write_markdown(const struct tabular *table, FILE *out) {
    struct text text = {0};

    if (table->title) text_printf(&text, "### %s\n\n", table->title);
    for (int c = 0; table->headings[c]; c++) text_printf(&text, "| %s ", table->headings[c]);
    text_printf(&text, "|\n");
    for (int c = 0; table->headings[c]; c++) text_printf(&text, "|---");
    text_printf(&text, "|\n");
    for (const struct node *row = table->rows ? table->rows->first : NULL; row; row = row->next) {
        for (const struct node *cell = row->first; cell; cell = cell->next) {
            text_printf(&text, "| ");
            text_add_markdown(&text, shown(cell));
            text_printf(&text, " ");
        }
        text_printf(&text, "|\n");
    }
    for (const struct node *note = table->notes ? table->notes->first : NULL; note; note = note->next) {
        text_printf(&text, "\n");
        text_add_markdown(&text, note->text);
        text_printf(&text, "\n");
    }
    fprintf(out, "%s", text.data);
    free(text.data);
}

/* "p (Holm)" -> "p_holm". Caller frees. */
static char *name_of_heading(const char *heading) {
    struct text name = {0};

    text_add(&name, "", 0);
    for (const char *at = heading; *at; at++) {
        unsigned char byte = (unsigned char)*at;

        if (isalnum(byte) || byte >= 0x80)
            text_printf(&name, "%c", tolower(byte));
        else if (name.length && isalnum((unsigned char)at[1]))
            text_add(&name, "_", 1);
    }
    return name.data;
}

/* The name under which a program finds a field of a cell. Caller frees. */
static char *name_of_field(const char *heading, const char *key) {
    char *own = name_of_heading(heading), *name;

    if (!strcmp(key, "value"))
        name = xstrdup(own);
    else if ((!strcmp(key, "low") || !strcmp(key, "high")) && strcmp(own, "value"))
        name = xprintf("%s_%s", own, key);
    else
        name = xstrdup(key);
    free(own);
    return name;
}

static void add_field(struct node *record, const char *heading, const char *key, const struct node *value) {
    char *name = name_of_field(heading, key);

    if (value->kind == NODE_STRING && !value->text[0])
        node_add(record, name, NODE_NULL);
    else
        node_add_copy(record, name, value);
    free(name);
}

/* What a program reads of the rows: a list of maps. Caller frees. */
static struct node *records_of(const struct tabular *table) {
    struct node *records = node_new(NODE_LIST);

    for (const struct node *row = table->rows ? table->rows->first : NULL; row; row = row->next) {
        struct node *record = node_add(records, NULL, NODE_MAP);
        int c = 0;

        for (const struct node *cell = row->first; cell && table->headings[c]; cell = cell->next, c++) {
            if (cell->count == 1) add_field(record, table->headings[c], "value", cell->first);
            for (const struct node *field = cell->first->next; field; field = field->next)
                add_field(record, table->headings[c], field->key, field);
        }
    }
    return records;
}

static void write_json(const struct tabular *tables, int count, FILE *out) {
    struct node *whole = node_new(NODE_MAP), *list = node_add(whole, "tables", NODE_LIST);

    for (int t = 0; t < count; t++) {
        struct node *one = node_add(list, NULL, NODE_MAP), *records = records_of(&tables[t]);

        node_add_text(one, "table", tables[t].title);
        node_add_copy(one, "rows", records);
        if (tables[t].notes)
            node_add_copy(one, "notes", tables[t].notes);
        else
            node_add(one, "notes", NODE_LIST);
        node_free(records);
    }
    node_print(out, whole, 2);
    node_free(whole);
}

static void add_csv_value(struct text *out, const struct node *value) {
    char *number;

    if (!value || value->kind == NODE_NULL) return;
    if (value->kind == NODE_STRING) {
        text_add_csv(out, value->text);
        return;
    }
    number = isfinite(value->number) ? node_json(value, 0) : xstrdup("");
    text_add(out, number, strlen(number));
    free(number);
}

/* Records of all tables under the names of all, in the order in which they first stand. */
static void write_records(const struct node *all, FILE *out) {
    struct node *header = node_new(NODE_MAP);
    struct text text = {0};

    for (const struct node *record = all->first; record; record = record->next)
        for (const struct node *field = record->first; field; field = field->next)
            if (!node_get(header, field->key)) node_add(header, field->key, NODE_NULL);
    for (const struct node *name = header->first; name; name = name->next) {
        text_add_csv(&text, name->key);
        text_add(&text, name->next ? "," : "\n", 1);
    }
    for (const struct node *record = all->first; record; record = record->next)
        for (const struct node *name = header->first; name; name = name->next) {
            add_csv_value(&text, node_get(record, name->key));
            text_add(&text, name->next ? "," : "\n", 1);
        }
    fwrite(text.data ? text.data : "", 1, text.length, out);
    free(text.data);
    node_free(header);
}

static void write_csv(const struct tabular *tables, int count, FILE *out) {
    struct node *all = node_new(NODE_LIST);

    for (int t = 0; t < count; t++) {
        struct node *records = records_of(&tables[t]);

        for (const struct node *record = records->first; record; record = record->next) {
            struct node *copy = node_add(all, NULL, NODE_MAP);

            if (count > 1) node_add_text(copy, "table", tables[t].title);
            for (const struct node *field = record->first; field; field = field->next)
                node_add_copy(copy, field->key, field);
        }
        node_free(records);
    }
    write_records(all, out);
    node_free(all);
}

void tabular_write_all(const struct tabular *tables, int count, enum tabular_format format, FILE *out) {
    if (format == TABULAR_JSON) write_json(tables, count, out);
    if (format == TABULAR_CSV) write_csv(tables, count, out);
    for (int t = 0; t < count && format <= TABULAR_MARKDOWN; t++) {
        if (t && !tables[t].rows) continue;
        if (t) fputc('\n', out);
        if (format == TABULAR_MARKDOWN)
            write_markdown(&tables[t], out);
        else
            write_text(&tables[t], out);
    }
}

void tabular_write(const struct tabular *table, enum tabular_format format, FILE *out) {
    tabular_write_all(table, 1, format, out);
}

void tabular_free(struct tabular *table) {
    node_free(table->rows);
    node_free(table->notes);
    table->rows = table->notes = NULL;
}
