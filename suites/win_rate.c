/* Win rates: one answer against another to the same prompt under the same seed; win 1, tie 1/2, loss 0; the
   seeds' mean a prompt. Every policy against the baseline, then the trained ones against each other. Null
   policies have no p. */
#include <math.h>
#include <stdlib.h>

#include "harness/memory.h"
#include "harness/statistics_agree.h"
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
                           .unit = "fraction",
                           .lower_is_better = lower_is_better,
                           .value = table_column(bench->table, column, judge)};

    for (int i = 0; splits[i] && what.value; i++) {
        what.split = splits[i];
        measure_all(bench, &what, out);
    }
    free(splits);
}

/* A judge's preferences: columns by the order in which it saw the pair; NULL where it saw none so. */
struct preferences {
    const double *first, *second, *plain;
    double *score; /* [cells] mean of first and second, as far as there are; else plain; NaN: none */
};

static double value_at(const double *column, int cell) {
    return column ? column[cell] : NAN;
}

static double joint_score(double first, double second, double plain) {
    if (isnan(first) && isnan(second)) return plain;
    return isnan(first) ? second : isnan(second) ? first : (first + second) / 2;
}

/* 0 if the judge compared nothing. */
static int preferences_of(struct preferences *out, const struct table *table, const char *judge) {
    *out = (struct preferences){table_column(table, "preference_first", judge),
                                table_column(table, "preference_second", judge),
                                table_column(table, "preference", judge), NULL};
    if (!out->first && !out->second && !out->plain) return 0;
    out->score = xmalloc((size_t)table_cells(table) * sizeof *out->score);
    for (int i = 0; i < table_cells(table); i++)
        out->score[i] =
            joint_score(value_at(out->first, i), value_at(out->second, i), value_at(out->plain, i));
    return 1;
}

static int any_score(const struct table *table, const struct measure *what,
                     const struct preferences *preferences) {
    const double *columns[] = {preferences->first, preferences->second, preferences->plain};
    int from = table_cell(table, what->policy, 0, 0), count = table->seed_count * table->question_count;

    for (int c = 0; c < 3; c++) {
        const struct column *column = columns[c] ? table_column_of(table, columns[c]) : NULL;

        for (int i = from; column && i < from + count; i++)
            if (!isnan(columns[c][i]) || column->failure[i]) return 1;
    }
    return 0;
}

static struct metric *add_share(const struct bench *bench, struct measure *what, const char *name, int n,
                                struct metrics *out) {
    struct metric *metric;

    what->name = name;
    metric = measure_metric(bench, what, NULL, out);
    free(metric->family); /* a judge's habit is no finding about a policy */
    metric->family = xprintf("%s/%s/positions", what->suite, bench->task);
    metric->n = n;
    return metric;
}

static void set_share(struct metric *metric, double value, const struct interval *at, const char *method) {
    metric->value = value;
    metric->low = at->low;
    metric->high = at->high;
    metric_method(metric, method);
    if (isnan(at->low)) metric_reason(metric, "all prompts are alike");
}

static void add_positions(const struct bench *bench, struct measure *what, const struct positions *positions,
                          const char *reason, struct metrics *out) {
    struct metric *slot = add_share(bench, what, "first_slot", positions->decided, out), *same;
    int clustered = bench->table->seed_count > 1;

    if (positions->decided) {
        set_share(slot, positions->first_slot, &positions->first_slot_at,
                  clustered
                      ? "share of decided verdicts for the first answer; Student's t, errors clustered "
                        "by prompt"
                      : "share of decided verdicts for the first answer; Wilson interval; exact sign test");
        slot->p = positions->p;
    } else {
        metric_reason(slot, reason);
    }
    same = add_share(bench, what, "consistency", positions->pairs, out);
    if (positions->pairs)
        set_share(same, positions->consistency, &positions->consistency_at,
                  clustered
                      ? "share of pairs judged alike in both orders; Student's t, errors clustered by prompt"
                      : "share of pairs judged alike in both orders; Wilson interval");
    else
        metric_reason(same, reason);
}

