#include "harness/recipe.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/judge_list.h"
#include "harness/matrix.h"
#include "harness/memory.h"
#include "harness/names.h"

/* Fails unless the map has no other keys than these. */
static int check_keys(const struct node *map, const char *const *keys, const char *where, struct error *err) {
    struct names names = {0};
    int status = 0;

    for (; *keys; keys++) names_add(&names, *keys);
    for (const struct node *child = map->first; child && !status; child = child->next) {
        int known = 0;
        char *hint;

        for (int i = 0; i < names.count; i++) known |= !strcmp(names.items[i], child->key);
        if (known) continue;
        hint = names_hint(&names, child->key);
        status = fail(err, "%s:%d: unknown key '%s'%s", where, child->line, child->key, hint);
        free(hint);
    }
    free(names.items);
    return status;
}

/* Names become folders: letters, digits, '-', '_' and dots, parts joined by '/' where slashes > 0. */
static int check_name(const char *name, int slashes, const char *what, const char *where, int line,
                      struct error *err) {
    const char *part = name;

    for (const char *at = name;; at++) {
        if (*at && (isalnum((unsigned char)*at) || strchr("-_.", *at))) continue;
        if (at == part || *part == '.') break;
        if (!*at) {
            size_t length = strlen(name);

            if (length > 80 || (length >= 8 && !strcmp(name + length - 8, ".partial"))) break;
            return 0;
        }
        if (*at != '/' || !slashes) break;
        part = at + 1;
    }
    return fail(err,
                "%s:%d: %s '%s' cannot be a folder's name: letters, digits, '-', '_' and inner dots, "
                "80 at most",
                where, line, what, name);
}

static int check_values(const struct node *variable, int slashes, const char *where, struct error *err) {
    const struct node *one = variable->kind == NODE_LIST ? variable->first : variable;

    if (!one) return fail(err, "%s:%d: '%s' has no values", where, variable->line, variable->key);
    for (; one; one = variable->kind == NODE_LIST ? one->next : NULL) {
        char *spelling;
        int status;

        if (!matrix_is_scalar(one))
            return fail(err, "%s:%d: values of '%s' must be words or numbers", where, one->line,
                        variable->key);
        spelling = matrix_spelling(one);
        status = check_name(spelling, slashes, "the value", where, one->line, err);
        free(spelling);
        if (status) return -1;
    }
    return 0;
}

/* A matrix: variables and their values; `outer` holds the names that are taken. */
static int check_matrix(const struct node *matrix, const struct node *outer, const char *where,
                        struct error *err) {
    if (!matrix) return 0;
    if (matrix->kind != NODE_MAP)
        return fail(err, "%s:%d: matrix must be a map of variables and lists of values", where, matrix->line);
    for (const struct node *variable = matrix->first; variable; variable = variable->next) {
        if (check_name(variable->key, 0, "the variable", where, variable->line, err)) return -1;
        if (node_get(outer, variable->key))
            return fail(err, "%s:%d: '%s' is a variable of the whole recipe already; choose another name",
                        where, variable->line, variable->key);
        if (check_values(variable, outer != NULL, where, err)) return -1;
    }
    return 0;
}

static int contains(const struct node *list, const char *text) {
    const struct node *one = list && list->kind == NODE_LIST ? list->first : list;

    for (; one; one = list->kind == NODE_LIST ? one->next : NULL)
        if (one->text && !strcmp(one->text, text)) return 1;
    return 0;
}

static int check_over(const struct node *over, const struct node *matrix, const char *where,
                      struct error *err) {
    const struct node *one = over && over->kind == NODE_LIST ? over->first : over;
    struct names names = {0};
    int status = 0;

    names_add_keys(&names, matrix);
    for (; one && !status; one = over->kind == NODE_LIST ? one->next : NULL) {
        const char *name = one->text ? one->text : "";
        char *hint;

        if (node_get(matrix, name)) continue;
        hint = names_hint(&names, name);
        status =
            fail(err, "%s:%d: over: the recipe has no matrix variable '%s'%s", where, one->line, name, hint);
        free(hint);
    }
    free(names.items);
    return status;
}

