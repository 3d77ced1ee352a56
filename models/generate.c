/* The step that lets a policy answer the prompts of data folders. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/progress.h"
#include "harness/registry.h"
#include "models/cost.h"
#include "models/dataset.h"
#include "models/device.h"
#include "models/folder.h"
#include "models/generator.h"
#include "models/overlong.h"

#define REFERENCE_BUDGET 4096 /* tokens read by the reference at once */

struct generate_options {
    const char *policy, *reference, *name, *splits;
    const struct node *data;
    int per_prompt, limit, max_new, slots, top_k, seed, weights;
    double temperature, top_p, min_p;
};

#define AT(field) offsetof(struct generate_options, field)
static const struct option options[] = {
    {"policy", OPTION_STEP, AT(policy), NULL, 0, 0, "sft|ppo", "model folder that answers"},
    {"data", OPTION_STEPS, AT(data), NULL, 0, 0, "world|pairs|prompts", "folders with prompts.jsonl"},
    {"reference", OPTION_STEP, AT(reference), "", 0, 0, "sft|ppo",
     "model folder whose log-probability of each response is recorded too, for the KL divergence"},
    {"name", OPTION_TEXT, AT(name), "", 0, 0, NULL,
     "of the policy in transcripts; absent: the label of the step that made it"},
    {"splits", OPTION_TEXT, AT(splits), "heldout ood", 0, 0, NULL, "which splits, separated by spaces"},
    {"per_prompt", OPTION_INT, AT(per_prompt), "1", 1, 1e6, NULL, "responses to each prompt"},
    {"limit", OPTION_INT, AT(limit), "0", 0, 1e9, NULL, "prompts of each split at most; 0: all"},
    {"max_new", OPTION_INT, AT(max_new), "64", 1, 1e6, NULL, "tokens of a response at most"},
    {"slots", OPTION_INT, AT(slots), "64", 1, 65536, NULL, "responses sampled together"},
    {"temperature", OPTION_REAL, AT(temperature), "1", 0, 100, NULL, "0: greedy"},
    {"top_k", OPTION_INT, AT(top_k), "0", 0, 1e9, NULL, "sample from the k likeliest only; 0: all"},
    {"top_p", OPTION_REAL, AT(top_p), "1", 0.01, 1, NULL, "sample from the smallest set of this probability"},
    {"min_p", OPTION_REAL, AT(min_p), "0", 0, 1, NULL,
     "sample tokens of at least this share of the likeliest's"},
    {"seed", OPTION_INT, AT(seed), "1", 0, 2147483647, NULL, "of the samples"},
    {"weights", OPTION_CHOICE, AT(weights), "full", 0, 0, WEIGHT_FORMS,
     "of the policy and the reference; int8: 8 bits a number, a quarter of the memory, on processors"},
    {0}};
#undef AT

struct work {
    const struct step *step;
    struct generate_options options;
    const struct kernels *kernels;
    struct model *policy;
    struct tokenizer *tokenizer;
    struct examples prompts;
    int *chosen;             /* indices of the prompts to answer */
    int chosen_count, count; /* count: responses */
    struct tokens *ids;      /* [chosen_count] */
    struct response *responses;
    double *reference; /* [count], or NULL */
};

/* Whether `word` stands in a list separated by spaces. */
static int listed(const char *list, const char *word) {
    size_t length = strlen(word);

    for (const char *at = strstr(list, word); at; at = strstr(at + 1, word))
        if ((at == list || at[-1] == ' ') && (at[length] == 0 || at[length] == ' ')) return 1;
    return 0;
}

/* How many prompts of this one's split were chosen before it. */
static int chosen_of_split(const struct work *work, const char *split) {
    int count = 0;

    for (int i = 0; i < work->chosen_count; i++)
        count += strcmp(work->prompts.items[work->chosen[i]].split, split) == 0;
    return count;
}

/* Encodes the prompts to answer; those that leave no room for a token of a response are listed. */
static int choose_from(struct work *work, struct overlong_rows *rows, struct error *err) {
    const struct generate_options *o = &work->options;
    int seen = 0;

    for (int i = 0; i < work->prompts.count; i++) {
        const struct example *example = &work->prompts.items[i];
        int fits;

        if (!example->split || !example->prompt || !listed(o->splits, example->split)) continue;
        if (o->limit && chosen_of_split(work, example->split) >= o->limit) continue;
        seen++;
        fits = overlong_encode(rows, work->tokenizer, example, 1, &work->ids[work->chosen_count], NULL, err);
        if (fits < 0) return -1;
        if (fits) work->chosen[work->chosen_count++] = i;
    }
    return overlong_end(rows, seen, "prompts", err);
}

