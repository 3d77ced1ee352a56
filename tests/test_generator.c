/* Generation: the same responses in any batch, with the trainer's own log-probabilities. */
#include "models/generator.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/rng.h"

#define VOCAB   131
#define CONTEXT 48
#define COUNT   20

static struct error err;

/* Kinds 0 to 2 are GPT-2, Llama and Gemma 2 in single precision, 3 to 5 the same in bf16. */
#define KINDS 6

static struct model *new_model(int kind) {
    static const char *const families[] = {"gpt2", "llama", "gemma2"};
    int llama = kind % 3 > 0;
    struct config config;
    struct model *model;

    ck_assert_int_eq(config_family(&config, families[kind % 3], &err), 0);
    config.attention_cap = kind % 3 == 2 ? 2 : 0;
    config.final_cap = kind % 3 == 2 ? 9 : 0;
    config.query_scalar = kind % 3 == 2 ? 7 : 0;
    config.vocab = VOCAB;
    config.context = CONTEXT;
    config.layers = 3;
    config.width = 48;
    config.heads = llama ? 6 : 3;
    config.kv_heads = llama ? 2 : 3;
    config.head_size = llama ? 10 : 16;
    config.ffn = 100;
    ck_assert_msg(model_create(&model, &config, kernels_find(kind < 3 ? "cpu" : "cpu-bf16"), &err) == 0, "%s",
                  err.message);
    model_init(model, 3);
    for (int i = 0; i < model->count; i++)
        for (int j = 0; model->tensors[i].rank == 2 && j < model->tensors[i].rows * model->tensors[i].cols;
             j++)
            model->tensors[i].data[j] *= 8;
    return model;
}

/* Prompts of 1 to 20 tokens; every third request asks for another response to the prompt before. */
static void make_requests(struct request *requests, int (*prompts)[20]) {
    struct rng rng = rng_stream(1, "prompts", 0, 0);

    for (int i = 0; i < COUNT; i++) {
        for (int t = 0; t < 20; t++) prompts[i][t] = rng_below(&rng, VOCAB);
        requests[i] = (struct request){prompts[i], 1 + rng_below(&rng, 20), 5, (uint64_t)i, 0};
        if (i % 3 == 2) requests[i] = requests[i - 1], requests[i].b = (uint64_t)i;
    }
}

static struct generator_options options_of(struct sampling sampling, int slots) {
    return (struct generator_options){
        .sampling = sampling, .max_new = 24, .end_token = 7, .slots = slots, .seed = 11, .stream = "test"};
}

static void run(const struct model *model, const struct generator_options *options,
                struct response *responses) {
    struct request requests[COUNT];
    int prompts[COUNT][20];

    make_requests(requests, prompts);
    ck_assert_msg(generate(model, requests, COUNT, options, responses, NULL, NULL, &err) == 0, "%s",
                  err.message);
}

static void free_all(struct response *responses) {
    for (int i = 0; i < COUNT; i++) response_free(&responses[i]);
}

static void assert_equal(const struct response *a, const struct response *b) {
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(a[i].length, b[i].length);
        ck_assert_int_eq(a[i].ended, b[i].ended);
        ck_assert_mem_eq(a[i].tokens, b[i].tokens, (size_t)a[i].length * sizeof(int));
        ck_assert_mem_eq(a[i].logprob, b[i].logprob, (size_t)a[i].length * sizeof(float));
    }
}

START_TEST(any_number_of_slots_and_threads_gives_the_same_responses)
{
    const struct sampling sampling = {0.9f, 50, 0.95f, 0};
    struct response one[COUNT], other[COUNT];
    struct model *model = new_model(_i);
    struct generator_options options = options_of(sampling, 1);

    run(model, &options, one);
    for (int slots = 2; slots <= 64; slots *= 2) {
        kernels_threads(slots % 3);
        options.slots = slots;
        run(model, &options, other);
        assert_equal(one, other);
        free_all(other);
    }
    free_all(one);
    model_free(model);
}
END_TEST

START_TEST(a_response_is_the_same_alone)
{
    struct generator_options options = options_of(SAMPLING_PLAIN, 8);
    struct response all[COUNT], alone;
    struct model *model = new_model(_i);
    struct request requests[COUNT];
    int prompts[COUNT][20];

    make_requests(requests, prompts);
    run(model, &options, all);
    for (int i = 0; i < COUNT; i += 5) {
        ck_assert_int_eq(generate(model, &requests[i], 1, &options, &alone, NULL, NULL, &err), 0);
        ck_assert_int_eq(alone.length, all[i].length);
        ck_assert_mem_eq(alone.tokens, all[i].tokens, (size_t)alone.length * sizeof(int));
        response_free(&alone);
    }
    free_all(all);
    model_free(model);
}
END_TEST

