/* Passes through adapters against PEFT, against finite differences, and against themselves in other batches.
 */
#include "models/transformer.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/rng.h"
#include "models/generator.h"
#include "models/optimizer.h"
#include "models/safetensors.h"
#include "tests/ragged_bench.h"
#include "tests/stored_numbers.h"
#include "tests/targets.h"

static struct error err;

static struct trunk *new_trunk(struct model *model, int recompute) {
    struct trunk *trunk;

    ck_assert_int_eq(trunk_create(&trunk, model, recompute, &err), 0);
    return trunk;
}

static void adapt(struct model *model, const char *targets, int rank, double alpha, double dropout) {
    struct adapter_options options = {.rank = rank, .alpha = alpha, .dropout = dropout};

    ck_assert_msg(adapter_targets(&options.targets, targets, &model->config, &err) == 0, "%s", err.message);
    ck_assert_msg(model_adapt(model, &options, 11, &err) == 0, "%s", err.message);
}

static size_t size_of(const struct tensor *tensor) {
    return (size_t)tensor->rows * (size_t)tensor->cols;
}

/* What make_adapter.py made of one of make_transformer.py's models. */
struct reference {
    struct model *model;
    struct safetensors inputs, expected;
    struct batch batch;
    int *position, *target, *score_position, count, score_count;
    float *weight, *spread, *slope;
};

/* A part's matrix of the file: A in its rows of a, B in its block of b. */
static void read_part(const struct safetensors *file, const struct adapter *adapter, int p) {
    const struct adapter_part *part = &adapter->parts[p];
    char *a_name = xprintf("base_model.model.%s.lora_A.weight", part->name);
    char *b_name = xprintf("base_model.model.%s.lora_B.weight", part->name);
    float *a = floats(file, a_name, NULL), *b = floats(file, b_name, NULL);
    int ins = adapter->a->cols, ranks = adapter->b->cols, rank = adapter->rank;

    memcpy(adapter->a->data + part->rank_from * ins, a, (size_t)(rank * ins) * sizeof *a);
    for (int r = 0; r < part->rows * rank; r++)
        adapter->b->data[(part->row + r / rank) * ranks + part->rank_from + r % rank] = b[r];
    free(a);
    free(b);
    free(a_name);
    free(b_name);
}

static void read_batch(struct reference *r) {
    int rows, total;
    int *tokens = integers(&r->inputs, "tokens", &total), *start = integers(&r->inputs, "start", &rows);

    for (int i = 0; i + 1 < rows; i++) batch_add(&r->batch, tokens + start[i], start[i + 1] - start[i]);
    free(tokens);
    free(start);
}

static struct reference open_reference(const char *name) {
    const char *root = getenv("srcdir") ? getenv("srcdir") : ".";
    char *folder = xprintf("%s/tests/fixtures/transformer/%s", root, name);
    char *inputs = xprintf("%s/expected.safetensors", folder);
    char *expected = xprintf("%s/tests/fixtures/adapter/%s.safetensors", root, name);
    struct reference r = {0};

    ck_assert_msg(model_load(&r.model, folder, kernels_find("cpu"), &err) == 0, "%s", err.message);
    ck_assert_msg(safetensors_open(&r.inputs, inputs, &err) == 0, "%s", err.message);
    ck_assert_msg(safetensors_open(&r.expected, expected, &err) == 0, "%s", err.message);
    adapt(r.model, "all-linear", 3, 5, 0);
    for (int i = 0; i < r.model->adapter_count; i++)
        for (int p = 0; p < r.model->adapters[i].part_count; p++)
            read_part(&r.expected, &r.model->adapters[i], p);
    ck_assert_int_eq(model_train(r.model, &err), 0);
    read_batch(&r);
    r.position = integers(&r.inputs, "position", &r.count);
    r.target = integers(&r.inputs, "target", &r.count);
    r.score_position = integers(&r.inputs, "score_position", &r.score_count);
    r.weight = floats(&r.inputs, "weight", NULL);
    r.spread = floats(&r.inputs, "spread", NULL);
    r.slope = floats(&r.inputs, "slope", NULL);
    free(folder);
    free(inputs);
    free(expected);
    return r;
}

