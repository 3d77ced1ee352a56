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

/* Where operations read a chunk's targets, and what logprob() makes of them. */
struct head_places {
    const int *target;
    float *logprob, *entropy; /* entropy NULL: not wanted */
};

static float *result_place(const struct kernels *kernels, float *room, float *result) {
    return result ? kernels->place(room, result) : room;
}

/* The chunk's logits and, queued, what logprob() makes of them; norm: as there. */
static struct head_places score_chunk(struct trunk *trunk, const int *position, const int *target, int count,
                                      const struct sampling *sampling, int with_entropy,
                                      const struct head_results *results, float *norm) {
    const struct kernels *kernels = trunk->model->kernels;
    const struct head_room *room = &trunk->room;
    struct head_places at = {send_ints(kernels, room->target, target, count),
                             result_place(kernels, room->logprob, results->logprob),
                             with_entropy ? result_place(kernels, room->entropy, results->entropy) : NULL};
    int *best = results->best ? kernels->place(room->best, results->best) : NULL;

    head_gather(trunk, position, count);
    head_logits_of(trunk, trunk->head_x, count);
    head_truncate(trunk, at.target, count, sampling);
    kernels->logprob(at.logprob, at.entropy, best, norm, trunk->logits, at.target, count,
                     trunk->model->config.vocab, trunk->line, head_temperature(sampling));
    if (results->logprob) kernels->fetch(results->logprob, at.logprob, (size_t)count * sizeof *at.logprob);
    if (results->entropy) kernels->fetch(results->entropy, at.entropy, (size_t)count * sizeof *at.entropy);
    if (best) kernels->fetch(results->best, best, (size_t)count * sizeof *best);
    return at;
}

void head_logprob(struct trunk *trunk, const int *position, const int *target, int count,
                  const struct sampling *sampling, float *logprob, float *entropy, int *best) {
    for (int first = 0; first < count; first += trunk->chunk) {
        struct head_results results = {logprob ? logprob + first : NULL, entropy ? entropy + first : NULL,
                                       best ? best + first : NULL};

        score_chunk(trunk, position + first, target + first, least(trunk->chunk, count - first), sampling,
                    entropy != NULL, &results, NULL);
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

/* The chunk that score_chunk() was called for with norm: its slopes, where operations read them, to the
 * gradients. */
static void chunk_backward(struct trunk *trunk, const int *position, const int *target, int count,
                           const struct sampling *sampling, const float *slope, const float *entropy_slope) {
    trunk->model->kernels->logprob_backward(trunk->dlogits, trunk->logits, target, trunk->norm, slope,
                                            entropy_slope, count, trunk->model->config.vocab, trunk->line,
                                            head_temperature(sampling));
    logits_backward(trunk, position, count);
}

void head_learn(struct trunk *trunk, const int *position, const int *target, int count,
                const struct sampling *sampling, const float *slope, float *logprob) {
    for (int first = 0; first < count; first += trunk->chunk) {
        int chunk = least(trunk->chunk, count - first);
        struct head_results results = {logprob + first, NULL, NULL};
        struct head_places at =
            score_chunk(trunk, position + first, target + first, chunk, sampling, 0, &results, trunk->norm);
        const float *by = send_floats(trunk->model->kernels, trunk->room.slope, slope + first, chunk);

        chunk_backward(trunk, position + first, at.target, chunk, sampling, by, NULL);
    }
}

void head_train(struct trunk *trunk, const int *position, const int *target, int count,
                const struct sampling *sampling, int with_entropy, head_slope *slope, void *context,
                float *logprob, float *entropy) {
    float *by = trunk->room.slope, *by_entropy = with_entropy ? trunk->room.entropy_slope : NULL;

    for (int first = 0; first < count; first += trunk->chunk) {
        int chunk = least(trunk->chunk, count - first);
        struct head_results results = {logprob ? logprob + first : NULL, entropy ? entropy + first : NULL,
                                       NULL};
        struct head_places at = score_chunk(trunk, position + first, target + first, chunk, sampling,
                                            with_entropy, &results, trunk->norm);

        slope(context, first, chunk, at.logprob, at.entropy, by, by_entropy);
        chunk_backward(trunk, position + first, at.target, chunk, sampling, by, by_entropy);
    }
}

void head_scores_of(struct trunk *trunk, const operand *x, int count, float *out) {
    const struct tensor *score = trunk->model->score;

    trunk->model->kernels->matmul(out, x, score->data, score->packed, NULL, NULL, count, score->rows,
                                  score->cols);
}

/* A chunk's scores, out[count][score_heads] of the host's or NULL. Returns where operations read them. */
static const float *score_rows(struct trunk *trunk, const int *position, int count, float *out) {
    const struct kernels *kernels = trunk->model->kernels;
    float *place = result_place(kernels, trunk->room.score, out);

    head_gather(trunk, position, count);
    head_scores_of(trunk, trunk->head_x, count, place);
    if (out)
        kernels->fetch(out, place, (size_t)count * (size_t)trunk->model->config.score_heads * sizeof *out);
    return place;
}

void head_score(struct trunk *trunk, const int *position, int count, float *out) {
    for (int first = 0; first < count; first += trunk->chunk)
        score_rows(trunk, position + first, least(trunk->chunk, count - first),
                   out + (size_t)first * trunk->model->config.score_heads);
}

/* The slopes of the chunk's scores, where operations read them, to the gradients. */
static void scores_backward(struct trunk *trunk, const int *position, int count, const float *slope) {
    const struct config *c = &trunk->model->config;
    const struct kernels *kernels = trunk->model->kernels;
    const struct tensor *score = trunk->model->score;
    const operand *dy = slope;

    if (trunk->operand_bytes < sizeof *slope) {
        kernels->narrow(trunk->dlogits, slope, 1, (size_t)count * (size_t)c->score_heads);
        dy = trunk->dlogits;
    }
    kernels->matmul_dw(score->grad, dy, trunk->head_x, count, c->score_heads, c->width);
    kernels->matmul_dx(trunk->head_dx, dy, score->data, score->turned, NULL, count, c->score_heads, c->width);
    kernels->scatter_add(trunk->dhidden, trunk->head_dx, send_rows(trunk, position, count), count, c->width);
}

void head_score_train(struct trunk *trunk, const int *position, int count, score_slope *slope, void *context,
                      float *out) {
    float *by = trunk->room.score_slope;

    for (int first = 0; first < count; first += trunk->chunk) {
        int chunk = least(trunk->chunk, count - first);
        const float *score =
            score_rows(trunk, position + first, chunk,
                       out ? out + (size_t)first * (size_t)trunk->model->config.score_heads : NULL);

        slope(context, first, chunk, score, by);
        scores_backward(trunk, position + first, chunk, by);
    }
}
