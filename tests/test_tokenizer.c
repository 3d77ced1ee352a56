/* Words, training and ids as Hugging Face has them; any bytes come back; files that are wrong are refused. */
#include "models/tokenizer.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/document.h"
#include "harness/file.h"
#include "harness/memory.h"
#include "models/pretokenize.h"
#include "models/unicode.h"

#define CORPUS_LINES 1000

static struct error err;

static char *fixture(const char *name) {
    const char *source = getenv("srcdir");

    return xprintf("%s/tests/fixtures/%s", source ? source : ".", name);
}

static struct tokenizer *load(const char *name) {
    char *path = fixture(name);
    struct tokenizer *tokenizer;

    ck_assert_msg(tokenizer_load(&tokenizer, path, &err) == 0, "%s", err.message);
    free(path);
    return tokenizer;
}

/* Trained on the lines of tokenizer.txt. */
static struct tokenizer *train(int vocab) {
    char *path = fixture("tokenizer.txt"), *text = file_read(path, NULL, &err), *state = NULL;
    const char *lines[CORPUS_LINES];
    struct tokenizer *tokenizer;
    int count = 0;

    ck_assert_ptr_nonnull(text);
    for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state))
        lines[count++] = line;
    ck_assert_int_eq(tokenizer_train(&tokenizer, lines, count, vocab, &err), 0);
    free(text);
    free(path);
    return tokenizer;
}

/* The bytes of the file that a tokenizer is saved as. */
static char *saved(const struct tokenizer *tokenizer) {
    char path[] = "tokenizer-XXXXXX.json", *text;

    close(mkstemps(path, 5));
    ck_assert_msg(tokenizer_save(tokenizer, path, &err) == 0, "%s", err.message);
    text = file_read(path, NULL, &err);
    unlink(path);
    ck_assert_ptr_nonnull(text);
    return text;
}

/* Loads a tokenizer from text; -1 with err set. */
static int load_text(struct tokenizer **out, const char *text) {
    char path[] = "tokenizer-XXXXXX.json";
    int status;

    close(mkstemps(path, 5));
    ck_assert_int_eq(file_write(path, text, strlen(text), &err), 0);
    status = tokenizer_load(out, path, &err);
    unlink(path);
    return status;
}

static void check_pieces(const char *text, const char *const *pieces) {
    size_t left = strlen(text);

    for (; *pieces; pieces++) {
        size_t length = pretoken_length(PRETOKENS_GPT2, text, left);

        ck_assert_msg(length == strlen(*pieces) && memcmp(text, *pieces, length) == 0, "\"%.*s\" not \"%s\"",
                      (int)length, text, *pieces);
        text += length;
        left -= length;
    }
    ck_assert_uint_eq(left, 0);
}

START_TEST(words_are_cut_as_gpt2_cuts_them)
{
    check_pieces("I'll don't 'LL''s",
                 (const char *[]){"I", "'ll", " don", "'t", " '", "LL", "''", "s", NULL});
    check_pieces("x  y \n z\n", (const char *[]){"x", " ", " y", " \n", " z", "\n", NULL});
    check_pieces("a1 23b, c!?", (const char *[]){"a", "1", " 23", "b", ",", " c", "!?", NULL});
    check_pieces("\xc3\xa9t\xc3\xa9 \xe6\xbc\xa2\xe3\x80\x80 x",
                 (const char *[]){"\xc3\xa9t\xc3\xa9", " \xe6\xbc\xa2", "\xe3\x80\x80", " x", NULL});
    check_pieces("   ", (const char *[]){"   ", NULL});
}
END_TEST

START_TEST(bytes_that_are_not_utf8_are_other_characters)
{
    check_pieces("a\xff\xc3 \x80\xed\xa0\x80"
                 "b",
                 (const char *[]){"a", "\xff\xc3", " \x80\xed\xa0\x80", "b", NULL});
    check_pieces("\xf4\x90\x80\x80\xc0\xaf", (const char *[]){"\xf4\x90\x80\x80\xc0\xaf", NULL});
}
END_TEST