/* Each token by a whole forward pass over all before it. */
START_TEST(greedy_decoding_equals_a_full_forward_pass_for_each_token)
{
    struct generator_options options = options_of((struct sampling){0, 0, 1, 0}, 5);
    struct response responses[COUNT];
    struct model *model = new_model(_i);
    struct request requests[COUNT];
    int prompts[COUNT][20];
    struct batch batch = {0};
    struct trunk *trunk;

    make_requests(requests, prompts);
    run(model, &options, responses);
    ck_assert_int_eq(trunk_create(&trunk, model, 0, &err), 0);
    for (int i = 0; i < COUNT; i++) {
        batch_clear(&batch);
        batch_add(&batch, requests[i].prompt, requests[i].length);
        for (int t = 0; t < responses[i].length; t++) {
            int position = batch.total - 1, best;
            float logprob;

            ck_assert_int_eq(trunk_forward(trunk, &batch, 0, &err), 0);
            head_logprob(trunk, &position, &responses[i].tokens[t], 1, &options.sampling, &logprob, NULL,
                         &best);
            ck_assert_int_eq(best, responses[i].tokens[t]);
            ck_assert(logprob == responses[i].logprob[t]);
            batch_extend(&batch, &best, 1);
        }
    }
    trunk_free(trunk);
    batch_free(&batch);
    free_all(responses);
    model_free(model);
}
END_TEST

/* What the trainer makes of all responses as one batch; of each token, end to end. */
struct trained {
    float logprob[COUNT * CONTEXT], value[COUNT * CONTEXT];
    int count;
};

static void read_as_trainer(struct trained *out, struct model *model, const struct sampling *sampling,
                            const struct response *responses) {
    struct request requests[COUNT];
    int prompts[COUNT][20], position[COUNT * CONTEXT], target[COUNT * CONTEXT];
    struct batch batch = {0};
    struct trunk *trunk;

    make_requests(requests, prompts);
    out->count = 0;
    for (int i = 0; i < COUNT; i++) {
        batch_add(&batch, requests[i].prompt, requests[i].length);
        for (int t = 0; t < responses[i].length; t++) {
            position[out->count] = batch.total - 1 + t;
            target[out->count++] = responses[i].tokens[t];
        }
        batch_extend(&batch, responses[i].tokens, responses[i].length);
    }
    ck_assert_int_eq(trunk_create(&trunk, model, 0, &err), 0);
    ck_assert_int_eq(trunk_forward(trunk, &batch, 1, &err), 0);
    head_logprob(trunk, position, target, out->count, sampling, out->logprob, NULL, NULL);
    if (model->score) head_score(trunk, position, out->count, out->value);
    trunk_free(trunk);
    batch_free(&batch);
}

static double largest_gap(const struct trained *trained, const struct response *responses) {
    double gap = 0;
    int count = 0;

    for (int i = 0; i < COUNT; i++)
        for (int t = 0; t < responses[i].length; t++)
            gap = fmax(gap, fabs((double)trained->logprob[count++] - (double)responses[i].logprob[t]));
    return gap;
}

START_TEST(sampled_log_probabilities_equal_the_trainers)
{
    static const struct sampling kinds[] = {{1, 0, 1, 0},    {0.7f, 0, 1, 0},  {1, 10, 1, 0},
                                            {1, 0, 0.8f, 0}, {1, 0, 1, 0.05f}, {0.7f, 40, 0.9f, 0.01f}};
    struct model *model = new_model(_i);
    struct response responses[COUNT];
    struct trained trained;

    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct generator_options options = options_of(kinds[k], 7);

        run(model, &options, responses);
        read_as_trainer(&trained, model, &kinds[k], responses);
        ck_assert(largest_gap(&trained, responses) == 0);
        ck_assert_int_gt(trained.count, 5 * COUNT);
        ck_assert_ptr_null(responses[0].value);
        free_all(responses);
    }
    model_free(model);
}
END_TEST

START_TEST(values_equal_the_trainers)
{
    struct model *model = new_model(_i), *judge;
    struct response responses[COUNT];
    struct trained trained;
    int at = 0, positive = 0;

    ck_assert_int_eq(model_clone(&judge, model, 1, 0, 5, &err), 0);
    for (int slots = 1; slots <= 64; slots *= 8) {
        struct generator_options options = options_of(SAMPLING_PLAIN, slots);

        options.values = 1;
        run(judge, &options, responses);
        read_as_trainer(&trained, judge, &options.sampling, responses);
        at = 0;
        for (int i = 0; i < COUNT; i++) {
            ck_assert_mem_eq(responses[i].value, trained.value + at,
                             (size_t)responses[i].length * sizeof(float));
            at += responses[i].length;
        }
        free_all(responses);
    }
    for (int i = 0; i < at; i++) positive += trained.value[i] > 0;
    ck_assert_int_gt(positive, 0);
    ck_assert_int_lt(positive, at);
    model_free(judge);
    model_free(model);
}
END_TEST

