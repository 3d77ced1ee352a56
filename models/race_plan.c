#include "models/race.h"

#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "models/training.h"

const struct contender contenders[CONTENDERS] = {
    [PYRITE_F32] = {"pyrite f32", PEER_PYRITE, "cpu", "f32", 0},
    [PYRITE_BF16] = {"pyrite bf16", PEER_PYRITE, "cpu-bf16", "bf16", 0},
    [PYTORCH_F32] = {"PyTorch f32", PEER_PYTORCH, "f32", "f32", 0},
    [PYTORCH_BF16] = {"PyTorch bf16", PEER_PYTORCH, "bf16", "bf16", 0},
    [COMPILED_F32] = {"PyTorch f32, compiled", PEER_PYTORCH, "f32 compiled", "f32", 0},
    [COMPILED_BF16] = {"PyTorch bf16, compiled", PEER_PYTORCH, "bf16 compiled", "bf16", 0},
    [INSTALLED_F32] = {"PyTorch f32, as installed", PEER_INSTALLED, "f32", "f32", 0},
    [LLAMA_F32] = {"llama.cpp F32", PEER_LLAMA, "F32", "f32", 0},
    [LLAMA_F16] = {"llama.cpp F16", PEER_LLAMA, "F16", NULL, 0},
    [LLAMA_BF16] = {"llama.cpp BF16", PEER_LLAMA, "BF16", "bf16", 0},
    [LLAMA_Q8] = {"llama.cpp Q8_0", PEER_LLAMA, "Q8_0", NULL, 0},
    [EQUAL_F32] = {"pyrite f32, equal lengths", PEER_PYRITE, "cpu", "f32", 1},
    [EQUAL_BF16] = {"pyrite bf16, equal lengths", PEER_PYRITE, "cpu-bf16", "bf16", 1},
    [DEVICE_F32] = {"pyrite cuda", PEER_PYRITE, "cuda", "f32", 0},
    [DEVICE_BF16] = {"pyrite cuda-bf16", PEER_PYRITE, "cuda-bf16", "bf16", 0},
    [DEVICE_CUBLAS] = {"pyrite cuda-cublas", PEER_PYRITE, "cuda-cublas", "bf16", 0},
    [TORCH_F32] = {"PyTorch f32", PEER_DEVICE, "f32", "f32", 0},
    [TORCH_BF16] = {"PyTorch bf16", PEER_DEVICE, "bf16", "bf16", 0},
    [TORCH_COMPILED_F32] = {"PyTorch f32, compiled", PEER_DEVICE, "f32 compiled", "f32", 0},
    [TORCH_COMPILED_BF16] = {"PyTorch bf16, compiled", PEER_DEVICE, "bf16 compiled", "bf16", 0},
};

const struct race_model race_small = {"S10M", 6, 384, 8192, 256}, race_gpt2 = {"GPT-2", 12, 768, 50257, 1024};

#define BIT(contender) (1u << (contender))
#define OURS           (BIT(PYRITE_F32) | BIT(PYRITE_BF16))
#define PYTORCH        (BIT(PYTORCH_F32) | BIT(PYTORCH_BF16))
#define LLAMA          (BIT(LLAMA_F32) | BIT(LLAMA_F16) | BIT(LLAMA_BF16) | BIT(LLAMA_Q8))
#define FASTEST_F32    (BIT(PYTORCH_F32) | BIT(COMPILED_F32))
#define FASTEST_BF16   (BIT(PYTORCH_BF16) | BIT(COMPILED_BF16))
#define TRAINERS       (OURS | FASTEST_F32 | FASTEST_BF16 | BIT(INSTALLED_F32))
#define EQUAL          (BIT(EQUAL_F32) | BIT(EQUAL_BF16))
/* Where single precision would take longer than all else, it is left out. */
#define BF16_ON_DEVICE                                                                                       \
    .device = 1, .who = BIT(DEVICE_BF16) | BIT(DEVICE_CUBLAS) | BIT(TORCH_BF16) | BIT(TORCH_COMPILED_BF16)
#define ON_DEVICE                                                                                            \
    .device = 1, .who = BIT(DEVICE_BF16) | BIT(DEVICE_CUBLAS) | BIT(TORCH_BF16) | BIT(TORCH_COMPILED_BF16) | \
                        BIT(DEVICE_F32) | BIT(TORCH_F32) | BIT(TORCH_COMPILED_F32)

/* Batches of rows x length; rollouts of so many sequences, 64 tokens from prompts of 64. */
#define TRAIN(shape, batch, tokens)                                                                          \
    .work = "train", .model = &(shape), .rows = (batch), .length = (tokens), .who = TRAINERS
