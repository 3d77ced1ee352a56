#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/format.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/ratings.h"
#include "harness/statistics.h"
#include "harness/statistics_agree.h"
#include "harness/tabular.h"

enum { CALIBRATION_BINS = 10 };
enum { CATEGORIES_MOST = 12 }; /* more are a scale: no confusion of them is printed, no kappa of numbers */

/* Judges that read nothing but the lengths of two texts, or their order. */
enum { NULL_LONGER, NULL_SHORTER, NULL_FIRST, NULLS };
static const char *const null_names[] = {"null-longer", "null-shorter", "null-first"};

/* Columns of a file: texts, the number of their category, and what they are as numbers. */
struct sheet {
    struct names columns;    /* those compared: people's, null judges', gold */
    int raters, people;      /* people: of the columns that are no null judge's and not gold */
    const char *texts_of[2]; /* columns of the two texts that null judges read; NULL: none */
    const char *missing;     /* a text that stands for no label, or NULL */
    struct names categories;
    int *labels;     /* [rows][raters], -1: missing */
    double *numbers; /* [rows][raters], NaN: missing or no number */
    int *clusters;   /* [rows] */
    int *groups;     /* [rows] */
    struct names cluster_names, group_names;
    char **texts; /* owned: what names borrow */
    int rows, text_count;
    const char *cluster, *group;
};

/* A line of the table. */
struct figure {
    const char *part, *measure; /* part: as in struct agreeing */
    char *columns, *note;       /* owned */
    double value, low, high, p, adjusted;
    int n;
};

enum { AGREEMENT, CONFUSION };

struct agreeing {
    const struct arguments *arguments;
    struct sheet sheet;
    struct figure *figures;
    int figure_count;
    struct tabular tables[2]; /* AGREEMENT, CONFUSION */
    struct bootstrap bootstrap;
    enum tabular_format format;
    const char *gold;
    const char *part; /* what is measured of the rows: a text of the column --by, or NULL */
};

static const char *own_text(struct sheet *sheet, const char *text, size_t length) {
    char *copy = xstrndup(text, length);

    sheet->texts = xrealloc(sheet->texts, (size_t)sheet->text_count + 1, sizeof *sheet->texts);
    sheet->texts[sheet->text_count++] = copy;
    return copy;
}

static int number_of(struct sheet *sheet, struct names *names, const char *text) {
    int place = names_place(names, text);

    return place >= 0 ? place : names_add(names, own_text(sheet, text, strlen(text)));
}

static const char *spelling(const struct node *field) {
    if (field->kind == NODE_BOOL) return field->number ? "true" : "false";
    return field->kind == NODE_NULL || !field->text || !field->text[0] ? NULL : field->text;
}

static void set_label(struct sheet *sheet, size_t at, const char *text) {
    char *end = NULL;

    sheet->labels[at] = text ? number_of(sheet, &sheet->categories, text) : -1;
    sheet->numbers[at] = text ? strtod(text, &end) : NAN;
    if (text && (end == text || *end)) sheet->numbers[at] = NAN;
}

