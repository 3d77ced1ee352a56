/* For libFuzzer (clang -fsanitize=fuzzer,address,undefined): the first byte picks the reader of a model's
 * files, the others are its file. No input may crash, leak, or be accepted with tensors outside the file. Run
 * it in a folder that is kept in memory, with the seeds of fixtures/corpus. -DONLY="'g'" makes every input a
 * GGUF file. tools/fuzz.sh does all that. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/file.h"
#include "models/adapter_file.h"
#include "models/chat.h"
#include "models/gguf_config.h"
#include "models/gguf_tokenizer.h"
#include "models/model_file.h"
#include "models/tokenizer.h"

#define REQUIRE(truth)                                                                                       \
    do {                                                                                                     \
        if (!(truth)) abort();                                                                               \
    } while (0)

/* Every tensor lies in the file and is read or refused with a sentence. */
static void read_tensors(const struct stored *items, int count, const uint8_t *bytes, size_t length) {
    struct error err;

    for (int i = 0; i < count; i++) {
        const struct stored *tensor = &items[i];
        size_t numbers = tensor->length / (size_t)tensor->type->bytes * (size_t)tensor->type->count;
        float *floats = malloc(numbers * sizeof *floats + 4);

        REQUIRE(tensor->bytes >= bytes && tensor->bytes + tensor->length <= bytes + length);
        if (stored_floats(tensor, floats, numbers, &err)) REQUIRE(strlen(err.message) > 0);
        free(floats);
    }
}

/* The model that these tensors and a description are, if they are one. */
static void read_model(const char *path, struct weights *weights, struct stored *items, int count) {
    struct model *model;
    struct error err;

    weights->path = (char *)path;
    weights->items = malloc((size_t)count * sizeof *weights->items + 1);
    for (int i = 0; i < count; i++) weights->items[weights->count++] = &items[i];
    if (model_read(&model, path, weights, kernels_find("cpu"), WEIGHTS_FULL, count % 2, &err) == 0)
        REQUIRE(model->size > 0);
    else
        REQUIRE(strlen(err.message) > 0);
    model_free(model);
    free(weights->items);
}

static void fuzz_safetensors(const uint8_t *bytes, size_t length) {
    struct safetensors file;
    struct error err;
    size_t total = 0;

    if (safetensors_parse(&file, bytes, length, "fuzz", &err)) return;
    read_tensors(file.items, file.count, bytes, length);
    for (int i = 0; i < file.count; i++) {
        REQUIRE(safetensors_find(&file, file.items[i].name) == &file.items[i]);
        total += file.items[i].length;
    }
    REQUIRE(total + 8 <= length);
    safetensors_close(&file);
}

/* Streamed, the ids give the same bytes as at once. */
static void decode_twice(const struct tokenizer *tokenizer, const struct tokens *ids) {
    struct decoding decoding = {.tokenizer = tokenizer};
    struct text streamed = {0};
    size_t size;
    char *back = tokenizer_decode(tokenizer, ids->ids, ids->count, &size);

    for (int i = 0; i < ids->count; i++) decoding_add(&decoding, ids->ids[i], &streamed);
    decoding_end(&decoding, &streamed);
    REQUIRE(streamed.length == size && (size == 0 || memcmp(streamed.data, back, size) == 0));
    free(streamed.data);
    free(back);
}

static void encode_back(const struct tokenizer *tokenizer, const uint8_t *bytes, size_t length) {
    const struct stretch plain = {length / 4, length / 2};
    struct tokens ids = {0}, ends = {0};

    tokenizer_encode(tokenizer, (const char *)bytes, length, &ids);
    for (int i = 0; i < ids.count; i++) REQUIRE(ids.ids[i] >= 0 && ids.ids[i] < tokenizer_vocab(tokenizer));
    decode_twice(tokenizer, &ids);
    ids.count = 0;
    tokenizer_encode_mixed(tokenizer, (const char *)bytes, length, &plain, 1, &ids, &ends);
    REQUIRE(ids.count == ends.count);
    for (int i = 0; i < ends.count; i++) REQUIRE(ends.ids[i] >= 0 && (size_t)ends.ids[i] <= length);
    decode_twice(tokenizer, &ids);
    tokenizer_encode_framed(tokenizer, (const char *)bytes, length, &ids);
    free(ids.ids);
    free(ends.ids);
}

