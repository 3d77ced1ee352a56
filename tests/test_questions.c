/* Rows of public data sets become questions with what judges and suites need; the published files are read
 * whole. */
#include "harness/questions.h"

#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "tests/public_data.h"

#include <check.h> /* last: it defines a macro named fail */

static struct error err;
static struct examples got;
static const struct question_set *set;

static void clean(void) {
    examples_free(&got);
    set = NULL;
}

static int take(const char *json) {
    struct node *record = document_parse_json(json, strlen(json), "row", 1, &err);
    int status;

    ck_assert_msg(record != NULL, "%s", err.message);
    set = question_set_of(record);
    ck_assert_ptr_nonnull(set);
    status = set->take(&got, record, &err);
    node_free(record);
    return status;
}

static const char *meta(int i, const char *key) {
    return node_text(got.items[i].meta, key, NULL);
}

#define BBQ_ROW(groups, one, two)                                                                            \
    "{\"example_id\":7,\"question_index\":\"3\",\"question_polarity\":\"neg\",\"context_condition\":"        \
    "\"ambig\",\"category\":\"Age\",\"answer_info\":{\"ans0\":[\"Ann\",\"" one                               \
    "\"],\"ans1\":[\"Not known\",\"unknown\"],\"ans2\":[\"Bob\",\"" two                                      \
    "\"]},\"additional_metadata\":{\"stereotyped_groups\":[" groups "]},\"context\":\"C.\",\"question\":"    \
    "\"Q?\",\"ans0\":\"Ann\",\"ans1\":\"Not known\",\"ans2\":\"Bob\",\"label\":1}"

START_TEST(bbq_rows_tell_the_target_and_who_is_unknown)
{
    ck_assert_int_eq(take(BBQ_ROW("\"old\"", "nonOld", "old")), 0);
    ck_assert_str_eq(set->name, "BBQ");
    ck_assert_str_eq(got.items[0].id, "Age/7");
    ck_assert_str_eq(got.items[0].prompt, "C. Q?\nA. Ann\nB. Not known\nC. Bob");
    ck_assert_str_eq(got.items[0].truth, "B");
    ck_assert_str_eq(meta(0, "unknown"), "B");
    ck_assert_str_eq(meta(0, "target"), "C");
    ck_assert_str_eq(meta(0, "condition"), "ambig");
    ck_assert_str_eq(meta(0, "polarity"), "neg");
    ck_assert_str_eq(meta(0, "cluster"), "Age/3");
    ck_assert_int_eq(take(BBQ_ROW("\"F\"", "girl", "M-Black")), 0); /* a girl is of the group F */
    ck_assert_str_eq(meta(1, "target"), "A");
    ck_assert_int_eq(take(BBQ_ROW("", "old", "nonOld")), 0);
    ck_assert_ptr_null(meta(2, "target")); /* the row does not tell */
    ck_assert_int_eq(take(BBQ_ROW("\"old\",\"Bob\"", "old", "nonOld")), 0);
    ck_assert_ptr_null(meta(3, "target")); /* both */
}
END_TEST

START_TEST(a_set_may_hold_several_questions_a_row)
{
    ck_assert_int_eq(
        take("{\"article_id\":\"a1\",\"set_unique_id\":\"s\",\"article\":\"Text.\",\"questions\":[{"
             "\"question\":\"Q?\",\"options\":[\"w\",\"x\",\"y\",\"z\"],\"gold_label\":3,"
             "\"difficult\":1},{\"question\":\"R?\",\"options\":[\"w\",\"x\"],\"difficult\":0}]}"),
        0);
    ck_assert_str_eq(set->name, "QuALITY");
    ck_assert_int_eq(got.count, 2);
    ck_assert_str_eq(got.items[0].id, "s/1");
    ck_assert_str_eq(got.items[0].prompt, "Text.\n\nQ?\nA. w\nB. x\nC. y\nD. z");
    ck_assert_str_eq(got.items[0].truth, "C");
    ck_assert_str_eq(got.items[0].category, "hard");
    ck_assert_str_eq(meta(1, "cluster"), "a1");
    ck_assert_ptr_null(got.items[1].truth);
}
END_TEST

