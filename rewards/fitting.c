#include "rewards/fitting.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/rng.h"
#include "models/dataset.h"
#include "models/overlong.h"

const struct option fitting_options[] = {
    {"reward", OPTION_TEXT, offsetof(struct fitting_options, name), NULL, 0, 0, NULL,
     "which reward: scalar, seq2seq, ensemble, gold"},
    {"base", OPTION_STEP, offsetof(struct fitting_options, base), NULL, 0, 0, "sft|ppo",
     "model folder to start from, as a rule the sft step's"},
    {"data", OPTION_STEPS, offsetof(struct fitting_options, data), NULL, 0, 0, "world|pairs",
     "folders with pairs.jsonl and prompts.jsonl"},
    {"settings", OPTION_MAP, offsetof(struct fitting_options, settings), "", 0, 0, NULL,
     "options of the reward itself"},
    FIT_OPTIONS(struct fitting_options, fit, "5e-4", "1", "32"),
    {"normalise", OPTION_CHOICE, offsetof(struct fitting_options, normalise), "samples", 0, 0,
     "samples|demonstrations|none", "on what scores get mean 0 and standard deviation 1"},
    {"samples", OPTION_INT, offsetof(struct fitting_options, samples), "256", 2, 1e6, NULL,
     "responses to normalise on"},
    {"max_new", OPTION_INT, offsetof(struct fitting_options, max_new), "64", 1, 1e6, NULL,
     "tokens of a sampled response at most"},
    {"length_limit", OPTION_REAL, offsetof(struct fitting_options, length_limit), "0.3", 0, 1, NULL,
     "correlation of total reward with length above which the event length_correlation is raised"},
    {"recompute", OPTION_BOOL, offsetof(struct fitting_options, recompute), "false", 0, 0, NULL,
     "keep only each layer's input for the backward pass"},
    {"bits", OPTION_INT, offsetof(struct fitting_options, bits), "32", 16, 32, NULL,
     "of a stored parameter: 32, or 16 for bf16"},
    {"seed", OPTION_INT, offsetof(struct fitting_options, seed), "1", 0, 2147483647, NULL,
     "of heads, row order and samples"},
    OVERLONG_OPTION(struct fitting_options, overlong),
    LORA_OPTION(struct fitting_options, lora),
    WEIGHTS_OPTION(struct fitting_options, weights),
    {0}};

static void pair_free(struct pair *pair) {
    free(pair->prompt.ids);
    free(pair->chosen.ids);
    free(pair->rejected.ids);
}

static void pairs_add(struct pairs *pairs, const struct pair *pair) {
    pairs->items = xrealloc(pairs->items, (size_t)pairs->count + 1, sizeof *pairs->items);
    pairs->items[pairs->count++] = *pair;
}

static void pairs_free(struct pairs *pairs) {
    for (int i = 0; i < pairs->count; i++) pair_free(&pairs->items[i]);
    free(pairs->items);
}

static struct pairs *pairs_of_split(struct fitting *fitting, const char *split) {
    if (!split || strcmp(split, "train") == 0) return &fitting->train;
    return strcmp(split, "ood") == 0 ? &fitting->ood : &fitting->heldout;
}

static int add_pair(struct fitting *fitting, struct overlong_rows *rows, const struct example *example,
                    struct error *err) {
    struct pair pair = {.example = example};
    int longer, status;

    if (!example->prompt || !example->chosen || !example->rejected) {
        overlong_leave(rows, example, "no prompt, or only one response");
        return 0;
    }
    response_encode(fitting->tokenizer, example->chosen, 1, &pair.chosen);
    response_encode(fitting->tokenizer, example->rejected, 1, &pair.rejected);
    longer = pair.chosen.count > pair.rejected.count ? pair.chosen.count : pair.rejected.count;
    status = overlong_encode(rows, fitting->tokenizer, example, longer, &pair.prompt, NULL, err);
    if (status > 0)
        pairs_add(pairs_of_split(fitting, example->split), &pair);
    else
        pair_free(&pair);
    return status < 0 ? -1 : 0;
}