static void close_reference(struct reference *r) {
    safetensors_close(&r->inputs);
    safetensors_close(&r->expected);
    model_free(r->model);
    batch_free(&r->batch);
    free(r->position);
    free(r->target);
    free(r->score_position);
    free(r->weight);
    free(r->spread);
    free(r->slope);
}

/* The largest difference is at most this share of the largest value. */
static void assert_close(const char *what, const float *got, const float *expected, size_t count,
                         double share) {
    double largest = 0, worst = 0;

    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs((double)expected[i]));
        worst = isfinite(got[i]) ? fmax(worst, fabs((double)got[i] - (double)expected[i])) : INFINITY;
    }
    ck_assert_msg(worst <= share * largest, "%s is off by %g, values reach %g", what, worst, largest);
}

static void check_part(const struct reference *r, const struct adapter *adapter, int p) {
    const struct adapter_part *part = &adapter->parts[p];
    char *a_name = xprintf("gradient.base_model.model.%s.lora_A.weight", part->name);
    char *b_name = xprintf("gradient.base_model.model.%s.lora_B.weight", part->name);
    float *a = floats(&r->expected, a_name, NULL), *b = floats(&r->expected, b_name, NULL);
    int ins = adapter->a->cols, ranks = adapter->b->cols, rank = adapter->rank;
    float *block = xmalloc((size_t)(part->rows * rank) * sizeof *block);

    for (int i = 0; i < part->rows * rank; i++)
        block[i] = adapter->b->grad[(part->row + i / rank) * ranks + part->rank_from + i % rank];
    assert_close(a_name, adapter->a->grad + part->rank_from * ins, a, (size_t)(rank * ins), 1e-5);
    assert_close(b_name, block, b, (size_t)(part->rows * rank), 1e-5);
    free(block);
    free(a);
    free(b);
    free(a_name);
    free(b_name);
}

static const char *const names[] = {"gpt2", "llama", "gemma2"};

START_TEST(logits_and_gradients_equal_pefts)
{
    struct reference r = open_reference(names[_i]);
    struct trunk *trunk = new_trunk(r.model, 0);
    const struct config *c = &r.model->config;
    size_t size = (size_t)r.batch.total * c->vocab;
    float *logits = xmalloc(size * sizeof *logits), *expected = floats(&r.expected, "logits", NULL);
    float *score = floats(&r.expected, "gradient.score.weight", NULL), logprob[64], entropy[64];
    struct slopes slopes = {r.weight, r.spread};

    ck_assert_msg(trunk_forward(trunk, &r.batch, 1, &err) == 0, "%s", err.message);
    r.model->kernels->matmul(logits, trunk_hidden(trunk), r.model->head->data, NULL, NULL, NULL,
                             r.batch.total, c->vocab, c->width);
    if (c->final_cap > 0) r.model->kernels->cap(logits, size, c->final_cap);
    assert_close("logits", logits, expected, size, 1e-5);
    head_train(trunk, r.position, r.target, r.count, &SAMPLING_PLAIN, 1, slope, &slopes, logprob, entropy);
    head_score_train(trunk, r.score_position, r.score_count, give,
                     &(struct given){r.slope, r.model->config.score_heads}, NULL);
    trunk_backward(trunk);
    model_join_grad(r.model);
    assert_close("score", r.model->score->grad, score, size_of(r.model->score), 1e-5);
    for (int i = 0; i < r.model->adapter_count; i++)
        for (int p = 0; p < r.model->adapters[i].part_count; p++) check_part(&r, &r.model->adapters[i], p);
    free(score);
    free(expected);
    free(logits);
    trunk_free(trunk);
    close_reference(&r);
}
END_TEST

/* Models of sizes that are multiples of nothing, and ragged rows to train them on. */
#define VOCAB 131
#define ROWS  24
#define LONG  40

static const char *const families[] = {"gpt2", "llama", "gemma2"};

/* Kinds: the families in single precision, then in bf16. */
#define KINDS 6

