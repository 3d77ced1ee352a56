#include "harness/judge_list.h"

#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/names.h"
#include "harness/registry.h"

static const struct listing *find_judge(const char *use) {
    for (const struct listing *one = listings; one->kind; one++)
        if (!strcmp(one->kind, "judge") && !strcmp(*one->name, use)) return one;
    return NULL;
}

const struct option *judge_options(const char *use) {
    const struct listing *found = use ? find_judge(use) : NULL;

    return found && found->options ? *found->options : NULL;
}

static int fail_unknown(const struct node *use, const char *where, struct error *err) {
    struct names names = {0};
    char *hint;

    for (const struct listing *one = listings; one->kind; one++)
        if (!strcmp(one->kind, "judge")) names_add(&names, *one->name);
    hint = names_hint(&names, use->text);
    fail_at(err, where, use->line, "there is no judge '%s'%s", use->text, hint);
    free(hint);
    free(names.items);
    return -1;
}

static int is_shared(const char *key) {
    return !strcmp(key, "use") || !strcmp(key, "name") || !strcmp(key, "nulls");
}

int judge_entry_read(struct judge_entry *out, const struct node *node, const char *where, struct error *err) {
    const struct node *use = node_get(node, "use"), *name = node_get(node, "name"),
                      *nulls = node_get(node, "nulls");

    if (node->kind != NODE_MAP || !use || use->kind != NODE_STRING)
        return fail_at(err, where, node->line,
                       "a judge must be a map with its name in \"use\" (pyrite list judges)");
    if (!find_judge(use->text)) return fail_unknown(use, where, err);
    if (name && (!name->text || !name->text[0]))
        return fail_at(err, where, name->line, "\"name\" must be a text: how verdicts call the judge");
    if (nulls && nulls->kind != NODE_BOOL)
        return fail_at(err, where, nulls->line,
                       "\"nulls\" must be true or false: whether content-blind policies are judged");
    *out = (struct judge_entry){.use = use->text,
                                .name = name ? name->text : use->text,
                                .nulls = nulls ? nulls->number != 0 : -1,
                                .options = node_new(NODE_MAP)};
    out->options->line = node->line;
    for (const struct node *option = node->first; option; option = option->next)
        if (!is_shared(option->key)) node_add_copy(out->options, option->key, option);
    return 0;
}

static int check_options(const struct judge_entry *entry, const char *where, struct error *err) {
    static const struct option none[] = {{0}};
    const struct option *table = judge_options(entry->use);
    void *settings;
    int status;

    if (!table) table = none;
    settings = xcalloc(1, options_size(table));
    status = options_read(table, NULL, entry->options, where, settings, err);
    free(settings);
    return status ? -1 : judge_lists_check(table, entry->options, where, err);
}

static int check_name(const struct node *list, const struct node *node, const char *name, const char *where,
                      struct error *err) {
    for (const struct node *one = list->first; one != node; one = one->next)
        if (!strcmp(node_text(one, "name", node_text(one, "use", "")), name))
            return fail_at(err, where, node->line, "two judges are called '%s'; give one another \"name\"",
                           name);
    return 0;
}

int judge_list_check(const struct node *list, const char *where, struct error *err) {
    if (list->kind != NODE_LIST)
        return fail_at(err, where, list->line, "a list of judges was expected, each a map with \"use\"");
    for (const struct node *node = list->first; node; node = node->next) {
        struct judge_entry entry;
        int status;

        if (judge_entry_read(&entry, node, where, err)) return -1;
        status = check_options(&entry, where, err);
        if (!status) status = check_name(list, node, entry.name, where, err);
        node_free(entry.options);
        if (status) return -1;
    }
    return 0;
}

static int option_files(const struct option *option, struct node *value,
                        int (*each)(void *context, const struct option *option, struct node *value,
                                    struct error *err),
                        void *context, struct error *err) {
    if (option->kind == OPTION_JUDGES) return judge_list_files(value, each, context, err);
    if (option->kind != OPTION_FILE || !value->text || !value->text[0]) return 0;
    return each(context, option, value, err);
}

int judge_lists_check(const struct option *table, const struct node *given, const char *where,
                      struct error *err) {
    for (; table->name; table++) {
        const struct node *list = table->kind == OPTION_JUDGES ? node_get(given, table->name) : NULL;

        if (list && judge_list_check(list, where, err)) return -1;
    }
    return 0;
}

int judge_list_files(struct node *list,
                     int (*each)(void *context, const struct option *option, struct node *value,
                                 struct error *err),
                     void *context, struct error *err) {
    for (struct node *entry = list->first; entry; entry = entry->next) {
        const struct option *option = judge_options(node_text(entry, "use", NULL));

        for (; option && option->name; option++)
            for (struct node *value = entry->first; value; value = value->next) {
                int status =
                    strcmp(value->key, option->name) ? 0 : option_files(option, value, each, context, err);

                if (status) return status;
            }
    }
    return 0;
}

static int locate(void *context, const struct option *option, struct node *value, struct error *err) {
    const char *beside = context, *slash = strrchr(beside, '/');
    char *located;

    (void)option;
    (void)err;
    if (!slash || value->text[0] == '/') return 0;
    located = xprintf("%.*s%s", (int)(slash - beside) + 1, beside, value->text);
    free(value->text);
    value->text = located;
    return 0;
}

void judge_list_locate(struct node *list, const char *beside) {
    struct error ignored;

    judge_list_files(list, locate, (void *)beside, &ignored);
}

/* Where the next option begins: a comma outside of brackets and quotes, or the end. */
static size_t option_length(const char *words) {
    int depth = 0;
    char quote = 0;
    size_t i;

    for (i = 0; words[i] && (words[i] != ',' || depth > 0 || quote); i++) {
        if (quote)
            quote = words[i] == quote ? 0 : quote;
        else if (words[i] == '"' || words[i] == '\'')
            quote = words[i];
        else
            depth += (strchr("[{", words[i]) != NULL) - (strchr("]}", words[i]) != NULL);
    }
    return i;
}

static int parse_option(struct node *map, const char *words, size_t length, const char *where,
                        struct error *err) {
    const char *equals = memchr(words, '=', length);
    size_t key_length = equals ? (size_t)(equals - words) : 0;
    struct node *value;
    char *key;
    int status;

    if (!key_length)
        return fail(err, "%s: '%.*s' is no option of a judge; key=value was expected", where, (int)length,
                    words);
    value = document_parse_yaml(equals + 1, length - key_length - 1, where, err);
    if (!value) return -1;
    key = xstrndup(words, key_length);
    status = node_get(map, key) ? fail(err, "%s: the option \"%s\" is given twice", where, key) : 0;
    if (!status) node_add_copy(map, key, value);
    free(key);
    node_free(value);
    return status;
}

/* Words of a command line have no line. */
static void forget_lines(struct node *node) {
    node->line = 0;
    for (struct node *child = node->first; child; child = child->next) forget_lines(child);
}

struct node *judge_entry_parse(const char *words, const char *where, struct error *err) {
    struct node *map = node_new(NODE_MAP);
    size_t length = option_length(words);
    char *use = xstrndup(words, length);

    node_add_text(map, "use", use);
    free(use);
    for (words += length; *words; words += length) {
        length = option_length(++words);
        if (parse_option(map, words, length, where, err)) {
            node_free(map);
            return NULL;
        }
    }
    forget_lines(map);
    return map;
}
