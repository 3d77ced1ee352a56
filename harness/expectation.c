#include "harness/expectation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/names.h"

/* A recorded interval reaches this far from the value at least, to either side: whichever is more. */
static const double width_least = 0.05, width_share = 0.1;

/* The names that tell metrics apart. */
static const struct part {
    const char *key;
    size_t offset;
} parts[] = {
    {"task", offsetof(struct metric, task)},         {"suite", offsetof(struct metric, suite)},
    {"name", offsetof(struct metric, name)},         {"policy", offsetof(struct metric, policy)},
    {"baseline", offsetof(struct metric, baseline)}, {"judge", offsetof(struct metric, judge)},
    {"split", offsetof(struct metric, split)},       {0},
};

static char **part_of(struct metric *metric, const struct part *part) {
    return (char **)((char *)metric + part->offset);
}

static const char *part_text(const struct metric *metric, const struct part *part) {
    return *(char *const *)((const char *)metric + part->offset);
}

static int same_text(const char *a, const char *b) {
    return a && b ? !strcmp(a, b) : a == b;
}

static int same_names(const struct metric *a, const struct metric *b) {
    for (const struct part *part = parts; part->key; part++)
        if (!same_text(part_text(a, part), part_text(b, part))) return 0;
    return 1;
}

static struct expectation *add_expectation(struct expectations *list) {
    struct expectation *added;

    list->items = xrealloc(list->items, (size_t)list->count + 1, sizeof *list->items);
    added = &list->items[list->count++];
    *added = (struct expectation){.metric = {.value = NAN, .low = NAN, .high = NAN}};
    return added;
}

static void clear_expectation(struct expectation *expectation) {
    for (const struct part *part = parts; part->key; part++) free(*part_of(&expectation->metric, part));
    free(expectation->metric.reason);
    free(expectation->claim);
}

void expectations_free(struct expectations *list) {
    for (int i = 0; i < list->count; i++) clear_expectation(&list->items[i]);
    free(list->items);
    *list = (struct expectations){0};
}

static int unknown_key(const struct names *names, const char *key, struct error *err) {
    char *hint = names_hint(names, key);

    fail(err, "unknown key \"%s\"%s", key, hint);
    free(hint);
    return -1;
}

static int check_keys(const struct node *row, struct error *err) {
    static const char *const others[] = {"value", "low", "high", "claim", "why"};
    struct names names = {0};
    int status = 0;

    for (const struct part *part = parts; part->key; part++) names_add(&names, part->key);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) names_add(&names, others[i]);
    for (const struct node *child = row->first; child && !status; child = child->next) {
        int known = 0;

        for (int i = 0; i < names.count; i++) known |= !strcmp(names.items[i], child->key);
        if (!known) status = unknown_key(&names, child->key, err);
    }
    free(names.items);
    return status;
}

static int read_text(const struct node *row, const char *key, char **out, struct error *err) {
    const struct node *node = node_get(row, key);

    if (!node || node->kind == NODE_NULL) return 0;
    if (node->kind != NODE_STRING) return fail(err, "\"%s\" must be a text", key);
    *out = xstrdup(node->text);
    return 0;
}

static int read_number(const struct node *row, const char *key, double *out, struct error *err) {
    const struct node *node = node_get(row, key);

    if (!node || node->kind == NODE_NULL) return 0;
    if (node->kind != NODE_NUMBER) return fail(err, "\"%s\" must be a number or null", key);
    *out = node->number;
    return 0;
}

static int read_fields(const struct node *row, struct expectation *out, struct error *err) {
    struct metric *metric = &out->metric;

    for (const struct part *part = parts; part->key; part++)
        if (read_text(row, part->key, part_of(metric, part), err)) return -1;
    return read_text(row, "claim", &out->claim, err) || read_text(row, "why", &metric->reason, err) ||
                   read_number(row, "value", &metric->value, err) ||
                   read_number(row, "low", &metric->low, err) || read_number(row, "high", &metric->high, err)
               ? -1
               : 0;
}

static int check_bounds(const struct expectation *expectation, struct error *err) {
    const struct metric *metric = &expectation->metric;
    int low = !isnan(metric->low), high = !isnan(metric->high), value = !isnan(metric->value);

    if (low && high && metric->low > metric->high)
        return fail(err, "\"low\" (%g) must not be above \"high\" (%g)", metric->low, metric->high);
    if (expectation->claim && !low && !high)
        return fail(err, "a claim needs \"low\", \"high\" or both, the bounds it lies between");
    if (!expectation->claim && (low != value || high != value))
        return fail(err, "\"value\", \"low\" and \"high\" must be three numbers, or all null where nothing "
                         "can be computed");
    return 0;
}

