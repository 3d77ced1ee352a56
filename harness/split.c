#include "harness/split.h"

#include <stdlib.h>
#include <string.h>

#include "harness/dialogue.h"
#include "harness/memory.h"
#include "harness/overlap.h"

enum { PROMPT_SHOWN = 300 /* bytes */, PAIRS_LISTED = 1000 };

/* From the least to the most held out. */
static const char *const splits[] = {"train", "heldout", "ood"};

static int rank_of(const char *split) {
    for (int i = 0; i < 3; i++)
        if (!strcmp(split, splits[i])) return i;
    return 1;
}

const char *split_named(const char *word, const struct node *names) {
    static const char *const usual[][2] = {
        {"train", "train"},  {"heldout", "heldout"},    {"held-out", "heldout"},
        {"test", "heldout"}, {"validation", "heldout"}, {"valid", "heldout"},
        {"dev", "heldout"},  {"eval", "heldout"},       {"ood", "ood"}};
    const char *named = word && names ? node_text(names, word, NULL) : NULL;

    if (names) return named;
    for (size_t i = 0; word && i < sizeof usual / sizeof *usual; i++)
        if (!strcmp(word, usual[i][0])) return usual[i][1];
    return NULL;
}

/* One prompt's normal form, and the first example that has it. */
struct prompt {
    char *normal;
    int example, rank, highest; /* highest: rank of what resembles it */
};

static int by_normal(const void *a, const void *b) {
    const struct prompt *x = a, *y = b;
    int order = strcmp(x->normal, y->normal);

    return order ? order : x->example - y->example;
}

static int by_example(const void *a, const void *b) {
    const struct prompt *x = a, *y = b;

    return x->example - y->example;
}

/* Prompts that differ, in the order of their first examples; of[i] is the number of example i's. */
struct prompts {
    struct prompt *items;
    int count, *of;
};

static void collect(struct prompts *out, const struct examples *examples) {
    struct prompt *all = xmalloc((size_t)examples->count * sizeof *all + 1);
    int *place = xcalloc((size_t)examples->count + 1, sizeof *place);

    *out = (struct prompts){.of = xcalloc((size_t)examples->count + 1, sizeof *out->of)};
    for (int i = 0; i < examples->count; i++)
        all[i] =
            (struct prompt){prompt_words(examples->items[i].prompt), i, rank_of(examples->items[i].split), 0};
    qsort(all, (size_t)examples->count, sizeof *all, by_normal);
    for (int i = 0; i < examples->count; i++) {
        int same = i && !strcmp(all[i].normal, all[out->count - 1].normal);

        if (same) {
            struct prompt *first = &all[out->count - 1];

            if (all[i].rank > first->rank) first->rank = all[i].rank;
            out->of[all[i].example] = first->example;
            free(all[i].normal);
        } else {
            out->of[all[i].example] = all[i].example;
            all[out->count++] = all[i];
        }
    }
    qsort(all, (size_t)out->count, sizeof *all, by_example);
    for (int i = 0; i < out->count; i++) place[all[i].example] = i;
    for (int i = 0; i < examples->count; i++) out->of[i] = place[out->of[i]];
    free(place);
    out->items = all;
}

static int root_of(int *parents, int i) {
    while (parents[i] != i) i = parents[i] = parents[parents[i]];
    return i;
}

/* Everything that resembles each other, over however many steps, gets the highest rank among it. */
static int move_alike(struct prompts *prompts, const struct near_pairs *pairs) {
    int *parents = xmalloc((size_t)prompts->count * sizeof *parents + 1), moved = 0;

    for (int i = 0; i < prompts->count; i++) parents[i] = i;
    for (int i = 0; i < pairs->count; i++) {
        int a = root_of(parents, pairs->items[i].a), b = root_of(parents, pairs->items[i].b);

        parents[a < b ? b : a] = a < b ? a : b;
    }
    for (int i = 0; i < prompts->count; i++) {
        struct prompt *root = &prompts->items[root_of(parents, i)];

        if (prompts->items[i].rank > root->highest) root->highest = prompts->items[i].rank;
    }
    for (int i = 0; i < prompts->count; i++) {
        int rank = prompts->items[root_of(parents, i)].highest;

        moved += rank > prompts->items[i].rank;
        prompts->items[i].rank = rank;
    }
    free(parents);
    return moved;
}

static char *shown(const char *prompt) {
    size_t length = strlen(prompt);

    if (length > PROMPT_SHOWN)
        for (length = PROMPT_SHOWN; (prompt[length] & 0xC0) == 0x80;) length--;
    return xstrndup(prompt, length);
}

