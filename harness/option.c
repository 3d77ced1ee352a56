#include "harness/option.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"

static int smallest(int a, int b, int c) {
    int least = a < b ? a : b;

    return least < c ? least : c;
}

/* Levenshtein's distance, two neighbours swapped counting one (optimal string alignment). */
static int edit_distance(const char *a, const char *b) {
    size_t m = strlen(a), n = strlen(b), width = n + 1;
    int *cost = xmalloc((m + 1) * width * sizeof *cost), distance;

    for (size_t i = 0; i <= m; i++) cost[i * width] = (int)i;
    for (size_t j = 0; j <= n; j++) cost[j] = (int)j;
    for (size_t i = 1; i <= m; i++)
        for (size_t j = 1; j <= n; j++) {
            int *at = cost + i * width + j, same = a[i - 1] == b[j - 1];

            *at = smallest(at[-1] + 1, at[-(int)width] + 1, at[-(int)width - 1] + !same);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                *at = smallest(*at, at[-2 * (int)width - 2] + 1, INT_MAX);
        }
    distance = cost[m * width + n];
    free(cost);
    return distance;
}

const char *nearest_name(const char *word, const char *const *names, int count) {
    const char *nearest = NULL;
    int length = (int)strlen(word), least = length / 3 + 1; /* farther off is another word */

    if (length > 100) return NULL;
    for (int i = 0; i < count; i++) {
        int distance = edit_distance(word, names[i]);

        if (distance >= length && distance >= (int)strlen(names[i])) continue; /* no letter is the same */
        if (distance < least || (distance == least && !nearest)) {
            nearest = names[i];
            least = distance;
        }
    }
    return nearest;
}

/* Fails with the sentence, the nearest name and all the valid ones. */
static int fail_with_names(struct error *err, const char *where, int line, const char *what, const char *word,
                           const char *const *names, int count) {
    const char *nearest = nearest_name(word, names, count);
    struct text list = {0};
    int status;

    text_add(&list, "", 0);
    for (int i = 0; i < count; i++) text_printf(&list, "%s%s", i ? ", " : "", names[i]);
    if (nearest)
        status = fail_at(err, where, line, "unknown %s \"%s\"; did you mean \"%s\"? Valid: %s", what, word,
                         nearest, list.data);
    else
        status = fail_at(err, where, line, "unknown %s \"%s\"; valid: %s", what, word, list.data);
    free(list.data);
    return status;
}

static int in_range(const struct option *option, double value) {
    return (option->low == 0 && option->high == 0) || (value >= option->low && value <= option->high);
}

static int fail_range(const struct option *option, const struct node *value, const char *where,
                      struct error *err) {
    const char *kind = option->kind == OPTION_INT ? "a whole number" : "a number";
    const char *given = value->text ? value->text : "that";

    if (option->low == 0 && option->high == 0)
        return fail_at(err, where, value->line, "\"%s\" must be %s, not %s", option->name, kind, given);
    return fail_at(err, where, value->line, "\"%s\" must be %s from %g to %g, not %s", option->name, kind,
                   option->low, option->high, given);
}

static int fail_kind(const struct option *option, const struct node *value, const char *where,
                     const char *expected, struct error *err) {
    return fail_at(err, where, value->line, "\"%s\" must be %s (%s)", option->name, expected, option->help);
}

/* The words of "a|b|c" as a list; the caller frees both the list and *store. */
static const char **split_choices(const char *choices, char **store, int *count) {
    const char **names = xmalloc((strlen(choices) / 2 + 2) * sizeof *names);
    char *rest = NULL;

    *store = xstrdup(choices);
    *count = 0;
    for (char *word = strtok_r(*store, "|", &rest); word; word = strtok_r(NULL, "|", &rest))
        names[(*count)++] = word;
    return names;
}