/* The list's last. */
static int check_row(const struct expectations *list, struct error *err) {
    const struct expectation *last = &list->items[list->count - 1];

    if (!last->metric.suite || !last->metric.name)
        return fail(err, "every expectation needs \"suite\" and \"name\"");
    for (int i = 0; i < list->count - 1 && !last->claim; i++)
        if (!list->items[i].claim && same_names(&list->items[i].metric, &last->metric))
            return fail(err, "%s is expected twice; remove one of the rows", last->metric.name);
    return check_bounds(last, err);
}

static int read_row(void *context, const struct node *row, int line, struct error *err) {
    struct expectations *list = context;

    (void)line;
    if (row->kind != NODE_MAP) return fail(err, "an object was expected, one expectation a line");
    if (node_get(row, "about")) return 0;
    if (check_keys(row, err) || read_fields(row, add_expectation(list), err)) return -1;
    return check_row(list, err);
}

int expectations_read(const char *path, struct expectations *out, struct error *err) {
    return document_each(path, read_row, out, err);
}

static void write_line(FILE *out, struct node *row) {
    node_print(out, row, 0);
    node_free(row);
}

static void write_about(FILE *out) {
    struct node *row = node_new(NODE_MAP);
    char *text =
        xprintf("Written by pyrite check --write. A recorded value is expected in [low, high]: the union of "
                "the metric's 95 %% interval and of %g, or %g %% of the value if that is more, to either "
                "side. Rows with \"claim\" are written by hand, and kept.",
                width_least, 100 * width_share);

    node_add_text(row, "about", text);
    write_line(out, row);
    free(text);
}

static void add_known(struct node *row, const char *key, double number) {
    if (!isnan(number)) node_add_number(row, key, number);
}

static void write_expectation(FILE *out, const struct expectation *expectation) {
    const struct metric *metric = &expectation->metric;
    struct node *row = node_new(NODE_MAP);

    for (const struct part *part = parts; part->key; part++)
        if (part_text(metric, part)) node_add_text(row, part->key, part_text(metric, part));
    if (!expectation->claim && isnan(metric->value)) node_add(row, "value", NODE_NULL);
    add_known(row, "value", metric->value);
    add_known(row, "low", metric->low);
    add_known(row, "high", metric->high);
    if (expectation->claim) node_add_text(row, "claim", expectation->claim);
    if (metric->reason) node_add_text(row, "why", metric->reason);
    write_line(out, row);
}

int expectations_write(const char *path, const struct expectations *in, struct error *err) {
    struct output out;

    if (output_open(&out, path, err)) return -1;
    write_about(out.file);
    for (int i = 0; i < in->count; i++) write_expectation(out.file, &in->items[i]);
    return output_close(&out, err);
}

static char *interval_source(const struct metric *metric, double width) {
    if (isnan(metric->value)) return xstrdup(metric->reason ? metric->reason : "could not be computed");
    if (isnan(metric->low) || isnan(metric->high)) return xprintf("value ± %.3g", width);
    return xprintf("95 %% interval, value ± %.3g", width);
}

struct expectation *expectations_add(struct expectations *list, const struct metric *names) {
    struct expectation *added = add_expectation(list);

    for (const struct part *part = parts; part->key; part++)
        *part_of(&added->metric, part) = xstrdup(part_text(names, part));
    return added;
}

static void record(struct expectations *list, const struct metric *metric) {
    struct metric *kept = &expectations_add(list, metric)->metric;
    double width = fmax(width_least, width_share * fabs(metric->value));

    kept->reason = interval_source(metric, width);
    if (isnan(metric->value)) return;
    kept->value = metric->value;
    kept->low = fmin(metric->low, metric->value - width);
    kept->high = fmax(metric->high, metric->value + width);
}

void expectations_record(struct expectations *list, const struct metrics *metrics) {
    int claims = 0;

    for (int i = 0; i < list->count; i++) {
        if (list->items[i].claim)
            list->items[claims++] = list->items[i];
        else
            clear_expectation(&list->items[i]);
    }
    list->count = claims;
    for (int i = 0; i < metrics->count; i++) record(list, &metrics->items[i]);
}

