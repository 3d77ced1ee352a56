/* Bradley-Terry fits against published values, and what has no finite fit. Standard errors of the baseball
   data and the fit with a style are those of Newton's method in 30 digits: R's glm stops a step earlier, and
   its errors (0.343255664026, 0.130943642532) and a quasi-Newton fit (0.533272629089) agree with these to
   1e-6 and 3e-9. */
#include "harness/rng.h"
#include "harness/statistics.h"
#include "harness/statistics_rank.h"

#include <math.h>
#include <string.h>

#include <check.h> /* last: it defines a macro named fail */

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static struct error err;
static struct ranking ranking;

static void near(double got, double expected, double tolerance) {
    ck_assert_msg(fabs(got - expected) <= tolerance * fmax(1, fabs(expected)), "got %.13g, expected %.13g",
                  got, expected);
}

/* first, second, wins of first, wins of second, ties. */
struct tally {
    int first, second, wins, losses, ties;
};

/* Two or three weighted contests a tally, each tally a cluster. Returns how many. */
static int contests_of(struct contest *out, const struct tally *tallies, int count) {
    int n = 0;

    for (int i = 0; i < count; i++) {
        const struct tally *t = &tallies[i];

        out[n++] = (struct contest){t->first, t->second, 1, t->wins, i};
        out[n++] = (struct contest){t->first, t->second, 0, t->losses, i};
        out[n++] = (struct contest){t->first, t->second, 0.5, t->ties, i};
    }
    return n;
}

static void fit(const struct tally *tallies, int count, int models, int baseline, int has_order) {
    struct contest contests[200];
    struct ranking_form form = {
        .models = models, .baseline = baseline, .has_order = has_order, .level = 0.95};
    int n = contests_of(contests, tallies, count);

    ck_assert_msg(!ranking_fit(&ranking, contests, n, &form, &err), "%s", err.message);
}

START_TEST(four_players_have_the_published_strengths)
{
    const struct tally tallies[] = {{0, 1, 2, 3, 0}, {0, 3, 1, 4, 0}, {1, 2, 5, 3, 0}, {2, 3, 1, 3, 0}};
    const double strengths[] = {0.639834815022, 1.043314403086, 0.659810195807, 2.270376628090};
    const double from_first[] = {0, 0.4889478091826, 0.0307421700378, 1.2664909706589};

    fit(tallies, COUNT(tallies), 4, -1, 0);
    for (int i = 0; i < 4; i++) near(exp(ranking.abilities[i].value), strengths[i], 1e-9);
    ranking_free(&ranking);
    fit(tallies, COUNT(tallies), 4, 0, 0);
    for (int i = 0; i < 4; i++) near(ranking.abilities[i].value, from_first[i], 1e-9);
    near(ranking.abilities[1].error, 0.817013026896, 1e-9);
    ck_assert_double_eq(ranking.abilities[0].error, 0);
    ranking_free(&ranking);
}
END_TEST

START_TEST(citations_between_journals_match_r)
{
    const struct tally tallies[] = {{0, 1, 730, 33, 0}, {0, 2, 498, 320, 0}, {0, 3, 221, 284, 0},
                                    {1, 2, 68, 813, 0}, {1, 3, 17, 276, 0},  {2, 3, 142, 325, 0}};

    fit(tallies, COUNT(tallies), 4, 0, 0);
    near(ranking.abilities[1].value, -2.949072496844, 1e-9);
    near(ranking.abilities[1].error, 0.1025453353699, 1e-7);
    near(ranking.abilities[2].value, -0.479569769752, 1e-9);
    near(ranking.abilities[2].error, 0.0605887292396, 1e-7);
    near(ranking.abilities[3].value, 0.268954055819, 1e-9);
    near(ranking.abilities[3].error, 0.0708299651057, 1e-7);
    near(ranking.deviance, 4.29338396989, 1e-9);
    ck_assert_int_eq(ranking.freedom, 3);
    ranking_free(&ranking);
}
END_TEST

