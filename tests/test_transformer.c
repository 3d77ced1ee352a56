/* The transformer against PyTorch, against finite differences, and against itself in other batches. */
#include "models/transformer.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/rng.h"
#include "models/optimizer.h"
#include "models/safetensors.h"
#include "tests/ragged_bench.h"
#include "tests/stored_numbers.h"

static struct error err;

static const struct kernels *cpu(void) {
    return kernels_find("cpu");
}

/* One of make_transformer.py's folders. */
struct reference {
    struct model *model, *gradients;
    struct safetensors expected;
    struct batch batch;
    int *position, *target, *score_position;
    int count, score_count;
    float *weight, *spread, *slope;
    struct sampling sampling;
};

static const char *const names[] = {"gpt2",    "gpt2_untied", "llama", "llama_tied", "llama3",
                                    "mistral", "qwen2",       "gemma", "gemma2"};

static void read_batch(struct reference *r) {
    int rows, total;
    int *tokens = integers(&r->expected, "tokens", &total), *start = integers(&r->expected, "start", &rows);

    for (int i = 0; i + 1 < rows; i++) batch_add(&r->batch, tokens + start[i], start[i + 1] - start[i]);
    free(tokens);
    free(start);
}

static struct reference open_reference(const char *name) {
    const char *root = getenv("srcdir");
    char *folder = xprintf("%s/tests/fixtures/transformer/%s", root ? root : ".", name);
    char *gradients = xprintf("%s/gradients", folder), *expected = xprintf("%s/expected.safetensors", folder);
    struct reference r = {.sampling = SAMPLING_PLAIN};
    float *temperature;

    ck_assert_msg(model_load(&r.model, folder, cpu(), &err) == 0, "%s", err.message);
    ck_assert_msg(model_load(&r.gradients, gradients, cpu(), &err) == 0, "%s", err.message);
    ck_assert_msg(safetensors_open(&r.expected, expected, &err) == 0, "%s", err.message);
    ck_assert_int_eq(model_train(r.model, &err), 0);
    read_batch(&r);
    r.position = integers(&r.expected, "position", &r.count);
    r.target = integers(&r.expected, "target", &r.count);
    r.score_position = integers(&r.expected, "score_position", &r.score_count);
    r.weight = floats(&r.expected, "weight", NULL);
    r.spread = floats(&r.expected, "spread", NULL);
    r.slope = floats(&r.expected, "slope", NULL);
    temperature = floats(&r.expected, "temperature", NULL);
    r.sampling.temperature = *temperature;
    free(temperature);
    free(expected);
    free(gradients);
    free(folder);
    return r;
}

static void close_reference(struct reference *r) {
    safetensors_close(&r->expected);
    model_free(r->model);
    model_free(r->gradients);
    batch_free(&r->batch);
    free(r->position);
    free(r->target);
    free(r->score_position);
    free(r->weight);
    free(r->spread);
    free(r->slope);
}

/* The largest difference is at most this share of the largest value. */
static void assert_close(const char *model, const char *what, const float *got, const float *expected,
                         size_t count, double share) {
    double largest = 0, worst = 0;

    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs((double)expected[i]));
        worst = isfinite(got[i]) ? fmax(worst, fabs((double)got[i] - (double)expected[i])) : INFINITY;
    }
    ck_assert_msg(worst <= share * largest, "%s: %s is off by %g, values reach %g", model, what, worst,
                  largest);
}

static void assert_expected(const struct reference *r, const char *model, const char *what,
                            const float *got) {
    int count;
    float *expected = floats(&r->expected, what, &count);

    assert_close(model, what, got, expected, (size_t)count, 1e-5);
    free(expected);
}

static double loss_of(const struct reference *r, const float *logprob, const float *entropy,
                      const float *score) {
    double loss = 0;

    for (int i = 0; i < r->count; i++)
        loss -= (double)r->weight[i] * (double)logprob[i] + (double)r->spread[i] * (double)entropy[i];
    for (int i = 0; i < r->score_count * r->model->config.score_heads; i++)
        loss += (double)r->slope[i] * (double)score[i];
    return loss;
}