int metrics_distinct(const struct metrics *metrics, struct error *err) {
    for (int i = 0; i < metrics->count; i++)
        for (int j = 0; j < i; j++)
            if (same_names(&metrics->items[i], &metrics->items[j]))
                return fail(
                    err,
                    "two metrics are called %s of %s in suite %s, split %s; a run to be checked has one "
                    "evaluation of each task",
                    metrics->items[i].name, metrics->items[i].policy ? metrics->items[i].policy : "none",
                    metrics->items[i].suite, metrics->items[i].split ? metrics->items[i].split : "none");
    return 0;
}

static const struct metric *find_metric(const struct metrics *metrics, const struct metric *names) {
    for (int i = 0; i < metrics->count; i++)
        if (same_names(&metrics->items[i], names)) return &metrics->items[i];
    return NULL;
}

static int is_expected(const struct expectations *list, const struct metric *metric) {
    for (int i = 0; i < list->count; i++)
        if (same_names(&list->items[i].metric, metric)) return 1;
    return 0;
}

/* A claim's bounds are outside of what it claims: "above 0". */
static void compare_value(struct finding *finding) {
    const struct metric *expected = &finding->expectation->metric;
    double value = finding->metric->value, half = (expected->high - expected->low) / 2;
    int strict = finding->expectation->claim != NULL;
    int below = strict ? value <= expected->low : value < expected->low;
    int above = strict ? value >= expected->high : value > expected->high;

    if (!below && !above) return;
    finding->standing = STANDING_OUTSIDE;
    finding->outside = value - (below ? expected->low : expected->high);
    if (half > 0) finding->half_widths = fabs(finding->outside) / half;
}

static struct finding compare(const struct expectation *expectation, const struct metrics *metrics) {
    struct finding finding = {.expectation = expectation, .half_widths = NAN};
    int wanted = expectation->claim || !isnan(expectation->metric.value);

    finding.metric = find_metric(metrics, &expectation->metric);
    if (!finding.metric)
        finding.standing = STANDING_MISSING;
    else if (isnan(finding.metric->value))
        finding.standing = wanted ? STANDING_UNCOMPUTED : STANDING_PASSED;
    else if (wanted)
        compare_value(&finding);
    else
        finding.standing = STANDING_COMPUTED;
    return finding;
}

void findings_make(struct findings *out, const struct expectations *expectations,
                   const struct metrics *metrics) {
    *out = (struct findings){
        .items = xcalloc((size_t)expectations->count + (size_t)metrics->count + 1, sizeof *out->items)};
    for (int i = 0; i < expectations->count; i++) {
        struct finding finding = compare(&expectations->items[i], metrics);

        out->items[out->count++] = finding;
        *(finding_failed(&finding) ? &out->failed : &out->passed) += 1;
    }
    for (int i = 0; i < metrics->count; i++)
        if (!is_expected(expectations, &metrics->items[i]))
            out->items[out->count++] = (struct finding){STANDING_NEW, NULL, &metrics->items[i], 0, NAN};
}

void findings_add(struct findings *findings, const struct expectation *expectation,
                  const struct metric *metric) {
    struct finding finding = {.expectation = expectation, .metric = metric, .half_widths = NAN};
    double low = expectation->metric.low, high = expectation->metric.high;

    if (isnan(metric->value) || isnan(metric->low) || isnan(metric->high))
        finding.standing = STANDING_UNDECIDED;
    else if (metric->low > high)
        finding.outside = metric->low - high;
    else if (metric->high < low)
        finding.outside = metric->high - low;
    if (finding.outside != 0) finding.standing = STANDING_OUTSIDE;
    findings->items = xrealloc(findings->items, (size_t)findings->count + 1, sizeof *findings->items);
    findings->items[findings->count++] = finding;
    *(finding.standing == STANDING_UNDECIDED ? &findings->undecided
      : finding_failed(&finding)             ? &findings->failed
                                             : &findings->passed) += 1;
}

int finding_failed(const struct finding *finding) {
    return finding->standing != STANDING_PASSED && finding->standing != STANDING_NEW &&
           finding->standing != STANDING_UNDECIDED;
}

const char *finding_word(const struct finding *finding) {
    if (finding_failed(finding)) return "FAIL";
    return finding->standing == STANDING_NEW         ? "new:"
           : finding->standing == STANDING_UNDECIDED ? "undecided"
                                                     : "pass";
}