/* Home team's wins and losses, American League East 1987 (Agresti). */
enum { BALTIMORE, BOSTON, CLEVELAND, DETROIT, MILWAUKEE, NEW_YORK, TORONTO };
static const struct tally baseball[] = {
    {MILWAUKEE, DETROIT, 4, 3, 0},   {MILWAUKEE, TORONTO, 4, 2, 0},   {MILWAUKEE, NEW_YORK, 4, 3, 0},
    {MILWAUKEE, BOSTON, 6, 1, 0},    {MILWAUKEE, CLEVELAND, 4, 2, 0}, {MILWAUKEE, BALTIMORE, 6, 0, 0},
    {DETROIT, MILWAUKEE, 3, 3, 0},   {DETROIT, TORONTO, 4, 2, 0},     {DETROIT, NEW_YORK, 4, 3, 0},
    {DETROIT, BOSTON, 6, 0, 0},      {DETROIT, CLEVELAND, 6, 1, 0},   {DETROIT, BALTIMORE, 4, 3, 0},
    {TORONTO, MILWAUKEE, 2, 5, 0},   {TORONTO, DETROIT, 4, 3, 0},     {TORONTO, NEW_YORK, 2, 4, 0},
    {TORONTO, BOSTON, 4, 3, 0},      {TORONTO, CLEVELAND, 4, 2, 0},   {TORONTO, BALTIMORE, 6, 0, 0},
    {NEW_YORK, MILWAUKEE, 3, 3, 0},  {NEW_YORK, DETROIT, 5, 1, 0},    {NEW_YORK, TORONTO, 2, 5, 0},
    {NEW_YORK, BOSTON, 4, 3, 0},     {NEW_YORK, CLEVELAND, 4, 2, 0},  {NEW_YORK, BALTIMORE, 6, 1, 0},
    {BOSTON, MILWAUKEE, 5, 1, 0},    {BOSTON, DETROIT, 2, 5, 0},      {BOSTON, TORONTO, 3, 3, 0},
    {BOSTON, NEW_YORK, 4, 2, 0},     {BOSTON, CLEVELAND, 5, 2, 0},    {BOSTON, BALTIMORE, 6, 0, 0},
    {CLEVELAND, MILWAUKEE, 2, 5, 0}, {CLEVELAND, DETROIT, 3, 3, 0},   {CLEVELAND, TORONTO, 3, 4, 0},
    {CLEVELAND, NEW_YORK, 4, 3, 0},  {CLEVELAND, BOSTON, 4, 2, 0},    {CLEVELAND, BALTIMORE, 2, 4, 0},
    {BALTIMORE, MILWAUKEE, 2, 5, 0}, {BALTIMORE, DETROIT, 1, 5, 0},   {BALTIMORE, TORONTO, 1, 6, 0},
    {BALTIMORE, NEW_YORK, 2, 4, 0},  {BALTIMORE, BOSTON, 1, 6, 0},    {BALTIMORE, CLEVELAND, 3, 4, 0}};

START_TEST(baseball_matches_agresti_with_and_without_home_advantage)
{
    fit(baseball, COUNT(baseball), 7, BALTIMORE, 0);
    near(ranking.abilities[BOSTON].value, 1.107697705372, 1e-9);
    near(ranking.abilities[MILWAUKEE].value, 1.581355876655, 1e-9);
    near(ranking.abilities[MILWAUKEE].error, 0.34325598159467, 1e-9);
    near(ranking.deviance, 44.0534612286, 1e-9);
    ranking_free(&ranking);
    fit(baseball, COUNT(baseball), 7, BALTIMORE, 1);
    near(ranking.order.value, 0.302260655528, 1e-9);
    near(ranking.order.error, 0.13094370745592, 1e-9);
    near(ranking.deviance, 38.642852144, 1e-9);
    ck_assert_int_eq(ranking.freedom, 42 - 7);
    ranking_free(&ranking);
}
END_TEST

static const struct tally tied[] = {{0, 1, 6, 3, 1}, {0, 2, 7, 2, 1}, {0, 3, 9, 1, 0},
                                    {1, 2, 5, 4, 1}, {1, 3, 6, 2, 2}, {2, 3, 4, 3, 3}};

START_TEST(a_tie_is_half_a_win)
{
    const double abilities[] = {0, -0.813535486102, -1.196075851951, -1.653115339874};
    const double elo[] = {1000, 858.674411021, 792.220343024, 712.824451977};

    fit(tied, COUNT(tied), 4, 0, 0);
    for (int i = 0; i < 4; i++) {
        near(ranking.abilities[i].value, abilities[i], 1e-9);
        near(ranking_elo(ranking.abilities[i].value), elo[i], 1e-9);
    }
    near(ranking_chance(&ranking, 0, 3), 0.839311653109, 1e-9);
    ranking_free(&ranking);
}
END_TEST

