/* What is said of findings: a line each, and JUnit's file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/expectation.h"
#include "harness/file.h"
#include "harness/memory.h"

static const struct metric *names_of(const struct finding *finding) {
    return finding->expectation ? &finding->expectation->metric : finding->metric;
}

char *finding_group(const struct finding *finding) {
    const struct metric *metric = names_of(finding);

    return xprintf("%s%s%s", metric->task ? metric->task : "", metric->task ? "/" : "", metric->suite);
}

char *finding_title(const struct finding *finding) {
    const struct metric *metric = names_of(finding);
    struct text text = {0};

    text_printf(&text, "%s", metric->name);
    if (metric->policy) text_printf(&text, ", %s", metric->policy);
    if (metric->baseline) text_printf(&text, " against %s", metric->baseline);
    if (metric->judge) text_printf(&text, ", by %s", metric->judge);
    if (metric->split) text_printf(&text, ", %s", metric->split);
    if (finding->expectation && finding->expectation->claim)
        text_printf(&text, ", claimed: %s", finding->expectation->claim);
    return text.data;
}

/* Shares are said in percent. */
static double scale_of(const struct metric *metric) {
    return metric && metric->unit && !strcmp(metric->unit, "percent") ? 100 : 1;
}

static void say_value(struct text *text, const struct metric *metric) {
    text_printf(text, "%.4g", scale_of(metric) * metric->value);
    if (metric->unit) text_printf(text, " (%s)", metric->unit);
}

static void say_interval(struct text *text, const struct expectation *expectation, double scale) {
    double low = scale * expectation->metric.low, high = scale * expectation->metric.high;
    const char *what = expectation->claim ? "between" : "from";

    if (isnan(low) && isnan(high))
        text_printf(text, "no value");
    else if (isnan(high))
        text_printf(text, "above %.4g", low);
    else if (isnan(low))
        text_printf(text, "below %.4g", high);
    else
        text_printf(text, "%s %.4g %s %.4g", what, low, expectation->claim ? "and" : "to", high);
}

static void say_distance(struct text *text, const struct finding *finding, double scale) {
    if (finding->outside == 0) {
        text_printf(text, "; the bound itself does not count");
        return;
    }
    text_printf(text, "; too %s by %.4g", finding->outside < 0 ? "low" : "high",
                scale * fabs(finding->outside));
    if (!isnan(finding->half_widths)) text_printf(text, ", %.2f half-widths", finding->half_widths);
}

char *finding_message(const struct finding *finding) {
    const struct metric *metric = finding->metric;
    double scale = scale_of(metric);
    struct text text = {0};

    if (finding->standing == STANDING_MISSING)
        text_printf(&text, "not in the run");
    else if (isnan(metric->value))
        text_printf(&text, "could not be computed (%s)", metric->reason ? metric->reason : "no reason given");
    else
        say_value(&text, metric);
    if (finding->standing == STANDING_NEW) return text.data;
    text_printf(&text, ", expected ");
    say_interval(&text, finding->expectation, scale);
    if (finding->standing == STANDING_OUTSIDE) say_distance(&text, finding, scale);
    return text.data;
}

/* Between quotes; what XML 1.0 cannot hold becomes U+FFFD. */
static void write_quoted(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;

        if (strchr("&<>\"'\t\n\r", byte))
            fprintf(out, "&#%d;", byte);
        else if (byte < 0x20)
            fputs("\xEF\xBF\xBD", out);
        else
            fputc(byte, out);
    }
    fputc('"', out);
}

static void write_case(FILE *out, const struct finding *finding, const char *group) {
    char *title = finding_title(finding), *message = finding_message(finding);

    fputs("    <testcase classname=", out);
    write_quoted(out, group);
    fputs(" name=", out);
    write_quoted(out, title);
    if (finding_failed(finding)) {
        fputs(">\n      <failure message=", out);
        write_quoted(out, message);
        fputs("/>\n    </testcase>\n", out);
    } else {
        fputs("/>\n", out);
    }
    free(title);
    free(message);
}

/* The group of items[first], all its cases. */
static void write_group(FILE *out, const struct findings *findings, char *const *groups, int first) {
    int tests = 0, failures = 0;

    for (int i = first; i < findings->count; i++)
        if (groups[i] && !strcmp(groups[i], groups[first])) {
            tests++;
            failures += finding_failed(&findings->items[i]);
        }
    fputs("  <testsuite name=", out);
    write_quoted(out, groups[first]);
    fprintf(out, " tests=\"%d\" failures=\"%d\">\n", tests, failures);
    for (int i = first; i < findings->count; i++)
        if (groups[i] && !strcmp(groups[i], groups[first])) write_case(out, &findings->items[i], groups[i]);
    fputs("  </testsuite>\n", out);
}

static int is_first(char *const *groups, int at) {
    for (int i = 0; i < at; i++)
        if (groups[i] && groups[at] && !strcmp(groups[i], groups[at])) return 0;
    return groups[at] != NULL;
}

int findings_write_junit(const char *path, const struct findings *findings, struct error *err) {
    char **groups;
    struct output out;

    if (output_open(&out, path, err)) return -1;
    groups = xcalloc((size_t)findings->count + 1, sizeof *groups); /* NULL: new, no case of the file */
    for (int i = 0; i < findings->count; i++)
        if (findings->items[i].standing != STANDING_NEW) groups[i] = finding_group(&findings->items[i]);
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", out.file);
    fprintf(out.file, "<testsuites tests=\"%d\" failures=\"%d\">\n", findings->passed + findings->failed,
            findings->failed);
    for (int i = 0; i < findings->count; i++)
        if (is_first(groups, i)) write_group(out.file, findings, groups, i);
    fputs("</testsuites>\n", out.file);
    for (int i = 0; i < findings->count; i++) free(groups[i]);
    free(groups);
    return output_close(&out, err);
}
