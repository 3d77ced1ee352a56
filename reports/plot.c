#define _GNU_SOURCE /* memmem */
#include "reports/plot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/child.h"
#include "harness/memory.h"

struct series *chart_add(struct chart *chart, const char *title, const char *colour, enum line_style style) {
    chart->series = xrealloc(chart->series, chart->count + 1, sizeof *chart->series);
    chart->series[chart->count] = (struct series){.title = xstrdup(title), .colour = colour, .style = style};
    return &chart->series[chart->count++];
}

void series_add_bar(struct series *series, double x, double y, double low, double high) {
    if (series->count == series->room) {
        series->room = 2 * series->room + 32;
        series->x = xrealloc(series->x, series->room, sizeof *series->x);
        series->y = xrealloc(series->y, series->room, sizeof *series->y);
        series->low = xrealloc(series->low, series->room, sizeof *series->low);
        series->high = xrealloc(series->high, series->room, sizeof *series->high);
    }
    series->x[series->count] = x;
    series->y[series->count] = y;
    series->low[series->count] = low;
    series->high[series->count++] = high;
}

void series_add(struct series *series, double x, double y) {
    series_add_bar(series, x, y, y, y);
}

void series_free(struct series *series) {
    free(series->title);
    free(series->x);
    free(series->y);
    free(series->low);
    free(series->high);
}

void chart_free(struct chart *chart) {
    for (int i = 0; i < chart->count; i++) series_free(&chart->series[i]);
    free(chart->series);
    free(chart->title);
    free(chart->x_label);
    *chart = (struct chart){0};
}

/* A gnuplot string in single quotes, in which only the quote itself is special. */
static void add_quoted(struct text *out, const char *text) {
    text_add(out, "'", 1);
    for (; *text; text++) {
        if ((unsigned char)*text < ' ') continue;
        text_add(out, *text == '\'' ? "''" : text, *text == '\'' ? 2 : 1);
    }
    text_add(out, "'", 1);
}

static void add_number(struct text *out, double value) {
    if (isfinite(value))
        text_printf(out, " %.9g", value);
    else
        text_printf(out, " NaN");
}

static void add_data(struct text *out, const struct series *series, int index) {
    text_printf(out, "$s%d << END\n", index);
    for (int i = 0; i < series->count; i++) {
        add_number(out, series->x[i]);
        add_number(out, series->y[i]);
        add_number(out, series->low[i]);
        add_number(out, series->high[i]);
        text_add(out, "\n", 1);
    }
    text_printf(out, "END\n");
}

static void add_series(struct text *out, const struct series *series, int index) {
    static const char *const styles[] = {[LINE_MEAN] = "using 1:2 with lines lw 2.2",
                                         [LINE_SEED] = "using 1:2 with lines lw 0.6",
                                         [LINE_POINTS] = "using 1:2 with points pt 7 ps 0.22",
                                         [LINE_FIT] = "using 1:2 with lines lw 1.8 dt 2",
                                         [LINE_STEPS] = "using 1:2 with histeps lw 1.8",
                                         [LINE_BARS] = "using 1:2:3:4 with yerrorlines lw 1.6 pt 7 ps 0.5"};

    text_printf(out, "%s$s%d %s lc rgb '%s' ", index ? ", " : "", index, styles[series->style],
                series->colour);
    if (!series->title) {
        text_printf(out, "notitle");
        return;
    }
    text_printf(out, "title ");
    add_quoted(out, series->title);
}

char *chart_script(const struct chart *chart) {
    struct text out = {0};

    text_printf(&out, "set border 3 lc rgb '#444444'\nset tics nomirror out scale 0.4\n"
                      "set grid lc rgb '#dddddd' lt 1 lw 0.6\n"
                      "set key bmargin center horizontal samplen 1.6 spacing 0.9 height 0.6 noenhanced\n"
                      "set autoscale xfix\nset offsets 0, graph 0.02, graph 0.03, 0\n");
    text_printf(&out, "set title ");
    add_quoted(&out, chart->title);
    text_printf(&out, "\nset xlabel ");
    add_quoted(&out, chart->x_label);
    text_printf(&out, "\n");
    for (int i = 0; i < chart->count; i++) add_data(&out, &chart->series[i], i);
    text_printf(&out, "plot ");
    for (int i = 0; i < chart->count; i++) add_series(&out, &chart->series[i], i);
    text_printf(&out, "\n");
    return out.data;
}

