/* What a step of generation or training asks of the CUDA backend: the CPU's results from recorded steps, and
   no waiting or allocation within one. */
#include <stdio.h>

#include "harness/memory.h"
#include "harness/rng.h"
#include "models/generator.h"
#include "models/optimizer.h"
#include "models/supervised.h"
#include "models/training.h"
#include "tests/emulated_calls.h"
#include "tests/test_kernels.h"
#include "trainers/practice.h"

#define VOCAB    61
#define CONTEXT  48
#define REQUESTS 14
#define MOST_NEW 14
#define SLOTS    5

static struct error err;
static const struct kernels *cpu, *cuda;

static struct model *new_model(int llama, const struct kernels *kernels) {
    struct config config;
    struct model *model;

    ck_assert_int_eq(config_family(&config, llama ? "llama" : "gpt2", &err), 0);
    config.vocab = VOCAB;
    config.context = CONTEXT;
    config.layers = 2;
    config.width = llama ? 20 : 32;
    config.heads = 2;
    config.kv_heads = llama ? 1 : 2;
    config.head_size = llama ? 10 : 16;
    config.ffn = 40;
    config.score_heads = 1;
    ck_assert_msg(model_create(&model, &config, kernels, &err) == 0, "%s", err.message);
    model_init(model, 3);
    return model;
}

/* Responses of 1 to MOST_NEW tokens, so that rows end one by one and others take their places; the second of
   every three shares the prompt of the one before. */
static void run(const struct model *model, struct sampling sampling, struct generator_memory *memory,
                int values, struct response *responses) {
    struct generator_options options = {.sampling = sampling,
                                        .max_new = MOST_NEW,
                                        .end_token = 7,
                                        .slots = SLOTS,
                                        .seed = 11,
                                        .stream = "test",
                                        .values = values,
                                        .memory = memory};
    struct request requests[REQUESTS];
    int prompts[REQUESTS][20];
    struct rng rng = rng_stream(1, "prompts", 0, 0);

    for (int i = 0; i < REQUESTS; i++) {
        for (int t = 0; t < 20; t++) prompts[i][t] = rng_below(&rng, VOCAB);
        requests[i] = (struct request){prompts[i], 1 + rng_below(&rng, 20), 5, (uint64_t)i, 0};
        if (i % 3 == 1) requests[i] = requests[i - 1], requests[i].b = (uint64_t)i;
        requests[i].max_new = 1 + i * 5 % MOST_NEW;
    }
    ck_assert_msg(generate(model, requests, REQUESTS, &options, responses, NULL, NULL, &err) == 0, "%s",
                  err.message);
}

static void assert_same_and_free(struct response *a, struct response *b) {
    for (int i = 0; i < REQUESTS; i++) {
        ck_assert_int_eq(a[i].length, b[i].length);
        ck_assert_int_eq(a[i].ended, b[i].ended);
        ck_assert_mem_eq(a[i].tokens, b[i].tokens, (size_t)a[i].length * sizeof(int));
        ck_assert_mem_eq(a[i].logprob, b[i].logprob, (size_t)a[i].length * sizeof(float));
        if (a[i].value) ck_assert_mem_eq(a[i].value, b[i].value, (size_t)a[i].length * sizeof(float));
        response_free(&a[i]);
        response_free(&b[i]);
    }
}

/* Adds to every parameter, as an optimizer does between rollouts. */
static void move_weights(struct model *model, float by) {
    size_t bytes = model->learned_size * sizeof(float);
    float *view = model->kernels->map(model->learned, bytes, 1);

    for (size_t i = 0; i < model->learned_size; i++) view[i] += by;
    model->kernels->unmap(model->learned, view, bytes, 1);
    model_changed(model);
}

