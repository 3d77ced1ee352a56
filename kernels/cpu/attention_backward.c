#include "kernels/cpu/heads.h"

#define QUERIES_BACK 64 /* of a tile, whose scores exist at a time */
#define KEYS_BACK    64
#define ROW_CELLS    (KEYS_BACK / PAIR)
#define TILE_CELLS   (QUERIES_BACK * ROW_CELLS) /* of weights or slopes */

/* A key head's packed sides: keys and values by channels, keys by tokens. */
struct packed_keys {
    const float *keys, *values, *tokens;
};

/* Up to QUERIES_BACK queries of a head from `from` on, filled up to `rows`, a multiple of TALL: their cells
   and those of the slopes of their outputs, by rows and by tokens, and the gradient they gather,
   [rows][channels]. */
struct queries {
    float *q, *dout, *q_tokens, *dout_tokens, *dq;
    float logsum[QUERIES_BACK], dot[QUERIES_BACK]; /* of dout and out */
    int from, count, rows, size;
};

/* Up to KEYS_BACK keys from `from` on, filled up to `rows`, and the gradients they gather, [rows][channels].
 */
struct keys {
    float *dk, *dv;
    int from, rows, fresh; /* fresh: nothing has been gathered yet */
};

/* What a tile of queries and keys passes through. */
struct tile_scores {
    float *scores, *dscores; /* [QUERIES_BACK][KEYS_BACK] */
    float *weights, *slopes; /* cells of PAIR queries [QUERIES_BACK / PAIR][KEYS_BACK] */
    float *rows;             /* slopes as cells of PAIR keys [QUERIES_BACK][ROW_CELLS] */
};

/* The tile's keys that the TALL queries from t on, or the last of them, see. */
static int tile_seen(const struct queries *queries, const struct keys *keys, int t) {
    return smaller(queries->from + t + TALL - keys->from, keys->rows);
}

/* out[queries][KEYS_BACK] = left right, where a query sees a key */
static void tile_product(float *out, const float *left, const float *right, const struct queries *queries,
                         const struct keys *keys) {
    const int cells = CELLS(queries->size);

    right += (size_t)keys->from * cells;
    for (int b = 0; b < KEYS_BACK / WIDTH; b += BROAD)
        for (int t = 0; t < queries->rows; t += TALL) {
            int seen = ROUND16(tile_seen(queries, keys, t)) / WIDTH - b;
            struct cells product = {.out = out + t * KEYS_BACK + b * WIDTH,
                                    .stride = KEYS_BACK,
                                    .left = left + (size_t)t * cells,
                                    .row = cells,
                                    .step = 1,
                                    .right = right + (size_t)b * WIDTH * cells,
                                    .next = WIDTH,
                                    .block = (size_t)WIDTH * cells,
                                    .depth = cells};

            if (seen > 0) cells_multiply(&product, smaller(seen, BROAD));
        }
}

#define KEY_VECS (TOGETHER / PAIR) /* whose weights are under way at a time */

/* Keys from `key` on of PAIR queries from t on, the first of which sees `seen` of the tile's: their weights
   are exp(scale score - logsum), and the slopes of the scores weight (dscore - dot) scale; with a cap of
   y = cap tanh(scale score / cap), exp(y - logsum) and that times 1 - (y / cap)². */
