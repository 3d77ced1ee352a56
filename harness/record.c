#include "harness/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"

enum field_kind { FIELD_TEXT, FIELD_INT, FIELD_REAL, FIELD_OUTCOME, FIELD_REALS, FIELD_MAP, FIELD_LIST };

/* One field of a record: where it lies, and whether a line without it is an error. */
struct field {
    const char *name;
    enum field_kind kind;
    size_t offset, count_offset; /* of a FIELD_REALS its length, an int */
    int required;
};

struct layout {
    const char *noun;
    size_t size;
    const struct field *fields; /* ends with {0} */
};

/* What all four lists begin with. */
struct list {
    void *items;
    int count;
};

static const char *const outcome_names[] = {"verdict", "tie", "refused", "unparsed", "transport"};

#define AT(type, field, kind, required)                                                                      \
    { #field, kind, offsetof(struct type, field), 0, required }

static const struct field example_fields[] = {AT(example, id, FIELD_TEXT, 1),
                                              AT(example, split, FIELD_TEXT, 0),
                                              AT(example, prompt, FIELD_TEXT, 1),
                                              AT(example, response, FIELD_TEXT, 0),
                                              AT(example, chosen, FIELD_TEXT, 0),
                                              AT(example, rejected, FIELD_TEXT, 0),
                                              AT(example, category, FIELD_TEXT, 0),
                                              AT(example, truth, FIELD_TEXT, 0),
                                              AT(example, meta, FIELD_MAP, 0),
                                              AT(example, messages, FIELD_LIST, 0),
                                              {0}};

static const struct field transcript_fields[] = {
    AT(transcript, id, FIELD_TEXT, 1),       AT(transcript, prompt_id, FIELD_TEXT, 1),
    AT(transcript, split, FIELD_TEXT, 0),    AT(transcript, policy, FIELD_TEXT, 1),
    AT(transcript, prompt, FIELD_TEXT, 1),   AT(transcript, response, FIELD_TEXT, 1),
    AT(transcript, category, FIELD_TEXT, 0), AT(transcript, finish, FIELD_TEXT, 0),
    AT(transcript, tokens, FIELD_INT, 0),    AT(transcript, unit, FIELD_TEXT, 0),
    AT(transcript, logprob, FIELD_REAL, 0),  AT(transcript, reference, FIELD_REAL, 0),
    AT(transcript, seed, FIELD_INT, 0),      {0}};

static const struct field verdict_fields[] = {
    AT(verdict, transcript, FIELD_TEXT, 1), AT(verdict, other, FIELD_TEXT, 0),
    AT(verdict, policy, FIELD_TEXT, 0),     AT(verdict, other_policy, FIELD_TEXT, 0),
    AT(verdict, judge, FIELD_TEXT, 1),      AT(verdict, what, FIELD_TEXT, 1),
    AT(verdict, outcome, FIELD_OUTCOME, 1), AT(verdict, score, FIELD_REAL, 0),
    AT(verdict, order, FIELD_INT, 0),       AT(verdict, reason, FIELD_TEXT, 0),
    AT(verdict, raw, FIELD_TEXT, 0),        {0}};

static const struct field metric_fields[] = {
    AT(metric, task, FIELD_TEXT, 0),
    AT(metric, suite, FIELD_TEXT, 1),
    AT(metric, name, FIELD_TEXT, 1),
    AT(metric, policy, FIELD_TEXT, 0),
    AT(metric, baseline, FIELD_TEXT, 0),
    AT(metric, split, FIELD_TEXT, 0),
    AT(metric, judge, FIELD_TEXT, 0),
    AT(metric, value, FIELD_REAL, 1),
    AT(metric, low, FIELD_REAL, 0),
    AT(metric, high, FIELD_REAL, 0),
    AT(metric, level, FIELD_REAL, 0),
    AT(metric, p, FIELD_REAL, 0),
    AT(metric, p_adjusted, FIELD_REAL, 0),
    AT(metric, p_floor, FIELD_REAL, 0),
    AT(metric, unit, FIELD_TEXT, 0),
    AT(metric, method, FIELD_TEXT, 0),
    AT(metric, family, FIELD_TEXT, 0),
    AT(metric, reason, FIELD_TEXT, 0),
    AT(metric, n, FIELD_INT, 0),
    AT(metric, n_missing, FIELD_INT, 0),
    AT(metric, ties, FIELD_INT, 0),
    AT(metric, judged, FIELD_INT, 0),
    AT(metric, refused, FIELD_INT, 0),
    AT(metric, unparsed, FIELD_INT, 0),
    AT(metric, transport, FIELD_INT, 0),
    AT(metric, worst, FIELD_REAL, 0),
    AT(metric, best, FIELD_REAL, 0),
    AT(metric, seeds, FIELD_INT, 0),
    AT(metric, lower_is_better, FIELD_INT, 0),
    {"per_seed", FIELD_REALS, offsetof(struct metric, per_seed), offsetof(struct metric, seeds), 0},
    AT(metric, seeds_low, FIELD_REAL, 0),
    AT(metric, seeds_high, FIELD_REAL, 0),
    AT(metric, p_seeds, FIELD_REAL, 0),
    AT(metric, by_seed, FIELD_INT, 0),
    {0}};

#undef AT

static const struct layout example_layout = {"example", sizeof(struct example), example_fields};
static const struct layout transcript_layout = {"transcript", sizeof(struct transcript), transcript_fields};
static const struct layout verdict_layout = {"verdict", sizeof(struct verdict), verdict_fields};
static const struct layout metric_layout = {"metric", sizeof(struct metric), metric_fields};

static void *field_of(void *record, const struct field *field) {
    return (char *)record + field->offset;
}

static void record_clear(const struct layout *layout, void *record) {
    for (const struct field *field = layout->fields; field->name; field++) {
        if (field->kind == FIELD_TEXT) free(*(char **)field_of(record, field));
        if (field->kind == FIELD_REALS) free(*(double **)field_of(record, field));
        if (field->kind == FIELD_MAP || field->kind == FIELD_LIST)
            node_free(*(struct node **)field_of(record, field));
    }
}

static void list_free(const struct layout *layout, struct list *list) {
    for (int i = 0; i < list->count; i++)
        record_clear(layout, (char *)list->items + (size_t)i * layout->size);
    free(list->items);
    *list = (struct list){0};
}

/* Grows at powers of two, so that count alone tells the room. */
static void *list_add(const struct layout *layout, struct list *list) {
    void *record;

    if ((list->count & (list->count - 1)) == 0)
        list->items = xrealloc(list->items, list->count ? (size_t)list->count * 2 : 1, layout->size);
    record = (char *)list->items + (size_t)list->count++ * layout->size;
    memset(record, 0, layout->size);
    return record;
}

static int read_reals(const struct node *node, double **out, int *count, struct error *err) {
    int n = 0;

    if (node->kind != NODE_LIST) return fail(err, "\"%s\" must be a list of numbers", node->key);
    free(*out);
    *out = xcalloc((size_t)node->count, sizeof **out);
    for (const struct node *item = node->first; item; item = item->next) {
        if (item->kind != NODE_NUMBER && item->kind != NODE_NULL)
            return fail(err, "\"%s\" must be a list of numbers", node->key);
        (*out)[n++] = item->kind == NODE_NULL ? NAN : item->number;
    }
    *count = n;
    return 0;
}

static int read_outcome(const struct node *node, enum outcome *out, struct error *err) {
    for (int i = 0; node->kind == NODE_STRING && i < 5; i++)
        if (!strcmp(node->text, outcome_names[i])) {
            *out = (enum outcome)i;
            return 0;
        }
    return fail(err, "\"outcome\" must be one of verdict, tie, refused, unparsed, transport");
}

static int read_field(const struct field *field, const struct node *node, void *record, struct error *err) {
    void *at = field_of(record, field);

    switch (field->kind) {
    case FIELD_TEXT:
        if (node->kind == NODE_NULL) return 0;
        if (node->kind != NODE_STRING && node->kind != NODE_NUMBER)
            return fail(err, "\"%s\" must be a text", field->name);
        *(char **)at = xstrdup(node->text);
        return 0;
    case FIELD_INT:
        if (node->kind != NODE_NUMBER || node->number != rint(node->number) || fabs(node->number) > 2e9)
            return fail(err, "\"%s\" must be a whole number", field->name);
        *(int *)at = (int)node->number;
        return 0;
    case FIELD_REAL:
        if (node->kind != NODE_NUMBER && node->kind != NODE_NULL)
            return fail(err, "\"%s\" must be a number or null", field->name);
        *(double *)at = node->kind == NODE_NULL ? NAN : node->number;
        return 0;
    case FIELD_OUTCOME:
        return read_outcome(node, at, err);
    case FIELD_MAP:
    case FIELD_LIST:
        if (node->kind == NODE_NULL) return 0;
        if (node->kind != (field->kind == FIELD_MAP ? NODE_MAP : NODE_LIST))
            return fail(err, "\"%s\" must be %s", field->name,
                        field->kind == FIELD_MAP ? "an object" : "a list");
        *(struct node **)at = node_copy(node);
        return 0;
    default:
        return read_reals(node, at, (int *)((char *)record + field->count_offset), err);
    }
}

struct reading {
    const struct layout *layout;
    struct list *list;
    void *(*add)(struct list *list);
};

static int read_record(void *context, const struct node *node, int line, struct error *err) {
    const struct reading *reading = context;
    void *record = reading->add(reading->list);

    (void)line;
    if (node->kind != NODE_MAP)
        return fail(err, "an object was expected, one %s a line", reading->layout->noun);
    for (const struct field *field = reading->layout->fields; field->name; field++) {
        const struct node *value = node_get(node, field->name);

        if (value && read_field(field, value, record, err)) return -1;
        if (field->required && (!value || (field->kind == FIELD_TEXT && value->kind == NODE_NULL)))
            return fail(err, "every %s needs \"%s\"", reading->layout->noun, field->name);
    }
    return 0;
}

static void write_field(const struct field *field, const void *record, struct node *row) {
    const void *at = (const char *)record + field->offset;

    switch (field->kind) {
    case FIELD_TEXT:
        if (*(char *const *)at) node_add_text(row, field->name, *(char *const *)at);
        break;
    case FIELD_INT:
        node_add_number(row, field->name, *(const int *)at);
        break;
    case FIELD_REAL:
        node_add_number(row, field->name, *(const double *)at);
        break;
    case FIELD_OUTCOME:
        node_add_text(row, field->name, outcome_names[*(const enum outcome *)at]);
        break;
    case FIELD_MAP:
    case FIELD_LIST:
        if (*(struct node *const *)at) node_add_copy(row, field->name, *(struct node *const *)at);
        break;
    default:
        if (*(double *const *)at) {
            int count = *(const int *)((const char *)record + field->count_offset);
            struct node *list = node_add(row, field->name, NODE_LIST);

            for (int i = 0; i < count; i++) node_add_number(list, NULL, (*(double *const *)at)[i]);
        }
    }
}

static int list_write(const struct layout *layout, const char *path, const void *items, int count,
                      struct error *err) {
    struct output out;

    if (output_open(&out, path, err)) return -1;
    for (int i = 0; i < count; i++) {
        struct node *row = node_new(NODE_MAP);

        for (const struct field *field = layout->fields; field->name; field++)
            write_field(field, (const char *)items + (size_t)i * layout->size, row);
        node_print(out.file, row, 0);
        node_free(row);
    }
    return output_close(&out, err);
}

static void *add_example(struct list *list) {
    return list_add(&example_layout, list);
}

static void *add_transcript(struct list *list) {
    struct transcript *transcript = list_add(&transcript_layout, list);

    transcript->reference = NAN;
    return transcript;
}

static void *add_verdict(struct list *list) {
    return list_add(&verdict_layout, list);
}

static void *add_metric(struct list *list) {
    struct metric *metric = list_add(&metric_layout, list);

    metric->value = metric->low = metric->high = metric->p = metric->p_adjusted = metric->p_floor = NAN;
    metric->worst = metric->best = NAN;
    metric->seeds_low = metric->seeds_high = metric->p_seeds = NAN;
    metric->level = 0.95;
    metric->lower_is_better = -1;
    return metric;
}

struct example *examples_add(struct examples *list) {
    struct list plain = {list->items, list->count};
    struct example *added = add_example(&plain);

    list->items = plain.items;
    list->count = plain.count;
    return added;
}

struct transcript *transcripts_add(struct transcripts *list) {
    struct list plain = {list->items, list->count};
    struct transcript *added = add_transcript(&plain);

    list->items = plain.items;
    list->count = plain.count;
    return added;
}

struct verdict *verdicts_add(struct verdicts *list) {
    struct list plain = {list->items, list->count};
    struct verdict *added = add_verdict(&plain);

    *list = (struct verdicts){plain.items, plain.count};
    return added;
}

struct metric *metrics_add(struct metrics *list) {
    struct list plain = {list->items, list->count};
    struct metric *added = add_metric(&plain);

    *list = (struct metrics){plain.items, plain.count};
    return added;
}

int examples_read(const char *path, struct examples *out, struct error *err) {
    struct list plain = {out->items, out->count};
    struct reading reading = {&example_layout, &plain, add_example};
    int status = document_each(path, read_record, &reading, err);

    out->items = plain.items;
    out->count = plain.count;
    return status;
}

int transcripts_read(const char *path, struct transcripts *out, struct error *err) {
    struct list plain = {out->items, out->count};
    struct reading reading = {&transcript_layout, &plain, add_transcript};
    int status = document_each(path, read_record, &reading, err);

    out->items = plain.items;
    out->count = plain.count;
    return status;
}

int verdicts_read(const char *path, struct verdicts *out, struct error *err) {
    struct list plain = {out->items, out->count};
    struct reading reading = {&verdict_layout, &plain, add_verdict};
    int status = document_each(path, read_record, &reading, err);

    *out = (struct verdicts){plain.items, plain.count};
    return status;
}

/* A share is a fraction of 1 in every file, also where its unit is spelt percent. */
static void read_unit(struct metric *metric) {
    if (!metric->unit || strcmp(metric->unit, "percent")) return;
    free(metric->unit);
    metric->unit = xstrdup("fraction");
}

int metrics_read(const char *path, struct metrics *out, struct error *err) {
    struct list plain = {out->items, out->count};
    struct reading reading = {&metric_layout, &plain, add_metric};
    int status = document_each(path, read_record, &reading, err);

    *out = (struct metrics){plain.items, plain.count};
    for (int i = 0; i < out->count; i++) read_unit(&out->items[i]);
    return status;
}

int examples_write(const char *path, const struct examples *in, struct error *err) {
    return list_write(&example_layout, path, in->items, in->count, err);
}

int transcripts_write(const char *path, const struct transcripts *in, struct error *err) {
    return list_write(&transcript_layout, path, in->items, in->count, err);
}

int verdicts_write(const char *path, const struct verdicts *in, struct error *err) {
    return list_write(&verdict_layout, path, in->items, in->count, err);
}

int metrics_write(const char *path, const struct metrics *in, struct error *err) {
    return list_write(&metric_layout, path, in->items, in->count, err);
}

void examples_free(struct examples *list) {
    struct list plain = {list->items, list->count};

    list_free(&example_layout, &plain);
    free(list->order);
    *list = (struct examples){0};
}

void transcripts_free(struct transcripts *list) {
    struct list plain = {list->items, list->count};

    list_free(&transcript_layout, &plain);
    free(list->order);
    *list = (struct transcripts){0};
}

void verdicts_free(struct verdicts *list) {
    struct list plain = {list->items, list->count};

    list_free(&verdict_layout, &plain);
    *list = (struct verdicts){0};
}

void metrics_free(struct metrics *list) {
    struct list plain = {list->items, list->count};

    list_free(&metric_layout, &plain);
    *list = (struct metrics){0};
}

/* Examples and transcripts begin with their id. */
static const char *id_of(const void *record) {
    return *(char *const *)record;
}

static int by_id(const void *a, const void *b) {
    const void *x = *(void *const *)a, *y = *(void *const *)b;
    int order = strcmp(id_of(x), id_of(y));

    return order ? order : (x > y) - (x < y);
}

static void list_sort(const struct layout *layout, const struct list *list, void ***order) {
    *order = xrealloc(*order, (size_t)list->count + 1, sizeof **order);
    for (int i = 0; i < list->count; i++) (*order)[i] = (char *)list->items + (size_t)i * layout->size;
    qsort(*order, (size_t)list->count, sizeof **order, by_id);
}

static const void *list_find(void *const *order, int count, const char *id) {
    int low = 0, high = count;

    while (low < high) {
        int middle = low + (high - low) / 2;

        if (strcmp(id_of(order[middle]), id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && !strcmp(id_of(order[low]), id) ? order[low] : NULL;
}

const struct example *examples_find(struct examples *list, const char *id) {
    if (list->ordered != list->count)
        list_sort(&example_layout, &(struct list){list->items, list->count}, &list->order);
    list->ordered = list->count;
    return list_find(list->order, list->count, id);
}

const struct transcript *transcripts_find(struct transcripts *list, const char *id) {
    if (list->ordered != list->count)
        list_sort(&transcript_layout, &(struct list){list->items, list->count}, &list->order);
    list->ordered = list->count;
    return list_find(list->order, list->count, id);
}

int is_null_policy(const char *policy) {
    return !strncmp(policy, NULL_POLICY, strlen(NULL_POLICY));
}