/* The memory stays, and with it what was recorded, while weights and what is sampled change. */
START_TEST(steps_that_are_recorded_draw_what_the_cpu_draws)
{
    static const struct {
        struct sampling sampling;
        int values;
    } calls[] = {{{0, 0, 1, 0}, 0}, {{0, 0, 1, 0}, 0},        {{1, 0, 1, 0}, 1}, {{1, 0, 1, 0}, 1},
                 {{1, 0, 1, 0}, 0}, {{0.8f, 20, 0.9f, 0}, 0}, {{1, 0, 1, 0}, 0}};
    struct model *models[] = {new_model(_i, cpu), new_model(_i, cuda)};
    struct generator_memory memory = {0};

    for (int c = 0; c < COUNT(calls); c++) {
        struct response want[REQUESTS], got[REQUESTS];

        run(models[0], calls[c].sampling, NULL, calls[c].values, want);
        run(models[1], calls[c].sampling, &memory, calls[c].values, got);
        assert_same_and_free(want, got);
        for (int m = 0; m < 2; m++) move_weights(models[m], 0.01f);
    }
    generator_memory_free(&memory);
    for (int m = 0; m < 2; m++) model_free(models[m]);
}
END_TEST

#ifdef EMULATED
/* One request of n tokens: its prompt's pass draws the first of them, and steps the others. */
static struct asked ask_for(const struct model *model, struct generator_memory *memory, int n) {
    static const int prompt[] = {1, 2, 3};
    struct generator_options options = {.sampling = SAMPLING_PLAIN,
                                        .max_new = n,
                                        .end_token = -1,
                                        .slots = 1,
                                        .seed = 1,
                                        .stream = "test",
                                        .memory = memory};
    struct request request = {prompt, 3, 0, 0, 0};
    struct asked before = {0};
    struct response response;

    asked(&before);
    ck_assert_int_eq(generate(model, &request, 1, &options, &response, NULL, NULL, &err), 0);
    ck_assert_int_eq(response.length, n);
    response_free(&response);
    return asked(&before);
}

static const struct kernels *of_either_precision(int i) {
    return i < 2 ? cuda : kernels_find("cuda-bf16");
}

START_TEST(a_recorded_step_is_one_launch_two_copies_and_one_wait)
{
    struct model *model = new_model(_i % 2, of_either_precision(_i));
    struct generator_memory memory = {0};
    struct asked few, many;

    ask_for(model, &memory, 40);
    few = ask_for(model, &memory, 10);
    many = ask_for(model, &memory, 40);
    ck_assert_uint_eq(few.waits, 10);
    ck_assert_uint_eq(many.waits, 40);
    ck_assert_uint_eq(many.replays, 39);
    ck_assert_uint_eq(many.launches, few.launches); /* the prompt's */
    ck_assert_uint_eq(many.copies - few.copies, 2 * 30);
    ck_assert_uint_eq(few.allocations, 0);
    ck_assert_uint_eq(many.allocations, 0);
    generator_memory_free(&memory);
    model_free(model);
}
END_TEST

/* Kernels of the passes that give n tokens to each of so many requests, the second of every three with the
 * prompt of the one before. */
static size_t kernels_for(const struct model *model, int requests, int n) {
    static const int prompt[] = {1, 2, 3, 4, 5, 6};
    struct generator_options options = {.sampling = SAMPLING_PLAIN,
                                        .max_new = n,
                                        .end_token = -1,
                                        .slots = requests,
                                        .seed = 1,
                                        .stream = "test"};
    struct request asked_for[SLOTS];
    struct response responses[SLOTS];
    struct asked before = {0};

    for (int i = 0; i < requests; i++)
        asked_for[i] = (struct request){prompt, 2 + (i + 1) / 3 + i / 3, 0, (uint64_t)i, 0};
    asked(&before);
    ck_assert_int_eq(generate(model, asked_for, requests, &options, responses, NULL, NULL, &err), 0);
    for (int i = 0; i < requests; i++) response_free(&responses[i]);
    return asked(&before).launches;
}

/* In each of two layers two norms, four products and attention; in single precision GELU, for Llama also the
 * rotation and SwiGLU; then the embedding, the last norm, the head and the draw. Of bf16 the model whose
 * lines are all on 16 bytes. */
