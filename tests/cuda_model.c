/* Whole models on the CUDA backend against the CPU's: generation in f32 to the bit, training within rounding.
 */
#include <stdio.h>

#include "harness/memory.h"
#include "harness/rng.h"
#include "models/device.h"
#include "models/generator.h"
#include "models/optimizer.h"
#include "tests/test_kernels.h"

#define VOCAB    211
#define CONTEXT  96
#define REQUESTS 40
#define STEPS    40
#define TOKENS   200

static struct error err;
static const struct kernels *devices[2], *narrow[2]; /* cpu, cuda; both with operands of bf16 */

static struct model *new_model(int llama, const struct kernels *kernels) {
    struct config config;
    struct model *model;

    ck_assert_int_eq(config_family(&config, llama ? "llama" : "gpt2", &err), 0);
    config.vocab = VOCAB;
    config.context = CONTEXT;
    config.layers = 3;
    config.width = llama ? 60 : 96;
    config.heads = llama ? 6 : 3;
    config.kv_heads = llama ? 2 : 3;
    config.head_size = llama ? 10 : 32;
    config.ffn = 150;
    config.score_heads = 2;
    ck_assert_msg(model_create(&model, &config, kernels, &err) == 0, "%s", err.message);
    model_init(model, 3);
    return model;
}

static int requests_count(void) {
    return by_sizes(REQUESTS / 4, REQUESTS / 4, REQUESTS);
}

/* Prompts of 1 to 20 tokens; every third request asks for another response to the prompt before. */
static void run(const struct model *model, struct sampling sampling, struct response *responses) {
    struct generator_options options = {.sampling = sampling,
                                        .max_new = by_sizes(20, 20, 60),
                                        .end_token = 7,
                                        .slots = requests_count() / 3,
                                        .seed = 11,
                                        .stream = "test"};
    struct rng rng = rng_stream(1, "prompts", 0, 0);
    struct request requests[REQUESTS];
    int prompts[REQUESTS][20];

    for (int i = 0; i < requests_count(); i++) {
        for (int t = 0; t < 20; t++) prompts[i][t] = rng_below(&rng, VOCAB);
        requests[i] = (struct request){prompts[i], 1 + rng_below(&rng, 20), 5, (uint64_t)i, 0};
        if (i % 3 == 2) requests[i] = requests[i - 1], requests[i].b = (uint64_t)i;
    }
    ck_assert_msg(generate(model, requests, requests_count(), &options, responses, NULL, NULL, &err) == 0,
                  "%s", err.message);
}

START_TEST(responses_have_the_tokens_and_log_probabilities_of_the_cpu)
{
    static const struct sampling samplings[] = {{0, 0, 1, 0}, {1, 0, 1, 0}, {0.9f, 50, 0.95f, 0}};

    for (int s = 0; s < COUNT(samplings); s++) {
        struct response responses[2][REQUESTS];

        for (int d = 0; d < 2; d++) {
            struct model *model = new_model(_i, devices[d]);

            run(model, samplings[s], responses[d]);
            model_free(model);
        }
        for (int i = 0; i < requests_count(); i++) {
            const struct response *a = &responses[0][i], *b = &responses[1][i];

            ck_assert_int_eq(a->length, b->length);
            ck_assert_int_eq(a->ended, b->ended);
            ck_assert_mem_eq(a->tokens, b->tokens, (size_t)a->length * sizeof(int));
            ck_assert_mem_eq(a->logprob, b->logprob, (size_t)a->length * sizeof(float));
            response_free(&responses[0][i]);
            response_free(&responses[1][i]);
        }
    }
}
END_TEST

/* One model in training, on rows of some structure. */
struct pupil {
    struct model *model;
    struct optimizer optimizer;
    struct trunk *trunk;
    struct batch batch;
    int position[TOKENS], target[TOKENS], count;
    float logprob[TOKENS], entropy[TOKENS], score[2 * TOKENS];
};

static void begin(struct pupil *pupil, int llama, const struct kernels *kernels) {
    memset(pupil, 0, sizeof *pupil);
    pupil->model = new_model(llama, kernels);
    ck_assert_int_eq(model_train(pupil->model, &err), 0);
    ck_assert_int_eq(optimizer_create(&pupil->optimizer, pupil->model, &err), 0);
    ck_assert_int_eq(trunk_create(&pupil->trunk, pupil->model, 0, &err), 0);
}

static void end(struct pupil *pupil) {
    batch_free(&pupil->batch);
    trunk_free(pupil->trunk);
    optimizer_free(&pupil->optimizer, pupil->model);
    model_free(pupil->model);
}

