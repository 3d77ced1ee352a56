/* What is expected of a run's metrics: recorded, read again, compared, said, and written for JUnit. */
#include "harness/expectation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/condition.h"
#include "harness/file.h"
#include "harness/memory.h"

#include <check.h> /* last: it defines a macro named fail */

#define FOLDER   "test_expectation.tmp"
#define EXPECTED FOLDER "/expected.jsonl"

static struct error err;

static void must(int status) {
    ck_assert_msg(status == 0, "%s", err.message);
}

static void prepare(void) {
    must(folder_remove(FOLDER, &err));
    must(folder_make(FOLDER, &err));
}

static void clean(void) {
    must(folder_remove(FOLDER, &err));
}

static struct metric *add(struct metrics *list, const char *name, double value) {
    struct metric *metric = metrics_add(list);

    metric->task = xstrdup("safety");
    metric->suite = xstrdup("refusal");
    metric->name = xstrdup(name);
    metric->policy = xstrdup("ppo-scalar");
    metric->baseline = xstrdup("sft");
    metric->split = xstrdup("heldout");
    metric->unit = xstrdup("fraction");
    metric->value = value;
    return metric;
}

#define NAMES(name)                                                                                          \
    "{\"task\": \"safety\", \"suite\": \"refusal\", \"name\": \"" name                                       \
    "\", \"policy\": \"ppo-scalar\", \"baseline\": \"sft\", \"split\": \"heldout\", "

static struct expectations expect(const char *text) {
    struct expectations list = {0};

    must(file_write(EXPECTED, text, strlen(text), &err));
    must(expectations_read(EXPECTED, &list, &err));
    return list;
}

/* How one metric of this value stands against one row, and what is said of it. */
static struct finding stands(const char *row, double value, char **message) {
    struct expectations list = expect(row);
    struct metrics metrics = {0};
    struct findings findings;
    struct finding first;

    add(&metrics, "x", value);
    findings_make(&findings, &list, &metrics);
    ck_assert_int_eq(findings.count, 1);
    ck_assert_int_eq(findings.passed + findings.failed, 1);
    ck_assert_int_eq(findings.failed, finding_failed(findings.items));
    first = findings.items[0];
    if (message) *message = finding_message(&first);
    free(findings.items);
    expectations_free(&list);
    metrics_free(&metrics);
    return first;
}

static void says(const char *row, double value, const char *want) {
    char *message;

    stands(row, value, &message);
    ck_assert_str_eq(message, want);
    free(message);
}

START_TEST(an_interval_contains_its_bounds)
{
    const char *row = NAMES("x") "\"value\": 0.3, \"low\": 0.2, \"high\": 0.4}\n";
    struct finding finding;

    ck_assert_int_eq(stands(row, 0.3, NULL).standing, STANDING_PASSED);
    ck_assert_int_eq(stands(row, 0.2, NULL).standing, STANDING_PASSED);
    ck_assert_int_eq(stands(row, 0.4, NULL).standing, STANDING_PASSED);
    ck_assert_int_eq(stands(row, nextafter(0.4, 1), NULL).standing, STANDING_OUTSIDE);
    finding = stands(row, 0.05, NULL);
    ck_assert_int_eq(finding.standing, STANDING_OUTSIDE);
    ck_assert_double_eq_tol(finding.outside, -0.15, 1e-12);
    ck_assert_double_eq_tol(finding.half_widths, 1.5, 1e-12);
    says(row, 0.05, "5 (percent), expected from 20 to 40; too low by 15, 1.50 half-widths");
    says(row, 0.55, "55 (percent), expected from 20 to 40; too high by 15, 1.50 half-widths");
}
END_TEST

START_TEST(a_claim_excludes_its_bounds_and_may_be_open)
{
    const char *row = NAMES("x") "\"low\": 0, \"claim\": \"PPO refuses more\"}\n";

    ck_assert_int_eq(stands(row, 1e-9, NULL).standing, STANDING_PASSED);
    ck_assert_int_eq(stands(row, 1e9, NULL).standing, STANDING_PASSED);
    ck_assert_int_eq(stands(row, 0, NULL).standing, STANDING_OUTSIDE);
    says(row, 0, "0 (percent), expected above 0; the bound itself does not count");
    says(row, -0.02, "-2 (percent), expected above 0; too low by 2");
    says(NAMES("x") "\"high\": 0.5, \"claim\": \"c\"}\n", 0.6,
         "60 (percent), expected below 50; too high by 10");
    says(NAMES("x") "\"low\": 0, \"high\": 0.5, \"claim\": \"c\"}\n", 0.75,
         "75 (percent), expected between 0 and 50; too high by 25, 1.00 half-widths");
}
END_TEST