static int choose_prompts(struct work *work, struct error *err) {
    struct overlong_rows rows;
    int status;

    if (data_read(work->options.data, "prompts.jsonl", &work->prompts, err)) return -1;
    work->chosen = xcalloc((size_t)work->prompts.count, sizeof *work->chosen);
    work->ids = xcalloc((size_t)work->prompts.count, sizeof *work->ids);
    status = overlong_begin(&rows, work->step, OVERLONG_DROP, work->policy->config.context, err);
    if (!status) status = choose_from(work, &rows, err);
    overlong_free(&rows);
    work->count = work->chosen_count * work->options.per_prompt;
    if (status || work->count) return status;
    return fail(err, "%s: prompts.jsonl has no prompt of the splits \"%s\"%s", work->step->name,
                work->options.splits, rows.dropped ? " that the context has room for" : "");
}

static void tell(void *context, int finished) {
    (void)context;
    progress_update(finished, "%s", "");
}

static int answer(struct work *work, struct error *err) {
    const struct generate_options *o = &work->options;
    struct generator_options how = {
        .sampling = {(float)o->temperature, o->top_k, (float)o->top_p, (float)o->min_p},
        .max_new = o->max_new,
        .slots = o->slots,
        .seed = work->step->seed,
        .stream = "generate"};
    struct request *requests = xcalloc((size_t)work->count, sizeof *requests);
    int status;

    how.end_token = tokenizer_end(work->tokenizer);
    work->responses = xcalloc((size_t)work->count, sizeof *work->responses);
    for (int i = 0; i < work->count; i++) {
        const struct tokens *ids = &work->ids[i / o->per_prompt];

        requests[i] = (struct request){ids->ids, ids->count, (uint64_t)(i / o->per_prompt),
                                       (uint64_t)(i % o->per_prompt), 0};
    }
    progress_begin(work->step->name, work->count, "responses");
    status = generate(work->policy, requests, work->count, &how, work->responses, tell, NULL, err);
    progress_end();
    free(requests);
    return status;
}

/* One batch of responses, from `first`; returns where it ends. */
static int gather(const struct work *work, int first, struct batch *batch, struct targets *targets) {
    int i = first;

    batch_clear(batch);
    targets->count = 0;
    for (; i < work->count; i++) {
        const struct tokens *prompt = &work->ids[i / work->options.per_prompt];
        const struct response *response = &work->responses[i];
        int before = batch->total + prompt->count - 1;

        if (i > first && batch->total + prompt->count + response->length > REFERENCE_BUDGET) break;
        batch_add(batch, prompt->ids, prompt->count);
        batch_extend(batch, response->tokens, response->length - 1);
        for (int t = 0; t < response->length; t++) targets_add(targets, before + t, response->tokens[t], i);
    }
    return i;
}

static int sum_reference(struct work *work, struct trunk *trunk, struct error *err) {
    struct batch batch = {0};
    struct targets targets = {0};
    float *logprob = NULL;
    int status = 0;

    for (int first = 0, end; first < work->count && !status; first = end) {
        end = gather(work, first, &batch, &targets);
        logprob = xrealloc(logprob, (size_t)targets.room, sizeof *logprob);
        status = trunk_forward_at(trunk, &batch, targets.position, targets.count, 0, err);
        if (status) break;
        head_logprob(trunk, targets.position, targets.target, targets.count, &SAMPLING_PLAIN, logprob, NULL,
                     NULL);
        status = device_check(work->kernels, "the reference", err);
        if (status) break;
        for (int i = 0; i < targets.count; i++) work->reference[targets.item[i]] += logprob[i];
    }
    batch_free(&batch);
    targets_free(&targets);
    free(logprob);
    return status;
}

static int read_reference(struct work *work, struct error *err) {
    struct model *model = NULL;
    struct trunk *trunk = NULL;
    int status = -1;

    if (!work->options.reference) return 0;
    work->reference = xcalloc((size_t)work->count, sizeof *work->reference);
    if (model_load_as(&model, work->options.reference, work->kernels, work->options.weights, err)) return -1;
    if (model->config.vocab != work->policy->config.vocab) {
        fail(err, "the reference has %d tokens, the policy %d; they must share a tokenizer",
             model->config.vocab, work->policy->config.vocab);
        goto out;
    }
    if (trunk_create(&trunk, model, 0, err)) goto out;
    status = sum_reference(work, trunk, err);
out:
    trunk_free(trunk);
    model_free(model);
    return status;
}

/* The policy's display name: as given, or its own step's label. */
static char *name_policy(const struct work *work) {
    return work->options.name ? policy_name(work->options.name) : step_label(work->options.policy, NULL);
}

