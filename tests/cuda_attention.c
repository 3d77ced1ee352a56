/* Attention on tensor cores, both directions and decoding, against double precision and the CPU's in bf16:
 * ragged rows, shared heads, odd sizes, extreme scores, poisoned outputs. */
#include <stdio.h>

#include "tests/device_times.h"
#include "tests/reference_attention.h"

static const struct kernels *cpu, *bf16, *fast, *cuda; /* cuda: which of the two before it is tried */

static void try_bf16(void) {
    cuda = bf16;
}

static void try_fast(void) {
    cuda = fast;
}

/* Products and their sums are added in single precision, by units that round each sum down, and exponentials
 * and quotients are off by a few units in the last place: what that comes to beside rounding to bf16. */
#define SLACK 2e-5

static void *up(const void *array, size_t bytes) {
    char *memory = cuda->alloc(bytes), *view = cuda->map(memory, bytes, 0);

    memcpy(view, array, bytes);
    cuda->unmap(memory, view, bytes, 1);
    return memory;
}

/* Device memory of NaNs, with some to spare. */
static void *poisoned(size_t bytes) {
    char *memory = cuda->alloc(bytes + 16), *view = cuda->map(memory, bytes + 16, 0);

    memset(view, 0xff, bytes + 16);
    cuda->unmap(memory, view, bytes + 16, 1);
    return memory;
}

/* The host's copy of what poisoned() gave, which is freed; nothing beyond its end may have been written. */
static void *down(void *memory, size_t bytes) {
    char *view = cuda->map(memory, bytes + 16, 1), *copy = malloc(bytes + 1);

    ck_assert_msg(!cuda->sync(), "%s", cuda->sync());
    for (int i = 0; i < 16; i++) ck_assert_int_eq((unsigned char)view[bytes + i], 0xff);
    memcpy(copy, view, bytes);
    cuda->unmap(memory, view, bytes + 16, 0);
    cuda->free(memory);
    return copy;
}

static float scale_of(const struct sizes *s) {
    return 1 / sqrtf((float)s->head_size);
}

/* What both directions made of operands. */
struct pass {
    void *out, *dqkv;
    float *logsum;
};

static void pass_free(struct pass *pass) {
    free(pass->out);
    free(pass->dqkv);
    free(pass->logsum);
}

/* The operands begin `shift` elements behind the start of their memory. */
static struct pass run(const struct sizes *s, const void *qkv, const void *dout, size_t shift) {
    size_t ins = ins_of(s) * 2, outs = outs_of(s) * 2;
    char *room = malloc(2 * shift + ins + 1), *qkv_, *dout_ = up(dout, outs), *out_ = poisoned(outs);
    char *dqkv_ = poisoned(ins);
    float *logsum_ = poisoned(sums_of(s) * sizeof *logsum_);
    int *start_ = up(s->start, (s->rows + 1) * sizeof *start_);
    struct pass pass;

    memset(room, 0xff, 2 * shift);
    memcpy(room + 2 * shift, qkv, ins);
    qkv_ = up(room, 2 * shift + ins);
    cuda->attention(out_, logsum_, qkv_ + 2 * shift, start_, s->rows, s->heads, s->kv_heads, s->head_size,
                    scale_of(s), (float)s->cap);
    cuda->attention_backward(dqkv_, dout_, qkv_ + 2 * shift, out_, logsum_, start_, s->rows, s->heads,
                             s->kv_heads, s->head_size, scale_of(s), (float)s->cap);
    pass = (struct pass){down(out_, outs), down(dqkv_, ins), down(logsum_, sums_of(s) * sizeof *logsum_)};
    cuda->free(qkv_);
    cuda->free(dout_);
    cuda->free(start_);
    free(room);
    return pass;
}

static int same_passes(const struct sizes *s, const struct pass *a, const struct pass *b) {
    return same_operands(cuda, a->out, b->out, outs_of(s)) && same_bits(a->logsum, b->logsum, sums_of(s)) &&
           same_operands(cuda, a->dqkv, b->dqkv, ins_of(s));
}

/* Rounded weights are off by at most the roundoff of each, so that their mean is by that of the largest
 * value; the output itself is rounded once more. */
static void check_forward(const struct sizes *s, const double *qkv, const struct pass *pass, double largest) {
    double *want = malloc((outs_of(s) + sums_of(s)) * sizeof *want), unit = roundoff(cuda);
    float *out = values_of(cuda, pass->out, outs_of(s));

    reference_attention(want, qkv, s);
    for (size_t i = 0; i < outs_of(s); i++)
        ck_assert_double_le(fabs((double)out[i] - want[i]),
                            unit * (largest + fabs(want[i])) * (1 + unit) + SLACK * largest);
    ck_assert_double_lt(worst(pass->logsum, want + outs_of(s), sums_of(s)), SLACK);
    free(want);
    free(out);
}

