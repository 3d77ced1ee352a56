#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/format.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/statistics_agree.h"
#include "harness/tabular.h"

/* Columns of a file: texts, the number of their category, and what they are as numbers. */
struct sheet {
    struct names columns; /* those compared; then the cluster's, if any */
    int raters;
    struct names categories;
    int *labels;     /* [rows][raters], -1: missing */
    double *numbers; /* [rows][raters], NaN: missing or no number */
    int *clusters;   /* [rows] */
    struct names cluster_names;
    char **texts; /* owned: what names borrow */
    int rows, text_count;
    const char *cluster;
};

struct agreeing {
    const struct arguments *arguments;
    struct sheet sheet;
    struct tabular table;
    struct bootstrap bootstrap;
    enum tabular_format format;
    const char *gold;
};

static int number_of(struct sheet *sheet, struct names *names, const char *text) {
    char *copy;

    for (int i = 0; i < names->count; i++)
        if (!strcmp(names->items[i], text)) return i;
    copy = xstrdup(text);
    sheet->texts = xrealloc(sheet->texts, (size_t)sheet->text_count + 1, sizeof *sheet->texts);
    sheet->texts[sheet->text_count++] = copy;
    names_add(names, copy);
    return names->count - 1;
}

static const char *spelling(const struct node *field) {
    if (field->kind == NODE_BOOL) return field->number ? "true" : "false";
    return field->kind == NODE_NULL || !field->text || !field->text[0] ? NULL : field->text;
}

static int take_row(void *context, const struct node *record, int line, struct error *err) {
    struct sheet *sheet = context;
    size_t at = (size_t)sheet->rows * sheet->raters;

    (void)line;
    if (record->kind != NODE_MAP) return fail(err, "an object was expected in every row");
    sheet->labels = xrealloc(sheet->labels, at + sheet->raters, sizeof *sheet->labels);
    sheet->numbers = xrealloc(sheet->numbers, at + sheet->raters, sizeof *sheet->numbers);
    sheet->clusters = xrealloc(sheet->clusters, (size_t)sheet->rows + 1, sizeof *sheet->clusters);
    for (int r = 0; r < sheet->raters; r++) {
        const struct node *field = node_get(record, sheet->columns.items[r]);
        const char *text = field ? spelling(field) : NULL;
        char *end = NULL;

        if (!field) return fail(err, "there is no column \"%s\"", sheet->columns.items[r]);
        sheet->labels[at + r] = text ? number_of(sheet, &sheet->categories, text) : -1;
        sheet->numbers[at + r] = text ? strtod(text, &end) : NAN;
        if (text && (end == text || *end)) sheet->numbers[at + r] = NAN;
    }
    sheet->clusters[sheet->rows] = sheet->rows;
    if (sheet->cluster) {
        const struct node *field = node_get(record, sheet->cluster);

        if (!field || !spelling(field))
            return fail(err, "there is no cluster in the column \"%s\"", sheet->cluster);
        sheet->clusters[sheet->rows] = number_of(sheet, &sheet->cluster_names, spelling(field));
    }
    sheet->rows++;
    return 0;
}

static int read_columns(struct agreeing *all, struct error *err) {
    const char *list = argument_value(all->arguments, "columns", NULL);

    if (!list) return fail(err, "which columns? --columns a,b names two or more");
    for (const char *at = list; *at;) {
        size_t length = strcspn(at, ",");
        char *name = xstrndup(at, length);

        all->sheet.texts = xrealloc(all->sheet.texts, (size_t)all->sheet.text_count + 1, sizeof(char *));
        all->sheet.texts[all->sheet.text_count++] = name;
        names_add(&all->sheet.columns, name);
        at += length + (at[length] == ',');
    }
    all->gold = argument_value(all->arguments, "gold", NULL);
    if (all->gold) names_add(&all->sheet.columns, all->gold);
    all->sheet.raters = all->sheet.columns.count;
    all->sheet.cluster = argument_value(all->arguments, "cluster", NULL);
    if (all->sheet.raters < 2) return fail(err, "agreement needs two columns; --columns a,b names them");
    return 0;
}

/* Categories in the order of their numbers, so that weights mean something: with --ordinal all must be
 * numbers. */
