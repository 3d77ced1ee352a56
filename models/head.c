#include "models/trunk.h"

static int least(int a, int b) {
    return a < b ? a : b;
}

/* Greedy choices are scored by the whole distribution. */
float head_temperature(const struct sampling *sampling) {
    return sampling->temperature > 0 ? sampling->temperature : 1;
}

static int truncates(const struct sampling *sampling, int vocab) {
    if (!(sampling->temperature > 0)) return 0;
    return (sampling->top_k > 0 && sampling->top_k < vocab) || sampling->top_p < 1 || sampling->min_p > 0;
}

void head_logits(struct trunk *trunk, const int *position, int count) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;

    kernels->gather(trunk->head_x, trunk->hidden, position, count, c->width);
    if (trunk->decoder)
        kernels->matmul_packed(trunk->logits, trunk->head_x, trunk->decoder->head, NULL, count, c->vocab,
                               c->width, 0);
    else
        kernels->matmul(trunk->logits, trunk->head_x, trunk->model->head->data, NULL, count, c->vocab,
                        c->width, 0);
}

void head_truncate(struct trunk *trunk, const int *keep, int count, const struct sampling *sampling) {
    int vocab = trunk->model->config.vocab;

    if (truncates(sampling, vocab))
        trunk->model->kernels->truncate(trunk->logits, keep, count, vocab, sampling->temperature,
                                        sampling->top_k, sampling->top_p, sampling->min_p);
}

void head_logprob(struct trunk *trunk, const int *position, const int *target, int count,
                  const struct sampling *sampling, float *logprob, float *entropy, int *best) {
    const struct kernels *kernels = trunk->model->kernels;

    for (int first = 0; first < count; first += HEAD_CHUNK) {
        int chunk = least(HEAD_CHUNK, count - first);

        head_logits(trunk, position + first, chunk);
        head_truncate(trunk, target + first, chunk, sampling);
        kernels->logprob(logprob ? logprob + first : trunk->logprob, entropy ? entropy + first : NULL,
                         best ? best + first : NULL, trunk->logits, target + first, chunk,
                         trunk->model->config.vocab, head_temperature(sampling));
    }
    kernels->sync();
}

/* d loss / d logits, in the place of the logits, to the gradients of the head and of hidden. */
static void logits_backward(struct trunk *trunk, const int *position, int count) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;
    const struct tensor *head = trunk->model->head;

    kernels->matmul_dw(trunk->model->head_grad, trunk->logits, trunk->head_x, count, c->vocab, c->width);
    kernels->matmul_dx(trunk->head_dx, trunk->logits, head->data, count, c->vocab, c->width, 0);
    kernels->scatter_add(trunk->dhidden, trunk->head_dx, position, count, c->width);
}

void head_train(struct trunk *trunk, const int *position, const int *target, int count,
                const struct sampling *sampling, int with_entropy, head_slope *slope, void *context,
                float *logprob, float *entropy) {
    const struct kernels *kernels = trunk->model->kernels;
    float temperature = head_temperature(sampling);
    int vocab = trunk->model->config.vocab;

    for (int first = 0; first < count; first += HEAD_CHUNK) {
        int chunk = least(HEAD_CHUNK, count - first);
        float *scores = logprob ? logprob + first : trunk->logprob;
        float *spread = entropy ? entropy + first : with_entropy ? trunk->entropy : NULL;

        head_logits(trunk, position + first, chunk);
        head_truncate(trunk, target + first, chunk, sampling);
        kernels->logprob(scores, spread, NULL, trunk->logits, target + first, chunk, vocab, temperature);
        kernels->sync();
        slope(context, first, chunk, scores, spread, trunk->slope,
              with_entropy ? trunk->entropy_slope : NULL);
        kernels->logprob_backward(trunk->logits, target + first, trunk->slope,
                                  with_entropy ? trunk->entropy_slope : NULL, chunk, vocab, temperature);
        logits_backward(trunk, position + first, chunk);
    }
    kernels->sync();
}

void head_score(struct trunk *trunk, const int *position, int count, float *out) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;

    for (int first = 0; first < count; first += HEAD_CHUNK) {
        int chunk = least(HEAD_CHUNK, count - first);

        kernels->gather(trunk->head_x, trunk->hidden, position + first, chunk, c->width);
        kernels->matmul(out + (size_t)first * c->score_heads, trunk->head_x, trunk->model->score->data, NULL,
                        chunk, c->score_heads, c->width, 0);
    }
    kernels->sync();
}

void head_score_backward(struct trunk *trunk, const int *position, int count, const float *dout) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;
    const struct tensor *score = trunk->model->score;

    for (int first = 0; first < count; first += HEAD_CHUNK) {
        const float *slope = dout + (size_t)first * c->score_heads;
        int chunk = least(HEAD_CHUNK, count - first);

        kernels->gather(trunk->head_x, trunk->hidden, position + first, chunk, c->width);
        kernels->matmul_dw(score->grad, slope, trunk->head_x, chunk, c->score_heads, c->width);
        kernels->matmul_dx(trunk->head_dx, slope, score->data, chunk, c->score_heads, c->width, 0);
        kernels->scatter_add(trunk->dhidden, trunk->head_dx, position + first, chunk, c->width);
    }
    kernels->sync();
}
