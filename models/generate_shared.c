#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/ranks.h"
#include "models/generator.h"

struct facts {
    int length, ended;
};

static void exchange_facts(struct response *responses, int count, const size_t *rows) {
    struct facts *facts = xcalloc((size_t)count, sizeof *facts);

    for (int i = 0; i < count; i++) facts[i] = (struct facts){responses[i].length, responses[i].ended};
    ranks_exchange(facts, rows, sizeof *facts);
    for (int i = 0; i < count; i++) {
        responses[i].length = facts[i].length;
        responses[i].ended = facts[i].ended;
    }
    free(facts);
}

/* Tokens, log-probabilities and, if there are any, values: one behind the other. */
static void pack(float *cells, const struct response *from, int values) {
    size_t length = (size_t)from->length, bytes = length * sizeof *cells;

    memcpy(cells, from->tokens, bytes);
    memcpy(cells + length, from->logprob, bytes);
    if (values) memcpy(cells + 2 * length, from->value, bytes);
}

static void unpack(struct response *to, const float *cells, int values) {
    size_t length = (size_t)to->length, bytes = length * sizeof *cells;

    to->tokens = xcalloc(length, sizeof *to->tokens);
    to->logprob = xcalloc(length, sizeof *to->logprob);
    if (values) to->value = xcalloc(length, sizeof *to->value);
    memcpy(to->tokens, cells, bytes);
    memcpy(to->logprob, cells + length, bytes);
    if (values) memcpy(to->value, cells + 2 * length, bytes);
}

/* rows: where each rank's responses begin; those of this rank are filled. */
static void exchange(struct response *responses, int count, int values, const size_t *rows) {
    size_t *at = xcalloc((size_t)count + 1, sizeof *at);
    size_t *shares = xcalloc((size_t)ranks_count() + 1, sizeof *shares);
    size_t begin = rows[ranks_index()], end = rows[ranks_index() + 1];
    float *cells;

    exchange_facts(responses, count, rows);
    for (int i = 0; i < count; i++) at[i + 1] = at[i] + (size_t)(2 + values) * (size_t)responses[i].length;
    for (int r = 0; r <= ranks_count(); r++) shares[r] = at[rows[r]];
    cells = xcalloc(at[count], sizeof *cells);
    for (size_t i = begin; i < end; i++) pack(cells + at[i], &responses[i], values);
    ranks_exchange(cells, shares, sizeof *cells);
    for (size_t i = 0; i < (size_t)count; i++)
        if (i < begin || i >= end) unpack(&responses[i], cells + at[i], values);
    free(cells);
    free(shares);
    free(at);
}

int generate_shared(const struct model *model, const struct request *requests, int count,
                    const struct generator_options *options, struct response *responses, struct error *err) {
    size_t *rows = ranks_even((size_t)count), first = rows[ranks_index()];
    int own = (int)(rows[ranks_index() + 1] - first), status;

    for (int i = 0; i < count; i++) responses[i] = (struct response){0};
    status = generate(model, requests + first, own, options, responses + first, NULL, NULL, err);
    if (!status && ranks_count() > 1) exchange(responses, count, options->values, rows);
    free(rows);
    return status;
}
