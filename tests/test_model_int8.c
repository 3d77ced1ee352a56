/* Models whose matrices are int8 numbers: what they compute, what they take, and what they cannot do. */
#include "models/adapter.h"
#include "models/generator.h"
#include "models/model_file.h"
#include "models/optimizer.h"
#include "models/transformer.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER "test_model_int8.folder"

enum { KINDS = 3, TOKENS = 24 };
static struct error err;

/* GPT-2's with biases; Llama's, whose head is apart; the same with the embedding as head. */
static struct config config_of(int kind) {
    struct config config;

    ck_assert_int_eq(config_family(&config, kind ? "llama" : "gpt2", &err), 0);
    config.vocab = 83;
    config.context = 32;
    config.layers = 2;
    config.width = 48;
    config.heads = 4;
    config.kv_heads = kind ? 2 : 4;
    config.head_size = 12;
    config.ffn = 70;
    config.tied = kind != 1;
    config.score_heads = 1;
    return config;
}

static void save_model(int kind) {
    struct config config = config_of(kind);
    struct model *model;

    ck_assert_msg(model_create(&model, &config, kernels_find("cpu"), &err) == 0, "%s", err.message);
    model_init(model, 7);
    ck_assert_msg(model_save(model, FOLDER, 32, &err) == 0, "%s", err.message);
    model_free(model);
}

static struct model *load(const struct kernels *kernels, enum weight_form form) {
    struct model *model;

    ck_assert_msg(model_load_as(&model, FOLDER, kernels, form, &err) == 0, "%s", err.message);
    return model;
}

/* The largest of each 32 of a row by 127 is a scale, and numbers are whole multiples of it. */
static void round_weights(float *w, int rows, int cols) {
    for (int i = 0; i < rows * cols; i += cols)
        for (int from = i; from < i + cols; from += 32) {
            int end = from + 32 < i + cols ? from + 32 : i + cols;
            float most = 0;

            for (int j = from; j < end; j++) most = fmaxf(most, fabsf(w[j]));
            for (int j = from; j < end; j++) w[j] = (float)lrintf(w[j] / (most / 127)) * (most / 127);
        }
}

/* What the int8 model stands for, as a full one; an embedding that is a head too is looked up as it was, so
   that the head must be apart. */
static struct model *rounded_model(const struct kernels *kernels) {
    struct model *full = load(kernels, WEIGHTS_FULL), *model;
    struct config config = full->config;

    config.tied = 0;
    ck_assert_int_eq(model_create(&model, &config, kernels, &err), 0);
    for (int i = 0; i < model->count; i++) {
        struct tensor *to = &model->tensors[i], *from = full->tensors + (to == model->head ? 0 : i);

        if (to == model->score) from = full->score;
        if (to == model->head && full->head != full->embedding) from = full->head;
        memcpy(to->data, from->data, sizeof(float) * (size_t)to->rows * (size_t)to->cols);
        if (to->rank == 2 && to != model->embedding && to != model->positions && to != model->score)
            round_weights(to->data, to->rows, to->cols);
    }
    model_changed(model);
    model_free(full);
    return model;
}

/* A pass with its gradients, over two rows. */
struct pass {
    struct trunk *trunk;
    struct batch batch;
    int position[TOKENS], target[TOKENS];
    float logprob[TOKENS], score[TOKENS];
};

static void slope_of(void *context, int first, int count, const float *logprob, const float *entropy,
                     float *slope, float *entropy_slope) {
    (void)context;
    (void)first;
    (void)logprob;
    (void)entropy;
    (void)entropy_slope;
    for (int i = 0; i < count; i++) slope[i] = -1.0f / TOKENS;
}

