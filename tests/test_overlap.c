/* Near-duplicates are those that counting every shingle finds; prompts are cut where a reader would. */
#include "harness/dialogue.h"
#include "harness/memory.h"
#include "harness/overlap.h"
#include "harness/rng.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(similarity_is_shared_runs_of_three_words)
{
    ck_assert_double_eq(shingle_similarity("a b c d", "a b c e"), 1.0 / 3);   /* abc; abc bcd bce */
    ck_assert_double_eq(shingle_similarity("a b c a b c", "a b c"), 1.0 / 3); /* abc bca cab, each once */
    ck_assert_double_eq(shingle_similarity("a b", "a b"), 1);
    ck_assert_double_eq(shingle_similarity("a b", "a b c"), 0);
    ck_assert_double_eq(shingle_similarity("b a c", "a b c"), 0);
}
END_TEST

enum { TEXTS = 600, WORDS = 30 };

/* Every third text is the one before it with some words replaced. */
static void make_texts(char *texts[TEXTS]) {
    struct rng rng = rng_stream(1, "test/overlap", 0, 0);
    int words[WORDS];

    for (int t = 0; t < TEXTS; t++) {
        struct text out = {0};

        for (int w = 0; w < WORDS; w++)
            if (t % 3 != 2 || rng_below(&rng, 40) == 0) words[w] = rng_below(&rng, 5000);
        for (int w = 0; w < WORDS; w++) text_printf(&out, "%sw%d", w ? " " : "", words[w]);
        texts[t] = out.data;
    }
}

START_TEST(pairs_found_are_those_of_an_exhaustive_search)
{
    char *texts[TEXTS];
    struct near_pairs found;
    int groups[TEXTS], expected = 0, across = 0, at = 0;

    make_texts(texts);
    for (int i = 0; i < TEXTS; i++) groups[i] = i % 2;
    near_find(&found, (const char *const *)texts, NULL, TEXTS, 0.7);
    for (int a = 0; a < TEXTS; a++)
        for (int b = a + 1; b < TEXTS; b++) {
            double similarity = shingle_similarity(texts[a], texts[b]);

            if (similarity < 0.7) continue;
            expected++;
            across += groups[a] != groups[b];
            ck_assert_int_lt(at, found.count);
            ck_assert_int_eq(found.items[at].a, a);
            ck_assert_int_eq(found.items[at].b, b);
            ck_assert_double_eq(found.items[at++].similarity, similarity);
        }
    ck_assert_int_eq(found.count, expected);
    ck_assert_int_gt(expected, 100);
    ck_assert_int_eq(found.passed_over, 0);
    near_free(&found);
    near_find(&found, (const char *const *)texts, groups, TEXTS, 0.7);
    ck_assert_int_eq(found.count, across);
    near_free(&found);
    for (int i = 0; i < TEXTS; i++) free(texts[i]);
}
END_TEST

START_TEST(a_crowd_of_alike_texts_takes_bounded_time_and_says_so)
{
    const char *texts[200];
    struct near_pairs found;

    for (int i = 0; i < 200; i++) texts[i] = "the same words again and again";
    near_find(&found, texts, NULL, 200, 0.5);
    ck_assert_int_gt(found.count, 200);
    ck_assert_int_lt(found.count, 200 * 199 / 2);
    ck_assert_int_gt(found.passed_over, 0);
    near_free(&found);
    near_find(&found, NULL, NULL, 0, 0.5);
    ck_assert_int_eq(found.count, 0);
    near_free(&found);
}
END_TEST

START_TEST(items_are_found_whole_and_by_their_runs)
{
    const char *items[] = {"a b c d e f", "x y", "a b q r s t", "z", "not there at all"};
    struct search_items *search = search_new(items, 5, 4);

    search_in(search, "0 a b c d e 1");
    search_in(search, "w x y z0");
    search_in(search, "z");
    search_in(search, "e f");
    ck_assert_double_eq(search_share(search, 0), 2.0 / 3); /* abcd, bcde; not cdef */
    ck_assert_double_eq(search_share(search, 1), 1);
    ck_assert(!search_same(search, 1));
    ck_assert_double_eq(search_share(search, 2), 0);
    ck_assert(search_same(search, 3));
    ck_assert_double_eq(search_share(search, 4), 0);
    ck_assert(!search_same(search, 4));
    search_in(search, "a b c d e f");
    ck_assert(search_same(search, 0));
    ck_assert_double_eq(search_share(search, 0), 1);
    search_free(search);
}
END_TEST

START_TEST(normal_texts_forget_case_space_and_punctuation)
{
    static const char *const cases[][2] = {{"  How ARE\tyou?! ", "how are you"},
                                           {"it's 3,5 €", "it s 3 5 €"},
                                           {"Ünlaut", "Ünlaut"},
                                           {"?!", "?!"},
                                           {"", ""}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *normal = text_normal(cases[i][0]);

        ck_assert_str_eq(normal, cases[i][1]);
        free(normal);
    }
}
END_TEST

static void expect_cut(const char *prompt, size_t most, const char *expected) {
    struct example example = {.prompt = xstrdup(prompt)};
    int status = dialogue_cut(&example, most);

    ck_assert_int_eq(status, expected ? 0 : -1);
    ck_assert_str_eq(example.prompt, expected ? expected : prompt);
    ck_assert_uint_le(expected ? text_characters(example.prompt) : 0, most);
    free(example.prompt);
    node_free(example.messages);
}

START_TEST(prompts_lose_their_oldest_turns_and_then_their_first_words)
{
    const char *dialogue = "Be kind.\n\nHuman: one\n\nAssistant: two\n\nHuman: three four\n\nAssistant:";

    expect_cut(dialogue, 200, dialogue);
    expect_cut(dialogue, 60, "Be kind.\n\nHuman: three four\n\nAssistant:");
    expect_cut(dialogue, 36, "Be kind.\n\nHuman: four\n\nAssistant:");
    expect_cut(dialogue, 25, NULL);
    expect_cut("one two three", 9, "two three");
    expect_cut("one two three", 8, "three");
    expect_cut("one two three", 4, NULL);
    expect_cut("één twéé drié", 9, "twéé drié");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("overlap");
    TCase *cases = tcase_create("overlap");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(cases, similarity_is_shared_runs_of_three_words);
    tcase_add_test(cases, pairs_found_are_those_of_an_exhaustive_search);
    tcase_add_test(cases, a_crowd_of_alike_texts_takes_bounded_time_and_says_so);
    tcase_add_test(cases, items_are_found_whole_and_by_their_runs);
    tcase_add_test(cases, normal_texts_forget_case_space_and_punctuation);
    tcase_add_test(cases, prompts_lose_their_oldest_turns_and_then_their_first_words);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
