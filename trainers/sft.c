/* Supervised fine-tuning: the responses of demonstrations are learned, prompts are only read. */
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/registry.h"
#include "models/cost.h"
#include "models/fit.h"
#include "models/folder.h"
#include "models/lora.h"
#include "models/overlong.h"
#include "models/supervised.h"

struct sft_options {
    const char *base, *tokenizer;
    const struct node *model, *data, *lora;
    struct fit_options fit;
    int heldout, recompute, bits, seed, overlong, learn, weights;
};

enum { LEARN_RESPONSE, LEARN_ASSISTANT, LEARN_ALL };

static const struct option sft_options[] = {
    {"base", OPTION_STEP, offsetof(struct sft_options, base), "", 0, 0, "sft|ppo",
     "model folder to start from; or give model and tokenizer"},
    {"model", OPTION_MAP, offsetof(struct sft_options, model), "", 0, 0, NULL,
     "a new model: family, layers, width, heads, kv_heads, ffn, context, tied"},
    {"tokenizer", OPTION_STEP, offsetof(struct sft_options, tokenizer), "", 0, 0, "tokenizer|sft|ppo",
     "folder with the new model's tokenizer.json"},
    {"data", OPTION_STEPS, offsetof(struct sft_options, data), NULL, 0, 0, "world|pairs",
     "folders with demonstrations.jsonl"},
    FIT_OPTIONS(struct sft_options, fit, "1e-3", "3", "32"),
    {"heldout", OPTION_INT, offsetof(struct sft_options, heldout), "128", 0, 1e6, NULL,
     "rows kept for the held-out loss, where the file marks none; a tenth at most"},
    {"recompute", OPTION_BOOL, offsetof(struct sft_options, recompute), "false", 0, 0, NULL,
     "keep only each layer's input for the backward pass: less memory, a third more time"},
    {"bits", OPTION_INT, offsetof(struct sft_options, bits), "32", 16, 32, NULL,
     "of a stored parameter: 32, or 16 for bf16"},
    {"seed", OPTION_INT, offsetof(struct sft_options, seed), "1", 0, 2147483647, NULL,
     "of the row order and of a new model's parameters"},
    OVERLONG_OPTION(struct sft_options, overlong),
    LORA_OPTION(struct sft_options, lora),
    WEIGHTS_OPTION(struct sft_options, weights),
    {"learn", OPTION_CHOICE, offsetof(struct sft_options, learn), "response", 0, 0, "response|assistant|all",
     "the tokens that are learned: the response's; also what an assistant wrote earlier in the prompt; or "
     "all"},
    {0}};

struct shape {
    int family, layers, width, heads, kv_heads, ffn, context, tied;
};

static const struct option shape_options[] = {
    {"family", OPTION_CHOICE, offsetof(struct shape, family), "llama", 0, 0, "gpt2|llama",
     "gpt2: learned positions, LayerNorm, GELU; llama: RoPE, RMSNorm, SwiGLU"},
    {"layers", OPTION_INT, offsetof(struct shape, layers), "4", 1, 1000, NULL, "blocks"},
    {"width", OPTION_INT, offsetof(struct shape, width), "128", 1, 65536, NULL, "of the hidden state"},
    {"heads", OPTION_INT, offsetof(struct shape, heads), "4", 1, 1024, NULL, "of attention"},
    {"kv_heads", OPTION_INT, offsetof(struct shape, kv_heads), "0", 0, 1024, NULL, "0: as many as heads"},
    {"ffn", OPTION_INT, offsetof(struct shape, ffn), "0", 0, 1000000, NULL,
     "0: 4 width (gpt2) or 8/3 width rounded up to 32 (llama)"},
    {"context", OPTION_INT, offsetof(struct shape, context), "256", 2, 1000000, NULL, "tokens at most"},
    {"tied", OPTION_BOOL, offsetof(struct shape, tied), "true", 0, 0, NULL, "the head is the embedding"},
    {0}};

