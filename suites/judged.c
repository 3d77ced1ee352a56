/* What the judges say that an evaluation names, and those whose verdicts came with the answers, people among
   them. n and what is missing count the judgments that failed. Preferences are the suite win_rate's. */
#include <math.h>
#include <string.h>

#include "suites/measure.h"

static int is_named(const struct bench *bench, const struct column *column) {
    if (!column->judge || !strncmp(column->what, "preference", strlen("preference"))) return 0;
    if (!strcmp(column->what, "weight") || !strcmp(column->what, "undetermined")) return 0;
    for (int i = 0; i < bench->judge_count; i++)
        if (!strcmp(bench->judges[i], column->judge)) return 1;
    return 0;
}

/* Every value from 0 to 1: a share, or a probability. */
static int is_share(const struct table *table, const struct column *column) {
    for (int i = 0; i < table_cells(table); i++)
        if (!isnan(column->value[i]) && !(column->value[i] >= 0 && column->value[i] <= 1)) return 0;
    return 1;
}

static int judged_measure(const struct bench *bench, struct metrics *out, struct error *err) {
    const struct table *table = bench->table;

    (void)err;
    for (int i = 0; i < table->column_count; i++) {
        const struct column *column = &table->columns[i];
        struct measure what = {.suite = "judged",
                               .name = column->what,
                               .judge = column->judge,
                               .value = column->value,
                               .lower_is_better = strcmp(column->what, "correct") ? -1 : 0};

        if (!is_named(bench, column)) continue;
        if (is_share(table, column)) what.unit = "fraction";
        measure_everywhere(bench, &what, out);
    }
    return 0;
}

static const struct definition definitions[] = {
    {"*", "the mean of what the judge judges (correct, score, ...), a share where all is 0 or 1"}, {0}};

static const struct need needs[] = {{NULL, "judges, or verdicts that came with the answers"}, {0}};

const struct suite suite_judged = {
    .name = "judged",
    .summary = "what the judges say that an evaluation names or that came with the answers, and how often",
    .metrics = definitions,
    .needs = needs,
    .measure = judged_measure};