static int add_pairs(struct fitting *fitting, const struct step *step, struct error *err) {
    struct overlong_rows rows;
    int status = overlong_begin(&rows, step, fitting->options->overlong, fitting->base->config.context, err);

    for (int i = 0; i < fitting->examples.count && !status; i++)
        status = add_pair(fitting, &rows, &fitting->examples.items[i], err);
    if (!status) status = overlong_end(&rows, fitting->examples.count, "pairs", err);
    fitting->left_out = rows.dropped;
    overlong_free(&rows);
    return status;
}

int fitting_open(struct fitting *fitting, const struct fitting_options *options, const struct run *run,
                 const struct step *step, struct error *err) {
    fitting->options = options;
    fitting->step = step;
    if (run_kernels(&fitting->kernels, run, err)) return -1;
    if (folder_open_as(&fitting->base, &fitting->tokenizer, options->base, fitting->kernels, options->weights,
                       err))
        return -1;
    if (lora_read(&fitting->adapters, options->lora, step_where(step), &fitting->base->config, err))
        return -1;
    if (data_read(options->data, "pairs.jsonl", &fitting->examples, err)) return -1;
    return add_pairs(fitting, step, err);
}

void fitting_free(struct fitting *fitting) {
    for (int i = 0; i < fitting->sample_count; i++) {
        response_free(&fitting->sample_ids[i]);
        free(fitting->sample_prompts[i].ids);
    }
    free(fitting->sample_ids);
    free(fitting->sample_prompts);
    free(fitting->samples);
    examples_free(&fitting->sample_text);
    pairs_free(&fitting->train);
    pairs_free(&fitting->heldout);
    pairs_free(&fitting->ood);
    examples_free(&fitting->examples);
    tokenizer_free(fitting->tokenizer);
    model_free(fitting->base);
}

struct exchange pair_exchange(const struct pair *pair, int chosen) {
    const struct tokens *response = chosen ? &pair->chosen : &pair->rejected;

    return (struct exchange){pair->prompt.ids,
                             response->ids,
                             pair->prompt.count,
                             response->count,
                             1,
                             pair->example->prompt,
                             chosen ? pair->example->chosen : pair->example->rejected};
}

/* The examples that samples answer: training prompts (or demonstrations), a fixed random choice of them. */
static int choose_examples(struct fitting *fitting, struct examples *from, int **chosen, int *count,
                           struct error *err) {
    int demonstrations = fitting->options->normalise == NORMALISE_DEMONSTRATIONS, kept = 0;
    const char *file = demonstrations ? "demonstrations.jsonl" : "prompts.jsonl";
    struct rng rng = rng_stream(fitting->step->seed, "reward/samples", 0, 0);

    if (data_read(fitting->options->data, file, from, err)) return -1;
    *chosen = xcalloc((size_t)(from->count + fitting->options->samples), sizeof **chosen);
    for (int i = 0; i < from->count; i++) {
        const struct example *e = &from->items[i];

        if (e->prompt && (!e->split || strcmp(e->split, "train") == 0) && (!demonstrations || e->response))
            (*chosen)[kept++] = i;
    }
    rng_shuffle(&rng, *chosen, kept);
    *count = fitting->options->samples;
    if (demonstrations && kept < *count) *count = kept;
    for (int i = kept; i < *count && kept; i++) (*chosen)[i] = (*chosen)[i - kept]; /* prompts again */
    if (kept && *count > 1) return 0;
    return fail(err, "%s: %s has no training rows to normalise scores on; give some, or normalise: none",
                fitting->step->name, file);
}

static int answer(struct fitting *fitting, struct error *err) {
    struct generator_options options = {.sampling = SAMPLING_PLAIN,
                                        .max_new = fitting->options->max_new,
                                        .slots = SAMPLE_SLOTS,
                                        .seed = fitting->step->seed,
                                        .stream = "reward/samples"};
    struct request *requests = xcalloc((size_t)fitting->sample_count, sizeof *requests);
    int status;

    options.end_token = tokenizer_end(fitting->tokenizer);
    for (int i = 0; i < fitting->sample_count; i++)
        requests[i] = (struct request){fitting->sample_prompts[i].ids, fitting->sample_prompts[i].count, 1,
                                       (uint64_t)i, 0};
    status =
        generate_shared(fitting->base, requests, fitting->sample_count, &options, fitting->sample_ids, err);
    free(requests);
    return status;
}

