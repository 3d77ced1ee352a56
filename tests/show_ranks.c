/* One update and a handful of responses of a small model, shared by as many ranks as run it:
   FOLDER/checkpoint and FOLDER/responses. Prints how many of the moments each rank keeps and, if an ORACLE
   folder is given, how far from its checkpoint this one is. RANK, if not 0, is that of adapters that learn
   alone. usage: show_ranks DEVICE FOLDER [RANK [ORACLE]] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/ranks.h"
#include "harness/reduction.h"
#include "harness/rng.h"
#include "models/adapter.h"
#include "models/device.h"
#include "models/devices.h"
#include "models/folder.h"
#include "models/generator.h"
#include "models/session.h"
#include "models/supervised.h"

enum { ROWS = 23, RESPONSES = 21, VOCAB = 61 };

static struct error err;

static void stop(void) {
    fprintf(stderr, "rank %d: %s\n", ranks_index(), err.message);
    ranks_leave(1);
    exit(1);
}

/* B is 0 in new adapters, and then A has no gradient. */
static void stir(struct model *model) {
    float *numbers = model_learned_copy(model);
    struct rng rng = rng_stream(3, "adapters", 0, 0);

    for (size_t i = 0; i < model->learned_size; i++) numbers[i] += (float)(0.05 * rng_normal(&rng));
    model_learned_set(model, numbers);
    free(numbers);
}

static void adapt(struct model *model, int rank) {
    struct adapter_options options = {.rank = rank, .alpha = 2.0 * rank};

    if (adapter_target(&options.targets, "all-linear", &model->config, &err)) stop();
    if (model_adapt(model, &options, 2, &err)) stop();
    stir(model);
}

static struct model *make_model(const struct kernels *kernels, int rank) {
    struct config config;
    struct model *model;

    if (config_family(&config, "llama", &err)) stop();
    config.vocab = VOCAB;
    config.context = 40;
    config.layers = 4;
    config.width = 96;
    config.heads = 4;
    config.kv_heads = 2;
    config.head_size = 24;
    config.ffn = 144;
    config.tied = 1;
    if (model_create(&model, &config, kernels, &err)) stop();
    model_init(model, 7);
    if (rank) adapt(model, rank);
    if (model_train(model, &err)) stop();
    return model;
}

/* Rows of 6 to 39 tokens. */
static void make_rows(struct dataset *data) {
    for (int r = 0; r < ROWS; r++) {
        struct rng rng = rng_stream(1, "rows", (uint64_t)r, 0);
        int ids[40], count = 6 + 11 * r % 34;

        for (int i = 0; i < count; i++) ids[i] = rng_below(&rng, VOCAB);
        dataset_add(data, ids, 2, ids + 2, count - 2, 1 + (float)(r % 3));
    }
}

/* One update with a batch of all rows, in micro-batches; its loss. */
static double learn(struct model *model, struct optimizer *optimizer) {
    struct dataset data = {0};
    struct supervised supervised = {.data = &data, .micro_tokens = 64};
    int rows[ROWS];
    double loss, norm;

    make_rows(&data);
    for (int r = 0; r < ROWS; r++) rows[r] = r;
    supervised_sizes(&supervised);
    if (trunk_create(&supervised.trunk, model, 0, &err)) stop();
    if (supervised_learn(&supervised, rows, ROWS, 1, &loss, &err)) stop();
    norm = optimizer_update(optimizer, model, 1e-3f);
    if (ranks_first()) printf("gradient %.9g\n", norm);
    if (supervised_loss(&supervised, rows, ROWS, &loss, &err)) stop();
    trunk_free(supervised.trunk);
    supervised_free(&supervised);
    dataset_free(&data);
    return loss;
}

static void save_responses(const struct response *responses, const char *folder) {
    char *path = path_join(folder, "responses");
    struct output out;

    if (output_open(&out, path, &err)) stop();
    for (int i = 0; i < RESPONSES; i++) {
        fprintf(out.file, "%d %d", i, responses[i].ended);
        for (int t = 0; t < responses[i].length; t++)
            fprintf(out.file, "  %d %a", responses[i].tokens[t], responses[i].logprob[t]);
        fprintf(out.file, "\n");
    }
    if (output_close(&out, &err)) stop();
    free(path);
}

/* Every rank has all responses afterwards: the last one writes them. */
static void respond(const struct model *model, const char *folder) {
    static const int prompt[] = {3, 1, 4, 1, 5};
    struct generator_options options = {
        .sampling = SAMPLING_PLAIN, .max_new = 30, .end_token = 9, .slots = 4, .seed = 5, .stream = "test"};
    struct request requests[RESPONSES];
    struct response responses[RESPONSES];

    for (int i = 0; i < RESPONSES; i++) requests[i] = (struct request){prompt, 2 + i % 4, 0, (uint64_t)i, 0};
    if (generate_shared(model, requests, RESPONSES, &options, responses, &err)) stop();
    if (ranks_index() == ranks_count() - 1) save_responses(responses, folder);
    for (int i = 0; i < RESPONSES; i++) response_free(&responses[i]);
}

