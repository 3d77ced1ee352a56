#include "kernels/cpu/gemm.h"
#include "kernels/cpu/softmax.h"

#define QUERIES 48 /* whose scores exist at a time */

/* One head of one row: where its queries, keys and values lie, and the sizes. */
struct head {
    const element *q, *k, *v;
    size_t stride; /* elements from a token to the next in qkv */
    int length, size;
    float scale;
};

static void scale_to(element *out, const float *x, float factor, int count) {
    for (int i = 0; i < count; i++) out[i] = element_of(x[i] * factor);
}

/* Weights [queries][room] as one side of a product, rounded in place; by queries if step is 1, else by keys.
 */
static struct view weights_of(float *weights, size_t count, size_t row, size_t step) {
    round_weights(weights, count);
    return (struct view){weights, row, step, 0};
}

/* rows[count][keys] = left(count, depth) right, which is packed for packed_depth. */
static void product(float *out, size_t stride, int rows, int cols, int depth, struct view left,
                    const float *packed, int packed_depth) {
    CPU(gemm_serial)
    (&(struct gemm){.out = out,
                    .stride = stride,
                    .rows = rows,
                    .cols = cols,
                    .depth = depth,
                    .left = left,
                    .packed = packed,
                    .packed_depth = packed_depth});
}

/* The head's keys or values packed so that head_size is the depth, one column a token. */
static float *pack_tokens(enum scratch kind, const struct head *head, const element *data) {
    float *packed = scratch_floats(kind, CPU(gemm_pack_size)(head->length, head->size));

    CPU(gemm_pack)(packed, &(struct view){data, head->stride, 1, 0}, head->length, head->size);
    return packed;
}

/* The same with the tokens as depth. */
static float *pack_channels(enum scratch kind, const struct head *head, const element *data) {
    float *packed = scratch_floats(kind, CPU(gemm_pack_size)(head->size, head->length));

    CPU(gemm_pack)(packed, &(struct view){data, 1, head->stride, 0}, head->size, head->length);
    return packed;
}

static int block_of(int length, int from) {
    return length - from < QUERIES ? length - from : QUERIES;
}

/* What the operations over whole rows have in common. */
struct shape {
    const int *start;
    int heads, kv_heads, head_size;
};

static int shape_width(const struct shape *shape) {
    return (shape->heads + 2 * shape->kv_heads) * shape->head_size;
}

/* Head h of row r. */
static struct head head_of(const element *qkv, const struct shape *shape, int r, int h) {
    size_t width = shape_width(shape);
    const element *row = qkv + shape->start[r] * width;
    int kv = h / (shape->heads / shape->kv_heads);

    return (struct head){.q = row + (size_t)h * shape->head_size,
                         .k = row + (size_t)(shape->heads + kv) * shape->head_size,
                         .v = row + (size_t)(shape->heads + shape->kv_heads + kv) * shape->head_size,
                         .stride = width,
                         .length = shape->start[r + 1] - shape->start[r],
                         .size = shape->head_size,
                         .scale = 1.0f / sqrtf((float)shape->head_size)};
}

/* Queries from … from + count - 1 of a head: outputs [count][stride], logsums [count][heads]. */
static void attend(element *out, size_t stride, float *logsum, int heads, const struct head *head,
                   const float *keys, const float *values, int from, int count) {
    int seen = from + count, room = ROUND16(seen), size = head->size;
    float *scores = scratch_floats(SCRATCH_SCORES, (size_t)count * (room + size)), sum[QUERIES], max;
    float *mixed = scores + (size_t)count * room;

    product(scores, room, count, seen, size, (struct view){head->q + from * head->stride, head->stride, 1, 0},
            keys, size);
    for (int i = 0; i < count; i++) {
        sum[i] = softmax(scores + (size_t)i * room, from + i + 1, room, head->scale, &max);
        logsum[(size_t)i * heads] = max + logf(sum[i]);
    }
    product(mixed, size, count, size, seen, weights_of(scores, (size_t)count * room, room, 1), values,
            head->length);
    for (int i = 0; i < count; i++) scale_to(out + i * stride, mixed + (size_t)i * size, 1.0f / sum[i], size);
}