static void copy_demonstration(struct fitting *fitting, int i, const struct example *example) {
    struct tokens ids = {0};

    response_encode(fitting->tokenizer, example->response, 1, &ids);
    fitting->sample_ids[i] = (struct response){.tokens = ids.ids, .length = ids.count, .ended = 1};
}

static void fill_samples(struct fitting *fitting) {
    for (int i = 0; i < fitting->sample_count; i++) {
        struct example *text = &fitting->sample_text.items[i];
        const struct response *ids = &fitting->sample_ids[i];

        text->response = tokenizer_decode(fitting->tokenizer, ids->tokens, ids->length, NULL);
        fitting->samples[i] = (struct exchange){fitting->sample_prompts[i].ids,
                                                ids->tokens,
                                                fitting->sample_prompts[i].count,
                                                ids->length,
                                                ids->ended,
                                                text->prompt,
                                                text->response};
    }
}

int fitting_samples(struct fitting *fitting, struct error *err) {
    struct examples from = {0};
    int *chosen = NULL, count, status = -1;

    if (fitting->samples || fitting->options->normalise == NORMALISE_NONE) return 0;
    if (choose_examples(fitting, &from, &chosen, &count, err)) goto out;
    fitting->sample_count = count;
    fitting->samples = xcalloc((size_t)count, sizeof *fitting->samples);
    fitting->sample_ids = xcalloc((size_t)count, sizeof *fitting->sample_ids);
    fitting->sample_prompts = xcalloc((size_t)count, sizeof *fitting->sample_prompts);
    for (int i = 0; i < count; i++) {
        const struct example *example = &from.items[chosen[i]];

        examples_add(&fitting->sample_text)->prompt = xstrdup(example->prompt);
        prompt_encode(fitting->tokenizer, example->prompt, &fitting->sample_prompts[i]);
        if (fitting->options->normalise == NORMALISE_DEMONSTRATIONS) copy_demonstration(fitting, i, example);
    }
    if (fitting->options->normalise == NORMALISE_SAMPLES && answer(fitting, err)) goto out;
    fill_samples(fitting);
    status = 0;
out:
    free(chosen);
    examples_free(&from);
    return status;
}

void moments(double *mean, double *std, const float *values, int count) {
    double sum = 0, squares = 0;

    for (int i = 0; i < count; i++) sum += values[i];
    *mean = count ? sum / count : 0;
    for (int i = 0; i < count; i++) squares += (values[i] - *mean) * (values[i] - *mean);
    *std = count && squares > 0 ? sqrt(squares / count) : 1;
}

double correlation(const double *a, const double *b, int count) {
    double mean_a = 0, mean_b = 0, ab = 0, aa = 0, bb = 0;

    for (int i = 0; i < count; i++) {
        mean_a += a[i] / count;
        mean_b += b[i] / count;
    }
    for (int i = 0; i < count; i++) {
        ab += (a[i] - mean_a) * (b[i] - mean_b);
        aa += (a[i] - mean_a) * (a[i] - mean_a);
        bb += (b[i] - mean_b) * (b[i] - mean_b);
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

int pairs_accuracy(double *out, const struct reward *reward, struct scorer *scorer, const struct pairs *pairs,
                   struct error *err) {
    struct exchange *rows = xcalloc(2 * (size_t)pairs->count, sizeof *rows);
    float *score = xcalloc(2 * (size_t)pairs->count, sizeof *score);
    double right = 0;
    int status;

    for (int i = 0; i < 2 * pairs->count; i++) rows[i] = pair_exchange(&pairs->items[i / 2], i % 2 == 0);
    status = reward->score(scorer, rows, 2 * pairs->count, NULL, score, err);
    for (int i = 0; i < pairs->count && !status; i++)
        right += score[2 * i] > score[2 * i + 1] ? 1 : score[2 * i] == score[2 * i + 1] ? 0.5 : 0;
    *out = pairs->count ? right / pairs->count : NAN;
    free(rows);
    free(score);
    return status;
}
