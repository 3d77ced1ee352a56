#include "harness/document.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "harness/file.h"
#include "harness/memory.h"

enum { DEPTH_MOST = 100, NODES_MOST = 1000000, JSON_VALUES_MOST = 10000000 };

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

static struct node *attach(struct node *parent, const char *key, struct node *child) {
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
    return attach(parent, key, node_new(kind));
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
        attach(copy, child->key, node_copy(child));
    return copy;
}

struct node *node_add_copy(struct node *parent, const char *key, const struct node *value) {
    return attach(parent, key, node_copy(value));
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

size_t utf8_length(const unsigned char *at, size_t room) {
    static const unsigned char first_low[] = {0xC2, 0xE0, 0xF0}, first_high[] = {0xDF, 0xEF, 0xF4};
    size_t length = 0;

    if (at[0] < 0x80) return 1;
    for (int i = 0; i < 3; i++)
        if (at[0] >= first_low[i] && at[0] <= first_high[i]) length = (size_t)i + 2;
    if (!length || length > room) return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    if ((at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F)) return 0;
    if ((at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F)) return 0;
    return length;
}

int utf8_check(const char *text, size_t length, const char *name, int line, struct error *err) {
    const unsigned char *at = (const unsigned char *)text, *end = at + length;

    while (at < end) {
        size_t step = utf8_length(at, (size_t)(end - at));

        if (!step)
            return fail(err, "%s:%d: the byte 0x%02x is not UTF-8; convert the file to UTF-8", name, line,
                        *at);
        if (!*at) return fail(err, "%s:%d: a NUL byte; a text file was expected", name, line);
        line += *at == '\n';
        at += step;
    }
    return 0;
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

/* Walks the text of a value that cJSON has accepted, beside cJSON's tree: cJSON keeps no lines, no spelling
   of numbers, and takes what strict JSON does not. */
struct json_cursor {
    const char *at, *end, *name;
    int line;
    struct error *err;
};

static void skip_space(struct json_cursor *in) {
    for (; in->at < in->end && (unsigned char)*in->at <= ' '; in->at++) in->line += *in->at == '\n';
}

static int pass_string(struct json_cursor *in) {
    for (in->at++; *in->at != '"'; in->at++) {
        if ((unsigned char)*in->at < ' ')
            return fail(in->err,
                        "%s:%d: a control character inside a string; write it as \\n, \\t or \\u00XX",
                        in->name, in->line);
        if (*in->at != '\\') continue;
        in->at++;
        if (!strncmp(in->at, "u0000", 5))
            return fail(in->err, "%s:%d: the character \\u0000 cannot be held in a text", in->name, in->line);
    }
    in->at++;
    return 0;
}

static int pass_number(struct json_cursor *in, struct node *node) {
    const char *from = in->at, *digits;

    while (in->at < in->end && strchr("+-.eE0123456789", *in->at) && *in->at) in->at++;
    node->text = xstrndup(from, (size_t)(in->at - from));
    digits = node->text + (node->text[0] == '-');
    if (!isfinite(node->number))
        return fail(in->err, "%s:%d: the number %s is too large", in->name, in->line, node->text);
    if ((digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9') || in->at[-1] == '.')
        return fail(in->err, "%s:%d: %s is not a JSON number", in->name, in->line, node->text);
    return 0;
}

static struct node *node_of_json(struct json_cursor *in, const cJSON *json);

static int pass_children(struct json_cursor *in, const cJSON *json, struct node *node) {
    in->at++;
    for (const cJSON *child = json->child; child; child = child->next) {
        struct node *made;

        skip_space(in);
        if (node->kind == NODE_MAP) {
            if (pass_string(in)) return -1;
            skip_space(in);
            in->at++; /* the colon */
        }
        made = node_of_json(in, child);
        if (!made) return -1;
        attach(node, node->kind == NODE_MAP ? child->string : NULL, made);
        skip_space(in);
        in->at += *in->at == ',';
    }
    skip_space(in);
    in->at++;
    return node->kind == NODE_MAP ? node_check_keys(node, in->name, in->err) : 0;
}

static enum node_kind kind_of_json(const cJSON *json) {
    if (cJSON_IsObject(json)) return NODE_MAP;
    if (cJSON_IsArray(json)) return NODE_LIST;
    if (cJSON_IsString(json)) return NODE_STRING;
    if (cJSON_IsNumber(json)) return NODE_NUMBER;
    return cJSON_IsBool(json) ? NODE_BOOL : NODE_NULL;
}

static struct node *node_of_json(struct json_cursor *in, const cJSON *json) {
    struct node *node = node_new(kind_of_json(json));
    int status = 0;

    skip_space(in);
    node->line = in->line;
    switch (node->kind) {
    case NODE_MAP:
    case NODE_LIST:
        status = pass_children(in, json, node);
        break;
    case NODE_STRING:
        node->text = xstrdup(json->valuestring);
        status = pass_string(in);
        break;
    case NODE_NUMBER:
        node->number = json->valuedouble;
        status = pass_number(in, node);
        break;
    default:
        node->number = cJSON_IsTrue(json) != 0;
        in->at += cJSON_IsFalse(json) ? 5 : 4;
    }
    if (!status) return node;
    node_free(node);
    return NULL;
}

static void fail_json(const char *text, const char *end, const char *at, const char *name, int line,
                      struct error *err) {
    int shown = 0;

    if (!at || at < text || at > end) at = text;
    for (; text < at; text++) line += *text == '\n';
    while (shown < 30 && at + shown < end && at[shown] != '\n') shown++;
    fail(err, "%s:%d: not valid JSON near \"%.*s\"", name, line, shown, at);
}

/* Nesting and the number of values, before anything is built of them. */
static int check_size(const char *text, size_t length, const char *name, int line, struct error *err) {
    int depth = 0, quoted = 0, values = 0;

    for (size_t i = 0; i < length; i++) {
        line += text[i] == '\n';
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '[' || text[i] == '{') && ++depth > DEPTH_MOST)
            return fail(err, "%s:%d: nested more than %d deep", name, line, DEPTH_MOST);
        else if (!quoted && (text[i] == ']' || text[i] == '}'))
            depth--;
        else if (!quoted && text[i] == ',' && ++values > JSON_VALUES_MOST)
            return fail(err, "%s:%d: more than %d values in one JSON text", name, line, JSON_VALUES_MOST);
    }
    return 0;
}

struct node *document_parse_json(const char *text, size_t length, const char *name, int line,
                                 struct error *err) {
    struct json_cursor in = {text, text + length, name, line, err};
    const char *end = text;
    struct node *node = NULL;
    cJSON *json = NULL;

    if (utf8_check(text, length, name, line, err) || check_size(text, length, name, line, err)) return NULL;
    json = cJSON_ParseWithLengthOpts(text, length, &end, 0);
    if (!json) {
        fail_json(text, text + length, end, name, line, err);
        goto out;
    }
    node = node_of_json(&in, json);
    if (!node) goto out;
    skip_space(&in);
    if (in.at < in.end) {
        fail(err, "%s:%d: text follows the end of the JSON value", name, in.line);
        node_free(node);
        node = NULL;
    }
out:
    cJSON_Delete(json);
    return node;
}

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
            attach(node, key, child);
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

    if (depth > DEPTH_MOST || ++in->nodes > NODES_MOST) {
        fail(in->err, depth > DEPTH_MOST ? "%s:%d: nested more than %d deep" : "%s:%d: more than %d values",
             in->name, line, depth > DEPTH_MOST ? (int)DEPTH_MOST : (int)NODES_MOST);
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

int document_write(const char *path, const struct node *node, struct error *err) {
    char *json = node_json(node, 2), *text = xprintf("%s\n", json);
    int status = file_write(path, text, strlen(text), err);

    free(text);
    free(json);
    return status;
}
