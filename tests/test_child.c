/* Programs run as children: their streams, folder, environment and end. */
#include "harness/companion.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <check.h> /* last: it defines a macro named fail */

static struct error err;

/* What `sh -c script` writes, for the child described. */
static void run_shell(struct child child, const char *script, int *code, char *said, size_t room) {
    const char *const words[] = {"sh", "-c", script, NULL};
    FILE *out = tmpfile();
    size_t got;

    ck_assert_ptr_nonnull(out);
    child.words = words;
    child.out = out;
    ck_assert_msg(!child_run(&child, code, &err), "%s", err.message);
    rewind(out);
    got = fread(said, 1, room - 1, out);
    said[got] = '\0';
    fclose(out);
}

START_TEST(a_child_has_its_streams_folder_and_environment)
{
    const char *const environment[] = {"HOME=/nowhere", "NEW=one", NULL};
    FILE *in = tmpfile();
    char said[256];
    int code;

    fputs("read by it\n", in);
    rewind(in);
    run_shell((struct child){.in = in, .folder = "/", .environment = environment},
              "read line; echo \"$line, $HOME, $NEW, $(pwd)\"; exit 3", &code, said, sizeof said);
    ck_assert_str_eq(said, "read by it, /nowhere, one, /\n");
    ck_assert_int_eq(code, 3);
    fclose(in);
    run_shell((struct child){0}, "read line || echo nothing; echo lost >&2", &code, said, sizeof said);
    ck_assert_str_eq(said, "nothing\n");
    ck_assert_int_eq(code, 0);
}
END_TEST

START_TEST(what_takes_too_long_is_killed_with_its_children)
{
    const char *const words[] = {"sh", "-c", "sleep 60 & sleep 60", NULL};
    struct child child = {.words = words, .seconds = 0.2};
    time_t start = time(NULL);
    int code;

    ck_assert_int_eq(child_run(&child, &code, &err), -1);
    ck_assert_str_eq(err.message, "sh took more than 0.2 seconds and was stopped");
    ck_assert_int_lt(time(NULL) - start, 30);
}
END_TEST

START_TEST(a_child_that_cannot_start_or_dies_is_an_error)
{
    const char *const missing[] = {"no-such-program-here", NULL}, *const killed[] = {"sh", "-c", "kill -9 $$",
                                                                                     NULL};
    struct child child = {.words = missing};
    int code;

    ck_assert_int_eq(child_run(&child, &code, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "cannot start no-such-program-here"));
    ck_assert(!program_exists("no-such-program-here"));
    ck_assert(program_exists("sh"));
    child.words = killed;
    ck_assert_int_eq(child_run(&child, &code, &err), -1);
    ck_assert_str_eq(err.message, "sh was ended by signal 9");
}
END_TEST

/* `sh -c script` that is spoken to. */
static void open_shell(struct companion *companion, const char *script) {
    const char *words[] = {"sh", "-c", script, NULL};
    struct child child = {.words = words};

    ck_assert_msg(!companion_open(companion, &child, &err), "%s", err.message);
}

START_TEST(a_companion_answers_a_line_with_a_line)
{
    struct companion companion = {0};
    char *answer;

    open_shell(&companion, "n=0; while read -r line; do n=$((n + 1)); echo \"$n: $line\"; done");
    for (int i = 1; i <= 3; i++) {
        char *wanted = xprintf("%d: asked", i);

        answer = companion_ask(&companion, "asked", 30, &err);
        ck_assert_str_eq(answer, wanted);
        free(answer);
        free(wanted);
    }
    companion_close(&companion);
    ck_assert_ptr_null(companion_ask(&companion, "asked", 1, &err));
    ck_assert_str_eq(err.message, "it is not running");
}
END_TEST

START_TEST(a_companion_that_answers_no_more_is_gone)
{
    struct companion companion = {0};

    open_shell(&companion, "read line; exit 3");
    ck_assert_ptr_null(companion_ask(&companion, "x", 30, &err));
    ck_assert_str_eq(err.message, "sh ended with code 3 instead of answering");
    open_shell(&companion, "sleep 60 & read line; sleep 60");
    ck_assert_ptr_null(companion_ask(&companion, "x", 0.2, &err));
    ck_assert_str_eq(err.message, "sh took more than 0.2 seconds and was stopped");
    ck_assert_int_eq(companion.pid, 0);
    companion_close(&companion);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("child");
    TCase *cases = tcase_create("child");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_test(cases, a_child_has_its_streams_folder_and_environment);
    tcase_add_test(cases, what_takes_too_long_is_killed_with_its_children);
    tcase_add_test(cases, a_child_that_cannot_start_or_dies_is_an_error);
    tcase_add_test(cases, a_companion_answers_a_line_with_a_line);
    tcase_add_test(cases, a_companion_that_answers_no_more_is_gone);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
