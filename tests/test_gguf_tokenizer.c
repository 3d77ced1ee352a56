/* Tokenizers from GGUF's keys: byte-level ones are those of the tokenizer.json they came from;
 * SentencePiece's merge by score, as the slow definition below does. */
#include "models/gguf_tokenizer.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness/document.h"
#include "harness/file.h"
#include "harness/memory.h"
#include "harness/utf8.h"

#define BLANK "\xe2\x96\x81"
enum { TEXTS = 500, SYMBOLS_MOST = 400 };

static struct error err;

/* Knuth's 64-bit congruential generator. */
static int below(uint64_t *state, int bound) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (int)((*state >> 33) % (uint64_t)bound);
}

static char *fixture(const char *family) {
    const char *source = getenv("srcdir");

    return xprintf("%s/tests/fixtures/tokenizers/%s.json", source ? source : ".", family);
}

static void add_key(struct node *metadata, const char *key, const char *value) {
    char *whole = xprintf("tokenizer.ggml.%s", key);

    node_add_text(metadata, whole, value);
    free(whole);
}

/* The keys that llama.cpp's converter writes for a tokenizer.json of this family. */
static struct node *describe(const char *family, const char *pre) {
    char *path = fixture(family);
    struct node *root = document_read(path, &err), *metadata = node_new(NODE_MAP), *tokens, *types, *merges;
    const struct node *model = node_get(root, "model"), *added = node_get(root, "added_tokens");
    const char *names[2048] = {0};
    int kinds[2048] = {0}, count = 0;

    for (const struct node *token = node_get(model, "vocab")->first; token; token = token->next) {
        names[(int)token->number] = token->key;
        kinds[(int)token->number] = 1;
    }
    for (const struct node *token = added->first; token; token = token->next) {
        names[node_int(token, "id", 0)] = node_text(token, "content", "");
        kinds[node_int(token, "id", 0)] = node_number(token, "special", 0) ? 3 : 4;
    }
    add_key(metadata, "model", "gpt2");
    add_key(metadata, "pre", pre);
    tokens = node_add(metadata, "tokenizer.ggml.tokens", NODE_LIST);
    types = node_add(metadata, "tokenizer.ggml.token_type", NODE_LIST);
    for (; names[count]; count++) {
        node_add_text(tokens, NULL, names[count]);
        node_add_number(types, NULL, kinds[count]);
    }
    merges = node_add(metadata, "tokenizer.ggml.merges", NODE_LIST);
    for (const struct node *merge = node_get(model, "merges")->first; merge; merge = merge->next) {
        char *both = merge->kind == NODE_LIST ? xprintf("%s %s", merge->first->text, merge->last->text)
                                              : xstrdup(merge->text);

        node_add_text(merges, NULL, both);
        free(both);
    }
    node_free(root);
    free(path);
    return metadata;
}

static const char *const pieces[] = {" the",
                                     "policy",
                                     " don't",
                                     "'LL",
                                     " 12345",
                                     "\n\n",
                                     "  ",
                                     "caf\xc3\xa9",
                                     "cafe\xcc\x81",
                                     "\xe6\xbc\xa2\xe5\xad\x97",
                                     "<|im_end|>",
                                     "<|eot_id|>",
                                     "\xf0\x9f\x98\x80",
                                     "reward",
                                     ".",
                                     " refuse",
                                     "judges",
                                     "\t",
                                     "x1",
                                     "\xd1\x80\xd1\x83\xd1\x81"};

static struct text random_text(uint64_t *state) {
    struct text out = {0};

    for (int i = 1 + below(state, 12); i > 0; i--) {
        const char *piece = pieces[below(state, sizeof pieces / sizeof *pieces)];

        text_add(&out, piece, strlen(piece));
    }
    return out;
}

static void expect_same(const struct tokens *got, const struct tokens *expected, const char *text) {
    ck_assert_msg(got->count == expected->count, "\"%s\": %d ids, not %d", text, got->count, expected->count);
    for (int i = 0; i < got->count; i++) ck_assert_msg(got->ids[i] == expected->ids[i], "\"%s\"", text);
}

static const struct {
    const char *family, *pre;
} byte_level[] = {{"gpt2", "gpt-2"}, {"smollm2", "smollm"}, {"llama3", "llama-bpe"}, {"qwen2", "qwen2"}};

