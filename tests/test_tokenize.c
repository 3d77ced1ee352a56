/* The step that trains a tokenizer: which texts it learns from, and what it says when there are none. */
#include "harness/registry.h"

#include <check.h>
#include <string.h>

#include "harness/file.h"
#include "models/tokenizer.h"

#define FOLDER "test_tokenize.tmp"

extern const struct stage stage_tokenizer;

static struct error err;

static void clean(void) {
    ck_assert_int_eq(folder_remove(FOLDER, &err), 0);
}

static void prepare(void) {
    clean();
    ck_assert_int_eq(folder_make(FOLDER "/data", &err), 0);
    ck_assert_int_eq(folder_make(FOLDER "/out", &err), 0);
}

static void write_file(const char *path, const char *text) {
    ck_assert_msg(file_write(path, text, strlen(text), &err) == 0, "%s", err.message);
}

static int run_step(const char *options) {
    struct node *given = document_parse_json(options, strlen(options), "options", 1, &err);
    struct step step = {.name = "tokens", .label = "tokens", .use = "tokenizer", .folder = FOLDER "/out"};
    struct run run = {.recipe = "recipe.yaml", .folder = FOLDER, .device = "cpu", .threads = 1};
    int status;

    step.options = given;
    status = stage_tokenizer.run(&run, &step, &err);
    node_free(given);
    return status;
}

START_TEST(only_training_texts_are_learned_from)
{
    struct tokenizer *tokenizer;

    write_file(FOLDER "/data/prompts.jsonl",
               "{\"id\":\"1\",\"split\":\"train\",\"prompt\":\"abab\"}\n"
               "{\"id\":\"2\",\"split\":\"heldout\",\"prompt\":\"xyxyxyxy\"}\n");
    write_file(FOLDER "/data/pairs.jsonl",
               "{\"id\":\"3\",\"split\":\"train\",\"prompt\":\"q\",\"chosen\":\"cdcd\","
               "\"rejected\":\"ef\"}\n");
    write_file(FOLDER "/data/demonstrations.jsonl",
               "{\"id\":\"4\",\"split\":\"train\",\"prompt\":\"q\",\"response\":\"ef\"}\n");
    ck_assert_msg(run_step("{\"data\":[\"" FOLDER "/data\"],\"vocab\":300}") == 0, "%s", err.message);
    ck_assert_msg(tokenizer_load(&tokenizer, FOLDER "/out/tokenizer.json", &err) == 0, "%s", err.message);
    ck_assert_int_eq(tokenizer_vocab(tokenizer), 256 + 3 + 3); /* ab, cd, ef */
    tokenizer_free(tokenizer);
}
END_TEST

START_TEST(data_without_training_texts_are_refused)
{
    ck_assert_int_eq(run_step("{\"data\":[\"" FOLDER "/data\"]}"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "prompts.jsonl"));
    write_file(FOLDER "/data/prompts.jsonl", "{\"id\":\"2\",\"split\":\"ood\",\"prompt\":\"xy\"}\n");
    ck_assert_int_eq(run_step("{\"data\":[\"" FOLDER "/data\"]}"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "\"train\""));
    ck_assert_int_eq(run_step("{\"data\":[\"" FOLDER "/data\"],\"vocab\":100}"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "vocab"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tokenize");
    TCase *tests = tcase_create("tokenize");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tests, only_training_texts_are_learned_from);
    tcase_add_test(tests, data_without_training_texts_are_refused);
    tcase_add_checked_fixture(tests, prepare, clean);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
