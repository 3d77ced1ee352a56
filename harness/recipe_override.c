#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/names.h"
#include "harness/recipe.h"

enum { PARTS = 16 };

/* "steps.ppo.iterations" cut at its dots. */
struct route {
    char *parts[PARTS];
    int count;
};

static int fail_part(const char *override, const char *what, const char *part, struct names *names,
                     struct error *err) {
    char *hint = names_hint(names, part);

    fail(err, "--set %s: there is no %s '%s'%s", override, what, part, hint);
    free(hint);
    free(names->items);
    return -1;
}

static int check_key(const struct node *map, const char *part, const char *what, const char *override,
                     struct error *err) {
    struct names names = {0};

    if (node_get(map, part)) return 0;
    names_add_keys(&names, map);
    return fail_part(override, what, part, &names, err);
}

static int check_option(const struct node *step, const struct route *route, const char *override,
                        struct error *err) {
    const struct stage *stage = stage_find(node_text(step, "use", ""));
    struct names names = {0};

    for (const char *const *word = (const char *const[]){"use", "matrix", "over", "seed", NULL}; *word;
         word++)
        names_add(&names, *word);
    if (stage && stage->presets) names_add(&names, "preset");
    for (const struct option *option = stage ? stage->options : NULL; option && option->name; option++)
        names_add(&names, option->name);
    for (int i = 0; i < names.count; i++)
        if (!strcmp(names.items[i], route->parts[2])) {
            free(names.items);
            return 0;
        }
    return fail_part(override, "option", route->parts[2], &names, err);
}

static int check_step_route(const struct node *tree, const struct route *route, const char *override,
                            struct error *err) {
    const struct node *steps = node_get(tree, "steps"), *step;

    if (route->count < 3)
        return fail(err, "--set %s: an option is missing: steps.STEP.OPTION=VALUE", override);
    if (check_key(steps, route->parts[1], "step", override, err)) return -1;
    step = node_get(steps, route->parts[1]);
    if (check_option(step, route, override, err)) return -1;
    if (route->count > 3 && !strcmp(route->parts[2], "matrix"))
        return check_key(node_get(step, "matrix"), route->parts[3], "matrix variable", override, err);
    return 0;
}

static int check_route(const struct node *tree, const struct route *route, const char *override,
                       struct error *err) {
    static const char *const tops[] = {"name", "title", "matrix", "steps", "report"};
    struct names names = {0};
    const char *top = route->parts[0];
    int known = 0;

    for (size_t i = 0; i < sizeof tops / sizeof *tops; i++) {
        names_add(&names, tops[i]);
        known |= !strcmp(tops[i], top);
    }
    if (!known) return fail_part(override, "key", top, &names, err);
    free(names.items);
    if (!strcmp(top, "steps")) return check_step_route(tree, route, override, err);
    if (!strcmp(top, "matrix") && route->count > 1)
        return check_key(node_get(tree, "matrix"), route->parts[1], "matrix variable", override, err);
    return 0;
}

static int cut(struct route *route, char *path, const char *override, struct error *err) {
    for (char *part = path; part;) {
        char *dot = strchr(part, '.');

        if (dot) *dot++ = 0;
        if (!*part || route->count == PARTS)
            return fail(err,
                        "--set %s: expected KEY=VALUE with keys joined by dots, "
                        "such as steps.ppo.iterations=5",
                        override);
        route->parts[route->count++] = part;
        part = dot;
    }
    return 0;
}

static void set_lines(struct node *node, int line) {
    node->line = line;
    for (struct node *child = node->first; child; child = child->next) set_lines(child, line);
}

/* Fills `out` with the map's children, the one along the route replaced or added. */
static void put(struct node *out, const struct node *map, char *const *parts, int count,
                const struct node *value) {
    const struct node *old = node_get(map, parts[0]);
    struct node *made;

    for (const struct node *child = map ? map->first : NULL; child && map->kind == NODE_MAP;
         child = child->next)
        if (child != old) {
            node_add_copy(out, child->key, child);
        } else if (count > 1) {
            made = node_add(out, child->key, NODE_MAP);
            made->line = old->line;
            put(made, old, parts + 1, count - 1, value);
        } else {
            set_lines(node_add_copy(out, child->key, value), old->line);
        }
    if (old) return;
    if (count > 1) {
        made = node_add(out, parts[0], NODE_MAP);
        made->line = out->line;
        put(made, NULL, parts + 1, count - 1, value);
    } else {
        set_lines(node_add_copy(out, parts[0], value), out->line);
    }
}

static struct node *value_of(const char *spelling, const char *override, struct error *err) {
    char *name = xprintf("--set %s", override);
    struct node *value = *spelling ? document_parse_value(spelling, name, err) : node_new(NODE_NULL);

    free(name);
    return value;
}

struct node *recipe_override(const struct node *tree, const char *override, const char *where,
                             struct error *err) {
    const char *equals = strchr(override, '=');
    char *path = xstrndup(override, equals ? (size_t)(equals - override) : strlen(override));
    struct route route = {0};
    struct node *value = NULL, *out = NULL;

    if (!equals) {
        fail(err, "--set %s: '=' and a value are missing", override);
        goto out;
    }
    if (tree->kind != NODE_MAP) {
        fail(err, "%s: expected a map with name and steps", where);
        goto out;
    }
    if (cut(&route, path, override, err) || check_route(tree, &route, override, err)) goto out;
    value = value_of(equals + 1, override, err);
    if (!value) goto out;
    out = node_new(NODE_MAP);
    out->line = tree->line;
    put(out, tree, route.parts, route.count, value);
out:
    node_free(value);
    free(path);
    return out;
}