START_TEST(byte_level_ones_are_those_of_tokenizer_json)
{
    char *path = fixture(byte_level[_i].family);
    struct node *metadata = describe(byte_level[_i].family, byte_level[_i].pre);
    struct tokenizer *got, *expected;
    uint64_t state = 3;

    ck_assert_msg(gguf_tokenizer_read(&got, metadata, &err) == 0, "%s", err.message);
    ck_assert_int_eq(tokenizer_load(&expected, path, &err), 0);
    for (int i = 0; i < TEXTS; i++) {
        struct text text = random_text(&state);
        struct tokens one = {0}, two = {0};

        tokenizer_encode_added(got, text.data, text.length, &one);
        tokenizer_encode_added(expected, text.data, text.length, &two);
        expect_same(&one, &two, text.data);
        free(one.ids);
        free(two.ids);
        free(text.data);
    }
    tokenizer_free(got);
    tokenizer_free(expected);
    node_free(metadata);
    free(path);
}
END_TEST

/* Tokens with scores, of which some are equal and some single characters are no tokens. */
static const struct {
    const char *text;
    int type;
    double score;
} piece_list[] = {{"<unk>", 2, 0},      {"<s>", 3, 0},  {"</s>", 3, 0},  {BLANK, 1, -9},
                  {"a", 1, -10},        {"b", 1, -10},  {"c", 1, -10},   {"<", 1, -10},
                  {">", 1, -10},        {"s", 1, -10},  {"ab", 1, -2},   {"bc", 1, -2},
                  {"abc", 1, -1},       {"ca", 1, -3},  {"aa", 1, -3.5}, {BLANK "a", 1, -1.5},
                  {BLANK BLANK, 1, -4}, {"cab", 1, -2}, {"bb", 1, -3.5}, {"aab", 1, -0.5},
                  {"s>", 1, -1},        {"<s", 1, -1},  {"\n\n", 4, 0},  {"\xc3\xa9", 1, -8}};
enum { PIECES = sizeof piece_list / sizeof *piece_list };

static struct node *describe_pieces(void) {
    struct node *metadata = node_new(NODE_MAP), *tokens, *types, *scores;

    add_key(metadata, "model", "llama");
    tokens = node_add(metadata, "tokenizer.ggml.tokens", NODE_LIST);
    types = node_add(metadata, "tokenizer.ggml.token_type", NODE_LIST);
    scores = node_add(metadata, "tokenizer.ggml.scores", NODE_LIST);
    for (int i = 0; i < PIECES + 256; i++) {
        char *name = i < PIECES ? xstrdup(piece_list[i].text) : xprintf("<0x%02X>", i - PIECES);

        node_add_text(tokens, NULL, name);
        node_add_number(types, NULL, i < PIECES ? piece_list[i].type : 6);
        node_add_number(scores, NULL, i < PIECES ? piece_list[i].score : 0);
        free(name);
    }
    node_add_number(metadata, "tokenizer.ggml.unknown_token_id", 0);
    node_add_number(metadata, "tokenizer.ggml.bos_token_id", 1);
    return metadata;
}

static int find_piece(const char *text, size_t length) {
    for (int i = 0; i < PIECES; i++)
        if (piece_list[i].type == 1 && strlen(piece_list[i].text) == length &&
            !memcmp(piece_list[i].text, text, length))
            return i;
    return -1;
}

/* The definition: of all neighbours that make a token the two whose token scores highest, the leftmost of
   equals, become one, until none do. What is no token then is its bytes. */
static void merge_slowly(const char *text, struct tokens *out) {
    size_t begin[SYMBOLS_MOST + 1];
    int count = 0;

    for (const char *at = text; *at; at += utf8_length((const unsigned char *)at, strlen(at)))
        begin[count++] = (size_t)(at - text);
    begin[count] = strlen(text);
    for (;;) {
        int best = -1;
        double score = 0;

        for (int i = 0; i + 1 < count; i++) {
            int made = find_piece(text + begin[i], begin[i + 2] - begin[i]);

            if (made < 0 || (best >= 0 && piece_list[made].score <= score)) continue;
            best = i;
            score = piece_list[made].score;
        }
        if (best < 0) break;
        memmove(begin + best + 1, begin + best + 2, (size_t)(count - best - 1) * sizeof *begin);
        count--;
    }
    for (int i = 0; i < count; i++) {
        int id = find_piece(text + begin[i], begin[i + 1] - begin[i]);

        if (id >= 0) tokens_add(out, id);
        for (size_t b = begin[i]; id < 0 && b < begin[i + 1]; b++)
            tokens_add(out, PIECES + (unsigned char)text[b]);
    }
}

