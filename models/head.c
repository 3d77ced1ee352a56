#include "models/trunk.h"

static int least(int a, int b) {
    return a < b ? a : b;
}

/* Greedy choices are scored by the whole distribution. */
static float head_temperature(const struct sampling *sampling) {
    return sampling->temperature > 0 ? sampling->temperature : 1;
}

static int truncates(const struct sampling *sampling, int vocab) {
    if (!(sampling->temperature > 0)) return 0;
    return (sampling->top_k > 0 && sampling->top_k < vocab) || sampling->top_p < 1 || sampling->min_p > 0;
}

static const int *send_ints(const struct kernels *kernels, int *room, const int *array, int count) {
    return kernels->send(room, array, (size_t)count * sizeof *array);
}

static const float *send_floats(const struct kernels *kernels, float *room, const float *array, int count) {
    return kernels->send(room, array, (size_t)count * sizeof *array);
}

/* The rows of hidden, where operations read them, of the tokens at these positions. */
static const int *send_rows(struct trunk *trunk, const int *position, int count) {
    const struct selection *selection = &trunk->selection;

    if (!selection->count) return send_ints(trunk->model->kernels, trunk->room.position, position, count);
    for (int i = 0; i < count; i++) trunk->row[i] = selection->row[position[i]];
    return send_ints(trunk->model->kernels, trunk->room.position, trunk->row, count);
}

const int *head_gather(struct trunk *trunk, const int *position, int count) {
    const struct kernels *kernels = trunk->model->kernels;
    const int *at = send_rows(trunk, position, count);

    kernels->gather(trunk->head_x, trunk->hidden, at, count,
                    (size_t)trunk->model->config.width * trunk->operand_bytes);
    return at;
}

void head_logits_of(struct trunk *trunk, const operand *x, int count) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;
    const struct tensor *head = trunk->model->head;
    int line = trunk->line;

    kernels->matmul(trunk->logits, x, tensor_factors(head), head->packed, NULL, NULL, count, line, c->width);
    if (c->final_cap > 0) kernels->cap(trunk->logits, (size_t)count * (size_t)line, c->final_cap);
}

void head_truncate(struct trunk *trunk, const int *keep, int count, const struct sampling *sampling) {
    int vocab = trunk->model->config.vocab;

    if (truncates(sampling, vocab))
        trunk->model->kernels->truncate(trunk->logits, keep, count, vocab, trunk->line, sampling->temperature,
                                        sampling->top_k, sampling->top_p, sampling->min_p);
}

/* Where one chunk's results go on the host; NULL where none is wanted. */
struct head_results {
    float *logprob, *entropy;
    int *best;
};

/* The chunk's logits and, queued, what logprob() makes of them; norm: as there. Returns where operations read
 * the targets. */
static const int *score_chunk(struct trunk *trunk, const int *position, const int *target, int count,
                              const struct sampling *sampling, const struct head_results *results,
                              float *norm) {
    const struct kernels *kernels = trunk->model->kernels;
    const struct head_room *room = &trunk->room;
    const int *at = send_ints(kernels, room->target, target, count);
    float *logprob = kernels->place(room->logprob, results->logprob);
    float *entropy = results->entropy ? kernels->place(room->entropy, results->entropy) : NULL;
    int *best = results->best ? kernels->place(room->best, results->best) : NULL;

    head_gather(trunk, position, count);
    head_logits_of(trunk, trunk->head_x, count);
    head_truncate(trunk, at, count, sampling);
    kernels->logprob(logprob, entropy, best, norm, trunk->logits, at, count, trunk->model->config.vocab,
                     trunk->line, head_temperature(sampling));
    kernels->fetch(results->logprob, logprob, (size_t)count * sizeof *logprob);
    if (entropy) kernels->fetch(results->entropy, entropy, (size_t)count * sizeof *entropy);
    if (best) kernels->fetch(results->best, best, (size_t)count * sizeof *best);
    return at;
}

void head_logprob(struct trunk *trunk, const int *position, const int *target, int count,
                  const struct sampling *sampling, float *logprob, float *entropy, int *best) {
    for (int first = 0; first < count; first += trunk->chunk) {
        struct head_results results = {logprob ? logprob + first : trunk->logprob,
                                       entropy ? entropy + first : NULL, best ? best + first : NULL};

        score_chunk(trunk, position + first, target + first, least(trunk->chunk, count - first), sampling,
                    &results, NULL);
    }
}

/* dlogits to the gradients of the head and of hidden. */
static void logits_backward(struct trunk *trunk, const int *position, int count) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;
    const struct tensor *head = trunk->model->head;
    int line = trunk->line;

    if (c->final_cap > 0)
        kernels->cap_backward(trunk->dlogits, trunk->logits, (size_t)count * (size_t)line, c->final_cap);
    if (trunk->model->head_grad)
        kernels->matmul_dw(trunk->model->head_grad, trunk->dlogits, trunk->head_x, count, line, c->width);
    kernels->matmul_dx(trunk->head_dx, trunk->dlogits, tensor_factors(head), head->turned, NULL, count, line,
                       c->width);
    kernels->scatter_add(trunk->dhidden, trunk->head_dx, send_rows(trunk, position, count), count, c->width);
}

