/* Tokens of every family of tokenizer.json are those of Hugging Face's tokenizers, on random and odd texts;
 * what is streamed is what is decoded; every token knows where it ends. */
#include "models/tokenizer.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/document.h"
#include "harness/file.h"
#include "harness/memory.h"
#include "harness/utf8.h"
#include "models/unicode.h"

enum { GROUP = 50, TEXTS = 10000 };

static struct error err;
static const char *const families[] = {"digits",  "gemma",       "gpt2", "llama2", "llama2-normalized",
                                       "llama3",  "mistral",     "odd",  "qwen2",  "smollm2",
                                       "unknown", "unknown-each"};
enum { FAMILIES = sizeof families / sizeof *families };

static char *fixture(const char *name) {
    const char *source = getenv("srcdir");

    return xprintf("%s/tests/fixtures/%s", source ? source : ".", name);
}

static struct tokenizer *load(const char *family) {
    char *name = xprintf("tokenizers/%s.json", family), *path = fixture(name);
    struct tokenizer *tokenizer;

    ck_assert_msg(tokenizer_load(&tokenizer, path, &err) == 0, "%s", err.message);
    free(path);
    free(name);
    return tokenizer;
}

/* Knuth's 64-bit congruential generator, as in make_tokenizer.py. */
static int below(uint64_t *state, int bound) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (int)((*state >> 33) % (uint64_t)bound);
}

struct cases {
    struct node *root;
    const struct node **pieces, **blocks;
    int piece_count, block_count;
};

static const struct node **list_of(const struct node *list, int *count) {
    const struct node **items = xcalloc((size_t)list->count, sizeof *items);

    *count = 0;
    for (const struct node *item = list->first; item; item = item->next) items[(*count)++] = item;
    return items;
}

static struct cases read_cases(void) {
    char *path = fixture("tokenizers.cases.json");
    struct cases cases = {.root = document_read(path, &err)};

    ck_assert_ptr_nonnull(cases.root);
    cases.pieces = list_of(node_get(cases.root, "pieces"), &cases.piece_count);
    cases.blocks = list_of(node_get(cases.root, "blocks"), &cases.block_count);
    free(path);
    return cases;
}

static void free_cases(struct cases *cases) {
    free(cases->pieces);
    free(cases->blocks);
    node_free(cases->root);
}

/* random_text() of make_tokenizers.py. */
static struct text random_text(const struct cases *cases, uint64_t *state) {
    struct text out = {0};

    for (int i = 1 + below(state, 14); i > 0; i--) {
        if (below(state, 3)) {
            const char *piece = cases->pieces[below(state, cases->piece_count)]->text;

            text_add(&out, piece, strlen(piece));
            continue;
        }
        const struct node *block = cases->blocks[below(state, cases->block_count)];
        int first = (int)block->first->number, end = (int)block->last->number;

        for (int left = 1 + below(state, 6); left > 0; left--) {
            char bytes[4];

            text_add(&out, bytes, (size_t)unicode_encode(bytes, first + below(state, end - first)));
        }
    }
    return out;
}

static uint32_t fnv(uint32_t value, uint32_t number) {
    return (value ^ number) * 16777619u;
}

static uint32_t fnv_ids(uint32_t value, const struct tokens *ids) {
    for (int i = 0; i < ids->count; i++) value = fnv(value, (uint32_t)ids->ids[i]);
    return value;
}

struct hashes {
    uint32_t ids, framed, text;
};

static void hash_text(const struct tokenizer *tokenizer, const struct text *text, struct hashes *hashes) {
    struct tokens ids = {0}, framed = {0};
    size_t length;
    char *back;

    tokenizer_encode_added(tokenizer, text->data, text->length, &ids);
    tokenizer_encode_framed(tokenizer, text->data, text->length, &framed);
    back = tokenizer_decode(tokenizer, ids.ids, ids.count, &length);
    hashes->ids = fnv_ids(hashes->ids, &ids);
    hashes->framed = fnv_ids(hashes->framed, &framed);
    for (size_t i = 0; i < length; i++) hashes->text = fnv(hashes->text, (unsigned char)back[i]);
    free(back);
    free(framed.ids);
    free(ids.ids);
}

START_TEST(tokens_are_those_of_hugging_face)
{
    struct cases cases = read_cases();
    const struct node *expected = node_get(node_get(cases.root, "families"), families[_i]);
    const struct node *ids = node_get(expected, "ids")->first, *framed = node_get(expected, "framed")->first;
    const struct node *text = node_get(expected, "text");
    struct tokenizer *tokenizer = load(families[_i]);
    uint64_t state = 23;
    int groups = 0;

    text = text ? text->first : NULL;
    for (; ids; ids = ids->next, framed = framed->next, text = text ? text->next : NULL) {
        struct hashes got = {2166136261u, 2166136261u, 2166136261u};

        for (int i = 0; i < GROUP; i++) {
            struct text one = random_text(&cases, &state);

            hash_text(tokenizer, &one, &got);
            free(one.data);
        }
        ck_assert_msg(got.ids == (uint32_t)ids->number, "ids of group %d differ", groups);
        ck_assert_msg(got.framed == (uint32_t)framed->number, "framed ids of group %d differ", groups);
        if (text) ck_assert_msg(got.text == (uint32_t)text->number, "texts of group %d differ", groups);
        groups++;
    }
    ck_assert_int_eq(groups, TEXTS / GROUP);
    tokenizer_free(tokenizer);
    free_cases(&cases);
}
END_TEST

