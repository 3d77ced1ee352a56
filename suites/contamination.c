/* Prompts that are asked and were trained on; `policy` is "training". A prompt's words are compared, whatever
   its case, punctuation and turns; training prompts are those of the data's split "train". Runs of n words
   are what contamination of test sets is usually told by (Brown et al. 2020, appendix C). A world's prompts
   are made of few words, and nothing is said of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/dialogue.h"
#include "harness/memory.h"
#include "harness/overlap.h"
#include "harness/progress.h"
#include "suites/measure.h"

enum { RUN_WORDS = 8, SHOWN = 80 };

/* The words that are asked for, searched for in the training prompts; NULL where there are none. */
static struct search_items *search_training(const struct bench *bench) {
    const struct table *table = bench->table;
    char **items = xmalloc((size_t)table->question_count * sizeof *items + 1);
    struct search_items *search;
    int seen = 0;

    for (int q = 0; q < table->question_count; q++) items[q] = prompt_words(table->questions[q].prompt);
    search = search_new((const char *const *)items, table->question_count, RUN_WORDS);
    for (int i = 0; bench->questions && i < bench->questions->count; i++) {
        const struct example *example = &bench->questions->items[i];
        char *words;

        if (!example->split || strcmp(example->split, "train")) continue;
        words = prompt_words(example->prompt);
        search_in(search, words);
        free(words);
        seen++;
    }
    for (int q = 0; q < table->question_count; q++) free(items[q]);
    free(items);
    if (seen) return search;
    search_free(search);
    return NULL;
}

enum { SAME, OVERLAP, RUNS, KINDS };
static const char *const names[] = {"same_prompt", "overlap", "runs_found"};

static void add_metric(const struct bench *bench, const struct measure *what, const double *values, int count,
                       struct metrics *out) {
    struct metric *metric = measure_metric(bench, what, NULL, out);

    metric->policy = xstrdup("training");
    metric->seeds = 1;
    metric_of_values(bench, metric, values, count);
    metric_method(metric, what->name == names[RUNS] ? "mean over prompts; bootstrap over prompts"
                                                    : "share of prompts; Wilson interval");
}

static void measure_split(const struct bench *bench, const struct search_items *search, const char *split,
                          struct metrics *out) {
    const struct table *table = bench->table;
    double *values[KINDS];
    const char *example = NULL;
    int count = 0, found = 0;

    for (int k = 0; k < KINDS; k++) values[k] = xmalloc((size_t)table->question_count * sizeof **values);
    for (int q = 0; q < table->question_count; q++) {
        double share = search_share(search, q);

        if (strcmp(table->questions[q].split, split)) continue;
        values[SAME][count] = search_same(search, q);
        values[OVERLAP][count] = search_same(search, q) || share >= 0.5;
        values[RUNS][count] = search_same(search, q) ? 1 : share;
        found += values[OVERLAP][count] > 0;
        if (!example && values[OVERLAP][count] > 0) example = table->questions[q].id;
        count++;
    }
    for (int k = 0; k < KINDS; k++) {
        struct measure what = {.suite = "contamination",
                               .name = names[k],
                               .unit = "fraction",
                               .split = split,
                               .policy = -1,
                               .lower_is_better = 1};

        add_metric(bench, &what, values[k], count, out);
        free(values[k]);
    }
    if (found)
        progress_notice(
            "%s: %d of %d prompts of the split %s, such as %.*s, stand in training prompts; the suite "
            "contamination says how far",
            bench->task, found, count, split, SHOWN, example);
}

static int contamination_measure(const struct bench *bench, struct metrics *out, struct error *err) {
    struct search_items *search = bench->world ? NULL : search_training(bench);
    const char **splits;

    (void)err;
    if (!search) return 0;
    splits = table_splits(bench->table);
    for (int i = 0; splits[i]; i++)
        if (strcmp(splits[i], "train")) measure_split(bench, search, splits[i], out);
    search_free(search);
    free(splits);
    return 0;
}

static const struct definition definitions[] = {
    {"same_prompt", "share of prompts that a training prompt says word for word"},
    {"overlap", "share of prompts of which at least half of the runs of eight words stand in training "
                "prompts (of a shorter prompt: the whole)"},
    {"runs_found", "mean share of a prompt's runs of eight words that stand in training prompts"},
    {0}};

static const struct need needs[] = {{NULL, "data steps with training prompts"}, {0}};

const struct suite suite_contamination = {.name = "contamination",
                                          .summary = "prompts that are asked and were trained on",
                                          .metrics = definitions,
                                          .needs = needs,
                                          .measure = contamination_measure};