static void read_tokenizer(const struct node *metadata, const uint8_t *bytes, size_t length) {
    struct tokenizer *tokenizer;
    struct error err;

    if (gguf_tokenizer_read(&tokenizer, metadata, &err) == 0)
        encode_back(tokenizer, bytes, length);
    else
        REQUIRE(strlen(err.message) > 0);
    tokenizer_free(tokenizer);
}

static void fuzz_gguf(const uint8_t *bytes, size_t length) {
    struct weights weights = {0};
    struct error err;

    if (gguf_parse(&weights.gguf, bytes, length, "fuzz", &err)) {
        REQUIRE(strlen(err.message) > 0);
        return;
    }
    read_tensors(weights.gguf.items, weights.gguf.count, bytes, length);
    read_model("fuzz", &weights, weights.gguf.items, weights.gguf.count);
    read_tokenizer(weights.gguf.metadata, bytes, length);
    gguf_close(&weights.gguf);
}

static void write_bytes(const char *path, const uint8_t *bytes, size_t length) {
    FILE *out = fopen(path, "wb");

    REQUIRE(out && fwrite(bytes, 1, length, out) == length && fclose(out) == 0);
}

/* A folder with a config.json of a small Llama and one shard, made once. */
static const char *folder(void) {
    static const char config[] =
        "{\"model_type\":\"llama\",\"hidden_size\":2,\"intermediate_size\":1,"
        "\"num_hidden_layers\":1,\"num_attention_heads\":1,\"max_position_embeddings\":2,"
        "\"vocab_size\":1,\"tie_word_embeddings\":true}";
    static const char shard[] =
        "\x38\0\0\0\0\0\0\0{\"x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}    ";
    static char path[64];
    struct error err;

    if (path[0]) return path;
    snprintf(path, sizeof path, "fuzz-%ld", (long)getpid());
    REQUIRE(folder_make(path, &err) == 0 && chdir(path) == 0);
    write_bytes("config.json", (const uint8_t *)config, sizeof config - 1);
    write_bytes("one.safetensors", (const uint8_t *)shard, sizeof shard - 1);
    REQUIRE(chdir("..") == 0);
    return path;
}

/* The tensors of a model whose config.json is sound. */
static void fuzz_model(const uint8_t *bytes, size_t length) {
    struct weights weights = {0};
    struct safetensors file;
    struct error err;

    if (safetensors_parse(&file, bytes, length, "fuzz", &err)) return;
    read_model(folder(), &weights, file.items, file.count);
    safetensors_close(&file);
}

/* An index of shards, of which there is one. */
static void fuzz_index(const uint8_t *bytes, size_t length) {
    char *path = path_join(folder(), "model.safetensors.index.json");
    struct weights weights;
    struct error err;

    write_bytes(path, bytes, length);
    if (weights_open(&weights, folder(), &err) == 0) {
        REQUIRE(weights.count == 1 && weights_find(&weights, "x"));
        weights_close(&weights);
    } else {
        REQUIRE(strlen(err.message) > 0);
    }
    free(path);
}

/* The readers of JSON take a path. */
static const char *write_input(const uint8_t *bytes, size_t length) {
    static char path[64];

    snprintf(path, sizeof path, "fuzz-%ld.json", (long)getpid());
    write_bytes(path, bytes, length);
    return path;
}

static void fuzz_tokenizer(const uint8_t *bytes, size_t length) {
    const char *path = write_input(bytes, length);
    struct tokenizer *tokenizer;
    struct error err;

    if (tokenizer_load(&tokenizer, path, &err) == 0) {
        encode_back(tokenizer, bytes, length);
        tokenizer_free(tokenizer);
    }
    unlink(path);
}