static void check_ends(const struct tokenizer *tokenizer, const struct text *text) {
    struct tokens ids = {0}, mixed = {0}, ends = {0};
    int before = 0;

    tokenizer_encode_added(tokenizer, text->data, text->length, &ids);
    tokenizer_encode_mixed(tokenizer, text->data, text->length, NULL, 0, &mixed, &ends);
    ck_assert_int_eq(ids.count, mixed.count);
    ck_assert_int_eq(ids.count, ends.count);
    for (int i = 0; i < ids.count; i++) {
        ck_assert_int_eq(ids.ids[i], mixed.ids[i]);
        ck_assert_msg(ends.ids[i] >= before || i == 0, "\"%s\": token %d ends before its neighbour",
                      text->data, i);
        before = ends.ids[i];
    }
    ck_assert_int_le(before, (int)text->length);
    free(ids.ids);
    free(mixed.ids);
    free(ends.ids);
}

static int is_utf8(const char *bytes, size_t length) {
    for (size_t at = 0, step; at < length; at += step) {
        step = utf8_length((const unsigned char *)bytes + at, length - at);
        if (step == 0) return 0;
    }
    return 1;
}

static void check_stream(const struct tokenizer *tokenizer, const struct text *text) {
    struct decoding decoding = {.tokenizer = tokenizer};
    struct text streamed = {0};
    struct tokens ids = {0};
    char *whole;

    text_add(&streamed, "", 0);
    tokenizer_encode_added(tokenizer, text->data, text->length, &ids);
    whole = tokenizer_decode(tokenizer, ids.ids, ids.count, NULL);
    for (int i = 0; i < ids.count; i++) {
        size_t from = streamed.length;

        decoding_add(&decoding, ids.ids[i], &streamed);
        ck_assert_msg(is_utf8(streamed.data + from, streamed.length - from) || !is_utf8(whole, strlen(whole)),
                      "a part of a character came out of \"%s\"", text->data);
    }
    decoding_end(&decoding, &streamed);
    ck_assert_str_eq(streamed.data, whole);
    free(whole);
    free(ids.ids);
    free(streamed.data);
}

START_TEST(streams_and_ends_agree_with_the_whole)
{
    struct cases cases = read_cases();
    struct tokenizer *tokenizer = load(families[_i]);
    uint64_t state = 77;

    for (int i = 0; i < 1000; i++) {
        struct text text = random_text(&cases, &state);

        check_ends(tokenizer, &text);
        check_stream(tokenizer, &text);
        free(text.data);
    }
    tokenizer_free(tokenizer);
    free_cases(&cases);
}
END_TEST

static void expect_ends(const char *family, const char *text, const int *expected, int count) {
    struct tokenizer *tokenizer = load(family);
    struct tokens ids = {0}, ends = {0};

    tokenizer_encode_mixed(tokenizer, text, strlen(text), NULL, 0, &ids, &ends);
    ck_assert_int_eq(ends.count, count);
    for (int i = 0; i < count; i++) ck_assert_int_eq(ends.ids[i], expected[i]);
    free(ids.ids);
    free(ends.ids);
    tokenizer_free(tokenizer);
}

START_TEST(ends_are_those_in_the_text_as_given)
{
    /* "<s>" " the" ">" "\u00ff" as two bytes, of which the character ends at the second */
    expect_ends("llama2", "<s>the>\xc3\xbf", (const int[]){3, 6, 7, 8, 9}, 5);
    /* e and its accent become one character of two bytes, which ends where the accent does; "x" */
    expect_ends("qwen2", "e\xcc\x81x<|im_end|>", (const int[]){0, 3, 4, 14}, 4);
}
END_TEST

/* Bytes of a character that never comes, a lone continuation, then a character whose beginning was held back.
 */
START_TEST(bytes_that_are_no_character_are_passed_on)
{
    struct tokenizer *tokenizer = load("gpt2");
    const char *text = "a\xe6\xbc"
                       "b\x80\xf0\x9f\x98\x80\xc3";
    struct decoding decoding = {.tokenizer = tokenizer};
    struct text streamed = {0};
    struct tokens ids = {0};

    tokenizer_encode(tokenizer, text, strlen(text), &ids);
    for (int i = 0; i < ids.count; i++) decoding_add(&decoding, ids.ids[i], &streamed);
    ck_assert_int_eq(memcmp(streamed.data, text, strlen(text) - 1), 0);
    ck_assert_uint_eq(streamed.length, strlen(text) - 1);
    decoding_end(&decoding, &streamed);
    ck_assert_str_eq(streamed.data, text);
    free(streamed.data);
    free(ids.ids);
    tokenizer_free(tokenizer);
}
END_TEST

