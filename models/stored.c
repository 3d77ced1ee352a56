#include "models/stored.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static float from_bits(uint32_t bits) {
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t to_bits(float value) {
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint16_t read_16(const unsigned char *bytes) {
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static void write_16(unsigned char *bytes, uint32_t bits) {
    bytes[0] = (unsigned char)bits;
    bytes[1] = (unsigned char)(bits >> 8);
}

float half_read(const unsigned char *bytes) {
    uint16_t half = read_16(bytes);
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    int exponent = half >> 10 & 31, mantissa = half & 1023;

    if (exponent == 31) return from_bits(sign | 0x7f800000 | (uint32_t)mantissa << 13);
    if (exponent == 0) return (sign ? -1 : 1) * ldexpf((float)mantissa, -24);
    return from_bits(sign | (uint32_t)(exponent + 112) << 23 | (uint32_t)mantissa << 13);
}

/* Half of the last kept bit less one, plus that bit: up beyond the middle, at the middle up if it is odd. */
static uint32_t round_off(uint32_t bits, int dropped) {
    return (bits + (1u << (dropped - 1)) - 1 + (bits >> dropped & 1)) >> dropped;
}

void half_write(unsigned char *bytes, float number) {
    uint32_t sign = to_bits(number) >> 16 & 0x8000, size = to_bits(number) & 0x7fffffff;

    if (isnan(number))
        write_16(bytes, sign | 0x7e00);
    else if (size >= 0x477ff000) /* 65520 and more */
        write_16(bytes, sign | 0x7c00);
    else if (size < 0x38800000) /* below 2^-14: in steps of 2^-24 */
        write_16(bytes, sign | (uint32_t)lrintf(ldexpf(from_bits(size), 24)));
    else
        write_16(bytes, sign | round_off(size - (112u << 23), 13));
}

static void read_f32(float *out, const unsigned char *bytes, size_t blocks) {
    memcpy(out, bytes, blocks * sizeof *out);
}

static void write_f32(unsigned char *out, const float *numbers, size_t blocks) {
    memcpy(out, numbers, blocks * sizeof *numbers);
}

static void read_f16(float *out, const unsigned char *bytes, size_t blocks) {
    for (size_t i = 0; i < blocks; i++) out[i] = half_read(bytes + 2 * i);
}

static void write_f16(unsigned char *out, const float *numbers, size_t blocks) {
    for (size_t i = 0; i < blocks; i++) half_write(out + 2 * i, numbers[i]);
}

static void read_bf16(float *out, const unsigned char *bytes, size_t blocks) {
    for (size_t i = 0; i < blocks; i++) out[i] = from_bits((uint32_t)read_16(bytes + 2 * i) << 16);
}

/* A NaN stays one. */
static void write_bf16(unsigned char *out, const float *numbers, size_t blocks) {
    for (size_t i = 0; i < blocks; i++) {
        uint32_t bits = to_bits(numbers[i]);

        write_16(out + 2 * i, isnan(numbers[i]) ? bits >> 16 | 64 : round_off(bits, 16));
    }
}

static const struct number_type types[] = {
    {"F32", 0, 1, 4, read_f32, write_f32},
    {"F16", 1, 1, 2, read_f16, write_f16},
    {"BF16", 30, 1, 2, read_bf16, write_bf16},
    {"Q8_0", 8, 32, 34, read_q8_0, write_q8_0},
    {"Q4_0", 2, 32, 18, read_q4_0, NULL},
    {"Q4_1", 3, 32, 20, read_q4_1, NULL},
    {"Q5_0", 6, 32, 22, read_q5_0, NULL},
    {"Q5_1", 7, 32, 24, read_q5_1, NULL},
    {"Q4_K", 12, 256, 144, read_q4_k, NULL},
    {"Q6_K", 14, 256, 210, read_q6_k, NULL},
    /* Known by name and size. */
    {"Q2_K", 10, 256, 84, NULL, NULL},
    {"Q3_K", 11, 256, 110, NULL, NULL},
    {"Q5_K", 13, 256, 176, NULL, NULL},
    {"Q8_K", 15, 256, 292, NULL, NULL},
    {"IQ2_XXS", 16, 256, 66, NULL, NULL},
    {"IQ2_XS", 17, 256, 74, NULL, NULL},
    {"IQ3_XXS", 18, 256, 98, NULL, NULL},
    {"IQ1_S", 19, 256, 50, NULL, NULL},
    {"IQ4_NL", 20, 32, 18, NULL, NULL},
    {"IQ3_S", 21, 256, 110, NULL, NULL},
    {"IQ2_S", 22, 256, 82, NULL, NULL},
    {"IQ4_XS", 23, 256, 136, NULL, NULL},
    {"IQ1_M", 29, 256, 56, NULL, NULL},
    {"TQ1_0", 34, 256, 54, NULL, NULL},
    {"TQ2_0", 35, 256, 66, NULL, NULL},
    {"MXFP4", 39, 32, 17, NULL, NULL},
    {"I8", 24, 1, 1, NULL, NULL},
    {"I16", 25, 1, 2, NULL, NULL},
    {"I32", 26, 1, 4, NULL, NULL},
    {"I64", 27, 1, 8, NULL, NULL},
    {"F64", 28, 1, 8, NULL, NULL},
    {"BOOL", -1, 1, 1, NULL, NULL},
    {"U8", -1, 1, 1, NULL, NULL},
    {"U16", -1, 1, 2, NULL, NULL},
    {"U32", -1, 1, 4, NULL, NULL},
    {"U64", -1, 1, 8, NULL, NULL},
    {"C64", -1, 1, 8, NULL, NULL},
    {"F8_E5M2", -1, 1, 1, NULL, NULL},
    {"F8_E4M3", -1, 1, 1, NULL, NULL},
    {"F8_E8M0", -1, 1, 1, NULL, NULL},
    {"F8_E5M2FNUZ", -1, 1, 1, NULL, NULL},
    {"F8_E4M3FNUZ", -1, 1, 1, NULL, NULL},
    {"F6_E2M3", -1, 4, 3, NULL, NULL},
    {"F6_E3M2", -1, 4, 3, NULL, NULL},
    {"F4", -1, 2, 1, NULL, NULL},
};

const struct number_type *number_type_find(const char *name) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0) return &types[i];
    return NULL;
}

