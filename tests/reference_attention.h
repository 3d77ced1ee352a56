/* Attention in double precision, both directions, that tests of the kernels compare with. */
#ifndef TESTS_REFERENCE_ATTENTION_H
#define TESTS_REFERENCE_ATTENTION_H

#include "tests/test_kernels.h"

/* Rows of lengths `length`, end to end. */
struct sizes {
    int rows, heads, kv_heads, head_size, start[16];
    double cap; /* 0: none */
};

static inline struct sizes sizes_of(int heads, int kv_heads, int head_size, int rows, const int *length) {
    struct sizes s = {rows, heads, kv_heads, head_size, {0}, 0};

    for (int r = 0; r < rows; r++) s.start[r + 1] = s.start[r] + length[r];
    return s;
}

static inline int width_of(const struct sizes *s) {
    return (s->heads + 2 * s->kv_heads) * s->head_size;
}

static inline int tokens_of(const struct sizes *s) {
    return s->start[s->rows];
}

static inline size_t ins_of(const struct sizes *s) {
    return (size_t)tokens_of(s) * width_of(s);
}

static inline size_t outs_of(const struct sizes *s) {
    return (size_t)tokens_of(s) * s->heads * s->head_size;
}

static inline size_t sums_of(const struct sizes *s) {
    return (size_t)tokens_of(s) * s->heads;
}

/* The first key of a token's row under head h, and its value behind. */
static inline const double *key_of(const double *qkv, const struct sizes *s, int first, int h) {
    int kv = h / (s->heads / s->kv_heads);

    return qkv + (size_t)first * width_of(s) + (size_t)(s->heads + kv) * s->head_size;
}

static inline double dot(const double *x, const double *y, int count, int absolute) {
    double sum = 0;

    for (int d = 0; d < count; d++) sum += absolute ? fabs(x[d] * y[d]) : x[d] * y[d];
    return sum;
}

static inline double reference_score(const double *q, const double *k, const struct sizes *s) {
    double score = dot(q, k, s->head_size, 0) / sqrt(s->head_size);

    return s->cap > 0 ? s->cap * tanh(score / s->cap) : score;
}

/* weight[t] of the row's keys up to token; returns the log of the sum. */
static inline double reference_weights(double *weight, const double *qkv, const struct sizes *s, int first,
                                       int token, int h) {
    int width = width_of(s), keys = token - first + 1;
    const double *q = qkv + (size_t)token * width + h * s->head_size, *k = key_of(qkv, s, first, h);
    double max = -INFINITY, sum = 0;

    for (int t = 0; t < keys; t++) {
        weight[t] = reference_score(q, k + (size_t)t * width, s);
        max = fmax(max, weight[t]);
    }
    for (int t = 0; t < keys; t++) sum += exp(weight[t] - max);
    for (int t = 0; t < keys; t++) weight[t] = exp(weight[t] - max) / sum;
    return max + log(sum);
}

/* One query against its row: out[head_size]; returns the log of the sum. */
static inline double reference_query(double *out, const double *qkv, const struct sizes *s, int first,
                                     int token, int h) {
    const double *v = key_of(qkv, s, first, h) + s->kv_heads * s->head_size;
    double *weight = malloc((token - first + 1) * sizeof *weight);
    double sum = reference_weights(weight, qkv, s, first, token, h);

    for (int d = 0; d < s->head_size; d++) out[d] = 0;
    for (int t = 0; t <= token - first; t++)
        for (int d = 0; d < s->head_size; d++) out[d] += weight[t] * v[(size_t)t * width_of(s) + d];
    free(weight);
    return sum;
}

/* out[T][heads][head_size], then logsum[T][heads]. */
static inline void reference_attention(double *out, const double *qkv, const void *sizes) {
    const struct sizes *s = sizes;
    double *logsum = out + outs_of(s);

    for (int r = 0; r < s->rows; r++)
        for (int t = s->start[r]; t < s->start[r + 1]; t++)
            for (int h = 0; h < s->heads; h++)
                logsum[t * s->heads + h] = reference_query(out + ((size_t)t * s->heads + h) * s->head_size,
                                                           qkv, s, s->start[r], t, h);
}

/* Gradients, and by how much they may be off where operands have the given roundoff: weights, slopes of
   scores, outs and the gradients themselves are rounded. */
struct gradients {
    double *want, *room; /* [T][width] */
};

static inline void reference_query_backward(const struct gradients *g, const double *qkv, const double *dout,
                                            const struct sizes *s, int first, int token, int h,
                                            double roundoff) {
    int size = s->head_size, width = width_of(s), keys = token - first + 1;
    size_t query = (size_t)token * width + h * size, key = key_of(qkv, s, first, h) - qkv;
    double *weight = malloc(keys * sizeof *weight), *out = malloc(size * sizeof *out), mean, off;

    reference_query(out, qkv, s, first, token, h);
    reference_weights(weight, qkv, s, first, token, h);
    mean = dot(dout, out, size, 0);
    off = roundoff * dot(dout, out, size, 1);
    for (int t = 0; t < keys; t++, key += width) {
        size_t value = key + s->kv_heads * size;
        double share = s->cap > 0 ? reference_score(qkv + query, qkv + key, s) / s->cap : 0;
        double by = weight[t] * (1 - share * share) / sqrt(size);
        double slope = by * (dot(dout, qkv + value, size, 0) - mean);
        double slope_off = roundoff * fabs(slope) + (1 + roundoff) * by * off;

        for (int d = 0; d < size; d++) {
            g->want[query + d] += slope * qkv[key + d];
            g->room[query + d] += slope_off * fabs(qkv[key + d]);
            g->want[key + d] += slope * qkv[query + d];
            g->room[key + d] += slope_off * fabs(qkv[query + d]);
            g->want[value + d] += weight[t] * dout[d];
            g->room[value + d] += roundoff * weight[t] * fabs(dout[d]);
        }
    }
    free(weight);
    free(out);
}

static inline struct gradients reference_backward(const double *qkv, const double *dout,
                                                  const struct sizes *s, double roundoff) {
    struct gradients g = {calloc(ins_of(s) + 1, sizeof *g.want), calloc(ins_of(s) + 1, sizeof *g.room)};

    for (int r = 0; r < s->rows; r++)
        for (int t = s->start[r]; t < s->start[r + 1]; t++)
            for (int h = 0; h < s->heads; h++)
                reference_query_backward(&g, qkv, dout + ((size_t)t * s->heads + h) * s->head_size, s,
                                         s->start[r], t, h, roundoff);
    for (size_t i = 0; i < ins_of(s); i++) g.room[i] += roundoff * (fabs(g.want[i]) + g.room[i]);
    return g;
}

#endif