START_TEST(a_value_that_cannot_be_computed_fails_unless_that_is_expected)
{
    const char *number = NAMES("x") "\"value\": 0.3, \"low\": 0.2, \"high\": 0.4}\n";
    const char *none = NAMES("x") "\"value\": null, \"why\": \"no items\"}\n";
    const char *claim = NAMES("x") "\"low\": 0, \"claim\": \"c\"}\n";

    ck_assert_int_eq(stands(number, NAN, NULL).standing, STANDING_UNCOMPUTED);
    ck_assert_int_eq(stands(claim, NAN, NULL).standing, STANDING_UNCOMPUTED);
    ck_assert_int_eq(stands(none, NAN, NULL).standing, STANDING_PASSED);
    ck_assert_int_eq(stands(none, 0.3, NULL).standing, STANDING_COMPUTED);
    says(number, NAN, "could not be computed (no reason given), expected from 20 to 40");
    says(none, 0.3, "30 (percent), expected no value");
}
END_TEST

START_TEST(what_is_missing_fails_and_what_is_new_does_not)
{
    struct expectations list = expect(NAMES("a") "\"value\": 0.3, \"low\": 0.2, \"high\": 0.4}\n" NAMES(
        "b") "\"value\": 0.3, \"low\": 0.2, \"high\": 0.4}\n");
    struct metrics metrics = {0};
    struct findings findings;
    char *text;

    add(&metrics, "c", 0.5);
    add(&metrics, "b", 0.3);
    add(&metrics, "b", 0.9)->judge = xstrdup("rm-scalar"); /* another metric than b */
    findings_make(&findings, &list, &metrics);
    ck_assert_int_eq(findings.count, 4);
    ck_assert_int_eq(findings.passed, 1);
    ck_assert_int_eq(findings.failed, 1);
    ck_assert_int_eq(findings.items[0].standing, STANDING_MISSING);
    ck_assert_int_eq(findings.items[1].standing, STANDING_PASSED);
    ck_assert_int_eq(findings.items[2].standing, STANDING_NEW);
    ck_assert_int_eq(findings.items[3].standing, STANDING_NEW);
    text = finding_message(&findings.items[0]);
    ck_assert_str_eq(text, "not in the run, expected from 0.2 to 0.4");
    free(text);
    text = finding_title(&findings.items[3]);
    ck_assert_str_eq(text, "b, ppo-scalar against sft, by rm-scalar, heldout");
    free(text);
    text = finding_group(&findings.items[3]);
    ck_assert_str_eq(text, "safety/refusal");
    free(text);
    free(findings.items);
    metrics_free(&metrics);
    expectations_free(&list);
}
END_TEST

START_TEST(recording_joins_the_metrics_interval_with_the_least_width)
{
    struct expectations list = expect(NAMES("old") "\"value\": 1, \"low\": 0, \"high\": 2}\n" NAMES(
                            "wide") "\"low\": 0, \"claim\": \"c\"}\n"),
                        again = {0};
    struct metrics metrics = {0};
    struct metric *wide = add(&metrics, "wide", 0.3);
    struct findings findings;

    wide->low = 0.1;
    wide->high = 0.32; /* 0.3 + 0.05 is more */
    add(&metrics, "large", -20);
    add(&metrics, "none", NAN)->reason = xstrdup("no items");
    expectations_record(&list, &metrics);
    must(expectations_write(EXPECTED, &list, &err));
    must(expectations_read(EXPECTED, &again, &err));
    ck_assert_int_eq(again.count, 4);
    ck_assert_str_eq(again.items[0].claim, "c");
    ck_assert(isnan(again.items[0].metric.value));
    ck_assert_double_eq(again.items[1].metric.value, 0.3);
    ck_assert_double_eq(again.items[1].metric.low, 0.1);
    ck_assert_double_eq(again.items[1].metric.high, 0.3 + 0.05);
    ck_assert_double_eq(again.items[2].metric.low, -22);
    ck_assert_double_eq(again.items[2].metric.high, -18);
    ck_assert(isnan(again.items[3].metric.value) && isnan(again.items[3].metric.low));
    ck_assert_str_eq(again.items[3].metric.reason, "no items");
    findings_make(&findings, &again, &metrics);
    ck_assert_int_eq(findings.passed, 4);
    ck_assert_int_eq(findings.count, 4);
    free(findings.items);
    metrics_free(&metrics);
    expectations_free(&list);
    expectations_free(&again);
}
END_TEST