static double distance(const struct checkpoint_item *a, const struct checkpoint_item *b) {
    double gap = 0, size = 0;

    for (size_t i = 0; i < a->count; i++) {
        gap += ((double)a->data[i] - b->data[i]) * ((double)a->data[i] - b->data[i]);
        size += (double)b->data[i] * b->data[i];
    }
    return sqrt(gap / size);
}

static void load(struct checkpoint_item *items, const char *folder, size_t count) {
    static const char *const names[] = {"model", "model.m", "model.v"};
    char *path = path_join(folder, "checkpoint");
    struct node *state;

    for (int i = 0; i < 3; i++)
        items[i] = (struct checkpoint_item){names[i], xcalloc(count, sizeof(float)), count};
    if (checkpoint_load(path, items, 3, &state, &err) != 1) stop();
    node_free(state);
    free(path);
}

/* After one update the first moment is a multiple of the gradient. */
static void compare(const char *folder, const char *oracle, size_t count) {
    struct checkpoint_item here[3], there[3];

    load(here, folder, count);
    load(there, oracle, count);
    for (int i = 0; i < 3; i++) {
        printf("distance %s %.3g\n", here[i].name, distance(&here[i], &there[i]));
        free(here[i].data);
        free(there[i].data);
    }
}

/* This rank's numbers from … to - 1 of the array, as a layer's backward pass leaves them. */
static void put(const struct kernels *kernels, float *data, size_t from, size_t to) {
    size_t bytes = (to - from) * sizeof *data;
    float *view = kernels->map(data + from, bytes, 0);

    for (size_t i = from; i < to; i++) view[i - from] = (float)(i % 89 + 1 + (size_t)ranks_index());
    kernels->unmap(data + from, view, bytes, 1);
}

/* How many of the numbers from … to - 1 are not the sums of all ranks'. */
static int count_wrong(const struct kernels *kernels, float *data, size_t from, size_t to) {
    size_t bytes = (to - from) * sizeof *data, ranks = (size_t)ranks_count();
    float *view = kernels->map(data + from, bytes, 1);
    int wrong = 0;

    for (size_t i = from; i < to; i++)
        wrong += view[i - from] != (float)((i % 89 + 1) * ranks + ranks * (ranks - 1) / 2);
    kernels->unmap(data + from, view, bytes, 0);
    return wrong;
}

/* Whole numbers, so that sums are exact in any order; buckets and announcements cut the array elsewhere than
   the slices do. */
static void add_up(const struct kernels *kernels) {
    enum { COUNT = 10007 };
    struct reduction *reduction;
    float *data = kernels->alloc(COUNT * sizeof *data);
    size_t *slices = ranks_even(COUNT), step = 500 - 7 * (size_t)ranks_index();
    int wrong = 0;

    if (reduction_open(&reduction, data, COUNT, 97, devices_reducer(kernels), &err)) stop();
    for (int update = 0; update < 3; update++) {
        kernels->zero(data, COUNT * sizeof *data);
        for (size_t to = COUNT, from; to > 0; to = from) {
            from = to < step ? 0 : to - step;
            put(kernels, data, from, to);
            if (from) reduction_ready(reduction, from);
        }
        reduction_end(reduction);
        wrong += count_wrong(kernels, data, slices[ranks_index()], slices[ranks_index() + 1]);
        reduction_gather(reduction, data);
        wrong += count_wrong(kernels, data, 0, COUNT);
    }
    if (device_check(kernels, "sums", &err)) stop();
    if (wrong) {
        fail(&err, "%d sums are wrong", wrong);
        stop();
    }
    reduction_close(reduction);
    kernels->free(data);
    free(slices);
}

int main(int argc, char **argv) {
    const struct run run = {.device = argc > 2 ? argv[1] : "cpu"};
    const struct step step = {.name = "show_ranks", .folder = argc > 2 ? argv[2] : "."};
    const struct kernels *kernels;
    struct optimizer optimizer;
    struct session session = {0};
    struct model *model;
    double loss, kept;

    if (ranks_join(&err) || run_kernels(&kernels, &run, &err)) stop();
    add_up(kernels);
    model = make_model(kernels, argc > 3 ? atoi(argv[3]) : 0);
    if (optimizer_create(&optimizer, model, &err)) stop();
    session_begin(&session, &step);
    session_keep(&session, "model", model, &optimizer);
    if (session_resume(&session, &err)) stop();
    respond(model, step.folder);
    loss = learn(model, &optimizer);
    if (session_save(&session, NULL, &err)) stop();
    kept = (double)(optimizer.slices[ranks_index() + 1] - optimizer.slices[ranks_index()]);
    ranks_max(&kept, 1);
    if (ranks_first()) printf("loss %.9g\nmoments %.0f of %zu at most\n", loss, kept, model->learned_size);
    if (ranks_first() && argc > 4) compare(step.folder, argv[4], model->learned_size);
    session_free(&session);
    optimizer_free(&optimizer, model);
    model_free(model);
    ranks_leave(0);
    return 0;
}