START_TEST(a_step_is_7_to_9_kernels_a_layer_and_five)
{
    static const size_t kernels[] = {7 + 1, 7 + 2, 7};
    struct model *model = new_model(_i % 2, of_either_precision(_i));

    kernels_for(model, 1, 1); /* lays weights out */
    for (int rows = 1; rows <= SLOTS; rows += 2)
        ck_assert_uint_eq(kernels_for(model, rows, 2) - kernels_for(model, rows, 1), 2 * kernels[_i] + 5);
    model_free(model);
}
END_TEST

START_TEST(a_pass_over_prompts_is_as_many_kernels_for_one_row_as_for_several)
{
    struct model *model = new_model(_i % 2, of_either_precision(_i));

    kernels_for(model, 1, 1);
    ck_assert_uint_eq(kernels_for(model, SLOTS, 1), kernels_for(model, 1, 1));
    model_free(model);
}
END_TEST

/* Memory stays, so that steps are recorded on the way. */
START_TEST(kernels_that_start_early_read_nothing_that_their_chain_writes)
{
    struct model *model = new_model(_i % 2, of_either_precision(_i));
    struct response want[REQUESTS], got[REQUESTS];
    struct generator_memory memory = {0};

    run(model, SAMPLING_PLAIN, NULL, 1, want);
    emulated_watch(1);
    run(model, SAMPLING_PLAIN, &memory, 1, got);
    emulated_watch(0);
    assert_same_and_free(want, got);
    generator_memory_free(&memory);
    model_free(model);
}
END_TEST

/* 600 tokens: two chunks of logits. */
START_TEST(a_training_step_waits_once_and_allocates_nothing)
{
    struct asked before = {0}, step;
    struct training training;

    ck_assert_int_eq(training_create(&training, new_model(_i % 2, of_either_precision(_i)), 15, 40, &err), 0);
    for (int i = 0; i < 2; i++) ck_assert_msg(!training_step(&training, &err), "%s", err.message);
    asked(&before);
    ck_assert_int_eq(training_step(&training, &err), 0);
    step = asked(&before);
    ck_assert_uint_eq(step.waits, 1);
    ck_assert_uint_eq(step.allocations, 0);
    ck_assert(isfinite(training.loss));
    training_free(&training);
}
END_TEST

/* One wait for the loss of all micro-batches, one for the gradient's norm. */
START_TEST(micro_batches_are_queued_behind_one_another)
{
    enum { ROWS = 12, LENGTH = 30 };
    struct dataset data = {0};
    struct model *model = new_model(_i, cuda);
    struct supervised supervised = {.data = &data, .micro_tokens = 2 * LENGTH};
    struct optimizer optimizer;
    struct asked before = {0}, step;
    int rows[ROWS], ids[LENGTH];
    double loss;

    for (int r = 0; r < ROWS; r++) {
        for (int t = 0; t < LENGTH; t++) ids[t] = (7 * r + t) % VOCAB;
        dataset_add(&data, ids, 4, ids + 4, LENGTH - 4, 1);
        rows[r] = r;
    }
    ck_assert_int_eq(model_train(model, &err), 0);
    ck_assert_int_eq(optimizer_create(&optimizer, model, &err), 0);
    ck_assert_int_eq(trunk_create(&supervised.trunk, model, 0, &err), 0);
    supervised_sizes(&supervised);
    for (int i = 0; i < 3; i++) {
        asked(&before);
        ck_assert_msg(!supervised_learn(&supervised, rows, ROWS, 1, &loss, &err), "%s", err.message);
        step = asked(&before);
        ck_assert(isfinite(optimizer_update(&optimizer, model, 1e-3f)));
    }
    ck_assert_uint_eq(step.waits, 1);
    ck_assert_uint_eq(step.allocations, 0);
    step = asked(&before);
    ck_assert_uint_eq(step.waits, 1);
    ck_assert_uint_eq(step.allocations, 0);
    ck_assert_double_eq_tol(loss, log(VOCAB), 1);
    supervised_free(&supervised);
    trunk_free(supervised.trunk);
    optimizer_free(&optimizer, model);
    dataset_free(&data);
    model_free(model);
}
END_TEST

