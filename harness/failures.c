#include "harness/failures.h"

#include <stdlib.h>

#include "harness/document.h"
#include "harness/file.h"
#include "harness/memory.h"

static int count(const struct node *judge, const char *key) {
    return node_int(judge, key, 0);
}

/* "judge x: 3 of 20 judgments failed (…; first: no connection: …)". */
static void add_judge(struct text *out, const struct node *judge) {
    int refused = count(judge, "refused"), unparsed = count(judge, "unparsed"),
        transport = count(judge, "transport");
    const char *first = node_text(judge, "first_transport", NULL);

    text_printf(out, "%sjudge %s: %d of %d judgments failed (%d refused, %d unparsed, %d transport%s%s)",
                out->length ? "; " : "", judge->key, refused + unparsed + transport,
                count(judge, "judgments"), refused, unparsed, transport, first ? "; the first: " : "",
                first ? first : "");
}

int failures_check(const char *folder, struct error *err) {
    char *path = path_join(folder, "judging.json");
    struct node *all = NULL;
    const struct node *judges;
    struct text failed = {0};
    double limit;
    int status = 0;

    if (file_exists(path)) {
        all = document_read(path, err);
        status = all ? 0 : -1;
    }
    limit = node_number(all, "most_failures", 1);
    judges = node_get(all, "judges");
    for (const struct node *judge = judges ? judges->first : NULL; judge; judge = judge->next)
        if (node_number(judge, "failed", 0) > limit) add_judge(&failed, judge);
    if (failed.length) {
        fail(err,
             "%s, more than the %g %% of most_failures; everything is written, the bounds show what the "
             "failed "
             "ones could change",
             failed.data, 100 * limit);
        status = 1;
    }
    free(failed.data);
    node_free(all);
    free(path);
    return status;
}