static void check_backward(const struct sizes *s, const double *qkv, const double *dout,
                           const struct pass *pass) {
    struct gradients g = reference_backward(qkv, dout, s, roundoff(cuda));
    float *dqkv = values_of(cuda, pass->dqkv, ins_of(s));

    for (size_t i = 0; i < ins_of(s); i++)
        ck_assert_double_le(fabs((double)dqkv[i] - g.want[i]), g.room[i] + SLACK * (1 + fabs(g.want[i])));
    free(g.want);
    free(g.room);
    free(dqkv);
}

/* || got - want || / || want || */
static double distance(const void *want, const void *got, size_t count) {
    float *x = values_of(cuda, want, count), *y = values_of(cuda, got, count);
    double off = 0, all = 0;

    for (size_t i = 0; i < count; i++) {
        off += ((double)y[i] - (double)x[i]) * ((double)y[i] - (double)x[i]);
        all += (double)x[i] * (double)x[i];
    }
    free(x);
    free(y);
    return all > 0 ? sqrt(off / all) : off;
}

/* Both directions on the CPU; two roundings of the same number differ by one unit at most. */
static void check_against_cpu(const struct sizes *s, const void *qkv, const void *dout,
                              const struct pass *pass) {
    void *out = poison_operands(cpu, outs_of(s)), *dqkv = poison_operands(cpu, ins_of(s));
    float *logsum = poison(sums_of(s));

    cpu->attention(out, logsum, qkv, s->start, s->rows, s->heads, s->kv_heads, s->head_size, scale_of(s),
                   (float)s->cap);
    cpu->attention_backward(dqkv, dout, qkv, out, logsum, s->start, s->rows, s->heads, s->kv_heads,
                            s->head_size, scale_of(s), (float)s->cap);
    ck_assert_double_lt(distance(out, pass->out, outs_of(s)), roundoff(cuda));
    ck_assert_double_lt(distance(dqkv, pass->dqkv, ins_of(s)), roundoff(cuda));
    free(out);
    free(dqkv);
    free(logsum);
}

static void check_pass(const struct sizes *s, float by) {
    float *wide = noise(ins_of(s), 1), *slope = noise(outs_of(s), 2);
    void *qkv, *dout;
    double *x, *y;
    struct pass pass;

    for (size_t i = 0; i < ins_of(s); i++) wide[i] *= by;
    qkv = operands_of(cuda, wide, ins_of(s));
    dout = operands_of(cuda, slope, outs_of(s));
    x = doubled(wide, ins_of(s));
    y = doubled(slope, outs_of(s));
    pass = run(s, qkv, dout, 0);
    check_forward(s, x, &pass, (double)by);
    check_backward(s, x, y, &pass);
    check_against_cpu(s, qkv, dout, &pass);
    pass_free(&pass);
    free(wide);
    free(slope);
    free(qkv);
    free(dout);
    free(x);
    free(y);
}

static const struct {
    int heads, kv_heads, head_size;
    double cap;
} shapes[] = {{2, 1, 16, 0},  {6, 2, 7, 0.7},  {2, 1, 64, 1},  {1, 1, 33, 0},  {3, 3, 96, 2},
              {2, 1, 128, 0}, {1, 1, 111, 1},  {2, 1, 256, 1}, {1, 1, 250, 0}, {4, 2, 24, 1},
              {3, 1, 32, 0},  {4, 1, 40, 0.5}, {8, 1, 64, 0},  {2, 1, 80, 0},  {2, 2, 16, 0},
              {2, 2, 200, 0}, {2, 1, 1, 0},    {4, 2, 33, 1},  {20, 1, 18, 0}, {1, 1, 100, 0}};

/* How many of the shapes to try, the first of which start every kernel. */
static int shape_count(void) {
    return by_sizes(9, COUNT(shapes), COUNT(shapes));
}

static struct sizes shape_of(int i, int rows, const int *length) {
    struct sizes s = sizes_of(shapes[i].heads, shapes[i].kv_heads, shapes[i].head_size, rows, length);

    s.cap = shapes[i].cap;
    return s;
}

START_TEST(every_shape_matches_the_double_reference_and_the_cpu)
{
    const int length[] = {1, 67, 0, 130};
    struct sizes s = shape_of(_i, by_sizes(2, 4, 4), length);

    check_pass(&s, 1);
}
END_TEST

