/* Line charts, drawn as SVG or PDF by gnuplot in a child process. */
#ifndef REPORTS_PLOT_H
#define REPORTS_PLOT_H

#include <stddef.h>

#include "harness/error.h"

enum line_style { LINE_MEAN, LINE_SEED, LINE_FIT, LINE_POINTS, LINE_STEPS, LINE_BARS };

struct series {
    char *title; /* NULL: not in the key */
    const char *colour;
    enum line_style style;
    double *x, *y, *low, *high; /* NaN breaks the line; low and high matter to LINE_BARS */
    int count, room;
};

struct chart {
    char *title, *x_label; /* title: what the y axis shows */
    struct series *series;
    int count;
};

/* Names are copied. */
struct series *chart_add(struct chart *chart, const char *title, const char *colour, enum line_style style);
void series_add(struct series *series, double x, double y);
void series_add_bar(struct series *series, double x, double y, double low, double high);
void series_free(struct series *series); /* what it holds */
void chart_free(struct chart *chart);

/* The chart as gnuplot's commands, for any terminal. Caller frees, as below. */
char *chart_script(const struct chart *chart);

/* The SVG element, without an XML prologue; every id in it starts with `prefix`. NULL with err set: gnuplot
   is missing or failed. */
char *plot_svg(const char *script, const char *prefix, struct error *err);
/* The PDF's bytes; the same for the same script. */
char *plot_pdf(const char *script, size_t *length, struct error *err);

#endif