static int allocations;

static void *count_alloc(size_t bytes) {
    allocations++;
    return kernels_find("cpu")->alloc(bytes);
}

/* The second call asks for one slot and a shorter context, the third for what the first asked for. */
START_TEST(memory_is_taken_once_and_changes_nothing)
{
    struct generator_options options = options_of(SAMPLING_PLAIN, 8);
    struct response first[COUNT], again[COUNT], alone;
    struct kernels counting = *kernels_find("cpu");
    struct generator_memory memory = {0};
    struct model *model = new_model(_i);
    struct request requests[COUNT];
    int prompts[COUNT][20];

    counting.alloc = count_alloc;
    model->kernels = &counting;
    make_requests(requests, prompts);
    options.memory = &memory;
    run(model, &options, first);
    allocations = 0;
    ck_assert_int_eq(generate(model, &requests[3], 1, &options, &alone, NULL, NULL, &err), 0);
    ck_assert_int_eq(alone.length, first[3].length);
    ck_assert_mem_eq(alone.tokens, first[3].tokens, (size_t)alone.length * sizeof(int));
    run(model, &options, again);
    assert_equal(first, again);
    ck_assert_int_eq(allocations, 0);
    response_free(&alone);
    free_all(first);
    free_all(again);
    generator_memory_free(&memory);
    model->kernels = kernels_find("cpu");
    model_free(model);
}
END_TEST

static int prompt_tokens; /* embedded: those before a prompt's last */

static void count_embed(float *out, const float *table, const float *positions, const int *token,
                        const int *position, int count, int width, float scale) {
    for (int i = 0; i < count; i++) prompt_tokens += position[i] < 19;
    kernels_find("cpu")->embed(out, table, positions, token, position, count, width, scale);
}

/* Five prompts of 20 tokens, the last two equal, four requests each in turn. */
START_TEST(each_prompt_is_computed_once)
{
    struct generator_options options = options_of(SAMPLING_PLAIN, 0);
    struct response responses[COUNT], one[COUNT];
    struct request requests[COUNT];
    int prompts[COUNT][20];
    const struct kernels *kernels;
    struct kernels counting;
    struct model *model = new_model(_i);

    make_requests(requests, prompts);
    memcpy(prompts[4], prompts[3], sizeof prompts[4]);
    for (int i = 0; i < COUNT; i++) requests[i] = (struct request){prompts[i % 5], 20, 5, (uint64_t)i, 0};
    kernels = model->kernels;
    counting = *kernels;
    counting.embed = count_embed;
    for (int i = 0; i < COUNT; i++) {
        options.slots = 1;
        ck_assert_int_eq(generate(model, &requests[i], 1, &options, &one[i], NULL, NULL, &err), 0);
    }
    model->kernels = &counting;
    for (options.slots = 1; options.slots <= 64; options.slots += 3) {
        prompt_tokens = 0;
        ck_assert_int_eq(generate(model, requests, COUNT, &options, responses, NULL, NULL, &err), 0);
        ck_assert_int_eq(prompt_tokens, 4 * 19);
        assert_equal(one, responses);
        free_all(responses);
    }
    free_all(one);
    model->kernels = kernels;
    model_free(model);
}
END_TEST

/* One prompt of one token, 4000 responses of one token: each token's share is its probability within five
 * standard errors. */
START_TEST(tokens_are_drawn_as_often_as_their_probability_says)
{
    enum { DRAWS = 4000 };
    struct generator_options options = options_of(SAMPLING_PLAIN, 300);
    struct request *requests = xcalloc(DRAWS, sizeof *requests);
    struct response *responses = xcalloc(DRAWS, sizeof *responses);
    int prompt = 3, drawn[VOCAB] = {0};
    double chance[VOCAB] = {0}, sum = 0;
    struct model *model = new_model(0);

    options.max_new = 1;
    for (int i = 0; i < DRAWS; i++) requests[i] = (struct request){&prompt, 1, 0, (uint64_t)i, 0};
    ck_assert_int_eq(generate(model, requests, DRAWS, &options, responses, NULL, NULL, &err), 0);
    for (int i = 0; i < DRAWS; i++) {
        drawn[responses[i].tokens[0]]++;
        chance[responses[i].tokens[0]] = exp((double)responses[i].logprob[0]);
        response_free(&responses[i]);
    }
    for (int v = 0; v < VOCAB; v++) {
        double error = sqrt(chance[v] * (1 - chance[v]) / DRAWS);

        sum += chance[v];
        ck_assert_double_le(fabs((double)drawn[v] / DRAWS - chance[v]), 5 * error + 1.0 / DRAWS);
    }
    ck_assert_double_le(sum, 1.00001);
    ck_assert_double_ge(sum, 0.9);
    free(requests);
    free(responses);
    model_free(model);
}
END_TEST

