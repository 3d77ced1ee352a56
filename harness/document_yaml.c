/* YAML as a tree. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "harness/document.h"
#include "harness/memory.h"
#include "harness/utf8.h"

enum { NODES_MOST = 1000000 };

/* One YAML file: libyaml's events, anchors copied where an alias stands. */
struct yaml_reader {
    yaml_parser_t parser;
    const char *name;
    struct node *anchors; /* a map from an anchor's name to its value */
    int nodes;            /* made so far: aliases of aliases grow without bound */
    struct error *err;
};

static int yaml_next(struct yaml_reader *in, yaml_event_t *event) {
    const yaml_parser_t *parser = &in->parser;

    if (yaml_parser_parse(&in->parser, event)) return 0;
    return fail(in->err, "%s:%d: not valid YAML: %s%s%s", in->name, (int)parser->problem_mark.line + 1,
                parser->problem ? parser->problem : "unreadable", parser->context ? " " : "",
                parser->context ? parser->context : "");
}

static int is_any(const char *text, const char *const *words) {
    for (; *words; words++)
        if (!strcmp(text, *words)) return 1;
    return 0;
}

/* YAML 1.2's core schema, decimal only. */
static int is_number(const char *text) {
    size_t digits = 0, more;

    text += *text == '-' || *text == '+';
    digits = strspn(text, "0123456789");
    text += digits;
    if (*text == '.') {
        more = strspn(++text, "0123456789");
        digits += more;
        text += more;
    }
    if (!digits) return 0;
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '-' || *text == '+';
        more = strspn(text, "0123456789");
        if (!more) return 0;
        text += more;
    }
    return !*text;
}

static void resolve_plain(struct node *node) {
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const truths[] = {"true", "True", "TRUE", NULL};
    static const char *const lies[] = {"false", "False", "FALSE", NULL};

    if (is_any(node->text, nulls)) {
        node->kind = NODE_NULL;
        free(node->text);
        node->text = NULL;
    } else if (is_any(node->text, truths) || is_any(node->text, lies)) {
        node->kind = NODE_BOOL;
        node->number = is_any(node->text, truths);
    } else if (is_number(node->text)) {
        node->kind = NODE_NUMBER;
        node->number = strtod(node->text, NULL);
    }
}

static struct node *node_of_scalar(struct yaml_reader *in, const yaml_event_t *event, int line) {
    const char *value = (const char *)event->data.scalar.value;
    const char *tag = (const char *)event->data.scalar.tag;
    struct node *node = NULL;

    if (strlen(value) != event->data.scalar.length) {
        fail(in->err, "%s:%d: a NUL character cannot be held in a text", in->name, line);
    } else if (tag && strcmp(tag, "tag:yaml.org,2002:str") && strcmp(tag, "!")) {
        fail(in->err, "%s:%d: the tag %s is not known; only !!str is", in->name, line, tag);
    } else {
        node = node_new(NODE_STRING);
        node->text = xstrdup(value);
        if (event->data.scalar.plain_implicit && !tag) resolve_plain(node);
        if (node->kind == NODE_NUMBER && !isfinite(node->number)) {
            fail(in->err, "%s:%d: the number %s is too large", in->name, line, value);
            node_free(node);
            node = NULL;
        }
    }
    return node;
}

static int count_nodes(const struct node *node) {
    int count = 1;

    for (const struct node *child = node->first; child; child = child->next) count += count_nodes(child);
    return count;
}

static struct node *node_of_alias(struct yaml_reader *in, const char *anchor, int line) {
    const struct node *value = node_get(in->anchors, anchor);

    if (!value) {
        fail(in->err, "%s:%d: the anchor \"%s\" was not defined before", in->name, line, anchor);
        return NULL;
    }
    in->nodes += count_nodes(value);
    return node_copy(value);
}

static struct node *node_of_event(struct yaml_reader *in, const yaml_event_t *event, int depth);

static int read_children(struct yaml_reader *in, struct node *node, int depth) {
    yaml_event_t event;
    int status = 0;

    for (int done = 0; !done && !status;) {
        struct node *child = NULL;
        char *key = NULL;

        if (yaml_next(in, &event)) return -1;
        done = event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT;
        if (!done && node->kind == NODE_MAP) {
            int line = (int)event.start_mark.line + 1;

            if (event.type == YAML_SCALAR_EVENT)
                key = xstrdup((const char *)event.data.scalar.value);
            else
                status = fail(in->err, "%s:%d: a key must be a word, not a list or a map", in->name, line);
            yaml_event_delete(&event);
            if (status || yaml_next(in, &event)) {
                free(key);
                return -1;
            }
            child = node_of_event(in, &event, depth);
            if (child) child->line = line;
        } else if (!done) {
            child = node_of_event(in, &event, depth);
        }
        if (child)
            node_attach(node, key, child);
        else if (!done)
            status = -1;
        free(key);
        yaml_event_delete(&event);
    }
    return status || node->kind != NODE_MAP ? status : node_check_keys(node, in->name, in->err);
}

