/* Files of other tools are understood by their columns, joined by id, and refused with the rows named. */
#include "harness/outputs.h"

#include "harness/file.h"
#include "harness/memory.h"
#include "tests/public_data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <check.h> /* last: it defines a macro named fail */

#define FOLDER "test_outputs.tmp"

static struct error err;
static struct outputs got;

static void clean(void) {
    outputs_free(&got);
    ck_assert_int_eq(folder_remove(FOLDER, &err), 0);
}

static void prepare(void) {
    clean();
    ck_assert_int_eq(folder_make(FOLDER, &err), 0);
}

static int read_text(const char *name, const char *text, const char *policy) {
    struct outputs_how how = {.name = policy};
    char *path = path_join(FOLDER, name);
    int status;

    ck_assert_int_eq(file_write(path, text, strlen(text), &err), 0);
    status = outputs_read(&got, path, &how, &err);
    free(path);
    return status;
}

static void take(const char *name, const char *text, const char *policy) {
    ck_assert_msg(!read_text(name, text, policy), "%s", err.message);
}

static void refused(const char *name, const char *text, const char *sentence) {
    ck_assert_int_eq(read_text(name, text, "a"), -1);
    ck_assert_msg(strstr(err.message, sentence) != NULL, "%s", err.message);
    ck_assert_msg(strstr(err.message, name) != NULL, "%s", err.message);
    outputs_free(&got);
}

static void understood(const char *sentence) {
    ck_assert_msg(strstr(got.understood[got.file_count - 1], sentence) != NULL, "%s",
                  got.understood[got.file_count - 1]);
}

static void answer(int i, const char *id, const char *response) {
    ck_assert_int_lt(i, got.transcripts.count);
    ck_assert_str_eq(got.transcripts.items[i].id, id);
    ck_assert_str_eq(got.transcripts.items[i].response, response);
}

static void verdict(int i, const char *transcript, const char *other, double score, int order) {
    const struct verdict *v = &got.verdicts.items[i];

    ck_assert_int_lt(i, got.verdicts.count);
    ck_assert_str_eq(v->transcript, transcript);
    ck_assert_pstr_eq(v->other, other);
    if (isnan(score))
        ck_assert_int_eq(v->outcome, OUTCOME_UNPARSED);
    else
        ck_assert_double_eq(v->score, score);
    ck_assert_int_eq(v->order, order);
}

START_TEST(a_table_is_read_by_its_usual_columns)
{
    take("x.csv", "id,prompt,response,label,type\n1,Q,\"A, b\",safe,homonyms\n2,R,,unsafe,x\n", "mine");
    answer(0, "mine/1", "A, b");
    answer(1, "mine/2", "");
    ck_assert_str_eq(got.questions.items[0].category, "safe");
    understood(
        "a table of responses, 2 rows; response from \"response\", prompt from \"prompt\", id from \"id\"");
    outputs_free(&got);
    take("y.jsonl",
         "{\"question\":\"Q\",\"answer\":\"A\",\"correct\":true,\"gold\":\"A\",\"split\":\"ood\"}\n", NULL);
    ck_assert_str_eq(got.transcripts.items[0].policy, "y");
    ck_assert_int_eq(strlen(got.transcripts.items[0].prompt_id), 16);
    ck_assert_str_eq(got.transcripts.items[0].split, "ood");
    ck_assert_str_eq(got.questions.items[0].truth, "A");
    ck_assert_str_eq(got.verdicts.items[0].what, "correct");
    ck_assert_double_eq(got.verdicts.items[0].score, 1);
}
END_TEST

