#include "judges/judge.h"

#include <math.h>
#include <string.h>

#include "harness/memory.h"

const struct judge *judge_find(const char *name) {
    for (const struct judge *const *judge = judges; *judge; judge++)
        if (!strcmp((*judge)->name, name)) return *judge;
    return NULL;
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

void verdict_add_failure(struct verdicts *out, const struct transcript *answer, const char *judge,
                         const char *what, enum outcome outcome, const char *reason) {
    verdict_add(out, answer, judge, what, NAN);
    out->items[out->count - 1].outcome = outcome;
    out->items[out->count - 1].reason = xstrdup(reason);
}
