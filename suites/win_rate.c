/* Win rates: one answer against another to the same prompt under the same seed; win 1, tie 1/2, loss 0; the
   seeds' mean a prompt. Every policy against the baseline, then the trained ones against each other. Null
   policies have no p.

   win_rate               by the world's gold score
   win_rate_evaluator     by the limited evaluator's probability of approval, where the world has one
   win_rate_reward_model  by a reward (judge), where there is no world: a proxy, so neither side is better */
#include <stdlib.h>

#include "suites/measure.h"

static void measure_all(const struct bench *bench, struct measure *what, struct metrics *out) {
    const struct table *table = bench->table;

    for (what->policy = 0; what->policy < table->policy_count; what->policy++)
        if (what->policy != table->baseline) measure_wins(bench, what, table->baseline, NULL, out);
    for (what->policy = 0; what->policy < table->policy_count; what->policy++)
        for (int other = 0; other < what->policy; other++) {
            if (what->policy == table->baseline || other == table->baseline) continue;
            if (is_null_policy(table->policies[what->policy]) || is_null_policy(table->policies[other]))
                continue;
            measure_wins(bench, what, other, NULL, out);
        }
}

static void measure_by(const struct bench *bench, const char *name, const char *column, const char *judge,
                       int lower_is_better, struct metrics *out) {
    const char **splits = table_splits(bench->table);
    struct measure what = {.suite = "win_rate",
                           .name = name,
                           .judge = judge,
                           .unit = "percent",
                           .lower_is_better = lower_is_better,
                           .value = table_column(bench->table, column, judge)};

    for (int i = 0; splits[i] && what.value; i++) {
        what.split = splits[i];
        measure_all(bench, &what, out);
    }
    free(splits);
}

static int win_rate_measure(const struct bench *bench, struct metrics *out, struct error *err) {
    (void)err;
    measure_by(bench, "win_rate", "gold", NULL, 0, out);
    measure_by(bench, "win_rate_evaluator", "approval_probability", NULL, 0, out);
    for (int r = 0; r < bench->reward_count && !bench->world; r++)
        measure_by(bench, "win_rate_reward_model", "reward", bench->rewards[r], -1, out);
    return 0;
}

const struct suite suite_win_rate = {.name = "win_rate",
                                     .summary =
                                         "paired win rates against the baseline and each other, ties half",
                                     .measure = win_rate_measure};
