#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "harness/command.h"
#include "harness/expectation.h"
#include "harness/file.h"
#include "harness/memory.h"

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static int is_folder(const char *path) {
    struct stat facts;

    return !stat(path, &facts) && S_ISDIR(facts.st_mode);
}

/* The metrics.jsonl here and of every folder below, in the order of names; unfinished steps are hidden. */
static int read_metrics(struct metrics *out, const char *folder, struct error *err) {
    struct dirent **entries = NULL;
    char *path = path_join(folder, "metrics.jsonl");
    int status = file_exists(path) ? metrics_read(path, out, err) : 0;
    int count = scandir(folder, &entries, is_visible, alphasort);

    free(path);
    for (int i = 0; i < count; i++) {
        char *below = path_join(folder, entries[i]->d_name);

        if (!status && is_folder(below)) status = read_metrics(out, below, err);
        free(below);
        free(entries[i]);
    }
    free(entries);
    return status;
}

static int read_run(struct metrics *out, const char *folder, struct error *err) {
    char *manifest = path_join(folder, "manifest.json"), *steps = path_join(folder, "steps");
    int status =
        file_exists(manifest) ? 0 : fail(err, "%s is no run's folder: it has no manifest.json", folder);

    if (!status) status = read_metrics(out, steps, err);
    if (!status && !out->count)
        status = fail(err, "%s has no metrics: none of its steps wrote a metrics.jsonl", steps);
    free(manifest);
    free(steps);
    return status ? status : metrics_distinct(out, err);
}

static int write_expected(const char *path, const struct metrics *metrics, FILE *out, struct error *err) {
    struct expectations list = {0};
    int status = file_exists(path) ? expectations_read(path, &list, err) : 0;

    if (!status) {
        expectations_record(&list, metrics);
        status = expectations_write(path, &list, err);
    }
    if (!status)
        fprintf(out, "%s: %d recorded, %d claimed\n", path, metrics->count, list.count - metrics->count);
    expectations_free(&list);
    return status;
}

static void print_findings(const struct findings *findings, FILE *out) {
    for (int i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        char *group, *title, *message;

        if (finding->standing == STANDING_PASSED) continue;
        group = finding_group(finding);
        title = finding_title(finding);
        message = finding_message(finding);
        fprintf(out, "%s %s %s: %s\n", finding_failed(finding) ? "FAIL" : "new:", group, title, message);
        free(group);
        free(title);
        free(message);
    }
    fprintf(out, "%d passed, %d failed\n", findings->passed, findings->failed);
}

static int check(const struct arguments *arguments, const struct metrics *metrics, struct error *err) {
    const char *path = arguments->words[1], *junit = argument_value(arguments, "junit", NULL);
    struct expectations expectations = {0};
    struct findings findings = {0};
    int status = -1;

    if (expectations_read(path, &expectations, err)) goto out;
    if (!expectations.count) {
        fail(err, "%s expects nothing; --write records what the run has", path);
        goto out;
    }
    findings_make(&findings, &expectations, metrics);
    if (junit && findings_write_junit(junit, &findings, err)) goto out;
    print_findings(&findings, arguments->out);
    status = findings.failed ? 1 : 0;
out:
    free(findings.items);
    expectations_free(&expectations);
    return status;
}

static int run(const struct arguments *arguments, struct error *err) {
    struct metrics metrics = {0};
    int status = -1;

    if (argument_given(arguments, "write") && argument_given(arguments, "junit"))
        return fail(err, "--write compares nothing that --junit could tell; give one of them");
    if (read_run(&metrics, arguments->words[0], err)) goto out;
    if (argument_given(arguments, "write"))
        status = write_expected(arguments->words[1], &metrics, arguments->out, err);
    else
        status = check(arguments, &metrics, err);
out:
    metrics_free(&metrics);
    return status;
}

static const struct flag flags[] = {
    {"junit", 'j', "FILE", "write the results to FILE as JUnit's XML too"},
    {"write", 'w', NULL, "write EXPECTED from the run; claims that stand in it are kept"},
    {0},
};

const struct command command_check = {
    .name = "check",
    .summary = "compare a run's metrics with expected ones",
    .usage = "RUN EXPECTED [--junit FILE] | RUN EXPECTED --write",
    .description =
        "Compares every metric of a finished run with the intervals and the claims of EXPECTED, a JSON-lines "
        "file. Prints a line for each that fails, with how far it lies outside in its unit and in halves of "
        "the interval, a line for each metric of which nothing is expected, and last a line \"N passed, N "
        "failed\". A metric that the run lacks fails.\n\n"
        "With --write the expectations are made from the run: for each metric the union of its 95 % interval "
        "and of 0.05, or a tenth of the value if that is more, to either side.",
    .flags = flags,
    .least_words = 2,
    .most_words = 2,
    .run = run,
};