static int order_categories(struct sheet *sheet, struct error *err) {
    int count = sheet->categories.count, *rank = xmalloc(((size_t)count + 1) * sizeof *rank), status = 0;

    for (int i = 0; i < count && !status; i++) {
        char *end;
        double own = strtod(sheet->categories.items[i], &end);

        rank[i] = 0;
        if (*end) status = fail(err, "--ordinal needs numbers, and '%s' is none", sheet->categories.items[i]);
        for (int j = 0; j < count; j++) rank[i] += strtod(sheet->categories.items[j], NULL) < own;
    }
    for (int i = 0; i < sheet->rows * sheet->raters && !status; i++)
        if (sheet->labels[i] >= 0) sheet->labels[i] = rank[sheet->labels[i]];
    free(rank);
    return status;
}

static int *column(const struct sheet *sheet, int rater) {
    int *out = xmalloc(((size_t)sheet->rows + 1) * sizeof *out);

    for (int i = 0; i < sheet->rows; i++) out[i] = sheet->labels[(size_t)i * sheet->raters + rater];
    return out;
}

static void add_row(struct agreeing *all, const char *measure, const char *columns, double value, double low,
                    double high, int n, const char *note) {
    struct node *row = tabular_add(&all->table);

    tabular_cell(row, "%s", measure);
    tabular_cell(row, "%s", columns);
    if (isnan(value))
        tabular_cell(row, "–");
    else if (isnan(low))
        tabular_cell(row, "%.3f", value);
    else
        tabular_cell(row, "%.3f [%.3f, %.3f]", value, low, high);
    tabular_cell(row, "%d", n);
    tabular_cell(row, "%s", note ? note : "");
}

static void add_agreement(struct agreeing *all, const char *measure, const char *columns, int status,
                          const struct agreement *got, const struct error *err) {
    add_row(all, measure, columns, got->value, got->low, got->high, got->n, status ? err->message : NULL);
}

static void compare_two(struct agreeing *all, int a, int b) {
    static const char *const names[] = {"Cohen's kappa", "kappa, linear", "kappa, quadratic"};
    const struct sheet *sheet = &all->sheet;
    int *x = column(sheet, a), *y = column(sheet, b), both = 0, alike = 0, status;
    int last = argument_given(all->arguments, "ordinal") ? KAPPA_QUADRATIC : KAPPA_NOMINAL;
    char *pair = xprintf("%s, %s", sheet->columns.items[a], sheet->columns.items[b]);
    struct interval at = {NAN, NAN};
    struct agreement got;
    struct error err;

    for (int i = 0; i < sheet->rows; i++) {
        both += x[i] >= 0 && y[i] >= 0;
        alike += x[i] >= 0 && x[i] == y[i];
    }
    if (both && rate_wilson(&at, alike, both, 0.95, &err)) at.low = at.high = NAN;
    add_row(all, "agreement", pair, both ? (double)alike / both : NAN, at.low, at.high, both, NULL);
    for (int w = KAPPA_NOMINAL; w <= last; w++) {
        status = cohen_kappa(&got, x, y, sheet->rows, sheet->categories.count, (enum kappa_weights)w,
                             &all->bootstrap, &err);
        add_agreement(all, names[w], pair, status, &got, &err);
    }
    free(pair);
    free(x);
    free(y);
}

static void compare_all(struct agreeing *all, int raters) {
    const struct sheet *sheet = &all->sheet;
    int *labels = xmalloc(((size_t)sheet->rows * raters + 1) * sizeof *labels), status;
    struct agreement got;
    struct error err;

    for (int i = 0; i < sheet->rows; i++)
        for (int r = 0; r < raters; r++)
            labels[(size_t)i * raters + r] = sheet->labels[(size_t)i * sheet->raters + r];
    status = fleiss_kappa(&got, labels, sheet->rows, raters, sheet->categories.count, &all->bootstrap, &err);
    add_agreement(all, "Fleiss' kappa", "all", status, &got, &err);
    status =
        krippendorff_alpha(&got, labels, sheet->rows, raters, sheet->categories.count, &all->bootstrap, &err);
    add_agreement(all, "Krippendorff's alpha", "all", status, &got, &err);
    free(labels);
}

