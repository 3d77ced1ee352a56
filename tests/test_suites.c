/* Every suite on answers small enough to work out by hand. */
#include "suites/measure.h"

#include <check.h>
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/failures.h"
#include "harness/file.h"
#include "harness/memory.h"

#undef fail /* of check.h; ours is a function */

#define FOLDER "test_suites.tmp"

extern const struct stage stage_evaluate;

static struct error err;
static struct transcripts transcripts;
static struct table table;
static struct metrics metrics;
static struct pairs_judged no_pairs;
static struct bench bench;

static void clean(void) {
    metrics_free(&metrics);
    table_free(&table);
    transcripts_free(&transcripts);
    ck_assert_int_eq(folder_remove(FOLDER, &err), 0);
}

static void prepare(void) {
    clean();
    bench = (struct bench){
        .task = "toy", .table = &table, .pairs = &no_pairs, .seed = 1, .resamples = 1000, .level = 0.95};
}

static struct transcript *answer(const char *policy, int seed, const char *prompt_id, const char *split,
                                 const char *response, int tokens) {
    struct transcript *added = transcripts_add(&transcripts);

    *added = (struct transcript){.id = xprintf("%s-%d-%s", policy, seed, prompt_id),
                                 .prompt_id = xstrdup(prompt_id),
                                 .split = xstrdup(split),
                                 .policy = xstrdup(policy),
                                 .prompt = xprintf("prompt %s", prompt_id),
                                 .response = xstrdup(response),
                                 .category = xstrdup("borderline"),
                                 .finish = xstrdup("eos"),
                                 .tokens = tokens,
                                 .reference = NAN,
                                 .seed = seed};
    return added;
}

/* sft and ppo answer `prompts` held-out prompts under seeds 1 to `seeds`. */
static void build(int prompts, int seeds) {
    for (int policy = 0; policy < 2; policy++)
        for (int seed = 1; seed <= seeds; seed++)
            for (int i = 0; i < prompts; i++) {
                char id[16];

                snprintf(id, sizeof id, "p%d", i);
                answer(policy ? "ppo" : "sft", seed, id, "heldout", "a b", 2);
            }
    ck_assert_msg(!table_build(&table, &transcripts, "sft", &err), "%s", err.message);
}

static void set(const char *what, const char *judge, int policy, int seed, const double *values) {
    double *column = table_add_column(&table, what, judge);

    for (int q = 0; q < table.question_count; q++) column[table_cell(&table, policy, seed, q)] = values[q];
}

/* Whether the suite says what this metric of its is. */
static int is_defined(const struct suite *suite, const char *name) {
    for (const struct definition *one = suite->metrics; one->name; one++)
        if (!fnmatch(one->name, name, 0)) return 1;
    return 0;
}

static void measure_by(const char *suite) {
    const struct suite *found = suite_find(suite);

    ck_assert_ptr_nonnull(found);
    ck_assert_int_eq(found->measure(&bench, &metrics, &err), 0);
    for (int i = 0; i < metrics.count; i++) {
        const struct metric *metric = &metrics.items[i];

        ck_assert_msg(!isnan(metric->value) || metric->reason, "%s has neither value nor reason",
                      metric->name);
        ck_assert_str_eq(metric->suite, suite);
        ck_assert_msg(is_defined(found, metric->name), "%s does not define %s", suite, metric->name);
        ck_assert_str_eq(metric->task, "toy");
    }
}

static int same(const char *a, const char *b) {
    return a && b ? !strcmp(a, b) : a == b;
}

static const struct metric *find_judged(const char *name, const char *policy, const char *baseline,
                                        const char *judge) {
    for (int i = 0; i < metrics.count; i++) {
        const struct metric *metric = &metrics.items[i];

        if (same(metric->name, name) && same(metric->policy, policy) && same(metric->baseline, baseline) &&
            same(metric->judge, judge))
            return metric;
    }
    ck_abort_msg("no metric %s of %s against %s", name, policy, baseline ? baseline : "nothing");
    return NULL;
}

static const struct metric *find(const char *name, const char *policy, const char *baseline) {
    return find_judged(name, policy, baseline, NULL);
}

static void expect(double got, double wanted) {
    ck_assert_msg(fabs(got - wanted) <= 1e-9 * fmax(1, fabs(wanted)), "%.12g is not %.12g", got, wanted);
}

START_TEST(answers_are_joined_by_id_in_any_order)
{
    double *column;
    struct verdicts verdicts = {0};
    struct verdict *verdict;

    answer("ppo", 2, "b", "ood", "y", 1);
    answer("sft", 1, "a", "heldout", "x", 1);
    answer("ppo", 1, "a", "heldout", "z", 1);
    answer("sft", 1, "b", "ood", "w", 1);
    ck_assert_int_eq(table_build(&table, &transcripts, "sft", &err), 0);
    ck_assert_int_eq(table.policy_count, 2);
    ck_assert_int_eq(table.baseline, 1);
    ck_assert_int_eq(table.question_count, 2);
    ck_assert_str_eq(table.questions[0].id, "b");
    ck_assert_str_eq(table.answers[table_cell(&table, 0, 1, 0)]->response, "y");
    ck_assert_str_eq(table.answers[table_cell(&table, 1, 0, 1)]->response, "x");
    ck_assert_ptr_null(table.answers[table_cell(&table, 1, 1, 0)]);
    verdict = verdicts_add(&verdicts);
    *verdict = (struct verdict){
        .transcript = xstrdup("ppo-1-a"), .judge = xstrdup("j"), .what = xstrdup("w"), .score = 3};
    verdict = verdicts_add(&verdicts);
    *verdict = (struct verdict){
        .transcript = xstrdup("sft-1-a"), .judge = xstrdup("j"), .what = xstrdup("w"), .score = 4};
    verdict->outcome = OUTCOME_TRANSPORT;
    verdict = verdicts_add(&verdicts);
    *verdict = (struct verdict){
        .transcript = xstrdup("nobody"), .judge = xstrdup("j"), .what = xstrdup("w"), .score = 5};
    table_add_verdicts(&table, &verdicts);
    column = table_add_column(&table, "w", "j");
    expect(column[table_cell(&table, 0, 0, 1)], 3);
    ck_assert(isnan(column[table_cell(&table, 1, 0, 1)]));
    ck_assert_ptr_eq(table_column(&table, "w", NULL), column);
    ck_assert_ptr_null(table_column(&table, "w", "other"));
    verdicts_free(&verdicts);
}
END_TEST

static void add_verdict(struct verdicts *list, const char *transcript, const char *other, const char *what,
                        enum outcome outcome, double score, int order) {
    *verdicts_add(list) = (struct verdict){.transcript = xstrdup(transcript),
                                           .other = xstrdup(other),
                                           .judge = xstrdup("j"),
                                           .what = xstrdup(what),
                                           .outcome = outcome,
                                           .score = score,
                                           .order = order};
}

static void name_judge(void) {
    static const char *const names[] = {"j"};

    bench.judges = names;
    bench.judge_count = 1;
}

/* ppo: right, wrong, unparsed, refused; sft: right, right, wrong, transport. */
START_TEST(failed_judgments_are_counted_and_bound_the_rate)
{
    static const char *const ppo[] = {"ppo-1-p0", "ppo-1-p1", "ppo-1-p2", "ppo-1-p3"};
    static const char *const sft[] = {"sft-1-p0", "sft-1-p1", "sft-1-p2", "sft-1-p3"};
    static const enum outcome mine[] = {OUTCOME_VERDICT, OUTCOME_VERDICT, OUTCOME_UNPARSED, OUTCOME_REFUSED},
                              theirs[] = {OUTCOME_VERDICT, OUTCOME_VERDICT, OUTCOME_VERDICT,
                                          OUTCOME_TRANSPORT};
    struct verdicts list = {0};
    const struct metric *metric;

    build(4, 1);
    name_judge();
    for (int i = 0; i < 4; i++) {
        add_verdict(&list, ppo[i], NULL, "correct", mine[i], i < 2 ? 1 - i : NAN, 0);
        add_verdict(&list, sft[i], NULL, "correct", theirs[i], i < 3 ? i < 2 : NAN, 0);
    }
    table_add_verdicts(&table, &list);
    verdicts_free(&list);
    measure_by("judged");
    metric = find_judged("correct", "ppo", NULL, "j");
    expect(metric->value, 0.5);
    ck_assert_int_eq(metric->n, 2);
    ck_assert_int_eq(metric->n_missing, 2);
    ck_assert_int_eq(metric->refused, 1);
    ck_assert_int_eq(metric->unparsed, 1);
    ck_assert_int_eq(metric->transport, 0);
    expect(metric->worst, 0.25);
    expect(metric->best, 0.75);
    metric = find_judged("correct", "ppo", "sft", "j"); /* of two prompts: (1 + 0) / 2 - (1 + 1) / 2 */
    expect(metric->value, -0.5);
    ck_assert_int_eq(metric->n, 2);
    ck_assert_int_eq(metric->transport, 1);
    expect(metric->worst, 0.25 - 0.75); /* of all four */
    expect(metric->best, 0.75 - 0.5);
}
END_TEST

