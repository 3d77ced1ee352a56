#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/file.h"
#include "harness/http.h"
#include "harness/memory.h"
#include "harness/option.h"
#include "harness/public_files.h"

static const struct public_file *find(const char *name, struct error *err) {
    const char *names[8];
    const char *near;
    int count = 0;

    for (; public_files[count].name && count < 8; count++) {
        if (!strcmp(public_files[count].name, name)) return &public_files[count];
        names[count] = public_files[count].name;
    }
    near = nearest_name(name, names, count);
    fail(err, "there is no data set '%s'%s%s%s; 'pyrite fetch' without a name lists them", name,
         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}

static int fetch_one(const struct public_file *set, const char *folder, FILE *out, struct error *err) {
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
        for (const struct public_file *set = public_files; set->name; set++)
            fprintf(arguments->out, "%-10s %s\n", set->name, set->licence);
    for (int i = 0; i < arguments->count; i++) {
        const struct public_file *set = find(arguments->words[i], err);

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
