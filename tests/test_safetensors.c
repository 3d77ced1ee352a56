/* What is written is read back to the bit; every way in which a file can lie is refused by name. */
#include "models/safetensors.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "models/checkpoint.h"

#define PATH "test_safetensors.tmp"

static struct error err;

static void clean(void) {
    unlink(PATH);
}

/* A file of this header, whose length is told as `claimed`, and `data` bytes of 0, 1, 2, …; caller frees. */
static unsigned char *make_file(const char *header, uint64_t claimed, size_t data, size_t *length) {
    size_t size = strlen(header);
    unsigned char *bytes = xmalloc(8 + size + data);

    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(claimed >> 8 * i);
    memcpy(bytes + 8, header, size);
    for (size_t i = 0; i < data; i++) bytes[8 + size + i] = (unsigned char)i;
    *length = 8 + size + data;
    return bytes;
}

static void check_refused(const void *bytes, size_t length, const char *said) {
    struct safetensors file;

    ck_assert_msg(safetensors_parse(&file, bytes, length, "weights", &err) == -1, "accepted, not \"%s\"",
                  said);
    ck_assert_msg(strstr(err.message, said) && strstr(err.message, "weights"), "\"%s\" without \"%s\"",
                  err.message, said);
    ck_assert_int_eq(file.count, 0);
    ck_assert_ptr_null(file.items);
}

#define F32(name, shape, begin, end)                                                                         \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," #end "]}"

static const struct {
    const char *header;
    size_t data;
    const char *said;
} lies[] = {
    {"{" F32("a", "2", 4, 12) "}", 12, "hole"},
    {"{" F32("a", "1", 0, 4) "," F32("b", "1", 8, 12) "}", 12, "hole"},
    {"{" F32("a", "2", 0, 8) "," F32("b", "2", 4, 12) "}", 12, "overlap"},
    {"{" F32("a", "2", 0, 8) "," F32("b", "2", 0, 8) "}", 8, "overlap"},
    {"{" F32("a", "2", 0, 8) "}", 9, "belong to none"},
    {"{}", 4, "belong to none"},
    {"{" F32("a", "2", 0, 8) "}", 7, "truncated"},
    {"{" F32("a", "2", 0, 8) "}", 0, "truncated"},
    {"{" F32("a", "3", 0, 8) "}", 8, "do not make up"},
    {"{" F32("a", "2,0", 0, 8) "}", 8, "do not make up"},
    {"{" F32("a", "4294967296,4294967296", 0, 0) "}", 0, "do not make up"},
    {"{" F32("a", "4611686018427387904,4", 0, 0) "}", 0, "not a size"},
    {"{" F32("a", "2147483648,2147483648,4", 0, 0) "}", 0, "do not make up"},
    {"{" F32("a", "2", 8, 0) "}", 8, "increasing"},
    {"{" F32("a", "2", 0, 9223372036854775808) "}", 8, "increasing"},
    {"{" F32("a", "2", 0, 18446744073709551616) "}", 8, "increasing"},
    {"{" F32("a", "2", -8, 0) "}", 8, "increasing"},
    {"{" F32("a", "2", 0, 8.5) "}", 8, "increasing"},
    {"{" F32("a", "-2", 0, 8) "}", 8, "not a size"},
    {"{" F32("a", "9223372036854775808", 0, 8) "}", 8, "not a size"},
    {"{" F32("a", "1.5", 0, 8) "}", 8, "not a size"},
    {"{" F32("a", "\"2\"", 0, 8) "}", 8, "not a size"},
    {"{" F32("a", "1,1,1,1,1,1,1,1,2", 0, 8) "}", 8, "9 dimensions"},
    {"{" F32("a", "2", 0, 8) "," F32("a", "0", 8, 8) "}", 8, "a"},
    {"{\"a\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype"},
    {"{\"a\":{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype"},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1, "do not make up"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "exactly"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"more\":1}}", 8, "exactly"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8, "shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4,8]}}", 8, "increasing"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":8}}", 8, "increasing"},
    {"{\"a\":{\"dtype\":\"F32\",\"form\":[2],\"data_offsets\":[0,8]}}", 8, "shape"},
    {"{\"a\":[]}", 0, "exactly"},
    {"{\"a\":null}", 0, "exactly"},
    {"{\"__metadata__\":7}", 0, "not a map"},
    {"{\"__metadata__\":{\"format\":7}}", 0, "not a string"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__"},
    {"{\"a\":", 0, "JSON"},
    {"{} x", 0, "text follows"},
    {" {}", 0, "begin with {"},
    {"[]", 0, "begin with {"},
    {"{\"\xff\":1}", 0, "UTF-8"},
    {"{\"a\\u0000b\":{}}", 0, "u0000"},
};