static struct trunk *new_trunk(struct model *model, int recompute) {
    struct trunk *trunk;

    ck_assert_int_eq(trunk_create(&trunk, model, recompute, &err), 0);
    return trunk;
}

static const void *forward(struct trunk *trunk, const struct batch *batch, int keep) {
    ck_assert_msg(trunk_forward(trunk, batch, keep, &err) == 0, "%s", err.message);
    return trunk_hidden(trunk);
}

/* The fixture's loss, forward and (keep) backward. */
static double run_reference(struct reference *r, struct trunk *trunk, int keep, float *logprob,
                            float *entropy, float *score) {
    struct slopes slopes = {r->weight, r->spread};
    struct given given = {r->slope, r->model->config.score_heads};

    forward(trunk, &r->batch, keep);
    if (keep) {
        head_train(trunk, r->position, r->target, r->count, &r->sampling, 1, slope, &slopes, logprob,
                   entropy);
        head_score_train(trunk, r->score_position, r->score_count, give, &given, score);
        trunk_backward(trunk);
    } else {
        head_score(trunk, r->score_position, r->score_count, score);
        head_logprob(trunk, r->position, r->target, r->count, &r->sampling, logprob, entropy, NULL);
    }
    return loss_of(r, logprob, entropy, score);
}

static void check_gradients(const struct reference *r, const char *name) {
    model_join_grad(r->model);
    for (int i = 0; i < r->model->count; i++) {
        const struct tensor *tensor = &r->model->tensors[i];

        assert_close(name, tensor->name, tensor->grad, r->gradients->tensors[i].data,
                     (size_t)tensor->rows * tensor->cols, 1e-5);
    }
}

START_TEST(outputs_and_every_gradient_equal_pytorchs)
{
    struct reference r = open_reference(names[_i]);
    struct trunk *trunk = new_trunk(r.model, 0);
    float logprob[64], entropy[64], score[64], loss;

    loss = (float)run_reference(&r, trunk, 1, logprob, entropy, score);
    assert_expected(&r, names[_i], "logprob", logprob);
    assert_expected(&r, names[_i], "entropy", entropy);
    assert_expected(&r, names[_i], "score", score);
    assert_expected(&r, names[_i], "loss", &loss);
    check_gradients(&r, names[_i]);
    trunk_free(trunk);
    close_reference(&r);
}
END_TEST

START_TEST(logits_equal_pytorchs)
{
    struct reference r = open_reference(names[_i]);
    struct trunk *trunk = new_trunk(r.model, 0);
    const struct config *c = &r.model->config;
    float *logits = xmalloc((size_t)r.batch.total * c->vocab * sizeof *logits);

    cpu()->matmul(logits, forward(trunk, &r.batch, 0), r.model->head->data, NULL, NULL, NULL, r.batch.total,
                  c->vocab, c->width);
    if (c->final_cap > 0) cpu()->cap(logits, (size_t)r.batch.total * c->vocab, c->final_cap);
    assert_expected(&r, names[_i], "logits", logits);
    free(logits);
    trunk_free(trunk);
    close_reference(&r);
}
END_TEST

/* The parameter of a tensor with the largest gradient, moved by ±eps: the loss must change as the gradient
 * says, to 1 % (rounding of f32 losses over a step of 2 eps). */
