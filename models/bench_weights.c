#include "models/bench_weights.h"

#include <stdlib.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "models/bench_ask.h"
#include "models/folder.h"
#include "models/race.h"
#include "models/work.h"

enum { FORMS = 2, PROMPT = 32, RESPONSE = 64 };

/* Decoded tokens a second of one turn. */
static int take_turn(void *state, double *rate, struct error *err) {
    struct node *told = node_new(NODE_MAP);
    int status = work_find("generate")->turn(state, 1, told, err);

    if (status == 0) *rate = node_number(told, "decode_tokens", 0) / node_number(told, "decode_seconds", 1);
    node_free(told);
    return status;
}

/* Both forms, one after the other in every round. */
static int measure(double rates[FORMS][100], const struct order *order, int rounds, struct error *err) {
    struct order orders[FORMS] = {*order, *order};
    void *states[FORMS] = {NULL, NULL};
    struct node *told = node_new(NODE_MAP);
    int status = 0;

    for (int f = 0; f < FORMS && status == 0; f++) {
        orders[f].form = f;
        status = work_find("generate")->open(&states[f], &orders[f], told, err);
    }
    for (int r = 0; r < rounds && status == 0; r++)
        for (int f = 0; f < FORMS && status == 0; f++) status = take_turn(states[f], &rates[f][r], err);
    for (int f = 0; f < FORMS; f++) work_find("generate")->close(states[f]);
    node_free(told);
    return status;
}

static int print_rates(const struct order *order, int rounds, FILE *out, struct error *err) {
    double rates[FORMS][100], ratios[100];
    struct rate full, int8, ratio;

    if (measure(rates, order, rounds, err)) return -1;
    for (int r = 0; r < rounds; r++) ratios[r] = rates[1][r] / rates[0][r];
    full = rate_of(rates[0], rounds);
    int8 = rate_of(rates[1], rounds);
    ratio = rate_of(ratios, rounds);
    fprintf(out, "%2d sequence%s %8.1f %8.1f tokens/s, %.2f times as fast (%.2f to %.2f)\n", order->rows,
            order->rows > 1 ? "s" : " ", full.median, int8.median, ratio.median, ratio.low, ratio.high);
    return 0;
}

static int bench_model(const char *model, const struct kernels *kernels, const struct stopwatch *watch,
                       int rounds, FILE *out, struct error *err) {
    struct order order = {
        .weights = model, .prompt = PROMPT, .fresh = RESPONSE, .kernels = kernels, .watch = *watch};
    struct config config;
    double bytes[FORMS];

    if (folder_config(&config, model, err) < 1)
        return err->message[0] ? -1 : fail(err, "%s is no model", model);
    for (int f = 0; f < FORMS; f++) bytes[f] = (double)model_bytes_as(&config, kernels, f, 0, NULL);
    fprintf(out, "%s, %d thread%s, %.0f million parameters, %d rounds' medians: full, int8\n", kernels->name,
            watch->threads, watch->threads > 1 ? "s" : "", config_parameters(&config) / 1e6, rounds);
    fprintf(out, "memory       %8.1f %8.1f MB, %.2f times as much\n", bytes[0] / 1e6, bytes[1] / 1e6,
            bytes[1] / bytes[0]);
    for (int rows = 1; rows <= 16; rows *= 16) {
        order.rows = rows;
        if (print_rates(&order, rounds, out, err)) return -1;
    }
    return 0;
}

/* Random weights in a folder that goes again. */
static int bench_random(const struct kernels *kernels, const struct stopwatch *watch, int rounds, FILE *out,
                        struct error *err) {
    char *folder = bench_folder(NULL, err), *model;
    struct error ignored;
    int status;

    if (!folder) return -1;
    model = path_join(folder, race_gpt2.name);
    status = race_weights(folder, &race_gpt2, err);
    if (status == 0) status = bench_model(model, kernels, watch, rounds, out, err);
    folder_remove(folder, &ignored);
    free(model);
    free(folder);
    return status;
}

int bench_weights(const char *model, const struct kernels *kernels, const struct stopwatch *watch, int rounds,
                  FILE *out, struct error *err) {
    if (rounds > 100) return fail(err, "%d rounds are more than 100", rounds);
    if (model) return bench_model(model, kernels, watch, rounds, out, err);
    return bench_random(kernels, watch, rounds, out, err);
}