START_TEST(a_header_that_lies_is_refused)
{
    size_t length;
    unsigned char *bytes = make_file(lies[_i].header, strlen(lies[_i].header), lies[_i].data, &length);

    check_refused(bytes, length, lies[_i].said);
    free(bytes);
}
END_TEST

START_TEST(a_header_length_that_lies_is_refused)
{
    static const struct {
        uint64_t claimed;
        const char *said;
    } cases[] = {{0, "begin with {"},
                 {1, "JSON"},
                 {3, "file has"},
                 {100000001, "at most"},
                 {(uint64_t)1 << 63, "at most"},
                 {UINT64_MAX, "at most"},
                 {UINT64_MAX - 7, "at most"}};
    size_t length;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char *bytes = make_file("{}", cases[i].claimed, 0, &length);

        check_refused(bytes, length, cases[i].said);
        free(bytes);
    }
}
END_TEST

START_TEST(every_truncation_is_refused)
{
    const char *header = "{" F32("a", "1", 0, 4) "," F32("b", "2", 4, 12) "}";
    size_t length;
    unsigned char *bytes = make_file(header, strlen(header), 12, &length);
    struct safetensors file;

    for (size_t cut = 0; cut < length; cut++) {
        unsigned char *part = xmalloc(cut);

        memcpy(part, bytes, cut);
        ck_assert_int_eq(safetensors_parse(&file, part, cut, "weights", &err), -1);
        free(part);
    }
    ck_assert_int_eq(safetensors_parse(&file, bytes, length, "weights", &err), 0);
    safetensors_close(&file);
    free(bytes);
}
END_TEST

START_TEST(a_deep_header_is_refused)
{
    struct text header = {0};
    unsigned char *bytes;
    size_t length;

    text_add(&header, "{\"a\":", 5);
    for (int i = 0; i < 100000; i++) text_add(&header, "[", 1);
    bytes = make_file(header.data, header.length, 0, &length);
    check_refused(bytes, length, "deep");
    free(bytes);
    free(header.data);
}
END_TEST

START_TEST(odd_but_legal_files_are_read)
{
    const char *header = "{" F32("b", "1", 0, 4) "," F32("empty", "3,0", 0, 0) "," F32(
        "scalar", "", 4, 8) ","
                            "\"a\":{\"data_offsets\":[8,11],\"shape\":[3],\"dtype\":\"U8\"},"
                            "\"__metadata__\":{\"format\":\"pt\"}}   ";
    size_t length;
    unsigned char *bytes = make_file(header, strlen(header), 11, &length);
    struct safetensors file;

    ck_assert_msg(safetensors_parse(&file, bytes, length, "weights", &err) == 0, "%s", err.message);
    ck_assert_int_eq(file.count, 4);
    ck_assert_str_eq(node_text(file.metadata, "format", ""), "pt");
    ck_assert_int_eq(safetensors_find(&file, "scalar")->rank, 0);
    ck_assert_uint_eq(safetensors_find(&file, "empty")->length, 0);
    ck_assert_uint_eq(safetensors_find(&file, "a")->bytes[0], 8);
    ck_assert_ptr_null(safetensors_find(&file, "c"));
    safetensors_close(&file);
    free(bytes);
}
END_TEST

START_TEST(a_written_file_is_laid_out_as_the_format_wants)
{
    const float wide[] = {1, 2, 3, 4, 5, 6}, narrow[] = {1.00390625f, 1.01171875f, NAN}; /* ties of bf16 */
    const struct number_type *f32 = number_type_find("F32"), *bf16 = number_type_find("BF16");
    const struct safetensor_out items[] = {
        {.name = "a", .rank = 1, .shape = {3}, .data = narrow, .type = bf16},
        {.name = "c", .rank = 0, .data = wide, .type = f32},
        {.name = "b\"", .rank = 2, .shape = {2, 3}, .data = wide, .type = f32}};
    struct node *metadata = node_new(NODE_MAP);
    struct safetensors file;
    float out[6];
    char *bytes;

    node_add_text(metadata, "format", "pt");
    ck_assert_msg(safetensors_write(PATH, items, 3, metadata, &err) == 0, "%s", err.message);
    bytes = file_read(PATH, NULL, &err);
    ck_assert_uint_eq((unsigned char)bytes[0] % 8, 0);
    ck_assert_ptr_nonnull(
        strstr(bytes + 8, "\"b\\\"\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}"));
    ck_assert_ptr_nonnull(
        strstr(bytes + 8, "\"a\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[28,34]}"));
    free(bytes);
    ck_assert_msg(safetensors_open(&file, PATH, &err) == 0, "%s", err.message);
    ck_assert_int_eq(stored_floats(safetensors_find(&file, "b\""), out, 6, &err), 0);
    ck_assert_int_eq(memcmp(out, wide, sizeof wide), 0);
    ck_assert_int_eq(stored_floats(safetensors_find(&file, "a"), out, 3, &err), 0);
    ck_assert_float_eq(out[0], 1);         /* down to even */
    ck_assert_float_eq(out[1], 1.015625f); /* up to even */
    ck_assert_float_nan(out[2]);
    safetensors_close(&file);
    node_free(metadata);
}
END_TEST

