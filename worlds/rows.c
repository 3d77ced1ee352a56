#include "worlds/rows.h"

#include <stdlib.h>

#include "harness/file.h"
#include "harness/progress.h"

struct call {
    struct rows *rows;
    rows_take *take;
};

static int take_row(void *context, const struct node *record, int line, struct error *err) {
    struct call *call = context;
    int status;

    call->rows->count++;
    status = call->take(call->rows, record, line, err);
    if (status) call->rows->count--; /* it was the last, or no row at all */
    return status;
}

int rows_read(struct rows *rows, const struct step *step, const char *file, rows_take *take,
              struct error *err) {
    char *path = step_path(step, "dropped.jsonl");
    struct call call = {rows, take};
    struct output out;
    int status = output_open(&out, path, err);

    free(path);
    if (status) return -1;
    rows->dropped = out.file;
    if (document_each(file, take_row, &call, err) < 0) {
        output_discard(&out);
        return -1;
    }
    return output_close(&out, err);
}

void rows_drop(struct rows *rows, int line, const char *reason) {
    rows->left_out++;
    fprintf(rows->dropped, "{\"row\":%d,\"line\":%d,\"reason\":\"%s\"}\n", rows->count, line, reason);
}

void rows_notice(const struct rows *rows, const struct step *step) {
    if (rows->left_out)
        progress_notice("%s: %d of %d rows dropped, listed in dropped.jsonl", step->name, rows->left_out,
                        rows->count);
}