/* Pairs of numbers of two columns; returns how many. */
static int number_pairs(const struct sheet *sheet, int a, int b, double *x, double *y, int *clusters) {
    int n = 0;

    for (int i = 0; i < sheet->rows; i++) {
        double p = sheet->numbers[(size_t)i * sheet->raters + a],
               q = sheet->numbers[(size_t)i * sheet->raters + b];

        if (isnan(p) || isnan(q)) continue;
        x[n] = p;
        y[n] = q;
        clusters[n++] = sheet->clusters[i];
    }
    return n;
}

static void correlate(struct agreeing *all, int a, int b) {
    const struct sheet *sheet = &all->sheet;
    size_t bytes = ((size_t)sheet->rows + 1) * sizeof(double);
    double *x = xmalloc(bytes), *y = xmalloc(bytes);
    int *clusters = xmalloc(((size_t)sheet->rows + 1) * sizeof *clusters);
    int n = number_pairs(sheet, a, b, x, y, clusters);
    char *pair = xprintf("%s, %s", sheet->columns.items[a], sheet->columns.items[b]), note[64], p[32];
    struct correlation got = {.value = NAN};
    struct estimate estimate = {.value = NAN};
    struct error err;

    if (spearman(&got, x, y, n, 0.95, &err))
        add_row(all, "Spearman's rho", pair, NAN, NAN, NAN, n, err.message);
    else {
        snprintf(note, sizeof note, "p %s", format_number(p, got.p, "p"));
        add_row(all, "Spearman's rho", pair, got.value, got.low, got.high, n, note);
    }
    if (!kendall(&got, x, y, n, &err)) {
        snprintf(note, sizeof note, "p %s", format_number(p, got.p, "p"));
        add_row(all, "Kendall's tau-b", pair, got.value, NAN, NAN, n, note);
    }
    if (mean_paired(&estimate, x, y, clusters, n, 0.95, &err))
        add_row(all, "mean difference", pair, NAN, NAN, NAN, n, err.message);
    else {
        snprintf(note, sizeof note, "p %s%s", format_number(p, estimate.p, "p"),
                 sheet->cluster ? ", clustered" : "");
        add_row(all, "mean difference", pair, estimate.value, estimate.low, estimate.high, n, note);
    }
    free(pair);
    free(clusters);
    free(x);
    free(y);
}

static void describe(struct agreeing *all, int rater) {
    const struct sheet *sheet = &all->sheet;
    double *x = xmalloc(((size_t)sheet->rows + 1) * sizeof *x);
    int *clusters = xmalloc(((size_t)sheet->rows + 1) * sizeof *clusters), n = 0;
    struct estimate estimate;
    struct error err;

    for (int i = 0; i < sheet->rows; i++) {
        double one = sheet->numbers[(size_t)i * sheet->raters + rater];

        if (isnan(one)) continue;
        x[n] = one;
        clusters[n++] = sheet->clusters[i];
    }
    if (mean_clustered(&estimate, x, clusters, n, 0.95, &err))
        add_row(all, "mean", sheet->columns.items[rater], NAN, NAN, NAN, n, err.message);
    else
        add_row(all, "mean", sheet->columns.items[rater], estimate.value, estimate.low, estimate.high, n,
                sheet->cluster ? "clustered" : NULL);
    free(clusters);
    free(x);
}

static void compare_with_gold(struct agreeing *all) {
    const struct sheet *sheet = &all->sheet;

    for (int r = 0; r + 1 < sheet->raters; r++) compare_two(all, r, sheet->raters - 1);
}

static void measure(struct agreeing *all) {
    int raters = all->sheet.raters - (all->gold != NULL);

    for (int a = 0; a < raters; a++)
        for (int b = a + 1; b < raters; b++) compare_two(all, a, b);
    if (all->gold) compare_with_gold(all);
    if (raters > 2) compare_all(all, raters);
    if (!argument_given(all->arguments, "numeric")) return;
    for (int a = 0; a < all->sheet.raters; a++) describe(all, a);
    for (int a = 0; a < all->sheet.raters; a++)
        for (int b = a + 1; b < all->sheet.raters; b++) correlate(all, a, b);
}