static void run_pass(struct pass *pass, struct model *model, int keep) {
    int tokens[TOKENS];
    struct sampling plain = SAMPLING_PLAIN;

    *pass = (struct pass){0};
    for (int i = 0; i < TOKENS; i++) {
        tokens[i] = i * 37 % 83;
        pass->position[i] = i;
        pass->target[i] = i * 11 % 83;
    }
    batch_add(&pass->batch, tokens, 9);
    batch_add(&pass->batch, tokens + 9, TOKENS - 9);
    ck_assert_int_eq(trunk_create(&pass->trunk, model, 0, &err), 0);
    ck_assert_msg(trunk_forward(pass->trunk, &pass->batch, keep, &err) == 0, "%s", err.message);
    if (keep)
        head_train(pass->trunk, pass->position, pass->target, TOKENS, &plain, 0, slope_of, NULL,
                   pass->logprob, NULL);
    else
        head_logprob(pass->trunk, pass->position, pass->target, TOKENS, &plain, pass->logprob, NULL, NULL);
    if (keep) trunk_backward(pass->trunk);
    head_score(pass->trunk, pass->position, TOKENS, pass->score);
}

static void pass_free(struct pass *pass) {
    batch_free(&pass->batch);
    trunk_free(pass->trunk);
}

static const char *const backends[] = {"cpu-portable",      "cpu-avx2",      "cpu-avx512",
                                       "cpu-portable-bf16", "cpu-avx2-bf16", "cpu-avx512-bf16",
                                       "cpu-avx512bf16"};
enum { BACKENDS = sizeof backends / sizeof *backends };

START_TEST(a_model_computes_with_the_numbers_that_its_int8_stands_for_to_the_bit)
{
    const struct kernels *kernels = kernels_find(backends[_i]);
    const float off = strstr(backends[_i], "bf16") ? 0.04f : 0.02f; /* bf16 rounds both */

    for (int kind = 0; kernels && kind < KINDS; kind++) {
        struct model *model, *rounded, *full;
        struct pass got, want, near;

        save_model(kind);
        model = load(kernels, WEIGHTS_INT8);
        rounded = rounded_model(kernels);
        full = load(kernels, WEIGHTS_FULL);
        run_pass(&got, model, 0);
        run_pass(&want, rounded, 0);
        run_pass(&near, full, 0);
        ck_assert(!memcmp(got.logprob, want.logprob, sizeof got.logprob));
        ck_assert(!memcmp(got.score, want.score, sizeof got.score));
        for (int i = 0; i < TOKENS; i++) ck_assert_float_le(fabsf(got.logprob[i] - near.logprob[i]), off);
        pass_free(&got);
        pass_free(&want);
        pass_free(&near);
        model_free(model);
        model_free(rounded);
        model_free(full);
    }
}
END_TEST

/* Adapters with numbers in B that trained ones could have. */
static void adapt(struct model *model) {
    struct adapter_options options = {.rank = 3, .alpha = 6};

    ck_assert_int_eq(adapter_target(&options.targets, "all-linear", &model->config, &err), 0);
    ck_assert_msg(model_adapt(model, &options, 11, &err) == 0, "%s", err.message);
    for (int i = 0; i < model->adapter_count; i++) {
        const struct tensor *b = model->adapters[i].b;

        for (int j = 0; j < b->rows * b->cols; j++) b->data[j] = 0.05f * sinf((float)(j + i));
    }
    model_changed(model);
    ck_assert_msg(model_train(model, &err) == 0, "%s", err.message);
}

START_TEST(gradients_of_adapters_are_those_of_the_model_that_is_run)
{
    const struct kernels *kernels = kernels_find(backends[_i]);

    for (int kind = 0; kernels && kind < KINDS; kind++) {
        struct model *model, *rounded;
        struct pass got, want;

        save_model(kind);
        model = load(kernels, WEIGHTS_INT8);
        rounded = rounded_model(kernels);
        adapt(model);
        adapt(rounded);
        run_pass(&got, model, 1);
        run_pass(&want, rounded, 1);
        ck_assert(!memcmp(got.logprob, want.logprob, sizeof got.logprob));
        ck_assert_uint_eq(model->learned_size, rounded->learned_size);
        ck_assert(!memcmp(model->grad, rounded->grad, model->learned_size * sizeof(float)));
        pass_free(&got);
        pass_free(&want);
        model_free(model);
        model_free(rounded);
    }
}
END_TEST

static double loss_of(struct model *model) {
    struct pass pass;
    double sum = 0;

    run_pass(&pass, model, 0);
    for (int i = 0; i < TOKENS; i++) sum -= (double)pass.logprob[i] / TOKENS;
    pass_free(&pass);
    return sum;
}