static struct model *odd_model(int kind) {
    struct config config;
    struct model *model;

    ck_assert_int_eq(config_family(&config, families[kind % 3], &err), 0);
    config.vocab = VOCAB;
    config.context = 64;
    config.layers = 3;
    config.width = 48;
    config.heads = kind % 3 ? 6 : 3;
    config.kv_heads = kind % 3 ? 2 : 3;
    config.head_size = kind % 3 ? 10 : 16;
    config.ffn = 100;
    config.tied = kind % 3 != 1;
    config.score_heads = 2;
    ck_assert_msg(model_create(&model, &config, kernels_find(kind < 3 ? "cpu" : "cpu-bf16"), &err) == 0, "%s",
                  err.message);
    model_init(model, 7);
    for (size_t i = 0; i < model->size; i++) model->data[i] *= 1.5f;
    model_changed(model);
    return model;
}

static void fill_b(struct model *model) {
    struct rng rng = rng_stream(3, "b", 0, 0);

    for (int i = 0; i < model->adapter_count; i++) {
        const struct adapter *adapter = &model->adapters[i];

        for (int p = 0; p < adapter->part_count; p++)
            for (int r = 0; r < adapter->parts[p].rows * adapter->rank; r++)
                adapter->b->data[(adapter->parts[p].row + r / adapter->rank) * adapter->b->cols +
                                 adapter->parts[p].rank_from + r % adapter->rank] =
                    0.1f * (float)rng_normal(&rng);
    }
    model_changed(model);
}

/* targets NULL: without adapters. */
static struct bench new_bench(int kind, const char *targets, double dropout) {
    struct model *model = odd_model(kind);

    if (targets) {
        adapt(model, targets, 3, 5, dropout);
        fill_b(model);
        ck_assert_int_eq(model_train(model, &err), 0);
    }
    return bench_of(model, ROWS, LONG, 1);
}

static float *copied(const float *x, size_t count) {
    return memcpy(xmalloc(count * sizeof *x), x, count * sizeof *x);
}

/* Central differences along the whole gradient of one tensor: the loss must change by its length. */
static void check_difference(struct bench *b, struct trunk *trunk, const struct tensor *tensor) {
    size_t size = size_of(tensor);
    float *grad = copied(tensor->grad, size), *kept = copied(tensor->data, size);
    double length = 0, eps, loss[2];

    for (size_t i = 0; i < size; i++) length += (double)grad[i] * (double)grad[i];
    length = sqrt(length);
    ck_assert_msg(length > 0, "%s has no gradient", tensor->name);
    eps = 0.25 / (length * length);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < size; i++)
            tensor->data[i] = kept[i] + (float)((side ? -eps : eps) * (double)grad[i]);
        model_changed(b->model);
        loss[side] = train_rows(b, trunk, 0, ROWS, 1);
    }
    ck_assert_msg(fabs((loss[0] - loss[1]) / (2 * eps * length * length) - 1) < 0.01,
                  "%s: the loss changes by %g, not by %g", tensor->name, loss[0] - loss[1],
                  2 * eps * length * length);
    memcpy(tensor->data, kept, size * sizeof *kept);
    model_zero_grad(b->model);
    free(grad);
    free(kept);
}

/* With dropout (the second three) and without: its mask is the same at both ends. */
START_TEST(gradients_equal_finite_differences)
{
    struct bench b = new_bench(_i % 3, "all-linear", _i < 3 ? 0 : 0.3);
    struct trunk *trunk = new_trunk(b.model, 0);
    float *gradients;

    trunk_dropout(trunk, 5, 2);
    train_rows(&b, trunk, 0, ROWS, 1);
    model_join_grad(b.model);
    gradients = copied(b.model->grad, b.model->learned_size);
    for (int i = 0; i < b.model->count + b.model->added; i++) {
        if (b.model->tensors[i].frozen) continue;
        memcpy(b.model->grad, gradients, b.model->learned_size * sizeof *gradients);
        check_difference(&b, trunk, &b.model->tensors[i]);
    }
    free(gradients);
    trunk_free(trunk);
    free_bench(&b);
}
END_TEST

