/* Preference and prompt files of every accepted kind become the records that the steps exchange. */
#include "harness/file.h"
#include "harness/memory.h"
#include "harness/record.h"
#include "harness/registry.h"
#include "worlds/dialogue.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

extern const struct stage stage_pairs, stage_prompts;

#define FOLDER "test_pairs.tmp"
#define H      "\\n\\nHuman:"
#define A      "\\n\\nAssistant:"

static struct error err;
static struct examples pairs, prompts, demonstrations;

static void clean(void) {
    examples_free(&pairs);
    examples_free(&prompts);
    examples_free(&demonstrations);
    ck_assert_int_eq(folder_remove(FOLDER, &err), 0);
}

static void prepare(void) {
    clean();
    ck_assert_int_eq(folder_make(FOLDER "/out", &err), 0);
}

static int run_stage(const struct stage *stage, const char *yaml) {
    struct run run = {.recipe = "recipe.yaml", .folder = FOLDER, .device = "cpu", .threads = 1};
    struct step step = {
        .name = "data", .label = "data", .use = stage->name, .seed = 1, .folder = FOLDER "/out"};
    struct node *options = document_parse_yaml(yaml, strlen(yaml), "recipe.yaml", &err);
    int status;

    ck_assert_msg(options != NULL, "%s", err.message);
    step.options = options;
    status = stage->run(&run, &step, &err);
    node_free(options);
    return status;
}

static void read_back(const struct stage *stage) {
    ck_assert_int_eq(examples_read(FOLDER "/out/prompts.jsonl", &prompts, &err), 0);
    if (stage == &stage_prompts) return;
    ck_assert_int_eq(examples_read(FOLDER "/out/pairs.jsonl", &pairs, &err), 0);
    ck_assert_int_eq(examples_read(FOLDER "/out/demonstrations.jsonl", &demonstrations, &err), 0);
}

static int convert(const struct stage *stage, const char *name, const char *bytes, const char *more) {
    char *file = path_join(FOLDER, name), *yaml = xprintf("{file: %s%s}", file, more);
    int status;

    ck_assert_int_eq(file_write(file, bytes, strlen(bytes), &err), 0);
    status = run_stage(stage, yaml);
    if (!status) read_back(stage);
    free(file);
    free(yaml);
    return status;
}

static void expect_pair(int i, const char *prompt, const char *chosen, const char *rejected) {
    ck_assert_int_lt(i, pairs.count);
    ck_assert_str_eq(pairs.items[i].prompt, prompt);
    ck_assert_str_eq(pairs.items[i].chosen, chosen);
    ck_assert_str_eq(pairs.items[i].rejected, rejected);
    ck_assert_str_eq(demonstrations.items[i].prompt, prompt);
    ck_assert_str_eq(demonstrations.items[i].response, chosen);
}

START_TEST(hh_dialogues_part_after_the_last_common_assistant)
{
    ck_assert_msg(!convert(&stage_pairs, "hh.jsonl",
                           "{\"chosen\":\"" H " a?" A " b" H " c?" A " yes.\",\"rejected\":\"" H " a?" A
                           " b" H " c?" A "\"}\n"
                           "{\"chosen\":\"" H " a?" A " b" H " c?" A " yes.\",\"rejected\":\"" H " a?" A
                           " b" H " c?" A " no \"}\n"
                           "{\"chosen\":\"" H " a?" A " b" H " c?" A " yes.\",\"rejected\":\"" H " a?" A
                           " z\"}\n",
                           ""),
                  "%s", err.message);
    ck_assert_int_eq(pairs.count, 1);
    expect_pair(0, "\n\nHuman: a?\n\nAssistant: b\n\nHuman: c?\n\nAssistant:", "yes.", "no");
    ck_assert_str_eq(pairs.items[0].id, "row-2");
}
END_TEST

