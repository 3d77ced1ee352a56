/* GGUF files: what is written is read back; every way in which a file can lie is refused by name. */
#include "models/gguf.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH "test_gguf.tmp"

static struct error err;

static void clean(void) {
    unlink(PATH);
}

static void put(struct text *out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) text_add(out, (char[]){(char)(value >> 8 * i)}, 1);
}

/* A file from words: G the four letters, N:V the number V in N bytes, s:X the text X after its length in 8
 * bytes, z:N N zeros. */
static struct text make_file(const char *script) {
    char *copy = xstrdup(script), *rest = NULL;
    struct text out = {0};

    text_add(&out, "", 0);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        if (word[0] == 'G') {
            text_add(&out, "GGUF", 4);
        } else if (word[0] == 's') {
            put(&out, strlen(word + 2), 8);
            text_add(&out, word + 2, strlen(word + 2));
        } else if (word[0] == 'z') {
            for (int i = atoi(word + 2); i > 0; i--) text_add(&out, (char[]){0}, 1);
        } else {
            put(&out, strtoull(word + 2, NULL, 0), word[0] - '0');
        }
    }
    free(copy);
    return out;
}

/* Tensors, keys; a tensor's name, its dimensions, its type and offset. */
#define HEAD(tensors, keys)              "G 4:3 8:" #tensors " 8:" #keys " "
#define VECTOR(name, size, type, offset) "s:" name " 4:1 8:" #size " 4:" #type " 8:" #offset " "
#define MATRIX(name, a, b, type, offset) "s:" name " 4:2 8:" #a " 8:" #b " 4:" #type " 8:" #offset " "

static const struct {
    const char *script, *said;
} lies[] = {
    {"", "does not begin with GGUF"},
    {"4:0x46554746 z:20", "does not begin with GGUF"},
    {"G", "truncated"},
    {"G 4:3", "truncated"},
    {"G 4:1 8:0 8:0", "version is 1"},
    {"G 4:4 8:0 8:0", "version is 4"},
    {"G 4:0x03000000 8:0 8:0", "big-endian"},
    {"G 4:3 8:9223372036854775808", "truncated"},
    {"G 4:3 8:0 8:9223372036854775808", "claims 9223372036854775808 keys"},
    {"G 4:3 8:9223372036854775808 8:0", "claims 9223372036854775808 tensors"},
    {"G 4:3 8:18446744073709551615 8:0 z:100", "claims 18446744073709551615 tensors"},
    {HEAD(0, 1) "8:9223372036854775808 z:100", "a key claims 9223372036854775808 bytes"},
    {HEAD(0, 1) "8:65536 z:70000", "65535 are allowed"},
    {HEAD(0, 1) "s:a 4:8 8:9223372036854775808", "key \"a\""},
    {HEAD(0, 1) "s:a 4:8 8:9223372036854775808", "a text claims 9223372036854775808 bytes"},
    {HEAD(0, 1) "s:a 4:8 8:3 1:65 1:0 1:66", "holds a NUL"},
    {HEAD(0, 1) "s:a 4:13 8:0", "no type 13 of values"},
    {HEAD(0, 1) "s:a 4:0xffffffff 8:0", "no type 4294967295"},
    {HEAD(0, 1) "s:a 4:7 1:2", "truth value is 2"},
    {HEAD(0, 1) "s:a 4:9 4:4 8:9223372036854775808 z:8", "claims 9223372036854775808 items"},
    {HEAD(0, 1) "s:a 4:9 4:8 8:3 z:16", "claims 3 items"},
    {HEAD(0, 1) "s:a 4:9 4:0 8:4194305 z:4194305", "at most 4194304"},
    {HEAD(0, 1) "s:a 4:9 4:9 8:1 4:0 8:0", "array of arrays"},
    {HEAD(0, 1) "s:a 4:10 4:0", "truncated"},
    {HEAD(0, 2) "s:a 4:0 1:1 s:a 4:0 1:1", "key \"a\": it is there twice"},
    {HEAD(0, 5000) "z:70000", "5000 keys: at most 4096"},
    {HEAD(1, 0) "8:9223372036854775808 z:100", "a tensor's name claims"},
    {HEAD(1, 0) "8:65 z:100", "64 are allowed"},
    {HEAD(1, 0) "s:a 4:5 z:100", "5 dimensions"},
    {HEAD(1, 0) "s:a 4:2 8:4294967296 8:4294967296 4:0 8:0", "more numbers than there can be"},
    {HEAD(1, 0) "s:a 4:1 8:9223372036854775808 4:0 8:0", "more numbers than there can be"},
    {HEAD(1, 0) "s:a 4:1 8:9223372036854775807 4:0 8:0", "no whole blocks"},
    {HEAD(1, 0) VECTOR("a", 32, 4, 0), "no type 4 of numbers"},
    {HEAD(1, 0) VECTOR("a", 48, 8, 0), "no whole blocks of 32"},
    {HEAD(1, 0) MATRIX("a", 48, 2, 8, 0) "z:100", "no whole blocks of 32"},
    {HEAD(1, 0) VECTOR("a", 1, 0, 0), "truncated"},
    {HEAD(1, 0) VECTOR("a", 8, 0, 0) "z:7 z:31", "it is truncated"},
    {HEAD(1, 0) VECTOR("a", 1, 0, 4) "z:100", "no multiple of 32"},
    {HEAD(1, 0) VECTOR("a", 1, 0, 9223372036854775808) "z:100", "it is truncated"},
    {HEAD(1, 0) VECTOR("a", 1, 0, 18446744073709551584) "z:100", "it is truncated"},
    {HEAD(2, 0) VECTOR("a", 16, 0, 0) VECTOR("b", 8, 0, 32) "z:200", "\"a\" and \"b\" overlap"},
    {HEAD(2, 0) VECTOR("a", 8, 0, 0) VECTOR("b", 8, 0, 0) "z:200", "overlap"},
    {HEAD(2, 0) VECTOR("a", 8, 0, 0) VECTOR("a", 8, 0, 32) "z:200", "\"a\" is there twice"},
    {HEAD(0, 1) "s:general.alignment 4:4 4:0", "general.alignment is 0"},
    {HEAD(0, 1) "s:general.alignment 4:4 4:48", "general.alignment is 48"},
    {HEAD(0, 1) "s:general.alignment 4:4 4:2147483648", "general.alignment is"},
};