START_TEST(an_adapter_that_is_zero_changes_no_bit)
{
    struct bench plain = new_bench(_i, NULL, 0), b = new_bench(_i, "all-linear", 0);
    struct trunk *of_plain = new_trunk(plain.model, 0), *trunk = new_trunk(b.model, 0);
    size_t count = (size_t)b.count;

    ck_assert_int_eq(trunk_forward(of_plain, &b.batch, 0, &err), 0);
    head_logprob(of_plain, b.position, b.target, b.count, &SAMPLING_PLAIN, plain.logprob, NULL, NULL);
    trunk_adapters(trunk, 0);
    ck_assert_int_eq(trunk_forward(trunk, &b.batch, 0, &err), 0);
    head_logprob(trunk, b.position, b.target, b.count, &SAMPLING_PLAIN, b.logprob, NULL, NULL);
    assert_same("without adapters", b.logprob, plain.logprob, count);
    trunk_adapters(trunk, 1);
    ck_assert_int_eq(trunk_forward(trunk, &b.batch, 0, &err), 0);
    head_logprob(trunk, b.position, b.target, b.count, &SAMPLING_PLAIN, b.logprob, NULL, NULL);
    ck_assert(memcmp(b.logprob, plain.logprob, count * sizeof *b.logprob) != 0);
    for (int i = 0; i < b.model->adapter_count; i++)
        memset(b.model->adapters[i].b->data, 0, size_of(b.model->adapters[i].b) * sizeof(float));
    model_changed(b.model);
    ck_assert_int_eq(trunk_forward(trunk, &b.batch, 0, &err), 0);
    head_logprob(trunk, b.position, b.target, b.count, &SAMPLING_PLAIN, b.logprob, NULL, NULL);
    assert_same("B = 0", b.logprob, plain.logprob, count);
    trunk_free(of_plain);
    trunk_free(trunk);
    free_bench(&plain);
    free_bench(&b);
}
END_TEST

START_TEST(a_merged_model_says_the_same)
{
    struct bench b = new_bench(_i, "all-linear", 0);
    struct trunk *trunk = new_trunk(b.model, 0);
    float *adapted;
    struct model *model = odd_model(_i);

    adapt(model, "all-linear", 3, 5, 0);
    fill_b(model);
    ck_assert_int_eq(trunk_forward(trunk, &b.batch, 0, &err), 0);
    head_logprob(trunk, b.position, b.target, b.count, &SAMPLING_PLAIN, b.logprob, NULL, NULL);
    adapted = copied(b.logprob, (size_t)b.count);
    ck_assert_int_eq(model_merge(model, &err), 0);
    trunk_use(trunk, model);
    ck_assert_int_eq(trunk_forward(trunk, &b.batch, 0, &err), 0);
    head_logprob(trunk, b.position, b.target, b.count, &SAMPLING_PLAIN, b.logprob, NULL, NULL);
    assert_close("log-probability", b.logprob, adapted, (size_t)b.count, 1e-5);
    free(adapted);
    trunk_free(trunk);
    model_free(model);
    free_bench(&b);
}
END_TEST

/* Whole, in micro-batches, recomputed, and with other numbers of threads: with dropout, the same bits. */
START_TEST(no_cut_of_batches_no_thread_and_no_recomputation_changes_a_bit)
{
    struct bench b = new_bench(_i, _i % 3 ? "q_proj,v_proj,up_proj,down_proj" : "all-linear", 0.2);
    float *whole = NULL;

    for (int way = 0; way < 4; way++) {
        struct trunk *trunk = new_trunk(b.model, way == 2);
        int part = way == 1 ? 5 : ROWS;

        kernels_threads(way == 3 ? 1 : 2);
        trunk_dropout(trunk, 5, 2);
        model_zero_grad(b.model);
        for (int r = 0; r < ROWS; r += part) train_rows(&b, trunk, r, r + part < ROWS ? r + part : ROWS, 1);
        model_join_grad(b.model);
        if (way)
            assert_same("gradient", b.model->grad, whole, b.model->learned_size);
        else
            whole = copied(b.model->grad, b.model->learned_size);
        trunk_free(trunk);
    }
    free(whole);
    free_bench(&b);
}
END_TEST