/* All query heads that share key head kv of row r. */
static void attend_group(element *out, float *logsum, const element *qkv, const struct shape *shape, int r,
                         int kv) {
    int group = shape->heads / shape->kv_heads, stride = shape->heads * shape->head_size;
    struct head head = head_of(qkv, shape, r, kv * group);
    float *keys = pack_tokens(SCRATCH_KEYS, &head, head.k);
    float *values = pack_channels(SCRATCH_VALUES, &head, head.v);

    for (int h = kv * group; h < (kv + 1) * group; h++) {
        head = head_of(qkv, shape, r, h);
        for (int from = 0; from < head.length; from += QUERIES) {
            size_t token = shape->start[r] + from;

            attend(out + token * stride + (size_t)h * head.size, stride, logsum + token * shape->heads + h,
                   shape->heads, &head, keys, values, from, block_of(head.length, from));
        }
    }
}

void CPU(attention)(operand *out, float *logsum, const operand *qkv, const int *start, int rows, int heads,
                    int kv_heads, int head_size) {
    struct shape shape = {start, heads, kv_heads, head_size};

#pragma omp parallel for schedule(dynamic) if (worth_threads((size_t)start[rows] * heads * head_size))
    for (int task = 0; task < rows * kv_heads; task++)
        attend_group(out, logsum, qkv, &shape, task / kv_heads, task % kv_heads);
}

/* Where a head's gradients go and come from; the strides are those of qkv and out. */
struct head_slopes {
    element *dq;
    float *dk, *dv; /* [length][size] */
    const element *dout, *out;
    const float *logsum;
    size_t stride; /* of dout and out */
    int heads;     /* stride of logsum */
};

/* The scores of one query become probabilities, and the slopes of the probabilities those of the scores. */
static void softmax_backward(float *scores, float *slopes, int count, int room, float scale, float logsum,
                             float dot) {
    for (int i = 0; i < count; i++) scores[i] = exp_of(scores[i] * scale - logsum);
    for (int i = count; i < room; i++) scores[i] = 0;
    for (int i = 0; i < count; i++) slopes[i] = scores[i] * (slopes[i] - dot) * scale;
    for (int i = count; i < room; i++) slopes[i] = 0;
}

/* out[keys][size] += sum over the block's queries of weights[query][key] rows[query]. */
static void add_to_keys(float *out, struct view weights, const element *rows, size_t row_stride, int keys,
                        int size, int count) {
    CPU(gemm_serial)
    (&(struct gemm){.out = out,
                    .stride = (size_t)size,
                    .rows = keys,
                    .cols = size,
                    .depth = count,
                    .base = out,
                    .left = weights,
                    .right = {rows, 1, row_stride, 0}});
}

/* The sum over d of x[d] y[d]. */
static float dot_elements(const element *x, const element *y, int count) {
#ifdef BF16
    float *wide = scratch_floats(SCRATCH_ROW, 2 * (size_t)count);

    for (int d = 0; d < count; d++) wide[d] = float_of(x[d]);
    for (int d = 0; d < count; d++) wide[count + d] = float_of(y[d]);
    return dot_of(wide, wide + count, count);
#else
    return dot_of(x, y, count);
#endif
}

/* The head's packed sides: keys and values by token, keys by channel. */
struct packed_head {
    const float *keys, *values, *channels;
};