START_TEST(rows_of_all_lengths_match_the_double_reference_and_the_cpu)
{
    const int length[] = {300, 1, 2, 15, 16, 17, 63, 64, 0, 65, 127, 130};
    struct sizes s =
        sizes_of(by_sizes(1, 3, 3), 1, _i ? 48 : 10, by_sizes(2, COUNT(length), COUNT(length)), length);

    s.cap = _i ? 0 : 0.8;
    check_pass(&s, 1);
}
END_TEST

START_TEST(scores_far_apart_match_the_double_reference_and_the_cpu)
{
    const int length[] = {70, 40};
    struct sizes s = sizes_of(2, 1, 64, 2, length);

    s.cap = _i ? 30 : 0;
    check_pass(&s, 8);
}
END_TEST

/* Queries of `high` and keys of 1: all scores alike and huge, so that the output is the mean of the values,
 * which is exact for these. From number 5 on with heads of 64 channels. */
START_TEST(huge_scores_that_are_alike_weigh_alike)
{
    const float highs[] = {1e4f, -1e4f, 1e30f, -1e30f, 0};
    const int size = _i < COUNT(highs) ? 16 : 64;
    struct sizes s = sizes_of(1, 1, size, 1, (const int[]){128});
    float *wide = calloc(ins_of(&s), sizeof *wide), *slope = noise(outs_of(&s), 1), *out;
    void *qkv, *dout = operands_of(cuda, slope, outs_of(&s));
    struct pass pass;

    for (int t = 0; t < 128; t++) {
        wide[t * 3 * size] = highs[_i % COUNT(highs)];
        wide[(t * 3 + 1) * size] = 1;
        for (int d = 0; d < size; d++) wide[(t * 3 + 2) * size + d] = (float)(t + d);
    }
    qkv = operands_of(cuda, wide, ins_of(&s));
    pass = run(&s, qkv, dout, 0);
    out = values_of(cuda, pass.out, outs_of(&s));
    for (int t = 0; t < 128; t++)
        for (int d = 0; d < size; d++)
            ck_assert_double_le(fabs((double)out[t * size + d] - (t * 0.5 + d)), (t * 0.5 + d) * 0x1p-8);
    for (size_t i = 0; i < sums_of(&s); i++) ck_assert(isfinite(pass.logsum[i]));
    free(out);
    out = values_of(cuda, pass.dqkv, ins_of(&s));
    for (size_t i = 0; i < ins_of(&s); i++) ck_assert(isfinite(out[i]));
    pass_free(&pass);
    free(wide);
    free(slope);
    free(out);
    free(qkv);
    free(dout);
}
END_TEST

START_TEST(one_huge_score_picks_one_key)
{
    struct sizes s = sizes_of(1, 1, 1, 1, (const int[]){3});
    float wide[9] = {0}, slope[3] = {1, 1, 1}, *out; /* q, k, v of three tokens */
    void *qkv, *dout;
    struct pass pass;

    wide[6] = 100; /* the last query */
    wide[1] = 1;
    wide[4] = 100;
    wide[2] = 5;
    wide[5] = -2;
    wide[8] = 9;
    qkv = operands_of(cuda, wide, 9);
    dout = operands_of(cuda, slope, 3);
    pass = run(&s, qkv, dout, 0);
    out = values_of(cuda, pass.out, 3);
    ck_assert_float_eq(out[0], 5);
    ck_assert_float_eq(out[1], 1.5f);
    ck_assert_float_eq(out[2], -2);
    ck_assert_float_eq_tol(pass.logsum[2], 1e4f, 2e-3f);
    pass_free(&pass);
    free(out);
    free(qkv);
    free(dout);
}
END_TEST

/* Row 1 of three, alone, and all of them a second time, from other memory, which does not begin on 16 bytes
 * unless bits may vary with that. */
START_TEST(a_row_gives_the_same_bits_alone_again_and_wherever_it_lies)
{
    const int length[] = {33, 100, 7}, sizes[] = {24, 128, 64, 128};
    struct sizes s = sizes_of(2, 1, sizes[_i], 3, length), one = sizes_of(2, 1, sizes[_i], 1, length + 1);
    size_t ins = (size_t)33 * width_of(&s) * 2, outs = (size_t)33 * 2 * s.head_size * 2;
    float *wide = noise(ins_of(&s), 1), *slope = noise(outs_of(&s), 2);
    char *qkv = operands_of(cuda, wide, ins_of(&s)), *dout = operands_of(cuda, slope, outs_of(&s));
    struct pass all = run(&s, qkv, dout, 0), again = run(&s, qkv, dout, cuda->rows_vary ? 8 : 3);
    struct pass alone = run(&one, qkv + ins, dout + outs, 0);

    ck_assert(same_passes(&s, &all, &again));
    ck_assert(same_operands(cuda, (char *)all.out + outs, alone.out, outs_of(&one)));
    ck_assert(same_bits(all.logsum + (size_t)33 * 2, alone.logsum, sums_of(&one)));
    ck_assert(same_operands(cuda, (char *)all.dqkv + ins, alone.dqkv, ins_of(&one)));
    pass_free(&all);
    pass_free(&again);
    pass_free(&alone);
    free(wide);
    free(slope);
    free(qkv);
    free(dout);
}
END_TEST

