#include "reports/figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/format.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/statistics.h"
#include "reports/plot.h"
#include "reports/sheet.h"

#define BINS      30
#define FIT_STEPS 60
#define DOSES     12 /* panels an evaluation at most */

/* What is drawn now: the results, and the policies with their colours. */
struct drawing {
    struct results *results;
    const char **policies;
    int policy_count;
};

/* Okabe and Ito's colours, told apart by colour-blind readers; grey for baselines. */
static const char *colour_of(const struct drawing *drawing, const char *policy) {
    static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"};
    int trained = 0;

    for (int i = 0; i < drawing->policy_count; i++) {
        if (!strcmp(drawing->policies[i], policy)) break;
        trained += results_standing(drawing->results, drawing->policies[i]) == 1;
    }
    return results_standing(drawing->results, policy) == 1 ? colours[trained % 6] : "#888888";
}

/* Takes the chart. */
static void finish(struct drawing *drawing, struct chart *chart, const char *section, const char *group,
                   const char *name, char *caption) {
    struct results *results = drawing->results;
    struct figure figure = {.section = xstrdup(section), .group = xstrdup(group), .caption = caption};
    char *prefix = xprintf("f%d-", results->figure_count), *whole = xprintf("%s-%s", section, name),
         *stem = file_stem(whole);
    struct error err;

    figure.title = xstrdup(chart->title);
    figure.file = xprintf("%s.svg", stem);
    figure.script = chart_script(chart);
    if (!results->figure_note) figure.svg = plot_svg(figure.script, prefix, &err);
    if (!results->figure_note && !figure.svg) results->figure_note = xprintf("No figures: %s.", err.message);
    results->figures = xrealloc(results->figures, results->figure_count + 1, sizeof *results->figures);
    results->figures[results->figure_count++] = figure;
    free(prefix);
    free(whole);
    free(stem);
    chart_free(chart);
}

/* The curve belongs to the section: an evaluation's name, or a task that has none. */
static int in_section(const struct results *results, const struct curve *curve, const char *section) {
    for (int i = 0; i < results->evaluation_count; i++)
        if (!strcmp(results->evaluations[i].name, section))
            return matrix_agrees(results->evaluations[i].matrix, curve->matrix);
    return !strcmp(curve->task, section);
}

static int is_of(const struct drawing *drawing, const struct curve *curve, const char *section,
                 const char *policy) {
    return !strcmp(curve->stage, "ppo") && !strcmp(curve->policy, policy) &&
           in_section(drawing->results, curve, section);
}

static double number_of(const struct node *row, const char *key) {
    const struct node *value = node_get(row, key);
    return value && value->kind == NODE_NUMBER ? value->number : NAN;
}

/* One policy's mean over seeds, row by row, as long as every seed goes on. */
struct average {
    double *sum;
    int *count, length, curves;
};

static void average_add(struct average *average, int row, double value) {
    while (row >= average->length) {
        average->sum = xrealloc(average->sum, average->length + 1, sizeof *average->sum);
        average->count = xrealloc(average->count, average->length + 1, sizeof *average->count);
        average->sum[average->length] = 0;
        average->count[average->length++] = 0;
    }
    if (isnan(value)) return;
    average->sum[row] += value;
    average->count[row]++;
}

static void draw_policy_curves(struct drawing *drawing, struct chart *chart, const char *section,
                               const char *policy, const char *key) {
    const char *colour = colour_of(drawing, policy);
    struct average average = {0};
    struct series *mean;
    int any = 0;

    for (int i = 0; i < drawing->results->curve_count; i++) {
        const struct curve *curve = &drawing->results->curves[i];
        struct series *seed;
        int row = 0;

        if (!is_of(drawing, curve, section, policy)) continue;
        average.curves++;
        seed = chart_add(chart, NULL, colour, LINE_SEED);
        for (const struct node *at = curve->rows->first; at; at = at->next, row++) {
            double value = number_of(at, key);

            any |= !isnan(value);
            series_add(seed, row + 1, value);
            average_add(&average, row, value);
        }
    }
    if (any) {
        mean = chart_add(chart, policy, colour, LINE_MEAN);
        for (int row = 0; row < average.length; row++)
            if (average.count[row] == average.curves)
                series_add(mean, row + 1, average.sum[row] / average.count[row]);
    }
    free(average.sum);
    free(average.count);
}