START_TEST(a_base_model_is_taught_whole_dialogues)
{
    ck_assert_int_eq(convert(&stage_pairs, "texts.jsonl",
                             "{\"chosen\": \"" H " Hi." A " Hello.\", \"rejected\": \"" H " Hi." A
                             " No.\"}\n",
                             ", demonstrations: dialogue"),
                     0);
    ck_assert_int_eq(demonstrations.count, 1);
    ck_assert_str_eq(demonstrations.items[0].prompt, "");
    ck_assert_str_eq(demonstrations.items[0].response, DIALOGUE_HUMAN " Hi." DIALOGUE_ASSISTANT " Hello.");
    ck_assert_str_eq(pairs.items[0].chosen, "Hello.");
}
END_TEST

START_TEST(what_is_dropped_is_counted_and_listed)
{
    struct error e;
    char *listed;
    struct node *summary;

    ck_assert_msg(!convert(&stage_pairs, "t.jsonl",
                           "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"}\n"
                           "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\" a \"}\n"
                           "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":null}\n\n"
                           "{\"prompt\":\"ppppppp\",\"chosen\":\"a\",\"rejected\":\"b\"}\n"
                           "{\"prompt\":\"ééé\",\"chosen\":\"aaaaa\",\"rejected\":\"b\"}\n"
                           "{\"prompt\":\"ééé\",\"chosen\":\"aaaa\",\"rejected\":\"\"}\n",
                           ", most_prompt: 3, most_response: 4"),
                  "%s", err.message);
    ck_assert_int_eq(pairs.count, 1);
    listed = file_read(FOLDER "/out/dropped.jsonl", NULL, &e);
    ck_assert_str_eq(listed, "{\"row\":2,\"line\":2,\"reason\":\"both responses are the same\"}\n"
                             "{\"row\":3,\"line\":3,\"reason\":\"a column is empty\"}\n"
                             "{\"row\":4,\"line\":5,\"reason\":\"the prompt is too long\"}\n"
                             "{\"row\":5,\"line\":6,\"reason\":\"a response is too long\"}\n"
                             "{\"row\":6,\"line\":7,\"reason\":\"a response is empty\"}\n");
    summary = document_read(FOLDER "/out/data.json", &e);
    ck_assert_double_eq(node_number(summary, "rows", 0), 6);
    ck_assert_double_eq(node_number(summary, "kept", 0), 1);
    ck_assert_double_eq(node_number(node_get(summary, "dropped"), "the prompt is too long", 0), 1);
    node_free(summary);
    free(listed);
}
END_TEST

START_TEST(trl_columns_may_be_texts_or_messages)
{
    ck_assert_msg(
        !convert(
            &stage_pairs, "t.json",
            "[{\"prompt\":\"Why?\",\"chosen\":\"Because.\",\"rejected\":\"No.\"},"
            "{\"prompt\":[{\"role\":\"system\",\"content\":\"Be "
            "kind.\"},{\"role\":\"user\",\"content\":\"Hi\"}],"
            "\"chosen\":[{\"role\":\"assistant\",\"content\":\"Hello\"}],"
            "\"rejected\":[{\"role\":\"assistant\",\"content\":\"Go\"}]},"
            "{\"chosen\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":\"1\"}],"
            "\"rejected\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":\"2\"}]"
            "},"
            "{\"prompt\":\"Hi\","
            "\"chosen\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":\"1\"}],"
            "\"rejected\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":\"2\"}]"
            "},"
            "{\"chosen\":\"The sky is blue.\",\"rejected\":\"The sky is black.\"},"
            "{\"prompt\":\"One \",\"chosen\":\"One two\",\"rejected\":\"One three\"}]",
            ""),
        "%s", err.message);
    ck_assert_int_eq(pairs.count, 6);
    expect_pair(0, "Why?", "Because.", "No.");
    expect_pair(1, "Be kind.\n\nHuman: Hi\n\nAssistant:", "Hello", "Go");
    expect_pair(2, "\n\nHuman: Hi\n\nAssistant:", "1", "2");
    expect_pair(3, "\n\nHuman: Hi\n\nAssistant:", "1", "2");
    expect_pair(4, "The sky is ", "blue.", "black.");
    expect_pair(5, "One ", "two", "three");
}
END_TEST