/* One step at work; zero until loaded. */
struct sft {
    struct sft_options options;
    struct adapter_options adapters; /* of rank 0: none */
    struct model *model;
    struct tokenizer *tokenizer;
    struct dataset data;
    int *train, *heldout; /* rows of data */
    int train_count, heldout_count;
    int *sizes; /* of the training rows */
    struct supervised supervised;
};

static int read_options(struct sft_options *out, const struct step *step, struct error *err) {
    if (options_read(sft_options, NULL, step->options, step_where(step), out, err)) return -1;
    if (out->lora && !out->base)
        return fail(err, "%s: lora needs a base: adapters alone make no new model", step->name);
    return lora_check_weights(out->weights, out->lora, out->base, step->name, err);
}

static int read_shape(struct config *config, const struct node *model, int vocab, struct error *err) {
    static const char *const families[] = {"gpt2", "llama"};
    struct shape shape;

    if (options_read(shape_options, NULL, model, "model", &shape, err)) return -1;
    if (config_family(config, families[shape.family], err)) return -1;
    config->vocab = vocab;
    config->context = shape.context;
    config->layers = shape.layers;
    config->width = shape.width;
    config->heads = shape.heads;
    config->kv_heads = shape.kv_heads ? shape.kv_heads : shape.heads;
    config->head_size = shape.width / shape.heads;
    config->ffn = shape.ffn       ? shape.ffn
                  : config->gated ? (shape.width * 8 / 3 + 31) / 32 * 32
                                  : 4 * shape.width;
    config->tied = shape.tied;
    return config_check(config, err);
}

static int new_model(struct sft *sft, const struct kernels *kernels, uint64_t seed, struct error *err) {
    struct config config;
    char *path;
    int status;

    if (!sft->options.model || !sft->options.tokenizer)
        return fail(err, "sft needs a model to start from: base, or model with tokenizer");
    path = path_join(sft->options.tokenizer, "tokenizer.json");
    status = tokenizer_load(&sft->tokenizer, path, err);
    free(path);
    if (status || read_shape(&config, sft->options.model, tokenizer_vocab(sft->tokenizer), err)) return -1;
    if (model_create(&sft->model, &config, kernels, err)) return -1;
    model_init(sft->model, seed);
    return 0;
}

static int open_model(struct sft *sft, struct run *run, const struct step *step, struct error *err) {
    const struct kernels *kernels;

    if (run_kernels(&kernels, run, err)) return -1;
    if (!sft->options.base) return new_model(sft, kernels, step->seed, err);
    return folder_open_as(&sft->model, &sft->tokenizer, sft->options.base, kernels, sft->options.weights,
                          err);
}

static int adapt(struct sft *sft, const struct step *step, struct error *err) {
    if (!sft->options.lora) return 0;
    if (lora_read(&sft->adapters, sft->options.lora, step_where(step), &sft->model->config, err)) return -1;
    return model_adapt(sft->model, &sft->adapters, step->seed, err);
}

/* The prompt's ids, then the response's, each with a mark for whether it is learned. */
static void add_marked(struct sft *sft, const char *text, struct tokens *prompt,
                       const struct tokens *response) {
    int given = prompt->count, count = given + response->count;
    unsigned char *learn = xcalloc((size_t)count, 1);

    if (sft->options.learn == LEARN_ASSISTANT) prompt_mark(sft->tokenizer, text, learn, given);
    if (sft->options.learn == LEARN_ALL) memset(learn, 1, (size_t)given);
    memset(learn + given, 1, (size_t)response->count);
    for (int i = 0; i < response->count; i++) tokens_add(prompt, response->ids[i]);
    dataset_add_marked(&sft->data, prompt->ids, learn, count, 1);
    free(learn);
}