static void count_calls(void *context, int finished) {
    int *last = context;

    ck_assert_int_gt(finished, *last);
    *last = finished;
}

START_TEST(a_response_ends_at_its_end_token_or_is_cut)
{
    struct generator_options options = options_of(SAMPLING_PLAIN, 4);
    struct response responses[COUNT];
    struct request requests[COUNT];
    struct model *model = new_model(0);
    int prompts[COUNT][20], ended = 0, told = 0;

    make_requests(requests, prompts);
    options.max_new = 40; /* the context cuts prompts of more than 8 */
    ck_assert_int_eq(generate(model, requests, COUNT, &options, responses, count_calls, &told, &err), 0);
    ck_assert_int_eq(told, COUNT);
    for (int i = 0; i < COUNT; i++) {
        int room = CONTEXT - requests[i].length < 40 ? CONTEXT - requests[i].length : 40;

        for (int t = 0; t + 1 < responses[i].length; t++) ck_assert_int_ne(responses[i].tokens[t], 7);
        ck_assert_int_eq(responses[i].ended, responses[i].tokens[responses[i].length - 1] == 7);
        if (!responses[i].ended) ck_assert_int_eq(responses[i].length, room);
        ended += responses[i].ended;
    }
    ck_assert_int_gt(ended, 0);
    ck_assert_int_lt(ended, COUNT);
    free_all(responses);
    model_free(model);
}
END_TEST

static void assert_refused(const struct model *model, const struct request *request,
                           const struct generator_options *options, const char *sentence) {
    struct response response;

    ck_assert_int_eq(generate(model, request, 1, options, &response, NULL, NULL, &err), -1);
    ck_assert_str_eq(err.message, sentence);
    ck_assert_ptr_null(response.tokens);
}

START_TEST(requests_that_cannot_be_met_are_errors)
{
    int prompt[CONTEXT] = {0};
    struct generator_options options = options_of(SAMPLING_PLAIN, 1);
    struct request request = {prompt, CONTEXT, 0, 0, 0};
    struct model *model = new_model(0);

    assert_refused(model, &request, &options,
                   "prompt 0 has 48 tokens: the model's context of 48 leaves no room for a response");
    request.length = 0;
    assert_refused(model, &request, &options, "prompt 0 is empty");
    request.length = 2;
    prompt[1] = VOCAB;
    assert_refused(model, &request, &options, "token 1 is 131: the model's vocabulary has 131");
    options.max_new = 0;
    assert_refused(model, &request, &options,
                   "responses of at most 0 tokens were asked for: expected 1 or more");
    options.values = 1;
    options.max_new = 1;
    assert_refused(model, &request, &options, "values need a model with one score head: this has 0");
    options.slots = 0;
    assert_refused(model, &request, &options, "generation needs at least one slot, not 0");
    ck_assert_int_eq(generate(model, NULL, 0, &options, NULL, NULL, NULL, &err), -1);
    options = options_of(SAMPLING_PLAIN, 1);
    ck_assert_int_eq(generate(model, NULL, 0, &options, NULL, NULL, NULL, &err), 0);
    model_free(model);
}
END_TEST

START_TEST(a_request_can_ask_for_fewer_tokens)
{
    struct model *model = new_model(0);
    struct generator_options options = options_of(SAMPLING_PLAIN, 4);
    struct response whole[COUNT], part[COUNT];
    struct request requests[COUNT];
    int prompts[COUNT][20];

    run(model, &options, whole);
    make_requests(requests, prompts);
    for (int i = 0; i < COUNT; i++) requests[i].max_new = 1 + i % 5;
    ck_assert(!generate(model, requests, COUNT, &options, part, NULL, NULL, &err));
    for (int i = 0; i < COUNT; i++) {
        int length = whole[i].length < 1 + i % 5 ? whole[i].length : 1 + i % 5;

        ck_assert_int_eq(part[i].length, length);
        ck_assert_mem_eq(part[i].tokens, whole[i].tokens, (size_t)length * sizeof(int));
    }
    free_all(whole);
    free_all(part);
    model_free(model);
}
END_TEST