/* The derivative of the loss by an adapter's number, by central differences. */
static double slope_by(struct model *model, float *number) {
    const float kept = *number, step = 4e-3f;
    double up, down;

    *number = kept + step;
    model_changed(model);
    up = loss_of(model);
    *number = kept - step;
    model_changed(model);
    down = loss_of(model);
    *number = kept;
    model_changed(model);
    return (up - down) / (2 * (double)step);
}

START_TEST(gradients_of_adapters_equal_finite_differences_of_the_int8_model)
{
    struct model *model;
    struct pass pass;

    save_model(_i);
    model = load(kernels_find("cpu"), WEIGHTS_INT8);
    adapt(model);
    run_pass(&pass, model, 1);
    for (int i = 0; i < model->adapter_count; i++) {
        const struct tensor *const tensors[] = {model->adapters[i].a, model->adapters[i].b};

        for (int t = 0; t < 2; t++) {
            int best = 0;

            for (int j = 0; j < tensors[t]->rows * tensors[t]->cols; j++)
                if (fabsf(tensors[t]->grad[j]) > fabsf(tensors[t]->grad[best])) best = j;
            ck_assert_double_eq_tol((double)tensors[t]->grad[best], slope_by(model, &tensors[t]->data[best]),
                                    2e-5 + 0.01 * fabs((double)tensors[t]->grad[best]));
        }
    }
    pass_free(&pass);
    model_free(model);
}
END_TEST

START_TEST(adapters_on_an_int8_base_learn)
{
    const struct kernels *kernels = kernels_find(_i ? "cpu-bf16" : "cpu");
    struct optimizer optimizer;
    struct model *model;
    double before;

    save_model(2);
    model = load(kernels, WEIGHTS_INT8);
    adapt(model);
    before = loss_of(model);
    ck_assert_int_eq(optimizer_create(&optimizer, model, &err), 0);
    for (int step = 0; step < 40; step++) {
        struct pass pass;

        run_pass(&pass, model, 1);
        optimizer_update(&optimizer, model, 0.01f);
        pass_free(&pass);
    }
    ck_assert_double_lt(loss_of(model), before - 1);
    optimizer_free(&optimizer, model);
    model_free(model);
}
END_TEST

START_TEST(a_clone_computes_the_same)
{
    struct model *model, *clone;
    struct pass got, want;

    save_model(_i);
    model = load(kernels_find("cpu"), WEIGHTS_INT8);
    ck_assert_msg(model_clone(&clone, model, 1, 1, 1, &err) == 0, "%s", err.message);
    run_pass(&want, model, 0);
    run_pass(&got, clone, 0);
    ck_assert(!memcmp(got.logprob, want.logprob, sizeof got.logprob));
    for (int i = 0; i < TOKENS; i++) ck_assert_float_eq(got.score[i], 0);
    pass_free(&got);
    pass_free(&want);
    model_free(clone);
    model_free(model);
}
END_TEST

/* Where the memory that a backend hands out is counted. */
static size_t in_use, most_in_use, sizes[256];
static void *places[256];
static const struct kernels *counted;

static void *count_alloc(size_t bytes) {
    for (int i = 0; i < 256; i++)
        if (!places[i]) {
            places[i] = counted->alloc(bytes);
            sizes[i] = bytes;
            in_use += bytes;
            most_in_use = in_use > most_in_use ? in_use : most_in_use;
            return places[i];
        }
    return NULL;
}

static void count_free(void *memory) {
    for (int i = 0; i < 256; i++)
        if (memory && places[i] == memory) {
            places[i] = NULL;
            in_use -= sizes[i];
        }
    counted->free(memory);
}

START_TEST(an_int8_model_takes_what_the_plan_says_and_reading_it_one_tensor_more)
{
    struct kernels kernels = *(counted = kernels_find(_i ? "cpu-bf16" : "cpu"));
    struct config config = config_of(1);
    size_t plan = model_bytes_as(&config, counted, WEIGHTS_INT8, 0, NULL), largest = 4 * 140 * 48;
    struct model *model;

    save_model(1);
    kernels.alloc = count_alloc;
    kernels.free = count_free;
    in_use = most_in_use = 0;
    model = load(&kernels, WEIGHTS_INT8);
    ck_assert_int_eq(model_ready(model, 1, &err), 0);
    ck_assert_uint_le(in_use, plan + plan / 100);
    ck_assert_uint_ge(in_use, plan - plan / 10);
    ck_assert_uint_le(most_in_use, plan + plan / 100 + largest);
    ck_assert_uint_lt(3 * plan, model_bytes(&config, counted, 0, NULL) * 2);
    model_free(model);
    ck_assert_uint_eq(in_use, 0);
}
END_TEST