static int add_row(struct sft *sft, struct overlong_rows *rows, const struct example *example,
                   struct error *err) {
    struct tokens prompt = {0}, response = {0};
    int row = sft->data.count, held = example->split && strcmp(example->split, "train") != 0, fits;
    char *cut;

    response_encode(sft->tokenizer, example->response, 1, &response);
    fits = overlong_encode(rows, sft->tokenizer, example, response.count, &prompt, &cut, err);
    if (fits > 0) {
        add_marked(sft, cut ? cut : example->prompt, &prompt, &response);
        if (held)
            sft->heldout[sft->heldout_count++] = row;
        else
            sft->train[sft->train_count++] = row;
    }
    free(cut);
    free(prompt.ids);
    free(response.ids);
    return fits < 0 ? -1 : 0;
}

/* Where the file marks no held-out rows, the last of the training rows are. */
static void hold_out(struct sft *sft) {
    int wanted = sft->options.heldout;

    if (sft->heldout_count) return;
    if (wanted > sft->train_count / 10) wanted = sft->train_count / 10;
    sft->train_count -= wanted;
    memcpy(sft->heldout, sft->train + sft->train_count, (size_t)wanted * sizeof *sft->heldout);
    sft->heldout_count = wanted;
}

static int add_rows(struct sft *sft, const struct step *step, const struct examples *examples,
                    struct error *err) {
    struct overlong_rows rows;
    int status = overlong_begin(&rows, step, sft->options.overlong, sft->model->config.context, err);

    for (int i = 0; i < examples->count && !status; i++) {
        const struct example *example = &examples->items[i];

        if (example->prompt && example->response)
            status = add_row(sft, &rows, example, err);
        else
            overlong_leave(&rows, example, "no prompt or no response");
    }
    if (!status) status = overlong_end(&rows, examples->count, "demonstrations", err);
    overlong_free(&rows);
    return status;
}

static int load_rows(struct sft *sft, const struct step *step, struct error *err) {
    struct examples examples = {0};
    int status = -1;

    if (data_read(sft->options.data, "demonstrations.jsonl", &examples, err)) goto out;
    sft->train = xcalloc((size_t)examples.count, sizeof *sft->train);
    sft->heldout = xcalloc((size_t)examples.count, sizeof *sft->heldout);
    if (add_rows(sft, step, &examples, err)) goto out;
    hold_out(sft);
    status = 0;
out:
    examples_free(&examples);
    return status;
}

static int learn(void *context, const int *items, int count, struct node *row, double *loss,
                 struct error *err) {
    struct sft *sft = context;
    int *rows = xcalloc((size_t)count, sizeof *rows), status;

    (void)row;
    for (int i = 0; i < count; i++) rows[i] = sft->train[items[i]];
    status = supervised_learn(&sft->supervised, rows, count, 1, loss, err);
    free(rows);
    return status;
}

static int evaluate(void *context, struct node *row, struct error *err) {
    struct sft *sft = context;
    double loss;

    if (!sft->heldout_count) return 0;
    if (supervised_loss(&sft->supervised, sft->heldout, sft->heldout_count, &loss, err)) return -1;
    node_add_number(row, "heldout_loss", loss);
    return 0;
}

static int train(struct sft *sft, const struct step *step, struct error *err) {
    struct session session = {0};
    struct optimizer optimizer = {0};
    struct fit fit = {
        &session,         sft->model, &optimizer, &sft->options.fit, -1,  0,
        sft->train_count, sft->sizes, learn,      evaluate,          sft, sft->supervised.trunk};
    int status = -1;

    session_begin(&session, step);
    if (model_train(sft->model, err) || optimizer_create(&optimizer, sft->model, err)) goto out;
    fit_optimizer(&optimizer, &sft->options.fit);
    session_keep(&session, "model", sft->model, &optimizer);
    fit.resume = session_resume(&session, err);
    if (fit.resume < 0 || fit_run(&fit, err)) goto out;
    if (lora_store(sft->model, sft->tokenizer, step->folder, sft->options.bits, &sft->adapters,
                   sft->options.base, 0, err))
        goto out;
    status = session_finish(&session, err);
out:
    session_free(&session);
    optimizer_free(&optimizer, sft->model);
    return status;
}