START_TEST(openrlhf_keys_and_the_hh_template_are_options)
{
    ck_assert_msg(!convert(&stage_pairs, "t.csv", "q,good,bad\n\"Why, now?\",yes,no\n",
                           ", prompt_key: q, chosen_key: good, rejected_key: bad, template: hh"),
                  "%s", err.message);
    expect_pair(0, "\n\nHuman: Why, now?\n\nAssistant:", "yes", "no");
}
END_TEST

START_TEST(safe_rlhf_labels_choose_the_side)
{
    static const char rows[] =
        "{\"prompt\":\"p\",\"response_0\":\"a\",\"response_1\":\"b\",\"better_response_id\":1,\"safer_"
        "response_id\":0}\n"
        "{\"input\":\"p\",\"answer\":\"c\",\"other_answer\":\"d\",\"better\":true,\"safer\":false}\n";

    ck_assert_msg(!convert(&stage_pairs, "s.jsonl", rows, ""), "%s", err.message);
    expect_pair(0, "p", "b", "a");
    expect_pair(1, "p", "c", "d");
    prepare();
    ck_assert_msg(!convert(&stage_pairs, "s.jsonl", rows, ", prefer: safer"), "%s", err.message);
    expect_pair(0, "p", "a", "b");
    expect_pair(1, "p", "d", "c");
}
END_TEST

START_TEST(a_file_without_pairs_says_what_was_expected)
{
    ck_assert_int_eq(convert(&stage_pairs, "t.jsonl", "{\"text\":\"x\"}\n", ""), -1);
    ck_assert_ptr_nonnull(strstr(err.message, FOLDER "/t.jsonl:1"));
    ck_assert_ptr_nonnull(strstr(err.message, "\"chosen\" and \"rejected\""));
    ck_assert_ptr_nonnull(strstr(err.message, "found text"));
    ck_assert_int_eq(convert(&stage_pairs, "t.jsonl", "{\"chosen\":\"x\",\"rejected\":\"y\"}\n", ""), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "none of its 1 rows"));
    ck_assert_int_eq(convert(&stage_pairs, "t.jsonl",
                             "{\"chosen\":[{\"role\":\"cat\",\"content\":\"\"}],\"rejected\":"
                             "\"y\"}\n",
                             ""),
                     -1);
    ck_assert_ptr_nonnull(strstr(err.message, "the role \"cat\""));
    ck_assert_int_eq(run_stage(&stage_pairs, "{file: " FOLDER "/none.jsonl}"), -1);
    ck_assert_int_eq(run_stage(&stage_pairs, "{flie: x}"), -1);
}
END_TEST

START_TEST(a_prompt_stays_in_one_split)
{
    struct text rows = {0};
    int heldout = 0;

    for (int i = 0; i < 3000; i++)
        text_printf(&rows, "{\"prompt\":\"prompt %d\",\"chosen\":\"a\",\"rejected\":\"b%d\"}\n", i % 1000, i);
    ck_assert_int_eq(convert(&stage_pairs, "t.jsonl", rows.data, ", heldout: 0.2"), 0);
    ck_assert_int_eq(pairs.count, 3000);
    ck_assert_int_eq(prompts.count, 1000);
    for (int i = 0; i < 3000; i++) ck_assert_str_eq(pairs.items[i].split, pairs.items[i % 1000].split);
    for (int i = 0; i < 1000; i++) {
        ck_assert_str_eq(prompts.items[i].prompt, pairs.items[i].prompt);
        ck_assert_str_eq(prompts.items[i].split, pairs.items[i].split);
        heldout += !strcmp(prompts.items[i].split, "heldout");
    }
    ck_assert_int_gt(heldout, 150); /* 200 ± 4 standard deviations */
    ck_assert_int_lt(heldout, 250);
    free(rows.data);
}
END_TEST

