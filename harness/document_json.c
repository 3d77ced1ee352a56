/* JSON as a tree. */
#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "harness/document.h"
#include "harness/memory.h"
#include "harness/utf8.h"

enum { VALUES_MOST = 10000000 };

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
        node_attach(node, node->kind == NODE_MAP ? child->string : NULL, made);
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
        else if (!quoted && (text[i] == '[' || text[i] == '{') && ++depth > DOCUMENT_DEPTH)
            return fail(err, "%s:%d: nested more than %d deep", name, line, DOCUMENT_DEPTH);
        else if (!quoted && (text[i] == ']' || text[i] == '}'))
            depth--;
        else if (!quoted && text[i] == ',' && ++values > VALUES_MOST)
            return fail(err, "%s:%d: more than %d values in one JSON text", name, line, VALUES_MOST);
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