START_TEST(a_missing_seed_of_an_answer_bounds_its_prompt)
{
    struct verdicts list = {0};
    const struct metric *metric;

    build(1, 2);
    name_judge();
    add_verdict(&list, "ppo-1-p0", NULL, "correct", OUTCOME_VERDICT, 1, 0);
    add_verdict(&list, "ppo-2-p0", NULL, "correct", OUTCOME_UNPARSED, NAN, 0);
    add_verdict(&list, "sft-1-p0", NULL, "correct", OUTCOME_VERDICT, 0, 0);
    add_verdict(&list, "sft-1-p0", NULL, "correct", OUTCOME_VERDICT, 1, 0); /* asked twice: 1/2 */
    table_add_verdicts(&table, &list);
    verdicts_free(&list);
    measure_by("judged");
    metric = find_judged("correct", "ppo", NULL, "j");
    expect(metric->value, 1);
    ck_assert_int_eq(metric->n_missing, 0);
    ck_assert_int_eq(metric->unparsed, 1);
    expect(metric->worst, 0.5);
    expect(metric->best, 1);
    expect(find_judged("correct", "sft", NULL, "j")->value, 0.5);
}
END_TEST

/* p0: won in both orders. p1: the first answer wins in both orders. p2: a tie, and lost. p3: one failed, one
   won; the verdict is told of the baseline's answer. p4: failed in both. */
START_TEST(preferences_become_a_win_rate_and_show_the_order)
{
    struct verdicts list = {0};
    const struct metric *metric;

    build(5, 1);
    name_judge();
    add_verdict(&list, "ppo-1-p0", "sft-1-p0", "preference", OUTCOME_VERDICT, 1, 1);
    add_verdict(&list, "ppo-1-p0", "sft-1-p0", "preference", OUTCOME_VERDICT, 1, 2);
    add_verdict(&list, "ppo-1-p1", "sft-1-p1", "preference", OUTCOME_VERDICT, 1, 1);
    add_verdict(&list, "ppo-1-p1", "sft-1-p1", "preference", OUTCOME_VERDICT, 0, 2);
    add_verdict(&list, "ppo-1-p2", "sft-1-p2", "preference", OUTCOME_TIE, 0.5, 1);
    add_verdict(&list, "ppo-1-p2", "sft-1-p2", "preference", OUTCOME_VERDICT, 0, 2);
    add_verdict(&list, "sft-1-p3", "ppo-1-p3", "preference", OUTCOME_VERDICT, 0, 1);
    add_verdict(&list, "sft-1-p3", "ppo-1-p3", "preference", OUTCOME_UNPARSED, NAN, 2);
    add_verdict(&list, "ppo-1-p4", "sft-1-p4", "preference", OUTCOME_TRANSPORT, NAN, 1);
    add_verdict(&list, "ppo-1-p4", "sft-1-p4", "preference", OUTCOME_REFUSED, NAN, 2);
    table_add_verdicts(&table, &list);
    verdicts_free(&list);
    measure_by("win_rate");
    metric = find_judged("win_rate_judged", "ppo", "sft", "j");
    expect(metric->value, (1 + 0.5 + 0.25 + 1) / 4);
    ck_assert_int_eq(metric->n, 4);
    ck_assert_int_eq(metric->n_missing, 1);
    ck_assert_int_eq(metric->unparsed, 1);
    ck_assert_int_eq(metric->transport, 1);
    ck_assert_int_eq(metric->refused, 1);
    ck_assert_int_eq(metric->ties, 1); /* p1, over both orders */
    expect(metric->worst, 2.75 / 5);
    expect(metric->best, 3.75 / 5);
    metric = find_judged("first_slot", "ppo", NULL, "j"); /* p0: 1 of 2, p1: 2 of 2, p2: 1 of 1 */
    expect(metric->value, 4.0 / 5);
    ck_assert_int_eq(metric->n, 5);
    metric = find_judged("consistency", "ppo", NULL, "j");
    expect(metric->value, 1.0 / 3);
    ck_assert_int_eq(metrics.count, 3);
}
END_TEST

START_TEST(what_cannot_be_joined_is_said)
{
    ck_assert_int_eq(table_build(&table, &transcripts, "sft", &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "no answers"));
    answer("ppo", 1, "a", "heldout", "x", 1);
    ck_assert_int_eq(table_build(&table, &transcripts, "sft", &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "\"sft\" has no answers; there are: ppo"));
    answer("ppo", 1, "a", "heldout", "y", 1);
    ck_assert_int_eq(table_build(&table, &transcripts, "ppo", &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "answers prompt a twice"));
    free(transcripts.items[1].prompt);
    transcripts.items[1].prompt = xstrdup("another");
    ck_assert_int_eq(table_build(&table, &transcripts, "ppo", &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "two different prompts"));
}
END_TEST

START_TEST(null_policies_read_no_prompt)
{
    const struct transcript *t;

    answer("sft", 1, "a", "heldout", "short", 2);
    answer("sft", 1, "b", "heldout", "often", 3);
    answer("sft", 1, "c", "heldout", "often", 3);
    answer("ppo", 1, "a", "heldout", "much longer", 9);
    nulls_add(&transcripts, "sft");
    ck_assert_int_eq(transcripts.count, 4 + 3 * 4);
    ck_assert_int_eq(table_build(&table, &transcripts, "sft", &err), 0);
    ck_assert_int_eq(table.policy_count, 6);
    ck_assert_str_eq(table.policies[2], "null-constant");
    ck_assert(is_null_policy(table.policies[2]) && !is_null_policy("sft"));
    t = table.answers[table_cell(&table, 2, 0, 0)];
    ck_assert_str_eq(t->response, "often");
    ck_assert_int_eq(t->tokens, 3);
    ck_assert_str_eq(table.answers[table_cell(&table, 3, 0, 0)]->response, "much longer");
    ck_assert_str_eq(table.answers[table_cell(&table, 4, 0, 0)]->response, "short");
    ck_assert_str_eq(table.answers[table_cell(&table, 5, 0, 0)]->response, "prompt a");
}
END_TEST

/* evaluation.md C.4's a and b: 7 and 5 of 10; 3 and 1 discordant: exact McNemar 2 (1 + 4) / 16. */
START_TEST(one_seed_of_shares_is_tested_exactly)
{
    const struct metric *metric;

    build(10, 1);
    set("refused", "gold", 0, 0, (double[]){0, 0, 1, 0, 0, 1, 1, 1, 1, 0});
    set("refused", "gold", 1, 0, (double[]){1, 0, 1, 1, 0, 1, 1, 0, 1, 1});
    measure_by("refusal");
    metric = find("over_refusal_borderline", "ppo", NULL);
    expect(metric->value, 0.7);
    ck_assert_double_eq_tol(metric->low, 0.396778147461, 1e-9); /* Wilson, by the formula */
    ck_assert_double_eq_tol(metric->high, 0.892208732594, 1e-9);
    ck_assert(isnan(metric->p));
    ck_assert_int_eq(metric->lower_is_better, 1);
    ck_assert_int_eq(metric->n, 10);
    metric = find("over_refusal_borderline", "ppo", "sft");
    expect(metric->value, 0.2);
    expect(metric->p, 0.625);
    ck_assert(metric->low < 0.2 && metric->high > 0.2);
    expect(metric->per_seed[0], 0.2);
    expect(find("over_refusal_borderline", "sft", NULL)->value, 0.5);
    ck_assert_int_eq(metrics.count, 3);
}
END_TEST

START_TEST(seeds_are_averaged_within_a_prompt)
{
    const struct metric *metric;

    build(3, 2);
    set("refused", "gold", 0, 0, (double[]){0, 0, 0});
    set("refused", "gold", 0, 1, (double[]){1, 0, NAN});
    set("refused", "gold", 1, 0, (double[]){1, 1, NAN});
    set("refused", "gold", 1, 1, (double[]){1, 0, NAN});
    measure_by("refusal");
    metric = find("over_refusal_borderline", "sft", NULL);
    expect(metric->value, (0.5 + 0 + 0) / 3);
    expect(metric->per_seed[0], 0);
    expect(metric->per_seed[1], 0.5);
    metric = find("over_refusal_borderline", "ppo", NULL);
    expect(metric->value, (1 + 0.5) / 2);
    ck_assert_int_eq(metric->n, 2);
    ck_assert_int_eq(metric->n_missing, 1);
    metric = find("over_refusal_borderline", "ppo", "sft");
    expect(metric->value, (0.5 + 0.5) / 2);
    expect(metric->p, 0.5); /* of the four sign patterns of (1/2, 1/2) two are as far out */
    expect(metric->per_seed[0], 1);
    expect(metric->per_seed[1], 0);
    ck_assert_int_eq(metric->seeds, 2);
}
END_TEST

/* t = 2√3 with two degrees of freedom: p = 1 - t/√(t² + 2); the quantile is 4.302652729696. */
static void expect_over_seeds(const struct metric *metric, double centre) {
    expect(metric->p_seeds, 1 - sqrt(12 / 14.));
    expect(metric->seeds_low, centre + 0.2 - 4.302652729696 * 0.1 / sqrt(3));
    expect(metric->seeds_high, centre + 0.2 + 4.302652729696 * 0.1 / sqrt(3));
}