static int has_titles(const struct chart *chart) {
    for (int i = 0; i < chart->count; i++)
        if (chart->series[i].title && chart->series[i].count) return 1;
    return 0;
}

/* Nothing but zeros: a world in which nobody refuses. */
static int is_flat(const struct chart *chart) {
    for (int i = 0; i < chart->count; i++)
        for (int j = 0; j < chart->series[i].count; j++)
            if (chart->series[i].y[j] != 0) return 0;
    return 1;
}

static void draw_training(struct drawing *drawing, const char *section) {
    static const struct {
        const char *key, *title;
    } panels[] = {{"reward", "Proxy reward"},
                  {"gold", "Gold score"},
                  {"kl", "KL to the reference (nats)"},
                  {"length", "Response length (tokens)"},
                  {"refused", "Share of responses that refuse"}};

    for (size_t i = 0; i < sizeof panels / sizeof *panels; i++) {
        struct chart chart = {.title = xstrdup(panels[i].title), .x_label = xstrdup("PPO iteration")};
        char *name = xprintf("training-%s", panels[i].key);

        for (int j = 0; j < drawing->policy_count; j++)
            draw_policy_curves(drawing, &chart, section, drawing->policies[j], panels[i].key);
        if (has_titles(&chart) && !is_flat(&chart))
            finish(drawing, &chart, section, "training", name,
                   xprintf("%s during training. Thin: one seed; thick: their mean.", panels[i].title));
        else
            chart_free(&chart);
        free(name);
    }
}

/* The change of `key` since the first row, against √KL: every iteration of every seed of a policy. */
static void collect_points(const struct drawing *drawing, const char *section, const char *policy,
                           const char *key, struct series *out) {
    for (int i = 0; i < drawing->results->curve_count; i++) {
        const struct curve *curve = &drawing->results->curves[i];
        double start;

        if (!is_of(drawing, curve, section, policy)) continue;
        start = number_of(curve->rows->first, key);
        for (const struct node *row = curve->rows->first; row; row = row->next) {
            double kl = number_of(row, "kl"), value = number_of(row, key) - start;
            if (!isnan(kl) && !isnan(value)) series_add(out, sqrt(fmax(kl, 0)), value);
        }
    }
}

static double farthest(const struct series *points) {
    double most = 0;

    for (int i = 0; i < points->count; i++) most = fmax(most, points->x[i]);
    return most;
}

static void describe_fit(struct text *out, const struct gao_fit *fit, const char *policy, double reach) {
    char alpha[32], beta[32], at[32], peak[32];

    text_printf(out, " %s: α = %s, β = %s, ", policy, format_number(alpha, fit->alpha, NULL),
                format_number(beta, fit->beta, NULL));
    if (!fit->has_peak || fit->peak_at > 4 * reach)
        text_printf(out, "no peak near the data.");
    else
        text_printf(out, "peak %s at √KL = %s, %s the data.", format_number(peak, fit->peak, NULL),
                    format_number(at, fit->peak_at, NULL), fit->inside ? "inside" : "outside");
}

/* The dashed curve, and its figures in the caption. */
static void draw_fit(struct chart *chart, const struct series *points, const char *policy, const char *colour,
                     struct text *caption) {
    double reach = farthest(points);
    struct series *line;
    struct gao_fit fit;
    struct error err;

    if (gao_fit(&fit, GAO_RL, points->x, points->y, points->count, &err)) {
        text_printf(caption, " %s: %s.", policy, err.message);
        return;
    }
    describe_fit(caption, &fit, policy, reach);
    line = chart_add(chart, policy, colour, LINE_FIT);
    for (int i = 0; i <= FIT_STEPS; i++)
        series_add(line, reach * i / FIT_STEPS, gao_value(&fit, reach * i / FIT_STEPS));
}

