#include "harness/gate.h"

#include <stdlib.h>
#include <string.h>

#include "harness/condition.h"
#include "harness/file.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/registry.h"

static int add_metrics(void *list, const char *path, struct error *err) {
    return metrics_read(path, list, err);
}

int gate_read(struct metrics *out, const char *run_folder, struct error *err) {
    char *manifest = path_join(run_folder, "manifest.json"), *steps = path_join(run_folder, "steps");
    int status =
        file_exists(manifest) ? 0 : fail(err, "%s is no run's folder: it has no manifest.json", run_folder);

    if (!status) status = folder_each(steps, "metrics.jsonl", add_metrics, out, err);
    if (!status && !out->count)
        status = fail(err, "%s has no metrics: none of its steps wrote a metrics.jsonl", steps);
    free(manifest);
    free(steps);
    return status;
}

int gate_check(const struct arguments *arguments, struct error *err) {
    if (!argument_given(arguments, "fail-if") &&
        (argument_given(arguments, "junit") || argument_given(arguments, "summary")))
        return fail(err, "--junit and --summary tell what --fail-if finds; give a condition");
    for (int i = 0; i < arguments->flag_count; i++) {
        struct condition condition;

        if (strcmp(arguments->flags[i]->name, "fail-if")) continue;
        if (condition_read(&condition, arguments->values[i], err)) return -1;
        condition_free(&condition);
    }
    return 0;
}

static int is_among(const struct node *list, const char *name) {
    for (const struct node *one = list ? list->first : NULL; one; one = one->next)
        if (!strcmp(one->text, name)) return 1;
    return !list;
}

/* Whether a metric's name, in which * stands for anything, can be `name`, or go on after it with "_". */
static int can_be(const char *metric, const char *name) {
    size_t length = strlen(name), fixed = strcspn(metric, "*");

    if (metric[fixed]) return !strncmp(metric, name, fixed < length ? fixed : length);
    return !strncmp(metric, name, length) && (!metric[length] || metric[length] == '_');
}

const struct listing *suite_listing(const char *name, struct error *err) {
    struct names names = {0};
    const struct listing *found = NULL;
    char *hint;

    for (const struct listing *one = listings; one->kind; one++) {
        if (strcmp(one->kind, "suite")) continue;
        names_add(&names, *one->name);
        if (!strcmp(*one->name, name)) found = one;
    }
    hint = names_hint(&names, name);
    if (!found) fail(err, "there is no suite '%s'%s", name, hint);
    free(hint);
    free(names.items);
    return found;
}

static int check_defined(const struct condition *condition, const struct node *asked, struct error *err) {
    const struct listing *suite = suite_listing(condition->suite, err);
    const struct definition *metric = suite && suite->metrics ? *suite->metrics : NULL;
    struct names names = {0};
    int found = 0, status = 0;
    char *hint;

    if (!suite) return fail_within(err, "'%s'", condition->text);
    for (; metric && metric->name; metric++) {
        names_add(&names, metric->name);
        found |= can_be(metric->name, condition->name);
    }
    hint = names_hint(&names, condition->name);
    if (!found)
        status = fail(err, "'%s': the suite %s has no metric '%s'%s", condition->text, condition->suite,
                      condition->name, hint);
    else if (!is_among(asked, condition->suite))
        status = fail(err, "'%s': the suite %s is not among those of --suite, so nothing of it is measured",
                      condition->text, condition->suite);
    free(hint);
    free(names.items);
    return status;
}

int gate_check_suites(const struct arguments *arguments, const struct node *asked, struct error *err) {
    int status = gate_check(arguments, err);

    for (int i = 0; i < arguments->flag_count && !status; i++) {
        struct condition condition;

        if (strcmp(arguments->flags[i]->name, "fail-if")) continue;
        if (condition_read(&condition, arguments->values[i], err)) return -1;
        status = check_defined(&condition, asked, err);
        condition_free(&condition);
    }
    return status;
}

static int match_all(const struct arguments *arguments, const struct metrics *metrics,
                     struct conditioned *out, struct error *err) {
    for (int i = 0; i < arguments->flag_count; i++) {
        struct condition condition;
        int status;

        if (strcmp(arguments->flags[i]->name, "fail-if")) continue;
        if (condition_read(&condition, arguments->values[i], err)) return -1;
        status = condition_match(&condition, metrics, out, err);
        condition_free(&condition);
        if (status) return -1;
    }
    return 0;
}

/* Expectations of another recipe miss the run by more than values. */
static void print_strangers(const struct findings *findings, FILE *out) {
    int missing = 0, news = 0, expected = 0;

    for (int i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];

        missing += finding->standing == STANDING_MISSING;
        news += finding->standing == STANDING_NEW;
        expected += finding->expectation && !finding->expectation->by_interval;
    }
    if (findings->failed && 10 * (missing + news) > expected && expected)
        fprintf(out,
                "the run lacks %d of the %d metrics that are expected, and has %d of which nothing is: are "
                "these the expectations of another recipe?\n",
                missing, expected, news);
}

/* A line for each that fails, that is new, and that a condition names. */
static void print_findings(const struct findings *findings, FILE *out) {
    for (int i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        char *group, *title, *message;

        if (finding->standing == STANDING_PASSED && !finding->expectation->by_interval) continue;
        group = finding_group(finding);
        title = finding_title(finding);
        message = finding_message(finding);
        fprintf(out, "%s %s %s: %s\n", finding_word(finding), group, title, message);
        free(group);
        free(title);
        free(message);
    }
    fprintf(out, "%d passed, %d failed", findings->passed, findings->failed);
    if (findings->undecided) fprintf(out, ", %d undecided", findings->undecided);
    fprintf(out, "\n");
    print_strangers(findings, out);
}

static int write_files(const struct arguments *arguments, const struct findings *findings,
                       struct error *err) {
    const char *junit = argument_value(arguments, "junit", NULL),
               *summary = argument_value(arguments, "summary", NULL);
    char *title = xprintf("pyrite %s", arguments->command->name);
    int status = junit ? findings_write_junit(junit, findings, err) : 0;

    if (summary && !strcmp(summary, "github")) {
        summary = getenv("GITHUB_STEP_SUMMARY");
        if (!summary || !*summary) {
            summary = NULL;
            fprintf(arguments->out, "no summary: $GITHUB_STEP_SUMMARY is not set\n");
        }
    }
    if (!status && summary) status = findings_append_summary(summary, title, findings, err);
    free(title);
    return status;
}

int gate_run(const struct arguments *arguments, const struct metrics *metrics,
             const struct expectations *expected, struct error *err) {
    struct conditioned conditioned = {0};
    struct findings findings = {0};
    int status = -1;

    if (match_all(arguments, metrics, &conditioned, err)) goto out;
    if (expected) findings_make(&findings, expected, metrics);
    for (int i = 0; i < conditioned.expectations.count; i++)
        findings_add(&findings, &conditioned.expectations.items[i], conditioned.metrics[i]);
    if (write_files(arguments, &findings, err)) goto out;
    print_findings(&findings, arguments->out);
    status = findings.failed ? 1 : 0;
out:
    free(findings.items);
    conditioned_free(&conditioned);
    return status;
}

int gate_run_folder(const struct arguments *arguments, const char *run_folder, struct error *err) {
    struct metrics metrics = {0};
    int status = -1;

    if (!argument_given(arguments, "fail-if")) return 0;
    if (!gate_read(&metrics, run_folder, err)) status = gate_run(arguments, &metrics, NULL, err);
    metrics_free(&metrics);
    return status;
}