START_TEST(a_file_that_lies_is_refused)
{
    struct text bytes = make_file(lies[_i].script);
    struct gguf file;

    ck_assert_msg(gguf_parse(&file, bytes.data, bytes.length, "weights", &err) == -1, "accepted, not \"%s\"",
                  lies[_i].said);
    ck_assert_msg(strstr(err.message, lies[_i].said) && strstr(err.message, "weights"),
                  "\"%s\" without \"%s\"", err.message, lies[_i].said);
    ck_assert_ptr_null(file.items);
    ck_assert_ptr_null(file.metadata);
    free(bytes.data);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
    struct text bytes =
        make_file(HEAD(1, 2) "s:a 4:8 s:text s:b 4:9 4:8 8:2 s:x s:y " MATRIX("t", 2, 3, 0, 0) "z:55");
    struct gguf file;
    size_t whole;

    ck_assert_msg(gguf_parse(&file, bytes.data, bytes.length, "weights", &err) == 0, "%s", err.message);
    whole = (size_t)(file.items[0].bytes + file.items[0].length - (unsigned char *)bytes.data);
    gguf_close(&file);
    for (size_t cut = 0; cut < whole; cut++) {
        char *part = xmalloc(cut);

        memcpy(part, bytes.data, cut);
        ck_assert_msg(gguf_parse(&file, part, cut, "weights", &err) == -1, "%zu bytes were enough", cut);
        free(part);
    }
    free(bytes.data);
}
END_TEST

START_TEST(values_of_every_type_are_read)
{
    struct text bytes =
        make_file(HEAD(0, 12) "s:u8 4:0 1:255 s:i8 4:1 1:255 s:u16 4:2 2:65535 s:i16 4:3 2:65535 "
                              "s:u32 4:4 4:4294967295 s:i32 4:5 4:4294967295 s:f32 4:6 4:0x3fc00000 "
                              "s:truth 4:7 1:1 s:u64 4:10 8:65536 s:i64 4:11 8:18446744073709551615 "
                              "s:f64 4:12 8:0x3ff8000000000000 s:list 4:9 4:5 8:2 4:1 4:4294967295");
    static const struct {
        const char *key;
        double value;
    } expected[] = {{"u8", 255},           {"i8", -1},  {"u16", 65535}, {"i16", -1},
                    {"u32", 4294967295.0}, {"i32", -1}, {"f32", 1.5},   {"truth", 1},
                    {"u64", 65536},        {"i64", -1}, {"f64", 1.5}};
    const struct node *list;
    struct gguf file;

    ck_assert_msg(gguf_parse(&file, bytes.data, bytes.length, "weights", &err) == 0, "%s", err.message);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        ck_assert_double_eq(node_number(file.metadata, expected[i].key, NAN), expected[i].value);
    list = node_get(file.metadata, "list");
    ck_assert_int_eq(list->count, 2);
    ck_assert_double_eq(list->last->number, -1);
    gguf_close(&file);
    free(bytes.data);
}
END_TEST

