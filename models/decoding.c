#include "models/decoding.h"

#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "models/device.h"

enum { GIVEN = 4, GOT = 3 }; /* arrays in and out; each element has four bytes */

int decoding_create(struct decoding **out, const struct kernels *kernels, int slots, struct error *err) {
    struct decoding *d = xcalloc(1, sizeof *d);
    size_t each = (size_t)slots;

    d->kernels = kernels;
    d->slots = slots;
    d->given = xcalloc(GIVEN * each, sizeof *d->given);
    d->got = xcalloc(GOT * each, sizeof *d->got);
    d->token = d->given;
    d->position = d->given + each;
    d->slot = d->given + 2 * each;
    d->uniform = (float *)(d->given + 3 * each);
    d->drawn = d->got;
    d->logprob = (float *)(d->got + each);
    d->value = (float *)(d->got + 2 * each);
    d->given_room = kernels->alloc(GIVEN * each * sizeof *d->given);
    d->got_room = kernels->alloc(GOT * each * sizeof *d->got);
    *out = d;
    if (d->given_room && d->got_room) return 0;
    decoding_free(d);
    *out = NULL;
    return fail(err, "no memory for the tokens of %d rows", slots);
}

static void forget_all(struct decoding *d) {
    for (int i = 0; i < RECORDINGS; i++) {
        d->kernels->forget(d->recorded[i].recording);
        d->recorded[i].recording = NULL;
    }
}

void decoding_free(struct decoding *d) {
    if (!d) return;
    forget_all(d);
    if (d->given_room) d->kernels->free(d->given_room);
    if (d->got_room) d->kernels->free(d->got_room);
    free(d->given);
    free(d->got);
    free(d);
}

/* A step under way: its arrays where operations find them. */
struct token_step {
    struct trunk *trunk;
    const struct sampling *sampling;
    int rows, values;
    const int *token, *position, *slot;
    const float *uniform;
    int *drawn;
    float *logprob, *value;
};

/* The one transfer in. */
static struct token_step send_step(struct decoding *d, struct trunk *trunk, int rows,
                                   const struct sampling *sampling, int values) {
    size_t each = (size_t)d->slots;
    const int *given = d->kernels->send(d->given_room, d->given, GIVEN * each * sizeof *given);
    int *got = d->kernels->place(d->got_room, d->got);

    return (struct token_step){.trunk = trunk,
                               .sampling = sampling,
                               .rows = rows,
                               .values = values,
                               .token = given,
                               .position = given + each,
                               .slot = given + 2 * each,
                               .uniform = (const float *)(given + 3 * each),
                               .drawn = got,
                               .logprob = (float *)(got + each),
                               .value = (float *)(got + 2 * each)};
}

/* The one transfer out. */
static int fetch_step(struct decoding *d, const struct token_step *step, struct error *err) {
    d->kernels->fetch(d->got, step->drawn, GOT * (size_t)d->slots * sizeof *d->got);
    return device_check(d->kernels, "generation", err);
}

/* Rows first … first+count-1 from their hidden states x, [count][width]. */
static void draw_rows(const struct token_step *step, const operand *x, int first, int count) {
    struct trunk *trunk = step->trunk;

    if (step->values) head_scores_of(trunk, x, count, step->value + first);
    head_logits_of(trunk, x, count);
    head_truncate(trunk, NULL, count, step->sampling);
    trunk->model->kernels->sample(step->drawn + first, step->logprob + first, trunk->logits,
                                  step->uniform + first, count, trunk->model->config.vocab, trunk->line,
                                  step->sampling->temperature);
}

static int chunk_of(const struct token_step *step, int first) {
    int left = step->rows - first;

    return left < step->trunk->chunk ? left : step->trunk->chunk;
}

int decoding_draw(struct decoding *d, struct trunk *trunk, const int *index, int rows,
                  const struct sampling *sampling, int values, struct error *err) {
    struct token_step step = send_step(d, trunk, rows, sampling, values);

    for (int first = 0, count; first < rows; first += count) {
        count = chunk_of(&step, first);
        head_gather(trunk, index + first, count);
        draw_rows(&step, trunk->head_x, first, count);
    }
    return fetch_step(d, &step, err);
}

/* All of a step but its transfers: the same calls of the same arguments for the same kind and rows. */
static void make_calls(void *context) {
    const struct token_step *step = context;
    const struct trunk *trunk = step->trunk;
    size_t bytes = (size_t)trunk->model->config.width * trunk->operand_bytes;

    trunk_layers(step->trunk);
    for (int first = 0, count; first < step->rows; first += count) {
        count = chunk_of(step, first);
        draw_rows(step, (const char *)trunk->hidden + bytes * (size_t)first, first, count);
    }
}

/* The recording of such steps, or the place for one. */
static struct recording **recording_of(struct decoding *d, const struct token_step *step) {
    struct step_kind kind;
    int at = step->rows % RECORDINGS;

    memset(&kind, 0, sizeof kind);
    kind.model = step->trunk->model;
    kind.sampling = *step->sampling;
    kind.values = step->values;
    memcpy(kind.ranks, step->trunk->adapting.ranks, sizeof kind.ranks);
    if (memcmp(&kind, &d->kind, sizeof kind)) forget_all(d);
    memcpy(&d->kind, &kind, sizeof kind);
    if (d->recorded[at].rows != step->rows) {
        d->kernels->forget(d->recorded[at].recording);
        d->recorded[at].recording = NULL;
    }
    d->recorded[at].rows = step->rows;
    return &d->recorded[at].recording;
}

int decoding_step(struct decoding *d, struct trunk *trunk, int rows, const struct sampling *sampling,
                  int values, struct error *err) {
    struct token_step step;

    if (trunk_prepare_step(trunk, d->token, rows, err)) return -1;
    step = send_step(d, trunk, rows, sampling, values);
    trunk->tokens = step.token;
    trunk->position = step.position;
    trunk->slot = step.slot;
    d->kernels->repeat(recording_of(d, &step), make_calls, &step);
    return fetch_step(d, &step, err);
}