START_TEST(a_style_is_controlled_for)
{
    const double style[] = {1.2, .5, -.3, .9, -1.1, .2, 1.5, -.6, -.4, .8, -1.3, .1, .6, -.9, 1.1, -.2};
    const double score[] = {1, 1, 0, 1, 0, .5, 1, 0, 0, 1, 0, .5, 1, 1, 1, 0};
    struct contest contests[16];
    struct estimate raw;
    struct ranking_form form = {.models = 3, .baseline = 0, .styles = style, .style_count = 1, .level = 0.95};

    for (int i = 0; i < 16; i++) contests[i] = (struct contest){1 + i / 8, 0, score[i], 1, i};
    ck_assert_msg(!ranking_fit(&ranking, contests, 16, &form, &err), "%s", err.message);
    near(ranking.abilities[1].value, -0.384198182204324, 1e-9);
    near(ranking.abilities[2].value, 0.533272630543359, 1e-9);
    near(ranking.styles[0].value, 2.96740674663803, 1e-9);
    near(ranking_chance(&ranking, 1, 0), 0.4051147471, 1e-9);
    near(ranking_chance(&ranking, 2, 0), 0.630246076758, 1e-9);
    ranking_free(&ranking);
    for (int m = 0; m < 2; m++) {
        ck_assert_int_eq(win_rate(&raw, score + 8 * m, 8, 0.95, &err), 0);
        near(raw.value, 0.5625, 1e-12);
    }
}
END_TEST

START_TEST(units_of_a_style_do_not_matter)
{
    const double style[] = {1.2, .5, -.3, .9, -1.1, .2, 1.5, -.6, -.4, .8, -1.3, .1, .6, -.9, 1.1, -.2};
    const double score[] = {1, 1, 0, 1, 0, .5, 1, 0, 0, 1, 0, .5, 1, 1, 1, 0};
    struct contest contests[16];
    double scaled[16];
    struct ranking_form form = {
        .models = 3, .baseline = 0, .styles = scaled, .style_count = 1, .level = 0.95};

    for (int i = 0; i < 16; i++) contests[i] = (struct contest){1 + i / 8, 0, score[i], 1, i};
    for (double unit = 1e-8; unit < 1e9; unit *= 1e4) {
        for (int i = 0; i < 16; i++) scaled[i] = style[i] * unit;
        ck_assert_msg(!ranking_fit(&ranking, contests, 16, &form, &err), "unit %g: %s", unit, err.message);
        near(ranking.abilities[2].value, 0.533272630543359, 1e-9);
        near(ranking.styles[0].value * unit, 2.96740674663803, 1e-9);
        ranking_free(&ranking);
    }
}
END_TEST

/* With one contest a cluster and p = ½ everywhere the sandwich is the model's own error. */
START_TEST(the_sandwich_is_the_model_s_error_where_the_model_holds)
{
    struct contest contests[400];
    struct ranking_form form = {.models = 2, .baseline = 0, .level = 0.95};

    for (int i = 0; i < 400; i++) contests[i] = (struct contest){0, 1, i % 2, 1, i};
    ck_assert_int_eq(ranking_fit(&ranking, contests, 400, &form, &err), 0);
    near(ranking.abilities[1].error, 0.1, 1e-9);
    near(ranking.abilities[1].robust, 0.1, 1e-9);
    ranking_free(&ranking);
    for (int i = 0; i < 400; i++) contests[i].cluster = (i / 8) * 2 + i % 2; /* four alike a cluster */
    ck_assert_int_eq(ranking_fit(&ranking, contests, 400, &form, &err), 0);
    near(ranking.abilities[1].robust, 0.2, 1e-9);
    ranking_free(&ranking);
}
END_TEST