static char *read_all(FILE *in, size_t *length) {
    struct text text = {0};
    char buffer[4096];
    size_t got;

    rewind(in);
    text_add(&text, "", 0);
    while ((got = fread(buffer, 1, sizeof buffer, in)) > 0) text_add(&text, buffer, got);
    *length = text.length;
    return text.data;
}

/* Files of no name, so that neither side ever waits for the other. */
static int run_gnuplot(FILE *script, FILE *drawing, FILE *complaints, struct error *err) {
    static const char *const words[] = {"gnuplot", "-", NULL};
    struct child child = {.words = words, .in = script, .out = drawing, .complaints = complaints};
    size_t length;
    int code;

    if (!program_exists("gnuplot")) return fail(err, "gnuplot is not installed; install it for figures");
    if (child_run(&child, &code, err)) return -1;
    if (code) {
        char *said = read_all(complaints, &length);

        fail(err, "gnuplot failed: %.300s", said);
        free(said);
        return -1;
    }
    return 0;
}

/* What gnuplot writes to its output for a terminal and a chart's script. */
static char *draw(const char *terminal, const char *script, size_t *length, struct error *err) {
    FILE *in = tmpfile(), *drawing = tmpfile(), *complaints = tmpfile();
    char *drawn = NULL;

    if (!in || !drawing || !complaints) {
        fail(err, "cannot make temporary files for gnuplot: %s", strerror(errno));
        goto out;
    }
    fprintf(in, "set encoding utf8\nset terminal %s\n%s", terminal, script);
    rewind(in);
    if (!run_gnuplot(in, drawing, complaints, err)) drawn = read_all(drawing, length);
out:
    if (in) fclose(in);
    if (drawing) fclose(drawing);
    if (complaints) fclose(complaints);
    return drawn;
}

/* "id='" → "id='<prefix>", and the references to it. */
static char *own_ids(const char *svg, const char *prefix) {
    static const char *const marks[] = {"id=\"", "id='", "href='#", "href=\"#", "url(#"};
    struct text out = {0};

    while (*svg) {
        size_t taken = 1;

        for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
            if (!strncmp(svg, marks[i], strlen(marks[i]))) taken = strlen(marks[i]);
        text_add(&out, svg, taken);
        if (taken > 1) text_printf(&out, "%s", prefix);
        svg += taken;
    }
    return out.data;
}

/* Cuts what lies between two marks, both included, wherever it occurs. */
static void cut(char *text, const char *from, const char *to) {
    char *start, *end;

    while ((start = strstr(text, from)) && (end = strstr(start, to)))
        memmove(start, end + strlen(to), strlen(end + strlen(to)) + 1);
}

static char *tidy(char *svg, const char *prefix, struct error *err) {
    const char *start = strstr(svg, "<svg");

    if (!start || !strstr(start, "</svg>")) {
        fail(err, "gnuplot wrote no SVG; its svg terminal is needed for figures");
        return NULL;
    }
    cut(svg, "<title>", "</title>\n");
    cut(svg, "<desc>", "</desc>\n");
    cut(svg, "<filter", "</filter>\n");
    return own_ids(strstr(svg, "<svg"), prefix);
}

char *plot_svg(const char *script, const char *prefix, struct error *err) {
    size_t length;
    char *drawn = draw("svg size 440,310 dynamic noenhanced font 'sans-serif,13'", script, &length, err),
         *result = drawn ? tidy(drawn, prefix, err) : NULL;

    free(drawn);
    return result;
}

/* The time at which it was drawn is not the file's concern. */
static void forget_date(char *pdf, size_t length) {
    static const char mark[] = "/CreationDate (D:";
    char *at = memmem(pdf, length, mark, strlen(mark));

    for (at = at ? at + strlen(mark) : NULL; at && *at >= '0' && *at <= '9'; at++) *at = '0';
}

char *plot_pdf(const char *script, size_t *length, struct error *err) {
    char *drawn =
        draw("pdfcairo size 8.4cm,6.1cm noenhanced linewidth 1.1 font 'sans-serif,7'", script, length, err);

    if (drawn && (*length < 5 || memcmp(drawn, "%PDF-", 5))) {
        fail(err, "gnuplot wrote no PDF; its pdfcairo terminal is needed for figures in LaTeX");
        free(drawn);
        return NULL;
    }
    if (drawn) forget_date(drawn, *length);
    return drawn;
}
