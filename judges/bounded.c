/* A time-limited evaluator. In a world that has one, the world's; else a reader with a budget
   (judges/hurried.h). Judges "approval_probability" and "approval": whether it is above a half, so that a
   judgment needs no draw. */
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "judges/hurried.h"
#include "judges/judge.h"

struct settings {
    int budget, claims, start, seed;
    double support, trust;
    const char *material;
};

#define AT(field) offsetof(struct settings, field)
static const struct option options[] = {
    {"budget", OPTION_INT, AT(budget), "200", 0, 10000000, NULL, "words of the material that it reads"},
    {"claims", OPTION_INT, AT(claims), "3", 1, 10000, NULL, "sentences of the answer that it checks"},
    {"support", OPTION_REAL, AT(support), "0.6", 0, 1, NULL,
     "share of a claim's content words that it must have read to believe it"},
    {"trust", OPTION_REAL, AT(trust), "0.4", 0, 1, NULL, "what a claim counts for that it did not find"},
    {"start", OPTION_CHOICE, AT(start), "front", 0, 0, "front|anywhere", "where it begins to read"},
    {"material", OPTION_TEXT, AT(material), "", 0, 0, NULL,
     "column of the question with the material; story, passage, article, document or context, else the "
     "prompt, if "
     "not given"},
    {"seed", OPTION_INT, AT(seed), "1", 0, 2147483647, NULL, "of its draws"},
    {0}};
#undef AT

struct judging {
    const struct world *world; /* NULL: a reader with a budget */
    const void *dials;
    struct hurried how;
    const char *material;
    struct examples *questions;
    char *name;
};

static int bounded_open(struct judging **out, const struct judge_setup *setup, struct error *err) {
    const char *name = setup->name ? setup->name : "bounded";
    struct settings settings;

    if (options_read(options, NULL, setup->options, setup->where, &settings, err)) return -1;
    if (setup->world && !setup->world->approve)
        return fail(err, "the judge bounded needs a world with an evaluator; %s has none",
                    setup->world->name);
    if (setup->world && setup->options && setup->options->count)
        return fail_at(err, setup->where, setup->options->line,
                       "the world %s has an evaluator of its own, whose limits are the world's dials; the "
                       "judge bounded has no options here",
                       setup->world->name);
    *out = xmalloc(sizeof **out);
    **out = (struct judging){setup->world,
                             setup->dials,
                             {settings.budget, settings.claims, settings.support, settings.trust,
                              settings.start, (uint64_t)settings.seed},
                             settings.material,
                             setup->questions,
                             xstrdup(name)};
    return 0;
}

static const char *material_of(const struct judging *judging, const struct transcript *answer) {
    static const char *const names[] = {"story", "passage", "article", "document", "context", NULL};
    const struct example *question =
        judging->questions ? examples_find(judging->questions, answer->prompt_id) : NULL;
    const struct node *meta = question ? question->meta : NULL;
    const char *found = judging->material ? node_text(meta, judging->material, NULL) : NULL;

    for (int i = 0; names[i] && !found && !judging->material; i++) found = node_text(meta, names[i], NULL);
    return found ? found : judging->material ? NULL : answer->prompt;
}

/* A number for an id, the same everywhere. */
static uint64_t number_of(const char *id) {
    char hex[65];

    hash_bytes(hex, id, strlen(id));
    hex[16] = 0;
    return strtoull(hex, NULL, 16);
}

static void judge_one(struct judging *judging, const struct transcript *answer, struct verdicts *out) {
    const char *material = judging->world ? NULL : material_of(judging, answer);
    double chance;

    if (judging->world) {
        chance = judging->world->approve(judging->dials, answer->prompt, answer->response);
    } else if (material) {
        chance = hurried_read(&judging->how, material, answer->response, number_of(answer->prompt_id),
                              number_of(answer->id), NULL);
    } else {
        verdict_add_failure(out, answer, judging->name, "approval", OUTCOME_UNPARSED,
                            "the question has no such material");
        return;
    }
    verdict_add(out, answer, judging->name, "approval_probability", chance);
    verdict_add(out, answer, judging->name, "approval", chance > 0.5);
}

static int bounded_judge(struct judging *judging, const struct transcript *const *answers, int count,
                         struct verdicts *out, struct error *err) {
    (void)err;
    for (int i = 0; i < count; i++) judge_one(judging, answers[i], out);
    return 0;
}

static void bounded_close(struct judging *judging) {
    if (!judging) return;
    free(judging->name);
    free(judging);
}

const struct judge judge_bounded = {.name = "bounded",
                                    .summary = "a time-limited evaluator: does it approve?",
                                    .options = options,
                                    .open = bounded_open,
                                    .judge = bounded_judge,
                                    .close = bounded_close};