START_TEST(training_runs_are_tested_by_their_own_differences)
{
    build(10, 3);
    for (int seed = 0; seed < 3; seed++) {
        double values[10] = {0};

        set("gold", "gold", 0, seed, values);
        for (int i = 0; i <= seed; i++) values[i] = 1; /* 0.1, 0.2, 0.3 above sft */
        set("gold", "gold", 1, seed, values);
    }
    for (int policy = 0; policy < 2; policy++)
        for (int seed = 0; seed < 3; seed++) set("tokens", NULL, policy, seed, (double[10]){0});
    measure_by("ood");
    metrics_over_seeds(&metrics);
    expect_over_seeds(find("gold", "ppo", "sft"), 0);
    ck_assert(isnan(find("gold", "ppo", NULL)->p_seeds)); /* a level is no comparison */
    metrics_free(&metrics);
    measure_by("win_rate");
    metrics_over_seeds(&metrics);
    expect(find("win_rate", "ppo", "sft")->value, 0.6);
    expect(find("win_rate", "ppo", "sft")->p_seeds, 1 - sqrt(12 / 14.));
    expect(find("win_rate", "ppo", "sft")->seeds_high, 0.6 + 4.302652729696 * 0.05 / sqrt(3));
}
END_TEST

START_TEST(what_is_over_seeds_already_is_not_tested_again)
{
    double seeds[] = {0.1, 0.2, 0.3}, alike[] = {0.2, 0.2}, wide[] = {0.1, 0.9};
    struct metric items[] = {
        {.name = "distinct", .policy = "ppo", .baseline = "sft", .by_seed = 1, .seeds = 3, .per_seed = seeds},
        {.name = "refused", .policy = "null-longest", .baseline = "sft", .seeds = 3, .per_seed = seeds},
        {.name = "refused", .policy = "ppo", .baseline = "sft", .seeds = 2, .per_seed = alike},
        {.name = "refused", .policy = "ppo", .baseline = "sft", .seeds = 1, .per_seed = seeds},
        {.name = "refused",
         .policy = "ppo",
         .baseline = "sft",
         .unit = "fraction",
         .seeds = 2,
         .per_seed = wide}};
    struct metrics list = {items, 5};

    for (int i = 0; i < 5; i++) {
        items[i].level = 0.95;
        items[i].p_seeds = NAN;
    }
    metrics_over_seeds(&list);
    for (int i = 0; i < 4; i++) ck_assert(isnan(items[i].p_seeds));
    expect(items[4].p_seeds, 1 - 2 * atan(1.25) / acos(-1)); /* Cauchy, t = 0.5/0.4 */
    expect(items[4].seeds_low, -1);                          /* shares cannot differ by more */
    expect(items[4].seeds_high, 1);
}
END_TEST

START_TEST(the_detector_reports_what_it_cannot_place)
{
    build(2, 1);
    set("refused", "detector", 0, 0, (double[]){1, NAN});
    set("refused", "detector", 1, 0, (double[]){NAN, NAN});
    set("undetermined", "detector", 0, 0, (double[]){0, 1});
    set("undetermined", "detector", 1, 0, (double[]){1, 1});
    measure_by("refusal");
    expect(find("refusal_all", "sft", NULL)->value, 1);
    ck_assert_int_eq(find("refusal_all", "sft", NULL)->n_missing, 1);
    expect(find("undetermined", "sft", NULL)->value, 0.5);
    ck_assert_ptr_nonnull(find("refusal_all", "ppo", NULL)->reason);
    ck_assert_ptr_nonnull(find("refusal_all", "ppo", "sft")->reason);
}
END_TEST

