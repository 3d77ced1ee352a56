#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/file.h"
#include "harness/http.h"
#include "harness/memory.h"
#include "harness/option.h"

/* Public data that recipes and suites use; nothing of it is shipped. */
static const struct dataset {
    const char *name, *file, *url, *sha256, *licence;
} datasets[] = {
    {"hh-rlhf", "hh-rlhf/harmless-base.test.jsonl.gz",
     "https://raw.githubusercontent.com/anthropics/hh-rlhf/354e5c3cb8960630860dd5774a6ac2a58313bf4d/"
     "harmless-base/test.jsonl.gz",
     "ebfaaed21162a4de120ae85366075b34425e2a6303fac59b99555002f7016f03",
     "MIT; 2,312 human preference pairs; some text is offensive; meant for preference modelling"},
    {"xstest", "xstest/xstest_prompts.csv",
     "https://raw.githubusercontent.com/paul-rottger/exaggerated-safety/"
     "d7bb5bd738c1fcbc36edd83d5e7d1b71a3e2d84d/xstest_prompts.csv",
     "11783fb294ed017473ee53c207d71f2161c7672c8d0b037501e78387f801cb5a",
     "CC BY 4.0; 250 safe prompts that look unsafe and 200 unsafe contrasts"},
};
enum { DATASETS = sizeof datasets / sizeof *datasets };

static const struct dataset *dataset_find(const char *name, struct error *err) {
    const char *names[DATASETS];
    const char *near;

    for (int i = 0; i < DATASETS; i++) {
        if (!strcmp(datasets[i].name, name)) return &datasets[i];
        names[i] = datasets[i].name;
    }
    near = nearest_name(name, names, DATASETS);
    fail(err, "there is no data set '%s'%s%s%s; 'pyrite fetch' without a name lists them", name,
         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}

static int fetch_one(const struct dataset *set, const char *folder, FILE *out, struct error *err) {
    char *path = path_join(folder, set->file);
    char *parent = xstrdup(path);
    int status;

    *strrchr(parent, '/') = 0;
    status = folder_make(parent, err);
    if (!status) status = http_download(set->url, path, set->sha256, err);
    if (!status) fprintf(out, "%s\n  licence: %s\n", path, set->licence);
    free(parent);
    free(path);
    return status;
}

static int run(const struct arguments *arguments, struct error *err) {
    const char *folder = argument_value(arguments, "to", "data");

    if (arguments->count == 0)
        for (int i = 0; i < DATASETS; i++)
            fprintf(arguments->out, "%-10s %s\n", datasets[i].name, datasets[i].licence);
    for (int i = 0; i < arguments->count; i++) {
        const struct dataset *set = dataset_find(arguments->words[i], err);

        if (!set || fetch_one(set, folder, arguments->out, err)) return -1;
    }
    return 0;
}

static const struct flag flags[] = {{"to", 0, "DIR", "folder that receives the files (default: data)"}, {0}};

const struct command command_fetch = {
    .name = "fetch",
    .summary = "download public data sets that recipes use",
    .usage = "[NAME]...",
    .description = "Without a name, lists the data sets and their licences. A download that breaks off is "
                   "continued by the same "
                   "command; the file appears only when it is whole and its SHA-256 is right.",
    .flags = flags,
    .least_words = 0,
    .most_words = -1,
    .run = run,
};