INLINE void tile_slopes(const struct tile_scores *tile, const struct queries *queries, float scale, float cap,
                        int t, int key, const int vecs, const int masked, int seen) {
    vec weight[KEY_VECS][PAIR], slope[KEY_VECS][PAIR], score[KEY_VECS][PAIR];

#pragma GCC unroll 4
    for (int v = 0; v < vecs; v++)
#pragma GCC unroll 2
        for (int i = 0; i < PAIR; i++)
            score[v][i] = vec_load(tile->scores + (size_t)(t + i) * KEYS_BACK + key + v * LANES);
#pragma GCC unroll 4
    for (int v = 0; v < vecs; v++)
#pragma GCC unroll 2
        for (int i = 0; i < PAIR; i++) {
            score[v][i] = cap > 0 ? capped_lanes(score[v][i], scale, cap) : score[v][i] * scale;
            weight[v][i] = score[v][i] - queries->logsum[t + i];
        }
#pragma GCC unroll 4
    for (int v = 0; v < vecs; v++)
#pragma GCC unroll 2
        for (int i = 0; i < PAIR; i++) weight[v][i] = vec_exp(weight[v][i]);
#pragma GCC unroll 4
    for (int v = 0; v < vecs; v++)
#pragma GCC unroll 2
        for (int i = 0; i < PAIR; i++) {
            int at = key + v * LANES;
            vec dscore = vec_load(tile->dscores + (size_t)(t + i) * KEYS_BACK + at);
            ivec lane = lanes_from(at);

            slope[v][i] = weight[v][i] * (dscore - queries->dot[t + i]) * scale;
            if (cap > 0) slope[v][i] *= vec_set(1) - score[v][i] / cap * (score[v][i] / cap);
            if (masked) weight[v][i] = keep_lanes(weight[v][i], lane, seen + i, vec_set(0));
            if (masked) slope[v][i] = keep_lanes(slope[v][i], lane, seen + i, vec_set(0));
            if (PAIR > 1)
                narrow_store((element *)(tile->rows + (size_t)(t + i) * ROW_CELLS) + at, slope[v][i]);
        }
#pragma GCC unroll 4
    for (int v = 0; v < vecs; v++) {
        size_t cell = (size_t)t / PAIR * KEYS_BACK + key + v * LANES;

        vec_store(tile->weights + cell, cells_of(weight[v]));
        vec_store(tile->slopes + cell, cells_of(slope[v]));
    }
}

static void tile_softmax(const struct tile_scores *tile, const struct queries *queries,
                         const struct keys *keys, const struct head *head) {
    for (int t = 0; t < queries->rows; t += PAIR) {
        int seen = queries->from + t + 1 - keys->from, room = tile_seen(queries, keys, t / TALL * TALL),
            key = 0;

        for (; key + KEY_VECS * LANES <= smaller(seen, room); key += KEY_VECS * LANES)
            tile_slopes(tile, queries, head->scale, head->cap, t, key, KEY_VECS, 0, seen);
        for (; key < room; key += LANES)
            tile_slopes(tile, queries, head->scale, head->cap, t, key, 1, 1, seen);
    }
}

/* dq[queries][channels] += slopes keys */
static void gather_queries(const struct queries *queries, const struct keys *keys, const float *rows,
                           const float *tokens) {
    const int channels = ROUND16(queries->size);

    for (int t = 0; t < queries->rows; t += TALL) {
        struct cells product = {.out = queries->dq + (size_t)t * channels,
                                .stride = channels,
                                .left = rows + (size_t)t * ROW_CELLS,
                                .row = ROW_CELLS,
                                .step = 1,
                                .right = tokens + (size_t)keys->from / PAIR * channels,
                                .next = channels,
                                .block = WIDTH,
                                .depth = CELLS(tile_seen(queries, keys, t)),
                                .add = keys->from > 0};

        cells_multiply(&product, channels / WIDTH);
    }
}

/* out[keys][channels] += weights' tokens, over the queries that see a key */
static void gather_keys(float *out, const struct queries *queries, const struct keys *keys,
                        const float *weights, const float *tokens) {
    const int channels = ROUND16(queries->size);

    for (int t = 0; t < keys->rows; t += TALL) {
        int first = queries->from < keys->from + t ? keys->from + t - queries->from : 0;
        struct cells product = {.out = out + (size_t)t * channels,
                                .stride = channels,
                                .left = weights + (size_t)first / PAIR * KEYS_BACK + t,
                                .row = 1,
                                .step = KEYS_BACK,
                                .right = tokens + (size_t)first / PAIR * channels,
                                .next = channels,
                                .block = WIDTH,
                                .depth = CELLS(queries->rows - first),
                                .add = !keys->fresh};

        cells_multiply(&product, channels / WIDTH);
    }
}