/* Writes of each row all that comes before its position; rows 0 and 2 of start[] are those of s. */
static void fill(void *cache, const struct sizes *s, const void *qkv_, const int *row, const int *slot,
                 const int *position, int count, int context) {
    int start[4], from[2], longest = 0, *start_, *from_, *slot_;

    for (int r = 0; r < 2; r++) start[2 * r] = start[2 * r + 1] = s->start[r];
    for (int i = 0; i < count; i++) {
        from[i] = 2 * row[i];
        start[from[i] + 1] += position[i];
        if (position[i] > longest) longest = position[i];
    }
    start_ = up(start, sizeof start);
    from_ = up(from, sizeof from);
    slot_ = up(slot, 2 * sizeof *slot);
    cuda->cache_write(cache, qkv_, start_, from_, slot_, count, longest, context, s->heads, s->kv_heads,
                      s->head_size);
    cuda->free(start_);
    cuda->free(from_);
    cuda->free(slot_);
}

/* What decoding gives for both rows of s, token by token, row r's in slot 2 - 2 r, the second row some tokens
 * behind; nothing where `ask` leaves a token out, behind which it goes on from all that came before. */
static char *decode(const struct sizes *s, const char *qkv, int (*ask)(int token)) {
    enum { SLOTS = 3, BEHIND = 5 };
    int context = s->start[1] + 3;
    size_t width = width_of(s) * 2, outs = s->heads * s->head_size * 2;
    void *cache = poisoned(cuda->cache_size(SLOTS, context, s->kv_heads, s->head_size));
    char *all = poison_operands(cuda, outs_of(s)), *both = malloc(2 * width),
         *whole_ = up(qkv, ins_of(s) * 2);

    for (int t = 0; t < s->start[1] + BEHIND; t++) {
        int slot[2], position[2], row[2], count = 0, *slot_, *position_;
        char *qkv_, *out_, *got;

        if (!ask(t)) continue;
        for (int r = 0; r < 2; r++) {
            int at = t - r * BEHIND;

            if (at < 0 || at >= s->start[1]) continue;
            memcpy(both + count * width, qkv + (s->start[r] + at) * width, width);
            slot[count] = 2 - 2 * r;
            position[count] = at;
            row[count++] = r;
        }
        qkv_ = up(both, count * width);
        slot_ = up(slot, sizeof slot);
        position_ = up(position, sizeof position);
        if (t && !ask(t - 1)) fill(cache, s, whole_, row, slot, position, count, context);
        out_ = poisoned(count * outs);
        cuda->attention_decode(out_, cache, qkv_, slot_, position_, count, context, s->heads, s->kv_heads,
                               s->head_size, scale_of(s), (float)s->cap);
        got = down(out_, count * outs);
        for (int i = 0; i < count; i++)
            memcpy(all + (s->start[row[i]] + position[i]) * outs, got + i * outs, outs);
        free(got);
        cuda->free(qkv_);
        cuda->free(slot_);
        cuda->free(position_);
    }
    cuda->free(cache);
    cuda->free(whole_);
    free(both);
    return all;
}

static int near_an_edge(int token) {
    return token < 3 || token % 32 < 2 || token % 16 == 15;
}

static int late(void) {
    return by_sizes(260, 1000, 1000);
}

static int is_late(int token) {
    return token > late() && token % 32 < 2;
}

static void check_decoding(const struct sizes *s, int (*ask)(int token), int least) {
    float *wide = noise(ins_of(s), 3), *slope = noise(outs_of(s), 4);
    char *qkv = operands_of(cuda, wide, ins_of(s)), *dout = operands_of(cuda, slope, outs_of(s)), *decoded;
    size_t outs = (size_t)s->heads * s->head_size;
    struct pass pass = run(s, qkv, dout, 0);
    int asked = 0;

    decoded = decode(s, qkv, ask);
    for (int r = 0; r < 2; r++)
        for (int t = 0; t < s->start[1]; t++)
            if (ask(t + 5 * r)) {
                size_t at = (s->start[r] + t) * outs * 2;

                ck_assert_msg(same_operands(cuda, (char *)pass.out + at, decoded + at, outs),
                              "row %d token %d", r, t);
                asked++;
            }
    ck_assert_int_ge(asked, least);
    pass_free(&pass);
    free(wide);
    free(slope);
    free(qkv);
    free(dout);
    free(decoded);
}

