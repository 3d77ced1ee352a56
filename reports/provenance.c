#include "reports/provenance.h"

#include <stdlib.h>
#include <string.h>

#include "harness/format.h"
#include "harness/memory.h"

#define DEPTH 2

static int is_scalar(const struct node *node) {
    return node->kind == NODE_STRING || node->kind == NODE_NUMBER || node->kind == NODE_BOOL;
}

/* As a reader would write it: a string without quotes, else JSON. */
static char *spell(const struct node *node) {
    return node->kind == NODE_STRING ? xstrdup(node->text) : node_json(node, 0);
}

static char *spell_list(const struct node *list) {
    struct text out = {0};

    for (const struct node *item = list->first; item; item = item->next) {
        char *spelt;

        if (!is_scalar(item)) {
            free(out.data);
            return NULL;
        }
        spelt = spell(item);
        text_printf(&out, "%s%s", out.length ? ", " : "", spelt);
        free(spelt);
    }
    return out.data;
}

/* Owns both from then on. */
static void add_fact(struct facts *out, char *name, char *value) {
    out->items = xrealloc(out->items, (size_t)out->count + 1, sizeof *out->items);
    out->items[out->count++] = (struct fact){name, value};
}

static void add_facts(struct facts *out, const char *above, const struct node *map, int depth) {
    for (const struct node *child = map->first; child; child = child->next) {
        char *name = xprintf("%s%s%s", above, *above ? " " : "", child->key), *value = NULL;

        if (is_scalar(child))
            value = spell(child);
        else if (child->kind == NODE_LIST)
            value = spell_list(child);
        else if (child->kind == NODE_MAP && depth < DEPTH && strcmp(child->key, "document"))
            add_facts(out, name, child, depth + 1);
        if (value)
            add_fact(out, name, value);
        else
            free(name);
    }
}

/* "identical 1 of 1, null 1 of 1, gold 2 of 3"; NULL where the judge has none. */
static char *spell_canaries(const struct node *judge) {
    const struct node *canaries = node_get(judge, "canaries");
    struct text out = {0};

    for (const struct node *one = canaries ? canaries->first : NULL; one; one = one->next)
        text_printf(&out, "%s%s %g of %g", out.length ? ", " : "", one->key, node_number(one, "passed", 0),
                    node_number(one, "tried", 0));
    return out.data;
}

/* What each judge of an evaluation says of itself. */
static void add_judges(struct facts *out, const struct results *results,
                       const struct evaluation *evaluation) {
    const struct node *judges = node_get(evaluation->judging, "judges");

    for (const struct node *judge = judges ? judges->first : NULL; judge; judge = judge->next) {
        int several = results->evaluation_count > 1;
        char *name = xprintf("%s%sjudge %s", several ? evaluation->name : "", several ? " " : "", judge->key);
        char *canaries = spell_canaries(judge);

        add_facts(out, name, judge, DEPTH - 1);
        if (canaries) add_fact(out, xprintf("%s canaries passed", name), canaries);
        free(name);
    }
}

void facts_of(struct facts *out, const struct results *results) {
    const struct node *matrix = node_get(node_get(results->manifest, "document"), "matrix");

    *out = (struct facts){0};
    add_facts(out, "", results->manifest, 0);
    if (matrix && matrix->kind == NODE_MAP) add_facts(out, "matrix", matrix, 1);
    for (int i = 0; i < results->evaluation_count; i++) add_judges(out, results, &results->evaluations[i]);
}

void facts_free(struct facts *facts) {
    for (int i = 0; i < facts->count; i++) {
        free(facts->items[i].name);
        free(facts->items[i].value);
    }
    free(facts->items);
    *facts = (struct facts){0};
}

char *command_of(const struct results *results) {
    const struct node *command = node_get(results->manifest, "command");
    const char *recipe = node_text(results->manifest, "recipe", NULL);
    struct text out = {0};

    if (command && command->kind == NODE_STRING) return xstrdup(command->text);
    if (command && command->kind == NODE_LIST) {
        for (const struct node *word = command->first; word; word = word->next)
            text_printf(&out, "%s%s", out.length ? " " : "", word->text ? word->text : "");
        return out.data;
    }
    return recipe ? xprintf("pyrite run %s", recipe) : NULL;
}
