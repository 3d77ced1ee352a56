/* What is said of findings: a line each, JUnit's file, a summary in Markdown. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/expectation.h"
#include "harness/file.h"
#include "harness/format.h"
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
        text_printf(&text, finding->expectation->by_interval ? ", %s" : ", claimed: %s",
                    finding->expectation->claim);
    return text.data;
}

/* Shares are said in percent. */
static double scale_of(const struct metric *metric) {
    return metric && metric->unit && (!strcmp(metric->unit, "fraction") || !strcmp(metric->unit, "points"))
               ? 100
               : 1;
}

static void say_value(struct text *text, const struct metric *metric) {
    text_printf(text, "%.4g", scale_of(metric) * metric->value);
    if (metric->unit) text_printf(text, " (%s)", strcmp(metric->unit, "fraction") ? metric->unit : "percent");
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

/* "12.0 % [10.5, 14.1], n 200: the whole interval lies above the bound"; and what missing judgments could do.
 */
static char *interval_message(const struct finding *finding) {
    const struct metric *metric = finding->metric;
    char *estimate = format_estimate(metric), worst[32], best[32];
    struct text text = {0};

    text_printf(&text, "%s%s, n %d", estimate, isnan(metric->worst) ? "" : " of those that can be told",
                metric->n);
    if (metric->n_missing) text_printf(&text, ", %d missing", metric->n_missing);
    if (finding->standing == STANDING_UNDECIDED)
        text_printf(&text, ": without an interval it decides nothing (%s)",
                    metric->reason ? metric->reason : "no reason given");
    else if (finding->standing == STANDING_OUTSIDE)
        text_printf(&text, ": the whole interval lies %s the bound",
                    finding->outside > 0 ? "above" : "below");
    else
        text_printf(&text, ": the interval does not lie beyond the bound");
    if (!isnan(metric->worst))
        text_printf(&text, "; had the missing judgments gone one way, %s or %s",
                    format_number(worst, metric->worst, metric_unit(metric)),
                    format_number(best, metric->best, metric_unit(metric)));
    free(estimate);
    return text.data;
}

char *finding_message(const struct finding *finding) {
    const struct metric *metric = finding->metric;
    double scale = scale_of(metric);
    struct text text = {0};

    if (finding->expectation && finding->expectation->by_interval) return interval_message(finding);
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
    if (finding_failed(finding) || finding->standing == STANDING_UNDECIDED) {
        fputs(finding_failed(finding) ? ">\n      <failure message=" : ">\n      <skipped message=", out);
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
    int tests = 0, failures = 0, skipped = 0;

    for (int i = first; i < findings->count; i++)
        if (groups[i] && !strcmp(groups[i], groups[first])) {
            tests++;
            failures += finding_failed(&findings->items[i]);
            skipped += findings->items[i].standing == STANDING_UNDECIDED;
        }
    fputs("  <testsuite name=", out);
    write_quoted(out, groups[first]);
    fprintf(out, " tests=\"%d\" failures=\"%d\" skipped=\"%d\">\n", tests, failures, skipped);
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
    fprintf(out.file, "<testsuites tests=\"%d\" failures=\"%d\" skipped=\"%d\">\n",
            findings->passed + findings->failed + findings->undecided, findings->failed, findings->undecided);
    for (int i = 0; i < findings->count; i++)
        if (is_first(groups, i)) write_group(out.file, findings, groups, i);
    fputs("</testsuites>\n", out.file);
    for (int i = 0; i < findings->count; i++) free(groups[i]);
    free(groups);
    return output_close(&out, err);
}

static void add_summary_row(struct text *out, const struct finding *finding) {
    char *group = finding_group(finding), *title = finding_title(finding),
         *message = finding_message(finding);

    text_printf(out, "| %s | ", finding_failed(finding) ? "**failed**" : finding_word(finding));
    text_add_markdown(out, group);
    text_printf(out, " ");
    text_add_markdown(out, title);
    text_printf(out, " | ");
    text_add_markdown(out, message);
    text_printf(out, " |\n");
    free(group);
    free(title);
    free(message);
}

/* Failures first; of recorded expectations only those that fail. */
static void add_summary_rows(struct text *out, const struct findings *findings) {
    for (int rank = 0; rank < 3; rank++)
        for (int i = 0; i < findings->count; i++) {
            const struct finding *finding = &findings->items[i];
            int its = finding_failed(finding) ? 0 : finding->standing == STANDING_UNDECIDED ? 1 : 2;

            if (its != rank || (its == 2 && !(finding->expectation && finding->expectation->by_interval)))
                continue;
            add_summary_row(out, finding);
        }
}

int findings_append_summary(const char *path, const char *title, const struct findings *findings,
                            struct error *err) {
    struct text out = {0};
    FILE *file = fopen(path, "a");
    int status = 0;

    if (!file) return fail(err, "cannot append the summary to %s: %s", path, strerror(errno));
    text_printf(&out, "## %s: %d passed, %d failed", title, findings->passed, findings->failed);
    if (findings->undecided) text_printf(&out, ", %d undecided", findings->undecided);
    text_printf(&out, "\n\n| | metric | found |\n|---|---|---|\n");
    add_summary_rows(&out, findings);
    text_printf(&out, "\n");
    if (fwrite(out.data, 1, out.length, file) != out.length || fflush(file) || fsync(fileno(file)))
        status = fail(err, "cannot write the summary to %s: %s", path, strerror(errno));
    if (fclose(file) && !status)
        status = fail(err, "cannot write the summary to %s: %s", path, strerror(errno));
    free(out.data);
    return status;
}