/* A chat template, or with a line "format:" a description of one; rendered with itself as content. */
static void fuzz_chat(const uint8_t *bytes, size_t length) {
    char *text = xstrndup((const char *)bytes, length);
    const struct turn turns[] = {{"user", text}, {"assistant", text}, {"user", "x"}};
    struct node *description = NULL;
    struct rendering rendering = {0};
    struct chat chat = {0};
    struct error err;
    int status;

    if (strstr(text, "format:")) description = document_parse_yaml(text, strlen(text), "fuzz", &err);
    status = description ? chat_described(&chat, description, &err) : chat_recognize(&chat, text, &err);
    if (status == 0 && chat_render(&chat, turns, 3, CHAT_ASK, &rendering, &err) == 0)
        REQUIRE(rendering.learned[1].begin <= rendering.learned[1].end &&
                rendering.learned[1].end <= rendering.text.length);
    rendering_free(&rendering);
    chat_free(&chat);
    free(text);
}

/* An adapter's folder on a base of one layer, made once. */
static const char *adapter_folder(void) {
    const struct adapter_options options = {.rank = 1, .alpha = 1, .targets = 1};
    static char path[80];
    struct config config;
    struct model *model;
    struct error err;
    char *base;

    if (path[0]) return path;
    snprintf(path, sizeof path, "%s/adapter", folder());
    base = xprintf("%s/base", folder());
    REQUIRE(config_family(&config, "llama", &err) == 0);
    config.vocab = config.layers = config.heads = config.kv_heads = config.ffn = 1;
    config.context = config.width = config.head_size = 2;
    REQUIRE(model_create(&model, &config, kernels_find("cpu"), &err) == 0);
    REQUIRE(model_save(model, base, 32, &err) == 0 && model_adapt(model, &options, 1, &err) == 0);
    REQUIRE(adapter_store(model, &options, base, 0, path, number_type_find("F32"), &err) == 0);
    model_free(model);
    free(base);
    return path;
}

/* Its settings, if they begin as such do, or its numbers; the other file is sound. */
static void fuzz_adapter(const uint8_t *bytes, size_t length) {
    const char *place = adapter_folder();
    int settings = length > 0 && bytes[0] == '{';
    char *path = path_join(place, settings ? ADAPTER_CONFIG : ADAPTER_NUMBERS);
    struct model *model;
    struct error err;
    size_t size;
    char *sound = file_read(path, &size, &err);

    write_bytes(path, bytes, length);
    if (model_load(&model, place, kernels_find("cpu"), &err) == 0)
        REQUIRE(model->adapter_count == 0);
    else
        REQUIRE(strlen(err.message) > 0);
    write_bytes(path, (const uint8_t *)sound, size);
    model_free(model);
    free(sound);
    free(path);
}

static void fuzz_config(const uint8_t *bytes, size_t length) {
    const char *path = write_input(bytes, length);
    struct config config;
    struct error err;

    if (config_read(&config, path, &err) == 0) {
        REQUIRE(config_check(&config, &err) == 0);
        REQUIRE(config_parameters(&config) > 0 && config_flops(&config, config.context) > 0);
    }
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    if (length == 0) return 0;
#ifdef ONLY
    switch (ONLY) {
#else
    switch (bytes[0]) {
#endif
    case 's':
        fuzz_safetensors(bytes + 1, length - 1);
        break;
    case 'g':
        fuzz_gguf(bytes + 1, length - 1);
        break;
    case 'm':
        fuzz_model(bytes + 1, length - 1);
        break;
    case 'i':
        fuzz_index(bytes + 1, length - 1);
        break;
    case 't':
        fuzz_tokenizer(bytes + 1, length - 1);
        break;
    case 'h':
        fuzz_chat(bytes + 1, length - 1);
        break;
    case 'a':
        fuzz_adapter(bytes + 1, length - 1);
        break;
    case 'c':
        fuzz_config(bytes + 1, length - 1);
        break;
    }
    return 0;
}