START_TEST(dropout_differs_from_update_to_update_and_leaves_scoring_alone)
{
    struct bench b = new_bench(_i, "all-linear", 0.2), other = new_bench(_i, "all-linear", 0);
    struct trunk *trunk = new_trunk(b.model, 0), *without = new_trunk(other.model, 0);
    double loss[3], plain = train_rows(&other, without, 0, ROWS, 1);

    for (int update = -1; update < 2; update++) {
        trunk_dropout(trunk, 5, update);
        loss[update + 1] = train_rows(&b, trunk, 0, ROWS, 1);
    }
    ck_assert_double_eq(loss[0], plain);
    ck_assert_double_ne(loss[1], plain);
    ck_assert_double_ne(loss[1], loss[2]);
    ck_assert_int_eq(trunk_forward_at(trunk, &b.batch, b.position, b.count, 0, &err), 0);
    head_logprob(trunk, b.position, b.target, b.count, &SAMPLING_PLAIN, b.logprob, NULL, NULL);
    assert_same("scoring", b.logprob, other.logprob, (size_t)b.count);
    trunk_free(trunk);
    trunk_free(without);
    free_bench(&b);
    free_bench(&other);
}
END_TEST

/* Steps on the same rows: the loss falls, the base keeps its bits. */
START_TEST(training_lowers_the_loss_and_leaves_the_base_as_it_is)
{
    struct bench b = new_bench(_i, "all-linear", 0);
    struct trunk *trunk = new_trunk(b.model, 0);
    float *before = copied(b.model->data, b.model->size);
    struct optimizer optimizer;
    double first = 0, last = 0;

    ck_assert_int_eq(optimizer_create(&optimizer, b.model, &err), 0);
    for (int step = 0; step < 12; step++) {
        last = train_rows(&b, trunk, 0, ROWS, 1);
        if (step == 0) first = last;
        optimizer_update(&optimizer, b.model, 1e-3f);
    }
    ck_assert_double_lt(last, first - 1);
    ck_assert_int_eq(memcmp(before, b.model->data, b.model->size * sizeof *before), 0);
    optimizer_free(&optimizer, b.model);
    free(before);
    trunk_free(trunk);
    free_bench(&b);
}
END_TEST

/* The sampler's log-probabilities are the trainer's, which differ from the base's. */
START_TEST(sampling_goes_through_adapters)
{
    const int prompt[] = {3, 1, 4, 1, 5};
    struct bench b = new_bench(_i, "all-linear", 0.2);
    struct trunk *trunk = new_trunk(b.model, 0);
    struct request requests[] = {{prompt, 5, 0, 0, 0}, {prompt, 3, 1, 0, 0}, {prompt, 5, 2, 0, 0}};
    const struct generator_options options = {
        .sampling = SAMPLING_PLAIN, .max_new = 12, .end_token = 7, .slots = 2, .seed = 3, .stream = "test"};
    struct response responses[3];

    ck_assert_int_eq(generate(b.model, requests, 3, &options, responses, NULL, NULL, &err), 0);
    trunk_dropout(trunk, 1, 1); /* which scoring does not heed */
    for (int i = 0; i < 3; i++) {
        int count = responses[i].length, position[12];
        float logprob[12], plain[12];
        struct batch batch = {0};

        batch_add(&batch, prompt, requests[i].length);
        batch_extend(&batch, responses[i].tokens, count);
        for (int t = 0; t < count; t++) position[t] = requests[i].length - 1 + t;
        for (int on = 0; on < 2; on++) {
            trunk_adapters(trunk, on);
            ck_assert_int_eq(trunk_forward(trunk, &batch, 0, &err), 0);
            head_logprob(trunk, position, responses[i].tokens, count, &SAMPLING_PLAIN, on ? logprob : plain,
                         NULL, NULL);
        }
        assert_same("log-probability", responses[i].logprob, logprob, (size_t)count);
        ck_assert(memcmp(logprob, plain, (size_t)count * sizeof *plain) != 0);
        batch_free(&batch);
        response_free(&responses[i]);
    }
    trunk_free(trunk);
    free_bench(&b);
}
END_TEST