static int characters(const char *text) {
    int count = 0;

    for (; *text; text++) count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

/* 1 or 2: which text is better by its length alone, or for being first; 0: a tie. */
static int set_nulls(struct sheet *sheet, size_t at, const struct node *record, struct error *err) {
    int lengths[2], longer;

    for (int i = 0; i < 2; i++) {
        const struct node *field = node_get(record, sheet->texts_of[i]);

        if (!field) return fail(err, "there is no column \"%s\"", sheet->texts_of[i]);
        lengths[i] = spelling(field) ? characters(spelling(field)) : 0;
    }
    longer = lengths[0] - lengths[1];
    set_label(sheet, at + NULL_LONGER, longer > 0 ? "1" : longer < 0 ? "2" : "0");
    set_label(sheet, at + NULL_SHORTER, longer > 0 ? "2" : longer < 0 ? "1" : "0");
    set_label(sheet, at + NULL_FIRST, "1");
    return 0;
}

/* The number of the text in a column that names groups or clusters. */
static int place_of(struct sheet *sheet, struct names *names, const struct node *record, const char *column,
                    int *out, struct error *err) {
    const struct node *field = node_get(record, column);

    if (!field || !spelling(field)) return fail(err, "there is nothing in the column \"%s\"", column);
    *out = number_of(sheet, names, spelling(field));
    return 0;
}

static int is_missing(const struct sheet *sheet, const struct node *field) {
    return sheet->missing && field->text && !strcmp(field->text, sheet->missing);
}

static int is_null_judge(const struct sheet *sheet, int rater) {
    return sheet->texts_of[0] && rater >= sheet->people && rater < sheet->people + NULLS;
}

static int take_row(void *context, const struct node *record, int line, struct error *err) {
    struct sheet *sheet = context;
    size_t at = (size_t)sheet->rows * sheet->raters;

    (void)line;
    if (record->kind != NODE_MAP) return fail(err, "an object was expected in every row");
    sheet->labels = xrealloc(sheet->labels, at + sheet->raters, sizeof *sheet->labels);
    sheet->numbers = xrealloc(sheet->numbers, at + sheet->raters, sizeof *sheet->numbers);
    sheet->clusters = xrealloc(sheet->clusters, (size_t)sheet->rows + 1, sizeof *sheet->clusters);
    sheet->groups = xrealloc(sheet->groups, (size_t)sheet->rows + 1, sizeof *sheet->groups);
    for (int r = 0; r < sheet->raters; r++) {
        const struct node *field = node_get(record, sheet->columns.items[r]);

        if (is_null_judge(sheet, r)) continue;
        if (!field) return fail(err, "there is no column \"%s\"", sheet->columns.items[r]);
        set_label(sheet, at + r, is_missing(sheet, field) ? NULL : spelling(field));
    }
    if (sheet->texts_of[0] && set_nulls(sheet, at + sheet->people, record, err)) return -1;
    sheet->clusters[sheet->rows] = sheet->rows;
    sheet->groups[sheet->rows] = 0;
    if (sheet->cluster &&
        place_of(sheet, &sheet->cluster_names, record, sheet->cluster, &sheet->clusters[sheet->rows], err))
        return -1;
    if (sheet->group &&
        place_of(sheet, &sheet->group_names, record, sheet->group, &sheet->groups[sheet->rows], err))
        return -1;
    sheet->rows++;
    return 0;
}

static int read_texts(struct sheet *sheet, const char *list, struct error *err) {
    const char *comma = list ? strchr(list, ',') : NULL;

    if (!list) return 0;
    if (!comma || comma == list || !comma[1] || strchr(comma + 1, ','))
        return fail(err, "--texts names two columns of texts: --texts output_1,output_2");
    sheet->texts_of[0] = own_text(sheet, list, (size_t)(comma - list));
    sheet->texts_of[1] = own_text(sheet, comma + 1, strlen(comma + 1));
    for (int i = 0; i < NULLS; i++) names_add(&sheet->columns, null_names[i]);
    return 0;
}

/* raters: of a table with a row a label, or NULL. */
static int read_columns(struct agreeing *all, const struct node *raters, struct error *err) {
    const char *list = argument_value(all->arguments, "columns", NULL);
    struct sheet *sheet = &all->sheet;

    if (!list && !raters && !argument_given(all->arguments, "texts"))
        return fail(err, "which columns? --columns a,b names two or more");
    for (const char *at = list ? list : ""; *at;) {
        size_t length = strcspn(at, ",");

        names_add(&sheet->columns, own_text(sheet, at, length));
        at += length + (at[length] == ',');
    }
    for (const struct node *rater = !list && raters ? raters->first : NULL; rater; rater = rater->next)
        names_add(&sheet->columns, rater->text);
    sheet->people = sheet->columns.count;
    if (read_texts(sheet, argument_value(all->arguments, "texts", NULL), err)) return -1;
    all->gold = argument_value(all->arguments, "gold", NULL);
    if (all->gold) names_add(&sheet->columns, all->gold);
    sheet->raters = sheet->columns.count;
    sheet->cluster = argument_value(all->arguments, "cluster", NULL);
    sheet->group = argument_value(all->arguments, "by", NULL);
    sheet->missing = argument_value(all->arguments, "missing", NULL);
    if (sheet->raters < 2) return fail(err, "agreement needs two columns; --columns a,b names them");
    return 0;
}

/* The rows of the file; those of a table with a row a label are put together first. */
static int read_rows(struct agreeing *all, struct node *wide, struct node *raters, struct error *err) {
    const struct arguments *arguments = all->arguments;
    struct ratings_how how = {argument_value(arguments, "rows", NULL),
                              argument_value(arguments, "rater", NULL),
                              argument_value(arguments, "value", NULL)};
    const char *path = arguments->words[0];

    if (!how.rows && !how.rater && !how.value) {
        if (read_columns(all, NULL, err)) return -1;
        return ratings_each(path, take_row, &all->sheet, err);
    }
    if (!how.rows || !how.rater || !how.value)
        return fail(err, "a table with a row a label needs --rows, --rater and --value");
    if (ratings_widen(wide, raters, path, &how, err) || read_columns(all, raters, err)) return -1;
    for (const struct node *row = wide->first; row; row = row->next)
        if (take_row(&all->sheet, row, 0, err)) return fail_within(err, "%s", path);
    return 0;
}

static int check_numbers(const struct sheet *sheet, const char *flag, struct error *err) {
    for (int i = 0; i < sheet->categories.count; i++) {
        const char *text = sheet->categories.items[i];
        char *end;

        strtod(text, &end);
        if (end == text || *end) return fail(err, "--%s needs numbers, and '%s' is none", flag, text);
    }
    return 0;
}

/* Categories in the order of their numbers, so that weights mean something. */
static void order_categories(struct sheet *sheet) {
    int count = sheet->categories.count, *rank = xmalloc(((size_t)count + 1) * sizeof *rank);

    for (int i = 0; i < count; i++) {
        double own = strtod(sheet->categories.items[i], NULL);

        rank[i] = 0;
        for (int j = 0; j < count; j++) rank[i] += strtod(sheet->categories.items[j], NULL) < own;
    }
    for (int i = 0; i < sheet->rows * sheet->raters; i++)
        if (sheet->labels[i] >= 0) sheet->labels[i] = rank[sheet->labels[i]];
    free(rank);
}

static int *column(const struct sheet *sheet, int rater) {
    int *out = xmalloc(((size_t)sheet->rows + 1) * sizeof *out);

    for (int i = 0; i < sheet->rows; i++) out[i] = sheet->labels[(size_t)i * sheet->raters + rater];
    return out;
}

static struct figure *add_figure(struct agreeing *all, const char *measure, const char *columns, double value,
                                 double low, double high, int n, const char *note) {
    struct figure *figure;

    all->figures = xrealloc(all->figures, (size_t)all->figure_count + 1, sizeof *all->figures);
    figure = &all->figures[all->figure_count++];
    *figure = (struct figure){.part = all->part,
                              .measure = measure,
                              .columns = xstrdup(columns),
                              .note = xstrdup(note),
                              .value = value,
                              .low = isnan(value) ? NAN : low,
                              .high = isnan(value) ? NAN : high,
                              .p = NAN,
                              .n = n};
    return figure;
}

static void add_agreement(struct agreeing *all, const char *measure, const char *columns, int status,
                          const struct agreement *got, const struct error *err) {
    add_figure(all, measure, columns, got->value, got->low, got->high, got->n, status ? err->message : NULL);
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
    add_figure(all, "agreement", pair, both ? (double)alike / both : NAN, at.low, at.high, both, NULL);
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

static void compare_ratings(struct agreeing *all, int raters) {
    const struct sheet *sheet = &all->sheet;
    double *ratings = xmalloc(((size_t)sheet->rows * raters + 1) * sizeof *ratings);
    struct agreement got;
    struct error err;
    int status;

    for (int i = 0; i < sheet->rows; i++)
        for (int r = 0; r < raters; r++)
            ratings[(size_t)i * raters + r] = sheet->numbers[(size_t)i * sheet->raters + r];
    status =
        krippendorff_interval(&got, ratings, sheet->rows, raters, sheet->clusters, &all->bootstrap, &err);
    add_figure(all, "Krippendorff's alpha, interval", "all", got.value, got.low, got.high, got.n,
               status           ? err.message
               : sheet->cluster ? "clustered"
                                : NULL);
    free(ratings);
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
    char *pair = xprintf("%s, %s", sheet->columns.items[a], sheet->columns.items[b]);
    struct correlation got = {.value = NAN};
    struct estimate estimate = {.value = NAN};
    struct error err;
    double exact = NAN;
    int status;

    if (spearman(&got, x, y, n, 0.95, &err))
        add_figure(all, "Spearman's rho", pair, NAN, NAN, NAN, n, err.message);
    else {
        status = spearman_exact(&exact, x, y, n, &err);
        add_figure(all, "Spearman's rho", pair, got.value, got.low, got.high, n, status ? NULL : "exact p")
            ->p = status ? got.p : exact;
    }
    if (!kendall(&got, x, y, n, &err)) {
        status = kendall_exact(&exact, x, y, n, &err);
        add_figure(all, "Kendall's tau-b", pair, got.value, NAN, NAN, n, status ? NULL : "exact p")->p =
            status ? got.p : exact;
    }
    if (mean_paired(&estimate, x, y, clusters, n, 0.95, &err))
        add_figure(all, "mean difference", pair, NAN, NAN, NAN, n, err.message);
    else
        add_figure(all, "mean difference", pair, estimate.value, estimate.low, estimate.high, n,
                   sheet->cluster ? "clustered" : NULL)
            ->p = estimate.p;
    free(pair);
    free(clusters);
    free(x);
    free(y);
}

/* Probabilities against gold of 0 and 1: only where they are some. */
static int are_probabilities(const double *p, const double *y, int n) {
    int between = 0;

    for (int i = 0; i < n; i++) {
        if (!(p[i] >= 0 && p[i] <= 1) || (y[i] != 0 && y[i] != 1)) return 0;
        between |= p[i] > 0 && p[i] < 1;
    }
    return between;
}

static void calibrate(struct agreeing *all, int a) {
    const struct sheet *sheet = &all->sheet;
    size_t room = (size_t)sheet->rows + 1;
    double *p = xmalloc(room * sizeof *p), *y = xmalloc(room * sizeof *y);
    int *right = xmalloc(room * sizeof *right);
    int n = number_pairs(sheet, a, sheet->raters - 1, p, y, right), status;
    const char *name = sheet->columns.items[a];
    struct calibration got;
    struct error err;

    for (int i = 0; i < n; i++) right[i] = (int)y[i];
    if (are_probabilities(p, y, n)) {
        status = calibration_measure(&got, p, right, n, CALIBRATION_BINS, &err);
        add_figure(all, "Brier score", name, got.brier, NAN, NAN, n, NULL);
        add_figure(all, "log-loss", name, got.log_loss, NAN, NAN, n, "nats");
        add_figure(all, "AUC", name, got.auc, NAN, NAN, n, status ? err.message : NULL);
        add_figure(all, "calibration error", name, got.ece, NAN, NAN, n, "10 equal bins");
    }
    free(right);
    free(y);
    free(p);
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
        add_figure(all, "mean", sheet->columns.items[rater], NAN, NAN, NAN, n, err.message);
    else
        add_figure(all, "mean", sheet->columns.items[rater], estimate.value, estimate.low, estimate.high, n,
                   sheet->cluster ? "clustered" : NULL);
    free(clusters);
    free(x);
}

static void compare_with_gold(struct agreeing *all) {
    const struct sheet *sheet = &all->sheet;

    for (int r = 0; r + 1 < sheet->raters; r++) compare_two(all, r, sheet->raters - 1);
}

/* Null judges are compared with people and with gold, not with each other. */
static void measure(struct agreeing *all) {
    const struct sheet *sheet = &all->sheet;
    int people = sheet->people, judges = sheet->raters - (all->gold != NULL);
    int numeric = argument_given(all->arguments, "numeric");
    int scale = numeric && sheet->categories.count > CATEGORIES_MOST; /* that two are the same says little */

    for (int a = 0; a < people && !scale; a++)
        for (int b = a + 1; b < judges; b++) compare_two(all, a, b);
    if (all->gold && !scale) compare_with_gold(all);
    if (people > 2 && !scale) compare_all(all, people);
    if (!numeric) return;
    if (people > 1) compare_ratings(all, people);
    for (int a = 0; a < people; a++) describe(all, a);
    for (int a = 0; a < people; a++)
        for (int b = a + 1; b < people; b++) correlate(all, a, b);
    for (int a = 0; a < people && all->gold; a++) correlate(all, a, sheet->raters - 1);
    for (int a = 0; a < people && all->gold; a++) calibrate(all, a);
    if (all->gold) describe(all, sheet->raters - 1);
}

/* The rows of one group, measured as a file of their own. */
static void measure_group(struct agreeing *all, int group) {
    struct sheet whole = all->sheet, *part = &all->sheet;
    size_t room = (size_t)whole.rows * whole.raters + 1;

    part->labels = xmalloc(room * sizeof *part->labels);
    part->numbers = xmalloc(room * sizeof *part->numbers);
    part->clusters = xmalloc(room * sizeof *part->clusters);
    part->rows = 0;
    for (int i = 0; i < whole.rows; i++) {
        size_t from = (size_t)i * whole.raters, to = (size_t)part->rows * whole.raters;

        if (whole.groups[i] != group) continue;
        memcpy(part->labels + to, whole.labels + from, (size_t)whole.raters * sizeof *part->labels);
        memcpy(part->numbers + to, whole.numbers + from, (size_t)whole.raters * sizeof *part->numbers);
        part->clusters[part->rows++] = whole.clusters[i];
    }
    all->part = whole.group_names.items[group];
    measure(all);
    free(part->labels);
    free(part->numbers);
    free(part->clusters);
    *part = whole;
}

static void measure_groups(struct agreeing *all) {
    for (int g = 0; g < all->sheet.group_names.count; g++) measure_group(all, g);
    all->part = "all";
    measure(all);
    all->part = NULL;
}

static void adjust(struct agreeing *all) {
    double *p = xmalloc(((size_t)all->figure_count + 1) * sizeof *p),
           *adjusted = xmalloc(((size_t)all->figure_count + 1) * sizeof *adjusted);

    for (int i = 0; i < all->figure_count; i++) p[i] = all->figures[i].p;
    adjust_holm(adjusted, p, all->figure_count);
    for (int i = 0; i < all->figure_count; i++) all->figures[i].adjusted = adjusted[i];
    free(p);
    free(adjusted);
}

/* The p are those of --numeric; without it the table has no column of them. */
static void add_row(struct agreeing *all, const struct figure *figure) {
    struct node *row = tabular_add(&all->tables[AGREEMENT]);
    char *text = isnan(figure->value) ? xstrdup("–")
                 : isnan(figure->low)
                     ? xprintf("%.3f", figure->value)
                     : xprintf("%.3f [%.3f, %.3f]", figure->value, figure->low, figure->high);

    if (figure->part) tabular_cell(row, "%s", figure->part);
    tabular_cell(row, "%s", figure->measure);
    tabular_cell(row, "%s", figure->columns);
    tabular_interval(row, text, figure->value, figure->low, figure->high);
    tabular_number(row, "%.0f", figure->n);
    if (argument_given(all->arguments, "numeric")) {
        tabular_p(row, figure->p);
        tabular_p(row, figure->adjusted);
    }
    tabular_cell(row, "%s", figure->note ? figure->note : "");
    free(text);
}

/* A column of the headings that stands only where it is wanted. */
static void set_headings(const char **headings, int by, int numeric) {
    int count = 0;

    if (by) headings[count++] = "rows";
    headings[count++] = "measure";
    headings[count++] = "columns";
    headings[count++] = "value";
    headings[count++] = "n";
    if (numeric) headings[count++] = "p";
    if (numeric) headings[count++] = "p (Holm)";
    headings[count++] = "note";
    headings[count] = NULL;
}

/* For a program: a row for each two categories. */
static void list_confusion(struct tabular *table, const struct names *categories, const int *counts) {
    int k = categories->count;

    for (int i = 0; i < k * k; i++) {
        struct node *row = tabular_add(table);

        tabular_cell(row, "%s", categories->items[i / k]);
        tabular_cell(row, "%s", categories->items[i % k]);
        tabular_number(row, "%.0f", counts[i]);
    }
}

static void draw_confusion(struct tabular *table, const struct names *categories, const int *counts) {
    int k = categories->count;

    for (int a = 0; a < k; a++) {
        struct node *row = tabular_add(table);

        tabular_cell(row, "%s", categories->items[a]);
        for (int b = 0; b < k; b++) tabular_number(row, "%.0f", counts[a * k + b]);
    }
}

/* Of the first two columns. headings: as many as categories, and two. */
static void add_confusion(struct agreeing *all, const char **headings) {
    const struct sheet *sheet = &all->sheet;
    struct tabular *table = &all->tables[CONFUSION];
    int k = sheet->categories.count, is_shown = all->format <= TABULAR_MARKDOWN;
    int *counts = xcalloc((size_t)k * k + 1, sizeof *counts);

    for (int i = 0; i < sheet->rows; i++) {
        int a = sheet->labels[(size_t)i * sheet->raters], b = sheet->labels[(size_t)i * sheet->raters + 1];

        if (a >= 0 && b >= 0) counts[a * k + b]++;
    }
    headings[0] = sheet->columns.items[0];
    for (int c = 0; c < k; c++) headings[c + 1] = sheet->categories.items[c];
    if (is_shown) table->headings = headings;
    (is_shown ? draw_confusion : list_confusion)(table, &sheet->categories, counts);
    if (is_shown)
        tabular_note(table, "%s down, %s across.", sheet->columns.items[0], sheet->columns.items[1]);
    else
        tabular_note(table, "first: %s, second: %s.", sheet->columns.items[0], sheet->columns.items[1]);
    free(counts);
}

static void write_tables(struct agreeing *all) {
    const struct sheet *sheet = &all->sheet;
    const char **headings = xcalloc((size_t)sheet->categories.count + 2, sizeof *headings);

    for (int i = 0; i < all->figure_count; i++) add_row(all, &all->figures[i]);
    if (sheet->categories.count <= CATEGORIES_MOST && !argument_given(all->arguments, "ordinal") &&
        !sheet->group)
        add_confusion(all, headings);
    tabular_write_all(all->tables, 2, all->format, all->arguments->out);
    free(headings);
}

static void sheet_free(struct sheet *sheet) {
    for (int i = 0; i < sheet->text_count; i++) free(sheet->texts[i]);
    free(sheet->texts);
    free(sheet->columns.items);
    free(sheet->categories.items);
    free(sheet->cluster_names.items);
    free(sheet->group_names.items);
    free(sheet->groups);
    free(sheet->labels);
    free(sheet->numbers);
    free(sheet->clusters);
}

static void add_notes(struct agreeing *all) {
    struct tabular *table = &all->tables[AGREEMENT];

    tabular_note(table,
                 "%d rows; n counts those with every label that a line needs. 95 %% intervals: Wilson's for "
                 "agreement, percentile "
                 "bootstrap over rows (2000 resamples, seed %llu; over clusters where it says so) for kappa "
                 "and alpha, Fisher's z for rho, "
                 "Student's t for means.",
                 all->sheet.rows, (unsigned long long)all->bootstrap.seed);
    if (argument_given(all->arguments, "numeric"))
        tabular_note(table, "p (Holm): corrected for the tests of this table by Holm's method.");
    if (all->sheet.texts_of[0])
        tabular_note(table, "null-longer and null-shorter say 1 or 2 from the texts' lengths alone (0: "
                            "equal), null-first always says 1.");
}

static int run(const struct arguments *arguments, struct error *err) {
    static const char *const listed[] = {"first", "second", "count", NULL}, *const scales[] = {"ordinal",
                                                                                               "numeric"};
    const char *headings[9];
    int by = argument_given(arguments, "by"), seed, status = -1;
    struct agreeing all = {
        .arguments = arguments,
        .tables = {{.title = "Agreement", .headings = headings}, {.title = "Confusion", .headings = listed}}};
    struct node *wide = node_new(NODE_LIST), *raters = node_new(NODE_LIST);

    set_headings(headings, by, argument_given(arguments, "numeric"));
    if (tabular_format_read(&all.format, argument_value(arguments, "format", "text"), err) ||
        argument_int(arguments, "seed", 1, 0, 2147483647, &seed, err) || read_rows(&all, wide, raters, err))
        goto out;
    if (!all.sheet.rows) {
        fail(err, "%s has no rows", arguments->words[0]);
        goto out;
    }
    for (int i = 0; i < 2; i++)
        if (argument_given(arguments, scales[i]) && check_numbers(&all.sheet, scales[i], err)) goto out;
    if (argument_given(arguments, "ordinal")) order_categories(&all.sheet);
    all.bootstrap = (struct bootstrap){(uint64_t)seed, 2000, 0.95, BOOTSTRAP_PERCENTILE};
    if (by)
        measure_groups(&all);
    else
        measure(&all);
    adjust(&all);
    add_notes(&all);
    write_tables(&all);
    status = 0;
out:
    for (int i = 0; i < 2; i++) tabular_free(&all.tables[i]);
    for (int i = 0; i < all.figure_count; i++) {
        free(all.figures[i].columns);
        free(all.figures[i].note);
    }
    free(all.figures);
    sheet_free(&all.sheet);
    node_free(wide);
    node_free(raters);
    return status;
}

static const struct flag flags[] = {
    {"columns", 'c', "A,B[,C]...", "the columns that hold labels"},
    {"gold", 'g', "COLUMN", "a column of right answers; each other is compared with it too"},
    {"ordinal", 0, NULL, "labels are ordered numbers: weighted kappas as well"},
    {"numeric", 0, NULL,
     "labels are numbers: means, correlations, mean differences, interval alpha; probabilities: calibration"},
    {"cluster", 0, "COLUMN", "errors of means and of interval alpha are clustered by this column"},
    {"by", 0, "COLUMN", "measure the rows of each of its texts apart, then all"},
    {"texts", 0, "A,B",
     "columns of two texts that were compared: adds judges that read only their lengths or order"},
    {"missing", 0, "TEXT", "stands for no label, as an empty field does"},
    {"rows", 0, "A[,B]...", "the file has a row a label: columns that name what was labelled"},
    {"rater", 0, "COLUMN", "the same: who labelled, or which system was rated"},
    {"value", 0, "COLUMN", "the same: the label"},
    {"format", 'f', "NAME", "text, md, csv or json"},
    {"seed", 0, "N", "of resampling (default: 1)"},
    {0}};

const struct command command_agree = {
    .name = "agree",
    .summary = "how far columns of labels agree",
    .usage = "FILE {--columns A,B[,C]... | --rows A[,B] --rater COLUMN --value COLUMN} [--gold COLUMN]",
    .description =
        "Reads labels from a .csv, .jsonl or .json file, .gz or not, and prints raw agreement and "
        "Cohen's kappa of each two "
        "columns, Fleiss' kappa and Krippendorff's alpha of three or more, with intervals, and "
        "the confusion of the first two. "
        "An empty field or null is a missing label: it is left out, and n says so.\n\n"
        "A table with a row a label is put together first: a row for each different text of --rows, a "
        "column for each of --rater. SQuALITY's human evaluation is such a table, with the columns "
        "passage, question, system, worker, correctness, coverage and overall.",
    .flags = flags,
    .least_words = 1,
    .most_words = 1,
    .run = run,
};
