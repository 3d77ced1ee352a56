#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/judge_list.h"
#include "harness/matrix.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/public_files.h"
#include "harness/recipe.h"

/* Whether it is one of words separated by '|'. */
static int has_word(const char *words, const char *word) {
    size_t length = strlen(word);

    for (const char *at = words; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (!strncmp(at, word, length) && (!at[length] || at[length] == '|')) return 1;
    return 0;
}

/* A path of the recipe's, from where the program runs. */
static char *path_from(const char *recipe, const char *path) {
    const char *slash = strrchr(recipe, '/');
    char *folder, *joined;

    if (path[0] == '/' || !slash) return xstrdup(path);
    folder = xstrndup(recipe, (size_t)(slash - recipe) + 1);
    joined = xprintf("%s%s", folder, path);
    free(folder);
    return joined;
}

/* Whether both are in the same cell, as far as both are in one; `over` leaves a variable out. */
static int cells_agree(const struct node *globals, const struct instance *a, const struct instance *b) {
    for (const struct node *variable = globals ? globals->first : NULL; variable; variable = variable->next) {
        const struct node *x = node_get(a->matrix, variable->key), *y = node_get(b->matrix, variable->key);
        char *left, *right;
        int same;

        if (!x || !y) continue;
        left = matrix_spelling(x);
        right = matrix_spelling(y);
        same = !strcmp(left, right);
        free(left);
        free(right);
        if (!same) return 0;
    }
    return 1;
}

static void add_input(struct instance *instance, const struct option *option, int step, const char *text,
                      char *path) {
    for (int i = 0; step >= 0 && i < instance->input_count; i++)
        if (instance->inputs[i].option == option && instance->inputs[i].step == step) return;
    instance->inputs =
        xrealloc(instance->inputs, (size_t)instance->input_count + 1, sizeof *instance->inputs);
    instance->inputs[instance->input_count++] = (struct input){option, step, xstrdup(text), path, 0};
}

/* Adds every step whose label the pattern matches, in this cell; their number. */
static int add_steps(struct recipe *recipe, struct instance *instance, const struct option *option,
                     const char *pattern) {
    const struct node *globals = node_get(recipe->tree, "matrix");
    int wild = option->kind == OPTION_STEPS && strpbrk(pattern, "*?") != NULL, found = 0;

    for (int i = 0; i < recipe->count; i++) {
        const struct instance *other = &recipe->steps[i];
        int matches = wild ? !fnmatch(pattern, other->label, 0) : !strcmp(pattern, other->label);

        if (!matches || other == instance || !cells_agree(globals, instance, other)) continue;
        add_input(instance, option, i, other->name, NULL);
        found++;
    }
    return found;
}

static int fail_many(const struct recipe *recipe, const struct instance *instance,
                     const struct option *option, const struct node *value, struct error *err) {
    const char *first = NULL, *second = NULL;

    for (int i = 0; i < instance->input_count && !second; i++)
        if (instance->inputs[i].option == option) {
            second = first ? instance->inputs[i].text : NULL;
            first = first ? first : instance->inputs[i].text;
        }
    return fail(err, "%s:%d: '%s' takes one step, but '%s' means several here (%s, %s, ...)", recipe->path,
                value->line, option->name, value->text, first, second ? second : "");
}

static int fail_nothing(const struct recipe *recipe, const struct instance *instance,
                        const struct option *option, const struct node *value, struct error *err) {
    struct names names = {0};
    char *hint;

    if (!strcmp(instance->label, value->text))
        return fail(err, "%s:%d: %s: the step '%s' cannot wait for itself", recipe->path, value->line,
                    option->name, value->text);
    for (int i = 0; i < recipe->count; i++) names_add(&names, recipe->steps[i].label);
    hint = names_hint(&names, value->text);
    fail(err, "%s:%d: %s: there is no step '%s', nor a file or folder of that name%s", recipe->path,
         value->line, option->name, value->text, hint);
    free(hint);
    free(names.items);
    return -1;
}

/* Adds the path if it is there: 1, else 0. */
static int add_path(struct recipe *recipe, struct instance *instance, const struct option *option,
                    const char *text) {
    char *path = path_from(recipe->path, text);

    if (file_exists(path)) {
        add_input(instance, option, -1, text, path);
        return 1;
    }
    free(path);
    return 0;
}

static int fail_file(const struct recipe *recipe, const struct option *option, const struct node *value,
                     struct error *err) {
    char *path = path_from(recipe->path, value->text), *fetch = public_file_fetch(path);

    fail(err, "%s:%d: %s: there is no file or folder '%s' beside the recipe%s%s%s", recipe->path, value->line,
         option->name, value->text, fetch ? "; '" : "", fetch ? fetch : "",
         fetch ? "' downloads it, and --set can name another" : "");
    free(fetch);
    free(path);
    return -1;
}

static int can_be_fetched(const struct recipe *recipe, const char *text) {
    char *path = path_from(recipe->path, text), *fetch = public_file_fetch(path);
    int can = fetch != NULL;

    free(fetch);
    free(path);
    return can;
}

/* A step that the option names and has no use for. */
static int check_stages(const struct recipe *recipe, const struct instance *instance,
                        const struct option *option, const struct node *value, struct error *err) {
    for (int i = 0; option->choices && i < instance->input_count; i++) {
        const struct input *input = &instance->inputs[i];
        const struct instance *step = input->step < 0 ? NULL : &recipe->steps[input->step];

        if (input->option != option || !step || has_word(option->choices, step->stage->name)) continue;
        return fail(err, "%s:%d: %s needs a step of %s, and '%s' is one of %s (%s)", recipe->path,
                    value->line, option->name, option->choices, step->label, step->stage->name, option->help);
    }
    return 0;
}

static int link_one(struct recipe *recipe, struct instance *instance, const struct option *option,
                    const struct node *value, struct error *err) {
    int found;

    if (value->kind != NODE_STRING)
        return fail(err, "%s:%d: '%s' must be a name (%s)", recipe->path, value->line, option->name,
                    option->help);
    if (option->kind == OPTION_FILE) {
        if (add_path(recipe, instance, option, value->text)) return 0;
        return fail_file(recipe, option, value, err);
    }
    found = add_steps(recipe, instance, option, value->text);
    if (found > 1 && option->kind == OPTION_STEP) return fail_many(recipe, instance, option, value, err);
    if (check_stages(recipe, instance, option, value, err)) return -1;
    if (found || add_path(recipe, instance, option, value->text)) return 0;
    if (can_be_fetched(recipe, value->text)) return fail_file(recipe, option, value, err);
    return fail_nothing(recipe, instance, option, value, err);
}

static int is_reference(const struct option *option) {
    return option->kind == OPTION_STEP || option->kind == OPTION_STEPS || option->kind == OPTION_FILE;
}

/* What link_judge_file() needs. */
struct linking {
    struct recipe *recipe;
    struct instance *instance;
};

static int link_judge_file(void *context, const struct option *option, struct node *value,
                           struct error *err) {
    const struct linking *linking = context;

    if (link_one(linking->recipe, linking->instance, option, value, err)) return -1;
    linking->instance->inputs[linking->instance->input_count - 1].nested = 1;
    return 0;
}

static int link_judges(struct recipe *recipe, struct instance *instance, const struct node *value,
                       struct error *err) {
    struct linking linking = {recipe, instance};

    if (!value || value->kind != NODE_LIST) return 0;
    return judge_list_files((struct node *)value, link_judge_file, &linking, err);
}

static int link_instance(struct recipe *recipe, struct instance *instance, struct error *err) {
    for (const struct option *option = instance->stage->options; option->name; option++) {
        const struct node *value = node_get(instance->options, option->name);
        int is_list;

        if (option->kind == OPTION_JUDGES && link_judges(recipe, instance, value, err)) return -1;
        if (!value || !is_reference(option) || value->kind == NODE_NULL) continue;
        if (value->text && !*value->text) continue;
        is_list = option->kind == OPTION_STEPS && value->kind == NODE_LIST;
        for (const struct node *one = is_list ? value->first : value; one; one = is_list ? one->next : NULL)
            if (link_one(recipe, instance, option, one, err)) return -1;
    }
    return 0;
}

static int fail_cycle(const struct recipe *recipe, const int *place, struct error *err) {
    struct text names = {0};
    int line = 0, status;

    for (int i = 0; i < recipe->count; i++)
        if (place[i] < 0) {
            line = line ? line : recipe->steps[i].line;
            text_printf(&names, "%s%s", names.length ? ", " : "", recipe->steps[i].name);
        }
    status = fail(err, "%s:%d: these steps wait for each other: %.600s", recipe->path, line, names.data);
    free(names.data);
    return status;
}

static int is_ready(const struct instance *instance, const int *place) {
    for (int i = 0; i < instance->input_count; i++)
        if (instance->inputs[i].step >= 0 && place[instance->inputs[i].step] < 0) return 0;
    return 1;
}

/* Kahn's order, the recipe's own where it is free. */
static int sort(struct recipe *recipe, struct error *err) {
    struct instance *sorted = xcalloc((size_t)recipe->count, sizeof *sorted);
    int *place = xmalloc((size_t)recipe->count * sizeof *place), placed = 0, status = 0;

    for (int i = 0; i < recipe->count; i++) place[i] = -1;
    while (placed < recipe->count && !status) {
        int before = placed;

        for (int i = 0; i < recipe->count; i++)
            if (place[i] < 0 && is_ready(&recipe->steps[i], place)) place[i] = placed++;
        if (placed == before) status = fail_cycle(recipe, place, err);
    }
    for (int i = 0; i < recipe->count && !status; i++) sorted[place[i]] = recipe->steps[i];
    for (int i = 0; i < recipe->count && !status; i++)
        for (int j = 0; j < sorted[i].input_count; j++)
            if (sorted[i].inputs[j].step >= 0) sorted[i].inputs[j].step = place[sorted[i].inputs[j].step];
    if (!status) memcpy(recipe->steps, sorted, (size_t)recipe->count * sizeof *sorted);
    free(sorted);
    free(place);
    return status;
}

int recipe_link(struct recipe *recipe, struct error *err) {
    for (int i = 0; i < recipe->count; i++)
        if (link_instance(recipe, &recipe->steps[i], err)) return -1;
    return sort(recipe, err);
}