/* The sum over d of x[d] y[d]. */
static float dot_elements(const element *x, const element *y, int count) {
    vec part[PARTS] = {0};
    float lane[WIDTH];
    int i = 0;

    for (; i + WIDTH <= count; i += WIDTH)
        for (int p = 0; p < PARTS; p++)
            part[p] += wide_load(x + i + p * LANES) * wide_load(y + i + p * LANES);
    if (i == count) return parts_sum(part);
    for (int p = 0; p < PARTS; p++) vec_store(lane + p * LANES, part[p]);
    for (int l = 0; i + l < count; l++) lane[l] += float_of(x[i + l]) * float_of(y[i + l]);
    return lanes_sum(lane);
}

/* Where a head's gradients come from: dout and out, [length][stride], and logsum, [length][heads]. */
struct head_slopes {
    const element *dout, *out;
    const float *logsum;
    size_t stride;
    int heads;
};

static void bring_queries(struct queries *queries, const struct head *head,
                          const struct head_slopes *slopes) {
    const element *q = head->q + queries->from * head->stride;
    const element *dout = slopes->dout + queries->from * slopes->stride;
    const element *out = slopes->out + queries->from * slopes->stride;
    int count = queries->count, rows = queries->rows;

    pack_rows(queries->q, q, head->stride, count, rows, head->size);
    pack_rows(queries->dout, dout, slopes->stride, count, rows, head->size);
    pack_tokens(queries->q_tokens, q, head->stride, count, rows, head->size);
    pack_tokens(queries->dout_tokens, dout, slopes->stride, count, rows, head->size);
    for (int t = 0; t < rows; t++) {
        queries->logsum[t] =
            t < count ? slopes->logsum[(size_t)(queries->from + t) * slopes->heads] : INFINITY;
        queries->dot[t] =
            t < count ? dot_elements(dout + t * slopes->stride, out + t * slopes->stride, head->size) : 0;
    }
}

/* Some queries against all keys they see; dk and dv [tokens][channels]. */
static void attend_backward(const struct queries *queries, const struct head *head,
                            const struct packed_keys *packed, const struct tile_scores *tile, float *dk,
                            float *dv, int first_head) {
    int end = queries->from + queries->rows;

    for (int from = 0; from < end; from += KEYS_BACK) {
        size_t at = (size_t)from * ROUND16(head->size);
        struct keys keys = {dk + at, dv + at, from, smaller(KEYS_BACK, end - from), 0};

        keys.fresh = first_head && from == queries->from;
        tile_product(tile->scores, queries->q, packed->keys, queries, &keys);
        tile_product(tile->dscores, queries->dout, packed->values, queries, &keys);
        tile_softmax(tile, queries, &keys, head);
        gather_queries(queries, &keys, tile->rows, packed->tokens);
        gather_keys(keys.dk, queries, &keys, tile->slopes, queries->q_tokens);
        gather_keys(keys.dv, queries, &keys, tile->weights, queries->dout_tokens);
    }
}

static void store_rows(element *out, size_t stride, const float *rows, int count, int size) {
    for (int i = 0; i < count; i++) narrow_row(out + i * stride, rows + (size_t)i * ROUND16(size), 1, size);
}

static struct tile_scores tile_scratch(void) {
    const size_t floats = QUERIES_BACK * KEYS_BACK;
    struct tile_scores tile;

    tile.scores = scratch_floats(SCRATCH_SLOPES, 2 * floats + 3 * TILE_CELLS);
    tile.dscores = tile.scores + floats;
    tile.weights = PAIR > 1 ? tile.dscores + floats : tile.scores;
    tile.slopes = PAIR > 1 ? tile.weights + TILE_CELLS : tile.dscores;
    tile.rows = PAIR > 1 ? tile.slopes + TILE_CELLS : tile.dscores;
    return tile;
}