static const struct stage *stage_of(const struct node *step, const char *where, struct error *err) {
    const struct node *use = node_get(step, "use");
    const struct stage *stage = use && use->text ? stage_find(use->text) : NULL;
    struct names names = {0};
    char *hint;

    if (stage) return stage;
    for (int i = 0; stages[i]; i++) names_add(&names, stages[i]->name);
    hint = names_hint(&names, use && use->text ? use->text : "");
    if (use && use->text)
        fail(err, "%s:%d: there is no stage '%s'%s", where, use->line, use->text, hint);
    else
        fail(err, "%s:%d: step '%s' does not say which stage it uses (use: sft)%s", where, step->line,
             step->key, hint);
    free(hint);
    free(names.items);
    return NULL;
}

static int check_step(const struct recipe *recipe, const struct node *step, struct error *err) {
    const struct node *matrix = node_get(recipe->tree, "matrix"), *local = node_get(step, "matrix");
    struct node *none = node_new(NODE_MAP);
    int status = -1;

    if (check_name(step->key, 0, "the step", recipe->path, step->line, err)) goto out;
    if (strchr(step->key, '.')) {
        fail(err, "%s:%d: the step '%s' has a dot in its name; use '-'", recipe->path, step->line, step->key);
        goto out;
    }
    if (step->kind != NODE_MAP) {
        fail(err, "%s:%d: step '%s' must be a map such as {use: sft, data: data}", recipe->path, step->line,
             step->key);
        goto out;
    }
    if (!stage_of(step, recipe->path, err)) goto out;
    if (check_matrix(local, matrix ? matrix : none, recipe->path, err)) goto out;
    status = check_over(node_get(step, "over"), matrix, recipe->path, err);
out:
    node_free(none);
    return status;
}

static const struct option *option_of(const struct stage *stage, const char *name) {
    for (const struct option *option = stage->options; option->name; option++)
        if (!strcmp(option->name, name)) return option;
    return NULL;
}

static int read_seed(struct instance *instance, const char *where, struct error *err) {
    const struct node *seed = node_get(instance->options, "seed");

    if (!seed || seed->kind == NODE_NULL) seed = node_get(instance->matrix, "seed");
    instance->seed = 1;
    if (!seed || seed->kind == NODE_NULL) return 0;
    if (seed->kind != NODE_NUMBER || seed->number < 0 || seed->number > 0x1p53 ||
        seed->number != floor(seed->number))
        return fail(err, "%s:%d: seed must be a whole number from 0 on", where, seed->line);
    instance->seed = (uint64_t)seed->number;
    return 0;
}

/* The step's own keys and what belongs to the stage are apart; `seed` goes to the stage if it knows it. */
static struct node *stage_options(const struct instance *instance, const struct node *given) {
    struct node *out = node_new(NODE_MAP);

    out->line = given->line;
    for (const struct node *child = given->first; child; child = child->next)
        if (strcmp(child->key, "seed")) node_add_copy(out, child->key, child);
    if (option_of(instance->stage, "seed")) node_add_number(out, "seed", (double)instance->seed);
    return out;
}

static int read_options(struct instance *instance, const struct node *step, const char *where,
                        struct error *err) {
    static const char *const own[] = {"use", "matrix", "over"};
    struct node *given = node_new(NODE_MAP);

    given->line = step->line;
    for (const struct node *child = step->first; child; child = child->next) {
        int is_own = 0;

        for (size_t i = 0; i < sizeof own / sizeof *own; i++) is_own |= !strcmp(own[i], child->key);
        if (!is_own) node_add_copy(given, child->key, child);
    }
    instance->options = matrix_replace(given, instance->matrix, where, err);
    node_free(given);
    if (!instance->options || read_seed(instance, where, err)) return -1;
    given = instance->options;
    instance->options = stage_options(instance, given);
    node_free(given);
    return 0;
}

static void name_instance(struct instance *instance, const char *step, const struct node *globals) {
    struct text name = {0}, label = {0};

    text_printf(&label, "%s", step);
    for (const struct node *value = instance->matrix->first; value; value = value->next) {
        char *spelling = matrix_spelling(value);

        if (node_get(globals, value->key))
            text_printf(&name, "%s/", spelling);
        else
            text_printf(&label, "/%s", spelling);
        free(spelling);
    }
    text_add(&name, label.data, label.length);
    instance->name = name.data;
    instance->label = label.data;
}

