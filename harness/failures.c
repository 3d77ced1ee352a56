#include "harness/failures.h"

#include <stdlib.h>

#include "harness/document.h"
#include "harness/file.h"

static int count(const struct node *judge, const char *key) {
    return (int)node_number(judge, key, 0);
}

static void say(const struct node *judge, double limit, struct error *err) {
    int refused = count(judge, "refused"), unparsed = count(judge, "unparsed"),
        transport = count(judge, "transport");

    fail(
        err,
        "judge %s: %d of %d judgments failed (%d refused, %d unparsed, %d transport), more than the %g %% of "
        "most_failures; everything is written, the bounds show what the failed ones could change",
        judge->key, refused + unparsed + transport, count(judge, "judgments"), refused, unparsed, transport,
        100 * limit);
}

int failures_check(const char *folder, struct error *err) {
    char *path = path_join(folder, "judging.json");
    struct node *all = NULL;
    const struct node *judges;
    double limit;
    int status = 0;

    if (file_exists(path)) {
        all = document_read(path, err);
        status = all ? 0 : -1;
    }
    limit = node_number(all, "most_failures", 1);
    judges = node_get(all, "judges");
    for (const struct node *judge = judges ? judges->first : NULL; judge && !status; judge = judge->next) {
        if (node_number(judge, "failed", 0) <= limit) continue;
        say(judge, limit, err);
        status = 1;
    }
    node_free(all);
    free(path);
    return status;
}