static void add_pair(struct node *list, const struct examples *examples, const struct prompts *prompts,
                     const struct near_pair *pair) {
    const int sides[] = {pair->a, pair->b};
    struct node *map = node_add(list, NULL, NODE_MAP), *names, *texts;

    for (int i = 0; i < 2; i++)
        node_add_text(map, i ? "b" : "a", examples->items[prompts->items[sides[i]].example].id);
    node_add_number(map, "similarity", pair->similarity);
    names = node_add(map, "splits", NODE_LIST);
    texts = node_add(map, "prompts", NODE_LIST);
    for (int i = 0; i < 2; i++) {
        char *text = shown(examples->items[prompts->items[sides[i]].example].prompt);

        node_add_text(names, NULL, splits[prompts->items[sides[i]].rank]);
        node_add_text(texts, NULL, text);
        free(text);
    }
}

static int by_similarity(const void *a, const void *b) {
    const struct near_pair *x = a, *y = b;

    if (x->similarity != y->similarity) return x->similarity > y->similarity ? -1 : 1;
    return x->a != y->a ? x->a - y->a : x->b - y->b;
}

/* Those of different splits alone are told. */
static void tell_pairs(struct split_report *out, const struct examples *examples,
                       const struct prompts *prompts, const struct near_pairs *pairs) {
    struct near_pair *across = xmalloc((size_t)pairs->count * sizeof *across + 1);

    for (int i = 0; i < pairs->count; i++)
        if (prompts->items[pairs->items[i].a].rank != prompts->items[pairs->items[i].b].rank)
            across[out->near_pairs++] = pairs->items[i];
    qsort(across, (size_t)out->near_pairs, sizeof *across, by_similarity);
    for (int i = 0; i < out->near_pairs && i < PAIRS_LISTED; i++)
        add_pair(out->pairs, examples, prompts, &across[i]);
    free(across);
}

static void drop_alike(const struct prompts *prompts, const struct near_pairs *pairs, char *leave) {
    for (int i = 0; i < pairs->count; i++) {
        int a = pairs->items[i].a, b = pairs->items[i].b;

        if (prompts->items[a].rank < prompts->items[b].rank) leave[a] = 1;
        if (prompts->items[b].rank < prompts->items[a].rank) leave[b] = 1;
    }
}

static void mend_alike(struct split_report *out, struct prompts *prompts, const struct examples *examples,
                       enum near_action action, double least, char *leave) {
    const char **texts = xmalloc((size_t)prompts->count * sizeof *texts + 1);
    int *groups = xmalloc((size_t)prompts->count * sizeof *groups + 1);
    struct near_pairs pairs;

    for (int i = 0; i < prompts->count; i++) {
        texts[i] = prompts->items[i].normal;
        groups[i] = prompts->items[i].rank;
    }
    near_find(&pairs, texts, action == NEAR_MOVE ? NULL : groups, prompts->count, least);
    out->passed_over = pairs.passed_over;
    tell_pairs(out, examples, prompts, &pairs);
    if (action == NEAR_MOVE) out->near_moved = move_alike(prompts, &pairs);
    if (action == NEAR_DROP) drop_alike(prompts, &pairs, leave);
    near_free(&pairs);
    free(texts);
    free(groups);
}

void split_mend(struct split_report *out, struct examples *examples, enum near_action action, double least,
                char *dropped) {
    struct prompts prompts;
    char *leave;

    *out = (struct split_report){.pairs = node_new(NODE_LIST)};
    collect(&prompts, examples);
    leave = xcalloc((size_t)prompts.count + 1, 1);
    out->prompts = prompts.count;
    for (int i = 0; i < examples->count; i++)
        out->same_moved += prompts.items[prompts.of[i]].rank != rank_of(examples->items[i].split);
    if (action != NEAR_IGNORE) mend_alike(out, &prompts, examples, action, least, leave);
    for (int i = 0; i < prompts.count; i++) out->near_dropped += leave[i];
    for (int i = 0; i < examples->count; i++) {
        const char *split = splits[prompts.items[prompts.of[i]].rank];

        dropped[i] |= leave[prompts.of[i]];
        if (!strcmp(split, examples->items[i].split)) continue;
        free(examples->items[i].split);
        examples->items[i].split = xstrdup(split);
    }
    for (int i = 0; i < prompts.count; i++) free(prompts.items[i].normal);
    free(prompts.items);
    free(prompts.of);
    free(leave);
}

void split_report_free(struct split_report *report) {
    node_free(report->pairs);
    *report = (struct split_report){0};
}
