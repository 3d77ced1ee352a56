#include "kernels/cpu/vector.h"

#define SLICE 64 /* columns that one thread adds up */

static void embed_token(float *out, const float *token, const float *position, int width) {
    if (!position) {
        memcpy(out, token, width * sizeof *out);
        return;
    }
    for (int i = 0; i < width; i++) out[i] = token[i] + position[i];
}

void CPU(embed)(float *out, const float *table, const float *positions, const int *token, const int *position,
                int count, int width) {
#pragma omp parallel for if (worth_threads((size_t)count * width))
    for (int t = 0; t < count; t++)
        embed_token(out + (size_t)t * width, table + (size_t)token[t] * width,
                    positions ? positions + (size_t)position[t] * width : NULL, width);
}

/* out[index[i]] += x[i], i ascending, in the columns from … to. */
static void scatter_columns(float *out, const float *x, const int *index, int count, int width, int from,
                            int to) {
    for (int i = 0; i < count; i++) {
        float *target = out + (size_t)index[i] * width;
        const float *source = x + (size_t)i * width;

        for (int c = from; c < to; c++) target[c] += source[c];
    }
}

void CPU(scatter_add)(float *out, const float *x, const int *index, int count, int width) {
#pragma omp parallel for if (worth_threads((size_t)count * width))
    for (int from = 0; from < width; from += SLICE)
        scatter_columns(out, x, index, count, width, from, from + SLICE < width ? from + SLICE : width);
}

void CPU(embed_backward)(float *dtable, float *dpositions, const float *dout, const int *token,
                         const int *position, int count, int width) {
    CPU(scatter_add)(dtable, dout, token, count, width);
    if (dpositions) CPU(scatter_add)(dpositions, dout, position, count, width);
}

void CPU(gather)(void *out, const void *x, const int *index, int count, size_t bytes) {
#pragma omp parallel for if (worth_threads(count * bytes / sizeof(float)))
    for (int i = 0; i < count; i++)
        memcpy((char *)out + (size_t)i * bytes, (const char *)x + (size_t)index[i] * bytes, bytes);
}