static const char *anchor_of(const yaml_event_t *event) {
    if (event->type == YAML_SCALAR_EVENT) return (const char *)event->data.scalar.anchor;
    if (event->type == YAML_MAPPING_START_EVENT) return (const char *)event->data.mapping_start.anchor;
    if (event->type == YAML_SEQUENCE_START_EVENT) return (const char *)event->data.sequence_start.anchor;
    return NULL;
}

/* Redefining an anchor is legal YAML: the newest counts from there on. */
static void keep_anchor(struct yaml_reader *in, const char *anchor, const struct node *value) {
    for (struct node *child = in->anchors->first; child; child = child->next)
        if (!strcmp(child->key, anchor)) child->key[0] = '\0';
    node_add_copy(in->anchors, anchor, value);
}

static struct node *node_of_event(struct yaml_reader *in, const yaml_event_t *event, int depth) {
    int line = (int)event->start_mark.line + 1;
    struct node *node = NULL;

    if (depth > DOCUMENT_DEPTH || ++in->nodes > NODES_MOST) {
        fail(in->err,
             depth > DOCUMENT_DEPTH ? "%s:%d: nested more than %d deep" : "%s:%d: more than %d values",
             in->name, line, depth > DOCUMENT_DEPTH ? (int)DOCUMENT_DEPTH : (int)NODES_MOST);
        return NULL;
    }
    if (event->type == YAML_ALIAS_EVENT)
        return node_of_alias(in, (const char *)event->data.alias.anchor, line);
    if (event->type == YAML_SCALAR_EVENT) {
        node = node_of_scalar(in, event, line);
    } else {
        node = node_new(event->type == YAML_MAPPING_START_EVENT ? NODE_MAP : NODE_LIST);
        if (read_children(in, node, depth + 1)) {
            node_free(node);
            node = NULL;
        }
    }
    if (!node) return NULL;
    node->line = line;
    if (anchor_of(event)) keep_anchor(in, anchor_of(event), node);
    return node;
}

static struct node *read_yaml(struct yaml_reader *in) {
    yaml_event_t event;
    struct node *node = NULL;
    int type = YAML_NO_EVENT;

    while (type != YAML_STREAM_END_EVENT) {
        struct node *found = NULL;

        if (yaml_next(in, &event)) goto bad;
        type = event.type;
        if (type == YAML_SCALAR_EVENT || type == YAML_MAPPING_START_EVENT ||
            type == YAML_SEQUENCE_START_EVENT || type == YAML_ALIAS_EVENT) {
            found = node_of_event(in, &event, 0);
            type = found ? type : YAML_STREAM_END_EVENT;
            node = found;
        } else if (type == YAML_DOCUMENT_START_EVENT && node) {
            fail(in->err, "%s:%d: a second document begins; one a file is expected", in->name,
                 (int)event.start_mark.line + 1);
            node_free(node);
            node = NULL;
            type = YAML_STREAM_END_EVENT;
        } else if (type == YAML_STREAM_END_EVENT && !node) {
            node = node_new(NODE_NULL);
        }
        yaml_event_delete(&event);
    }
    return node;
bad:
    node_free(node);
    return NULL;
}

struct node *document_parse_yaml(const char *text, size_t length, const char *name, struct error *err) {
    struct yaml_reader in = {.name = name, .err = err};
    struct node *node;

    if (utf8_check(text, length, name, 1, err)) return NULL;
    if (!yaml_parser_initialize(&in.parser)) {
        fail(err, "%s: the YAML parser could not be started", name);
        return NULL;
    }
    in.anchors = node_new(NODE_MAP);
    yaml_parser_set_input_string(&in.parser, (const unsigned char *)text, length);
    node = read_yaml(&in);
    yaml_parser_delete(&in.parser);
    node_free(in.anchors);
    return node;
}

static void forget_lines(struct node *node) {
    node->line = 0;
    for (struct node *child = node->first; child; child = child->next) forget_lines(child);
}

struct node *document_parse_value(const char *text, const char *name, struct error *err) {
    struct error own = {0};
    struct node *node = document_parse_yaml(text, strlen(text), "", &own);
    const char *sentence = strstr(own.message, ": "); /* behind ":LINE" */

    if (node)
        forget_lines(node);
    else
        fail(err, "%s%s", name, sentence ? sentence : own.message);
    return node;
}