/* Two sets of numbers on one base, in turn, are two models. */
START_TEST(one_base_serves_many_adapters)
{
    struct bench b = new_bench(_i, "all-linear", 0);
    struct trunk *trunk = new_trunk(b.model, 0);
    float *first = model_learned_copy(b.model), *second = model_learned_copy(b.model), *said[3];

    for (size_t i = 0; i < b.model->learned_size; i++) second[i] *= 2;
    for (int i = 0; i < 3; i++) {
        model_learned_set(b.model, i % 2 ? second : first);
        ck_assert_int_eq(trunk_forward(trunk, &b.batch, 0, &err), 0);
        head_score(trunk, b.position, b.count, b.score);
        said[i] = copied(b.score, 2 * (size_t)b.count);
    }
    assert_same("score", said[0], said[2], 2 * (size_t)b.count);
    ck_assert(memcmp(said[0], said[1], 2 * (size_t)b.count * sizeof *b.score) != 0);
    for (int i = 0; i < 3; i++) free(said[i]);
    free(first);
    free(second);
    trunk_free(trunk);
    free_bench(&b);
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
    struct bench b = new_bench(_i, NULL, 0);
    struct kernels kernels = *(counted = b.model->kernels);
    struct adapter_options options = {.rank = 3, .alpha = 5, .dropout = 0.1};
    struct optimizer optimizer;
    struct model *model;
    struct trunk *trunk;
    size_t plan;

    ck_assert_int_eq(adapter_target(&options.targets, "all-linear", &b.model->config, &err), 0);
    plan = model_bytes(&b.model->config, counted, 1, &options) +
           trunk_bytes(&b.model->config, counted, b.batch.total, 1, 0, &options);
    kernels.alloc = count_alloc;
    handed_out = 0;
    ck_assert_int_eq(model_create(&model, &b.model->config, &kernels, &err), 0);
    ck_assert_int_eq(model_adapt(model, &options, 1, &err), 0);
    ck_assert_int_eq(model_train(model, &err), 0);
    ck_assert_int_eq(optimizer_create(&optimizer, model, &err), 0);
    trunk = new_trunk(model, 0);
    trunk_dropout(trunk, 1, 0);
    ck_assert_int_eq(trunk_forward(trunk, &b.batch, 1, &err), 0);
    ck_assert_uint_ge(handed_out, plan * 9 / 10);
    ck_assert_uint_le(handed_out, plan);
    ck_assert_uint_lt(model_bytes(&b.model->config, counted, 1, &options),
                      model_bytes(&b.model->config, counted, 1, NULL) * 3 / 4);
    trunk_free(trunk);
    optimizer_free(&optimizer, model);
    model_free(model);
    free_bench(&b);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("adapter passes");
    TCase *test = tcase_create("passes");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(test, 60);
    tcase_add_loop_test(test, logits_and_gradients_equal_pefts, 0, 3);
    tcase_add_loop_test(test, gradients_equal_finite_differences, 0, 6);
    tcase_add_loop_test(test, an_adapter_that_is_zero_changes_no_bit, 0, KINDS);
    tcase_add_loop_test(test, a_merged_model_says_the_same, 0, 3);
    tcase_add_loop_test(test, no_cut_of_batches_no_thread_and_no_recomputation_changes_a_bit, 0, KINDS);
    tcase_add_loop_test(test, dropout_differs_from_update_to_update_and_leaves_scoring_alone, 0, KINDS);
    tcase_add_loop_test(test, training_lowers_the_loss_and_leaves_the_base_as_it_is, 0, KINDS);
    tcase_add_loop_test(test, sampling_goes_through_adapters, 0, KINDS);
    tcase_add_loop_test(test, one_base_serves_many_adapters, 0, KINDS);
    tcase_add_loop_test(test, a_training_step_takes_the_memory_that_the_plan_says, 0, KINDS);
    suite_add_tcase(suite, test);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