static int add_instance(struct recipe *recipe, const struct node *step, struct node *cell,
                        struct error *err) {
    struct instance *made;

    recipe->steps = xrealloc(recipe->steps, (size_t)recipe->count + 1, sizeof *recipe->steps);
    made = &recipe->steps[recipe->count++];
    *made = (struct instance){.matrix = node_new(NODE_MAP), .line = step->line};
    for (const struct node *value = cell->first; value; value = value->next)
        node_add_copy(made->matrix, value->key, value);
    name_instance(made, step->key, node_get(recipe->tree, "matrix"));
    made->stage = stage_of(step, recipe->path, err);
    return read_options(made, step, recipe->path, err);
}

/* One instance for every combination of the values of `variable` and those after it. */
static int add_cells(struct recipe *recipe, const struct node *step, const struct node *variable,
                     struct node *cell, struct error *err) {
    int is_list;

    if (!variable) return add_instance(recipe, step, cell, err);
    is_list = variable->kind == NODE_LIST;
    for (const struct node *one = is_list ? variable->first : variable; one;
         one = is_list ? one->next : NULL) {
        struct node *longer = node_new(NODE_MAP);
        int status;

        for (const struct node *value = cell->first; value; value = value->next)
            node_add_copy(longer, value->key, value);
        node_add_copy(longer, variable->key, one);
        status = add_cells(recipe, step, variable->next, longer, err);
        node_free(longer);
        if (status) return -1;
    }
    return 0;
}

static int expand_step(struct recipe *recipe, const struct node *step, struct error *err) {
    const struct node *matrix = node_get(recipe->tree, "matrix"), *local = node_get(step, "matrix");
    struct node *variables = node_new(NODE_MAP), *cell = node_new(NODE_MAP);
    int status;

    for (const struct node *one = matrix ? matrix->first : NULL; one; one = one->next)
        if (!contains(node_get(step, "over"), one->key)) node_add_copy(variables, one->key, one);
    for (const struct node *one = local ? local->first : NULL; one; one = one->next)
        node_add_copy(variables, one->key, one);
    status = add_cells(recipe, step, variables->first, cell, err);
    node_free(variables);
    node_free(cell);
    return status;
}

/* Folders of steps must not lie in each other. */
static int check_distinct(const struct recipe *recipe, struct error *err) {
    for (int i = 0; i < recipe->count; i++)
        for (int j = 0; j < recipe->count; j++) {
            const char *a = recipe->steps[i].name, *b = recipe->steps[j].name;
            size_t length = strlen(a);

            if (i == j || strncmp(a, b, length) || (b[length] && b[length] != '/')) continue;
            return fail(err,
                        "%s:%d: two steps would share the folder '%s' ('%s'); rename one, or remove a value "
                        "that is there twice",
                        recipe->path, recipe->steps[j].line, a, b);
        }
    return 0;
}

/* The change of a rate that the run sets out to see, as a share. */
static int check_effect(const struct node *effect, const char *where, struct error *err) {
    if (!effect || (effect->kind == NODE_NUMBER && effect->number > 0 && effect->number <= 1)) return 0;
    return fail(err, "%s:%d: effect must be a number above 0 and at most 1, the change of a rate", where,
                effect->line);
}

