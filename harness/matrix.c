#include "harness/matrix.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/names.h"

struct place {
    const struct node *variables;
    const char *where; /* the file */
};

int matrix_is_scalar(const struct node *value) {
    return value->kind == NODE_STRING || value->kind == NODE_NUMBER || value->kind == NODE_BOOL;
}

char *matrix_spelling(const struct node *value) {
    return value->text ? xstrdup(value->text) : node_json(value, 0);
}

static int fail_name(const struct place *place, int line, const char *what, const char *name,
                     const struct node *map, struct error *err) {
    struct names names = {0};
    char *hint;

    for (const struct node *child = map->first; child; child = child->next)
        if (strcmp(child->key, "by")) names_add(&names, child->key);
    hint = names_hint(&names, name);
    fail(err, "%s:%d: %s '%s'%s", place->where, line, what, name, hint);
    free(hint);
    free(names.items);
    return -1;
}

/* The bytes of "$name" or "${name}" at `at`, 0 if neither; name and length are set. */
static size_t variable_at(const char *at, const char **name, size_t *length) {
    int braced = at[1] == '{';

    *name = at + 1 + braced;
    *length = 0;
    if (!isalpha((unsigned char)**name) && **name != '_') return 0;
    while (isalnum((unsigned char)(*name)[*length]) || (*name)[*length] == '_') ++*length;
    if (braced && (*name)[*length] != '}') return 0;
    return 1 + *length + 2 * (size_t)braced;
}

static const struct node *variable_value(const struct place *place, const char *name, size_t length, int line,
                                         struct error *err) {
    char *key = xstrndup(name, length);
    const struct node *value = node_get(place->variables, key);

    if (!value) fail_name(place, line, "this step has no matrix variable", key, place->variables, err);
    free(key);
    return value;
}

static int add_text(struct node *parent, const struct node *value, const struct place *place,
                    struct error *err) {
    struct text text = {0};
    int status = -1;

    text_add(&text, "", 0);
    for (const char *at = value->text; *at;) {
        const char *name;
        size_t length, bytes = *at == '$' ? variable_at(at, &name, &length) : 0;
        const struct node *variable;
        char *spelling;

        if (!bytes) {
            text_add(&text, at, 1);
            at += at[0] == '$' && at[1] == '$' ? 2 : 1;
            continue;
        }
        variable = variable_value(place, name, length, value->line, err);
        if (!variable) goto out;
        spelling = matrix_spelling(variable);
        text_add(&text, spelling, strlen(spelling));
        free(spelling);
        at += bytes;
    }
    node_add_text(parent, value->key, text.data)->line = value->line;
    status = 0;
out:
    free(text.data);
    return status;
}

/* A text that is one variable and no more becomes its value, number or truth included. */
static int add_string(struct node *parent, const struct node *value, const struct place *place,
                      struct error *err) {
    const char *name;
    size_t length;
    const struct node *variable;

    if (value->text[0] != '$' || variable_at(value->text, &name, &length) != strlen(value->text))
        return add_text(parent, value, place, err);
    variable = variable_value(place, name, length, value->line, err);
    if (!variable) return -1;
    node_add_copy(parent, value->key, variable)->line = value->line;
    return 0;
}

static const struct node *chosen(const struct node *value, const struct place *place, struct error *err) {
    const struct node *by = node_get(value, "by"), *variable, *choice;
    char *spelling, *what;

    if (by->kind != NODE_STRING) {
        fail(err, "%s:%d: by: takes the name of a matrix variable", place->where, by->line);
        return NULL;
    }
    variable = variable_value(place, by->text, strlen(by->text), by->line, err);
    if (!variable) return NULL;
    spelling = matrix_spelling(variable);
    what = xprintf("'%s' has no value for %s", value->key ? value->key : "this item", by->text);
    choice = node_get(value, spelling);
    if (!choice) fail_name(place, value->line, what, spelling, value, err);
    free(what);
    free(spelling);
    return choice;
}

static int add_value(struct node *parent, const char *key, const struct node *value,
                     const struct place *place, struct error *err);

static int add_children(struct node *parent, const struct node *value, const struct place *place,
                        struct error *err) {
    for (const struct node *child = value->first; child; child = child->next)
        if (add_value(parent, child->key, child, place, err)) return -1;
    return 0;
}

static int add_value(struct node *parent, const char *key, const struct node *value,
                     const struct place *place, struct error *err) {
    struct node named = *value;

    named.key = (char *)key;
    if (value->kind == NODE_MAP && node_get(value, "by")) {
        const struct node *choice = chosen(&named, place, err);

        return choice ? add_value(parent, key, choice, place, err) : -1;
    }
    if (value->kind == NODE_STRING) return add_string(parent, &named, place, err);
    if (value->kind == NODE_MAP || value->kind == NODE_LIST) {
        struct node *child = node_add(parent, key, value->kind);

        child->line = value->line;
        return add_children(child, value, place, err);
    }
    node_add_copy(parent, key, value);
    return 0;
}

struct node *matrix_replace(const struct node *map, const struct node *variables, const char *where,
                            struct error *err) {
    struct place place = {variables, where};
    struct node *out = node_new(NODE_MAP);

    out->line = map->line;
    if (!add_children(out, map, &place, err)) return out;
    node_free(out);
    return NULL;
}