START_TEST(gradients_equal_finite_differences)
{
    struct reference r = open_reference(names[_i]);
    struct trunk *trunk = new_trunk(r.model, 0);
    float logprob[64], entropy[64], score[64];
    const float eps = 1.0f / 512;

    run_reference(&r, trunk, 1, logprob, entropy, score);
    model_join_grad(r.model);
    for (int i = 0; i < r.model->count; i++) {
        struct tensor *tensor = &r.model->tensors[i];
        int best = 0;
        double up, down;

        for (int j = 0; j < tensor->rows * tensor->cols; j++)
            if (fabsf(tensor->grad[j]) > fabsf(tensor->grad[best])) best = j;
        tensor->data[best] += eps;
        model_changed(r.model);
        up = run_reference(&r, trunk, 0, logprob, entropy, score);
        tensor->data[best] -= 2 * eps;
        model_changed(r.model);
        down = run_reference(&r, trunk, 0, logprob, entropy, score);
        tensor->data[best] += eps;
        ck_assert_double_eq_tol((up - down) / (2 * eps) / tensor->grad[best], 1, 0.01);
    }
    trunk_free(trunk);
    close_reference(&r);
}
END_TEST

static float *kept_gradients(const struct model *model) {
    float *kept = xmalloc(model->size * sizeof *kept);

    memcpy(kept, model->grad, model->size * sizeof *kept);
    return kept;
}

START_TEST(recomputed_activations_give_the_same_bits)
{
    struct reference r = open_reference(names[_i]);
    float logprob[64], entropy[64], score[64], *first;

    for (int recompute = 0; recompute < 2; recompute++) {
        struct trunk *trunk = new_trunk(r.model, recompute);

        model_zero_grad(r.model);
        run_reference(&r, trunk, 1, logprob, entropy, score);
        model_join_grad(r.model);
        if (recompute)
            assert_same("gradient", r.model->grad, first, r.model->size);
        else
            first = kept_gradients(r.model);
        trunk_free(trunk);
    }
    free(first);
    close_reference(&r);
}
END_TEST

/* A model of sizes that are multiples of nothing, trained on many ragged rows. */
static struct config odd_config(int llama) {
    struct config config;

    ck_assert_int_eq(config_family(&config, llama ? "llama" : "gpt2", &err), 0);
    config.vocab = 131;
    config.context = 64;
    config.layers = 3;
    config.width = 48;
    config.heads = llama ? 6 : 3;
    config.kv_heads = llama ? 2 : 3;
    config.head_size = llama ? 10 : 16;
    config.ffn = 100;
    config.tied = !llama;
    config.score_heads = 2;
    return config;
}

/* Kinds 0 and 1 are GPT-2 and Llama in single precision, 2 and 3 the same in bf16. */
#define KINDS 4

static struct model *odd_model(int kind) {
    struct config config = odd_config(kind % 2);
    struct model *model;

    ck_assert_msg(model_create(&model, &config, kernels_find(kind < 2 ? "cpu" : "cpu-bf16"), &err) == 0, "%s",
                  err.message);
    model_init(model, 7);
    for (size_t i = 0; i < model->size; i++) model->data[i] *= 4;
    ck_assert_int_eq(model_train(model, &err), 0);
    return model;
}

static struct bench new_bench(int kind, int rows) {
    return bench_of(odd_model(kind), rows, 64, 0);
}

START_TEST(micro_batches_add_up_to_the_bits_of_one_batch)
{
    struct bench b = new_bench(_i, 32);
    struct trunk *trunk = new_trunk(b.model, 0);
    float *whole;

    ck_assert_int_gt(b.count, 600); /* several chunks of the head */
    train_rows(&b, trunk, 0, 32, 0);
    model_join_grad(b.model);
    whole = kept_gradients(b.model);
    model_zero_grad(b.model);
    for (int r = 0; r < 32; r += 8) train_rows(&b, trunk, r, r + 8, 0);
    model_join_grad(b.model);
    assert_same("gradient", b.model->grad, whole, b.model->size);
    free(whole);
    trunk_free(trunk);
    free_bench(&b);
}
END_TEST