static int draw_policy_frontier(struct drawing *drawing, struct chart *chart, const char *section,
                                const char *policy, const char *key, struct text *caption) {
    const char *colour = colour_of(drawing, policy);
    struct series points = {0};
    struct series *shown;

    collect_points(drawing, section, policy, key, &points);
    if (points.count) {
        shown = chart_add(chart, NULL, colour, LINE_POINTS);
        for (int i = 0; i < points.count; i++) series_add(shown, points.x[i], points.y[i]);
        draw_fit(chart, &points, policy, colour, caption);
    }
    series_free(&points);
    return points.count;
}

static void draw_frontiers(struct drawing *drawing, const char *section) {
    static const char *const keys[] = {"reward", "gold"};
    static const char *const titles[] = {"Proxy reward gained", "Gold score gained"};

    for (int i = 0; i < 2; i++) {
        struct chart chart = {.title = xstrdup(titles[i]),
                              .x_label = xstrdup("√KL to the reference (√nats)")};
        struct text caption = {0};
        int points = 0;

        text_printf(
            &caption,
            "%s since the first iteration; every point one iteration of one seed. Dashed: d(α − β ln d), "
            "d = √KL, by least squares.",
            titles[i]);
        for (int j = 0; j < drawing->policy_count; j++)
            points += draw_policy_frontier(drawing, &chart, section, drawing->policies[j], keys[i], &caption);
        if (points)
            finish(drawing, &chart, section, "overoptimization", i ? "gold-kl" : "proxy-kl",
                   xstrdup(caption.data));
        else
            chart_free(&chart);
        free(caption.data);
    }
}

/* heldout where there is such a split, else all. */
static const char *main_split(const struct transcripts *transcripts) {
    for (int i = 0; i < transcripts->count; i++)
        if (transcripts->items[i].split && !strcmp(transcripts->items[i].split, "heldout")) return "heldout";
    return NULL;
}

static int is_shown(const struct transcript *transcript, const char *split) {
    return !split || (transcript->split && !strcmp(transcript->split, split));
}

static void draw_lengths(struct drawing *drawing, const struct evaluation *evaluation) {
    const struct transcripts *transcripts = &evaluation->transcripts;
    const char *split = main_split(transcripts), *unit = transcripts->count && transcripts->items[0].unit
                                                             ? transcripts->items[0].unit
                                                             : "tokens";
    struct chart chart = {.title = xstrdup("Share of responses"), .x_label = xprintf("Length (%s)", unit)};
    int longest = 0, width;

    for (int i = 0; i < transcripts->count; i++)
        if (is_shown(&transcripts->items[i], split) && transcripts->items[i].tokens > longest)
            longest = transcripts->items[i].tokens;
    width = longest / BINS + 1;
    for (int j = 0; longest && j < drawing->policy_count; j++) {
        const char *policy = drawing->policies[j];
        int bins[BINS + 1] = {0}, total = 0;
        struct series *series;

        for (int i = 0; i < transcripts->count; i++)
            if (is_shown(&transcripts->items[i], split) && !strcmp(transcripts->items[i].policy, policy)) {
                bins[transcripts->items[i].tokens / width]++;
                total++;
            }
        if (!total || is_null_policy(policy)) continue;
        series = chart_add(&chart, policy, colour_of(drawing, policy), LINE_STEPS);
        for (int i = 0; i <= longest / width; i++)
            series_add(series, (i + 0.5) * width, (double)bins[i] / total);
    }
    if (has_titles(&chart))
        finish(drawing, &chart, evaluation->name, "length", "length",
               xprintf("Lengths of the responses%s%s, all seeds; bins of %d %.*s.", split ? ", split " : "",
                       split ? split : "", width, (int)strlen(unit) - (width == 1), unit));
    else
        chart_free(&chart);
}

/* The first numeric variable that differs between evaluations of one task, or NULL: the dose. */
static const char *dose_of(const struct results *results, const char *task) {
    const struct node *first = NULL;

    for (int i = 0; i < results->evaluation_count; i++) {
        const struct evaluation *evaluation = &results->evaluations[i];

        if (strcmp(evaluation->task, task)) continue;
        if (!first) first = evaluation->matrix;
        for (const struct node *value = first->first; value; value = value->next) {
            const struct node *other = node_get(evaluation->matrix, value->key);
            if (value->kind == NODE_NUMBER && other && other->number != value->number) return value->key;
        }
    }
    return NULL;
}