START_TEST(special_tokens_are_characters_where_the_text_is_plain)
{
    struct tokenizer *tokenizer = load("qwen2");
    const char *text = "<|im_start|>user <|im_end|><|im_end|>";
    const struct stretch plain = {12, 27};
    const int start = tokenizer_special(tokenizer, "<|im_start|>"),
              end = tokenizer_special(tokenizer, "<|im_end|>");
    struct tokens ids = {0}, ends = {0}, ordinary = {0};

    tokenizer_encode_mixed(tokenizer, text, strlen(text), &plain, 1, &ids, &ends);
    ck_assert_int_eq(ids.ids[0], start);
    ck_assert_int_eq(ids.ids[ids.count - 1], end);
    for (int i = 1; i < ids.count - 1; i++) ck_assert_int_ne(ids.ids[i], end);
    tokenizer_encode(tokenizer, text + 12, 15, &ordinary);
    ck_assert_int_eq(ordinary.count, ids.count - 2);
    for (int i = 0; i < ordinary.count; i++) ck_assert_int_eq(ordinary.ids[i], ids.ids[i + 1]);
    free(ids.ids);
    free(ends.ids);
    free(ordinary.ids);
    tokenizer_free(tokenizer);
}
END_TEST

/* Hugging Face's own decoder takes an added token's Latin letters for bytes in GPT-2's alphabet. */
START_TEST(added_tokens_are_decoded_as_they_are_spelt)
{
    char path[] = "tokenizer-XXXXXX.json", *from = fixture("tokenizers/odd.json");
    char *text = file_read(from, NULL, &err), *at = strstr(text, "\"<left>\""), *changed, *back;
    struct tokenizer *tokenizer;
    struct tokens ids = {0};

    changed = xprintf("%.*s\"caf\xc3\xa9\"%s", (int)(at - text), text, at + strlen("\"<left>\""));
    close(mkstemps(path, 5));
    ck_assert_int_eq(file_write(path, changed, strlen(changed), &err), 0);
    ck_assert_msg(tokenizer_load(&tokenizer, path, &err) == 0, "%s", err.message);
    unlink(path);
    tokenizer_encode(tokenizer, "caf\xc3\xa9", 5, &ids);
    ck_assert_int_eq(ids.count, 1);
    back = tokenizer_decode(tokenizer, ids.ids, 1, NULL);
    ck_assert_str_eq(back, "caf\xc3\xa9");
    free(back);
    free(ids.ids);
    free(changed);
    free(text);
    free(from);
    tokenizer_free(tokenizer);
}
END_TEST

/* What is written is read as the same tokenizer: the fixture's hashes of what it wrote would be the same. */
START_TEST(what_is_saved_is_the_same_tokenizer)
{
    struct cases cases = read_cases();
    struct tokenizer *tokenizer = load(families[_i]), *again;
    char path[] = "tokenizer-XXXXXX.json";
    uint64_t state = 5;

    close(mkstemps(path, 5));
    ck_assert_msg(tokenizer_save(tokenizer, path, &err) == 0, "%s", err.message);
    ck_assert_msg(tokenizer_load(&again, path, &err) == 0, "%s", err.message);
    unlink(path);
    ck_assert_int_eq(tokenizer_vocab(again), tokenizer_vocab(tokenizer));
    for (int i = 0; i < 200; i++) {
        struct hashes one = {0, 0, 0}, two = {0, 0, 0};
        struct text text = random_text(&cases, &state);

        hash_text(tokenizer, &text, &one);
        hash_text(again, &text, &two);
        ck_assert(one.ids == two.ids && one.framed == two.framed && one.text == two.text);
        free(text.data);
    }
    tokenizer_free(again);
    tokenizer_free(tokenizer);
    free_cases(&cases);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tokenizer families");
    TCase *tests = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tests, tokens_are_those_of_hugging_face, 0, FAMILIES);
    tcase_add_loop_test(tests, streams_and_ends_agree_with_the_whole, 0, FAMILIES);
    tcase_add_test(tests, ends_are_those_in_the_text_as_given);
    tcase_add_test(tests, bytes_that_are_no_character_are_passed_on);
    tcase_add_test(tests, special_tokens_are_characters_where_the_text_is_plain);
    tcase_add_test(tests, added_tokens_are_decoded_as_they_are_spelt);
    tcase_add_loop_test(tests, what_is_saved_is_the_same_tokenizer, 0, FAMILIES);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
