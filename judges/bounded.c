/* The world's evaluator of limited time. Judges "approval_probability" and "approval": whether it is above a
   half, so that a judgment needs no draw. */
#include <stdlib.h>

#include "harness/memory.h"
#include "judges/judge.h"

struct judging {
    const struct world *world;
    const void *dials;
    const char *name;
};

static int bounded_open(struct judging **out, const struct judge_setup *setup, struct error *err) {
    if (!setup->world || !setup->world->approve)
        return fail(err, "the judge bounded needs a world with an evaluator; %s has none",
                    setup->world ? setup->world->name : "real data");
    *out = xmalloc(sizeof **out);
    **out = (struct judging){setup->world, setup->dials, setup->name ? setup->name : "bounded"};
    return 0;
}

static int bounded_judge(struct judging *judging, const struct transcript *const *answers, int count,
                         struct verdicts *out, struct error *err) {
    (void)err;
    for (int i = 0; i < count; i++) {
        double chance = judging->world->approve(judging->dials, answers[i]->prompt, answers[i]->response);

        verdict_add(out, answers[i], judging->name, "approval_probability", chance);
        verdict_add(out, answers[i], judging->name, "approval", chance > 0.5);
    }
    return 0;
}

static void bounded_close(struct judging *judging) {
    free(judging);
}

const struct judge judge_bounded = {.name = "bounded",
                                    .summary = "the world's evaluator with little time: does it approve?",
                                    .open = bounded_open,
                                    .judge = bounded_judge,
                                    .close = bounded_close};