START_TEST(alpaca_eval_files_are_understood)
{
    take("o.json", "[{\"instruction\":\"Q\",\"output\":\"A\",\"generator\":\"m\"}]", NULL);
    ck_assert_str_eq(got.transcripts.items[0].policy, "m");
    outputs_free(&got);
    take("a.json",
         "[{\"instruction\":\"Q\",\"output_1\":\"base\",\"output_2\":\"mine\",\"generator_1\":\"b\","
         "\"generator_2\":\"m\",\"preference\":1.75,\"annotator\":\"gpt\"},"
         "{\"instruction\":\"R\",\"output_1\":\"base\",\"output_2\":\"mine\",\"generator_1\":\"b\","
         "\"generator_2\":\"m\",\"preference\":null,\"annotator\":\"gpt\"}]",
         NULL);
    understood("alpaca_eval annotations");
    ck_assert_int_eq(got.transcripts.count, 4);
    ck_assert_double_eq(got.verdicts.items[0].score, 0.75);
    ck_assert_int_eq(got.verdicts.items[1].outcome, OUTCOME_UNPARSED);
    ck_assert_int_eq(strncmp(got.verdicts.items[0].transcript, "m/", 2), 0);
}
END_TEST

START_TEST(arena_judgments_keep_who_was_shown_first)
{
    take("j.jsonl",
         "{\"question_id\":\"q1\",\"model\":\"m\",\"judge\":\"gpt\",\"games\":[{\"score\":\"A>>B\","
         "\"judgment\":\"x\"},"
         "{\"score\":\"A=B\"}]}\n{\"question_id\":\"q2\",\"model\":\"m\",\"judge\":\"gpt\",\"games\":[{"
         "\"score\":\"B>A\"},"
         "{\"score\":null}]}\n",
         NULL);
    verdict(0, "m/q1", "baseline/q1", 0, 2); /* the baseline was A and much better */
    ck_assert_str_eq(got.verdicts.items[0].reason, "strong");
    verdict(1, "m/q1", "baseline/q1", 0.5, 1);
    ck_assert_int_eq(got.verdicts.items[1].outcome, OUTCOME_TIE);
    verdict(2, "m/q2", "baseline/q2", 1, 2);
    verdict(3, "m/q2", "baseline/q2", NAN, 1);
    outputs_free(&got);
    take("ans.jsonl",
         "{\"question_id\":7,\"model_id\":\"m\",\"choices\":[{\"index\":0,\"turns\":[\"one\",\"two\"]}]}\n",
         NULL);
    answer(0, "m/7", "one");
}
END_TEST

START_TEST(mt_bench_judgments_keep_orders_and_failures)
{
    take("p.jsonl",
         "{\"question_id\":81,\"model_1\":\"a\",\"model_2\":\"b\",\"g1_winner\":\"model_1\",\"g2_winner\":"
         "\"error\","
         "\"judge\":[\"gpt-4\",\"pair-v2\"],\"turn\":1}\n",
         NULL);
    verdict(0, "a/81", "b/81", 1, 1);
    verdict(1, "a/81", "b/81", NAN, 2);
    ck_assert_str_eq(got.verdicts.items[0].judge, "gpt-4");
    outputs_free(&got);
    take("s.jsonl",
         "{\"question_id\":81,\"model\":\"a\",\"judge\":[\"gpt-4\",\"s\"],\"score\":-1,\"turn\":2}\n", NULL);
    verdict(0, "a/81#2", NULL, NAN, 0); /* never an average with -1 in it */
}
END_TEST

START_TEST(evaluation_harnesses_are_understood)
{
    take("samples_arc.jsonl",
         "{\"doc_id\":3,\"doc\":{\"question\":\"Q\"},\"target\":\"B\",\"arguments\":[[\"Q?\",\" A\"]],"
         "\"resps\":[[\"raw\"]],\"filtered_resps\":[\"B\"],\"acc\":1.0}\n",
         NULL);
    answer(0, "samples_arc/3", "B");
    verdict(0, "samples_arc/3", NULL, 1, 0);
    outputs_free(&got);
    take("log.json",
         "{\"version\":2,\"samples\":[{\"id\":\"s1\",\"epoch\":1,\"input\":[{\"role\":\"user\",\"content\":"
         "\"Q\"}],"
         "\"target\":\"T\",\"output\":{\"model\":\"m\",\"choices\":[{\"message\":{\"role\":\"assistant\","
         "\"content\":\"A\"}}]},"
         "\"scores\":{\"match\":{\"value\":\"C\",\"explanation\":\"fits\"},\"graded\":{\"value\":\"?\"}}}]}",
         NULL);
    answer(0, "m/s1", "A");
    verdict(0, "m/s1", NULL, 1, 0);
    ck_assert_str_eq(got.verdicts.items[0].raw, "fits");
    verdict(1, "m/s1", NULL, NAN, 0);
}
END_TEST

