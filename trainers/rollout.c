#include "trainers/rollout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/ranks.h"
#include "models/device.h"
#include "models/fit.h"
#include "models/overlong.h"
#include "trainers/advantage.h"

/* Encodes the prompts of a split; those without room for a response are listed. */
static int take_prompts(struct prompts *prompts, const char *split, const struct tokenizer *tokenizer,
                        int response, struct overlong_rows *rows, struct error *err) {
    int seen = 0;

    for (int i = 0; i < prompts->text.count; i++) {
        const struct example *example = &prompts->text.items[i];
        int fits;

        if (strcmp(example->split ? example->split : "train", split) || !example->prompt) continue;
        seen++;
        fits = overlong_encode(rows, tokenizer, example, response, &prompts->ids[i], NULL, err);
        if (fits < 0) return -1;
        if (fits) prompts->usable[prompts->count++] = i;
    }
    return overlong_end(rows, seen, "prompts", err);
}

int prompts_open(struct prompts *prompts, const struct node *data, const char *split,
                 const struct tokenizer *tokenizer, int response, int context, const struct step *step,
                 struct error *err) {
    struct overlong_rows rows;
    int status;

    if (data_read(data, "prompts.jsonl", &prompts->text, err)) return -1;
    prompts->ids = xcalloc((size_t)prompts->text.count, sizeof *prompts->ids);
    prompts->usable = xcalloc((size_t)prompts->text.count, sizeof *prompts->usable);
    status = overlong_begin(&rows, step, OVERLONG_DROP, context, err);
    if (!status) status = take_prompts(prompts, split, tokenizer, response, &rows, err);
    overlong_free(&rows);
    return status;
}

void prompts_free(struct prompts *prompts) {
    for (int i = 0; prompts->ids && i < prompts->text.count; i++) free(prompts->ids[i].ids);
    free(prompts->ids);
    free(prompts->usable);
    examples_free(&prompts->text);
}

int prompts_pick(const struct prompts *prompts, uint64_t seed, long n, int *order, long *epoch) {
    long wanted = n / prompts->count;

    if (*epoch != wanted) {
        struct rng rng = rng_stream(seed, "ppo/prompts", (uint64_t)wanted, 0);

        memcpy(order, prompts->usable, (size_t)prompts->count * sizeof *order);
        rng_shuffle(&rng, order, prompts->count);
        *epoch = wanted;
    }
    return order[n % prompts->count];
}

static void make_arrays(struct rollout *rollout) {
    float **arrays[] = {&rollout->logprob, &rollout->reference, &rollout->value,  &rollout->score,
                        &rollout->reward,  &rollout->advantage, &rollout->returns};

    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        *arrays[i] = xcalloc((size_t)rollout->total, sizeof **arrays[i]);
}

/* Lays the responses' tokens end to end and spells them out. */
static void index_responses(struct rollout *rollout, const struct tokenizer *tokenizer,
                            const struct prompts *prompts, const int *picked) {
    rollout->start = xcalloc((size_t)rollout->rows + 1, sizeof *rollout->start);
    rollout->sizes = xcalloc((size_t)rollout->rows, sizeof *rollout->sizes);
    for (int r = 0; r < rollout->rows; r++)
        rollout->start[r + 1] = rollout->start[r] + rollout->responses[r].length;
    rollout->total = rollout->start[rollout->rows];
    make_arrays(rollout);
    for (int r = 0; r < rollout->rows; r++) {
        const struct response *response = &rollout->responses[r];
        const struct tokens *prompt = &prompts->ids[picked[r]];

        rollout->sizes[r] = prompt->count + response->length - 1;
        if (tokenizer)
            rollout->texts[r] = tokenizer_decode(tokenizer, response->tokens, response->length, NULL);
        memcpy(rollout->logprob + rollout->start[r], response->logprob,
               (size_t)response->length * sizeof *response->logprob);
        if (response->value)
            memcpy(rollout->value + rollout->start[r], response->value,
                   (size_t)response->length * sizeof *response->value);
        rollout->exchanges[r] =
            (struct exchange){prompt->ids,      response->tokens, prompt->count,
                              response->length, response->ended,  prompts->text.items[picked[r]].prompt,
                              rollout->texts[r]};
    }
}

int rollout_sample(struct rollout *rollout, const struct model *policy, const struct tokenizer *tokenizer,
                   const struct prompts *prompts, const int *picked, int rows,
                   const struct generator_options *options, uint64_t iteration, struct error *err) {
    struct request *requests = xcalloc((size_t)rows, sizeof *requests);
    int status;

    *rollout = (struct rollout){.rows = rows};
    rollout->exchanges = xcalloc((size_t)rows, sizeof *rollout->exchanges);
    rollout->responses = xcalloc((size_t)rows, sizeof *rollout->responses);
    rollout->texts = xcalloc((size_t)rows, sizeof *rollout->texts);
    for (int r = 0; r < rows; r++) {
        const struct tokens *prompt = &prompts->ids[picked[r]];

        requests[r] = (struct request){prompt->ids, prompt->count, iteration, (uint64_t)r, 0};
    }
    status = generate_shared(policy, requests, rows, options, rollout->responses, err);
    if (!status) index_responses(rollout, tokenizer, prompts, picked);
    free(requests);
    return status;
}