/* Loss and gradients of every third position; `only`: the pass is told so. */
static float *train_thirds(struct bench *b, int recompute, int only) {
    struct trunk *trunk = new_trunk(b->model, recompute);
    struct slopes slopes = {b->weight, b->spread};
    float *gradients;

    model_zero_grad(b->model);
    ck_assert_int_eq(trunk_forward_at(trunk, &b->batch, b->position, only ? b->count : 0, 1, &err), 0);
    head_train(trunk, b->position, b->target, b->count, &SAMPLING_PLAIN, 1, slope, &slopes, b->logprob,
               b->entropy);
    head_score_train(trunk, b->position, b->count, give, &(struct given){b->slope, 2}, b->score);
    trunk_backward(trunk);
    trunk_free(trunk);
    model_join_grad(b->model);
    gradients = kept_gradients(b->model);
    return gradients;
}

START_TEST(leaving_out_tokens_that_nobody_reads_changes_no_bit)
{
    struct bench all = new_bench(_i, 32), some = new_bench(_i, 32);
    float *expected, *got;

    for (int i = 0; i < all.count / 3; i++) {
        all.position[i] = some.position[i] = all.position[3 * i + 2];
        all.target[i] = some.target[i] = all.target[3 * i + 2];
    }
    all.count = some.count = all.count / 3;
    for (int recompute = 0; recompute < 2; recompute++) {
        expected = train_thirds(&all, recompute, 0);
        got = train_thirds(&some, recompute, 1);
        assert_same("log-probability", some.logprob, all.logprob, (size_t)all.count);
        assert_same("entropy", some.entropy, all.entropy, (size_t)all.count);
        assert_same("score", some.score, all.score, (size_t)all.count * 2);
        assert_same("gradient", got, expected, all.model->size);
        free(expected);
        free(got);
    }
    free_bench(&all);
    free_bench(&some);
}
END_TEST

/* || a - b || / || b || */
static double distance(const float *a, const float *b, size_t count) {
    double off = 0, all = 0;

    for (size_t i = 0; i < count; i++) {
        off += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        all += (double)b[i] * (double)b[i];
    }
    return sqrt(off / all);
}

static void shrink(struct model *model) {
    for (size_t i = 0; i < model->size; i++) model->data[i] /= 4;
    model_changed(model);
}

/* At the usual scale of parameters. An operand of bf16 is off by up to 2^-9 of itself, some 20 of them lie
   between a token and its loss, and their errors are independent: sqrt(20) / 512 is 0.9 %. */
START_TEST(gradients_in_bf16_are_near_those_in_single_precision)
{
    struct bench single = new_bench(_i, 32), half = new_bench(_i + 2, 32);
    struct trunk *trunk = new_trunk(single.model, 0), *rounded = new_trunk(half.model, 0);

    shrink(single.model);
    shrink(half.model);
    train_rows(&single, trunk, 0, 32, 0);
    train_rows(&half, rounded, 0, 32, 0);
    model_join_grad(single.model);
    model_join_grad(half.model);
    ck_assert_double_lt(distance(half.logprob, single.logprob, (size_t)single.count), 0.002);
    ck_assert_double_lt(distance(half.model->grad, single.model->grad, single.model->size), 0.015);
    ck_assert_double_gt(distance(half.model->grad, single.model->grad, single.model->size), 1e-4);
    trunk_free(trunk);
    trunk_free(rounded);
    free_bench(&single);
    free_bench(&half);
}
END_TEST

START_TEST(gradients_do_not_depend_on_the_thread_count)
{
    struct bench b = new_bench(_i, 8);
    struct trunk *trunk = new_trunk(b.model, 1);
    float *one;

    kernels_threads(1);
    train_rows(&b, trunk, 0, 8, 0);
    one = kept_gradients(b.model);
    model_zero_grad(b.model);
    kernels_threads(2);
    train_rows(&b, trunk, 0, 8, 0);
    assert_same("gradient", b.model->grad, one, b.model->size);
    free(one);
    trunk_free(trunk);
    free_bench(&b);
}
END_TEST