#define GENERATE(shape, sequences)                                                                           \
    .work = "generate", .model = &(shape), .rows = (sequences), .prompt = 64, .fresh = 64,                   \
    .who = OURS | PYTORCH | LLAMA
#define TURNS(times, most, limit) .repeats = (times), .rounds = (most), .seconds = (limit)
/* Prompts of so many tokens, of which a token is sampled each; and as GENERATE, of the model that is given.
 */
#define GIVEN (OURS | BIT(LLAMA_F32) | BIT(LLAMA_BF16) | BIT(LLAMA_Q8))
#define READ(sequences, tokens)                                                                              \
    .work = "generate", .rows = (sequences), .prompt = (tokens), .fresh = 1, .reading = 1, .who = GIVEN
#define DECODE(sequences) .work = "generate", .rows = (sequences), .prompt = 64, .fresh = 64, .who = GIVEN
/* The same on a device. */
#define DEVICE_TRAIN(shape, batch, tokens, set)                                                              \
    .work = "train", .model = &(shape), .rows = (batch), .length = (tokens), set
#define DEVICE_GENERATE(sequences, read, drawn, set)                                                         \
    .work = "generate", .model = &race_gpt2, .rows = (sequences), .prompt = (read), .fresh = (drawn), set
#define DEVICE_ITERATION "PPO GPT-2 512 x (64 + 64), 4 epochs, cuda"
#define LENGTHS          "lengths of 16 to 128, S10M x 192 in 64 places"
#define ITERATION        "PPO S10M 64 x (64 + 64), 4 epochs"

const struct heat heats[] = {
    {"train S10M 4 x 64", TRAIN(race_small, 4, 64), TURNS(6, 7, 20)},
    {"train S10M 8 x 128", TRAIN(race_small, 8, 128), TURNS(2, 7, 30)},
    {"train GPT-2 4 x 64", TRAIN(race_gpt2, 4, 64), TURNS(1, 7, 40)},
    {"train GPT-2 8 x 128", TRAIN(race_gpt2, 8, 128), TURNS(1, 5, 75)},
    {"generate S10M x 1", GENERATE(race_small, 1), TURNS(3, 7, 15)},
    {"generate S10M x 16", GENERATE(race_small, 16), TURNS(2, 7, 25)},
    {"generate S10M x 64", GENERATE(race_small, 64), TURNS(1, 5, 40)},
    {"generate GPT-2 x 1", GENERATE(race_gpt2, 1), TURNS(1, 7, 35)},
    {"generate GPT-2 x 16", GENERATE(race_gpt2, 16), TURNS(1, 5, 60)},
    {"generate GPT-2 x 64", GENERATE(race_gpt2, 64), TURNS(1, 3, 130)},
    {ITERATION, "ppo", &race_small, .rows = 64, .prompt = 64, .fresh = 64, .epochs = 4, .minibatch = 16,
     .who = OURS | PYTORCH, TURNS(1, 3, 110)},
    {LENGTHS, "generate", &race_small, .rows = 192, .prompt = 64, .fresh = 128, .shortest = 16, .slots = 64,
     .who = OURS | EQUAL, TURNS(1, 5, 40)},
    {"memory of training GPT-2 8 x 128", TRAIN(race_gpt2, 8, 128), .memory = 16},
    {"train S10M 16 x 256", TRAIN(race_small, 16, 256), TURNS(1, 5, 35)},
    {"read 512 x 1", READ(1, 512), TURNS(2, 7, 20)},
    {"read 512 x 16", READ(16, 512), TURNS(1, 5, 90)},
    {"decode x 1", DECODE(1), TURNS(1, 7, 25)},
    {"decode x 16", DECODE(16), TURNS(1, 5, 50)},
    {"decode x 64", DECODE(64), TURNS(1, 5, 120)},
    {"memory of decode x 16", DECODE(16), .memory = 2},
    {"train GPT-2 8 x 1024, cuda", DEVICE_TRAIN(race_gpt2, 8, 1024, ON_DEVICE), TURNS(4, 3, 2)},
    {"train GPT-2 64 x 1024, cuda", DEVICE_TRAIN(race_gpt2, 64, 1024, BF16_ON_DEVICE), TURNS(1, 3, 2)},
    {"generate GPT-2 x 1, cuda", DEVICE_GENERATE(1, 64, 64, BF16_ON_DEVICE), TURNS(5, 3, 2)},
    {"generate GPT-2 x 64, cuda", DEVICE_GENERATE(64, 64, 64, ON_DEVICE), TURNS(3, 3, 2)},
    {"generate GPT-2 x 512, cuda", DEVICE_GENERATE(512, 64, 64, BF16_ON_DEVICE), TURNS(1, 3, 2)},
    {DEVICE_ITERATION, "ppo", &race_gpt2, .rows = 512, .prompt = 64, .fresh = 64, .epochs = 4,
     .minibatch = 128, BF16_ON_DEVICE, TURNS(1, 2, 20)},
    {"generate GPT-2 x 64, 256 + 128, cuda", DEVICE_GENERATE(64, 256, 128, BF16_ON_DEVICE), TURNS(1, 3, 2)},
    {"train S10M 8 x 128, cuda", DEVICE_TRAIN(race_small, 8, 128, ON_DEVICE), TURNS(30, 3, 2)},
    {"train S10M 64 x 128, cuda", DEVICE_TRAIN(race_small, 64, 128, ON_DEVICE), TURNS(10, 3, 2)},
    {0}};