static void sft_free(struct sft *sft) {
    supervised_free(&sft->supervised);
    trunk_free(sft->supervised.trunk);
    dataset_free(&sft->data);
    free(sft->train);
    free(sft->heldout);
    free(sft->sizes);
    tokenizer_free(sft->tokenizer);
    model_free(sft->model);
}

static int sft_run(struct run *run, const struct step *step, struct error *err) {
    struct sft sft = {0};
    int status = -1;

    if (read_options(&sft.options, step, err)) goto out;
    if (open_model(&sft, run, step, err) || adapt(&sft, step, err) || load_rows(&sft, step, err)) goto out;
    if (trunk_create(&sft.supervised.trunk, sft.model, sft.options.recompute, err)) goto out;
    sft.supervised.data = &sft.data;
    sft.supervised.micro_tokens = sft.options.fit.micro_tokens;
    supervised_sizes(&sft.supervised);
    sft.sizes = xcalloc((size_t)sft.train_count, sizeof *sft.sizes);
    for (int i = 0; i < sft.train_count; i++) sft.sizes[i] = sft.supervised.sizes[sft.train[i]];
    status = train(&sft, step, err);
out:
    sft_free(&sft);
    return status;
}

/* The model that learns, and the larger of a training pass and one that reads held-out rows. */
static void sft_hold(double held[HOLDINGS], const struct sft_options *o, const struct config *config,
                     const struct kernels *kernels, const struct adapter_options *adapters) {
    int micro = o->fit.micro_tokens;
    double reading[HOLDINGS] = {0};

    model_hold(held, config, kernels, o->weights, 1, adapters);
    memcpy(reading, held, sizeof reading);
    trunk_hold(reading, config, kernels, micro, 0, 0, adapters);
    trunk_hold(held, config, kernels, fit_held(&o->fit, config, 1), 1, o->recompute, adapters);
    plan_phase(held, reading);
}

static int sft_plan(const struct run *run, const struct step *step, struct plan *out, struct error *err) {
    struct sft_options options;
    const struct kernels *kernels = plan_kernels(run);
    struct adapter_options adapters;
    struct config config;
    struct passage updates;
    char note[64];
    int known = 0;

    if (read_options(&options, step, err)) return -1;
    if (rounding_check(options.fit.stochastic_rounding, kernels, err)) return -1;
    if (options.base) known = folder_config(&config, options.base, err);
    if (known < 0) return -1;
    if (!options.base && options.model) known = !read_shape(&config, options.model, 1024, err);
    if (lora_read(&adapters, options.lora, step_where(step), known ? &config : NULL, err)) return -1;
    if (!known) {
        snprintf(out->note, sizeof out->note, "sizes are known once the base is there");
        return 0;
    }
    out->parameters = config_parameters(&config);
    if (weight_form_check(options.weights, kernels, err)) return -1;
    sft_hold(out->held, &options, &config, kernels, lora_plan(&adapters));
    plan_host(out, &config, run);
    updates = cost_updates(&config, options.fit.steps, options.fit.batch_tokens);
    if (options.learn == LEARN_ALL) updates.read = updates.tokens;
    out->flops = lora_passes(&adapters) * cost_forward(&config, &updates);
    snprintf(out->note, sizeof out->note, "%d layers, width %d, context %d%s", config.layers, config.width,
             config.context, lora_note(note, &adapters, &config));
    return 0;
}

static const struct remedy remedies[] = {{"recompute", "true", 0},
                                         {"micro_tokens", NULL, 64},
                                         {"lora", "{rank: 8}", 0},
                                         {"weights", "int8", 0},
                                         {0}};

const struct stage stage_sft = {.name = "sft",
                                .summary = "supervised fine-tuning on demonstrations",
                                .options = sft_options,
                                .run = sft_run,
                                .plan = sft_plan,
                                .shared = 1,
                                .remedies = remedies};