static void attend_backward(const struct head_slopes *slopes, const struct head *head,
                            const struct packed_head *packed, int from, int count) {
    int seen = from + count, room = ROUND16(seen), size = head->size;
    float *scores = scratch_floats(SCRATCH_SCORES, (size_t)count * (room + size));
    float *dscores = scratch_floats(SCRATCH_SLOPES, (size_t)count * room),
          *dq = scores + (size_t)count * room;
    const element *q = head->q + from * head->stride, *dout = slopes->dout + from * slopes->stride;
    const element *out = slopes->out + from * slopes->stride;
    struct view weights, dweights;

    product(scores, room, count, seen, size, (struct view){q, head->stride, 1, 0}, packed->keys, size);
    product(dscores, room, count, seen, size, (struct view){dout, slopes->stride, 1, 0}, packed->values,
            size);
    for (int i = 0; i < count; i++)
        softmax_backward(scores + (size_t)i * room, dscores + (size_t)i * room, from + i + 1, room,
                         head->scale, slopes->logsum[(size_t)(from + i) * slopes->heads],
                         dot_elements(dout + i * slopes->stride, out + i * slopes->stride, size));
    dweights = weights_of(dscores, (size_t)count * room, room, 1);
    product(dq, size, count, size, seen, dweights, packed->channels, head->length);
    for (int i = 0; i < count; i++)
        scale_to(slopes->dq + (from + i) * head->stride, dq + (size_t)i * size, 1, size);
    dweights.row = 1;
    dweights.step = room;
    weights = weights_of(scores, (size_t)count * room, 1, room);
    add_to_keys(slopes->dk, dweights, q, head->stride, seen, size, count);
    add_to_keys(slopes->dv, weights, dout, slopes->stride, seen, size, count);
}

static void store_rows(element *out, size_t stride, const float *rows, int count, int size) {
    for (int i = 0; i < count; i++) scale_to(out + i * stride, rows + (size_t)i * size, 1, size);
}

/* All query heads that share key head kv of row r; `of` points at the whole arrays. */
static void attend_group_backward(element *dqkv, const struct head_slopes *of, const element *qkv,
                                  const struct shape *shape, int r, int kv) {
    int group = shape->heads / shape->kv_heads;
    struct head head = head_of(qkv, shape, r, kv * group);
    struct packed_head packed = {.keys = pack_tokens(SCRATCH_KEYS, &head, head.k),
                                 .values = pack_tokens(SCRATCH_VALUES, &head, head.v),
                                 .channels = pack_channels(SCRATCH_OUTS, &head, head.k)};
    size_t sums = (size_t)head.length * head.size;
    float *dk = scratch_floats(SCRATCH_SUMS, 2 * sums), *dv = dk + sums;

    memset(dk, 0, 2 * sums * sizeof *dk);
    for (int h = kv * group; h < (kv + 1) * group; h++) {
        size_t token = shape->start[r], at = token * of->stride + (size_t)h * head.size;
        struct head_slopes slopes = *of;

        head = head_of(qkv, shape, r, h);
        slopes.dq = dqkv + (head.q - qkv);
        slopes.dk = dk;
        slopes.dv = dv;
        slopes.dout += at;
        slopes.out += at;
        slopes.logsum += token * shape->heads + h;
        for (int from = 0; from < head.length; from += QUERIES)
            attend_backward(&slopes, &head, &packed, from, block_of(head.length, from));
    }
    store_rows(dqkv + (head.k - qkv), head.stride, dk, head.length, head.size);
    store_rows(dqkv + (head.v - qkv), head.stride, dv, head.length, head.size);
}

void CPU(attention_backward)(operand *dqkv, const operand *dout, const operand *qkv, const operand *out,
                             const float *logsum, const int *start, int rows, int heads, int kv_heads,
                             int head_size) {
    struct shape shape = {start, heads, kv_heads, head_size};
    struct head_slopes slopes = {
        .dout = dout, .out = out, .logsum = logsum, .stride = (size_t)heads * head_size, .heads = heads};

#pragma omp parallel for schedule(dynamic) if (worth_threads((size_t)start[rows] * heads * head_size))
    for (int task = 0; task < rows * kv_heads; task++)
        attend_group_backward(dqkv, &slopes, qkv, &shape, task / kv_heads, task % kv_heads);
}