/* Of 2 rows of 3 numbers ggml writes the dimensions 3, 2. */
START_TEST(dimensions_are_turned_around)
{
    struct text bytes = make_file(HEAD(1, 1) "s:general.alignment 4:4 4:8 " MATRIX(
        "t", 3, 2, 0, 8) "z:6 z:8 4:0x3f800000 z:20"); /* a header of 98 bytes */
    struct gguf file;
    float out[6];

    ck_assert_msg(gguf_parse(&file, bytes.data, bytes.length, "weights", &err) == 0, "%s", err.message);
    ck_assert_int_eq(file.items[0].rank, 2);
    ck_assert_int_eq(file.items[0].shape[0], 2);
    ck_assert_int_eq(file.items[0].shape[1], 3);
    ck_assert_int_eq(stored_floats(&file.items[0], out, 6, &err), 0);
    ck_assert_float_eq(out[0], 1);
    gguf_close(&file);
    free(bytes.data);
}
END_TEST

START_TEST(a_written_file_is_read_back)
{
    static const char *const texts[] = {"", "\xc4\xa0the"};
    static const int ints[] = {-1, 3};
    const float reals[] = {-0.5f, 1e30f};
    const int64_t shape[] = {2, 32}, three[] = {3};
    const struct number_type *q8 = number_type_find("Q8_0"), *f32 = number_type_find("F32");
    float numbers[64] = {[5] = 127, [40] = -254}, out[64];
    struct gguf_out made = {0};
    struct output to;
    struct gguf file;

    gguf_add_text(&made, "general.architecture", "llama");
    gguf_add_count(&made, "count", 4000000000u);
    gguf_add_real(&made, "real", 0.1f);
    gguf_add_truth(&made, "truth", 1);
    gguf_add_texts(&made, "texts", texts, 2);
    gguf_add_ints(&made, "ints", ints, 2);
    gguf_add_reals(&made, "reals", reals, 2);
    gguf_add_tensor(&made, "short", three, 1, f32);
    gguf_add_tensor(&made, "blocks", shape, 2, q8);
    ck_assert_int_eq(output_open(&to, PATH, &err), 0);
    gguf_write_header(&made, to.file);
    gguf_write_tensor(to.file, f32, numbers + 4, 3);
    gguf_write_tensor(to.file, q8, numbers, 64);
    ck_assert_int_eq(output_close(&to, &err), 0);
    gguf_free(&made);
    ck_assert_msg(gguf_open(&file, PATH, &err) == 0, "%s", err.message);
    ck_assert_str_eq(node_text(file.metadata, "general.architecture", ""), "llama");
    ck_assert_double_eq(node_number(file.metadata, "count", 0), 4000000000.0);
    ck_assert_double_eq(node_number(file.metadata, "real", 0), 0.1f);
    ck_assert_int_eq(node_get(file.metadata, "truth")->kind, NODE_BOOL);
    ck_assert_str_eq(node_get(file.metadata, "texts")->last->text, texts[1]);
    ck_assert_double_eq(node_get(file.metadata, "ints")->first->number, -1);
    ck_assert_double_eq(node_get(file.metadata, "reals")->last->number, 1e30f);
    ck_assert_str_eq(file.items[0].name, "blocks");
    ck_assert_int_eq(file.items[0].shape[1], 32);
    ck_assert_int_eq((file.items[0].bytes - file.mapping) % 32, 0);
    ck_assert_int_eq(stored_floats(&file.items[0], out, 64, &err), 0);
    ck_assert_int_eq(memcmp(out, numbers, sizeof out), 0);
    ck_assert_int_eq(stored_floats(&file.items[1], out, 3, &err), 0);
    ck_assert_float_eq(out[1], 127);
    gguf_close(&file);
}
END_TEST

START_TEST(files_that_are_none_are_refused)
{
    struct gguf file;

    ck_assert_int_eq(gguf_open(&file, "test_gguf.missing", &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "test_gguf.missing"));
    ck_assert_int_eq(gguf_open(&file, ".", &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "no file"));
    ck_assert_int_eq(file_write(PATH, "", 0, &err), 0);
    ck_assert_int_eq(gguf_open(&file, PATH, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "empty"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("gguf");
    TCase *hostile = tcase_create("hostile"), *sound = tcase_create("sound");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(hostile, a_file_that_lies_is_refused, 0, (int)(sizeof lies / sizeof *lies));
    tcase_add_test(hostile, every_truncation_is_refused);
    tcase_add_test(hostile, files_that_are_none_are_refused);
    tcase_add_test(sound, values_of_every_type_are_read);
    tcase_add_test(sound, dimensions_are_turned_around);
    tcase_add_test(sound, a_written_file_is_read_back);
    tcase_add_checked_fixture(hostile, clean, clean);
    tcase_add_checked_fixture(sound, clean, clean);
    suite_add_tcase(suite, hostile);
    suite_add_tcase(suite, sound);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
