#include "models/training.h"

#include <math.h>
#include <stdlib.h>

#include "harness/memory.h"
#include "models/device.h"
#include "models/work.h"

int training_step(struct training *training, struct error *err) {
    double norm;

    if (trunk_forward(training->trunk, &training->batch, 1, err)) return -1;
    head_learn(training->trunk, training->position, training->target, training->tokens, &SAMPLING_PLAIN,
               training->slope, training->logprob);
    trunk_backward(training->trunk);
    norm =
        optimizer_update(&training->optimizer, training->model, 1e-4f); /* waits for it, and so for logprob */
    if (isnan(norm) && device_check(training->model->kernels, "a training step", err)) return -1;
    training->loss = 0;
    for (int i = 0; i < training->tokens; i++)
        training->loss -= (double)training->logprob[i] / training->tokens;
    return 0;
}

void training_free(struct training *training) {
    batch_free(&training->batch);
    free(training->position);
    free(training->target);
    free(training->slope);
    free(training->logprob);
    if (training->trunk) trunk_free(training->trunk);
    optimizer_free(&training->optimizer, training->model);
    model_free(training->model);
}

static void make_rows(struct training *training, int rows, int length) {
    int vocab = training->model->config.vocab, *row = xcalloc((size_t)length, sizeof *row), at = 0;

    training->tokens = rows * length;
    training->position = xcalloc((size_t)training->tokens, sizeof *training->position);
    training->target = xcalloc((size_t)training->tokens, sizeof *training->target);
    training->slope = xcalloc((size_t)training->tokens, sizeof *training->slope);
    training->logprob = xcalloc((size_t)training->tokens, sizeof *training->logprob);
    for (int r = 0; r < rows; r++) {
        for (int t = 0; t < length; t++, at++) {
            row[t] = race_token((uint32_t)at, vocab);
            training->target[at] = race_token(RACE_TARGETS + (uint32_t)at, vocab);
            training->position[at] = at;
            training->slope[at] = -1.0f / (float)training->tokens;
        }
        batch_add(&training->batch, row, length);
    }
    free(row);
}

int training_create(struct training *training, struct model *model, int rows, int length, struct error *err) {
    *training = (struct training){.model = model};
    if (model_train(model, err) || optimizer_create(&training->optimizer, model, err)) goto out;
    if (trunk_create(&training->trunk, model, 0, err)) goto out;
    make_rows(training, rows, length);
    return 0;
out:
    training_free(training);
    return -1;
}

/* each: operations of a token and a weight. */
static double step_operations(const struct config *config, double tokens, int length, double each) {
    double width = config->width, layers = config->layers;

    return tokens *
           (each * (12 * width * width * layers + config->vocab * width) + 6 * length * width * layers);
}

double training_operations(const struct config *config, double tokens, int length) {
    return step_operations(config, tokens, length, 6);
}

double training_operations_adapted(const struct config *config, double tokens, int length, double adapters) {
    return step_operations(config, tokens, length, 4) + tokens * 6 * adapters;
}