/* Rows that count upwards in strides of 1 to 3. */
static void next_batch(struct pupil *pupil, int step) {
    struct rng rng = rng_stream(2, "rows", (uint64_t)step, 0);
    int length, row[CONTEXT];

    batch_clear(&pupil->batch);
    pupil->count = 0;
    while (pupil->batch.total + (length = 5 + rng_below(&rng, 60)) <= TOKENS) {
        int stride = 1 + rng_below(&rng, 3), at = rng_below(&rng, VOCAB);

        for (int t = 0; t < length; t++) row[t] = (at + t * stride) % VOCAB;
        for (int t = 0; t + 1 < length; t++) {
            pupil->position[pupil->count] = pupil->batch.total + t;
            pupil->target[pupil->count++] = row[t + 1];
        }
        batch_add(&pupil->batch, row, length);
    }
}

/* out[count] = scale in[i], or scale alone without in. */
static void scale(const struct kernels *kernels, float *out, const float *in, int count, float scale) {
    size_t bytes = (size_t)count * sizeof *out;
    float *to = kernels->map(out, bytes, 0), *from = in ? kernels->map((float *)in, bytes, 1) : NULL;

    for (int i = 0; i < count; i++) to[i] = from ? scale * from[i] : scale;
    if (from) kernels->unmap((float *)in, from, bytes, 0);
    kernels->unmap(out, to, bytes, 1);
}

static void slope_of_mean(void *context, int first, int count, const float *logprob, const float *entropy,
                          float *slope, float *entropy_slope) {
    const struct pupil *pupil = context;

    (void)first;
    (void)logprob;
    (void)entropy;
    scale(trunk_kernels(pupil->trunk), slope, NULL, count, -1.0f / (float)pupil->count);
    scale(trunk_kernels(pupil->trunk), entropy_slope, NULL, count, -0.01f / (float)pupil->count);
}

static void slope_of_scores(void *context, int first, int count, const float *score, float *slope) {
    const struct pupil *pupil = context;

    (void)first;
    scale(trunk_kernels(pupil->trunk), slope, score, 2 * count, 0.1f / (float)pupil->count);
}

/* Mean loss before the update; *norm of the gradient. */
static double learn(struct pupil *pupil, int step, double *norm) {
    double loss = 0;

    next_batch(pupil, step);
    model_zero_grad(pupil->model);
    ck_assert_msg(!trunk_forward(pupil->trunk, &pupil->batch, 1, &err), "%s", err.message);
    head_train(pupil->trunk, pupil->position, pupil->target, pupil->count, &SAMPLING_PLAIN, 1, slope_of_mean,
               pupil, pupil->logprob, pupil->entropy);
    head_score_train(pupil->trunk, pupil->position, pupil->count, slope_of_scores, pupil, pupil->score);
    trunk_backward(pupil->trunk);
    *norm = optimizer_update(&pupil->optimizer, pupil->model, 3e-3f);
    for (int i = 0; i < pupil->count; i++) loss -= (double)pupil->logprob[i] / pupil->count;
    return loss;
}

START_TEST(training_follows_the_curve_of_the_cpu)
{
    struct pupil pupils[2];
    double loss[2], norm[2], first = 0, last = 0;
    int steps = by_sizes(STEPS / 4, STEPS / 4, STEPS);

    for (int d = 0; d < 2; d++) begin(&pupils[d], _i, devices[d]);
    for (int step = 0; step < steps; step++) {
        for (int d = 0; d < 2; d++) loss[d] = learn(&pupils[d], step, &norm[d]);
        if (step == 0) {
            first = loss[0];
            ck_assert_mem_eq(pupils[0].logprob, pupils[1].logprob, (size_t)pupils[0].count * sizeof(float));
            ck_assert_mem_eq(pupils[0].entropy, pupils[1].entropy, (size_t)pupils[0].count * sizeof(float));
            ck_assert_mem_eq(pupils[0].score, pupils[1].score, (size_t)pupils[0].count * 2 * sizeof(float));
            ck_assert_double_eq_tol(norm[0], norm[1], 1e-5 * norm[0]);
        }
        last = loss[0];
        ck_assert_msg(fabs(loss[0] - loss[1]) < 1e-3 * loss[0], "step %d: loss %.9g, on the CPU %.9g", step,
                      loss[1], loss[0]);
    }
    if (steps == STEPS) ck_assert_double_lt(last, 0.8 * first);
    for (int d = 0; d < 2; d++) end(&pupils[d]);
}
END_TEST

/* How far apart two losses are, as a share of the first. */
static double off(double a, double b) {
    return fabs(a - b) / a;
}

/* || b - a || / || a || */
static double distance(const float *a, const float *b, int count) {
    double apart = 0, all = 0;

    for (int i = 0; i < count; i++) {
        apart += ((double)b[i] - (double)a[i]) * ((double)b[i] - (double)a[i]);
        all += (double)a[i] * (double)a[i];
    }
    return sqrt(apart / all);
}

/* Sums have another order on tensor cores, and where that decides a rounding to bf16, what follows is another
 * number of that kind. So the yardstick is what rounding to bf16 does on the CPU: before the first update the
 * device is nearer than that, and after many, when either difference has grown on its own, at most twice as
 * far. */
