#include "models/bench_work.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "models/bench_ask.h"
#include "models/race.h"
#include "models/work.h"

/* A turn's tokens a second: of decoding, where there is any. */
static double rate_of_turn(const struct node *told) {
    int decodes = node_get(told, "decode_seconds") != NULL;

    return node_number(told, decodes ? "decode_tokens" : "tokens", NAN) /
           node_number(told, decodes ? "decode_seconds" : "seconds", NAN);
}

static int take_turns(struct whole *whole, const struct heat *heat, const struct work *work, void *state,
                      int rounds, struct error *err) {
    double *rates = xcalloc((size_t)rounds, sizeof *rates);
    int status = 0;

    for (int r = 0; r < rounds && !status; r++) {
        struct node *told = node_new(NODE_MAP);

        status = work->turn(state, heat->repeats, told, err);
        rates[r] = rate_of_turn(told);
        if (!status && node_get(told, "parts")) {
            node_free(whole->parts);
            whole->parts = node_copy(node_get(told, "parts"));
        }
        node_free(told);
    }
    whole->rate = rate_of(rates, rounds);
    free(rates);
    return status;
}

static struct order order_of(const struct heat *heat, const char *weights, const struct kernels *kernels,
                             const struct stopwatch *watch) {
    return (struct order){.weights = weights,
                          .rows = heat->rows,
                          .length = heat->length,
                          .prompt = heat->prompt,
                          .fresh = heat->fresh,
                          .slots = heat->slots,
                          .epochs = heat->epochs,
                          .minibatch = heat->minibatch,
                          .kernels = kernels,
                          .watch = *watch};
}

static int run_heat(struct whole *whole, const struct heat *heat, const struct order *order, int rounds,
                    struct error *err) {
    const struct work *work = work_find(heat->work);
    struct node *told = node_new(NODE_MAP);
    struct config config;
    void *state = NULL;
    int status = race_config(&config, heat->model, err);

    whole->name = heat->name;
    whole->rows = heat->rows;
    if (!status) status = work->open(&state, order, told, err);
    if (!status) {
        whole->operations = heat_operations(heat, &config);
        if (!strcmp(heat->work, "generate")) whole->numbers = heat_decode_numbers(heat, &config);
        status = take_turns(whole, heat, work, state, rounds < heat->rounds ? rounds : heat->rounds, err);
        work->close(state);
    }
    node_free(told);
    return status;
}

static int add_heat(struct wholes *out, const struct heat *heat, const char *folder,
                    const struct kernels *kernels, const struct stopwatch *watch, int rounds,
                    struct error *err) {
    char *weights = path_join(folder, heat->model->name);
    struct order order = order_of(heat, weights, kernels, watch);
    int status = race_weights(folder, heat->model, err);

    out->items = xrealloc(out->items, (size_t)out->count + 1, sizeof *out->items);
    out->items[out->count] = (struct whole){0};
    if (!status) status = run_heat(&out->items[out->count++], heat, &order, rounds, err);
    free(weights);
    return status;
}

static int is_meant(const struct heat *heat, const char *work, const char *only, int device) {
    if (!heat->model || heat->memory || heat->shortest || heat->device != device) return 0;
    return !strcmp(heat->work, work) && (!only || strstr(heat->name, only));
}

int wholes_measure(struct wholes *out, const char *work, const char *only, const struct kernels *kernels,
                   const struct stopwatch *watch, int rounds, struct error *err) {
    char *folder = bench_folder(NULL, err);
    struct error ignored;
    int status = folder ? 0 : -1;

    out->bandwidth = probe_bandwidth(kernels, watch, (size_t)256 << 20);
    for (const struct heat *heat = heats; heat->name && !status; heat++)
        if (is_meant(heat, work, only, is_device(kernels)))
            status = add_heat(out, heat, folder, kernels, watch, rounds, err);
    if (folder) folder_remove(folder, &ignored);
    free(folder);
    return status;
}

static double share_of_peak(const struct whole *whole, double peak) {
    return whole->rate.median * whole->operations / 1e9 / peak;
}

/* Of what reading weights and cache leaves time for; NAN of what is no rollout. */
static double share_of_memory(const struct whole *whole, const struct kernels *kernels, double bandwidth) {
    double bytes = whole->numbers * (double)kernels->operand_bytes;

    return whole->numbers > 0 ? whole->rate.median / whole->rows * bytes / bandwidth : NAN;
}

static double sum_of(const struct node *parts) {
    double sum = 0;

    for (const struct node *part = parts->first; part; part = part->next) sum += part->number;
    return sum;
}

static void print_parts(const struct node *parts, FILE *out) {
    for (const struct node *part = parts->first; part; part = part->next)
        fprintf(out, "%s%s %.3f s (%.0f %%)", part == parts->first ? "  " : ", ", part->key, part->number,
                100 * part->number / sum_of(parts));
    fprintf(out, "\n");
}

void wholes_print(const struct wholes *wholes, const struct kernels *kernels, double peak, FILE *out) {
    fprintf(out, "%-42s %11s %11s %11s %8s %10s\n", "", "tokens/s", "low", "high", "of peak", "of memory");
    for (int i = 0; i < wholes->count; i++) {
        const struct whole *one = &wholes->items[i];
        double memory = share_of_memory(one, kernels, wholes->bandwidth);

        fprintf(out, "%-42s %11.0f %11.0f %11.0f %8.3f ", one->name, one->rate.median, one->rate.low,
                one->rate.high, share_of_peak(one, peak));
        if (isfinite(memory)) fprintf(out, "%10.2f", memory);
        fprintf(out, "\n");
        if (one->parts) print_parts(one->parts, out);
    }
}

void wholes_json(const struct wholes *wholes, const struct kernels *kernels, double peak, struct node *list) {
    for (int i = 0; i < wholes->count; i++) {
        const struct whole *one = &wholes->items[i];
        double memory = share_of_memory(one, kernels, wholes->bandwidth);
        struct node *map = node_add(list, NULL, NODE_MAP);

        node_add_text(map, "name", one->name);
        node_add_number(map, "tokens_per_second", one->rate.median);
        node_add_number(map, "low", one->rate.low);
        node_add_number(map, "high", one->rate.high);
        node_add_number(map, "share", share_of_peak(one, peak));
        if (isfinite(memory)) node_add_number(map, "memory_share", memory);
        if (one->parts) node_add_copy(map, "seconds", one->parts);
    }
}

void wholes_free(struct wholes *wholes) {
    for (int i = 0; i < wholes->count; i++) node_free(wholes->items[i].parts);
    free(wholes->items);
}