static void fill(struct transcript *out, const struct work *work, int i, const char *policy, int seed) {
    const struct response *response = &work->responses[i];
    const struct example *example = &work->prompts.items[work->chosen[i / work->options.per_prompt]];

    out->id = xprintf("%s-%d-%s-%d", policy, seed, example->id, i % work->options.per_prompt);
    out->prompt_id = xstrdup(example->id);
    out->split = xstrdup(example->split);
    out->policy = xstrdup(policy);
    out->prompt = xstrdup(example->prompt);
    out->response = tokenizer_decode(work->tokenizer, response->tokens, response->length, NULL);
    out->category = xstrdup(example->category);
    out->finish = xstrdup(response->ended ? "eos" : "length");
    out->tokens = response->length;
    for (int t = 0; t < response->length; t++) out->logprob += response->logprob[t];
    out->reference = work->reference ? work->reference[i] : NAN;
    out->seed = seed;
}

static int write_transcripts(const struct work *work, struct error *err) {
    struct transcripts transcripts = {0};
    char *path = step_path(work->step, "transcripts.jsonl"), *policy = name_policy(work);
    int seed = (int)node_number(work->step->matrix, "seed", (double)work->step->seed), status;

    for (int i = 0; i < work->count; i++) {
        struct transcript *transcript = transcripts_add(&transcripts);

        transcript->logprob = 0;
        fill(transcript, work, i, policy, seed);
    }
    status = transcripts_write(path, &transcripts, err);
    transcripts_free(&transcripts);
    free(policy);
    free(path);
    return status;
}

static void work_free(struct work *work) {
    for (int i = 0; work->ids && i < work->prompts.count; i++) free(work->ids[i].ids);
    for (int i = 0; work->responses && i < work->count; i++) response_free(&work->responses[i]);
    free(work->ids);
    free(work->responses);
    free(work->reference);
    free(work->chosen);
    examples_free(&work->prompts);
    tokenizer_free(work->tokenizer);
    model_free(work->policy);
}

static int generate_run(struct run *run, const struct step *step, struct error *err) {
    struct work work = {.step = step};
    int status = -1;

    if (options_read(options, NULL, step->options, step_where(step), &work.options, err)) goto out;
    if (run_kernels(&work.kernels, run, err)) goto out;
    if (folder_open_as(&work.policy, &work.tokenizer, work.options.policy, work.kernels, work.options.weights,
                       err))
        goto out;
    if (choose_prompts(&work, err) || answer(&work, err) || read_reference(&work, err)) goto out;
    status = write_transcripts(&work, err);
out:
    work_free(&work);
    return status;
}

static int count_words(const char *list) {
    int count = 0;

    for (const char *at = list; *at; at++) count += *at != ' ' && (at == list || at[-1] == ' ');
    return count;
}

/* Of as many prompts as the limits let through; 0 without limits. */
static double generate_work(const struct generate_options *o, const struct config *config) {
    double prompts = (double)o->limit * count_words(o->splits);
    struct passage sampled = cost_answers(config, prompts, o->per_prompt, o->max_new);
    struct passage read = cost_answers(config, prompts * o->per_prompt, 1, o->max_new);

    return cost_forward(config, &sampled) + (o->reference ? cost_forward(config, &read) : 0);
}

/* The policy that answers, then it and the reference that reads the answers. */
static void generate_hold(double held[HOLDINGS], const struct generate_options *o,
                          const struct config *config, const struct kernels *kernels) {
    double rows = (double)o->limit * count_words(o->splits) * o->per_prompt, reading[HOLDINGS] = {0};
    int slots = rows > 0 && rows < o->slots ? (int)rows : o->slots;

    model_hold(held, config, kernels, o->weights, 0, NULL);
    memcpy(reading, held, sizeof reading);
    generator_hold(held, config, kernels, slots, cost_answer(config, o->max_new), NULL);
    if (!o->reference) return;
    model_hold(reading, config, kernels, o->weights, 0, NULL);
    trunk_hold(reading, config, kernels, REFERENCE_BUDGET, 0, 0, NULL);
    plan_phase(held, reading);
}

static int generate_plan(const struct run *run, const struct step *step, struct plan *out,
                         struct error *err) {
    const struct kernels *kernels = plan_kernels(run);
    struct generate_options o;
    struct config config;
    int known;

    if (options_read(options, NULL, step->options, step_where(step), &o, err)) return -1;
    known = folder_config(&config, o.policy, err);
    if (known < 0) return -1;
    if (known) {
        if (weight_form_check(o.weights, kernels, err)) return -1;
        out->parameters = config_parameters(&config) * (o.reference ? 2 : 1);
        generate_hold(out->held, &o, &config, kernels);
        plan_host(out, &config, run);
        out->flops = generate_work(&o, &config);
    }
    snprintf(out->note, sizeof out->note, "splits %s, %d a prompt", o.splits, o.per_prompt);
    return 0;
}

static const struct remedy remedies[] = {{"slots", NULL, 1}, {"weights", "int8", 0}, {0}};

const struct stage stage_generate = {.name = "generate",
                                     .summary = "answers of a policy to prompts",
                                     .options = options,
                                     .run = generate_run,
                                     .plan = generate_plan,
                                     .remedies = remedies};