static void refuses(int status, const char *why) {
    ck_assert_int_eq(status, -1);
    ck_assert_msg(strstr(err.message, why) != NULL, "%s", err.message);
    ck_assert_ptr_nonnull(strstr(err.message, "weights: full"));
}

START_TEST(what_needs_the_floats_says_so)
{
    struct model *model;

    save_model(0);
    model = load(kernels_find("cpu"), WEIGHTS_INT8);
    refuses(model_save(model, FOLDER ".copy", 32, &err), "be written");
    refuses(model_write_gguf(model, FOLDER ".gguf", number_type_find("F32"), &(struct gguf_out){0}, &err),
            "be written");
    refuses(model_train(model, &err), "be trained without adapters");
    adapt(model);
    model_free(model);
    model = load(kernels_find("cpu"), WEIGHTS_INT8);
    ck_assert_int_eq(
        model_adapt(model, &(struct adapter_options){.rank = 2, .alpha = 2, .targets = 1}, 1, &err), 0);
    refuses(model_merge(model, &err), "take adapters in");
    model_free(model);
}
END_TEST

START_TEST(weights_that_int8_cannot_hold_are_named)
{
    struct config config = config_of(0);
    struct model *model;

    ck_assert_int_eq(model_create(&model, &config, kernels_find("cpu"), &err), 0);
    model_init(model, 7);
    model->layers[1].down->data[5] = INFINITY;
    ck_assert_int_eq(model_save(model, FOLDER, 32, &err), 0);
    model_free(model);
    ck_assert_int_eq(model_load_as(&model, FOLDER, kernels_find("cpu"), WEIGHTS_INT8, &err), -1);
    ck_assert_ptr_null(model);
    ck_assert_ptr_nonnull(strstr(err.message, "transformer.h.1.mlp.c_proj.weight\" holds inf"));
}
END_TEST

static size_t no_size(int outs, int ins) {
    (void)outs;
    (void)ins;
    return 0;
}

START_TEST(a_device_without_such_products_says_so)
{
    struct kernels device = *kernels_find("cpu");
    struct model *model;

    device.name = "other";
    device.pack_int8_size = no_size;
    save_model(0);
    ck_assert_int_eq(model_load_as(&model, FOLDER, &device, WEIGHTS_INT8, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "the device other has no products with int8 weights"));
}
END_TEST

static void remove_folder(void) {
    unlink(FOLDER "/model.safetensors");
    unlink(FOLDER "/config.json");
    rmdir(FOLDER);
}

int main(void) {
    Suite *suite = suite_create("model int8");
    TCase *test = tcase_create("model int8");
    SRunner *runner = srunner_create(suite);
    int failures;

    kernels_threads(1);
    tcase_set_timeout(test, 60);
    tcase_add_loop_test(test, a_model_computes_with_the_numbers_that_its_int8_stands_for_to_the_bit, 0,
                        BACKENDS);
    tcase_add_loop_test(test, gradients_of_adapters_are_those_of_the_model_that_is_run, 0, BACKENDS);
    tcase_add_loop_test(test, gradients_of_adapters_equal_finite_differences_of_the_int8_model, 0, KINDS);
    tcase_add_loop_test(test, adapters_on_an_int8_base_learn, 0, 2);
    tcase_add_loop_test(test, a_clone_computes_the_same, 0, KINDS);
    tcase_add_loop_test(test, an_int8_model_takes_what_the_plan_says_and_reading_it_one_tensor_more, 0, 2);
    tcase_add_test(test, what_needs_the_floats_says_so);
    tcase_add_test(test, weights_that_int8_cannot_hold_are_named);
    tcase_add_test(test, a_device_without_such_products_says_so);
    suite_add_tcase(suite, test);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    remove_folder();
    return failures != 0;
}
