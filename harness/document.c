#include "harness/document.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"

void node_free(struct node *node) {
    if (!node) return;
    for (struct node *child = node->first, *next; child; child = next) {
        next = child->next;
        node_free(child);
    }
    free(node->key);
    free(node->text);
    free(node);
}

const struct node *node_get(const struct node *map, const char *key) {
    if (!map || map->kind != NODE_MAP) return NULL;
    for (const struct node *child = map->first; child; child = child->next)
        if (!strcmp(child->key, key)) return child;
    return NULL;
}

const char *node_text(const struct node *map, const char *key, const char *fallback) {
    const struct node *node = node_get(map, key);

    return node && node->text ? node->text : fallback;
}

double node_number(const struct node *map, const char *key, double fallback) {
    const struct node *node = node_get(map, key);

    return node && (node->kind == NODE_NUMBER || node->kind == NODE_BOOL) ? node->number : fallback;
}

int node_int(const struct node *map, const char *key, int fallback) {
    double number = node_number(map, key, fallback);

    return number > INT_MIN && number < INT_MAX ? (int)number : fallback;
}

struct node *node_new(enum node_kind kind) {
    struct node *node = xcalloc(1, sizeof *node);

    node->kind = kind;
    return node;
}

struct node *node_attach(struct node *parent, const char *key, struct node *child) {
    child->key = xstrdup(key);
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->count++;
    return child;
}

struct node *node_add(struct node *parent, const char *key, enum node_kind kind) {
    return node_attach(parent, key, node_new(kind));
}

struct node *node_add_text(struct node *parent, const char *key, const char *text) {
    struct node *child = node_add(parent, key, text ? NODE_STRING : NODE_NULL);

    child->text = xstrdup(text);
    return child;
}

struct node *node_add_number(struct node *parent, const char *key, double number) {
    struct node *child = node_add(parent, key, NODE_NUMBER);

    child->number = number;
    return child;
}

struct node *node_add_bool(struct node *parent, const char *key, int truth) {
    struct node *child = node_add(parent, key, NODE_BOOL);

    child->number = truth != 0;
    return child;
}

struct node *node_copy(const struct node *value) {
    struct node *copy = node_new(value->kind);

    copy->text = xstrdup(value->text);
    copy->number = value->number;
    copy->line = value->line;
    for (const struct node *child = value->first; child; child = child->next)
        node_attach(copy, child->key, node_copy(child));
    return copy;
}

struct node *node_add_copy(struct node *parent, const char *key, const struct node *value) {
    return node_attach(parent, key, node_copy(value));
}

struct node *node_set_copy(struct node *map, const char *key, const struct node *value) {
    struct node *node = (struct node *)node_get(map, key), *copy;

    if (!node) return node_add_copy(map, key, value);
    for (struct node *child = node->first, *next; child; child = next) {
        next = child->next;
        node_free(child);
    }
    free(node->text);
    copy = node_copy(value);
    copy->key = node->key;
    copy->line = node->line;
    copy->next = node->next;
    *node = *copy;
    free(copy);
    return node;
}

struct node *node_set_text(struct node *map, const char *key, const char *text) {
    return node_set_copy(map, key,
                         &(struct node){.kind = text ? NODE_STRING : NODE_NULL, .text = (char *)text});
}

static int by_key(const void *a, const void *b) {
    const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;
    int order = strcmp(x->key, y->key);

    return order ? order : (x->line > y->line) - (x->line < y->line);
}

int node_check_keys(const struct node *map, const char *name, struct error *err) {
    const struct node **children;
    int status = 0, n = 0;

    if (map->count < 2) return 0;
    children = xmalloc((size_t)map->count * sizeof *children);
    for (const struct node *child = map->first; child; child = child->next) children[n++] = child;
    qsort(children, (size_t)n, sizeof *children, by_key);
    for (int i = 1; i < n && !status; i++)
        if (!strcmp(children[i - 1]->key, children[i]->key))
            status = fail(err, "%s:%d: the key \"%s\" was already given in line %d; remove one of them", name,
                          children[i]->line, children[i]->key, children[i - 1]->line);
    free(children);
    return status;
}

struct node *document_read(const char *path, struct error *err) {
    size_t length;
    char *text = file_read(path, &length, err);
    struct node *node;

    if (!text) return NULL;
    if (text_ends(path, ".json"))
        node = document_parse_json(text, length, path, 1, err);
    else
        node = document_parse_yaml(text, length, path, err);
    free(text);
    return node;
}