int race_config(struct config *out, const struct race_model *shape, struct error *err) {
    if (config_family(out, "gpt2", err)) return -1;
    out->vocab = shape->vocab;
    out->context = shape->context;
    out->layers = shape->layers;
    out->width = shape->width;
    out->head_size = 64;
    out->heads = out->kv_heads = shape->width / 64;
    out->ffn = 4 * shape->width;
    return config_check(out, err);
}

int race_model_create(struct model **out, const struct race_model *shape, const struct kernels *kernels,
                      struct error *err) {
    struct config config;

    if (race_config(&config, shape, err) || model_create(out, &config, kernels, err)) return -1;
    model_init(*out, 1);
    return 0;
}

int race_weights(const char *folder, const struct race_model *shape, struct error *err) {
    char *mine = path_join(folder, shape->name), *file = path_join(mine, "model.safetensors");
    struct model *model = NULL;
    int status = 0;

    if (!file_exists(file)) {
        status = race_model_create(&model, shape, kernels_find("cpu"), err);
        if (!status) status = folder_make(mine, err);
        if (!status) status = model_save(model, mine, 32, err);
        model_free(model);
    }
    free(file);
    free(mine);
    return status;
}

static double head(const struct config *config) {
    return 2.0 * config->vocab * config->width;
}

/* Of a forward pass for one token, the head not counted; causal attention over `length` tokens. */
static double blocks(const struct config *config, int length) {
    return config_flops(config, length - 1) - head(config);
}

/* Prompts and responses through the sampler, thrice through a model to score, three passes (forward and two
   backward) an epoch; the head on the responses alone, and none on the reward model. */
static double ppo_operations(const struct heat *heat, const struct config *config) {
    int length = heat->prompt + heat->fresh;
    double all = blocks(config, length) * length, heads = head(config) * heat->fresh;

    return (all + heads + 3 * all + 2 * heads + 3 * heat->epochs * (all + heads)) / length;
}

double heat_operations(const struct heat *heat, const struct config *config) {
    if (!strcmp(heat->work, "train")) return training_operations(config, 1, heat->length);
    if (!strcmp(heat->work, "ppo")) return ppo_operations(heat, config);
    if (heat->reading) return blocks(config, heat->prompt) + head(config) / heat->prompt;
    /* one token against a cache of prompt + half the response on average, twice the causal mean of so many */
    return blocks(config, 2 * heat->prompt + heat->fresh) + head(config);
}

double race_parameters(const struct race_model *m) {
    double width = m->width;

    return m->layers * (12 * width * width + 13 * width) + (m->vocab + m->context + 2) * width;
}

double heat_decode_numbers(const struct heat *heat, const struct config *config) {
    double length = heat->prompt + 0.5 * heat->fresh,
           keys = (double)config->layers * config->kv_heads * config->head_size;

    return (blocks(config, 0) + head(config)) / 2 + 2 * heat->rows * length * keys;
}