static void refuses(const char *text, const char *sentence) {
    struct expectations list = {0};

    must(file_write(EXPECTED, text, strlen(text), &err));
    ck_assert_int_eq(expectations_read(EXPECTED, &list, &err), -1);
    ck_assert_msg(strstr(err.message, sentence) != NULL, "'%s' is not in '%s'", sentence, err.message);
    expectations_free(&list);
}

START_TEST(wrong_rows_are_named_with_file_and_line)
{
    const char *twice = NAMES("x") "\"value\": 0, \"low\": 0, \"high\": 0}\n" NAMES(
        "x") "\"value\": 0, \"low\": 0, \"high\": 0}\n";

    refuses("{\"about\": \"this\"}\n\n{\"suite\": \n", EXPECTED ":3");
    refuses("{\"about\": \"this\"}\n[1]\n", EXPECTED ":2: an object was expected");
    refuses("{\"suite\": \"s\", \"value\": 0, \"low\": 0, \"high\": 0}\n",
            ":1: every expectation needs \"suite\" and \"name\"");
    refuses(NAMES("x") "\"hihg\": 1}\n", ":1: unknown key \"hihg\"; did you mean 'high'?");
    refuses(NAMES("x") "\"low\": \"0\", \"claim\": \"c\"}\n", "\"low\" must be a number or null");
    refuses(NAMES("x") "\"claim\": 1}\n", "\"claim\" must be a text");
    refuses(NAMES("x") "\"claim\": \"c\"}\n", "a claim needs \"low\", \"high\" or both");
    refuses(NAMES("x") "\"value\": 1, \"low\": 0}\n", "must be three numbers");
    refuses(NAMES("x") "\"low\": 2, \"high\": 1, \"claim\": \"c\"}\n", "\"low\" (2) must not be above");
    refuses(twice, ":2: x is expected twice");
}
END_TEST

START_TEST(two_metrics_of_the_same_names_are_refused)
{
    struct metrics metrics = {0};

    add(&metrics, "a", 1);
    add(&metrics, "b", 1);
    must(metrics_distinct(&metrics, &err));
    add(&metrics, "a", 2);
    ck_assert_int_eq(metrics_distinct(&metrics, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "two metrics are called a of ppo-scalar in suite refusal"));
    metrics_free(&metrics);
}
END_TEST

START_TEST(junit_groups_by_suite_and_escapes)
{
    struct expectations list =
        expect("{\"suite\": \"s\", \"name\": \"a\", \"low\": 0, \"claim\": \"<1 & \\\"2\\\"\\u0001\"}\n"
               "{\"task\": \"t\", \"suite\": \"s\", \"name\": \"b\", \"value\": 0, \"low\": 0, \"high\": 0}\n"
               "{\"suite\": \"s\", \"name\": \"c\", \"value\": 1, \"low\": 0, \"high\": 2}\n");
    struct metrics metrics = {0};
    struct findings findings;
    struct metric *metric = metrics_add(&metrics);
    char *text;

    metric->suite = xstrdup("s");
    metric->name = xstrdup("c");
    metric->value = 2;
    metric = metrics_add(&metrics);
    metric->suite = xstrdup("s");
    metric->name = xstrdup("new");
    findings_make(&findings, &list, &metrics);
    must(findings_write_junit(FOLDER "/junit.xml", &findings, &err));
    text = file_read(FOLDER "/junit.xml", NULL, &err);
    ck_assert_str_eq(
        text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
              "<testsuites tests=\"3\" failures=\"2\" skipped=\"0\">\n"
              "  <testsuite name=\"s\" tests=\"2\" failures=\"1\" skipped=\"0\">\n"
              "    <testcase classname=\"s\" name=\"a, claimed: &#60;1 &#38; &#34;2&#34;\xEF\xBF\xBD\">\n"
              "      <failure message=\"not in the run, expected above 0\"/>\n"
              "    </testcase>\n"
              "    <testcase classname=\"s\" name=\"c\"/>\n"
              "  </testsuite>\n"
              "  <testsuite name=\"t/s\" tests=\"1\" failures=\"1\" skipped=\"0\">\n"
              "    <testcase classname=\"t/s\" name=\"b\">\n"
              "      <failure message=\"not in the run, expected from 0 to 0\"/>\n"
              "    </testcase>\n"
              "  </testsuite>\n"
              "</testsuites>\n");
    free(text);
    free(findings.items);
    metrics_free(&metrics);
    expectations_free(&list);
    ck_assert_int_eq(file_exists(FOLDER "/junit.xml.tmp"), 0);
}
END_TEST

static struct metric *add_interval(struct metrics *list, const char *name, double low, double value,
                                   double high) {
    struct metric *metric = add(list, name, value);

    metric->low = low;
    metric->high = high;
    metric->n = 100;
    return metric;
}

