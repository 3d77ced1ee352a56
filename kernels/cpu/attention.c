#include "kernels/cpu/heads.h"

#include <omp.h>

#define QUERIES     64        /* whose scores exist at a time, at most, */
#define SCORES      (1 << 16) /* and about how many scores */
#define DEPTH       128       /* cells of values that stay near while all those queries pass */
#define PART_LENGTH 128       /* queries that are worth packing their keys again */

/* Some queries of a head, a multiple of TALL from the row's first on, and what they meet. */
struct span {
    const struct head *head;
    const float *keys, *values; /* packed by channels and by tokens */
    int from, count;
    int room; /* floats from a query's scores to the next's */
};

/* Keys that are seen by the TALL queries from t on, or by the last of them. */
static int seen_by(const struct span *span, int t) {
    return span->from + t + TALL;
}

static void score_span(float *scores, const float *queries, const struct span *span) {
    const int cells = CELLS(span->head->size), blocks = span->room / WIDTH;

    for (int b = 0; b < blocks; b += BROAD)
        for (int t = 0; t < span->count; t += TALL) {
            int seen = ROUND16(seen_by(span, t)) / WIDTH - b;
            struct cells product = {.out = scores + (size_t)t * span->room + b * WIDTH,
                                    .stride = span->room,
                                    .left = queries + (size_t)t * cells,
                                    .row = cells,
                                    .step = 1,
                                    .right = span->keys + (size_t)b * WIDTH * cells,
                                    .next = WIDTH,
                                    .block = (size_t)WIDTH * cells,
                                    .depth = cells};

            if (seen > 0) cells_multiply(&product, smaller(seen, BROAD));
        }
}

/* mixed[count][channels] = weights values */
static void mix_span(float *mixed, const float *weights, const struct span *span) {
    const int channels = ROUND16(span->head->size);

    for (int from = 0; from < span->from + span->count; from += DEPTH * PAIR)
        for (int t = 0; t < span->count; t += TALL) {
            int keys = seen_by(span, t) - from;
            struct cells product = {.out = mixed + (size_t)t * channels,
                                    .stride = channels,
                                    .left = weights + (size_t)t * span->room + from / PAIR,
                                    .row = span->room,
                                    .step = 1,
                                    .right = span->values + (size_t)from / PAIR * channels,
                                    .next = channels,
                                    .block = WIDTH,
                                    .depth = smaller(CELLS(keys), DEPTH),
                                    .add = from > 0};

            if (keys > 0) cells_multiply(&product, channels / WIDTH);
        }
}

/* Outputs [count][stride], logsums [count][heads]. */
static void attend(element *out, size_t stride, float *logsum, int heads, const struct span *span) {
    const struct head *head = span->head;
    int rows = ROUND_TALL(span->count), size = head->size, channels = ROUND16(size);
    float *scores = scratch_floats(SCRATCH_SCORES, (size_t)rows * span->room), sum[QUERIES], max;
    float *queries = scratch_floats(SCRATCH_QUERIES, (size_t)rows * (CELLS(size) + channels));
    float *mixed = queries + (size_t)rows * CELLS(size);

    pack_rows(queries, head->q + span->from * head->stride, head->stride, span->count, rows, size);
    score_span(scores, queries, span);
    for (int i = 0; i < span->count; i++) {
        sum[i] = softmax(scores + (size_t)i * span->room, span->from + i + 1, head->scale, head->cap, &max);
        logsum[(size_t)i * heads] = max + logf(sum[i]);
    }
    mix_span(mixed, scores, span);
    for (int i = 0; i < span->count; i++)
        narrow_row(out + i * stride, mixed + (size_t)i * channels, 1.0f / sum[i], size);
}

/* Queries of a row. */
struct part {
    int row, from, end;
};

/* How many queries from one on are attended to together. */
static int span_count(const struct part *part, int from) {
    int room = ROUND16(part->end), fit = smaller(QUERIES, SCORES / room / TALL * TALL);

    return smaller(fit > TALL ? fit : TALL, part->end - from);
}

/* All query heads that share key head kv. */
static void attend_group(element *out, float *logsum, const element *qkv, const struct shape *shape,
                         const struct part *part, int kv) {
    int group = shape->heads / shape->kv_heads, stride = shape->heads * shape->head_size;
    struct head head = head_of(qkv, shape, part->row, kv * group);
    float *keys = scratch_floats(SCRATCH_KEYS, (size_t)ROUND16(part->end) * CELLS(head.size));
    float *values = scratch_floats(SCRATCH_VALUES, (size_t)ROUND16(part->end) / PAIR * ROUND16(head.size));
    struct span span = {.head = &head, .keys = keys, .values = values};

    pack_channels(keys, head.k, head.stride, part->end, head.size);
    pack_tokens(values, head.v, head.stride, part->end, ROUND16(part->end), head.size);
    for (int h = kv * group; h < (kv + 1) * group; h++) {
        head = head_of(qkv, shape, part->row, h);
        for (span.from = part->from; span.from < part->end; span.from += span.count) {
            size_t token = shape->start[part->row] + span.from;

            span.count = span_count(part, span.from);
            span.room = ROUND16(span.from + span.count);
            attend(out + token * stride + (size_t)h * head.size, stride, logsum + token * shape->heads + h,
                   shape->heads, &span);
        }
    }
}

/* Part i of `parts` of a row, which cost about the same. */
static struct part part_of(const struct shape *shape, int row, int i, int parts) {
    int length = shape->start[row + 1] - shape->start[row];
    int from = (int)(length * sqrt((double)i / parts)) / TALL * TALL;
    int end = i + 1 < parts ? (int)(length * sqrt((double)(i + 1) / parts)) / TALL * TALL : length;

    return (struct part){row, from, end};
}

/* Few long rows are cut, so that all threads have work. */
static int parts_of(const struct shape *shape) {
    int tasks = shape->rows * shape->kv_heads, threads = omp_get_max_threads();
    int longest = shape->rows ? shape->start[shape->rows] / shape->rows : 0;

    if (tasks == 0 || threads == 1 || tasks >= 4 * threads) return 1;
    return smaller((4 * threads + tasks - 1) / tasks, longest / PART_LENGTH + 1);
}

void CPU(attention)(operand *out, float *logsum, const operand *qkv, const int *start, int rows, int heads,
                    int kv_heads, int head_size, float scale, float cap) {
    struct shape shape = {start, rows, heads, kv_heads, head_size, scale, cap};
    int parts = parts_of(&shape);
    const struct turn *turns = turns_of(&shape);

#pragma omp parallel for schedule(dynamic) if (worth_threads((size_t)start[rows] * heads * head_size))
    for (int task = 0; task < rows * parts * kv_heads; task++) {
        struct part part =
            part_of(&shape, turns[task / kv_heads / parts].row, parts - 1 - task / kv_heads % parts, parts);

        attend_group(out, logsum, qkv, &shape, &part, task % kv_heads);
    }
}