/* The chunk that score_chunk() was called for with norm: its slopes, the host's, to the gradients. */
static void chunk_backward(struct trunk *trunk, const int *position, const int *at, int count,
                           const struct sampling *sampling, const float *slope, const float *entropy_slope) {
    const struct kernels *kernels = trunk->model->kernels;

    kernels->logprob_backward(
        trunk->dlogits, trunk->logits, at, trunk->norm, send_floats(kernels, trunk->room.slope, slope, count),
        entropy_slope ? send_floats(kernels, trunk->room.entropy_slope, entropy_slope, count) : NULL, count,
        trunk->model->config.vocab, trunk->line, head_temperature(sampling));
    logits_backward(trunk, position, count);
}

void head_learn(struct trunk *trunk, const int *position, const int *target, int count,
                const struct sampling *sampling, const float *slope, float *logprob) {
    for (int first = 0; first < count; first += trunk->chunk) {
        int chunk = least(trunk->chunk, count - first);
        struct head_results results = {logprob + first, NULL, NULL};
        const int *at =
            score_chunk(trunk, position + first, target + first, chunk, sampling, &results, trunk->norm);

        chunk_backward(trunk, position + first, at, chunk, sampling, slope + first, NULL);
    }
}

void head_train(struct trunk *trunk, const int *position, const int *target, int count,
                const struct sampling *sampling, int with_entropy, head_slope *slope, void *context,
                float *logprob, float *entropy) {
    for (int first = 0; first < count; first += trunk->chunk) {
        int chunk = least(trunk->chunk, count - first);
        struct head_results results = {logprob ? logprob + first : trunk->logprob,
                                       entropy        ? entropy + first
                                       : with_entropy ? trunk->entropy
                                                      : NULL,
                                       NULL};
        const int *at =
            score_chunk(trunk, position + first, target + first, chunk, sampling, &results, trunk->norm);
        float *entropy_slope = with_entropy ? trunk->entropy_slope : NULL;

        trunk->model->kernels->sync();
        slope(context, first, chunk, results.logprob, results.entropy, trunk->slope, entropy_slope);
        chunk_backward(trunk, position + first, at, chunk, sampling, trunk->slope, entropy_slope);
    }
}

void head_scores_of(struct trunk *trunk, const operand *x, int count, float *out) {
    const struct tensor *score = trunk->model->score;

    trunk->model->kernels->matmul(out, x, score->data, score->packed, NULL, NULL, count, score->rows,
                                  score->cols);
}

/* A chunk's scores: out[count][score_heads] of the host's. Their room is the logits'. */
static void score_rows(struct trunk *trunk, const int *position, int count, float *out) {
    const struct kernels *kernels = trunk->model->kernels;
    float *place = kernels->place(trunk->logits, out);

    head_gather(trunk, position, count);
    head_scores_of(trunk, trunk->head_x, count, place);
    kernels->fetch(out, place, (size_t)count * (size_t)trunk->model->config.score_heads * sizeof *out);
}

void head_score(struct trunk *trunk, const int *position, int count, float *out) {
    for (int first = 0; first < count; first += trunk->chunk)
        score_rows(trunk, position + first, least(trunk->chunk, count - first),
                   out + (size_t)first * trunk->model->config.score_heads);
}

/* The host's gradients as an operand. */
static const operand *send_slope(struct trunk *trunk, const float *slope, int count) {
    const float *at = send_floats(trunk->model->kernels, trunk->logits, slope, count);

    if (trunk->operand_bytes == sizeof(float)) return at;
    trunk->model->kernels->narrow(trunk->dlogits, at, 1, (size_t)count);
    return trunk->dlogits;
}

void head_score_backward(struct trunk *trunk, const int *position, int count, const float *dout) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;
    const struct tensor *score = trunk->model->score;

    for (int first = 0; first < count; first += trunk->chunk) {
        int chunk = least(trunk->chunk, count - first);
        const operand *slope =
            send_slope(trunk, dout + (size_t)first * c->score_heads, chunk * c->score_heads);
        const int *at = head_gather(trunk, position + first, chunk);

        kernels->matmul_dw(score->grad, slope, trunk->head_x, chunk, c->score_heads, c->width);
        kernels->matmul_dx(trunk->head_dx, slope, score->data, score->turned, NULL, chunk, c->score_heads,
                           c->width);
        kernels->scatter_add(trunk->dhidden, trunk->head_dx, at, chunk, c->width);
    }
}
