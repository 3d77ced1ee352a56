#include "harness/ratings.h"

#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"

struct call {
    int (*each)(void *context, const struct node *record, int line, struct error *err);
    void *context;
};

static int is_nested(const struct node *record) {
    const struct node *questions = node_get(record, "questions");

    return node_get(record, "passage-id") && questions && questions->kind == NODE_MAP;
}

static void add_rating(struct node *row, const char *key, const struct node *review, const char *field) {
    const struct node *rating = node_get(review, field);

    if (rating)
        node_add_copy(row, key, rating);
    else
        node_add_text(row, key, NULL);
}

static int hand_review(const struct call *call, const char *passage, const char *question, const char *system,
                       const struct node *review, int line, struct error *err) {
    struct node *row = node_new(NODE_MAP);
    char *id = xprintf("%s/%s", passage, question);
    int status;

    node_add_text(row, "passage", passage);
    node_add_text(row, "question", id);
    node_add_text(row, "system", system);
    node_add_text(row, "worker", node_text(review, "worker_id", ""));
    add_rating(row, "correctness", review, "correctness-rating");
    add_rating(row, "coverage", review, "selection-rating");
    add_rating(row, "overall", review, "overall-rating");
    status = call->each(call->context, row, line, err);
    free(id);
    node_free(row);
    return status;
}

static int hand_passage(const struct call *call, const struct node *record, int line, struct error *err) {
    const char *passage = node_text(record, "passage-id", "");
    int status = 0;

    for (const struct node *question = node_get(record, "questions")->first; question;
         question = question->next)
        for (const struct node *system = question->first; system; system = system->next) {
            const struct node *reviews = node_get(system, "reviews");

            for (const struct node *review = reviews ? reviews->first : NULL; review && !status;
                 review = review->next)
                status = hand_review(call, passage, question->key, system->key, review, line, err);
        }
    return status;
}

static int take_record(void *context, const struct node *record, int line, struct error *err) {
    const struct call *call = context;

    return is_nested(record) ? hand_passage(call, record, line, err)
                             : call->each(call->context, record, line, err);
}

int ratings_each(const char *path,
                 int (*each)(void *context, const struct node *record, int line, struct error *err),
                 void *context, struct error *err) {
    struct call call = {each, context};

    return document_each(path, take_record, &call, err);
}

/* One label: of what, by whom; the row it came from in the order of the file. */
struct label {
    char *thing, *rater;
    struct node *names; /* the columns that name the thing */
    struct node *value;
    int order, index, line; /* order: the first label's of the same thing */
};

struct widening {
    const struct ratings_how *how;
    struct label *labels;
    int count, room;
};

static const char *spelling(const struct node *field) {
    if (!field || field->kind == NODE_NULL) return NULL;
    if (field->kind == NODE_BOOL) return field->number != 0 ? "true" : "false";
    return field->text;
}

/* The texts of the columns that name the thing, as a map and in one key. */
static int name_thing(const struct widening *all, const struct node *record, struct label *out,
                      struct error *err) {
    struct text key = {0};

    out->names = node_new(NODE_MAP);
    for (const char *at = all->how->rows; *at;) {
        size_t length = strcspn(at, ",");
        char *name = xstrndup(at, length);
        const char *text = spelling(node_get(record, name));

        if (!text) {
            fail(err, "there is nothing in the column \"%s\"", name);
            free(name);
            free(key.data);
            return -1;
        }
        node_add_text(out->names, name, text);
        text_printf(&key, "%zu:%s", strlen(text), text);
        free(name);
        at += length + (at[length] == ',');
    }
    out->thing = key.data;
    return 0;
}

static int take_label(void *context, const struct node *record, int line, struct error *err) {
    struct widening *all = context;
    const char *rater = spelling(node_get(record, all->how->rater));
    const struct node *value = node_get(record, all->how->value);
    struct label *label;

    if (!rater) return fail(err, "there is no rater in the column \"%s\"", all->how->rater);
    if (!value) return fail(err, "there is no column \"%s\"", all->how->value);
    if (all->count == all->room) {
        all->room = all->room ? 2 * all->room : 256;
        all->labels = xrealloc(all->labels, (size_t)all->room, sizeof *all->labels);
    }
    label = &all->labels[all->count];
    *label = (struct label){.order = all->count, .index = all->count, .line = line};
    all->count++;
    label->rater = xstrdup(rater);
    label->value = node_copy(value);
    return name_thing(all, record, label, err);
}