START_TEST(characters_fall_into_four_classes)
{
    ck_assert_int_eq(unicode_class('z'), UNICODE_LETTER);
    ck_assert_int_eq(unicode_class(0x4e00), UNICODE_LETTER);
    ck_assert_int_eq(unicode_class(0x2167), UNICODE_NUMBER); /* Roman eight */
    ck_assert_int_eq(unicode_class(0xb2), UNICODE_NUMBER);   /* superscript two */
    ck_assert_int_eq(unicode_class(0x85), UNICODE_SPACE);
    ck_assert_int_eq(unicode_class(0x200b), UNICODE_OTHER); /* zero width space */
    ck_assert_int_eq(unicode_class(0x301), UNICODE_OTHER);  /* combining acute */
    ck_assert_int_eq(unicode_class(0x10ffff), UNICODE_OTHER);
}
END_TEST

START_TEST(training_equals_the_slow_definition)
{
    struct tokenizer *fast = train(700), *slow = load("tokenizer.trained.json");
    char *a = saved(fast), *b = saved(slow);

    ck_assert_int_eq(tokenizer_vocab(fast), 676); /* no pair is there twice any more */
    ck_assert_str_eq(a, b);
    free(a);
    free(b);
    tokenizer_free(fast);
    tokenizer_free(slow);
}
END_TEST

START_TEST(the_most_frequent_pair_comes_first_then_the_smaller_ids)
{
    const char *const texts[] = {"bcbc", "abab", "xyz", "xy"}; /* bc 2, ab 2, xy 2, yz 1; cb, ba 1 */
    const int expected[] = {256, 256, 257, 257, 258};
    struct tokens ids = {0};
    struct tokenizer *tokenizer;

    ck_assert_int_eq(tokenizer_train(&tokenizer, texts, 4, 300, &err), 0);
    ck_assert_int_eq(tokenizer_vocab(tokenizer), 256 + 3 + 3);
    tokenizer_encode(tokenizer, "ababbcbcxy", 10, &ids);
    ck_assert_int_eq(ids.count, 5);
    for (int i = 0; i < 5; i++) ck_assert_int_eq(ids.ids[i], expected[i]);
    free(ids.ids);
    tokenizer_free(tokenizer);
}
END_TEST

START_TEST(special_tokens_come_last_and_no_text_can_spell_them)
{
    struct tokenizer *tokenizer = train(300);
    const char *text = "a<|end|>b";
    struct tokens plain = {0}, added = {0};
    char *back;

    ck_assert_int_eq(tokenizer_vocab(tokenizer), 300);
    ck_assert_int_eq(tokenizer_special(tokenizer, TOKEN_END), 297);
    ck_assert_int_eq(tokenizer_special(tokenizer, TOKEN_RESPONSE), 298);
    ck_assert_int_eq(tokenizer_special(tokenizer, TOKEN_BETTER), 299);
    ck_assert_int_eq(tokenizer_special(tokenizer, "a"), -1);
    tokenizer_encode(tokenizer, text, strlen(text), &plain);
    for (int i = 0; i < plain.count; i++) ck_assert_int_lt(plain.ids[i], 297);
    tokenizer_encode_added(tokenizer, text, strlen(text), &added);
    ck_assert_int_eq(added.count, 3);
    ck_assert_int_eq(added.ids[1], 297);
    back = tokenizer_decode(tokenizer, added.ids, added.count, NULL);
    ck_assert_str_eq(back, "ab");
    free(back);
    free(plain.ids);
    free(added.ids);
    tokenizer_free(tokenizer);
}
END_TEST

START_TEST(a_vocabulary_below_the_bytes_is_refused)
{
    struct tokenizer *tokenizer;
    const char *texts[] = {"a"};

    ck_assert_int_eq(tokenizer_train(&tokenizer, texts, 1, 258, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "259"));
    ck_assert_int_eq(tokenizer_train(&tokenizer, texts, 0, 259, &err), 0);
    tokenizer_free(tokenizer);
}
END_TEST

/* Knuth's 64-bit congruential generator, as in make_tokenizer.py. */
static int below(uint64_t *state, int bound) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (int)((*state >> 33) % (uint64_t)bound);
}