START_TEST(a_rows_hidden_states_do_not_depend_on_other_rows)
{
    struct bench b = new_bench(_i, 24);
    struct trunk *trunk = new_trunk(b.model, 0), *alone = new_trunk(b.model, 0);
    const char *hidden = forward(trunk, &b.batch, 1);
    size_t width = (size_t)b.model->config.width * b.model->kernels->operand_bytes;

    for (int r = 0; r < 24; r++) {
        int start = b.batch.start[r], length = b.batch.start[r + 1] - start;
        struct batch row = {0};

        batch_add(&row, b.batch.tokens + start, length);
        ck_assert_mem_eq(forward(alone, &row, 0), hidden + (size_t)start * width, (size_t)length * width);
        batch_free(&row);
    }
    trunk_free(alone);
    trunk_free(trunk);
    free_bench(&b);
}
END_TEST

START_TEST(training_and_scoring_return_the_same_log_probabilities)
{
    static const struct sampling kinds[] = {{1, 0, 1, 0},    {0.7f, 0, 1, 0},         {1, 5, 1, 0},
                                            {1, 0, 0.8f, 0}, {1.3f, 40, 0.9f, 0.02f}, {0, 5, 0.5f, 0.5f}};
    struct bench b = new_bench(_i, 12);
    struct trunk *trunk = new_trunk(b.model, 0);
    struct slopes slopes = {b.weight, b.spread};
    float *scored = xcalloc((size_t)b.count, sizeof *scored);

    forward(trunk, &b.batch, 1);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        head_logprob(trunk, b.position, b.target, b.count, &kinds[k], scored, NULL, NULL);
        head_train(trunk, b.position, b.target, b.count, &kinds[k], 0, slope, &slopes, b.logprob, NULL);
        assert_same("log-probability", b.logprob, scored, (size_t)b.count);
        for (int i = 0; i < b.count; i++) ck_assert(scored[i] <= 0 && scored[i] > -100);
    }
    free(scored);
    trunk_free(trunk);
    free_bench(&b);
}
END_TEST

/* With a truncated distribution too: the kept set does not move with a small step. */
START_TEST(the_slope_of_a_truncated_distribution_equals_finite_differences)
{
    const struct sampling kind = {0.8f, 20, 0.95f, 0.001f};
    struct bench b = new_bench(0, 4);
    struct trunk *trunk = new_trunk(b.model, 0);
    struct slopes slopes = {b.weight, b.spread};
    struct tensor *tensor = b.model->layers[1].down;
    const float eps = 1.0f / 256;
    double loss[2] = {0, 0};
    int best = 0;

    forward(trunk, &b.batch, 1);
    head_train(trunk, b.position, b.target, 1, &kind, 0, slope, &slopes, b.logprob, NULL);
    trunk_backward(trunk);
    for (int j = 0; j < tensor->rows * tensor->cols; j++)
        if (fabsf(tensor->grad[j]) > fabsf(tensor->grad[best])) best = j;
    for (int side = 0; side < 2; side++) {
        tensor->data[best] += side ? -2 * eps : eps;
        model_changed(b.model);
        forward(trunk, &b.batch, 0);
        head_logprob(trunk, b.position, b.target, 1, &kind, b.logprob, NULL, NULL);
        loss[side] = -(double)b.weight[0] * (double)b.logprob[0];
    }
    ck_assert_double_eq_tol((loss[0] - loss[1]) / (2 * eps) / tensor->grad[best], 1, 0.02);
    trunk_free(trunk);
    free_bench(&b);
}
END_TEST

