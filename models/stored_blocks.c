#include <math.h>

#include "models/stored.h"

/* Low nibbles are the first half of a block, high ones the second. */
static void read_nibbles(int *out, const unsigned char *bytes, int count) {
    for (int i = 0; i < count; i++) {
        out[i] = bytes[i] & 15;
        out[i + count] = bytes[i] >> 4;
    }
}

/* The fifth bit of each of 32 numbers. */
static void add_fifth_bits(int *q, const unsigned char *bytes) {
    for (int i = 0; i < 32; i++) q[i] |= (bytes[i / 8] >> i % 8 & 1) << 4;
}

void read_q8_0(float *out, const unsigned char *bytes, size_t blocks) {
    for (size_t b = 0; b < blocks; b++, bytes += 34, out += 32) {
        float d = half_read(bytes);

        for (int i = 0; i < 32; i++) out[i] = d * (float)(signed char)bytes[2 + i];
    }
}

void read_q4_0(float *out, const unsigned char *bytes, size_t blocks) {
    int q[32];

    for (size_t b = 0; b < blocks; b++, bytes += 18, out += 32) {
        float d = half_read(bytes);

        read_nibbles(q, bytes + 2, 16);
        for (int i = 0; i < 32; i++) out[i] = d * (float)(q[i] - 8);
    }
}

void read_q4_1(float *out, const unsigned char *bytes, size_t blocks) {
    int q[32];

    for (size_t b = 0; b < blocks; b++, bytes += 20, out += 32) {
        float d = half_read(bytes), m = half_read(bytes + 2);

        read_nibbles(q, bytes + 4, 16);
        for (int i = 0; i < 32; i++) out[i] = d * (float)q[i] + m;
    }
}

void read_q5_0(float *out, const unsigned char *bytes, size_t blocks) {
    int q[32];

    for (size_t b = 0; b < blocks; b++, bytes += 22, out += 32) {
        float d = half_read(bytes);

        read_nibbles(q, bytes + 6, 16);
        add_fifth_bits(q, bytes + 2);
        for (int i = 0; i < 32; i++) out[i] = d * (float)(q[i] - 16);
    }
}

void read_q5_1(float *out, const unsigned char *bytes, size_t blocks) {
    int q[32];

    for (size_t b = 0; b < blocks; b++, bytes += 24, out += 32) {
        float d = half_read(bytes), m = half_read(bytes + 2);

        read_nibbles(q, bytes + 8, 16);
        add_fifth_bits(q, bytes + 4);
        for (int i = 0; i < 32; i++) out[i] = d * (float)q[i] + m;
    }
}

/* Eight 6-bit scales and eight 6-bit minima in 12 bytes: of the first four the low 6 bits of a byte; of the
 * others 4 bits of the last four bytes and the upper 2 of the first eight. */
static void read_scales(int scale[8], int least[8], const unsigned char *bytes) {
    for (int i = 0; i < 4; i++) {
        scale[i] = bytes[i] & 63;
        least[i] = bytes[4 + i] & 63;
        scale[4 + i] = (bytes[8 + i] & 15) | bytes[i] >> 6 << 4;
        least[4 + i] = bytes[8 + i] >> 4 | bytes[4 + i] >> 6 << 4;
    }
}

/* d, dmin, 12 bytes of scales, 128 of nibbles: 8 runs of 32 numbers, two to each 32 bytes. */
void read_q4_k(float *out, const unsigned char *bytes, size_t blocks) {
    int scale[8], least[8], q[64];

    for (size_t b = 0; b < blocks; b++, bytes += 144) {
        float d = half_read(bytes), dmin = half_read(bytes + 2);

        read_scales(scale, least, bytes + 4);
        for (int run = 0; run < 8; run++, out += 32) {
            float step = d * (float)scale[run], low = dmin * (float)least[run];

            if (run % 2 == 0) read_nibbles(q, bytes + 16 + 16 * run, 32);
            for (int i = 0; i < 32; i++) out[i] = step * (float)q[run % 2 * 32 + i] - low;
        }
    }
}

/* 128 bytes of low nibbles, 64 of upper pairs of bits, 16 signed scales, d. Each half of the block, 128
 * numbers, has its own 64, 32 and 8 bytes of them. */
void read_q6_k(float *out, const unsigned char *bytes, size_t blocks) {
    for (size_t b = 0; b < blocks; b++, bytes += 210) {
        const unsigned char *scales = bytes + 192;
        float d = half_read(bytes + 208);

        for (int i = 0; i < 256; i++) {
            int half = i / 128, in = i % 128, run = in / 32;
            int low = bytes[half * 64 + in % 64] >> in / 64 * 4 & 15;
            int high = bytes[128 + half * 32 + in % 32] >> 2 * run & 3;

            out[i] = d * (float)(signed char)scales[i / 16] * (float)((low | high << 4) - 32);
        }
        out += 256;
    }
}

void write_q8_0(unsigned char *out, const float *numbers, size_t blocks) {
    for (size_t b = 0; b < blocks; b++, out += 34, numbers += 32) {
        float most = 0, d, inverse;

        for (int i = 0; i < 32; i++) most = fmaxf(most, fabsf(numbers[i]));
        d = most / 127;
        inverse = d > 0 ? 1 / d : 0;
        half_write(out, d);
        for (int i = 0; i < 32; i++) out[2 + i] = (unsigned char)(signed char)roundf(numbers[i] * inverse);
    }
}