static int read_choice(const struct option *option, const struct node *value, const char *where, int *out,
                       struct error *err) {
    char *store;
    int count, status = -1;
    const char **names;

    if (!value->text) return fail_kind(option, value, where, option->choices, err);
    names = split_choices(option->choices, &store, &count);
    for (int i = 0; i < count && status; i++)
        if (!strcmp(names[i], value->text)) {
            *out = i;
            status = 0;
        }
    if (status) fail_with_names(err, where, value->line, option->name, value->text, names, count);
    free(names);
    free(store);
    return status;
}

static int all_strings(const struct node *list) {
    for (const struct node *item = list->first; item; item = item->next)
        if (item->kind != NODE_STRING) return 0;
    return list->kind == NODE_LIST;
}

static int read_value(const struct option *option, const struct node *value, const char *where,
                      void *settings, struct error *err) {
    void *at = (char *)settings + option->offset;
    int number = value->kind == NODE_NUMBER;

    switch (option->kind) {
    case OPTION_INT:
        if (!number || value->number != rint(value->number) || fabs(value->number) > INT_MAX ||
            !in_range(option, value->number))
            return fail_range(option, value, where, err);
        *(int *)at = (int)value->number;
        return 0;
    case OPTION_REAL:
        if (!number || !in_range(option, value->number)) return fail_range(option, value, where, err);
        *(double *)at = value->number;
        return 0;
    case OPTION_BOOL:
        if (value->kind != NODE_BOOL) return fail_kind(option, value, where, "true or false", err);
        *(int *)at = value->number != 0;
        return 0;
    case OPTION_CHOICE:
        return read_choice(option, value, where, at, err);
    case OPTION_STEPS:
        if (!all_strings(value)) return fail_kind(option, value, where, "a list of steps", err);
        *(const struct node **)at = value;
        return 0;
    case OPTION_MAP:
        if (value->kind != NODE_MAP && value->kind != NODE_LIST)
            return fail_kind(option, value, where, "a map or a list", err);
        *(const struct node **)at = value;
        return 0;
    case OPTION_WORDS:
        if (value->kind != NODE_STRING && !all_strings(value))
            return fail_kind(option, value, where, "a text or a list of texts", err);
        *(const struct node **)at = value;
        return 0;
    case OPTION_JUDGES:
        if (value->kind != NODE_LIST) return fail_kind(option, value, where, "a list of judges", err);
        *(const struct node **)at = value;
        return 0;
    default:
        if (!value->text) return fail_kind(option, value, where, "a text", err);
        *(const char **)at = value->text;
        return 0;
    }
}

/* A fallback or a preset's value, spelt as in a recipe. A text must outlive the settings. */
static int read_spelling(const struct option *option, const char *spelling, const char *where, void *settings,
                         struct error *err) {
    void *at = (char *)settings + option->offset;
    struct node *value;
    int status;

    switch (option->kind) {
    case OPTION_TEXT:
    case OPTION_STEP:
    case OPTION_FILE:
        *(const char **)at = *spelling ? spelling : NULL;
        return 0;
    case OPTION_STEPS:
    case OPTION_MAP:
    case OPTION_WORDS:
    case OPTION_JUDGES:
        *(const struct node **)at = NULL;
        return 0;
    default:
        value = document_parse_yaml(spelling, strlen(spelling), where, err);
        status = value ? read_value(option, value, where, settings, err) : -1;
        node_free(value);
        return status;
    }
}

static const struct option *find_option(const struct option *table, const char *name, size_t length) {
    for (; table->name; table++)
        if (strlen(table->name) == length && !strncmp(table->name, name, length)) return table;
    return NULL;
}

/* "key=value key=value"; numbers, booleans and choices only, since a text would have no owner. */
static int apply_preset(const struct option *table, const struct preset *preset, void *settings,
                        struct error *err) {
    const char *at = preset->values;

    while (*(at += strspn(at, " "))) {
        size_t length = strcspn(at, " "), name = strcspn(at, "=");
        const struct option *option = find_option(table, at, name);
        char *value;
        int status;

        if (!option || name >= length || option->kind == OPTION_TEXT || option->kind > OPTION_CHOICE)
            return fail(err, "preset %s: \"%.*s\" sets no number, truth or choice of this step", preset->name,
                        (int)length, at);
        value = xstrndup(at + name + 1, length - name - 1);
        status = read_spelling(option, value, preset->name, settings, err);
        free(value);
        if (status) return -1;
        at += length;
    }
    return 0;
}

