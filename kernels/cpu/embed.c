#include "kernels/cpu/vector.h"

#define SLICE 64 /* columns that one thread adds up */

static void embed_token(float *out, const float *token, const float *position, int width, float scale) {
    for (int i = 0; i < width; i++) out[i] = scale * token[i];
    for (int i = 0; position && i < width; i++) out[i] += position[i];
}

void CPU(embed)(float *out, const float *table, const float *positions, const int *token, const int *position,
                int count, int width, float scale) {
#pragma omp parallel for if (worth_threads((size_t)count * width))
    for (int t = 0; t < count; t++)
        embed_token(out + (size_t)t * width, table + (size_t)token[t] * width,
                    positions ? positions + (size_t)position[t] * width : NULL, width, scale);
}

/* out[index[i]] += scale x[i], i ascending, in the columns from … to. */
static void scatter_columns(float *out, const float *x, const int *index, int count, int width, float scale,
                            int from, int to) {
    for (int i = 0; i < count; i++) {
        float *target = out + (size_t)index[i] * width;
        const float *source = x + (size_t)i * width;

        for (int c = from; c < to; c++) target[c] += scale * source[c];
    }
}

static void scatter(float *out, const float *x, const int *index, int count, int width, float scale) {
#pragma omp parallel for if (worth_threads((size_t)count * width))
    for (int from = 0; from < width; from += SLICE)
        scatter_columns(out, x, index, count, width, scale, from,
                        from + SLICE < width ? from + SLICE : width);
}

void CPU(scatter_add)(float *out, const float *x, const int *index, int count, int width) {
    scatter(out, x, index, count, width, 1);
}

void CPU(embed_backward)(float *dtable, float *dpositions, const float *dout, const int *token,
                         const int *position, int count, int width, float scale) {
    scatter(dtable, dout, token, count, width, scale);
    if (dpositions) scatter(dpositions, dout, position, count, width, 1);
}

void CPU(gather)(void *out, const void *x, const int *index, int count, size_t bytes) {
#pragma omp parallel for if (worth_threads(count * bytes / sizeof(float)))
    for (int i = 0; i < count; i++)
        memcpy((char *)out + (size_t)i * bytes, (const char *)x + (size_t)index[i] * bytes, bytes);
}