START_TEST(a_few_steps_of_training_lower_the_loss)
{
    struct bench b = new_bench(_i, 8);
    struct trunk *trunk = new_trunk(b.model, 0);
    struct optimizer optimizer;
    double loss[2] = {0, 0};

    for (int i = 0; i < b.count; i++) b.weight[i] = 1.0f / b.count, b.spread[i] = 0;
    memset(b.slope, 0, (size_t)b.count * 2 * sizeof *b.slope);
    ck_assert_int_eq(optimizer_create(&optimizer, b.model, &err), 0);
    for (int step = 0; step < 30; step++) {
        model_zero_grad(b.model);
        train_rows(&b, trunk, 0, 8, 0);
        optimizer_update(&optimizer, b.model, 0.003f);
        for (int i = 0; i < b.count && (step == 0 || step == 29); i++) loss[step > 0] -= (double)b.logprob[i];
    }
    ck_assert_double_lt(loss[1], 0.7 * loss[0]);
    optimizer_free(&optimizer, b.model);
    trunk_free(trunk);
    free_bench(&b);
}
END_TEST

START_TEST(what_does_not_fit_is_an_error)
{
    struct model *model = odd_model(0);
    struct trunk *trunk = new_trunk(model, 0);
    int tokens[65] = {0}, wrong = 131;
    struct batch batch = {0};

    batch_add(&batch, tokens, 65);
    ck_assert_int_eq(trunk_forward(trunk, &batch, 0, &err), -1);
    ck_assert_str_eq(err.message, "row 0 has 65 tokens: the model's context is 64");
    batch_clear(&batch);
    batch_add(&batch, tokens, 3);
    batch_extend(&batch, &wrong, 1);
    ck_assert_int_eq(trunk_forward(trunk, &batch, 0, &err), -1);
    ck_assert_str_eq(err.message, "token 3 is 131: the model's vocabulary has 131");
    batch_clear(&batch);
    ck_assert_int_eq(trunk_forward(trunk, &batch, 1, &err), 0);
    trunk_backward(trunk);
    batch_free(&batch);
    trunk_free(trunk);
    model_free(model);
}
END_TEST

START_TEST(batches_hold_rows_end_to_end)
{
    const int tokens[] = {5, 6, 7};
    struct batch batch = {0};

    for (int i = 0; i < 100; i++) {
        batch_add(&batch, tokens, 2);
        batch_extend(&batch, tokens + 2, 1);
        batch_add(&batch, NULL, 0);
    }
    ck_assert_int_eq(batch.rows, 200);
    ck_assert_int_eq(batch.total, 300);
    ck_assert_int_eq(batch.start[199], 300);
    ck_assert_int_eq(batch.start[200], 300);
    for (int t = 0; t < 300; t++) ck_assert_int_eq(batch.tokens[t], 5 + t % 3);
    batch_clear(&batch);
    ck_assert_int_eq(batch.total, 0);
    batch_free(&batch);
    ck_assert_ptr_null(batch.tokens);
}
END_TEST

START_TEST(the_memory_plan_orders_scoring_recomputing_and_keeping)
{
    const struct kernels *k = kernels_find("cpu");
    struct config config = odd_config(0);
    size_t scoring = trunk_bytes(&config, k, 1024, 0, 0, NULL),
           recomputing = trunk_bytes(&config, k, 1024, 1, 1, NULL);
    size_t keeping = trunk_bytes(&config, k, 1024, 1, 0, NULL);

    ck_assert_uint_lt(scoring, recomputing);
    ck_assert_uint_lt(recomputing, keeping);
    ck_assert_uint_ge(scoring, 1024 * sizeof(float) * (48 * 4 + 144 + 48 + 200));
}
END_TEST

START_TEST(the_memory_plan_counts_operands_and_layouts_at_their_size)
{
    const struct kernels *wide = kernels_find("cpu"), *narrow = kernels_find("cpu-bf16");
    struct config config = odd_config(0);
    double parameters = config_parameters(&config);

    ck_assert_uint_gt(trunk_bytes(&config, wide, 1024, 0, 0, NULL),
                      trunk_bytes(&config, narrow, 1024, 0, 0, NULL));
    ck_assert_uint_gt(model_bytes(&config, wide, 0, NULL), model_bytes(&config, narrow, 0, NULL));
    ck_assert_double_ge((double)model_bytes(&config, narrow, 0, NULL), 4 * parameters);
    ck_assert_double_ge((double)model_bytes(&config, narrow, 1, NULL), 16 * parameters);
}
END_TEST