/* evaluation.md C.10, case 2: r, rho and the partial rho given z; type-7 quantiles by hand. */
START_TEST(length_and_reward_match_the_pinned_values)
{
    static const char *const names[] = {"rm"};
    const struct metric *metric;

    build(10, 1);
    bench.rewards = names;
    bench.reward_count = 1;
    for (int p = 0; p < 2; p++) {
        set("reward", "rm", p, 0, (double[]){1, 2, 2, 3, 4, 4, 4, 5, 6, 7});
        set("tokens", NULL, p, 0, (double[]){2, 1, 3, 3, 5, 4, 6, 6, 6, 9});
        set("gold", "gold", p, 0, (double[]){1, 1, 2, 2, 3, 3, 4, 4, 5, 5});
        set("truncated", NULL, p, 0, (double[]){0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
    }
    measure_by("length");
    expect(find("mean_length", "sft", NULL)->value, 4.5);
    expect(find("median_length", "sft", NULL)->value, 4.5);
    expect(find("p90_length", "sft", NULL)->value, 6.3);
    expect(find("truncated", "sft", NULL)->value, 0.1);
    expect(find("drift", "ppo", "sft")->value, 0);
    metric = find_judged("reward_length_pearson", "sft", NULL, "rm");
    ck_assert_double_eq_tol(metric->value, 0.926216457926, 1e-9);
    ck_assert(metric->low < metric->value && metric->value < metric->high);
    ck_assert_double_eq_tol(find_judged("reward_length_spearman", "sft", NULL, "rm")->value, 0.934375, 1e-9);
    ck_assert_double_eq_tol(find_judged("reward_length_partial", "sft", NULL, "rm")->value, -0.067393708186,
                            1e-9);
}
END_TEST

START_TEST(lengths_have_the_unit_that_answers_count)
{
    for (int i = 0; i < 4; i++) {
        answer(i % 2 ? "ppo" : "sft", 1, i < 2 ? "a" : "b", i < 2 ? "heldout" : "ood", "one two", 2);
        transcripts.items[i].unit = xstrdup("words");
    }
    ck_assert_int_eq(table_build(&table, &transcripts, "sft", &err), 0);
    for (int p = 0; p < 2; p++) set("tokens", NULL, p, 0, (double[]){2, 2});
    for (int p = 0; p < 2; p++)
        set("truncated", NULL, p, 0, (double[]){NAN, NAN}); /* nobody said how they ended */
    measure_by("length");
    ck_assert_str_eq(find("mean_length", "sft", NULL)->unit, "words");
    ck_assert_str_eq(find("drift", "ppo", "sft")->unit, "words");
    for (int i = 0; i < metrics.count; i++) ck_assert_str_ne(metrics.items[i].name, "truncated");
    metrics_free(&metrics);
    measure_by("ood");
    ck_assert_str_eq(find("length_gap", "sft", NULL)->unit, "words");
    table_free(&table);
    free(transcripts.items[3].unit);
    transcripts.items[3].unit = NULL;
    ck_assert_int_eq(table_build(&table, &transcripts, "sft", &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "counts its length in words"));
    ck_assert_ptr_nonnull(strstr(err.message, "in tokens"));
}
END_TEST

START_TEST(without_gold_a_partial_correlation_says_why_not)
{
    static const char *const names[] = {"rm"};

    build(4, 1);
    bench.rewards = names;
    bench.reward_count = 1;
    for (int p = 0; p < 2; p++) {
        set("reward", "rm", p, 0, (double[]){1, 1, 1, 1});
        set("tokens", NULL, p, 0, (double[]){1, 2, 3, 4});
        set("truncated", NULL, p, 0, (double[]){0, 0, 0, 0});
    }
    measure_by("length");
    ck_assert_ptr_nonnull(strstr(find_judged("reward_length_partial", "sft", NULL, "rm")->reason, "no gold"));
    ck_assert_ptr_nonnull(find_judged("reward_length_pearson", "sft", NULL, "rm")->reason);
    expect(find_judged("length_matched_win_rate", "ppo", "sft", "rm")->value, 0.5);
}
END_TEST

START_TEST(answers_of_one_length_have_no_correlation_with_it)
{
    static const char *const names[] = {"rm"};

    build(6, 1);
    bench.rewards = names;
    bench.reward_count = 1;
    for (int p = 0; p < 2; p++) {
        set("reward", "rm", p, 0, (double[]){1, 2, 3, 4, 5, 7});
        set("tokens", NULL, p, 0, (double[]){64, 64, 64, 64, 64, 64}); /* six sixths of 64 are not 64 */
        set("truncated", NULL, p, 0, (double[]){1, 1, 1, 1, 1, 1});
    }
    measure_by("length");
    ck_assert(isnan(find_judged("reward_length_pearson", "sft", NULL, "rm")->value));
}
END_TEST

/* Harmful, harmful, benign, risky: right are a refusal, a refusal, an answer, an answer. */
START_TEST(refusal_accuracy_is_refusal_where_it_is_due)
{
    static const char *const categories[] = {"harmful", "unsafe", "benign", "borderline", "toxic"};
    const struct metric *metric;

    for (int p = 0; p < 2; p++)
        for (int i = 0; i < 5; i++) {
            char id[16];

            snprintf(id, sizeof id, "p%d", i);
            free(answer(p ? "ppo" : "sft", 1, id, "heldout", "x", 1)->category);
            transcripts.items[transcripts.count - 1].category = xstrdup(categories[i]);
        }
    ck_assert_int_eq(table_build(&table, &transcripts, "sft", &err), 0);
    set("refused", "gold", 0, 0, (double[]){1, 0, 0, 0, 1});
    set("refused", "gold", 1, 0, (double[]){1, 1, 1, NAN, 0});
    measure_by("refusal");
    expect(find("refusal_accuracy", "sft", NULL)->value, 3 / 4.);
    metric = find("refusal_accuracy", "ppo", NULL);
    expect(metric->value, 2 / 3.);
    ck_assert_int_eq(metric->n, 3);
    ck_assert_int_eq(metric->n_missing, 1);
    expect(metric->worst, 2 / 4.);
    expect(metric->best, 3 / 4.);
    ck_assert(isnan(metric->p));
}
END_TEST

START_TEST(a_split_without_such_prompts_is_left_out)
{
    for (int p = 0; p < 2; p++) {
        answer(p ? "ppo" : "sft", 1, "p0", "heldout", "x", 1);
        answer(p ? "ppo" : "sft", 1, "p1", "ood", "x", 1);
    }
    free(transcripts.items[0].category);
    transcripts.items[0].category = xstrdup("toxic"); /* the first answer's category is the prompt's */
    ck_assert_int_eq(table_build(&table, &transcripts, "sft", &err), 0);
    for (int p = 0; p < 2; p++) set("refused", "gold", p, 0, (double[]){1, 0});
    measure_by("refusal");
    ck_assert_str_eq(find("over_refusal_borderline", "sft", NULL)->split, "ood");
    for (int i = 0; i < metrics.count; i++) ck_assert_str_ne(metrics.items[i].split, "heldout");
}
END_TEST

START_TEST(length_matched_wins_leave_out_unequal_lengths)
{
    const struct metric *metric;

    build(4, 1);
    set("tokens", NULL, 0, 0, (double[]){20, 20, 20, 2});
    set("tokens", NULL, 1, 0, (double[]){22, 40, 19, 3}); /* within a tenth, not, within, within a token */
    set("truncated", NULL, 0, 0, (double[]){0, 0, 0, 0});
    set("gold", "gold", 0, 0, (double[]){0, 0, 1, 0});
    set("gold", "gold", 1, 0, (double[]){1, 1, 0, 0});
    measure_by("length");
    metric = find("length_matched_win_rate", "ppo", "sft");
    ck_assert_int_eq(metric->n, 3);
    ck_assert_int_eq(metric->n_missing, 0); /* judged, but not to be compared */
    ck_assert(isnan(metric->worst));
    expect(metric->value, 0.5);
    expect(find("drift", "ppo", "sft")->value, (2 + 20 - 1 + 1) / 4.);
}
END_TEST

START_TEST(wins_ties_and_losses_are_averaged_by_prompt)
{
    const struct metric *metric;

    build(3, 2);
    answer("best", 1, "p0", "heldout", "x", 1);
    table_free(&table);
    ck_assert_int_eq(table_build(&table, &transcripts, "sft", &err), 0);
    set("gold", "gold", 0, 0, (double[]){0, 0, 0});
    set("gold", "gold", 0, 1, (double[]){0, 0, 0});
    set("gold", "gold", 1, 0, (double[]){1, 0, -1});
    set("gold", "gold", 1, 1, (double[]){1, 1, NAN});
    set("gold", "gold", 2, 0, (double[]){2, NAN, NAN});
    measure_by("win_rate");
    metric = find("win_rate", "ppo", "sft");
    expect(metric->value, (1 + 0.75 + 0) / 3);
    expect(metric->per_seed[0], 0.5);
    expect(metric->per_seed[1], 1);
    ck_assert_int_eq(metric->n, 3);
    ck_assert_int_eq(metric->ties, 1);
    ck_assert_int_eq(metric->judged, 5); /* of 3 prompts under 2 seeds one was not */
    expect(find("win_rate", "best", "ppo")->value, 1);
    ck_assert_int_eq(find("win_rate", "best", "ppo")->n_missing, 2);
}
END_TEST

/* Four items; the first two are wrong by both: approved 0 and 1 before, 1 and 1 after. */
START_TEST(sophistry_counts_false_positives_where_both_are_wrong)
{
    const struct metric *metric;

    build(4, 1);
    set("correct", "gold", 0, 0, (double[]){0, 0, 1, 0});
    set("correct", "gold", 1, 0, (double[]){0, 0, 0, 1});
    set("approval", "bounded", 0, 0, (double[]){0, 1, 1, 0});
    set("approval", "bounded", 1, 0, (double[]){1, 1, 1, 0});
    measure_by("sophistry");
    expect(find("correctness", "sft", NULL)->value, 0.25);
    expect(find("correctness", "ppo", NULL)->value, 0.25);
    expect(find("approval", "sft", NULL)->value, 0.5);
    expect(find("approval", "ppo", "sft")->value, 0.25);
    expect(find("evaluator_error", "sft", NULL)->value, 0.25);
    expect(find("evaluator_error", "ppo", NULL)->value, 1);
    expect(find("false_positive_rate", "ppo", NULL)->value, 1);
    expect(find("false_positive_rate_before", "ppo", NULL)->value, 0.5);
    metric = find("false_positive_rate", "ppo", "sft");
    expect(metric->value, 0.5);
    expect(metric->p, 1); /* one discordant item */
    ck_assert_int_eq(metric->n, 2);
}
END_TEST

/* `times` copies of eight prompts: both wrong 4, ppo alone right 1, sft alone right 2, both right 1. Judged
   are 2, 1, 1, 1 of these; ppo is approved of in 1 0 | 1 | 1 | 0, sft in 0 0 | 0 | 1 | 1. */
static void build_drawn(int times, const double *weights) {
    static const double sft[] = {0, 0, 0, 0, 0, 1, 1, 1}, ppo[] = {0, 0, 0, 0, 1, 0, 0, 1};
    static const double by_sft[] = {0, 0, NAN, NAN, 0, 1, NAN, 1}, by_ppo[] = {1, 0, NAN, NAN, 1, 1, NAN, 0};
    double *columns[5];

    build(8 * times, 1);
    for (int c = 0; c < 5; c++) columns[c] = xmalloc(8 * (size_t)times * sizeof(double));
    for (int i = 0; i < 8 * times; i++) {
        columns[0][i] = sft[i % 8];
        columns[1][i] = ppo[i % 8];
        columns[2][i] = by_sft[i % 8];
        columns[3][i] = by_ppo[i % 8];
        columns[4][i] = weights ? weights[i % 8] : NAN;
    }
    set("correct", "label", 0, 0, columns[0]);
    set("correct", "label", 1, 0, columns[1]);
    set("approval", "label", 0, 0, columns[2]);
    set("approval", "label", 1, 0, columns[3]);
    if (weights) set("weight", "label", 1, 0, columns[4]);
    for (int c = 0; c < 5; c++) free(columns[c]);
}

/* Shares 4/8, 1/8, 2/8, 1/8. Approval of ppo: 1/2 1/2 + 1/8 + 2/8 = 5/8, of sft 2/8 + 1/8 = 3/8. Error of
   ppo: 1/2 1/2 + 0 + 2/8
   + 1/8 = 5/8, of sft 0. */
START_TEST(drawn_prompts_are_weighted_to_the_population)
{
    const struct metric *metric;

    build_drawn(40, NULL);
    measure_by("sophistry");
    expect(find("approval", "ppo", NULL)->value, 3.0 / 5); /* of those judged */
    metric = find("approval_reweighted", "ppo", NULL);
    expect(metric->value, 5.0 / 8);
    ck_assert_int_eq(metric->n, 200);
    ck_assert_int_eq(metric->n_missing, 120);
    ck_assert(metric->low < 5.0 / 8 && 5.0 / 8 < metric->high && metric->low > 0.5 && metric->high < 0.75);
    expect(find("approval_reweighted_before", "ppo", NULL)->value, 3.0 / 8);
    metric = find("approval_reweighted", "ppo", "sft");
    expect(metric->value, 1.0 / 4);
    ck_assert(metric->p < 0.05);
    expect(find("evaluator_error_reweighted", "ppo", NULL)->value, 5.0 / 8);
    expect(find("evaluator_error_reweighted_before", "ppo", NULL)->value, 0);
    expect(find("evaluator_error_reweighted", "ppo", "sft")->value, 5.0 / 8);
    expect(find("correctness_reweighted", "ppo", NULL)->value, 2.0 / 8);
    expect(find("correctness_reweighted_before", "ppo", NULL)->value, 3.0 / 8);
    expect(find("false_positive_rate", "ppo", NULL)->value, 0.5);
    metric = find("false_positive_rate", "ppo", "sft"); /* 80 of 160 judged: 40 approved of before 0 */
    expect(metric->value, 0.5);
    ck_assert_int_eq(metric->n, 80);
    ck_assert_int_eq(metric->n_missing, 80);
    expect(metric->worst, 120.0 / 160);
    expect(metric->best, -40.0 / 160);
}
END_TEST

/* Given weights of 3 for both wrong and 1 elsewhere the shares are 6/9, 1/9, 1/9, 1/9: approval of ppo 3/9 +
 * 2/9. */
START_TEST(weights_that_are_given_count)
{
    build_drawn(1, (double[]){3, 3, NAN, NAN, 1, 1, NAN, 1});
    measure_by("sophistry");
    expect(find("approval_reweighted", "ppo", NULL)->value, 5.0 / 9);
    expect(find("correctness_reweighted", "ppo", NULL)->value, 2.0 / 9);
    ck_assert_ptr_nonnull(
        find("approval_reweighted", "ppo", NULL)->reason); /* five prompts give no interval */
}
END_TEST

START_TEST(weights_that_fit_no_cell_are_a_reason)
{
    build_drawn(1, (double[]){3, 2, NAN, NAN, 1, 1, NAN, 1});
    measure_by("sophistry");
    ck_assert_str_eq(find("approval_reweighted", "ppo", NULL)->reason,
                     "prompts of one cell have different weights");
    ck_assert(isnan(find("approval_reweighted", "ppo", NULL)->value));
}
END_TEST

START_TEST(several_judges_of_approval_are_told_apart)
{
    build(2, 1);
    for (int p = 0; p < 2; p++) {
        set("correct", "exact", p, 0, (double[]){0, 0});
        set("correct", "label", p, 0, (double[]){1, 0});
        set("approval", "bounded", p, 0, (double[]){1, 1});
        set("approval", "label", p, 0, (double[]){1, 0});
    }
    measure_by("sophistry");
    expect(find_judged("evaluator_error", "sft", NULL, "bounded")->value, 0.5);
    expect(find_judged("evaluator_error", "sft", NULL, "label")->value,
           0); /* people's labels of what is right count */
}
END_TEST

START_TEST(nothing_wrong_by_both_is_a_reason)
{
    build(2, 1);
    set("correct", "gold", 0, 0, (double[]){1, 1});
    set("correct", "gold", 1, 0, (double[]){1, 0});
    set("approval", "bounded", 0, 0, (double[]){1, 1});
    set("approval", "bounded", 1, 0, (double[]){1, 1});
    measure_by("sophistry");
    ck_assert_str_eq(find("false_positive_rate", "ppo", "sft")->reason,
                     "no item was answered wrongly by both");
}
END_TEST

/* evaluation.md C.12's RL points behind a first iteration at distance 0; sd of (0, 2) is sqrt 2. */
START_TEST(overoptimization_follows_gao)
{
    double proxy[11] = {0}, gold[11] = {0}, kl[11] = {0};
    static const double d[] = {.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6};
    static const double y[] = {0.898629, 1.48,     2.021721, 2.445482, 2.823709,
                               3.201665, 3.481132, 3.786929, 4.291124, 4.689777};
    struct training training = {"ppo", 1, 11, proxy, gold, kl};
    const struct metric *metric;

    build(2, 1);
    set("gold", "gold", 0, 0, (double[]){0, 2});
    for (int i = 0; i < 10; i++) {
        kl[i + 1] = d[i] * d[i];
        gold[i + 1] = y[i];
        proxy[i + 1] = i + 1;
    }
    bench.trainings = &training;
    bench.training_count = 1;
    measure_by("overoptimization");
    metric = find("gao_alpha", "ppo", NULL);
    ck_assert_double_eq_tol(metric->value, 1.5014542892, 1e-5);
    ck_assert_ptr_nonnull(strstr(metric->reason, "one seed"));
    ck_assert_double_eq_tol(find("gao_beta", "ppo", NULL)->value, 0.4010092205, 1e-5);
    ck_assert_ptr_nonnull(strstr(find("gao_peak_kl", "ppo", NULL)->reason, "does not turn"));
    expect(find("proxy_final", "ppo", NULL)->value, 10);
    expect(find("gold_peak", "ppo", NULL)->value, 4.689777);
    expect(find("kl_at_peak", "ppo", NULL)->value, 36);
    expect(find("gold_drop", "ppo", NULL)->value, 0);
    expect(find("gap", "ppo", NULL)->value, 10 - 4.689777 / sqrt(2));
}
END_TEST

START_TEST(overoptimization_is_averaged_over_seeds)
{
    double proxy[2][3] = {{0, 1, 2}, {0, 2, 4}}, gold[2][3] = {{0, 1, 0.5}, {0, 1, 0}},
           kl[2][3] = {{0, 1, 4}, {0, 2, 5}};
    struct training trainings[2] = {{"ppo", 1, 3, proxy[0], gold[0], kl[0]},
                                    {"ppo", 2, 3, proxy[1], gold[1], kl[1]}};
    const struct metric *metric;

    build(2, 2);
    set("gold", "gold", 0, 0, (double[]){0, 1});
    set("gold", "gold", 0, 1, (double[]){0, 1}); /* sd of 0 1 0 1: 1/sqrt 3 */
    bench.trainings = trainings;
    bench.training_count = 2;
    measure_by("overoptimization");
    metric = find("gap", "ppo", NULL);
    expect(metric->per_seed[0], 2 - 0.5 * sqrt(3));
    expect(metric->per_seed[1], 4);
    expect(metric->value, (6 - 0.5 * sqrt(3)) / 2);
    ck_assert(!isnan(metric->p) && !isnan(metric->low));
    expect(find("gold_drop", "ppo", NULL)->value, 0.75);
    metric = find("kl_at_peak", "ppo", NULL);
    expect(metric->value, 1.5);
    ck_assert_int_eq(metric->by_seed, 1);
    ck_assert(isnan(metric->low) && isnan(metric->high)); /* 1 and 2: t would say from -4.9 to 7.9 */
    ck_assert_ptr_nonnull(metric->reason);
}
END_TEST

static const struct example pair_list[] = {
    {.id = "1", .split = "heldout", .prompt = "a", .chosen = "xxxx", .rejected = "xx"},
    {.id = "2", .split = "heldout", .prompt = "a", .chosen = "x", .rejected = "xx"},
    {.id = "3", .split = "heldout", .prompt = "b", .chosen = "xx", .rejected = "yy"},
    {.id = "4", .split = "ood", .prompt = "c", .chosen = "xxx", .rejected = "x"},
    {.id = "5", .split = "ood", .prompt = "d", .chosen = "xxx", .rejected = "x"}};
static const struct example *const pair_items[] = {&pair_list[0], &pair_list[1], &pair_list[2], &pair_list[3],
                                                   &pair_list[4]};

START_TEST(rewards_are_held_against_labels_gold_and_length)
{
    double one_chosen[] = {2, 2, 1, 0, 0}, one_rejected[] = {1, 1, 1, 1, 1};
    double two_chosen[] = {2, 0, 2, 0, 2}, two_rejected[] = {1, 1, 1, 1, 1};
    double gold_chosen[] = {1, 0, 1, 1, 1}, gold_rejected[] = {0, 1, 1, 0, 0};
    struct pair_scores scores[] = {{"rm", 1, one_chosen, one_rejected}, {"rm", 2, two_chosen, two_rejected}};
    struct pairs_judged pairs = {pair_items, 5, gold_chosen, gold_rejected, scores, 2};
    const struct metric *metric;

    build(2, 1);
    bench.pairs = &pairs;
    measure_by("rm_accuracy");
    metric = find("accuracy_label", "rm", NULL); /* points 1, 1/2, 3/4 */
    expect(metric->value, 0.75);
    ck_assert_int_eq(metric->n, 3);
    expect(metric->per_seed[0], (1 + 1 + 0.5) / 3);
    expect(metric->per_seed[1], (1 + 0 + 1) / 3.);
    expect(find("accuracy_gold", "rm", NULL)->value, (1 + 0.5) / 2); /* the third pair's gold is equal */
    expect(find("accuracy_label", "null-longest", NULL)->value, 0.5);
    expect(find("accuracy_label", "null-shortest", NULL)->value, 0.5);
    expect(find("accuracy_label", "gold", NULL)->value, 0.5);
    expect(find("accuracy_gold", "gold", NULL)->value, 1);
    expect(find("accuracy_length_matched", "rm", NULL)->value, 0.75);
    expect(find("accuracy_label", "rm", "null-longest")->value, 0.25);
    metrics_free(&metrics);
    measure_by("ood"); /* ood points 0 and 1/2; heldout prompts 3/4 and 3/4 */
    expect(find("rm_accuracy_gap", "rm", NULL)->value, 0.25 - 0.75);
}
END_TEST

START_TEST(rewards_are_held_against_each_other_on_the_same_pairs)
{
    double one_chosen[] = {2, 2, 1, 0, 0}, two_chosen[] = {2, 0, 2, 0, 2}, flat[] = {1, 1, 1, 1, 1};
    struct pair_scores scores[] = {{"rm", 1, one_chosen, flat},
                                   {"rm", 2, two_chosen, flat},
                                   {"flat", 1, flat, flat},
                                   {"flat", 2, flat, flat}};
    struct pairs_judged pairs = {pair_items, 5, NULL, NULL, scores, 4};
    const struct metric *metric;

    build(2, 1);
    bench.pairs = &pairs;
    measure_by("rm_accuracy");
    metric = find("accuracy_label", "flat", "rm"); /* 1/2 against 1, 1/2 and 3/4 */
    expect(metric->value, 0.5 - 0.75);
    ck_assert_int_eq(metric->seeds, 2);
    expect(metric->per_seed[0], 0.5 - (1 + 1 + 0.5) / 3);
    expect(metric->per_seed[1], 0.5 - (1 + 0 + 1) / 3.);
    expect(metric->p, 0.5); /* two prompts of one sign */
    ck_assert_str_ne(metric->family, find("accuracy_label", "rm", "null-longest")->family);
    scores[3].seed = 3; /* then there is nothing to pair by seed */
    metrics_free(&metrics);
    measure_by("rm_accuracy");
    ck_assert_int_eq(find("accuracy_label", "flat", "rm")->seeds, 0);
}
END_TEST

/* Chosen answers at 0, 0 and 1 in three pairs; two answers a policy. All shares have 1e-6 added and are
   divided by 1 + 50e-6; bins that both have empty add nothing. */
START_TEST(alignment_is_the_divergence_of_binned_rewards)
{
    static const char *const named[] = {"rm"};
    double chosen[] = {0, 0, 1, 9, 9}, rejected[] = {5, 5, 5, 5, 5}; /* other split, other side: unseen */
    struct pair_scores scores[] = {{"rm", 1, chosen, rejected}};
    struct pairs_judged pairs = {pair_items, 5, NULL, NULL, scores, 1};
    double whole = 1 + 50e-6;
    const struct metric *metric;

    build(2, 1);
    bench.pairs = &pairs;
    bench.rewards = named;
    bench.reward_count = 1;
    set("reward", "rm", 0, 0, (double[]){0, 1});
    set("reward", "rm", 1, 0, (double[]){0.01, NAN}); /* in the first bin, of 0 to 0.02 */
    measure_by("alignment");
    metric = find_judged("reward_alignment", "sft", NULL, "rm");
    expect(metric->value, (2 / 3. + 1e-6) / whole * log((2 / 3. + 1e-6) / (1 / 2. + 1e-6)) +
                              (1 / 3. + 1e-6) / whole * log((1 / 3. + 1e-6) / (1 / 2. + 1e-6)));
    ck_assert_ptr_nonnull(metric->reason); /* one seed: no interval */
    expect(find_judged("reward_alignment", "ppo", NULL, "rm")->value,
           (2 / 3. + 1e-6) / whole * log((2 / 3. + 1e-6) / (1 + 1e-6)) +
               (1 / 3. + 1e-6) / whole * log((1 / 3. + 1e-6) / 1e-6));
    metrics_free(&metrics);
    set("reward", "rm", 0, 0, (double[]){0, 0});
    chosen[2] = 0;
    measure_by("alignment"); /* one value for all: nothing to tell apart */
    expect(find_judged("reward_alignment", "sft", NULL, "rm")->value, 0);
}
END_TEST

START_TEST(the_gap_is_out_of_distribution_less_heldout)
{
    const struct metric *metric;

    for (int p = 0; p < 2; p++)
        for (int i = 0; i < 4; i++) {
            char id[16];

            snprintf(id, sizeof id, "p%d", i);
            answer(p ? "ppo" : "sft", 1, id, i < 2 ? "heldout" : "ood", "x", 1);
        }
    ck_assert_int_eq(table_build(&table, &transcripts, "sft", &err), 0);
    set("gold", "gold", 0, 0, (double[]){1, 2, 1, 0});
    set("gold", "gold", 1, 0, (double[]){3, 4, 0, -1});
    measure_by("ood");
    expect(find("gold", "sft", NULL)->value, 1.5);
    expect(find("gold_gap", "sft", NULL)->value, -1);
    expect(find("gold_gap", "ppo", NULL)->value, -4);
    metric = find("gold_gap", "ppo", "sft");
    expect(metric->value, -3); /* differences 2 2 | -1 -1 */
    ck_assert_str_eq(metric->split, "ood");
    ck_assert_int_eq(metric->n, 4);
    ck_assert_ptr_nonnull(metric->reason); /* no spread: no interval, and it says so */
}
END_TEST

/* A question with the choices Ann, Bob and nobody; the bias is against Ann. */
static void ask(struct examples *questions, const char *id, const char *condition, const char *polarity,
                const char *truth, const char *cluster) {
    struct example *question = examples_add(questions);
    struct node *choices;

    question->id = xstrdup(id);
    question->prompt = xstrdup("");
    question->truth = xstrdup(truth);
    question->meta = node_new(NODE_MAP);
    choices = node_add(question->meta, "choices", NODE_LIST);
    node_add_text(choices, NULL, "Ann");
    node_add_text(choices, NULL, "Bob");
    node_add_text(choices, NULL, "nobody");
    node_add_text(question->meta, "condition", condition);
    node_add_text(question->meta, "polarity", polarity);
    node_add_text(question->meta, "unknown", "C");
    node_add_text(question->meta, "target", "A");
    node_add_text(question->meta, "cluster", cluster);
}

START_TEST(bias_scores_are_those_of_bbq)
{
    static const char *const answers[2][7] = {{"A", "(B)", "nobody", "A", "Ann", "C.", "B"},
                                              {"C", "C", "C", "A", "B", "A", "I say nothing"}};
    struct examples questions = {0};
    const struct metric *metric;

    for (int policy = 0; policy < 2; policy++)
        for (int i = 0; i < 7; i++) {
            char id[16];

            snprintf(id, sizeof id, "q%d", i);
            answer(policy ? "ppo" : "sft", 1, id, "heldout", answers[policy][i], 1);
        }
    ask(&questions, "q0", "ambig", "neg", "C", "t1");
    ask(&questions, "q1", "ambig", "nonneg", "C", "t1");
    ask(&questions, "q2", "ambig", "neg", "C", "t2");
    ask(&questions, "q3", "disambig", "neg", "A", "t1");    /* the biased answer is right */
    ask(&questions, "q4", "disambig", "neg", "B", "t1");    /* the other one */
    ask(&questions, "q5", "disambig", "nonneg", "A", "t2"); /* the other one */
    ask(&questions, "q6", "disambig", "nonneg", "B", "t2"); /* the biased one */
    ck_assert_msg(!table_build(&table, &transcripts, "sft", &err), "%s", err.message);
    bench.questions = &questions;
    measure_by("bias");
    expect(find("accuracy_ambiguous", "sft", NULL)->value, 1.0 / 3);
    expect(find("bias_ambiguous", "sft", NULL)->value, (1 - 1.0 / 3) * (2 * 2.0 / 2 - 1));
    expect(find("accuracy_disambiguated", "sft", NULL)->value, 2.0 / 4);
    expect(find("bias_disambiguated", "sft", NULL)->value, 2 * 3.0 / 3 - 1);
    ck_assert_int_eq(find("bias_disambiguated", "sft", NULL)->n, 4); /* judged; three name someone */
    expect(find("alignment_gap", "sft", NULL)->value, 1);            /* 2 of 2 less 0 of 2 */
    metric = find("accuracy_disambiguated", "ppo", NULL);
    expect(metric->value, 1);
    ck_assert_int_eq(metric->n, 3);
    ck_assert_int_eq(metric->n_missing, 1);
    expect(metric->worst, 3.0 / 4);
    expect(metric->best, 1);
    expect(find("bias_ambiguous", "ppo", NULL)->value, 0);
    expect(find("bias_disambiguated", "ppo", NULL)->value, 2 * 1.0 / 3 - 1);
    expect(find("no_choice", "ppo", NULL)->value, 1.0 / 7);
    ck_assert_int_eq(find("bias_ambiguous", "sft", NULL)->n, 3);
    metric = find("bias_ambiguous", "ppo", "sft");
    expect(metric->value, -2.0 / 3);
    ck_assert(metric->low <= -2.0 / 3 && metric->high >= -2.0 / 3 && metric->p > 0);
    examples_free(&questions);
}
END_TEST

START_TEST(questions_that_name_no_target_have_accuracy_alone)
{
    struct examples questions = {0};
    struct node *target;

    answer("sft", 1, "q0", "heldout", "A", 1);
    answer("sft", 1, "q1", "heldout", "C", 1);
    ask(&questions, "q0", "ambig", "neg", "C", "t1");
    ask(&questions, "q1", "ambig", "neg", "C", "t2");
    for (int i = 0; i < 2; i++) {
        target = (struct node *)node_get(questions.items[i].meta, "target");
        target->key[0] = 'x';
    }
    ck_assert_msg(!table_build(&table, &transcripts, "sft", &err), "%s", err.message);
    bench.questions = &questions;
    measure_by("bias");
    expect(find("accuracy_ambiguous", "sft", NULL)->value, 0.5);
    for (int i = 0; i < metrics.count; i++) ck_assert_int_ne(strncmp(metrics.items[i].name, "bias_", 5), 0);
    examples_free(&questions);
}
END_TEST

START_TEST(bias_has_nothing_to_say_of_other_questions)
{
    build(3, 1);
    measure_by("bias");
    ck_assert_int_eq(metrics.count, 0);
}
END_TEST

START_TEST(diversity_counts_words_and_answers)
{
    const struct metric *metric;

    for (int seed = 1; seed <= 2; seed++) {
        answer("sft", seed, "a", "heldout", "a b  a b", 5);
        answer("sft", seed, "b", "heldout", seed == 1 ? "a b a b" : "c", 5);
        answer("ppo", seed, "a", "heldout", "a b c d a b c d e", 5);
        answer("ppo", seed, "b", "heldout", "", 5);
    }
    ck_assert_int_eq(table_build(&table, &transcripts, "sft", &err), 0);
    measure_by("diversity");
    metric = find("distinct_1", "sft", NULL);
    expect(metric->per_seed[0], 2 / 8.);
    expect(metric->per_seed[1], 3 / 5.);
    expect(metric->value, (0.25 + 0.6) / 2);
    expect(metric->low, 0); /* t would say from -1.8 to 2.7 */
    expect(metric->high, 1);
    expect(find("distinct_2", "sft", NULL)->per_seed[0], 2 / 6.); /* ab ba ab twice */
    expect(find("distinct_4", "sft", NULL)->per_seed[1], 1);
    expect(find("unique_answers", "sft", NULL)->per_seed[0], 0.5);
    expect(find("unique_answers", "sft", NULL)->per_seed[1], 1);
    expect(find("distinct_1", "ppo", NULL)->value, 5 / 9.);
    expect(find("repetition", "ppo", NULL)->value, (1 / 6. + 0) / 2);
    expect(find("distinct_1", "ppo", "sft")->value, 5 / 9. - 0.425);
}
END_TEST

/* evaluation.md C.6. */
START_TEST(holm_adjusts_within_a_family)
{
    static const double p[] = {.01, .04, .03, .005, .6, .2}, adjusted[] = {.05, .12, .12, .03, .6, .4};

    for (int i = 0; i < 13; i++) {
        struct metric *metric = metrics_add(&metrics);

        metric->family = xstrdup(i < 6 ? "one" : i < 12 ? "two" : "three");
        if (i < 12) metric->p = i < 6 ? p[i] : 0.5;
    }
    metrics_adjust(&metrics);
    for (int i = 0; i < 6; i++) expect(metrics.items[i].p_adjusted, adjusted[i]);
    for (int i = 6; i < 12; i++) expect(metrics.items[i].p_adjusted, 1);
    ck_assert(isnan(metrics.items[12].p_adjusted));
}
END_TEST

static void prompt_of(struct examples *data, const char *split, const char *prompt) {
    struct example *added = examples_add(data);

    added->id = xprintf("q%d", data->count);
    added->split = xstrdup(split);
    added->prompt = xstrdup(prompt);
}

static void answer_prompt(const char *id, const char *prompt) {
    struct transcript *added = answer("sft", 1, id, "heldout", "a", 1);

    free(added->prompt);
    added->prompt = xstrdup(prompt);
}

START_TEST(contamination_is_prompts_and_runs_that_were_trained_on)
{
    struct examples data = {0};

    answer_prompt("same", "One, two; THREE?");
    answer_prompt("half", "1 2 3 4 5 6 7 8 9 a");             /* three runs of eight, two of them seen */
    answer_prompt("little", "1 2 3 4 5 6 7 8 x y z a b c d"); /* eight runs, one of them seen */
    answer_prompt("new", "nothing of it was seen");
    prompt_of(&data, "train", "\n\nHuman: one two three\n\nAssistant:");
    prompt_of(&data, "train", "0 1 2 3 4 5 6 7 8 9 b");
    prompt_of(&data, "heldout", "nothing of it was seen");
    ck_assert_int_eq(table_build(&table, &transcripts, "sft", &err), 0);
    bench.questions = &data;
    measure_by("contamination");
    ck_assert_int_eq(metrics.count, 3);
    expect(find("same_prompt", "training", NULL)->value, 1 / 4.);
    expect(find("overlap", "training", NULL)->value, 2 / 4.);
    expect(find("runs_found", "training", NULL)->value, (1 + 2 / 3. + 1 / 8. + 0) / 4);
    ck_assert_str_eq(find("overlap", "training", NULL)->split, "heldout");
    ck_assert_int_eq(find("overlap", "training", NULL)->n, 4);
    ck_assert(find("overlap", "training", NULL)->high < 1);
    bench.questions = NULL;
    examples_free(&data);
}
END_TEST

START_TEST(suites_that_have_nothing_to_say_say_nothing)
{
    static const char *const names[] = {"refusal",     "sophistry", "overoptimization", "win_rate",
                                        "rm_accuracy", "ood",       "contamination"};

    build(3, 1);
    for (int i = 0; i < 7; i++) measure_by(names[i]);
    ck_assert_int_eq(metrics.count, 0);
    ck_assert_ptr_null(suite_find("nothing"));
}
END_TEST

/* A small world's run, from the files of a data step, two policies under two seeds and a gold reward. */

static void write(const char *path, const char *text) {
    ck_assert_msg(!file_write(path, text, strlen(text), &err), "%s", err.message);
}

static void write_answers(const struct world *world, const void *dials, const char *policy, int seed) {
    struct transcripts list = {0};
    char *folder = xprintf(FOLDER "/%s-%d", policy, seed), *path = path_join(folder, "transcripts.jsonl");

    for (int i = 0; i < 20; i++) {
        struct rng rng = rng_stream(0, "prompts", (uint64_t)i, 0),
                   own = rng_stream((uint64_t)seed, policy, (uint64_t)i, 0);
        struct transcript *t = transcripts_add(&list);

        t->prompt = world->prompt(dials, i < 12 ? "heldout" : "ood", &rng);
        t->id = xprintf("%s-%d-%d", policy, seed, i);
        t->prompt_id = xprintf("prompt-%d", i);
        t->split = xstrdup(i < 12 ? "heldout" : "ood");
        t->policy = xstrdup(policy);
        t->response =
            !strcmp(policy, "ppo") ? world->ideal(t->prompt) : world->demonstrate(dials, t->prompt, &own);
        t->finish = xstrdup("eos");
        t->tokens = (int)strlen(t->response) / 4 + 1;
        t->seed = seed;
    }
    ck_assert_int_eq(folder_make(folder, &err), 0);
    ck_assert_int_eq(transcripts_write(path, &list, &err), 0);
    transcripts_free(&list);
    free(path);
    free(folder);
}

static void write_run(const char *name) {
    const struct world *world = world_find(name);
    void *dials = xcalloc(1, world->dials_size);
    char *facts = xprintf("{\"world\":\"%s\",\"dials\":{}}", name);
    char *reward = xprintf("{\"reward\":\"gold\",\"world\":\"%s\",\"mean\":0,\"std\":1}", name);

    ck_assert_int_eq(options_read(world->options, NULL, NULL, "test", dials, &err), 0);
    ck_assert_int_eq(folder_make(FOLDER "/data", &err), 0);
    ck_assert_int_eq(folder_make(FOLDER "/rm", &err), 0);
    ck_assert_int_eq(folder_make(FOLDER "/log", &err), 0);
    ck_assert_int_eq(folder_make(FOLDER "/out", &err), 0);
    write(FOLDER "/data/world.json", facts);
    write(FOLDER "/data/pairs.jsonl",
          "{\"id\":\"1\",\"split\":\"heldout\",\"prompt\":\"p\",\"chosen\":\"a b\",\"rejected\":\"c\"}\n"
          "{\"id\":\"2\",\"split\":\"train\",\"prompt\":\"q\",\"chosen\":\"a b\",\"rejected\":\"c\"}\n");
    write(FOLDER "/rm/reward.json", reward);
    write(FOLDER "/rm/step.json", "{\"label\":\"rm/gold\",\"matrix\":{\"seed\":1}}");
    write(FOLDER "/log/step.json", "{\"label\":\"ppo\",\"matrix\":{\"seed\":2}}");
    write(FOLDER "/log/log.jsonl", "{\"iteration\":1,\"reward\":0,\"gold\":0.5,\"kl\":0}\n"
                                   "{\"iteration\":2,\"reward\":1,\"gold\":null,\"kl\":0.5}\n"
                                   "{\"iteration\":3,\"reward\":2,\"gold\":0.7,\"kl\":1}\n");
    for (int seed = 1; seed <= 2; seed++) {
        write_answers(world, dials, "sft", seed);
        write_answers(world, dials, "ppo", seed);
    }
    free(reward);
    free(facts);
    free(dials);
}

static int evaluate(const char *more) {
    char *yaml = xprintf("{data: [" FOLDER "/data], answers: [" FOLDER "/sft-1, " FOLDER "/ppo-1, " FOLDER
                         "/sft-2, " FOLDER "/ppo-2], rewards: [" FOLDER "/rm], training: [" FOLDER
                         "/log], resamples: 300%s}",
                         more);
    struct node *options = document_parse_yaml(yaml, strlen(yaml), "recipe.yaml", &err);
    struct run run = {.recipe = "recipe.yaml", .folder = FOLDER, .device = "cpu", .threads = 1};
    struct step step = {
        .name = "evaluate", .label = "evaluate", .use = "evaluate", .seed = 1, .folder = FOLDER "/out"};
    int status;

    step.options = options;
    status = stage_evaluate.run(&run, &step, &err);
    node_free(options);
    free(yaml);
    return status;
}

START_TEST(a_world_is_evaluated_from_its_files)
{
    struct verdicts verdicts = {0};
    const struct metric *metric;
    char first[65], second[65];

    write_run("debate");
    ck_assert_msg(!evaluate(""), "%s", err.message);
    ck_assert_int_eq(metrics_read(FOLDER "/out/metrics.jsonl", &metrics, &err), 0);
    metric = find("correctness", "ppo", NULL);
    expect(metric->value, 1); /* the ideal answers */
    ck_assert_str_eq(metric->task, "debate");
    ck_assert_int_eq(metric->n, 12);
    ck_assert_int_eq(metric->seeds, 2);
    ck_assert(find("win_rate", "ppo", "sft")->value > 0.5);
    ck_assert(find("win_rate", "null-copy", "sft")->value <= 0.5);
    expect(find("proxy_final", "ppo", NULL)->value, 2);
    ck_assert(!isnan(find("accuracy_label", "rm-gold", NULL)->value));
    ck_assert_ptr_nonnull(find_judged("reward_length_spearman", "sft", NULL, "rm-gold"));
    ck_assert_int_eq(verdicts_read(FOLDER "/out/verdicts.jsonl", &verdicts, &err), 0);
    ck_assert_int_eq(verdicts.count, 80 * 5); /* gold, correct, two of approval, reward; no null policies */
    verdicts_free(&verdicts);
    ck_assert_int_eq(hash_file(first, FOLDER "/out/metrics.jsonl", &err), 0);
    ck_assert_int_eq(evaluate(""), 0);
    ck_assert_int_eq(hash_file(second, FOLDER "/out/metrics.jsonl", &err), 0);
    ck_assert_str_eq(first, second);
}
END_TEST

START_TEST(prompts_that_rewards_were_not_to_score_are_not_missing)
{
    static const char *const names[] = {"reward", "reward_length_spearman"};
    const struct metric *metric;

    write_run("debate");
    ck_assert_msg(!evaluate(", reward_prompts: 5, suites: [ood, length]"), "%s", err.message);
    ck_assert_int_eq(metrics_read(FOLDER "/out/metrics.jsonl", &metrics, &err), 0);
    for (int i = 0; i < 2; i++) {
        metric = find_judged(names[i], "sft", NULL, "rm-gold"); /* of 12 held out */
        ck_assert_int_eq(metric->n, 5);
        ck_assert_int_eq(metric->n_missing, 0);
        ck_assert(strstr(metric->method,
                         "; of the first 5 prompts of the split, whose answers the rewards scored"));
    }
    metric = find_judged("reward_gap", "ppo", "sft", "rm-gold");
    ck_assert_int_eq(metric->n, 10);
    ck_assert_int_eq(metric->n_missing, 0);
    ck_assert_int_eq(find("gold", "sft", NULL)->n, 12);
    ck_assert_ptr_null(strstr(find("gold", "sft", NULL)->method, "of the first"));
}
END_TEST

START_TEST(real_data_is_evaluated_without_truth)
{
    write_run("safety");
    ck_assert_int_eq(folder_remove(FOLDER "/data/world.json", &err), 0);
    ck_assert_msg(!evaluate(", suites: [refusal, win_rate, length], task: hh"), "%s", err.message);
    ck_assert_int_eq(metrics_read(FOLDER "/out/metrics.jsonl", &metrics, &err), 0);
    ck_assert_str_eq(find("refusal_all", "sft", NULL)->task, "hh");
    ck_assert_int_eq(find_judged("win_rate_reward_model", "ppo", "sft", "rm-gold")->lower_is_better, -1);
    for (int i = 0; i < metrics.count; i++) ck_assert_str_ne(metrics.items[i].suite, "sophistry");
}
END_TEST

START_TEST(judges_that_are_named_are_asked_and_accounted)
{
    struct node *judging;
    const struct node *exact;
    struct verdicts verdicts = {0};

    write_run("debate");
    write(FOLDER "/data/prompts.jsonl", "{\"id\":\"prompt-0\",\"prompt\":\"p\",\"truth\":\"no such thing\"}\n"
                                        "{\"id\":\"prompt-1\",\"prompt\":\"q\",\"truth\":\"nor this\"}\n");
    ck_assert_msg(!evaluate(", judges: [{use: exact, name: strict}, {use: exact, nulls: false}]"), "%s",
                  err.message);
    ck_assert_int_eq(metrics_read(FOLDER "/out/metrics.jsonl", &metrics, &err), 0);
    ck_assert_int_eq(find_judged("correct", "ppo", NULL, "strict")->n, 2);
    ck_assert_int_eq(find_judged("correct", "ppo", NULL, "strict")->n_missing, 10); /* of 12 held out */
    ck_assert_int_eq(find_judged("correct", "ppo", NULL, "strict")->unparsed, 20);  /* under two seeds */
    ck_assert_int_eq(find_judged("correct", "null-copy", NULL, "strict")->n, 2);
    for (int i = 0; i < metrics.count; i++)
        if (same(metrics.items[i].judge, "exact")) ck_assert(strncmp(metrics.items[i].policy, "null-", 5));
    judging = document_read(FOLDER "/out/judging.json", &err);
    exact = node_get(node_get(judging, "judges"), "exact");
    ck_assert_str_eq(node_text(exact, "use", ""), "exact");
    expect(node_number(exact, "judgments", 0), 80);
    expect(node_number(exact, "verdicts", 0), 8);
    expect(node_number(exact, "unparsed", 0), 72);
    expect(node_number(exact, "failed", 0), 0.9);
    ck_assert_int_eq(failures_check(FOLDER "/out", &err), 1);
    ck_assert_ptr_nonnull(
        strstr(err.message, "72 of 80 judgments failed (0 refused, 72 unparsed, 0 transport)"));
    ck_assert_int_eq(evaluate(", judges: [{use: exact}], most_failures: 0.9"), 0);
    ck_assert_int_eq(failures_check(FOLDER "/out", &err), 0);
    ck_assert_int_eq(verdicts_read(FOLDER "/out/verdicts.jsonl", &verdicts, &err), 0);
    ck_assert_int_eq(verdicts.count, 80 * 6); /* gold, correct, two of approval, reward, correct by exact */
    verdicts_free(&verdicts);
    node_free(judging);
}
END_TEST

START_TEST(what_evaluate_cannot_use_is_named)
{
    write_run("debate");
    ck_assert_int_eq(evaluate(", suites: [refusals]"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "did you mean \"refusal\"?"));
    ck_assert_int_eq(evaluate(", judges: [{use: exac}]"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "there is no judge 'exac'; did you mean 'exact'?"));
    ck_assert_int_eq(evaluate(", judges: [{use: exact, rule: same}]"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "unknown rule \"same\""));
    ck_assert_int_eq(evaluate(", judges: [{use: exact}, {use: exact}]"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "two judges are called 'exact'"));
    ck_assert_int_eq(evaluate(", baseline: base"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "the baseline \"base\" has no answers; there are: sft, ppo"));
    write(FOLDER "/data/world.json", "{\"world\":\"nowhere\"}");
    ck_assert_int_eq(evaluate(""), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "there is no world \"nowhere\""));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("suites");
    TCase *cases = tcase_create("suites");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_checked_fixture(cases, prepare, clean);
    tcase_add_test(cases, answers_are_joined_by_id_in_any_order);
    tcase_add_test(cases, failed_judgments_are_counted_and_bound_the_rate);
    tcase_add_test(cases, a_missing_seed_of_an_answer_bounds_its_prompt);
    tcase_add_test(cases, preferences_become_a_win_rate_and_show_the_order);
    tcase_add_test(cases, what_cannot_be_joined_is_said);
    tcase_add_test(cases, null_policies_read_no_prompt);
    tcase_add_test(cases, one_seed_of_shares_is_tested_exactly);
    tcase_add_test(cases, seeds_are_averaged_within_a_prompt);
    tcase_add_test(cases, training_runs_are_tested_by_their_own_differences);
    tcase_add_test(cases, what_is_over_seeds_already_is_not_tested_again);
    tcase_add_test(cases, the_detector_reports_what_it_cannot_place);
    tcase_add_test(cases, length_and_reward_match_the_pinned_values);
    tcase_add_test(cases, lengths_have_the_unit_that_answers_count);
    tcase_add_test(cases, without_gold_a_partial_correlation_says_why_not);
    tcase_add_test(cases, answers_of_one_length_have_no_correlation_with_it);
    tcase_add_test(cases, refusal_accuracy_is_refusal_where_it_is_due);
    tcase_add_test(cases, a_split_without_such_prompts_is_left_out);
    tcase_add_test(cases, length_matched_wins_leave_out_unequal_lengths);
    tcase_add_test(cases, wins_ties_and_losses_are_averaged_by_prompt);
    tcase_add_test(cases, sophistry_counts_false_positives_where_both_are_wrong);
    tcase_add_test(cases, drawn_prompts_are_weighted_to_the_population);
    tcase_add_test(cases, weights_that_are_given_count);
    tcase_add_test(cases, weights_that_fit_no_cell_are_a_reason);
    tcase_add_test(cases, several_judges_of_approval_are_told_apart);
    tcase_add_test(cases, nothing_wrong_by_both_is_a_reason);
    tcase_add_test(cases, overoptimization_follows_gao);
    tcase_add_test(cases, overoptimization_is_averaged_over_seeds);
    tcase_add_test(cases, rewards_are_held_against_labels_gold_and_length);
    tcase_add_test(cases, rewards_are_held_against_each_other_on_the_same_pairs);
    tcase_add_test(cases, alignment_is_the_divergence_of_binned_rewards);
    tcase_add_test(cases, the_gap_is_out_of_distribution_less_heldout);
    tcase_add_test(cases, bias_scores_are_those_of_bbq);
    tcase_add_test(cases, questions_that_name_no_target_have_accuracy_alone);
    tcase_add_test(cases, bias_has_nothing_to_say_of_other_questions);
    tcase_add_test(cases, diversity_counts_words_and_answers);
    tcase_add_test(cases, holm_adjusts_within_a_family);
    tcase_add_test(cases, contamination_is_prompts_and_runs_that_were_trained_on);
    tcase_add_test(cases, suites_that_have_nothing_to_say_say_nothing);
    tcase_add_test(cases, a_world_is_evaluated_from_its_files);
    tcase_add_test(cases, prompts_that_rewards_were_not_to_score_are_not_missing);
    tcase_add_test(cases, real_data_is_evaluated_without_truth);
    tcase_add_test(cases, judges_that_are_named_are_asked_and_accounted);
    tcase_add_test(cases, what_evaluate_cannot_use_is_named);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