static int same(const char *a, const char *b) {
    return a == b || (a && b && !strcmp(a, b));
}

static int same_measure(const struct metric *a, const struct metric *b) {
    return same(a->suite, b->suite) && same(a->name, b->name) && same(a->split, b->split) &&
           same(a->judge, b->judge) && same(a->baseline, b->baseline);
}

static void draw_dose_policy(struct drawing *drawing, struct chart *chart, const char *task, const char *dose,
                             const struct metric *measure, const char *policy) {
    struct series *series = NULL;

    for (int i = 0; i < drawing->results->evaluation_count; i++) {
        const struct evaluation *evaluation = &drawing->results->evaluations[i];

        if (strcmp(evaluation->task, task)) continue;
        for (int j = 0; j < evaluation->metrics.count; j++) {
            const struct metric *metric = &evaluation->metrics.items[j];

            if (!same(metric->policy, policy) || !same_measure(metric, measure) || isnan(metric->value))
                continue;
            if (!series) series = chart_add(chart, policy, colour_of(drawing, policy), LINE_BARS);
            series_add_bar(series, node_number(evaluation->matrix, dose, NAN), metric->value,
                           isnan(metric->low) ? metric->value : metric->low,
                           isnan(metric->high) ? metric->value : metric->high);
        }
    }
}

/* A panel for each tested measure, of the first evaluation's table, against the dose. */
static void draw_doses(struct drawing *drawing, const struct evaluation *evaluation, const char *dose) {
    int panels = 0;

    for (int i = 0; i < evaluation->metrics.count && panels < DOSES; i++) {
        const struct metric *metric = &evaluation->metrics.items[i];
        struct chart chart = {0};
        char *name, *stem;
        int seen = 0;

        for (int j = 0; j < i; j++) seen |= same_measure(&evaluation->metrics.items[j], metric);
        if (seen || !metric->baseline) continue;
        name = format_name(metric->name);
        stem = xprintf("dose-%s-%s-%s", metric->suite, metric->name, metric->split ? metric->split : "all");
        chart.title = xprintf("%s against %s%s%s", name, metric->baseline, metric->split ? ", " : "",
                              metric->split ? metric->split : "");
        chart.x_label = xstrdup(dose);
        for (int j = 0; j < drawing->policy_count; j++)
            draw_dose_policy(drawing, &chart, evaluation->task, dose, metric, drawing->policies[j]);
        if (has_titles(&chart)) {
            finish(drawing, &chart, evaluation->task, "dose", stem,
                   xprintf("%s by %s, with %g %% intervals.", name, dose, 100 * metric->level));
            panels++;
        } else {
            chart_free(&chart);
        }
        free(name);
        free(stem);
    }
}

static int first_of_task(const struct results *results, int index) {
    for (int i = 0; i < index; i++)
        if (!strcmp(results->evaluations[i].task, results->evaluations[index].task)) return 0;
    return 1;
}

void figures_draw(struct results *results) {
    struct drawing drawing = {.results = results};
    struct names sections = {0};

    drawing.policies = results_policies(results, &drawing.policy_count);
    for (int i = 0; i < results->evaluation_count; i++) names_add(&sections, results->evaluations[i].name);
    if (!results->evaluation_count)
        for (int i = 0; i < results->curve_count; i++) names_add(&sections, results->curves[i].task);
    for (int i = 0; i < sections.count; i++) {
        draw_training(&drawing, sections.items[i]);
        draw_frontiers(&drawing, sections.items[i]);
        if (i < results->evaluation_count) draw_lengths(&drawing, &results->evaluations[i]);
    }
    for (int i = 0; i < results->evaluation_count; i++) {
        const char *dose = dose_of(results, results->evaluations[i].task);
        if (dose && first_of_task(results, i)) draw_doses(&drawing, &results->evaluations[i], dose);
    }
    free(sections.items);
    free(drawing.policies);
}