START_TEST(pairs_split_where_their_prompt_ends)
{
    take("h.jsonl",
         "{\"chosen\":\"\\n\\nHuman: Hi\\n\\nAssistant: Hello\",\"rejected\":\"\\n\\nHuman: "
         "Hi\\n\\nAssistant: Go\"}\n",
         NULL);
    ck_assert_str_eq(got.transcripts.items[0].response, "Hello");
    ck_assert_str_eq(got.transcripts.items[1].response, "Go");
    ck_assert_str_eq(got.transcripts.items[0].prompt, "\n\nHuman: Hi\n\nAssistant:");
    outputs_free(&got);
    take("t.jsonl",
         "{\"prompt\":[{\"role\":\"user\",\"content\":\"Q\"}],\"chosen\":[{\"role\":\"assistant\","
         "\"content\":\"A\"}],"
         "\"rejected\":\"B\"}\n",
         NULL);
    ck_assert_str_eq(got.transcripts.items[0].response, "A");
    ck_assert_str_eq(got.transcripts.items[0].prompt, "Q");
}
END_TEST

START_TEST(what_is_not_strict_is_refused_with_its_rows)
{
    refused("twice.jsonl",
            "{\"id\":1,\"response\":\"a\"}\n{\"id\":2,\"response\":\"b\"}\n{\"id\":1,\"response\":\"c\"}\n",
            "1 answer stands twice: a/1 (lines 1 and 3)");
    refused("null.jsonl", "{\"id\":1,\"response\":\"a\"}\n{\"id\":2,\"response\":null}\n",
            "no answer to the prompt 2");
    refused("two.jsonl", "{\"id\":1,\"response\":\"a\",\"output\":\"b\"}\n", "--response-key");
    refused("none.jsonl", "{\"x\":1,\"y\":2}\n", "found x, y");
    refused("empty.jsonl", "\n", "has no rows");
    refused("bytes.jsonl", "{\"id\":1,\"response\":\"\xff\"}\n", "UTF-8");
    refused("noid.jsonl", "{\"id\":1,\"response\":\"a\"}\n{\"response\":\"b\"}\n",
            "neither \"id\" nor a prompt");
    refused("list.jsonl", "[1,2]\n", "an object was expected");
    refused("inspect.jsonl", "{\"input\":[],\"target\":\"a\",\"output\":{\"completion\":\"b\"}}\n",
            "neither an id nor an input");
    refused("mt.jsonl", "{\"question_id\":{},\"judge\":\"j\",\"model\":\"m\",\"score\":3}\n",
            "no question_id");
}
END_TEST

START_TEST(missing_rows_are_counted_when_allowed)
{
    struct outputs_how how = {.name = "a", .allow_missing = 1};

    const char *rows = "{\"id\":1,\"response\":null}\n{\"id\":2,\"response\":\"b\"}\n";

    ck_assert_int_eq(file_write(FOLDER "/m.jsonl", rows, strlen(rows), &err), 0);
    ck_assert_int_eq(outputs_read(&got, FOLDER "/m.jsonl", &how, &err), 0);
    ck_assert_int_eq(got.missing, 1);
    ck_assert_int_eq(got.transcripts.count, 1);
    understood("1 left out without an answer");
}
END_TEST