static uint32_t fnv(const struct tokens *ids) {
    uint32_t value = 2166136261u;

    for (int i = 0; i < ids->count; i++) value = (value ^ (uint32_t)ids->ids[i]) * 16777619u;
    return value;
}

static void check_round_trip(const struct tokenizer *tokenizer, const char *text, size_t length) {
    struct tokens ids = {0};
    size_t size;
    char *back;

    tokenizer_encode(tokenizer, text, length, &ids);
    back = tokenizer_decode(tokenizer, ids.ids, ids.count, &size);
    ck_assert_uint_eq(size, length);
    ck_assert_int_eq(memcmp(back, text, length), 0);
    free(back);
    free(ids.ids);
}

static void check_texts(const struct tokenizer *tokenizer, const struct node *texts, const struct node *ids) {
    const struct node *text = texts->first;

    for (const struct node *expected = ids->first; expected; expected = expected->next, text = text->next) {
        const struct node *id = expected->first;
        struct tokens got = {0};

        tokenizer_encode_added(tokenizer, text->text, strlen(text->text), &got);
        ck_assert_msg(got.count == expected->count, "\"%s\": %d ids, not %d", text->text, got.count,
                      expected->count);
        for (int i = 0; i < got.count; i++, id = id->next) ck_assert_int_eq(got.ids[i], (int)id->number);
        check_round_trip(tokenizer, text->text, strlen(text->text));
        free(got.ids);
    }
}

static void check_random(const struct tokenizer *tokenizer, const struct node *pieces,
                         const struct node *hashes) {
    const struct node **list = xcalloc((size_t)pieces->count, sizeof *list);
    uint64_t state = 11;
    int count = 0;

    for (const struct node *piece = pieces->first; piece; piece = piece->next) list[count++] = piece;
    ck_assert_int_eq(hashes->count, 2000);
    for (const struct node *hash = hashes->first; hash; hash = hash->next) {
        struct text text = {0};
        struct tokens ids = {0};

        for (int i = 1 + below(&state, 12); i > 0; i--) {
            const char *piece = list[below(&state, count)]->text;

            text_add(&text, piece, strlen(piece));
        }
        tokenizer_encode_added(tokenizer, text.data, text.length, &ids);
        ck_assert_msg(fnv(&ids) == (uint32_t)hash->number, "ids of \"%s\" differ", text.data);
        check_round_trip(tokenizer, text.data, text.length);
        free(text.data);
        free(ids.ids);
    }
    free(list);
}

START_TEST(ids_are_those_of_hugging_face)
{
    static const char *const names[] = {"trained", "hf"};
    char *path = fixture("tokenizer.cases.json"), *file = xprintf("tokenizer.%s.json", names[_i]);
    struct node *cases = document_read(path, &err);
    struct tokenizer *tokenizer = load(file);

    ck_assert_ptr_nonnull(cases);
    check_texts(tokenizer, node_get(cases, "texts"), node_get(node_get(cases, "ids"), names[_i]));
    check_random(tokenizer, node_get(cases, "pieces"), node_get(node_get(cases, "hashes"), names[_i]));
    tokenizer_free(tokenizer);
    node_free(cases);
    free(file);
    free(path);
}
END_TEST

START_TEST(any_bytes_come_back)
{
    struct tokenizer *tokenizer = load(_i ? "tokenizer.hf.json" : "tokenizer.trained.json");
    uint64_t state = 5;
    char bytes[600];

    for (int round = 0; round < 2000; round++) {
        int length = below(&state, 60), narrow = below(&state, 2);

        for (int i = 0; i < length; i++)
            bytes[i] = (char)(narrow ? "a \n'\xc3\xa9\xff\x00s1"[below(&state, 10)] : below(&state, 256));
        check_round_trip(tokenizer, bytes, (size_t)length);
    }
    tokenizer_free(tokenizer);
}
END_TEST

START_TEST(one_long_word_takes_no_quadratic_time)
{
    struct tokenizer *tokenizer = load("tokenizer.trained.json");
    size_t length = 1 << 20;
    char *text = xmalloc(length);

    for (size_t i = 0; i < length; i++) text[i] = "reward"[i % 6];
    check_round_trip(tokenizer, text, length);
    free(text);
    tokenizer_free(tokenizer);
}
END_TEST