/* How the judge takes to the order, over all seeds' pairs of a policy. */
static void measure_positions(const struct bench *bench, struct measure *what,
                              const struct preferences *preferences, struct metrics *out) {
    const struct table *table = bench->table;
    size_t room = (size_t)table->seed_count * table->question_count;
    double *first = xmalloc(room * sizeof *first), *second = xmalloc(room * sizeof *second);
    int *prompt = xmalloc(room * sizeof *prompt), pairs = 0;
    struct positions positions;
    struct error err = {0};

    for (int q = 0; q < table->question_count; q++)
        for (int s = 0; s < table->seed_count; s++) {
            int cell = table_cell(table, what->policy, s, q);

            if (!measure_takes(bench, what, q)) continue;
            first[pairs] = value_at(preferences->first, cell);
            second[pairs] = value_at(preferences->second, cell);
            prompt[pairs++] = q;
        }
    positions_measure(&positions, first, second, table->seed_count > 1 ? prompt : NULL, pairs, bench->level,
                      &err);
    add_positions(bench, what, &positions, err.message, out);
    free(first);
    free(second);
    free(prompt);
}

static void measure_preferences(const struct bench *bench, const struct preferences *preferences,
                                struct measure *what, struct metrics *out) {
    const double *columns[] = {preferences->first, preferences->second, preferences->plain};
    const struct table *table = bench->table;
    int at = out->count;

    if (what->policy == table->baseline || !any_score(table, what, preferences)) return;
    what->name = "win_rate_judged";
    what->value = preferences->score;
    what->are_wins = 1;
    measure_wins(bench, what, table->baseline, NULL, out);
    for (int c = 0; c < 3; c++) measure_failures(bench, what, columns[c], &out->items[at]);
    if (preferences->first && preferences->second) measure_positions(bench, what, preferences, out);
}

static void measure_judge(const struct bench *bench, const char *judge, struct metrics *out) {
    const char **splits = table_splits(bench->table);
    struct measure what = {.suite = "win_rate", .judge = judge, .unit = "fraction"};
    struct preferences preferences;

    if (preferences_of(&preferences, bench->table, judge)) {
        for (int i = 0; splits[i]; i++)
            for (what.policy = 0; what.policy < bench->table->policy_count; what.policy++) {
                what.split = splits[i];
                measure_preferences(bench, &preferences, &what, out);
            }
        free(preferences.score);
    }
    free(splits);
}

static int win_rate_measure(const struct bench *bench, struct metrics *out, struct error *err) {
    (void)err;
    measure_by(bench, "win_rate", "gold", NULL, 0, out);
    measure_by(bench, "win_rate_evaluator", "approval_probability", NULL, 0, out);
    for (int r = 0; r < bench->reward_count && !bench->world; r++)
        measure_by(bench, "win_rate_reward_model", "reward", bench->rewards[r], -1, out);
    for (int j = 0; j < bench->judge_count; j++) measure_judge(bench, bench->judges[j], out);
    return 0;
}

static const struct definition definitions[] = {
    {"win_rate", "by the world's gold score"},
    {"win_rate_evaluator",
     "by the time-limited evaluator's probability of approval, where the world has one"},
    {"win_rate_reward_model", "by a reward, where there is no world: a proxy, so neither side is better"},
    {"win_rate_judged", "by a judge's preferences against the baseline's answer, both orders averaged"},
    {"first_slot", "share of a judge's decided preferences for the answer shown first; 1/2 is fair"},
    {"consistency", "share of pairs on which a judge says the same in both orders"},
    {0}};

static const struct need needs[] = {
    {NULL, "preferences between two policies' answers: a world's gold score, a reward, or a judge of pairs"},
    {0}};

const struct suite suite_win_rate = {.name = "win_rate",
                                     .summary =
                                         "paired win rates against the baseline and each other, ties half",
                                     .metrics = definitions,
                                     .needs = needs,
                                     .measure = win_rate_measure};