START_TEST(resampling_prompts_agrees_with_the_sandwich_and_repeats)
{
    struct contest contests[600];
    struct ranking_form form = {.models = 3, .baseline = -1, .has_order = 1, .level = 0.95};
    struct ranking again;

    for (int i = 0; i < 600; i++) /* 0 beats 1 in 6 of 10, 1 beats 2 in 7 of 10, 0 beats 2 in 8 of 10 */
        contests[i] = (struct contest){i % 3 == 1, i % 3 == 0 ? 1 : 2,
                                       (i / 3) % 10 < (i % 3 == 0   ? 6
                                                       : i % 3 == 1 ? 7
                                                                    : 8),
                                       1, i / 3};
    ck_assert_msg(!ranking_fit(&ranking, contests, 600, &form, &err), "%s", err.message);
    ck_assert_msg(!ranking_fit(&again, contests, 600, &form, &err), "%s", err.message);
    double low = ranking.abilities[0].low, high = ranking.abilities[0].high;
    ck_assert_msg(!ranking_resample(&ranking, contests, 600, &form, 7, 2000, &err), "%s", err.message);
    ck_assert_int_eq(ranking_resample(&again, contests, 600, &form, 7, 2000, &err), 0);
    ck_assert_double_eq_tol(ranking.abilities[0].low, low, 0.05);
    ck_assert_double_eq_tol(ranking.abilities[0].high, high, 0.05);
    ck_assert_double_eq(ranking.abilities[0].low, again.abilities[0].low);
    ck_assert_int_eq(ranking.rank_low[0], 1);
    ck_assert_int_eq(ranking.rank_high[2], 3);
    ranking_free(&ranking);
    ranking_free(&again);
}
END_TEST

static void expect_error(const struct tally *tallies, int count, int models, const char *sentence) {
    static const char *const names[] = {"a", "b", "c", "d"};
    struct contest contests[60] = {{0}};
    struct ranking_form form = {.models = models, .names = names, .level = 0.95};
    int n = contests_of(contests, tallies, count);

    ck_assert_int_eq(ranking_fit(&ranking, contests, n, &form, &err), -1);
    ck_assert_msg(strstr(err.message, sentence) != NULL, "%s", err.message);
}

START_TEST(what_has_no_finite_fit_is_said)
{
    const struct tally apart[] = {{0, 1, 3, 2, 0}, {2, 3, 1, 1, 0}};
    const struct tally best[] = {{0, 1, 3, 0, 0}, {0, 2, 2, 0, 0}, {1, 2, 2, 1, 0}};
    const struct tally worst[] = {{0, 1, 3, 2, 0}, {0, 2, 2, 0, 0}, {1, 2, 2, 0, 0}};

    expect_error(apart, 2, 4, "no contest connects these groups of models: a, b; c, d");
    expect_error(best, 3, 3, "a never lost to the other models");
    expect_error(worst, 3, 3, "a, b never lost to the other models");
    expect_error(best, 0, 3, "no contests");
}
END_TEST

/* One contest each way around of one pair: an order effect is what the ability is. */
START_TEST(terms_that_are_one_are_said)
{
    struct contest contests[] = {{1, 0, 0.5, 2, 0}, {1, 0, 1, 1, 1}, {1, 0, 0, 1, 2}};
    struct ranking_form form = {.models = 2, .has_order = 1, .level = 0.95};

    ck_assert_int_eq(ranking_fit(&ranking, contests, 3, &form, &err), -1);
    ck_assert_str_eq(err.message, "the terms cannot be told apart: their information matrix is singular");
}
END_TEST

START_TEST(contests_are_checked)
{
    struct contest contests[] = {{0, 1, 1, 1, 0}, {1, 0, 1, 1, 0}};
    const double holes[] = {NAN, 1};
    struct ranking_form form = {.models = 2, .level = 0.95};

    ck_assert_int_eq(ranking_fit(&ranking, contests, 2, &form, &err), 0);
    ck_assert_int_eq(ranking_resample(&ranking, contests, 2, &form, 1, 200, &err), -1);
    ck_assert_str_eq(err.message, "one cluster: resampling needs two");
    ranking_free(&ranking);
    contests[1].cluster = 1; /* half of the resamples hold one contest alone */
    ck_assert_int_eq(ranking_fit(&ranking, contests, 2, &form, &err), 0);
    ck_assert_int_eq(ranking_resample(&ranking, contests, 2, &form, 1, 200, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "resamples have finite abilities (separation)"));
    ranking_free(&ranking);
    form.styles = holes;
    form.style_count = 1;
    ck_assert_int_eq(ranking_fit(&ranking, contests, 2, &form, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "not a finite number"));
    form.style_count = 0;
    contests[1].second = 2;
    ck_assert_int_eq(ranking_fit(&ranking, contests, 2, &form, &err), -1);
    ck_assert_str_eq(err.message, "contest 2 is not between two of the 2 models");
    contests[1] = (struct contest){1, 0, 1.5, 1, 0};
    ck_assert_int_eq(ranking_fit(&ranking, contests, 2, &form, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "a score in [0, 1]"));
    form.models = 1;
    ck_assert_int_eq(ranking_fit(&ranking, contests, 2, &form, &err), -1);
}
END_TEST