/* How many findings of a condition fail; -1: it is refused, and err says why. */
static int failing(const struct metrics *metrics, const char *text, int *passed, int *undecided) {
    struct conditioned conditioned = {0};
    struct findings findings = {0};
    struct condition condition;
    int status = condition_read(&condition, text, &err);

    if (status) return -1;
    status = condition_match(&condition, metrics, &conditioned, &err);
    for (int i = 0; !status && i < conditioned.expectations.count; i++)
        findings_add(&findings, &conditioned.expectations.items[i], conditioned.metrics[i]);
    *passed = findings.passed;
    *undecided = findings.undecided;
    if (!status) status = findings.failed;
    free(findings.items);
    conditioned_free(&conditioned);
    condition_free(&condition);
    return status;
}

START_TEST(a_condition_holds_with_the_whole_interval)
{
    struct metrics metrics = {0};
    int passed, undecided;

    add_interval(&metrics, "over_a", 0.1, 0.2, 0.3);
    add_interval(&metrics, "over_b", 0.05, 0.2, 0.3);
    add(&metrics, "over_c", 0.9); /* no interval */
    add_interval(&metrics, "overly", 0.9, 0.95, 1);
    ck_assert_int_eq(failing(&metrics, "refusal.over > 0.07", &passed, &undecided), 1);
    ck_assert_int_eq(passed, 1);
    ck_assert_int_eq(undecided, 1);
    ck_assert_int_eq(failing(&metrics, "refusal.over > 0.1", &passed, &undecided), 0); /* touching is not */
    ck_assert_int_eq(failing(&metrics, "refusal.over < 0.31", &passed, &undecided), 2);
    ck_assert_int_eq(failing(&metrics, "refusal.over_a < 30 %", &passed, &undecided), 0);
    ck_assert_int_eq(passed, 1);
    ck_assert_int_eq(undecided, 0);
    ck_assert_int_eq(failing(&metrics, " refusal.overly [ policy = ppo-scalar , baseline=sft ] > -0.5 ",
                             &passed, &undecided),
                     1);
    ck_assert_int_eq(failing(&metrics, "refusal.over_c > 0.1", &passed, &undecided), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "decides nothing"));
    ck_assert_int_eq(failing(&metrics, "refusal.over_d > 0.1", &passed, &undecided), -1);
    ck_assert_ptr_nonnull(
        strstr(err.message, "there is no metric refusal.over_d; did you mean 'refusal.over_a'?"));
    metrics_free(&metrics);
}
END_TEST

START_TEST(levels_are_meant_where_there_are_any)
{
    struct metrics metrics = {0};
    struct metric *level;
    int passed, undecided;

    add_interval(&metrics, "x", -0.3, -0.2, -0.1);
    ck_assert_int_eq(failing(&metrics, "refusal.x < 0", &passed, &undecided), 1); /* the change alone */
    level = add_interval(&metrics, "x", 0.1, 0.2, 0.3);
    free(level->baseline);
    level->baseline = NULL;
    ck_assert_int_eq(failing(&metrics, "refusal.x < 0", &passed, &undecided), 0);
    ck_assert_int_eq(passed, 1);
    ck_assert_int_eq(failing(&metrics, "refusal.x[baseline=sft] < 0", &passed, &undecided), 1);
    ck_assert_int_eq(passed, 0);
    free(level->policy);
    level->policy = xstrdup("null-longest"); /* content-blind: only by name */
    ck_assert_int_eq(failing(&metrics, "refusal.x[policy=null-longest] > 0.05", &passed, &undecided), 1);
    ck_assert_int_eq(failing(&metrics, "refusal.x > -0.5", &passed, &undecided), 1); /* the change again */
    metrics_free(&metrics);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("expectation");
    TCase *cases = tcase_create("expectation");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_checked_fixture(cases, prepare, clean);
    tcase_add_test(cases, an_interval_contains_its_bounds);
    tcase_add_test(cases, a_claim_excludes_its_bounds_and_may_be_open);
    tcase_add_test(cases, a_value_that_cannot_be_computed_fails_unless_that_is_expected);
    tcase_add_test(cases, what_is_missing_fails_and_what_is_new_does_not);
    tcase_add_test(cases, recording_joins_the_metrics_interval_with_the_least_width);
    tcase_add_test(cases, wrong_rows_are_named_with_file_and_line);
    tcase_add_test(cases, two_metrics_of_the_same_names_are_refused);
    tcase_add_test(cases, junit_groups_by_suite_and_escapes);
    tcase_add_test(cases, a_condition_holds_with_the_whole_interval);
    tcase_add_test(cases, levels_are_meant_where_there_are_any);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