static int read_formats(struct recipe *recipe, struct error *err) {
    static const char *const keys[] = {"formats", "effect", NULL};
    const struct node *report = node_get(recipe->tree, "report"), *formats = node_get(report, "formats");
    struct names names = {0};
    int status = 0;

    recipe->formats = node_new(NODE_LIST);
    for (int i = 0; reports[i]; i++) names_add(&names, reports[i]->name);
    if (report && report->kind != NODE_MAP)
        status = fail(err, "%s:%d: report must be a map such as {formats: [markdown]}", recipe->path,
                      report->line);
    if (!status && report) status = check_keys(report, keys, recipe->path, err);
    if (!status) status = check_effect(node_get(report, "effect"), recipe->path, err);
    if (!status && formats && formats->kind != NODE_LIST)
        status = fail(err, "%s:%d: formats must be a list of reports", recipe->path, formats->line);
    for (const struct node *one = formats ? formats->first : NULL; one && !status; one = one->next) {
        int known = 0;
        char *hint;

        for (int i = 0; i < names.count; i++) known |= one->text && !strcmp(names.items[i], one->text);
        if (known) {
            node_add_copy(recipe->formats, NULL, one);
            continue;
        }
        hint = names_hint(&names, one->text ? one->text : "");
        status = fail(err, "%s:%d: there is no report '%s'%s", recipe->path, one->line,
                      one->text ? one->text : "", hint);
        free(hint);
    }
    for (int i = 0; !formats && i < names.count; i++) node_add_text(recipe->formats, NULL, names.items[i]);
    free(names.items);
    return status;
}

static int check_top(struct recipe *recipe, struct error *err) {
    static const char *const keys[] = {"name", "title", "matrix", "steps", "report", NULL};
    const struct node *name = node_get(recipe->tree, "name"), *steps = node_get(recipe->tree, "steps");
    const struct node *title = node_get(recipe->tree, "title");

    if (recipe->tree->kind != NODE_MAP)
        return fail(err, "%s: a recipe is a map with name and steps", recipe->path);
    if (check_keys(recipe->tree, keys, recipe->path, err)) return -1;
    if (!name || !name->text)
        return fail(err, "%s:%d: the recipe has no name (name: quickstart)", recipe->path,
                    name ? name->line : recipe->tree->line);
    if (check_name(name->text, 0, "the name", recipe->path, name->line, err)) return -1;
    if (title && !title->text) return fail(err, "%s:%d: title must be a text", recipe->path, title->line);
    if (!steps || steps->kind != NODE_MAP || !steps->first)
        return fail(err, "%s:%d: steps must be a map of one step or more", recipe->path,
                    steps ? steps->line : recipe->tree->line);
    recipe->name = xstrdup(name->text);
    recipe->title = xstrdup(title ? title->text : name->text);
    return check_matrix(node_get(recipe->tree, "matrix"), NULL, recipe->path, err);
}

static int apply_overrides(struct recipe *recipe, const char *const *overrides, int count,
                           struct error *err) {
    for (int i = 0; i < count; i++) {
        struct node *changed = recipe_override(recipe->tree, overrides[i], recipe->path, err);

        if (!changed) return -1;
        node_free(recipe->tree);
        recipe->tree = changed;
    }
    return 0;
}

static int check_options(const struct recipe *recipe, struct error *err) {
    for (int i = 0; i < recipe->count; i++) {
        struct node *all = instance_resolve(&recipe->steps[i], recipe->path, input_name, NULL, err);

        if (!all) return -1;
        node_free(all);
        if (recipe->steps[i].stage->check && recipe->steps[i].stage->check(recipe, &recipe->steps[i], err))
            return -1;
    }
    return 0;
}

static int build(struct recipe *recipe, struct error *err) {
    const struct node *steps = node_get(recipe->tree, "steps");
    char *json;

    for (const struct node *step = steps->first; step; step = step->next)
        if (check_step(recipe, step, err) || expand_step(recipe, step, err)) return -1;
    if (check_distinct(recipe, err) || recipe_link(recipe, err) || check_options(recipe, err)) return -1;
    json = node_json(recipe->tree, 0);
    hash_bytes(recipe->hash, json, strlen(json));
    free(json);
    return read_formats(recipe, err);
}

int recipe_read(struct recipe *out, const char *path, const char *const *overrides, int count,
                struct error *err) {
    struct recipe recipe = {
        .path = xstrdup(path), .tree = document_read(path, err), .overrides = node_new(NODE_LIST)};

    for (int i = 0; i < count; i++) node_add_text(recipe.overrides, NULL, overrides[i]);
    if (recipe.tree && !apply_overrides(&recipe, overrides, count, err) && !check_top(&recipe, err) &&
        !build(&recipe, err)) {
        *out = recipe;
        return 0;
    }
    recipe_free(&recipe);
    return -1;
}

