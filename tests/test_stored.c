/* Numbers of every type come out of files as their formats define them, and go in to the nearest. */
#include "models/stored.h"

#include <check.h>
#include <math.h>
#include <string.h>

#include "harness/memory.h"

static struct error err;

/* The floats of one block of a type. */
static void read_block(const char *type, const unsigned char *bytes, float *out) {
    const struct number_type *found = number_type_find(type);
    const struct stored stored = {"x", found, 1, {found->count}, bytes, (size_t)found->bytes};

    ck_assert_msg(stored_floats(&stored, out, (size_t)found->count, &err) == 0, "%s", err.message);
}

START_TEST(floats_of_each_width_come_out)
{
    static const unsigned char minus_one[] = {0, 0, 0x80, 0xbf}, bf16[] = {0x80, 0x3f, 0x80, 0xff};
    static const unsigned char halves[] = {0x00, 0x3c, 0x01, 0x00, 0x00, 0xc0, 0xff,
                                           0x7b, 0x00, 0xfc, 0x01, 0x7e, 0x00, 0x80};
    const struct stored f16 = {"x", number_type_find("F16"), 1, {7}, halves, 14};
    float out[7];

    read_block("F32", minus_one, out);
    ck_assert_float_eq(out[0], -1);
    read_block("BF16", bf16, out);
    ck_assert_float_eq(out[0], 1);
    read_block("BF16", bf16 + 2, out);
    ck_assert_float_eq(out[0], -INFINITY);
    ck_assert_int_eq(stored_floats(&f16, out, 7, &err), 0);
    ck_assert_float_eq(out[0], 1);
    ck_assert_float_eq(out[1], 0x1p-24f);
    ck_assert_float_eq(out[2], -2);
    ck_assert_float_eq(out[3], 65504);
    ck_assert_float_eq(out[4], -INFINITY);
    ck_assert_float_nan(out[5]);
    ck_assert(out[6] == 0 && signbit(out[6]));
}
END_TEST

START_TEST(every_half_is_written_as_it_was_read)
{
    for (int bits = 0; bits < 65536; bits++) {
        unsigned char half[2] = {(unsigned char)bits, (unsigned char)(bits >> 8)}, back[2];
        float number = half_read(half);

        half_write(back, number);
        if (isnan(number))
            ck_assert_float_nan(half_read(back));
        else
            ck_assert_msg(memcmp(half, back, 2) == 0, "%04x became %02x%02x", bits, back[1], back[0]);
    }
}
END_TEST

START_TEST(halves_are_the_nearest_ones)
{
    static const struct {
        float number;
        int bits;
    } cases[] = {{1 + 0x1p-11f, 0x3c00},     /* a tie: to even, below */
                 {1 + 3 * 0x1p-11f, 0x3c02}, /* a tie: to even, above */
                 {1 + 0x1.002p-11f, 0x3c01}, /* beyond the tie */
                 {65519, 0x7bff},            /* still 65504 */
                 {65520, 0x7c00},            /* infinity */
                 {1e30f, 0x7c00},
                 {0x1p-25f, 0x0000},         /* half of the smallest: to even */
                 {0x1.8p-24f, 0x0002},       /* a tie of subnormals */
                 {0x1.ffep-15f, 0x03ff + 1}, /* rounds up to the smallest normal number */
                 {-2.5f, 0xc100}};
    unsigned char half[2];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        half_write(half, cases[i].number);
        ck_assert_msg((half[0] | half[1] << 8) == cases[i].bits, "%a: %02x%02x", cases[i].number, half[1],
                      half[0]);
    }
}
END_TEST

/* d = 0.5 as a half is 00 38, m = -1 is 00 bc. Byte j: the low nibble is number j, the high one j + 16. */
START_TEST(blocks_of_32_come_out_as_documented)
{
    unsigned char block[34] = {0x00, 0x38};
    float out[32];

    block[2] = 0xf3; /* q[0] = 3, q[16] = 15 */
    read_block("Q4_0", block, out);
    ck_assert_float_eq(out[0], 0.5f * (3 - 8));
    ck_assert_float_eq(out[16], 0.5f * (15 - 8));
    ck_assert_float_eq(out[1], 0.5f * -8);
    block[2] = 0x80; /* -128 */
    block[33] = 127;
    read_block("Q8_0", block, out);
    ck_assert_float_eq(out[0], -64);
    ck_assert_float_eq(out[31], 63.5f);
    memcpy(block, (unsigned char[]){0x00, 0x38, 0x00, 0xbc, 0xf3}, 5);
    read_block("Q4_1", block, out);
    ck_assert_float_eq(out[0], 0.5f * 3 - 1);
    ck_assert_float_eq(out[16], 0.5f * 15 - 1);
    memset(block, 0, sizeof block);
    memcpy(block, (unsigned char[]){0x00, 0x38, 0x01, 0, 0x01, 0, 0xf3}, 7); /* fifth bits of 0 and 16 */
    read_block("Q5_0", block, out);
    ck_assert_float_eq(out[0], 0.5f * (16 + 3 - 16));
    ck_assert_float_eq(out[16], 0.5f * (16 + 15 - 16));
    ck_assert_float_eq(out[1], 0.5f * -16);
    memcpy(block, (unsigned char[]){0x00, 0x38, 0x00, 0xbc, 0x00, 0, 0, 0x80, 0}, 9); /* of 31 */
    block[8 + 15] = 0xf0;
    read_block("Q5_1", block, out);
    ck_assert_float_eq(out[31], 0.5f * 31 - 1);
    ck_assert_float_eq(out[15], -1);
}
END_TEST