START_TEST(decoding_equals_attention_to_the_bit)
{
    int length = by_sizes(67, 131, 131);
    struct sizes s = shape_of(_i, 2, (const int[]){length, length});

    check_decoding(&s, near_an_edge, by_sizes(15, 35, 35));
}
END_TEST

START_TEST(decoding_equals_attention_to_the_bit_far_into_a_long_row)
{
    int length = late() + 100;
    struct sizes s = sizes_of(1, 1, 8, 2, (const int[]){length, length});

    check_decoding(&s, is_late, 8);
}
END_TEST

/* What groups of warps attend to: one tile, several, rows that end within a group's queries, within a tile of
 * keys, shared keys, channels that are left over. */
static const struct {
    int heads, kv_heads, head_size, rows, length[5];
} groups[] = {{2, 1, 96, 2, {257, 2}},           {4, 2, 64, 5, {1, 67, 0, 130, 300}},
              {2, 1, 128, 4, {129, 64, 257, 2}}, {3, 1, 40, 3, {128, 256, 63}},
              {6, 1, 64, 2, {400, 33}},          {2, 2, 72, 3, {65, 127, 191}},
              {1, 1, 96, 2, {200, 128}}};

START_TEST(groups_match_the_double_reference_and_the_cpu)
{
    struct sizes s = sizes_of(groups[_i].heads, groups[_i].kv_heads, groups[_i].head_size, groups[_i].rows,
                              groups[_i].length);

    check_pass(&s, 1);
}
END_TEST

/* As decoding's, which these rows' bits may differ from. */
static TCase *fast_case(void) {
    TCase *test = tcase_create("attention of the fast device");

    tcase_set_timeout(test, 300);
    tcase_add_unchecked_fixture(test, try_fast, NULL);
    tcase_add_loop_test(test, groups_match_the_double_reference_and_the_cpu, 0,
                        by_sizes(1, COUNT(groups), COUNT(groups)));
    tcase_add_loop_test(test, rows_of_all_lengths_match_the_double_reference_and_the_cpu, 1, 2);
    tcase_add_loop_test(test, scores_far_apart_match_the_double_reference_and_the_cpu, 0, 2);
    tcase_add_loop_test(test, huge_scores_that_are_alike_weigh_alike, 5, 10);
    tcase_add_loop_test(test, a_row_gives_the_same_bits_alone_again_and_wherever_it_lies, 2, 4);
    return test;
}

static Suite *make(void) {
    Suite *suite = suite_create("attention on tensor cores");
    TCase *test = tcase_create("attention");

    tcase_set_timeout(test, 300);
    tcase_add_unchecked_fixture(test, try_bf16, NULL);
    tcase_add_loop_test(test, every_shape_matches_the_double_reference_and_the_cpu, 0, shape_count());
    tcase_add_loop_test(test, rows_of_all_lengths_match_the_double_reference_and_the_cpu, 0, 2);
    tcase_add_loop_test(test, scores_far_apart_match_the_double_reference_and_the_cpu, 0, 2);
    tcase_add_loop_test(test, huge_scores_that_are_alike_weigh_alike, 0, 5);
    tcase_add_test(test, one_huge_score_picks_one_key);
    tcase_add_loop_test(test, a_row_gives_the_same_bits_alone_again_and_wherever_it_lies, 0, 2);
    tcase_add_loop_test(test, decoding_equals_attention_to_the_bit, 0, shape_count());
    tcase_add_test(test, decoding_equals_attention_to_the_bit_far_into_a_long_row);
    suite_add_tcase(suite, test);
    if (fast) suite_add_tcase(suite, fast_case());
    return suite;
}

int main(void) {
    cpu = kernels_find("cpu-bf16");
    bf16 = kernels_find("cuda-bf16");
    fast = kernels_find("cuda-cublas");
    if (!bf16) {
        printf("SKIP: %s\n", kernels_missing("cuda-bf16"));
        return 77;
    }
    return run_sizes(make) || device_times("operations", "attention", "cuda-bf16") ||
           device_times("operations", "attention", "cuda-cublas");
}
