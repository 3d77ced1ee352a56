#include <stdlib.h>

#include "harness/memory.h"
#include "models/generator.h"
#include "models/work.h"

struct state {
    const struct order *order;
    struct model *model;
    int *prompts;
    struct request *requests;
    struct response *responses;
    struct generator_memory memory; /* as a trainer's rollouts have it */
};

static void generate_close(void *state) {
    struct state *work = state;

    if (!work) return;
    generator_memory_free(&work->memory);
    model_free(work->model);
    free(work->prompts);
    free(work->requests);
    free(work->responses);
    free(work);
}

/* Seconds that a rollout takes, of responses of at most `fresh` tokens; tokens and the first one drawn may be
 * NULL. */
static int roll_out(struct state *work, int fresh, float temperature, double *seconds, double *tokens,
                    int *first, struct error *err) {
    const struct order *order = work->order;
    struct generator_options options = {.sampling = SAMPLING_PLAIN,
                                        .max_new = fresh,
                                        .end_token = -1,
                                        .slots = order->slots ? order->slots : order->rows,
                                        .seed = 1,
                                        .stream = "bench",
                                        .memory = &work->memory};
    double from = stopwatch_seconds(&order->watch);

    options.sampling.temperature = temperature;
    if (generate(work->model, work->requests, order->rows, &options, work->responses, NULL, NULL, err))
        return -1;
    if (seconds) *seconds += stopwatch_seconds(&order->watch) - from;
    if (first) *first = work->responses[0].tokens[0];
    for (int i = 0; i < order->rows; i++) {
        if (tokens) *tokens += work->responses[i].length;
        response_free(&work->responses[i]);
    }
    return 0;
}

/* Lengths from the shortest to the longest, evenly, in an order without a run of alike ones. */
static int response_length(const struct order *order, int row) {
    int step = row * 29 % 64;

    return order->shortest ? order->shortest + (order->fresh - order->shortest) * step / 63 : order->fresh;
}

static void make_requests(struct state *work) {
    const struct order *order = work->order;
    int vocab = work->model->config.vocab, length = order->prompt;

    work->prompts = xcalloc((size_t)order->rows * (size_t)length, sizeof *work->prompts);
    work->requests = xcalloc((size_t)order->rows, sizeof *work->requests);
    work->responses = xcalloc((size_t)order->rows, sizeof *work->responses);
    for (int i = 0; i < order->rows * length; i++) work->prompts[i] = race_token((uint32_t)i, vocab);
    for (int r = 0; r < order->rows; r++)
        work->requests[r] = (struct request){.prompt = work->prompts + (size_t)r * (size_t)length,
                                             .length = length,
                                             .a = (uint64_t)r,
                                             .max_new = response_length(order, r)};
}

static int generate_open(void **out, const struct order *order, struct node *told, struct error *err) {
    struct state *work = xcalloc(1, sizeof *work);
    int likeliest;

    work->order = order;
    if (model_load_as(&work->model, order->weights, order->kernels, order->form, err)) goto out;
    make_requests(work);
    if (roll_out(work, 1, 0, NULL, NULL, &likeliest, err)) goto out;
    node_add_number(told, "likeliest", likeliest);
    if (roll_out(work, 4, 1, NULL, NULL, NULL, err)) goto out;
    *out = work;
    return 0;
out:
    generate_close(work);
    return -1;
}

/* Decoding alone is what a rollout takes longer than one of single tokens, which reads the prompts and lays
   out the weights as well. */
static int generate_turn(void *state, int repeats, struct node *told, struct error *err) {
    struct state *work = state;
    double seconds = 0, tokens = 0, start = 0, first = 0;
    int fresh = work->order->fresh;

    for (int i = 0; i < repeats; i++) {
        if (roll_out(work, 1, 1, &start, &first, NULL, err)) return -1;
        if (fresh > 1 && roll_out(work, fresh, 1, &seconds, &tokens, NULL, err)) return -1;
    }
    if (fresh == 1) {
        seconds = start;
        tokens = first;
    }
    node_add_number(told, "seconds", seconds);
    node_add_number(told, "tokens", tokens);
    node_add_number(told, "prompt_seconds", start);
    node_add_number(told, "prompt_tokens", (double)repeats * work->order->rows * work->order->prompt);
    node_add_number(told, "decode_seconds", seconds - start);
    node_add_number(told, "decode_tokens", tokens - first);
    return 0;
}

const struct work work_generate = {.name = "generate",
                                   .summary = "a rollout: prompts, sampling, log-probabilities",
                                   .open = generate_open,
                                   .turn = generate_turn,
                                   .close = generate_close};