START_TEST(threads_share_one_tokenizer)
{
    struct tokenizer *tokenizer = load("tokenizer.trained.json");
    const char *text = "the reward model can't judge 12 answers\n\n\xff";
    struct tokens expected = {0};
    int wrong = 0;

    tokenizer_encode(tokenizer, text, strlen(text), &expected);
#pragma omp parallel for num_threads(4) reduction(+ : wrong)
    for (int i = 0; i < 400; i++) {
        struct tokens ids = {0};

        tokenizer_encode(tokenizer, text, strlen(text), &ids);
        wrong += fnv(&ids) != fnv(&expected);
        free(ids.ids);
    }
    ck_assert_int_eq(wrong, 0);
    free(expected.ids);
    tokenizer_free(tokenizer);
}
END_TEST

static char *replaced(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);

    ck_assert_msg(at != NULL, "no \"%s\"", from);
    return xprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

/* The merges of older files are strings "a b". */
static char *with_old_merges(const char *text) {
    struct node *root = document_parse_json(text, strlen(text), "tokenizer", 1, &err);
    const struct node *merges = node_get(node_get(root, "model"), "merges");
    struct node *old = node_new(NODE_LIST);
    char *list, *whole;

    for (const struct node *pair = merges->first; pair; pair = pair->next) {
        char *both = xprintf("%s %s", pair->first->text, pair->last->text);

        node_add_text(old, NULL, both);
        free(both);
    }
    list = node_json(old, 0);
    whole = xprintf("%.*s\"merges\": %s}}", (int)(strstr(text, "\"merges\"") - text), text, list);
    free(list);
    node_free(old);
    node_free(root);
    return whole;
}

START_TEST(both_forms_of_merges_are_read)
{
    struct tokenizer *tokenizer = load("tokenizer.hf.json"), *again;
    char *new_form = saved(tokenizer), *old_form = with_old_merges(new_form), *round_trip;

    ck_assert_msg(load_text(&again, old_form) == 0, "%s", err.message);
    round_trip = saved(again);
    ck_assert_str_eq(round_trip, new_form);
    free(round_trip);
    free(old_form);
    free(new_form);
    tokenizer_free(again);
    tokenizer_free(tokenizer);
}
END_TEST

static const struct {
    const char *from, *to, *said;
} refused[] = {
    {"\"normalizer\": null", "\"normalizer\": {\"type\": \"Lowercase\"}", "Lowercase"},
    {"\"normalizer\": null", "\"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"Regex\": \"x\"}}",
     "Replace"},
    {"\"normalizer\": null", "\"normalizer\": {\"type\": \"Sequence\"}", "normalizers"},
    {"\"decoder\"", "\"decode\"", "decoder is missing"},
    {"\"type\": \"ByteLevel\"", "\"type\": \"Whitespace\"", "Whitespace"},
    {"\"type\": \"ByteLevel\"", "\"type\": \"Split\", \"pattern\": {\"Regex\": \"\\\\w+\"}", "expression"},
    {"\"type\": \"ByteLevel\"", "\"type\": \"Split\", \"pattern\": {\"String\": \"-\"}", "behavior"},
    {"\"type\": \"ByteLevel\"", "\"type\": \"Metaspace\", \"replacement\": \"_\"", "replacement"},
    {"\"type\": \"ByteLevel\"", "\"type\": \"Metaspace\", \"replacement\": \"" BLANK "\"", "belong"},
    {"\"type\": \"BPE\"", "\"type\": \"Unigram\"", "Unigram"},
    {"\"dropout\": null", "\"dropout\": 0.1", "dropout"},
    {"\"end_of_word_suffix\": null", "\"end_of_word_suffix\": \"</w>\"", "end_of_word_suffix"},
    {"\"post_processor\": null", "\"post_processor\": {\"type\": \"BertProcessing\"}", "Bert"},
    {"\"post_processor\": null", "\"post_processor\": {\"type\": \"TemplateProcessing\"}", "single"},
    {"\"post_processor\": null",
     "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": "
     "\"x\"}}]}",
     "\"x\""},
    {"\"post_processor\": null",
     "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": "
     "\"x\"}}, "
     "{\"Sequence\": {\"id\": \"A\"}}], \"special_tokens\": {\"x\": {\"ids\": [12345]}}}",
     "12345"},
    {"\"unk_token\": null", "\"unk_token\": \"<unk>\"", "unk_token"},
    {"\"merges\"", "\"merge\"", "merges"},
    {"\"vocab\"", "\"vocabulary\"", "vocab"},
    {"\"model\"", "\"models\"", "model"},
    {"\"!\": 33", "\"!\": 34", "same id"},
    {"\"!\": 33", "\"!\": 33.5", "whole number"},
    {"\"!\": 33", "\"!\": 9223372036854775808", "whole number"},
    {"\"!\": 33", "\"!\": -1", "whole number"},
    {"\"!\": 33", "\"!\": 16000000", "holes"},
    {"\"content\": \"<|end|>\"", "\"content\": \"\"", "content"},
    {"\"content\": \"<|end|>\"", "\"content\": \"<|better|>\"", "<|better|>"},
    {"\"content\": \"<|end|>\"", "\"content\": \"a\"", "\"a\""},
    {"\"merges\": [", "\"merges\": [[\"q\", \"q\"],", "not in the vocabulary"},
    {"\"merges\": [", "\"merges\": [[\"q\"],", "not a pair"},
    {"\"merges\": [", "\"merges\": [\"a b c\",", "not a pair"},
    {"\"merges\": [", "\"merges\": [7,", "not a pair"},
};