const struct number_type *number_type_of_code(uint32_t code) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].code >= 0 && (uint32_t)types[i].code == code) return &types[i];
    return NULL;
}

int64_t number_type_bytes(const struct number_type *type, int64_t row, int64_t numbers) {
    int64_t bytes;

    if (row % type->count || __builtin_mul_overflow(numbers / type->count, type->bytes, &bytes)) return -1;
    return bytes;
}

int stored_floats(const struct stored *stored, float *out, size_t count, struct error *err) {
    const struct number_type *type = stored->type;
    size_t blocks = stored->length / (size_t)type->bytes, numbers = blocks * (size_t)type->count;

    if (!type->read)
        return fail(err,
                    "tensor \"%s\" is of type %s: expected F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, "
                    "Q4_K or Q6_K",
                    stored->name, type->name);
    if (numbers != count)
        return fail(err, "tensor \"%s\" has %zu numbers: expected %zu", stored->name, numbers, count);
    type->read(out, stored->bytes, blocks);
    return 0;
}

int stored_by_name(const void *a, const void *b) {
    return strcmp(((const struct stored *)a)->name, ((const struct stored *)b)->name);
}

const char *shape_text(char buffer[200], const int64_t *shape, int rank) {
    int length = snprintf(buffer, 200, "[");

    for (int i = 0; i < rank; i++)
        length +=
            snprintf(buffer + length, (size_t)(200 - length), "%s%lld", i ? ", " : "", (long long)shape[i]);
    snprintf(buffer + length, (size_t)(200 - length), "]");
    return buffer;
}