static void free_instance(struct instance *instance) {
    for (int i = 0; i < instance->input_count; i++) {
        free(instance->inputs[i].text);
        free(instance->inputs[i].path);
    }
    free(instance->inputs);
    free(instance->name);
    free(instance->label);
    node_free(instance->options);
    node_free(instance->matrix);
}

void recipe_free(struct recipe *recipe) {
    for (int i = 0; i < recipe->count; i++) free_instance(&recipe->steps[i]);
    free(recipe->steps);
    free(recipe->path);
    free(recipe->name);
    free(recipe->title);
    node_free(recipe->tree);
    node_free(recipe->overrides);
    node_free(recipe->formats);
    *recipe = (struct recipe){0};
}

char *input_name(void *context, const struct input *input) {
    (void)context;
    return xstrdup(input->text);
}

/* What spell() says of files that judges' options name. */
struct respelling {
    const struct instance *instance;
    char *(*spell)(void *context, const struct input *input);
    void *context;
};

static int respell(void *context, const struct option *option, struct node *value, struct error *err) {
    const struct respelling *all = context;

    (void)err;
    for (int i = 0; i < all->instance->input_count; i++) {
        const struct input *input = &all->instance->inputs[i];

        if (input->option != option || !input->nested || strcmp(input->text, value->text)) continue;
        free(value->text);
        value->text = all->spell(all->context, input);
        break;
    }
    return 0;
}

static const struct option *find_option(const struct stage *stage, const char *name) {
    for (const struct option *option = stage->options; option->name; option++)
        if (!strcmp(option->name, name)) return option;
    return NULL;
}

/* An option that names no input itself; judges may. */
static void add_plain(struct node *out, const struct instance *instance, const struct node *value,
                      char *(*spell)(void *context, const struct input *input), void *context) {
    const struct option *option = find_option(instance->stage, value->key);
    struct respelling all = {instance, spell, context};
    struct node *copy = node_add_copy(out, value->key, value);
    struct error ignored;

    if (option && option->kind == OPTION_JUDGES && copy->kind == NODE_LIST)
        judge_list_files(copy, respell, &all, &ignored);
}

static void add_inputs(struct node *out, const struct instance *instance, const struct node *value,
                       char *(*spell)(void *context, const struct input *input), void *context) {
    struct node *list = NULL;

    for (int i = 0; i < instance->input_count; i++) {
        const struct input *input = &instance->inputs[i];
        char *text;

        if (input->nested || strcmp(input->option->name, value->key)) continue;
        text = spell(context, input);
        if (input->option->kind == OPTION_STEPS && !list) {
            list = node_add(out, value->key, NODE_LIST);
            list->line = value->line;
        }
        node_add_text(list ? list : out, list ? NULL : value->key, text)->line = value->line;
        free(text);
    }
}

static int has_inputs(const struct instance *instance, const char *option) {
    for (int i = 0; i < instance->input_count; i++)
        if (!instance->inputs[i].nested && !strcmp(instance->inputs[i].option->name, option)) return 1;
    return 0;
}

struct node *instance_options(const struct instance *instance,
                              char *(*spell)(void *context, const struct input *input), void *context) {
    struct node *out = node_new(NODE_MAP);

    out->line = instance->options->line;
    for (const struct node *value = instance->options->first; value; value = value->next)
        if (has_inputs(instance, value->key))
            add_inputs(out, instance, value, spell, context);
        else
            add_plain(out, instance, value, spell, context);
    return out;
}

struct node *instance_resolve(const struct instance *instance, const char *where,
                              char *(*spell)(void *context, const struct input *input), void *context,
                              struct error *err) {
    const struct stage *stage = instance->stage;
    void *settings = xcalloc(1, options_size(stage->options));
    struct node *given = instance_options(instance, spell, context), *all = NULL;

    if (!options_read(stage->options, stage->presets, given, where, settings, err) &&
        !judge_lists_check(stage->options, given, where, err))
        all = options_describe(stage->options, settings);
    node_free(given);
    free(settings);
    return all;
}