START_TEST(what_is_not_supported_is_refused_by_name)
{
    struct tokenizer *tokenizer = train(300), *got;
    char *text = saved(tokenizer), *changed = replaced(text, refused[_i].from, refused[_i].to);

    ck_assert_int_eq(load_text(&got, changed), -1);
    ck_assert_msg(strstr(err.message, refused[_i].said) && strstr(err.message, "tokenizer-"), "%s",
                  err.message);
    ck_assert_ptr_null(got);
    free(changed);
    free(text);
    tokenizer_free(tokenizer);
}
END_TEST
START_TEST(a_merge_given_twice_is_refused)
{
    struct tokenizer *tokenizer = train(300), *got;
    char *text = saved(tokenizer), *from = strstr(text, "\"merges\": [") + 11, *end = strchr(from, ']');
    char *changed = xprintf("%.*s%.*s],%s", (int)(from - text), text, (int)(end - from), from, from);

    ck_assert_int_eq(load_text(&got, changed), -1);
    ck_assert_msg(strstr(err.message, "twice"), "%s", err.message);
    free(changed);
    free(text);
    tokenizer_free(tokenizer);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tokenizer");
    TCase *words = tcase_create("words"), *ids = tcase_create("ids"), *files = tcase_create("files");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(words, words_are_cut_as_gpt2_cuts_them);
    tcase_add_test(words, bytes_that_are_not_utf8_are_other_characters);
    tcase_add_test(words, characters_fall_into_four_classes);
    tcase_add_test(ids, training_equals_the_slow_definition);
    tcase_add_test(ids, the_most_frequent_pair_comes_first_then_the_smaller_ids);
    tcase_add_test(ids, special_tokens_come_last_and_no_text_can_spell_them);
    tcase_add_test(ids, a_vocabulary_below_the_bytes_is_refused);
    tcase_add_loop_test(ids, ids_are_those_of_hugging_face, 0, 2);
    tcase_add_loop_test(ids, any_bytes_come_back, 0, 2);
    tcase_add_test(ids, one_long_word_takes_no_quadratic_time);
    tcase_add_test(ids, threads_share_one_tokenizer);
    tcase_add_test(files, both_forms_of_merges_are_read);
    tcase_add_loop_test(files, what_is_not_supported_is_refused_by_name, 0,
                        (int)(sizeof refused / sizeof *refused));
    tcase_add_test(files, a_merge_given_twice_is_refused);
    suite_add_tcase(suite, words);
    suite_add_tcase(suite, ids);
    suite_add_tcase(suite, files);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