START_TEST(policies_are_joined_by_id_never_by_place)
{
    char *gaps;
    int policies;

    take("a.jsonl", "{\"id\":1,\"prompt\":\"Q\",\"response\":\"a\"}\n{\"id\":2,\"response\":\"b\"}\n", "a");
    take("b.jsonl", "{\"id\":2,\"response\":\"x\"}\n{\"id\":1,\"response\":\"y\",\"reference\":\"T\"}\n",
         "b");
    ck_assert_msg(!outputs_check_joint(&got, 0, &gaps, &err), "%s", err.message);
    ck_assert_int_eq(got.questions.count, 2);
    ck_assert_str_eq(got.questions.items[0].prompt, "Q"); /* each file gave a part */
    ck_assert_str_eq(got.questions.items[0].truth, "T");
    free(outputs_policies(&got, &policies));
    ck_assert_int_eq(policies, 2);
    take("c.jsonl", "{\"id\":1,\"response\":\"x\"}\n", "c");
    ck_assert_int_eq(outputs_check_joint(&got, 0, &gaps, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "c has no answer to 1 of 2 prompts (2)"));
    ck_assert_int_eq(outputs_check_joint(&got, 1, &gaps, &err), 0);
    ck_assert_ptr_nonnull(strstr(gaps, "c lacks 1 of 2 answers (2)."));
    free(gaps);
    ck_assert_int_eq(read_text("d.jsonl", "{\"id\":1,\"prompt\":\"other\",\"response\":\"x\"}\n", "d"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "stands for two prompts"));
}
END_TEST

/* Cut and altered files: an error or a reading, never a crash. */
START_TEST(mangled_files_do_no_harm)
{
    static const char whole[] =
        "{\"question_id\":\"q1\",\"model\":\"m\",\"judge\":[\"g\"],\"games\":[{\"score\":\"A>B\"}],"
        "\"choices\":[{\"turns\":"
        "[{\"content\":\"x\"}]}],\"input\":[{\"role\":\"user\",\"content\":null}],\"target\":[],\"scores\":{"
        "\"a\":{}},"
        "\"output\":{\"choices\":[]},\"chosen\":[],\"rejected\":{},\"doc_id\":[],\"doc\":3,\"resps\":[[]]}\n";

    for (size_t drop = 0; drop + 1 < sizeof whole; drop++) {
        char text[sizeof whole];

        memcpy(text, whole, sizeof whole);
        text[drop] = drop % 3 ? ' ' : '"';
        read_text("m.jsonl", text, NULL);
        outputs_free(&got);
    }
}
END_TEST

/* Public files, where they are at hand. */
static void real(const char *file, int transcripts, int verdicts) {
    char *path = public_data(file);
    struct outputs_how how = {0};

    if (path) {
        ck_assert_msg(!outputs_read(&got, path, &how, &err), "%s", err.message);
        ck_assert_int_eq(got.transcripts.count, transcripts);
        ck_assert_int_eq(got.verdicts.count, verdicts);
        outputs_free(&got);
    }
    free(path);
}

START_TEST(public_files_are_read_whole)
{
    real("pandalm/testset-v1.json.gz", 2 * 999, 3 * 999);
    real("hh-rlhf/harmless-base.test.jsonl.gz", 2 * 2312, 2312);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("outputs");
    TCase *cases = tcase_create("outputs");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_checked_fixture(cases, prepare, clean);
    tcase_add_test(cases, a_table_is_read_by_its_usual_columns);
    tcase_add_test(cases, alpaca_eval_files_are_understood);
    tcase_add_test(cases, arena_judgments_keep_who_was_shown_first);
    tcase_add_test(cases, mt_bench_judgments_keep_orders_and_failures);
    tcase_add_test(cases, evaluation_harnesses_are_understood);
    tcase_add_test(cases, pairs_split_where_their_prompt_ends);
    tcase_add_test(cases, what_is_not_strict_is_refused_with_its_rows);
    tcase_add_test(cases, missing_rows_are_counted_when_allowed);
    tcase_add_test(cases, policies_are_joined_by_id_never_by_place);
    tcase_add_test(cases, mangled_files_do_no_harm);
    tcase_add_test(cases, public_files_are_read_whole);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