START_TEST(files_that_are_none_are_refused)
{
    struct safetensors file;

    ck_assert_int_eq(safetensors_open(&file, "test_safetensors.missing", &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "test_safetensors.missing"));
    ck_assert_int_eq(safetensors_open(&file, ".", &err), -1);
    ck_assert_int_eq(file_write(PATH, "", 0, &err), 0);
    ck_assert_int_eq(safetensors_open(&file, PATH, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "empty"));
    ck_assert_int_eq(file_write(PATH, "short", 5, &err), 0);
    ck_assert_int_eq(safetensors_open(&file, PATH, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "too few"));
}
END_TEST

START_TEST(a_checkpoint_comes_back_to_the_bit)
{
    float a[] = {0.1f, -0.0f, INFINITY}, b[] = {3};
    const struct checkpoint_item items[] = {{"a", a, 3}, {"b", b, 1}};
    struct node *state = node_new(NODE_MAP), *got;

    node_add_number(state, "step", 12);
    node_add_number(state, "beta", 0.1);
    ck_assert_int_eq(checkpoint_load(PATH, items, 2, &got, &err), 0);
    ck_assert_int_eq(checkpoint_save(PATH, items, 2, state, &err), 0);
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    ck_assert_msg(checkpoint_load(PATH, items, 2, &got, &err) == 1, "%s", err.message);
    ck_assert(a[0] == 0.1f && signbit(a[1]) && isinf(a[2]) && b[0] == 3);
    ck_assert_double_eq(node_number(got, "step", 0), 12);
    ck_assert_double_eq(node_number(got, "beta", 0), 0.1);
    node_free(got);
    node_free(state);
}
END_TEST

START_TEST(a_checkpoint_of_another_step_changes_nothing)
{
    float a[] = {1, 2}, b[] = {3};
    const struct checkpoint_item items[] = {{"a", a, 2}, {"b", b, 1}};
    const struct checkpoint_item longer[] = {{"b", b, 1}, {"a", a, 1}},
                                 renamed[] = {{"b", b, 1}, {"c", a, 2}};
    struct node *state = node_new(NODE_MAP), *got;

    ck_assert_int_eq(checkpoint_save(PATH, items, 2, state, &err), 0);
    b[0] = 7;
    ck_assert_int_eq(checkpoint_load(PATH, longer, 2, &got, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "\"a\""));
    ck_assert_int_eq(checkpoint_load(PATH, renamed, 2, &got, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "\"c\" is missing"));
    ck_assert_int_eq(checkpoint_load(PATH, items, 1, &got, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "2 arrays"));
    ck_assert_ptr_null(got);
    ck_assert_float_eq(b[0], 7);
    node_free(state);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("safetensors");
    TCase *hostile = tcase_create("hostile"), *sound = tcase_create("sound");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(hostile, a_header_that_lies_is_refused, 0, (int)(sizeof lies / sizeof *lies));
    tcase_add_test(hostile, a_header_length_that_lies_is_refused);
    tcase_add_test(hostile, every_truncation_is_refused);
    tcase_add_test(hostile, a_deep_header_is_refused);
    tcase_add_test(hostile, files_that_are_none_are_refused);
    tcase_add_test(sound, odd_but_legal_files_are_read);
    tcase_add_test(sound, a_written_file_is_laid_out_as_the_format_wants);
    tcase_add_test(sound, a_checkpoint_comes_back_to_the_bit);
    tcase_add_test(sound, a_checkpoint_of_another_step_changes_nothing);
    tcase_add_checked_fixture(hostile, clean, clean);
    tcase_add_checked_fixture(sound, clean, clean);
    suite_add_tcase(suite, hostile);
    suite_add_tcase(suite, sound);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