static int use_preset(const struct option *table, const struct preset *presets, const struct node *given,
                      const char *where, void *settings, struct error *err) {
    const struct node *wanted = node_get(given, "preset");
    const char *names[64];
    int count = 0;

    if (!wanted || wanted->kind == NODE_NULL || !presets) return 0;
    for (; presets[count].name && count < 64; count++) {
        names[count] = presets[count].name;
        if (wanted->text && !strcmp(names[count], wanted->text))
            return apply_preset(table, &presets[count], settings, err);
    }
    return fail_with_names(err, where, wanted->line, "preset", wanted->text ? wanted->text : "", names,
                           count);
}

static int unknown_option(const struct option *table, const struct preset *presets, const struct node *given,
                          const char *where, struct error *err) {
    const char *names[256];
    int count = 0;

    for (; table->name && count < 255; table++) names[count++] = table->name;
    if (presets) names[count++] = "preset";
    return fail_with_names(err, where, given->line, "option", given->key, names, count);
}

int options_read(const struct option *table, const struct preset *presets, const struct node *given,
                 const char *where, void *settings, struct error *err) {
    if (given && given->kind != NODE_MAP)
        return fail_at(err, where, given->line, "options were expected, as a map of names and values");
    for (const struct option *option = table; option->name; option++) {
        if (option->fallback && read_spelling(option, option->fallback, where, settings, err)) return -1;
        if (!option->fallback && !node_get(given, option->name))
            return fail_at(err, where, given ? given->line : 0, "the option \"%s\" is missing (%s)",
                           option->name, option->help);
    }
    if (use_preset(table, presets, given, where, settings, err)) return -1;
    for (const struct node *value = given ? given->first : NULL; value; value = value->next) {
        const struct option *option = find_option(table, value->key, strlen(value->key));

        if (!option && presets && !strcmp(value->key, "preset")) continue;
        if (!option) return unknown_option(table, presets, value, where, err);
        if (value->kind == NODE_NULL && option->fallback) continue;
        if (read_value(option, value, where, settings, err)) return -1;
    }
    return 0;
}

size_t options_size(const struct option *table) {
    size_t most = 0;

    for (; table->name; table++)
        if (table->offset > most) most = table->offset;
    return most + sizeof(double) + sizeof(void *);
}

static void describe_choice(struct node *map, const struct option *option, int index) {
    char *store;
    int count;
    const char **names = split_choices(option->choices, &store, &count);

    node_add_text(map, option->name, names[index]);
    free(names);
    free(store);
}

struct node *options_describe(const struct option *table, const void *settings) {
    struct node *map = node_new(NODE_MAP);

    for (; table->name; table++) {
        const void *at = (const char *)settings + table->offset;

        switch (table->kind) {
        case OPTION_INT:
            node_add_number(map, table->name, *(const int *)at);
            break;
        case OPTION_REAL:
            node_add_number(map, table->name, *(const double *)at);
            break;
        case OPTION_BOOL:
            node_add_bool(map, table->name, *(const int *)at);
            break;
        case OPTION_CHOICE:
            describe_choice(map, table, *(const int *)at);
            break;
        case OPTION_STEPS:
        case OPTION_MAP:
        case OPTION_WORDS:
        case OPTION_JUDGES:
            if (*(const struct node *const *)at)
                node_add_copy(map, table->name, *(const struct node *const *)at);
            else
                node_add(map, table->name, NODE_NULL);
            break;
        default:
            node_add_text(map, table->name, *(const char *const *)at);
        }
    }
    return map;
}
