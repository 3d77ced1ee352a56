/* How files store numbers: floats of several widths, and ggml's blocks of quantised ones. */
#ifndef MODELS_STORED_H
#define MODELS_STORED_H

#include <stddef.h>
#include <stdint.h>

#include "harness/error.h"

/* Numbers come in blocks: 32 numbers of Q4_1 are 20 bytes, 1 number of BF16 is 2. */
struct number_type {
    const char *name; /* as safetensors and GGUF spell it */
    int code;         /* ggml's; -1: GGUF has none such */
    int count, bytes; /* of a block */
    void (*read)(float *out, const unsigned char *bytes, size_t blocks);    /* NULL: no floats to be had */
    void (*write)(unsigned char *out, const float *numbers, size_t blocks); /* NULL: not written */
};

const struct number_type *number_type_find(const char *name); /* NULL: unknown */
const struct number_type *number_type_of_code(uint32_t code); /* ggml's */
/* Bytes of `numbers` numbers whose rows are `row` long (1: a single number); -1 if rows are no whole blocks,
 * or it is too much to count. */
int64_t number_type_bytes(const struct number_type *type, int64_t row, int64_t numbers);

/* An array in a file. */
struct stored {
    char *name;
    const struct number_type *type;
    int rank;
    int64_t shape[8];           /* the last one's numbers are neighbours */
    const unsigned char *bytes; /* into the file's mapping */
    size_t length;
};

/* count must be the array's. */
int stored_floats(const struct stored *stored, float *out, size_t count, struct error *err);
/* By name, for bsearch() and qsort(). */
int stored_by_name(const void *a, const void *b);
/* "[3, 4]" */
const char *shape_text(char buffer[200], const int64_t *shape, int rank);

/* ggml's blocks, as its documentation lays them out; 16-bit floats. */
void read_q8_0(float *out, const unsigned char *bytes, size_t blocks);
void read_q4_0(float *out, const unsigned char *bytes, size_t blocks);
void read_q4_1(float *out, const unsigned char *bytes, size_t blocks);
void read_q5_0(float *out, const unsigned char *bytes, size_t blocks);
void read_q5_1(float *out, const unsigned char *bytes, size_t blocks);
void read_q4_k(float *out, const unsigned char *bytes, size_t blocks);
void read_q6_k(float *out, const unsigned char *bytes, size_t blocks);
void write_q8_0(unsigned char *out, const float *numbers, size_t blocks);
float half_read(const unsigned char *bytes);
void half_write(unsigned char *bytes, float number); /* to nearest, ties to even */

#endif
