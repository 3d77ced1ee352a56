/* A tree as JSON. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/document.h"
#include "harness/file.h"
#include "harness/memory.h"
#include "harness/utf8.h"

static void write_string(struct text *out, const char *string) {
    const unsigned char *at = (const unsigned char *)string;
    size_t room = strlen(string);

    text_add(out, "\"", 1);
    while (*at) {
        size_t step = utf8_length(at, room);

        if (!step)
            text_add(out, "\xEF\xBF\xBD", 3); /* U+FFFD */
        else if (*at == '"' || *at == '\\')
            text_printf(out, "\\%c", *at);
        else if (*at == '\n')
            text_add(out, "\\n", 2);
        else if (*at < ' ' || *at == 0x7F)
            text_printf(out, "\\u%04x", *at);
        else
            text_add(out, (const char *)at, step);
        step = step ? step : 1;
        at += step;
        room -= step;
    }
    text_add(out, "\"", 1);
}

static void write_number(struct text *out, double number) {
    char digits[40];

    if (!isfinite(number)) {
        text_add(out, "null", 4);
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, number);
        if (strtod(digits, NULL) == number) break;
    }
    text_add(out, digits, strlen(digits));
}

struct node *node_add_real(struct node *parent, const char *key, double number) {
    struct node *child = node_add_number(parent, key, number);
    struct text spelling = {0};

    write_number(&spelling, number);
    if (isfinite(number) && !strpbrk(spelling.data, ".e")) text_add(&spelling, ".0", 2);
    child->text = spelling.data;
    return child;
}

static void new_line(struct text *out, int indent, int depth) {
    if (indent > 0) text_printf(out, "\n%*s", indent * depth, "");
}

static void write_node(struct text *out, const struct node *node, int indent, int depth);

static void write_children(struct text *out, const struct node *node, int indent, int depth) {
    text_add(out, node->kind == NODE_MAP ? "{" : "[", 1);
    for (const struct node *child = node->first; child; child = child->next) {
        new_line(out, indent, depth + 1);
        if (node->kind == NODE_MAP) {
            write_string(out, child->key);
            text_add(out, ": ", indent > 0 ? 2 : 1);
        }
        write_node(out, child, indent, depth + 1);
        if (child->next) text_add(out, ",", 1);
    }
    if (node->first) new_line(out, indent, depth);
    text_add(out, node->kind == NODE_MAP ? "}" : "]", 1);
}

static void write_node(struct text *out, const struct node *node, int indent, int depth) {
    switch (node->kind) {
    case NODE_NULL:
        text_add(out, "null", 4);
        break;
    case NODE_BOOL:
        text_printf(out, "%s", node->number != 0 ? "true" : "false");
        break;
    case NODE_NUMBER:
        if (node->text && !node->line)
            text_add(out, node->text, strlen(node->text));
        else
            write_number(out, node->number);
        break;
    case NODE_STRING:
        write_string(out, node->text);
        break;
    default:
        write_children(out, node, indent, depth);
    }
}

char *node_json(const struct node *node, int indent) {
    struct text out = {0};

    write_node(&out, node, indent, 0);
    return out.data;
}

int node_print(FILE *out, const struct node *node, int indent) {
    char *json = node_json(node, indent);
    int written = fprintf(out, "%s\n", json);

    free(json);
    return written < 0 ? -1 : 0;
}

int document_write(const char *path, const struct node *node, struct error *err) {
    char *json = node_json(node, 2), *text = xprintf("%s\n", json);
    int status = file_write(path, text, strlen(text), err);

    free(text);
    free(json);
    return status;
}