static int by_thing(const void *a, const void *b) {
    const struct label *x = a, *y = b;
    int order = strcmp(x->thing, y->thing);

    return order ? order : x->index - y->index;
}

static int by_order(const void *a, const void *b) {
    const struct label *x = a, *y = b;

    return x->order != y->order ? x->order - y->order : x->index - y->index;
}

static void add_rater(struct node *raters, const char *name) {
    for (const struct node *known = raters->first; known; known = known->next)
        if (!strcmp(known->text, name)) return;
    node_add_text(raters, NULL, name);
}

/* A label's number, where it is one. */
static int number_of(const struct node *value, double *out) {
    const char *text = spelling(value);
    char *end;

    if (!text || !text[0]) return 0;
    *out = strtod(text, &end);
    return !*end;
}

/* Another label of the same rater for the same thing: numbers are averaged, `times` of them so far. */
static int add_again(struct node *held, int times, const struct label *label, struct error *err) {
    const char *text = spelling(label->value), *before = spelling(held);
    double one, mean;
    char digits[40];

    if (!text || (before && !strcmp(before, text))) return 0;
    if (!before || !number_of(held, &mean) || !number_of(label->value, &one))
        return fail(err, "line %d: %s gives two labels to one thing, \"%s\" and \"%s\"", label->line,
                    label->rater, before ? before : "", text);
    mean += (one - mean) / (times + 1);
    snprintf(digits, sizeof digits, "%.17g", mean);
    free(held->text);
    held->kind = NODE_STRING;
    held->text = xstrdup(digits);
    return 0;
}

/* The labels from `first` on that are of one thing, as a map; the number of them, or -1. */
static int widen_thing(struct node *rows, const struct label *first, const struct label *end,
                       struct error *err) {
    struct node *row = node_add_copy(rows, NULL, first->names);
    const struct label *label = first;

    for (; label < end && !strcmp(label->thing, first->thing); label++) {
        struct node *held = (struct node *)node_get(row, label->rater);
        int times = 0;

        if (node_get(first->names, label->rater))
            return fail(err, "line %d: a rater is called \"%s\", as a column of the rows is", label->line,
                        label->rater);
        for (const struct label *before = first; before < label; before++)
            times += !strcmp(before->rater, label->rater) && spelling(before->value);
        if (!held)
            node_add_copy(row, label->rater, label->value);
        else if (add_again(held, times, label, err))
            return -1;
    }
    return (int)(label - first);
}

/* Every row has a field for every rater. */
static void complete(struct node *rows, const struct node *raters) {
    for (struct node *row = rows->first; row; row = row->next)
        for (const struct node *rater = raters->first; rater; rater = rater->next)
            if (!node_get(row, rater->text)) node_add_text(row, rater->text, NULL);
}

static int widen(struct widening *all, struct node *rows, struct node *raters, struct error *err) {
    if (!all->count) return 0;
    for (int i = 0; i < all->count; i++) add_rater(raters, all->labels[i].rater);
    qsort(all->labels, (size_t)all->count, sizeof *all->labels, by_thing);
    /* things in the order of their first label: each of its labels takes that one's place in the file */
    for (int i = 1; i < all->count; i++)
        if (!strcmp(all->labels[i - 1].thing, all->labels[i].thing))
            all->labels[i].order = all->labels[i - 1].order;
    qsort(all->labels, (size_t)all->count, sizeof *all->labels, by_order);
    for (int i = 0; i < all->count;) {
        int taken = widen_thing(rows, &all->labels[i], all->labels + all->count, err);

        if (taken < 0) return -1;
        i += taken;
    }
    complete(rows, raters);
    return 0;
}

int ratings_widen(struct node *rows, struct node *raters, const char *path, const struct ratings_how *how,
                  struct error *err) {
    struct widening all = {.how = how};
    int status = ratings_each(path, take_label, &all, err);

    if (!status && widen(&all, rows, raters, err)) status = fail_within(err, "%s", path);
    for (int i = 0; i < all.count; i++) {
        free(all.labels[i].thing);
        free(all.labels[i].rater);
        node_free(all.labels[i].names);
        node_free(all.labels[i].value);
    }
    free(all.labels);
    return status < 0 ? -1 : 0;
}