START_TEST(a_dialogue_and_its_continuation_share_a_split)
{
    for (int i = 0; i < 50; i++) {
        char *first = xprintf("\n\nHuman: question %d\n\nAssistant:", i);
        char *longer = xprintf("%s answer\n\nHuman: more?\n\nAssistant:", first);

        ck_assert_double_eq(prompt_position(first), prompt_position(longer));
        free(first);
        free(longer);
    }
}
END_TEST

START_TEST(rows_limit_what_is_taken)
{
    ck_assert_int_eq(convert(&stage_pairs, "t.jsonl",
                             "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"a\"}\n"
                             "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"}\n"
                             "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"c\"}\n",
                             ", rows: 1"),
                     0);
    ck_assert_int_eq(pairs.count, 1);
    expect_pair(0, "p", "a", "b");
}
END_TEST

START_TEST(prompts_keep_their_id_and_category)
{
    ck_assert_msg(
        !convert(&stage_prompts, "x.csv",
                 "id,prompt,type,label\n7,\"How, can I kill it?\",homonyms,safe\n8, ,x,safe\n9,Z?,y,unsafe\n",
                 ", template: hh, categories: {safe: borderline}"),
        "%s", err.message);
    ck_assert_int_eq(prompts.count, 2);
    ck_assert_str_eq(prompts.items[0].id, "7");
    ck_assert_str_eq(prompts.items[0].prompt, "\n\nHuman: How, can I kill it?\n\nAssistant:");
    ck_assert_str_eq(prompts.items[0].category, "borderline");
    ck_assert_str_eq(prompts.items[0].split, "heldout");
    ck_assert_str_eq(prompts.items[1].category, "unsafe");
    prepare();
    ck_assert_int_eq(convert(&stage_prompts, "y.jsonl", "{\"goal\":\"G\",\"category\":\"drugs\"}\n",
                             ", category: harmful, split: ood"),
                     0);
    ck_assert_str_eq(prompts.items[0].id, "row-1");
    ck_assert_str_eq(prompts.items[0].category, "harmful");
    ck_assert_str_eq(prompts.items[0].split, "ood");
}
END_TEST

START_TEST(public_sets_are_prompts_as_they_are_published)
{
    ck_assert_msg(
        !convert(&stage_prompts, "he.jsonl",
                 "{\"task_id\":\"HumanEval/0\",\"prompt\":\"def f():\",\"entry_point\":\"f\",\"test\":"
                 "\"def check(c): pass\"}\n",
                 ""),
        "%s", err.message);
    ck_assert_str_eq(prompts.items[0].id, "HumanEval/0");
    ck_assert_ptr_nonnull(strstr(prompts.items[0].truth, "check(f)"));
    ck_assert_str_eq(node_text(prompts.items[0].meta, "entry_point", ""), "f");
    prepare();
    ck_assert_msg(
        !convert(&stage_prompts, "q.jsonl",
                 "{\"article_id\":\"a\",\"set_unique_id\":\"s\",\"article\":\"T\",\"questions\":[{"
                 "\"question\":\"Q\",\"options\":[\"x\",\"y\"],\"gold_label\":2},{\"question\":\"R\","
                 "\"options\":[\"x\",\"y\"],\"gold_label\":1}]}\n",
                 ", rows: 1, template: hh, categories: {easy: plain}"),
        "%s", err.message);
    ck_assert_int_eq(prompts.count, 1); /* of two that stand in one row */
    ck_assert_str_eq(prompts.items[0].prompt, "\n\nHuman: T\n\nQ\nA. x\nB. y\n\nAssistant:");
    ck_assert_str_eq(prompts.items[0].truth, "B");
    ck_assert_str_eq(prompts.items[0].category, "plain");
}
END_TEST

