#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/registry.h"
#include "reports/figures.h"
#include "reports/results.h"

/* The formats asked for; all there are if none is. Caller frees. */
static const struct report **choose(const struct node *formats, struct error *err) {
    int most = formats ? formats->count : 0, count = 0;
    const struct report **chosen;

    while (reports[count]) count++;
    chosen = xcalloc((most > count ? most : count) + 1, sizeof *chosen);
    if (!most) memcpy(chosen, reports, count * sizeof *chosen);
    count = 0;
    for (const struct node *format = most ? formats->first : NULL; format; format = format->next) {
        if (format->kind != NODE_STRING)
            fail(err, "a report format must be a name such as markdown or html");
        else if ((chosen[count] = report_find(format->text, err))) {
            count++;
            continue;
        }
        free(chosen);
        return NULL;
    }
    return chosen;
}

static int write_one(const struct report *report, const struct results *results, const char *folder,
                     struct error *err) {
    char *path = path_join(folder, report->file);
    struct output output;
    int status = -1;

    if (output_open(&output, path, err)) goto out;
    if (report->write(results, output.file, err))
        output_discard(&output);
    else
        status = output_close(&output, err);
    if (!status && report->complete) status = report->complete(results, folder, err);
out:
    free(path);
    return status;
}

static int write_figures(const struct results *results, const char *folder, struct error *err) {
    int status = 0;

    for (int i = 0; i < results->figure_count && !status; i++) {
        const struct figure *figure = &results->figures[i];
        char *path;

        if (!figure->svg) continue;
        path = path_join(folder, figure->file);
        status = file_write(path, figure->svg, strlen(figure->svg), err);
        free(path);
    }
    return status;
}

int report_write(const char *run_folder, const struct node *formats, struct error *err) {
    const struct report **chosen = choose(formats, err);
    char *folder = path_join(run_folder, "report");
    struct results results = {0};
    int status = -1;

    if (!chosen || results_gather(&results, run_folder, err) || folder_make(folder, err)) goto out;
    figures_draw(&results);
    if (write_figures(&results, folder, err)) goto out;
    for (int i = 0; chosen[i]; i++)
        if (write_one(chosen[i], &results, folder, err)) goto out;
    status = 0;
out:
    results_free(&results);
    free(folder);
    free(chosen);
    return status;
}