/* Of the first two columns, categories of the first down. */
static void print_confusion(const struct agreeing *all) {
    const struct sheet *sheet = &all->sheet;
    int k = sheet->categories.count, *counts;
    const char **headings;
    struct tabular table = {.title = "Confusion"};

    if (k > 12 || argument_given(all->arguments, "ordinal")) return;
    counts = xcalloc((size_t)k * k + 1, sizeof *counts);
    headings = xcalloc((size_t)k + 2, sizeof *headings);
    for (int i = 0; i < sheet->rows; i++) {
        int a = sheet->labels[(size_t)i * sheet->raters], b = sheet->labels[(size_t)i * sheet->raters + 1];

        if (a >= 0 && b >= 0) counts[a * k + b]++;
    }
    headings[0] = sheet->columns.items[0];
    for (int c = 0; c < k; c++) headings[c + 1] = sheet->categories.items[c];
    table.headings = headings;
    for (int a = 0; a < k; a++) {
        struct node *row = tabular_add(&table);

        tabular_cell(row, "%s", sheet->categories.items[a]);
        for (int b = 0; b < k; b++) tabular_cell(row, "%d", counts[a * k + b]);
    }
    tabular_note(&table, "%s down, %s across.", sheet->columns.items[0], sheet->columns.items[1]);
    fputc('\n', all->arguments->out);
    tabular_write(&table, all->format, all->arguments->out);
    tabular_free(&table);
    free(headings);
    free(counts);
}

static void sheet_free(struct sheet *sheet) {
    for (int i = 0; i < sheet->text_count; i++) free(sheet->texts[i]);
    free(sheet->texts);
    free(sheet->columns.items);
    free(sheet->categories.items);
    free(sheet->cluster_names.items);
    free(sheet->labels);
    free(sheet->numbers);
    free(sheet->clusters);
}

static int run(const struct arguments *arguments, struct error *err) {
    static const char *const headings[] = {"measure", "columns", "value", "n", "note", NULL};
    struct agreeing all = {.arguments = arguments, .table = {.title = "Agreement", .headings = headings}};
    int seed, status = -1;

    if (tabular_format_read(&all.format, argument_value(arguments, "format", "text"), err) ||
        argument_int(arguments, "seed", 1, 0, 2147483647, &seed, err) || read_columns(&all, err) ||
        document_each(arguments->words[0], take_row, &all.sheet, err))
        goto out;
    if (!all.sheet.rows) {
        fail(err, "%s has no rows", arguments->words[0]);
        goto out;
    }
    if (argument_given(arguments, "ordinal") && order_categories(&all.sheet, err)) goto out;
    all.bootstrap = (struct bootstrap){(uint64_t)seed, 2000, 0.95, BOOTSTRAP_PERCENTILE};
    measure(&all);
    tabular_note(&all.table,
                 "%d rows; n counts those with every label that a line needs. 95 %% intervals: Wilson's for "
                 "agreement, percentile "
                 "bootstrap over rows (2000 resamples, seed %d) for kappa and alpha, Fisher's z for rho, "
                 "Student's t for means.",
                 all.sheet.rows, seed);
    tabular_write(&all.table, all.format, arguments->out);
    print_confusion(&all);
    status = 0;
out:
    tabular_free(&all.table);
    sheet_free(&all.sheet);
    return status;
}

static const struct flag flags[] = {
    {"columns", 'c', "A,B[,C]...", "the columns that hold labels"},
    {"gold", 'g', "COLUMN", "a column of right answers; each other is compared with it too"},
    {"ordinal", 0, NULL, "labels are ordered numbers: weighted kappas as well"},
    {"numeric", 0, NULL, "labels are numbers: means, correlations, mean differences"},
    {"cluster", 0, "COLUMN", "errors of means are clustered by this column"},
    {"format", 'f', "NAME", "text, md, csv or json"},
    {"seed", 0, "N", "of resampling (default: 1)"},
    {0}};

const struct command command_agree = {
    .name = "agree",
    .summary = "how far columns of labels agree",
    .usage = "FILE --columns A,B[,C]... [--gold COLUMN]",
    .description = "Reads labels from a .csv, .jsonl or .json file, .gz or not, and prints raw agreement and "
                   "Cohen's kappa of each two "
                   "columns, Fleiss' kappa and Krippendorff's alpha of three or more, with intervals, and "
                   "the confusion of the first two. "
                   "An empty field or null is a missing label: it is left out, and n says so.",
    .flags = flags,
    .least_words = 1,
    .most_words = 1,
    .run = run,
};