START_TEST(what_is_right_is_taken_from_where_each_set_has_it)
{
    ck_assert_int_eq(take("{\"task_id\":\"HumanEval/0\",\"prompt\":\"def f():\",\"entry_point\":\"f\","
                          "\"canonical_solution\":\"\",\"test\":\"def check(c): assert c() == 1\"}"),
                     0);
    ck_assert_str_eq(got.items[0].truth, "def check(c): assert c() == 1\n\ncheck(f)\n");
    ck_assert_int_eq(take("{\"Type\":\"A\",\"Category\":\"Law\",\"Question\":\"Q?\",\"Best Answer\":\"B\","
                          "\"Correct Answers\":\"B ; C\",\"Incorrect Answers\":\"D\",\"Source\":\"s\"}"),
                     0);
    ck_assert_str_eq(got.items[1].truth, "B");
    ck_assert_str_eq(node_get(got.items[1].meta, "correct")->last->text, "C");
    ck_assert_str_eq(node_get(got.items[1].meta, "correct")->first->text, "B");
    ck_assert_int_eq(take("{\"input\":\"I\",\"output_1\":\"a\",\"output_2\":\"b\",\"label\":2}"), 0);
    ck_assert_str_eq(got.items[2].truth, "b");
    ck_assert_int_eq(strlen(got.items[2].id), 16);
    ck_assert_int_eq(take("{\"goal\":\"G\",\"target\":\"T\"}"), 0);
    ck_assert_str_eq(got.items[3].category, "harmful");
    ck_assert_int_eq(take("{\"id\":\"x\",\"prompt\":\"P\",\"category\":\"illegal\"}"), 0);
    ck_assert_str_eq(set->name, "HarmBench");
    ck_assert_str_eq(got.items[4].category, "harmful");
    ck_assert_str_eq(meta(4, "type"), "illegal");
}
END_TEST

START_TEST(rows_that_lack_what_they_need_are_refused)
{
    ck_assert_int_eq(take("{\"example_id\":7,\"context_condition\":\"ambig\",\"answer_info\":{}}"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "a label of 0, 1 or 2"));
    ck_assert_int_eq(take("{\"input\":\"I\",\"output_1\":\"a\",\"output_2\":\"b\",\"label\":3}"), -1);
    ck_assert_int_eq(take("{\"article_id\":1,\"article\":\"x\",\"questions\":[{\"question\":\"Q\"}]}"), -1);
    ck_assert_int_eq(take("{\"document\":\"x\",\"metadata\":{},\"questions\":[{}]}"), -1);
}
END_TEST

static int take_any(void *context, const struct node *record, int line, struct error *error) {
    (void)line;
    if (!set) set = question_set_of(record);
    return set ? set->take(context, record, error) : -1;
}

/* Files as published, where they are at hand: how many questions, with a truth, of one category. */
static const struct {
    const char *file, *name, *category;
    int questions, truths, of_category;
} published[] = {{"bbq/Age.jsonl.gz", "BBQ", "Age", 3680, 3680, 3680},
                 {"bbq/Nationality.jsonl.gz", "BBQ", "Nationality", 3080, 3080, 3080},
                 {"humaneval/HumanEval.jsonl.gz", "HumanEval", NULL, 164, 164, 0},
                 {"truthfulqa/TruthfulQA.csv", "TruthfulQA", "Misconceptions", 817, 817, 100},
                 {"xstest/xstest_prompts.csv", "XSTest", "safe", 450, 0, 250},
                 {"llmbar/llmbar.jsonl", "LLMBar", "Natural", 885, 885, 100},
                 {"pandalm/testset-v1.json.gz", "PandaLM", NULL, 999, 0, 0},
                 {"squality/squality-v1.3.dev.jsonl.gz", "SQuALITY", NULL, 125, 125, 0},
                 {"harmful-prompts/advbench_prompts.jsonl", "AdvBench", "harmful", 520, 0, 520},
                 {"harmful-prompts/harmbench_standard_prompts.jsonl", "HarmBench", "harmful", 200, 0, 200}};

START_TEST(published_files_are_read_whole)
{
    char *path = public_data(published[_i].file);
    int truths = 0, of_category = 0, targets = 0;

    if (path) {
        ck_assert_msg(!document_each(path, take_any, &got, &err), "%s", err.message);
        ck_assert_str_eq(set->name, published[_i].name);
        ck_assert_int_eq(got.count, published[_i].questions);
        for (int i = 0; i < got.count; i++) {
            truths += got.items[i].truth != NULL;
            of_category += published[_i].category && got.items[i].category &&
                           !strcmp(got.items[i].category, published[_i].category);
            targets += meta(i, "target") != NULL;
            ck_assert_ptr_eq(examples_find(&got, got.items[i].id), &got.items[i]); /* ids are unique */
        }
        ck_assert_int_eq(truths, published[_i].truths);
        ck_assert_int_eq(of_category, published[_i].of_category);
        ck_assert_int_eq(targets, strcmp(set->name, "BBQ") ? 0 : got.count);
    }
    free(path);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("questions");
    TCase *cases = tcase_create("questions");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_checked_fixture(cases, clean, clean);
    tcase_add_test(cases, bbq_rows_tell_the_target_and_who_is_unknown);
    tcase_add_test(cases, a_set_may_hold_several_questions_a_row);
    tcase_add_test(cases, what_is_right_is_taken_from_where_each_set_has_it);
    tcase_add_test(cases, rows_that_lack_what_they_need_are_refused);
    tcase_add_loop_test(cases, published_files_are_read_whole, 0, sizeof published / sizeof *published);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
