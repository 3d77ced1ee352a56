#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/file.h"
#include "harness/gate.h"
#include "harness/memory.h"
#include "harness/registry.h"

static int add_formats(struct node *formats, const char *list, struct error *err) {
    for (const char *at = list; *at;) {
        size_t length = strcspn(at, ",");
        char *word = xstrndup(at, length);
        const struct report *report = report_find(word, err);

        free(word);
        if (!report) return -1;
        node_add_text(formats, NULL, report->name);
        at += length + (at[length] == ',');
    }
    return 0;
}

static int read_formats(const struct arguments *arguments, struct node *formats, struct error *err) {
    for (int i = 0; i < arguments->flag_count; i++)
        if (!strcmp(arguments->flags[i]->name, "format") && add_formats(formats, arguments->values[i], err))
            return -1;
    if (formats->count) return 0;
    for (int i = 0; reports[i]; i++) node_add_text(formats, NULL, reports[i]->name);
    return 0;
}

static int check_run(const char *folder, struct error *err) {
    char *path = path_join(folder, "manifest.json");
    int found = file_exists(path);

    free(path);
    return found ? 0 : fail(err, "%s is no run's folder: it has no manifest.json", folder);
}

static int run(const struct arguments *arguments, struct error *err) {
    const char *folder = arguments->words[0];
    struct node *formats = node_new(NODE_LIST);
    int status = -1;

    if (gate_check(arguments, err) || read_formats(arguments, formats, err) || check_run(folder, err))
        goto out;
    status = report_write(folder, formats, err) ? 1 : 0;
    if (status) goto out;
    report_list(folder, formats, arguments->out);
    status = gate_run_folder(arguments, folder, err);
out:
    node_free(formats);
    return status;
}

static const struct flag flags[] = {
    {"format", 'f', "NAME", "md, html, tex, csv or json; several with commas (default: all)"},
    GATE_FLAGS,
    {0},
};

const struct command command_report = {
    .name = "report",
    .summary = "write the report of a run again",
    .usage = "RUN [--format NAME[,NAME]...] [--fail-if CONDITION]... [--junit FILE] [--summary FILE]",
    .description =
        "Writes the report from what a run's folder holds, in the formats asked for, into RUN/report/; "
        "prints where the files are. tex is a paper in LaTeX with tables/ for other papers, and its PDF "
        "where "
        "pdflatex, lualatex or tectonic is installed." GATE_HELP,
    .flags = flags,
    .least_words = 1,
    .most_words = 1,
    .run = run,
};