/* Two epochs over n responses of 3 tokens, in minibatches of half of them and micro-batches of a few. */
static struct asked ask_for_updates(enum value_model value, int n, const struct kernels *kernels) {
    const struct practice_shape shape = {n, 5, 3, 2, n / 2, value};
    const struct stopwatch watch = {.threads = 1};
    struct rollout rollout = {0};
    struct phases spent = {0};
    struct asked before = {0}, updates;
    struct practice practice;
    struct learned learned;

    ck_assert_int_eq(practice_create(&practice, new_model(0, kernels), &shape, &err), 0);
    practice.options.micro_tokens = 30;
    ck_assert_msg(practice_iterate(&practice, &watch, &spent, &err) == 0, "%s", err.message);
    ck_assert_int_eq(collector_sample(&practice.collector, &rollout, 1, &err), 0);
    ck_assert_int_eq(collector_read(&practice.collector, &rollout, &err), 0);
    asked(&before);
    ck_assert_int_eq(collector_shape(&practice.collector, &rollout, &err), 0);
    ck_assert_uint_eq(asked(&before).waits, 0);
    ck_assert_msg(!learner_learn(&practice.learner, &rollout, 1, 1, &learned, &err), "%s", err.message);
    updates = asked(&before);
    ck_assert_int_eq(learned.updates, 4);
    ck_assert(isfinite(learned.policy_loss) && isfinite(learned.value_loss));
    ck_assert_ptr_null(kernels->sync());
    rollout_free(&rollout);
    practice_free(&practice);
    return updates;
}

/* Before the first update once, and in each for the norm of every model that learns. */
START_TEST(updates_of_ppo_wait_for_norms_alone_however_many_tokens_they_have)
{
    const struct kernels *kernels = of_either_precision(2 * _i);

    for (int apart = 0; apart < 2; apart++) {
        enum value_model value = apart ? VALUE_SEPARATE : VALUE_SHARED;
        struct asked few = ask_for_updates(value, 4, kernels);
        struct asked many = ask_for_updates(value, 24, kernels);

        ck_assert_uint_eq(few.waits, 1 + 4 * (1 + apart));
        ck_assert_uint_eq(many.waits, few.waits);
        ck_assert_uint_gt(many.launches, few.launches);
        ck_assert_uint_eq(many.allocations, 0);
    }
}
END_TEST
#endif

int main(void) {
    TCase *test;
    Suite *suite;

    cpu = kernels_find("cpu");
    cuda = kernels_find("cuda");
    if (!cuda) {
        printf("SKIP: %s\n", kernels_missing("cuda"));
        return 77;
    }
    suite = suite_create("cuda steps");
    test = tcase_create("cuda steps");
    tcase_set_timeout(test, 120);
    tcase_add_loop_test(test, steps_that_are_recorded_draw_what_the_cpu_draws, 0, 2);
#ifdef EMULATED
    tcase_add_loop_test(test, a_recorded_step_is_one_launch_two_copies_and_one_wait, 0, 4);
    tcase_add_loop_test(test, a_step_is_7_to_9_kernels_a_layer_and_five, 0, 3);
    tcase_add_loop_test(test, a_pass_over_prompts_is_as_many_kernels_for_one_row_as_for_several, 0, 4);
    tcase_add_loop_test(test, kernels_that_start_early_read_nothing_that_their_chain_writes, 0, 4);
    tcase_add_loop_test(test, a_training_step_waits_once_and_allocates_nothing, 0, 4);
    tcase_add_loop_test(test, micro_batches_are_queued_behind_one_another, 0, 2);
    tcase_add_loop_test(test, updates_of_ppo_wait_for_norms_alone_however_many_tokens_they_have, 0, 2);
#endif
    suite_add_tcase(suite, test);
    return run_unforked(suite);
}
