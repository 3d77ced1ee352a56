/* Win rates: one answer against another to the same prompt under the same seed; win 1, tie 1/2, loss 0; the
   seeds' mean a prompt. win_rate               by the world's gold score win_rate_evaluator     by the
   limited evaluator's probability of approval, where the world has one win_rate_reward_model  by a reward
   (judge), where there is no world: a proxy, and so to be read Every policy against the baseline, then the
   trained ones against each other. Null policies have no p. */
#include <math.h>
#include <stdlib.h>

#include "harness/memory.h"
#include "suites/measure.h"

static void measure_pair(const struct bench *bench, const struct measure *what, int other,
                         struct metrics *out) {
    const struct table *table = bench->table;
    double *wins = xmalloc((size_t)table->question_count * sizeof *wins);
    struct metric *metric = measure_metric(bench, what, table->policies[other], out);
    int count = 0;

    for (int q = 0; q < table->question_count; q++)
        if (measure_takes(bench, what, q))
            wins[count++] = prompt_wins(table, what->value, NULL, what->policy, other, q);
    metric_of_wins(bench, metric, wins, count);
    metric->seeds = table->seed_count;
    metric->per_seed = xcalloc((size_t)table->seed_count, sizeof *metric->per_seed);
    for (int s = 0; s < table->seed_count; s++) {
        double sum = 0;
        int n = 0;

        for (int q = 0; q < table->question_count; q++) {
            double a = what->value[table_cell(table, what->policy, s, q)],
                   b = what->value[table_cell(table, other, s, q)];

            if (isnan(a) || isnan(b) || !measure_takes(bench, what, q)) continue;
            sum += a > b ? 1 : a == b ? 0.5 : 0;
            n++;
        }
        metric->per_seed[s] = n ? sum / n : NAN;
    }
    if (is_null_policy(table->policies[what->policy])) metric->p = NAN;
    free(wins);
}

static void measure_all(const struct bench *bench, struct measure *what, struct metrics *out) {
    const struct table *table = bench->table;

    for (what->policy = 0; what->policy < table->policy_count; what->policy++)
        if (what->policy != table->baseline) measure_pair(bench, what, table->baseline, out);
    for (what->policy = 0; what->policy < table->policy_count; what->policy++)
        for (int other = 0; other < what->policy; other++) {
            if (what->policy == table->baseline || other == table->baseline) continue;
            if (is_null_policy(table->policies[what->policy]) || is_null_policy(table->policies[other]))
                continue;
            measure_pair(bench, what, other, out);
        }
}

static void measure_by(const struct bench *bench, const char *name, const char *column, const char *judge,
                       struct metrics *out) {
    const char **splits = table_splits(bench->table);
    struct measure what = {.suite = "win_rate",
                           .name = name,
                           .judge = judge,
                           .unit = "percent",
                           .value = table_column(bench->table, column, judge)};

    for (int i = 0; splits[i] && what.value; i++) {
        what.split = splits[i];
        measure_all(bench, &what, out);
    }
    free(splits);
}

static int win_rate_measure(const struct bench *bench, struct metrics *out, struct error *err) {
    (void)err;
    measure_by(bench, "win_rate", "gold", NULL, out);
    measure_by(bench, "win_rate_evaluator", "approval_probability", NULL, out);
    for (int r = 0; r < bench->reward_count && !bench->world; r++)
        measure_by(bench, "win_rate_reward_model", "reward", bench->rewards[r], out);
    return 0;
}

const struct suite suite_win_rate = {.name = "win_rate",
                                     .summary =
                                         "paired win rates against the baseline and each other, ties half",
                                     .measure = win_rate_measure};
