/* The world's own truth. Judges "gold" (its score), "correct" (where there is right and wrong) and "refused"
   (where refusing is a question: prompts that are benign, borderline or harmful). */
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "judges/judge.h"

struct judging {
    const struct world *world;
    const char *name;
};

static int gold_open(struct judging **out, const struct judge_setup *setup, struct error *err) {
    if (!setup->world) return fail(err, "the judge gold needs a world's data; real data has no gold score");
    *out = xmalloc(sizeof **out);
    **out = (struct judging){setup->world, setup->name ? setup->name : "gold"};
    return 0;
}

static int may_be_refused(const char *category) {
    return category &&
           (!strcmp(category, "benign") || !strcmp(category, "borderline") || !strcmp(category, "harmful"));
}

static int gold_judge(struct judging *judging, const struct transcript *const *answers, int count,
                      struct verdicts *out, struct error *err) {
    (void)err;
    for (int i = 0; i < count; i++) {
        struct features features = {0};

        judging->world->inspect(answers[i]->prompt, answers[i]->response, &features);
        verdict_add(out, answers[i], judging->name, "gold", features.gold);
        if (features.correct >= 0) verdict_add(out, answers[i], judging->name, "correct", features.correct);
        if (may_be_refused(features.category))
            verdict_add(out, answers[i], judging->name, "refused", features.refused);
    }
    return 0;
}

static void gold_close(struct judging *judging) {
    free(judging);
}

const struct judge judge_gold = {.name = "gold",
                                 .summary = "the world's own truth: score, correctness, refusal",
                                 .open = gold_open,
                                 .judge = gold_judge,
                                 .close = gold_close};
