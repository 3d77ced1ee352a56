#include "judges/judge.h"

#include <math.h>
#include <string.h>

#include "harness/judge_list.h"
#include "harness/memory.h"

const struct judge *judge_find(const char *name) {
    for (const struct judge *const *judge = judges; *judge; judge++)
        if (!strcmp((*judge)->name, name)) return *judge;
    return NULL;
}

int judges_check(const struct node *list, const char *where, struct error *err) {
    for (const struct node *node = list ? list->first : NULL; node; node = node->next) {
        struct judge_entry entry;
        const struct judge *judge;
        int status;

        if (judge_entry_read(&entry, node, where, err)) return -1;
        judge = judge_find(entry.use);
        status = judge && judge->check ? judge->check(entry.options, where, err) : 0;
        if (status) fail_within(err, "judge %s", entry.name);
        node_free(entry.options);
        if (status) return -1;
    }
    return 0;
}

void verdict_add(struct verdicts *out, const struct transcript *answer, const char *judge, const char *what,
                 double score) {
    struct verdict *verdict = verdicts_add(out);

    verdict->transcript = xstrdup(answer->id);
    verdict->judge = xstrdup(judge);
    verdict->what = xstrdup(what);
    verdict->outcome = OUTCOME_VERDICT;
    verdict->score = score;
}

void verdict_set_pair(struct verdict *verdict, const struct transcript *a, const struct transcript *b) {
    verdict->other = xstrdup(b->id);
    verdict->policy = xstrdup(a->policy);
    verdict->other_policy = xstrdup(b->policy);
}

void verdict_add_failure(struct verdicts *out, const struct transcript *answer, const char *judge,
                         const char *what, enum outcome outcome, const char *reason) {
    verdict_add(out, answer, judge, what, NAN);
    out->items[out->count - 1].outcome = outcome;
    out->items[out->count - 1].reason = xstrdup(reason);
}
