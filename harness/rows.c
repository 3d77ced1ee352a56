#include "harness/rows.h"

#include <stdlib.h>

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
    int status = output_open(&rows->dropped, path, err);

    free(path);
    rows->reasons = node_new(NODE_MAP);
    return status || document_each(file, take_row, &call, err) < 0 ? -1 : 0;
}

static void list_row(struct rows *rows, int row, int line, const char *reason, int kept) {
    struct node *said = node_new(NODE_MAP);

    node_add_number(said, "row", row);
    if (line) node_add_number(said, "line", line);
    node_add_text(said, "reason", reason);
    if (kept) node_add_bool(said, "kept", 1);
    node_print(rows->dropped.file, said, 0);
    node_free(said);
}

void rows_drop(struct rows *rows, int row, int line, const char *reason) {
    struct node *count = (struct node *)node_get(rows->reasons, reason);

    rows->left_out += row != rows->listed;
    rows->listed = row;
    if (!count) count = node_add_number(rows->reasons, reason, 0);
    count->number++;
    list_row(rows, row, line, reason, 0);
}

void rows_cut(struct rows *rows, int row, int line, const char *reason) {
    rows->cut++;
    list_row(rows, row, line, reason, 1);
}

int rows_close(struct rows *rows, struct error *err) {
    return output_close(&rows->dropped, err);
}

void rows_free(struct rows *rows) {
    output_discard(&rows->dropped);
    node_free(rows->reasons);
    rows->reasons = NULL;
}

void rows_notice(const struct rows *rows, const struct step *step) {
    if (rows->left_out)
        progress_notice("%s: %d of %d rows dropped, listed in dropped.jsonl", step->name, rows->left_out,
                        rows->count);
    if (rows->cut)
        progress_notice("%s: the prompts of %d of %d rows were cut, listed in dropped.jsonl", step->name,
                        rows->cut, rows->count);
}