/* A backend with little memory: what it has left, and what it gave away. */
static size_t left, sizes[64];
static void *places[64];

static void *little_alloc(size_t bytes) {
    int at = 0;

    if (bytes > left) return NULL;
    while (places[at]) at++;
    left -= sizes[at] = bytes;
    return places[at] = kernels_find("cpu")->alloc(bytes);
}

static void little_free(void *memory) {
    for (int i = 0; i < 64; i++)
        if (memory && places[i] == memory) {
            places[i] = NULL;
            left += sizes[i];
        }
    kernels_find("cpu")->free(memory);
}

static void little_memory(size_t *free_bytes, size_t *total) {
    *free_bytes = left;
    *total = (size_t)1 << 30;
}

/* Keys and values of a row of 44 tokens are 50 KiB in three layers, and 20 rows 1 MiB. */
START_TEST(a_cache_that_does_not_fit_says_how_many_rows_do)
{
    struct kernels little = *kernels_find("cpu");
    struct model *model = new_model(0);
    struct generator_options options = options_of(SAMPLING_PLAIN, COUNT);
    struct response responses[COUNT];
    struct request requests[COUNT];
    int prompts[COUNT][20];
    const char *offer;

    little.alloc = little_alloc;
    little.free = little_free;
    little.memory = little_memory;
    ck_assert_int_eq(model_ready(model, 0, &err), 0);
    model->kernels = &little;
    left = 700000;
    make_requests(requests, prompts);
    ck_assert_int_eq(generate(model, requests, COUNT, &options, responses, NULL, NULL, &err), -1);
    offer = strstr(err.message, "what helps: slots: ");
    ck_assert_msg(offer && strstr(err.message, "no memory for the keys and values of 20 rows of "), "%s",
                  err.message);
    ck_assert_ptr_nonnull(strstr(err.message, "684 KiB of 1 GiB free"));
    options.slots = atoi(offer + strlen("what helps: slots: "));
    ck_assert_int_gt(options.slots, 1);
    ck_assert_uint_eq(left, 700000);
    run(model, &options, responses);
    free_all(responses);
    model->kernels = kernels_find("cpu");
    model_free(model);
}
END_TEST

START_TEST(a_long_prompt_is_planned_as_the_one_pass_that_it_is)
{
    const struct kernels *k = kernels_find("cpu");
    struct config config;
    double held[HOLDINGS] = {0}, pass[HOLDINGS] = {0};

    ck_assert_int_eq(config_family(&config, "gpt2", &err), 0);
    config.layers = 2, config.width = 32, config.heads = config.kv_heads = 2, config.head_size = 16;
    config.ffn = 64, config.vocab = 100, config.context = 8192;
    generator_hold(held, &config, k, 4, 7000, NULL);
    trunk_hold(pass, &config, k, 7000, 0, 0, NULL);
    ck_assert_double_eq(held[HELD_ACTIVATIONS], pass[HELD_ACTIVATIONS]);
    ck_assert_double_eq(held[HELD_CACHE], 2.0 * (double)k->cache_size(4, 7000, 2, 16));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("generator");
    TCase *tests = tcase_create("generator");
    SRunner *runner = srunner_create(suite);
    int failures;

    kernels_threads(1);
    tcase_add_test(tests, a_long_prompt_is_planned_as_the_one_pass_that_it_is);
    tcase_add_loop_test(tests, any_number_of_slots_and_threads_gives_the_same_responses, 0, KINDS);
    tcase_add_loop_test(tests, a_response_is_the_same_alone, 0, KINDS);
    tcase_add_loop_test(tests, greedy_decoding_equals_a_full_forward_pass_for_each_token, 0, KINDS);
    tcase_add_loop_test(tests, sampled_log_probabilities_equal_the_trainers, 0, KINDS);
    tcase_add_loop_test(tests, values_equal_the_trainers, 0, KINDS);
    tcase_add_loop_test(tests, memory_is_taken_once_and_changes_nothing, 0, 2);
    tcase_add_loop_test(tests, each_prompt_is_computed_once, 0, KINDS);
    tcase_add_test(tests, tokens_are_drawn_as_often_as_their_probability_says);
    tcase_add_test(tests, a_response_ends_at_its_end_token_or_is_cut);
    tcase_add_test(tests, requests_that_cannot_be_met_are_errors);
    tcase_add_test(tests, a_request_can_ask_for_fewer_tokens);
    tcase_add_test(tests, a_cache_that_does_not_fit_says_how_many_rows_do);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
