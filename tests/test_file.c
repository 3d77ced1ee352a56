/* Files that appear whole or not at all, folders, SHA-256. */
#include "harness/file.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "harness/memory.h"
#include "harness/section.h"

#define FOLDER "test_file.tmp"

static struct error err;

static void clean(void) {
    ck_assert_int_eq(folder_remove(FOLDER, &err), 0);
}

static void prepare(void) {
    clean();
    ck_assert_int_eq(folder_make(FOLDER, &err), 0);
}

/* FIPS 180-4's examples, and lengths on both sides of a block's end (checked with sha256sum). */
START_TEST(hashes_match_the_standard)
{
    static const struct {
        const char *text, *hex;
    } cases[] = {{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                 {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                 {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
                 {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", /* 55 */
                  "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
                 {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", /* 64 */
                  "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"}};
    char hex[65];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hash_bytes(hex, cases[i].text, strlen(cases[i].text));
        ck_assert_str_eq(hex, cases[i].hex);
    }
}
END_TEST

START_TEST(a_file_hashes_as_its_bytes_do)
{
    char *bytes = xmalloc(1000000), hex[65], again[65];

    memset(bytes, 'a', 1000000);
    hash_bytes(hex, bytes, 1000000);
    ck_assert_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    ck_assert_int_eq(file_write(FOLDER "/million", bytes, 1000000, &err), 0);
    ck_assert_int_eq(hash_file(again, FOLDER "/million", &err), 0);
    ck_assert_str_eq(again, hex);
    ck_assert_int_eq(hash_file(again, FOLDER "/missing", &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, FOLDER "/missing"));
    free(bytes);
}
END_TEST

START_TEST(an_output_appears_only_when_it_is_finished)
{
    struct output out;
    char *text;
    size_t length;

    ck_assert_int_eq(file_write(FOLDER "/a", "old", 3, &err), 0);
    ck_assert_int_eq(output_open(&out, FOLDER "/a", &err), 0);
    fputs("new text", out.file);
    text = file_read(FOLDER "/a", &length, &err);
    ck_assert_str_eq(text, "old");
    free(text);
    ck_assert_int_eq(output_close(&out, &err), 0);
    text = file_read(FOLDER "/a", &length, &err);
    ck_assert_str_eq(text, "new text");
    ck_assert_uint_eq(length, 8);
    free(text);
    ck_assert(!file_exists(FOLDER "/a.tmp"));
    output_discard(&out);
}
END_TEST

START_TEST(a_discarded_output_leaves_nothing)
{
    struct output out;

    ck_assert_int_eq(output_open(&out, FOLDER "/b", &err), 0);
    fputs("half", out.file);
    output_discard(&out);
    ck_assert(!file_exists(FOLDER "/b"));
    ck_assert(!file_exists(FOLDER "/b.tmp"));
    ck_assert_int_eq(output_open(&out, FOLDER "/no/such/place", &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "No such file"));
}
END_TEST

START_TEST(a_full_disk_is_an_error_and_keeps_the_old_file)
{
    struct output out;
    FILE *full = fopen("/dev/full", "wb");

    if (!full) return;
    ck_assert_int_eq(file_write(FOLDER "/c", "old", 3, &err), 0);
    ck_assert_int_eq(output_open(&out, FOLDER "/c", &err), 0);
    fclose(out.file);
    out.file = full;
    fputs("new", out.file);
    ck_assert_int_eq(output_close(&out, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "No space left"));
    ck_assert(!file_exists(FOLDER "/c.tmp"));
    ck_assert(file_exists(FOLDER "/c"));
}
END_TEST

/* The stream's own buffer is written long before the end, where the cause is forgotten. */
START_TEST(a_write_that_failed_long_ago_says_why)
{
    struct rlimit before, small;
    struct output out;

    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){1 << 17, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(output_open(&out, FOLDER "/d", &err), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 1 << 16; i++) fputs("four", out.file);
    ck_assert_int_eq(output_close(&out, &err), -1);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_str_eq(err.message, "cannot write " FOLDER "/d: File too large");
    ck_assert(!file_exists(FOLDER "/d.tmp"));
}
END_TEST

START_TEST(reading_what_is_no_file_says_so)
{
    size_t length;

    ck_assert_ptr_null(file_read(FOLDER, &length, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "folder"));
    ck_assert_ptr_null(file_read(FOLDER "/missing", &length, &err));
}
END_TEST

START_TEST(a_file_is_the_same_by_any_name)
{
    ck_assert_int_eq(folder_make(FOLDER "/same", &err), 0);
    ck_assert(file_same(FOLDER "/same", FOLDER "/./same/../same/"));
    ck_assert(!file_same(FOLDER "/same", FOLDER));
    ck_assert(!file_same(FOLDER "/nowhere", FOLDER "/nowhere"));
}
END_TEST

START_TEST(folders_are_made_with_parents_and_removed_with_children)
{
    ck_assert_int_eq(folder_make(FOLDER "/x//y/z/", &err), 0);
    ck_assert_int_eq(folder_make(FOLDER "/x/y", &err), 0);
    ck_assert_int_eq(file_write(FOLDER "/x/y/z/f", "", 0, &err), 0);
    ck_assert_int_eq(folder_make(FOLDER "/x/y/z/f/g", &err), -1);
    ck_assert_int_eq(folder_remove(FOLDER "/x", &err), 0);
    ck_assert(!file_exists(FOLDER "/x"));
    ck_assert_int_eq(folder_remove(FOLDER "/x", &err), 0);
}
END_TEST

START_TEST(paths_join_with_one_slash)
{
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"a", "/b", "/b"}, {"/", "b", "/b"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *joined = path_join(cases[i][0], cases[i][1]);

        ck_assert_str_eq(joined, cases[i][2]);
        free(joined);
    }
}
END_TEST

START_TEST(a_section_is_written_again_and_the_rest_stays)
{
    const char before[] = "a\n<!-- one -->\n<!-- end of one -->\nb\n<!-- two -->\nx\n<!-- end of two -->\n";
    const char *path = FOLDER "/page.md";
    size_t length;
    char *after;

    ck_assert_int_eq(file_write(path, before, strlen(before), &err), 0);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(section_write(path, "one", "new\n", &err), 0);
    after = file_read(path, &length, &err);
    ck_assert_str_eq(
        after, "a\n<!-- one -->\n\nnew\n\n<!-- end of one -->\nb\n<!-- two -->\nx\n<!-- end of two -->\n");
    free(after);
    ck_assert_int_eq(section_check(path, "two", &err), 0);
    ck_assert_int_eq(section_check(path, "three", &err), -1);
    ck_assert_str_eq(err.message,
                     FOLDER "/page.md has no section \"three\": a line <!-- three --> and below it a line "
                            "<!-- end of three -->");
    ck_assert_int_eq(section_write(FOLDER "/none.md", "one", "x", &err), -1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("file");
    TCase *cases = tcase_create("file");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_checked_fixture(cases, prepare, clean);
    tcase_add_test(cases, hashes_match_the_standard);
    tcase_add_test(cases, a_file_hashes_as_its_bytes_do);
    tcase_add_test(cases, an_output_appears_only_when_it_is_finished);
    tcase_add_test(cases, a_discarded_output_leaves_nothing);
    tcase_add_test(cases, a_full_disk_is_an_error_and_keeps_the_old_file);
    tcase_add_test(cases, a_write_that_failed_long_ago_says_why);
    tcase_add_test(cases, reading_what_is_no_file_says_so);
    tcase_add_test(cases, a_file_is_the_same_by_any_name);
    tcase_add_test(cases, folders_are_made_with_parents_and_removed_with_children);
    tcase_add_test(cases, paths_join_with_one_slash);
    tcase_add_test(cases, a_section_is_written_again_and_the_rest_stays);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