START_TEST(sentencepieces_merge_by_score)
{
    static const char *const letters[] = {"a", "b", "c", "a", "b", " ", "<s", ">", "\xc3\xa9", "x", "\n"};
    struct node *metadata = describe_pieces();
    struct tokenizer *tokenizer;
    uint64_t state = 9;

    ck_assert_msg(gguf_tokenizer_read(&tokenizer, metadata, &err) == 0, "%s", err.message);
    for (int i = 0; i < 20 * TEXTS; i++) {
        struct text given = {0}, blanks = {0};
        struct tokens got = {0}, expected = {0};

        text_add(&blanks, BLANK, strlen(BLANK));
        for (int left = 1 + below(&state, 24); left > 0; left--) {
            const char *letter = letters[below(&state, sizeof letters / sizeof *letters)];

            if (given.length && given.data[given.length - 1] == '\n' && *letter == '\n')
                continue; /* a token added */
            text_add(&given, letter, strlen(letter));
            text_add(&blanks, *letter == ' ' ? BLANK : letter,
                     *letter == ' ' ? strlen(BLANK) : strlen(letter));
        }
        tokenizer_encode(tokenizer, given.data, given.length, &got);
        merge_slowly(blanks.data, &expected);
        expect_same(&got, &expected, given.data);
        free(given.data);
        free(blanks.data);
        free(got.ids);
        free(expected.ids);
    }
    tokenizer_free(tokenizer);
    node_free(metadata);
}
END_TEST

/* The tokenizer of a folder's tokenizer.json after it went through GGUF's keys; NULL: that is refused. */
static struct tokenizer *through_keys(const char *folder) {
    const struct config config = {
        .vocab = PIECES + 256 + 3, .begin_token = 1, .end_token = 2, .pad_token = -1};
    struct gguf_out keys = {0};
    struct gguf file;
    struct tokenizer *back = NULL;
    char *bytes = NULL;
    size_t length = 0;
    FILE *out;

    if (gguf_tokenizer_write(&keys, folder, &config, &err)) {
        gguf_free(&keys);
        return NULL;
    }
    out = open_memstream(&bytes, &length);
    gguf_write_header(&keys, out);
    fclose(out);
    ck_assert_msg(gguf_parse(&file, bytes, length, "keys", &err) == 0, "%s", err.message);
    ck_assert_msg(gguf_tokenizer_read(&back, file.metadata, &err) == 0, "%s", err.message);
    ck_assert_int_eq(tokenizer_vocab(back), config.vocab);
    gguf_close(&file);
    gguf_free(&keys);
    free(bytes);
    return back;
}

static char *new_folder(void) {
    char *folder = xstrdup("/tmp/pieces-XXXXXX");

    ck_assert_ptr_nonnull(mkdtemp(folder));
    return folder;
}

static void expect_encoded_alike(const struct tokenizer *a, const struct tokenizer *b, const char *text,
                                 size_t length) {
    struct tokens one[2] = {{0}, {0}}, two[2] = {{0}, {0}};

    tokenizer_encode(a, text, length, &one[0]);
    tokenizer_encode(b, text, length, &two[0]);
    tokenizer_encode_framed(a, text, length, &one[1]);
    tokenizer_encode_framed(b, text, length, &two[1]);
    for (int i = 0; i < 2; i++) {
        expect_same(&two[i], &one[i], text);
        free(one[i].ids);
        free(two[i].ids);
    }
}

/* With and without a space before texts. */
START_TEST(sentencepieces_go_from_tokenizer_json_through_keys_unchanged)
{
    static const char *const odd[] = {
        "a",     "b",      "c",        " ",       "  ",   "ab", "<s>",      "</s>",
        "<unk>", "<0x41>", "s>",       BLANK,     "\n\n", "\n", "\xc3\xa9", "\xf0\x9f\x98\x80",
        "\xff",  "x",      "\xe2\x96", "[PAD281]"};
    struct node *metadata = describe_pieces();
    char *folder = new_folder();
    char *path = path_join(folder, "tokenizer.json");
    struct tokenizer *read, *written, *back;
    uint64_t state = 4;

    node_add_bool(metadata, "tokenizer.ggml.add_space_prefix", _i);
    ck_assert_msg(gguf_tokenizer_read(&read, metadata, &err) == 0, "%s", err.message);
    ck_assert_msg(tokenizer_store(read, folder, &err) == 0, "%s", err.message);
    ck_assert_msg(tokenizer_load(&written, path, &err) == 0, "%s", err.message);
    back = through_keys(folder);
    ck_assert_msg(back != NULL, "%s", err.message);
    for (int i = 0; i < 20 * TEXTS; i++) {
        struct text text = {0};

        for (int left = 1 + below(&state, 16); left > 0; left--) {
            const char *piece = odd[below(&state, sizeof odd / sizeof *odd)];

            text_add(&text, piece, strlen(piece));
        }
        expect_encoded_alike(written, back, text.data, text.length);
        free(text.data);
    }
    ck_assert_int_eq(folder_remove(folder, &err), 0);
    tokenizer_free(back);
    tokenizer_free(written);
    tokenizer_free(read);
    node_free(metadata);
    free(folder);
    free(path);
}
END_TEST