START_TEST(training_in_bf16_follows_the_curve_of_the_cpu)
{
    const struct kernels *all[] = {devices[0], narrow[0], narrow[1]};
    struct pupil pupils[3];
    double loss[3], norm, by_rounding = 0, by_device = 0, first = 0, last = 0;
    int steps = by_sizes(STEPS / 4, STEPS / 4, STEPS);

    for (int d = 0; d < 3; d++) begin(&pupils[d], _i, all[d]);
    for (int step = 0; step < steps; step++) {
        for (int d = 0; d < 3; d++) loss[d] = learn(&pupils[d], step, &norm);
        if (step == 0) {
            first = loss[2];
            ck_assert_double_lt(distance(pupils[1].logprob, pupils[2].logprob, pupils[1].count),
                                distance(pupils[1].logprob, pupils[0].logprob, pupils[1].count));
        }
        by_rounding += off(loss[1], loss[0]);
        by_device += off(loss[1], loss[2]);
        last = loss[2];
    }
    ck_assert_msg(by_device < 2 * by_rounding, "losses are %g apart in the mean, with and without bf16 %g",
                  by_device / steps, by_rounding / steps);
    if (steps == STEPS) ck_assert_double_lt(last, 0.8 * first);
    for (int d = 0; d < 3; d++) end(&pupils[d]);
}
END_TEST

static float *parameters_after(int llama, const struct kernels *kernels, int steps, size_t *size) {
    struct pupil pupil;
    double norm;
    float *view, *kept;

    begin(&pupil, llama, kernels);
    for (int step = 0; step < steps; step++) learn(&pupil, step, &norm);
    *size = pupil.model->size;
    view = kernels->map(pupil.model->data, *size * sizeof *view, 1);
    kept = copied(view, *size);
    kernels->unmap(pupil.model->data, view, *size * sizeof *view, 0);
    end(&pupil);
    return kept;
}

START_TEST(training_twice_gives_the_same_bits)
{
    const struct kernels *kernels = _i < 2 ? devices[1] : narrow[1];
    size_t size, same;
    float *a = parameters_after(_i % 2, kernels, 3, &size);
    float *b = parameters_after(_i % 2, kernels, 3, &same);

    ck_assert_uint_eq(size, same);
    ck_assert(same_bits(a, b, size));
    free(a);
    free(b);
}
END_TEST

START_TEST(the_samplers_log_probabilities_are_the_trainers_to_the_bit)
{
    struct model *model = new_model(_i % 2, _i < 2 ? devices[1] : narrow[1]);
    struct response responses[REQUESTS];
    struct batch batch = {0};
    struct trunk *trunk;
    struct rng rng = rng_stream(1, "prompts", 0, 0);

    run(model, SAMPLING_PLAIN, responses);
    ck_assert_int_eq(trunk_create(&trunk, model, 0, &err), 0);
    for (int i = 0; i < 2; i++) { /* the first two requests have prompts of their own */
        const struct response *response = &responses[i];
        int prompt[20], length, position[CONTEXT];
        float again[CONTEXT];

        for (int t = 0; t < 20; t++) prompt[t] = rng_below(&rng, VOCAB);
        length = 1 + rng_below(&rng, 20);
        batch_clear(&batch);
        batch_add(&batch, prompt, length);
        batch_extend(&batch, response->tokens, response->length);
        for (int t = 0; t < response->length; t++) position[t] = length + t - 1;
        ck_assert_int_eq(trunk_forward(trunk, &batch, 0, &err), 0);
        head_logprob(trunk, position, response->tokens, response->length, &SAMPLING_PLAIN, again, NULL, NULL);
        ck_assert_msg(!device_check(devices[1], "a pass", &err), "%s", err.message);
        ck_assert_mem_eq(again, response->logprob, (size_t)response->length * sizeof(float));
    }
    for (int i = 0; i < requests_count(); i++) response_free(&responses[i]);
    batch_free(&batch);
    trunk_free(trunk);
    model_free(model);
}
END_TEST

int main(void) {
    TCase *test;
    Suite *suite;

    devices[0] = kernels_find("cpu");
    devices[1] = kernels_find("cuda");
    narrow[0] = kernels_find("cpu-bf16");
    narrow[1] = kernels_find("cuda-bf16");
    if (!devices[1]) {
        printf("SKIP: %s\n", kernels_missing("cuda"));
        return 77;
    }
    suite = suite_create("cuda models");
    test = tcase_create("cuda models");
    tcase_set_timeout(test, 300);
    tcase_add_loop_test(test, responses_have_the_tokens_and_log_probabilities_of_the_cpu, 0, 2);
    tcase_add_loop_test(test, training_follows_the_curve_of_the_cpu, 0, 2);
    tcase_add_loop_test(test, training_in_bf16_follows_the_curve_of_the_cpu, 0, 2);
    tcase_add_loop_test(test, training_twice_gives_the_same_bits, 0, 4);
    tcase_add_loop_test(test, the_samplers_log_probabilities_are_the_trainers_to_the_bit, 0, 4);
    suite_add_tcase(suite, test);
    return run_unforked(suite);
}