void rollout_free(struct rollout *rollout) {
    for (int r = 0; r < rollout->rows; r++) {
        response_free(&rollout->responses[r]);
        free(rollout->texts[r]);
    }
    free(rollout->exchanges);
    free(rollout->responses);
    free(rollout->texts);
    free(rollout->start);
    free(rollout->sizes);
    free(rollout->logprob);
    free(rollout->reference);
    free(rollout->value);
    free(rollout->score);
    free(rollout->reward);
    free(rollout->advantage);
    free(rollout->returns);
    *rollout = (struct rollout){0};
}

void rollout_gather(const struct rollout *rollout, const int *rows, int count, struct batch *batch,
                    struct targets *targets) {
    batch_clear(batch);
    targets->count = 0;
    for (int i = 0; i < count; i++) {
        const struct exchange *row = &rollout->exchanges[rows[i]];
        int before = batch->total + row->prompt_length - 1, item = rollout->start[rows[i]];

        batch_add(batch, row->prompt, row->prompt_length);
        batch_extend(batch, row->response, row->response_length - 1);
        for (int t = 0; t < row->response_length; t++)
            targets_add(targets, before + t, row->response[t], item + t);
    }
}

void rollout_exchange(float *out, const struct rollout *rollout, const size_t *rows) {
    size_t *tokens = xcalloc((size_t)ranks_count() + 1, sizeof *tokens);

    for (int r = 0; r <= ranks_count(); r++) tokens[r] = (size_t)rollout->start[rows[r]];
    ranks_exchange(out, tokens, sizeof *out);
    free(tokens);
}

/* Runs the trunk over these rows; reads each batch's positions, whose results come in the order of tokens. */
static int read_rows(float *out, const struct rollout *rollout, int begin, int count, struct trunk *trunk,
                     const struct sampling *sampling, int budget, struct error *err) {
    int *rows = xcalloc((size_t)count, sizeof *rows), status = 0;
    struct targets targets = {0};
    struct batch batch = {0};

    for (int r = 0; r < count; r++) rows[r] = begin + r;
    budget = run_budget(rollout->sizes, rows, count, budget);
    for (int first = 0, end; first < count && !status; first = end) {
        end = run_end(rollout->sizes, rows, first, count, budget);
        rollout_gather(rollout, rows + first, end - first, &batch, &targets);
        status = trunk_forward_at(trunk, &batch, targets.position, targets.count, 0, err);
        if (status) break;
        if (sampling)
            head_logprob(trunk, targets.position, targets.target, targets.count, sampling,
                         out + rollout->start[rows[first]], NULL, NULL);
        else
            head_score(trunk, targets.position, targets.count, out + rollout->start[rows[first]]);
    }
    if (!status) status = device_check(trunk_kernels(trunk), "reading a rollout", err);
    batch_free(&batch);
    targets_free(&targets);
    free(rows);
    return status;
}

static int read_all(float *out, const struct rollout *rollout, struct trunk *trunk,
                    const struct sampling *sampling, int budget, struct error *err) {
    size_t *rows = ranks_cut(rollout->sizes, NULL, rollout->rows), begin = rows[ranks_index()];
    int count = (int)(rows[ranks_index() + 1] - begin);
    int status = read_rows(out, rollout, (int)begin, count, trunk, sampling, budget, err);

    if (!status) rollout_exchange(out, rollout, rows);
    free(rows);
    return status;
}

int rollout_logprob(float *out, const struct rollout *rollout, struct trunk *trunk,
                    const struct sampling *sampling, int budget, struct error *err) {
    return read_all(out, rollout, trunk, sampling, budget, err);
}

int rollout_values(float *out, const struct rollout *rollout, struct trunk *trunk, int budget,
                   struct error *err) {
    return read_all(out, rollout, trunk, NULL, budget, err);
}

static struct features inspect(const struct world *world, const struct exchange *row) {
    struct features features = {0};

    world->inspect(row->prompt_text, row->response_text, &features);
    return features;
}

void rollout_measure(struct rollout_facts *out, const struct rollout *rollout, const struct world *world,
                     int with_reference) {
    double rows = rollout->rows;

    *out = (struct rollout_facts){.gold = world ? 0 : NAN, .refused = world ? 0 : NAN};
    if (!with_reference) out->kl = out->kl3 = NAN;
    for (int r = 0; r < rollout->rows; r++) {
        const struct exchange *row = &rollout->exchanges[r];

        if (world) {
            struct features features = inspect(world, row);

            out->gold += features.gold / rows;
            out->refused += (features.refused != 0) / rows;
        }
        out->length += row->response_length / rows;
        out->ended += (row->ended != 0) / rows;
        out->repetition += repetition(row->response, row->response_length) / rows;
    }
    for (int t = 0; t < rollout->total; t++) {
        double gap = (double)rollout->logprob[t] - rollout->reference[t];

        out->score += rollout->score[t] / rows;
        if (with_reference) out->kl += gap / rows;
        if (with_reference) out->kl3 += (exp(-gap) - 1 + gap) / rows;
    }
}