static struct queries query_scratch(int size) {
    size_t cells = (size_t)QUERIES_BACK * CELLS(size), channels = (size_t)QUERIES_BACK * ROUND16(size);
    struct queries queries = {.size = size};

    queries.q = scratch_floats(SCRATCH_QUERIES, 2 * cells + 2 * channels / PAIR + channels);
    queries.dout = queries.q + cells;
    queries.q_tokens = queries.dout + cells;
    queries.dout_tokens = queries.q_tokens + channels / PAIR;
    queries.dq = queries.dout_tokens + channels / PAIR;
    return queries;
}

static struct packed_keys pack_keys(const struct head *head) {
    int room = ROUND16(head->length);
    size_t cells = (size_t)room * CELLS(head->size), channels = (size_t)room / PAIR * ROUND16(head->size);
    float *keys = scratch_floats(SCRATCH_KEYS, 2 * cells + channels), *values = keys + cells;
    float *tokens = values + cells;

    pack_channels(keys, head->k, head->stride, head->length, head->size);
    pack_channels(values, head->v, head->stride, head->length, head->size);
    pack_tokens(tokens, head->k, head->stride, head->length, room, head->size);
    return (struct packed_keys){keys, values, tokens};
}

/* All query heads that share key head kv of row r; `of` points at the whole arrays. */
static void attend_group_backward(element *dqkv, const struct head_slopes *of, const element *qkv,
                                  const struct shape *shape, int r, int kv) {
    int group = shape->heads / shape->kv_heads;
    struct head head = head_of(qkv, shape, r, kv * group);
    struct packed_keys packed = pack_keys(&head);
    struct queries queries = query_scratch(head.size);
    struct tile_scores tile = tile_scratch();
    size_t sums = (size_t)ROUND16(head.length) * ROUND16(head.size);
    float *dk = scratch_floats(SCRATCH_SUMS, 2 * sums), *dv = dk + sums;

    for (int h = kv * group; h < (kv + 1) * group; h++) {
        size_t token = shape->start[r], at = token * of->stride + (size_t)h * head.size;
        struct head_slopes slopes = {of->dout + at, of->out + at, of->logsum + token * shape->heads + h,
                                     of->stride, of->heads};

        head = head_of(qkv, shape, r, h);
        for (queries.from = 0; queries.from < head.length; queries.from += QUERIES_BACK) {
            queries.count = smaller(QUERIES_BACK, head.length - queries.from);
            queries.rows = ROUND_TALL(queries.count);
            bring_queries(&queries, &head, &slopes);
            attend_backward(&queries, &head, &packed, &tile, dk, dv, h == kv * group);
            store_rows(dqkv + (head.q - qkv) + queries.from * head.stride, head.stride, queries.dq,
                       queries.count, head.size);
        }
    }
    store_rows(dqkv + (head.k - qkv), head.stride, dk, head.length, head.size);
    store_rows(dqkv + (head.v - qkv), head.stride, dv, head.length, head.size);
}

void CPU(attention_backward)(operand *dqkv, const operand *dout, const operand *qkv, const operand *out,
                             const float *logsum, const int *start, int rows, int heads, int kv_heads,
                             int head_size, float scale, float cap) {
    struct shape shape = {start, rows, heads, kv_heads, head_size, scale, cap};
    struct head_slopes slopes = {dout, out, logsum, (size_t)heads * head_size, heads};
    const struct turn *turns = turns_of(&shape);

#pragma omp parallel for schedule(dynamic) if (worth_threads((size_t)start[rows] * heads * head_size))
    for (int task = 0; task < rows * kv_heads; task++)
        attend_group_backward(dqkv, &slopes, qkv, &shape, turns[task / kv_heads].row, task % kv_heads);
}