/* Where the memory that a backend hands out is counted. */
static size_t handed_out;
static const struct kernels *counted;

static void *count_alloc(size_t bytes) {
    handed_out += bytes;
    return counted->alloc(bytes);
}

START_TEST(a_training_step_takes_the_memory_that_the_plan_says)
{
    struct kernels kernels = *(counted = kernels_find(_i ? "cpu-bf16" : "cpu"));
    struct config config = odd_config(0);
    int tokens[] = {5, 6, 7, 8, 9};
    struct batch batch = {0};
    struct optimizer optimizer;
    struct model *model;
    struct trunk *trunk;
    size_t plan = model_bytes(&config, counted, 1, NULL) + trunk_bytes(&config, counted, 40, 1, 0, NULL);

    kernels.alloc = count_alloc;
    handed_out = 0;
    ck_assert_int_eq(model_create(&model, &config, &kernels, &err), 0);
    model_init(model, 1);
    ck_assert_int_eq(model_train(model, &err), 0);
    ck_assert_int_eq(optimizer_create(&optimizer, model, &err), 0);
    ck_assert_int_eq(trunk_create(&trunk, model, 0, &err), 0);
    for (int i = 0; i < 8; i++) batch_add(&batch, tokens, 5);
    ck_assert_int_eq(trunk_forward(trunk, &batch, 1, &err), 0);
    ck_assert_uint_ge(handed_out, plan * 9 / 10);
    ck_assert_uint_le(handed_out, plan);
    batch_free(&batch);
    trunk_free(trunk);
    optimizer_free(&optimizer, model);
    model_free(model);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("transformer");
    TCase *pytorch = tcase_create("pytorch"), *itself = tcase_create("itself");
    SRunner *runner = srunner_create(suite);
    int failures, models = sizeof names / sizeof *names;

    kernels_threads(1);
    tcase_add_loop_test(pytorch, logits_equal_pytorchs, 0, models);
    tcase_add_loop_test(pytorch, outputs_and_every_gradient_equal_pytorchs, 0, models);
    tcase_set_timeout(itself, 60); /* two threads wait for each other on a busy machine */
    tcase_add_loop_test(itself, gradients_equal_finite_differences, 0, models);
    tcase_add_loop_test(itself, recomputed_activations_give_the_same_bits, 0, models);
    tcase_add_loop_test(itself, micro_batches_add_up_to_the_bits_of_one_batch, 0, KINDS);
    tcase_add_loop_test(itself, leaving_out_tokens_that_nobody_reads_changes_no_bit, 0, KINDS);
    tcase_add_loop_test(itself, gradients_do_not_depend_on_the_thread_count, 0, KINDS);
    tcase_add_loop_test(itself, a_rows_hidden_states_do_not_depend_on_other_rows, 0, KINDS);
    tcase_add_loop_test(itself, training_and_scoring_return_the_same_log_probabilities, 0, KINDS);
    tcase_add_loop_test(itself, gradients_in_bf16_are_near_those_in_single_precision, 0, 2);
    tcase_add_test(itself, the_slope_of_a_truncated_distribution_equals_finite_differences);
    tcase_add_loop_test(itself, a_few_steps_of_training_lower_the_loss, 0, KINDS);
    tcase_add_test(itself, what_does_not_fit_is_an_error);
    tcase_add_test(itself, batches_hold_rows_end_to_end);
    tcase_add_test(itself, the_memory_plan_orders_scoring_recomputing_and_keeping);
    tcase_add_test(itself, the_memory_plan_counts_operands_and_layouts_at_their_size);
    tcase_add_loop_test(itself, a_training_step_takes_the_memory_that_the_plan_says, 0, 2);
    suite_add_tcase(suite, pytorch);
    suite_add_tcase(suite, itself);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