const struct bar bars[] = {{"train S10M 4 x 64", BAR_RATIO, PYRITE_BF16, FASTEST_BF16, 1.5, 1.7},
                           {"train S10M 8 x 128", BAR_RATIO, PYRITE_BF16, FASTEST_BF16, 1.4, 1.65},
                           {"train S10M 8 x 128", BAR_RATIO, PYRITE_BF16, FASTEST_F32, 2.0, 0},
                           {"train S10M 8 x 128", BAR_PEAK, PYRITE_BF16, 0, 0.60, 0.72},
                           {"train S10M 8 x 128", BAR_RATIO, PYRITE_F32, FASTEST_F32, 1.25, 0},
                           {"train S10M 8 x 128", BAR_PEAK, PYRITE_F32, 0, 0.78, 0.86},
                           {"train GPT-2 4 x 64", BAR_RATIO, PYRITE_BF16, FASTEST_BF16, 1.5, 1.7},
                           {"train GPT-2 8 x 128", BAR_RATIO, PYRITE_BF16, FASTEST_BF16, 1.3, 1.5},
                           {"train GPT-2 8 x 128", BAR_RATIO, PYRITE_BF16, FASTEST_F32, 2.0, 0},
                           {"train GPT-2 8 x 128", BAR_PEAK, PYRITE_BF16, 0, 0.68, 0.78},
                           {"train GPT-2 8 x 128", BAR_RATIO, PYRITE_F32, FASTEST_F32, 1.25, 0},
                           {"train GPT-2 8 x 128", BAR_PEAK, PYRITE_F32, 0, 0.83, 0.86},
                           {"generate S10M x 1", BAR_RATIO, PYRITE_BF16, BIT(LLAMA_BF16), 1.1, 0},
                           {"generate S10M x 16", BAR_RATIO, PYRITE_BF16, LLAMA, 2.0, 2.6},
                           {"generate S10M x 16", BAR_RATIO, PYRITE_BF16, BIT(PYTORCH_BF16), 3.0, 0},
                           {"generate S10M x 64", BAR_RATIO, PYRITE_BF16, LLAMA, 2.0, 2.6},
                           {"generate S10M x 64", BAR_RATIO, PYRITE_BF16, BIT(PYTORCH_BF16), 3.0, 0},
                           {"generate GPT-2 x 1", BAR_RATIO, PYRITE_BF16, BIT(LLAMA_BF16), 1.1, 0},
                           {"generate GPT-2 x 1", BAR_MEMORY, PYRITE_BF16, 0, 0.85, 0.92},
                           {"generate GPT-2 x 16", BAR_RATIO, PYRITE_BF16, LLAMA, 2.0, 2.6},
                           {"generate GPT-2 x 16", BAR_RATIO, PYRITE_BF16, BIT(PYTORCH_BF16), 3.0, 0},
                           {"generate GPT-2 x 64", BAR_RATIO, PYRITE_BF16, LLAMA, 2.0, 2.6},
                           {"generate GPT-2 x 64", BAR_RATIO, PYRITE_BF16, BIT(PYTORCH_BF16), 3.0, 0},
                           {"generate GPT-2 x 64", BAR_PEAK, PYRITE_BF16, 0, 0, 0.65},
                           {LENGTHS, BAR_RATIO, PYRITE_F32, BIT(EQUAL_F32), 0.8, 0.9},
                           {LENGTHS, BAR_RATIO, PYRITE_BF16, BIT(EQUAL_BF16), 0.8, 0.9},
                           {ITERATION, BAR_RATIO, PYRITE_BF16, BIT(PYTORCH_BF16), 1.5, 2.0},
                           {ITERATION, BAR_RATIO, PYRITE_BF16, BIT(PYTORCH_F32), 2.5, 0},
                           {ITERATION, BAR_PEAK, PYRITE_BF16, 0, 0.55, 0.70},
                           {"read 512 x 1", BAR_RATIO, PYRITE_BF16, BIT(LLAMA_BF16), 1.0, 0},
                           {"read 512 x 16", BAR_RATIO, PYRITE_BF16, BIT(LLAMA_BF16), 2.0, 0},
                           {"decode x 1", BAR_RATIO, PYRITE_BF16, BIT(LLAMA_BF16), 1.0, 0},
                           {"decode x 16", BAR_RATIO, PYRITE_BF16, BIT(LLAMA_BF16), 2.0, 0},
                           {"decode x 64", BAR_RATIO, PYRITE_BF16, BIT(LLAMA_BF16), 2.0, 0},
                           {"train GPT-2 8 x 1024, cuda", BAR_SHEET, DEVICE_CUBLAS, 0, 0.55, 0},
                           {"train GPT-2 64 x 1024, cuda", BAR_SHEET, DEVICE_CUBLAS, 0, 0.55, 0},
                           {"generate GPT-2 x 1, cuda", BAR_MEMORY, DEVICE_CUBLAS, 0, 0.60, 0},
                           {"generate GPT-2 x 64, cuda", BAR_MEMORY, DEVICE_CUBLAS, 0, 0.70, 0},
                           {DEVICE_ITERATION, BAR_ROLLOUT, DEVICE_CUBLAS, 0, 0.35, 0},
                           {0}};