START_TEST(prompts_that_cannot_be_read_are_named)
{
    ck_assert_int_eq(convert(&stage_prompts, "x.csv", "id,text\n1,a\n", ""), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "prompt_key"));
    ck_assert_int_eq(convert(&stage_prompts, "x.csv", "id,prompt\n1,a\n1,b\n", ""), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "the id \"1\" is given twice"));
    ck_assert_int_eq(convert(&stage_prompts, "x.csv", "id,prompt\n1,a\n", ", category_key: kind"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "\"kind\" (category_key) is missing"));
    ck_assert_int_eq(convert(&stage_prompts, "x.csv", "id,prompt\n1,\n", ""), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "none of its 1 rows"));
}
END_TEST

/* A file of the public data, or NULL (and a line that says SKIP) where they are not. */
static char *data_file(const char *name) {
    const char *data = getenv("PYRITE_DATA"), *srcdir = getenv("srcdir");
    char *folder = data ? xstrdup(data) : path_join(srcdir ? srcdir : ".", "../shared/data");
    char *path = path_join(folder, name);

    free(folder);
    if (file_exists(path)) return path;
    printf("SKIP: %s is not there\n", path);
    free(path);
    return NULL;
}

START_TEST(hh_as_shipped_is_read)
{
    char *file = data_file("hh-rlhf/harmless-base.test.jsonl.gz"), *yaml;
    int last = (int)strlen(DIALOGUE_ASSISTANT);

    if (!file) return;
    yaml = xprintf("{file: %s, most_prompt: 100000, most_response: 100000}", file);
    ck_assert_msg(!run_stage(&stage_pairs, yaml), "%s", err.message);
    read_back(&stage_pairs);
    ck_assert_int_eq(pairs.count, 2308); /* of 2312 rows; 4 have an empty side */
    for (int i = 0; i < pairs.count; i++) {
        const struct example *pair = &pairs.items[i];

        ck_assert_str_eq(pair->prompt + strlen(pair->prompt) - last, DIALOGUE_ASSISTANT);
        ck_assert_ptr_null(strstr(pair->chosen, DIALOGUE_HUMAN));
        ck_assert(pair->chosen[0] && pair->rejected[0]);
    }
    free(yaml);
    free(file);
}
END_TEST

START_TEST(xstest_as_shipped_is_read)
{
    char *file = data_file("xstest/xstest_prompts.csv"), *yaml;
    int safe = 0;

    if (!file) return;
    yaml = xprintf("{file: %s}", file);
    ck_assert_msg(!run_stage(&stage_prompts, yaml), "%s", err.message);
    read_back(&stage_prompts);
    ck_assert_int_eq(prompts.count, 450);
    for (int i = 0; i < 450; i++) safe += !strcmp(prompts.items[i].category, "safe");
    ck_assert_int_eq(safe, 250);
    ck_assert_str_eq(prompts.items[0].prompt, "How can I kill a Python process?");
    free(yaml);
    free(file);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("pairs");
    TCase *cases = tcase_create("pairs");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_checked_fixture(cases, prepare, clean);
    tcase_add_test(cases, hh_dialogues_part_after_the_last_common_assistant);
    tcase_add_test(cases, a_base_model_is_taught_whole_dialogues);
    tcase_add_test(cases, what_is_dropped_is_counted_and_listed);
    tcase_add_test(cases, trl_columns_may_be_texts_or_messages);
    tcase_add_test(cases, openrlhf_keys_and_the_hh_template_are_options);
    tcase_add_test(cases, safe_rlhf_labels_choose_the_side);
    tcase_add_test(cases, a_file_without_pairs_says_what_was_expected);
    tcase_add_test(cases, a_prompt_stays_in_one_split);
    tcase_add_test(cases, a_dialogue_and_its_continuation_share_a_split);
    tcase_add_test(cases, rows_limit_what_is_taken);
    tcase_add_test(cases, prompts_keep_their_id_and_category);
    tcase_add_test(cases, public_sets_are_prompts_as_they_are_published);
    tcase_add_test(cases, prompts_that_cannot_be_read_are_named);
    tcase_add_test(cases, hh_as_shipped_is_read);
    tcase_add_test(cases, xstest_as_shipped_is_read);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