/* "abc" is a and bc, or ab and c, wherever scores decide: without one of the two it is another tokenizer. */
START_TEST(merges_that_scores_cannot_say_are_refused)
{
    struct node *metadata = describe_pieces(), *root, *merges;
    char *folder = new_folder(), *path = path_join(folder, "tokenizer.json");
    struct tokenizer *written;

    ck_assert_int_eq(gguf_tokenizer_read(&written, metadata, &err), 0);
    ck_assert_int_eq(tokenizer_store(written, folder, &err), 0);
    root = document_read(path, &err);
    ck_assert_ptr_nonnull(root);
    merges = (struct node *)node_get(node_get(root, "model"), "merges");
    for (struct node *one = merges->first->next, *next; one; one = next) {
        next = one->next;
        node_free(one);
    }
    merges->first->next = NULL;
    merges->last = merges->first;
    merges->count = 1;
    ck_assert_int_eq(document_write(path, root, &err), 0);
    ck_assert_ptr_null(through_keys(folder));
    ck_assert_ptr_nonnull(strstr(err.message, "SentencePiece"));
    ck_assert_int_eq(folder_remove(folder, &err), 0);
    tokenizer_free(written);
    node_free(root);
    node_free(metadata);
    free(folder);
    free(path);
}
END_TEST

START_TEST(texts_begin_as_the_keys_say)
{
    struct node *metadata = describe_pieces();
    struct tokenizer *tokenizer;
    struct tokens framed = {0};
    char *back;

    node_add_bool(metadata, "tokenizer.ggml.add_space_prefix", 0);
    ck_assert_msg(gguf_tokenizer_read(&tokenizer, metadata, &err) == 0, "%s", err.message);
    tokenizer_encode_framed(tokenizer, "abc\n\n", 5, &framed);
    ck_assert_int_eq(framed.count, 3);
    ck_assert_int_eq(framed.ids[0], 1);
    ck_assert_str_eq(tokenizer_name(tokenizer, framed.ids[1]), "abc");
    ck_assert_str_eq(tokenizer_name(tokenizer, framed.ids[2]), "\n\n");
    back = tokenizer_decode(tokenizer, framed.ids, 3, NULL);
    ck_assert_str_eq(back, "abc\n\n");
    free(back);
    free(framed.ids);
    tokenizer_free(tokenizer);
    node_free(metadata);
}
END_TEST

static struct node *key_of(struct node *metadata, const char *name) {
    char *key = xprintf("tokenizer.ggml.%s", name);
    struct node *found = (struct node *)node_get(metadata, key);

    free(key);
    return found;
}

static void expect_refused(const struct node *metadata, const char *said) {
    struct tokenizer *tokenizer;

    ck_assert_int_eq(gguf_tokenizer_read(&tokenizer, metadata, &err), -1);
    ck_assert_ptr_null(tokenizer);
    ck_assert_msg(strstr(err.message, said), "%s", err.message);
}

START_TEST(keys_that_do_not_fit_are_refused_by_name)
{
    struct node *metadata = describe("gpt2", "gpt-2"), *empty = node_new(NODE_MAP);

    expect_refused(empty, "not named");
    free(key_of(metadata, "pre")->text);
    key_of(metadata, "pre")->text = xstrdup("jais");
    expect_refused(metadata, "jais");
    node_add_number(key_of(metadata, "token_type"), NULL, 1);
    expect_refused(metadata, "token_type");
    key_of(metadata, "tokens")->kind = NODE_NULL;
    expect_refused(metadata, "tokens");
    free(key_of(metadata, "model")->text);
    key_of(metadata, "model")->text = xstrdup("t5");
    expect_refused(metadata, "t5");
    node_free(empty);
    node_free(metadata);
}
END_TEST

START_TEST(a_token_given_twice_is_refused)
{
    struct node *metadata = describe_pieces();

    node_add_text(key_of(metadata, "tokens"), NULL, "abc");
    node_add_number(key_of(metadata, "scores"), NULL, 0);
    node_add_number(key_of(metadata, "token_type"), NULL, 1);
    expect_refused(metadata, "\"abc\"");
    node_free(metadata);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("gguf tokenizer");
    TCase *tests = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tests, byte_level_ones_are_those_of_tokenizer_json, 0,
                        (int)(sizeof byte_level / sizeof *byte_level));
    tcase_add_test(tests, sentencepieces_merge_by_score);
    tcase_add_loop_test(tests, sentencepieces_go_from_tokenizer_json_through_keys_unchanged, 0, 2);
    tcase_add_test(tests, merges_that_scores_cannot_say_are_refused);
    tcase_add_test(tests, texts_begin_as_the_keys_say);
    tcase_add_test(tests, keys_that_do_not_fit_are_refused_by_name);
    tcase_add_test(tests, a_token_given_twice_is_refused);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
