#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/registry.h"

const struct stage *stage_find(const char *name) {
    for (int i = 0; stages[i]; i++)
        if (!strcmp(stages[i]->name, name)) return stages[i];
    return NULL;
}

const struct world *world_find(const char *name) {
    for (int i = 0; worlds[i]; i++)
        if (!strcmp(worlds[i]->name, name)) return worlds[i];
    return NULL;
}

const struct report *report_find(const char *word, struct error *err) {
    struct names names = {0};
    const struct report *found = NULL;
    char *hint;

    for (int i = 0; reports[i]; i++) {
        const char *dot = strrchr(reports[i]->file, '.');

        names_add(&names, reports[i]->name);
        if (!strcmp(reports[i]->name, word) || (dot && !strcmp(dot + 1, word))) found = reports[i];
    }
    hint = names_hint(&names, word);
    if (!found) fail(err, "there is no report format '%s'%s", word, hint);
    free(hint);
    free(names.items);
    return found;
}

static void list_one(const struct report *report, const char *run_folder, FILE *out) {
    char *made = report->made ? xprintf("%s/report/%s", run_folder, report->made) : NULL;

    fprintf(out, "%s/report/%s\n", run_folder, report->file);
    if (made && file_exists(made)) fprintf(out, "%s\n", made);
    free(made);
}

void report_list(const char *run_folder, const struct node *formats, FILE *out) {
    for (const struct node *format = formats->first; format; format = format->next)
        for (int i = 0; reports[i]; i++)
            if (!strcmp(reports[i]->name, format->text)) list_one(reports[i], run_folder, out);
}