START_TEST(many_models_are_named_in_part)
{
    struct contest contests[12];
    struct ranking_form form = {.models = 13, .level = 0.95};

    for (int i = 0; i < 11; i++) contests[i] = (struct contest){i, i + 1, 0.5, 1, i};
    contests[11] = (struct contest){0, 12, 1, 1, 11};
    ck_assert_int_eq(ranking_fit(&ranking, contests, 12, &form, &err), -1);
    ck_assert_msg(strstr(err.message, "model 8 and 4 more never lost"), "%s", err.message);
}
END_TEST

/* Truth: ability ln 3 apart, style 1. */
START_TEST(styles_have_intervals_from_resampled_prompts)
{
    enum { CONTESTS = 400 };
    static struct contest contests[CONTESTS];
    static double style[CONTESTS];
    struct ranking_form form = {
        .models = 2, .styles = style, .style_count = 1, .has_order = 1, .level = 0.95};
    struct term robust;

    for (int i = 0; i < CONTESTS; i++) {
        struct rng rng = rng_stream(4, "test", (uint64_t)i, 0);

        style[i] = rng_normal(&rng);
        contests[i] = (struct contest){i % 2, !(i % 2), 0, 1, i / 2};
        contests[i].score = rng_chance(&rng, 1 / (1 + exp(-(i % 2 ? 1 : -1) * log(3) - style[i])));
    }
    ck_assert_int_eq(ranking_fit(&ranking, contests, CONTESTS, &form, &err), 0);
    robust = ranking.styles[0];
    ck_assert(robust.low < 1 && 1 < robust.high);
    ck_assert(ranking.order.low < 0 && 0 < ranking.order.high);
    ck_assert_int_eq(ranking_resample(&ranking, contests, CONTESTS, &form, 1, 1000, &err), 0);
    ck_assert_double_eq_tol(ranking.styles[0].low, robust.low, 0.1);
    ck_assert_double_eq_tol(ranking.styles[0].high, robust.high, 0.1);
    ranking_free(&ranking);
}
END_TEST

START_TEST(a_style_that_explains_everything_is_said)
{
    struct contest contests[8];
    double uneven[8];
    const double style[] = {1, -1, 1, -1, 1, -1, 1, -1};
    struct ranking_form form = {.models = 2, .styles = style, .style_count = 1, .level = 0.95};

    for (int i = 0; i < 8; i++) contests[i] = (struct contest){0, 1, i % 2 == 0, 1, i};
    ck_assert_int_eq(ranking_fit(&ranking, contests, 8, &form, &err), -1);
    ck_assert_str_eq(err.message, "no finite maximum: some term explains every outcome (separation)");
    for (int i = 0; i < 8; i++) uneven[i] = style[i] * (1 + 0.3 * i) * 1e-6 + 4e-7;
    form.styles = uneven;
    ck_assert_int_eq(ranking_fit(&ranking, contests, 8, &form, &err), -1);
    ck_assert_str_eq(err.message, "no finite maximum: some term explains every outcome (separation)");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("rank");
    TCase *cases = tcase_create("rank");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_test(cases, four_players_have_the_published_strengths);
    tcase_add_test(cases, citations_between_journals_match_r);
    tcase_add_test(cases, baseball_matches_agresti_with_and_without_home_advantage);
    tcase_add_test(cases, a_tie_is_half_a_win);
    tcase_add_test(cases, a_style_is_controlled_for);
    tcase_add_test(cases, units_of_a_style_do_not_matter);
    tcase_add_test(cases, the_sandwich_is_the_model_s_error_where_the_model_holds);
    tcase_add_test(cases, resampling_prompts_agrees_with_the_sandwich_and_repeats);
    tcase_add_test(cases, what_has_no_finite_fit_is_said);
    tcase_add_test(cases, terms_that_are_one_are_said);
    tcase_add_test(cases, contests_are_checked);
    tcase_add_test(cases, many_models_are_named_in_part);
    tcase_add_test(cases, styles_have_intervals_from_resampled_prompts);
    tcase_add_test(cases, a_style_that_explains_everything_is_said);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
