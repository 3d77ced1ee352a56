#define _GNU_SOURCE /* vasprintf */
#include "harness/tabular.h"

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

static void add_text(struct node *list, const char *format, va_list values) {
    char *text = NULL;

    if (vasprintf(&text, format, values) < 0) return;
    node_add_text(list, NULL, text);
    free(text);
}

void tabular_cell(struct node *row, const char *format, ...) {
    va_list values;

    va_start(values, format);
    add_text(row, format, values);
    va_end(values);
}

void tabular_note(struct tabular *table, const char *format, ...) {
    va_list values;

    if (!table->notes) table->notes = node_new(NODE_LIST);
    va_start(values, format);
    add_text(table->notes, format, values);
    va_end(values);
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
            if (width_of(cell->text) > widths[c]) widths[c] = width_of(cell->text);
    }
    if (table->title) fprintf(out, "%s\n", table->title);
    for (int c = 0; c < columns; c++) write_padded(out, table->headings[c], widths[c], c + 1 == columns);
    fputc('\n', out);
    for (const struct node *row = table->rows ? table->rows->first : NULL; row; row = row->next) {
        int c = 0;

        for (const struct node *cell = row->first; cell && c < columns; cell = cell->next, c++)
            write_padded(out, cell->text, widths[c], !cell->next);
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
            text_add_markdown(&text, cell->text);
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

static void write_csv(const struct tabular *table, FILE *out) {
    struct text text = {0};

    for (int c = 0; table->headings[c]; c++) {
        if (c) text_add(&text, ",", 1);
        text_add_csv(&text, table->headings[c]);
    }
    text_add(&text, "\n", 1);
    for (const struct node *row = table->rows ? table->rows->first : NULL; row; row = row->next) {
        for (const struct node *cell = row->first; cell; cell = cell->next) {
            text_add_csv(&text, cell->text);
            text_add(&text, cell->next ? "," : "\n", 1);
        }
    }
    fprintf(out, "%s", text.data);
    free(text.data);
}

static void write_json(const struct tabular *table, FILE *out) {
    struct node *whole = node_new(NODE_MAP), *rows;

    if (table->title) node_add_text(whole, "title", table->title);
    rows = node_add(whole, "rows", NODE_LIST);
    for (const struct node *row = table->rows ? table->rows->first : NULL; row; row = row->next) {
        struct node *map = node_add(rows, NULL, NODE_MAP);
        int c = 0;

        for (const struct node *cell = row->first; cell && table->headings[c]; cell = cell->next, c++)
            node_set_text(map, table->headings[c], cell->text);
    }
    if (table->notes) node_add_copy(whole, "notes", table->notes);
    node_print(out, whole, 2);
    node_free(whole);
}

void tabular_write(const struct tabular *table, enum tabular_format format, FILE *out) {
    static void (*const writers[])(const struct tabular *, FILE *) = {write_text, write_markdown, write_csv,
                                                                      write_json};

    writers[format](table, out);
}

void tabular_free(struct tabular *table) {
    node_free(table->rows);
    node_free(table->notes);
    table->rows = table->notes = NULL;
}