START_TEST(blocks_of_256_come_out_as_documented)
{
    unsigned char block[210] = {0x00, 0x38, 0x00, 0x34}; /* d 0.5, dmin 0.25 */
    float out[256];

    block[4] = 0xc0 | 5;       /* scale 0 is 5; its upper bits are those of scale 4 */
    block[8] = 0x40 | 7;       /* minimum 0 is 7; minimum 4's upper bits are 01 */
    block[12] = 0x2a;          /* low bits of scale 4: 10, of minimum 4: 2 */
    block[16] = 0xf9;          /* numbers 0 and 32 */
    block[16 + 64] = 0x30 | 4; /* numbers 128 and 160 */
    read_block("Q4_K", block, out);
    ck_assert_float_eq(out[0], 0.5f * 5 * 9 - 0.25f * 7);
    ck_assert_float_eq(out[32], 0); /* scale 1 and minimum 1 are 0 */
    ck_assert_float_eq(out[128], 0.5f * (48 + 10) * 4 - 0.25f * (16 + 2));
    memset(block, 0, sizeof block);
    block[209] = 0x38;                   /* d 0.5 */
    block[64 + 33] = 0xa0;               /* low bits of number 128 + 64 + 33 = 225: 10 */
    block[128 + 32 + 1] = 3 << 6;        /* its upper bits, of the fourth run of the second half */
    block[192 + 14] = (unsigned char)-3; /* its scale: 225 / 16 */
    read_block("Q6_K", block, out);
    ck_assert_float_eq(out[225], 0.5f * -3 * (48 + 10 - 32));
    ck_assert_float_eq(out[224], 0.5f * -3 * -32);
    ck_assert_float_eq(out[0], 0);
}
END_TEST

START_TEST(numbers_become_blocks_of_q8_0_to_the_nearest)
{
    float numbers[64] = {254, -127, 1.1f}, out[64];
    unsigned char bytes[68];

    number_type_find("Q8_0")->write(bytes, numbers, 2); /* d is 2 and 0 */
    number_type_find("Q8_0")->read(out, bytes, 2);
    ck_assert_float_eq(out[0], 254);
    ck_assert_float_eq(out[1], -128); /* -63.5 is rounded away from 0 */
    ck_assert_float_eq(out[2], 2);
    for (int i = 3; i < 64; i++) ck_assert_float_eq(out[i], 0);
}
END_TEST

START_TEST(what_cannot_be_read_is_refused)
{
    static const unsigned char bytes[84];
    const struct stored i32 = {"x", number_type_find("I32"), 1, {1}, bytes, 4},
                        f32 = {"x", number_type_find("F32"), 1, {1}, bytes, 4},
                        q2 = {"blk.0.ffn_up.weight", number_type_of_code(10), 1, {256}, bytes, 84};
    float out[256];

    ck_assert_int_eq(stored_floats(&i32, out, 1, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "of type I32: expected F32"));
    ck_assert_int_eq(stored_floats(&f32, out, 2, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "has 1 numbers: expected 2"));
    ck_assert_int_eq(stored_floats(&q2, out, 256, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "\"blk.0.ffn_up.weight\" is of type Q2_K"));
    ck_assert_ptr_null(number_type_find("F33"));
    ck_assert_ptr_null(number_type_of_code(4)); /* Q4_2, which ggml gave up */
    ck_assert_ptr_null(number_type_of_code(UINT32_MAX));
}
END_TEST

START_TEST(rows_are_whole_blocks)
{
    const struct number_type *q8 = number_type_find("Q8_0");

    ck_assert_int_eq(number_type_bytes(q8, 64, 128), 4 * 34);
    ck_assert_int_eq(number_type_bytes(q8, 48, 96), -1);
    ck_assert_int_eq(number_type_bytes(number_type_find("F64"), 1, INT64_MAX), -1);
    ck_assert_int_eq(number_type_bytes(number_type_find("F4"), 3, 3), -1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("stored");
    TCase *cases = tcase_create("numbers");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(cases, floats_of_each_width_come_out);
    tcase_add_test(cases, every_half_is_written_as_it_was_read);
    tcase_add_test(cases, halves_are_the_nearest_ones);
    tcase_add_test(cases, blocks_of_32_come_out_as_documented);
    tcase_add_test(cases, blocks_of_256_come_out_as_documented);
    tcase_add_test(cases, numbers_become_blocks_of_q8_0_to_the_nearest);
    tcase_add_test(cases, what_cannot_be_read_is_refused);
    tcase_add_test(cases, rows_are_whole_blocks);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
